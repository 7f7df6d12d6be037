"""What happened, told inside the transaction in which it happened.

Receivers record, and after the commit invalidate and count. One that fails fails the change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.dispatch import Signal

from apps.accounts.records import FieldChange, Versioned

from .actors import Actor

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


entities_changed: Final = Signal()
"""Sent by the services with `changed: ChangeSet`; the sender is the model."""
