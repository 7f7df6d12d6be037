"""Values that stand for what requests will bring, so that a statement is made once for all that differ in them only.

A statement is made of stand-ins: values of the right types that occur nowhere else. Where one turns up among the
statement's parameters, there a request's own value goes. Whatever makes something else of a text before it becomes a
parameter says so by `converted`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, Self, TypeVar
from uuid import UUID

T = TypeVar("T")
Convert = Callable[[Any], Any]

FIRST_NUMBER: Final = 2_000_000_000
FIRST_SMALL_NUMBER: Final = 30_000
FIRST_MOMENT: Final = datetime(1583, 1, 1, tzinfo=UTC)
WRAPPED: Final = re.compile("(%?)(\x01[0-9]+\x02)(%?)")
"""A stand-in text as LIKE gets it."""


@dataclass(frozen=True, slots=True)
class Bind:
    """What is to be bound in place of a parameter: one of the values that a request gives, converted."""

    place: int
    convert: Convert | None = None

    def of(self, values: Any) -> Any:
        """Return what is bound, given the values."""
        value = values[self.place]
        return value if self.convert is None else self.convert(value)

    def then(self, convert: Convert) -> "Bind":
        """Return what is bound when the value is converted once more."""
        first = self.convert
        return Bind(self.place, convert if first is None else lambda value: convert(first(value)))


class TracedText(str):
    """A text that stands for another."""

    __slots__ = ("_bind", "_trace")
    _trace: "Trace"
    _bind: Bind

    def __new__(cls, text: str, trace: "Trace", bind: Bind) -> Self:
        """Make one that knows what is bound in its place."""
        made = super().__new__(cls, text)
        made._trace, made._bind = trace, bind
        return made

    def become(self, convert: Convert, kind: type[T]) -> T:
        """Return what stands for the converted text."""
        stand_in: T = self._trace.stand_in(kind, self._bind.then(convert))
        return stand_in


def converted(text: str, convert: Callable[[str], T], kind: type[T]) -> T:
    """Return what a text is converted to, which is of that kind; of one that stands for others, what stands for it."""
    return text.become(convert, kind) if isinstance(text, TracedText) else convert(text)


class Trace:
    """Makes stand-ins, and knows them again among parameters."""

    def __init__(self) -> None:
        """Have made none yet."""
        self._numbers = count()
        self._known: dict[Any, Any] = {}
        self.met: set[int] = set()
        """The places of the values that have been met among parameters."""

    def stand_in(self, kind: type, part: Any, *, small: bool = False) -> Any:
        """Return a value of a kind in whose place a part of a statement is to stand; a small number if need be."""
        number = next(self._numbers)
        made: Any
        if kind is int:
            made = number + (FIRST_SMALL_NUMBER if small else FIRST_NUMBER)
        elif kind is datetime:
            made = FIRST_MOMENT + timedelta(microseconds=number)
        elif kind is UUID:
            made = UUID(int=number)
        else:
            assert kind is str
            made = TracedText(f"\x01{number}\x02", self, part)
        self._known[made] = part
        return made

    def part_of(self, parameter: Any) -> Any:
        """Return what is to stand in place of a parameter, or None if it is no stand-in."""
        part = self._known.get(parameter) if isinstance(parameter, int | str | datetime | UUID) else None
        if part is None and isinstance(parameter, str) and (wrapped := WRAPPED.fullmatch(parameter)):
            before, text, after = wrapped.groups()
            part = self._known[text].then(lambda value: f"{before}{_escaped(value)}{after}")
        if isinstance(part, Bind):
            self.met.add(part.place)
        return part


def _escaped(text: str) -> str:
    """Return a text as it is found by LIKE, as Django's `prep_for_like_query` has it."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
