"""What happened, told inside the transaction in which it happened.

Receivers record, and after the commit invalidate and count. One that fails fails the change.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.dispatch import Signal

from apps.accounts.records import FieldChange, Versioned

from .actors import Actor
from .tries import tell_at_last

CREATE: Final = "CREATE"
UPDATE: Final = "UPDATE"
DELETE: Final = "DELETE"


class Change(NamedTuple):
    """One entity as it is now, what was done to it, and what that did to its fields."""

    entity: Versioned
    action: str
    fields: Sequence[FieldChange]


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Changes of entities of one model that one operation made, all at one time."""

    changes: Sequence[Change]
    at: datetime
    actor: Actor
    comment: str = ""
    operation_id: UUID | None = None
    merged: bool = False
    """Whether they went through on top of a newer version than the caller had seen."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to write entities of one model that has ended: what stood against it, if anything did."""

    action: str
    failures: Sequence[Exception]
    is_bulk: bool = False


entities_changed: Final = Signal()
"""Sent by the services with `changed: ChangeSet`; the sender is the model."""

write_attempted: Final = Signal()
"""Sent by the services with `attempt: Attempt` when a bulk or a failed attempt has ended; the sender is the model.

What was done may still be rolled back then, and is not told by this; a dry run is no attempt, and neither is one that
ended in a deadlock and is made again.
"""


@contextmanager
def attempting(model: type[Any], action: str, *, is_bulk: bool = False) -> Iterator[list[Exception]]:
    """Tell what came of an attempt; what fails without being raised is to be added to the list."""
    failures: list[Exception] = []
    try:
        yield failures
    except Exception as error:
        failures.append(error)
        raise
    finally:
        if failures or is_bulk:
            attempt = Attempt(action, failures, is_bulk)
            tell_at_last(lambda: write_attempted.send(sender=model, attempt=attempt))
