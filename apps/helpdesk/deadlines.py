"""By when a ticket is to be answered and solved."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from apps.lifecycle.priority import Priority


class Deadlines(NamedTuple):
    """The two promises made to whoever reports something."""

    response_due_at: datetime
    resolution_due_at: datetime


TARGETS: Final = {
    Priority.CRITICAL: (timedelta(hours=1), timedelta(hours=4)),
    Priority.HIGH: (timedelta(hours=4), timedelta(days=1)),
    Priority.MEDIUM: (timedelta(days=1), timedelta(days=3)),
    Priority.LOW: (timedelta(days=3), timedelta(days=7)),
}
"""How long the answer and the solution may take, around the clock."""


def deadlines(priority: str, reported_at: datetime) -> Deadlines:
    """Return by when a ticket of this priority is to be answered and solved.

    Raises ValueError for a priority that there is not.
    """
    response, resolution = TARGETS[Priority(priority)]
    return Deadlines(reported_at + response, reported_at + resolution)
