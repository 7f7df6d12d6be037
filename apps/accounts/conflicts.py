"""Writes on top of an older version, found where a row is saved: by the admin site, a command, a shell."""

from typing import Any, Final, NoReturn

from concurrency.exceptions import RecordModifiedError
from django.dispatch import Signal

conflict_found: Final = Signal()
"""Sent where a row was found to be stale that was to be saved or deleted, within the transaction; the sender is the
model. The services find conflicts in their own way, and tell of them as of any refusal.
"""


def refuse_stale(row: Any) -> NoReturn:
    """Tell of a stale row, and raise RecordModifiedError."""
    conflict_found.send(sender=type(row))
    message = "The record has been modified, or is gone, since it was read."
    raise RecordModifiedError(message, target=row)
