"""What a filter may hold: values that a column can hold, and no more of them than a list's price bears."""

from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Final

from strawberry import UNSET

from apps.lifecycle.validation import in_utc, is_storable
from schema.errors import BadRequestError, QueryTooComplexError

MAX_CONDITIONS: Final = 50
"""How many conditions a filter may combine, AND, OR and NOT included."""

MAX_VALUES: Final = 1000
"""How many values the lists of a filter may have, all together."""


def check_filter(given: Any) -> None:
    """Make the times of a filter UTC.

    Raises BadRequestError for a value that no column can hold, and QueryTooComplexError for too many.
    """
    _Check().filter(given)


@dataclass(slots=True)
class _Check:
    """Counts what a filter holds."""

    conditions: int = 0
    values: int = 0

    def filter(self, given: Any) -> None:
        """Check a filter, or a part of one."""
        for field in fields(given):
            value = getattr(given, field.name)
            if value is UNSET or value is None:
                continue
            self.conditions += 1
            if is_dataclass(value):
                self.filter(value)
            elif isinstance(value, datetime):
                setattr(given, field.name, checked_moment(value))
            else:
                self._texts(value if isinstance(value, list) else [value])
        self._count(self.conditions, MAX_CONDITIONS, "conditions")

    def _texts(self, given: list[Any]) -> None:
        self.values += len(given)
        self._count(self.values, MAX_VALUES, "values")
        for value in given:
            if isinstance(value, str):
                checked_text(value)

    @staticmethod
    def _count(has: int, most: int, what: str) -> None:
        if has > most:
            raise QueryTooComplexError(f"A filter may have {most} {what}; this one has {has}. Ask in parts.")


def checked_text(text: str) -> str:
    """Return a text.

    Raises BadRequestError when no column can hold it.
    """
    if not is_storable(text):
        raise BadRequestError("A text may hold neither NUL nor half a surrogate pair.")
    return text


def checked_moment(time: datetime) -> datetime:
    """Return a time in UTC.

    Raises BadRequestError when it lies outside the years that there are.
    """
    try:
        return in_utc(time)
    except OverflowError as error:
        raise BadRequestError(f"{time.isoformat()} lies outside the years 1 to 9999.") from error
