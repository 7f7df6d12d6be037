"""Judges one row of an import: the values of a work order, or why it can't be one."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from apps.lifecycle.priority import Priority
from apps.lifecycle.validation import in_utc
from apps.work_orders.models import WorkOrder

FILLED: Final = ("external_id", "site_code", "title")
TEXTS: Final = ("external_id", "site_code", "asset_code", "title", "description")


class Row(NamedTuple):
    """The values of a work order to be; `line` is where the file has it."""

    line: int
    external_id: str
    site_code: str
    asset_code: str
    title: str
    description: str
    priority: str
    due_at: datetime | None


class InvalidRowError(Exception):
    """Raised when a row can't be a work order; says why, and what would do."""


def limits() -> dict[str, int]:
    """Return how many characters each column may hold."""
    fields: dict[str, Any] = {name: WorkOrder._meta.get_field(name) for name in ("external_id", "title")}
    for name in ("site", "asset"):
        target: Any = WorkOrder._meta.get_field(name).related_model
        fields[f"{name}_code"] = target._meta.get_field("code")
    return {name: field.max_length for name, field in fields.items()}


def judge(line: int, values: dict[str, str], longest: dict[str, int]) -> Row:
    """Return the row with these values.

    Raises InvalidRowError with all that is wrong with it.
    """
    problems = list(_problems(values, longest))
    priority, due_at = values.get("priority", "").upper() or Priority.MEDIUM.value, None
    if priority not in Priority.values:
        problems.append(f"priority {values['priority']} is unknown; write {', '.join(Priority.values)} or nothing")
    try:
        due_at = moment(values.get("due_at", ""))
    except ValueError:
        problems.append(f"due_at {values['due_at']} is no date; write 2026-11-23 or 2026-11-23T14:30:00+01:00")
    if problems:
        raise InvalidRowError("; ".join(problems))
    texts = {name: values.get(name, "") for name in TEXTS}
    return Row(line=line, **texts, priority=priority, due_at=due_at)


def moment(text: str) -> datetime | None:
    """Return an ISO 8601 date or time in UTC, None for no text.

    What names no offset is in UTC; a date is its first moment. Raises ValueError.
    """
    if not text:
        return None
    at = datetime.fromisoformat(text)
    try:
        return in_utc(at)
    except OverflowError as error:
        raise ValueError(text) from error


def _problems(values: dict[str, str], longest: dict[str, int]) -> Iterator[str]:
    for name in FILLED:
        if not values[name]:
            yield f"{name} is empty"
    for name, most in longest.items():
        if len(values[name]) > most:
            yield f"{name} has {len(values[name])} characters; {most} is the most"
    for name, text in values.items():
        if "\0" in text:
            yield f"{name} holds a NUL character"
        if not text.isascii() and not _is_text(text):
            yield f"{name} is not UTF-8; save the file as UTF-8"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
