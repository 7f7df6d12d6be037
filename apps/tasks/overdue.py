"""Tasks that nobody started in time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from apps.lifecycle.actors import SystemActor
from apps.lifecycle.services import transition_many
from apps.lifecycle.transitions import MAX_ITEMS, Item, OnError

from .models import Task

CLOSER: Final = SystemActor("close_overdue")


def close_overdue(now: datetime) -> Iterator[int]:
    """Close the tasks of the tenant in scope that were due and not started; yield how many, after each transaction.

    A task that somebody changes at the same moment is left to the next run.
    """
    states = [state for way in Task.machine.ways("MISS") for state in way.from_states]
    overdue = Task.objects.filter(status__in=states, due_at__lt=now).order_by("pk").values_list("pk", "version")
    last = 0
    while batch := [Item(*row) for row in overdue.filter(pk__gt=last)[:MAX_ITEMS]]:
        last = batch[-1].key
        yield transition_many(Task, batch, "MISS", actor=CLOSER, on_error=OnError.SKIP_FAILED).succeeded
