"""Texts that are made of the same values again and again: ids, numbers, times."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, Final

from django.db.models import Model

from schema.json_text import lasting_json_of
from schema.reads.global_id import encode_id

MOST: Final = 10_000
"""So many values of a kind are known."""

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""From when PostgreSQL counts time, in microseconds."""

MICROSECOND: Final = timedelta(microseconds=1)


class Memo:
    """What a function makes of values, of those that were used of late."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        """Know nothing yet."""
        self._make = make
        self._known: dict[Any, Any] = {}
        self.get = self._known.get
        """Returns what is known of a value, or None."""

    def made(self, value: Any) -> Any:
        """Return what is made of a value, and know it from now on."""
        if len(self._known) >= MOST:
            self._known.clear()
        found = self._known[value] = self._make(value)
        return found

    @cached_property
    def as_json(self) -> "Memo":
        """The same as JSON."""
        return Memo(lambda value: lasting_json_of(self._make(value)))


def time_of(ticks: int | None) -> datetime | None:
    """Return the time that is so many microseconds after PostgreSQL's epoch."""
    return None if ticks is None else EPOCH + timedelta(microseconds=ticks)


def ticks_of(value: Any) -> Any:
    """Return a time in microseconds after PostgreSQL's epoch, and any other value as it is."""
    return (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value


def _text_of_time(ticks: int | None) -> str | None:
    time = time_of(ticks)
    return None if time is None else time.isoformat()


times: Final = Memo(_text_of_time)
"""Times as they are answered, the same as orjson writes them, by their ticks."""


@cache
def ids(type_name: str) -> Memo:
    """Return the global ids of a type, by their keys."""
    return Memo(lambda key: encode_id(type_name, key))


@cache
def computed(model: type[Model], column: str, name: str) -> Memo:
    """Return the values of an attribute that a model computes from one column alone, by those of the column."""

    def make(value: Any) -> Any:
        row = model.__new__(model)
        row.__dict__[column] = value
        return getattr(row, name)

    return Memo(make)
