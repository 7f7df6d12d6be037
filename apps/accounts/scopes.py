"""What holds inside a block: who asks, whose rows are seen."""

from contextvars import ContextVar, Token
from typing import Generic, TypeVar

T = TypeVar("T")


class Held(Generic[T]):
    """Gives a context variable a value inside a block; each request has several, and generators take thrice as long."""

    __slots__ = ("_before", "_value", "_variable")

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        """Remember what to set."""
        self._variable, self._value = variable, value

    def __enter__(self) -> None:
        """Set the value."""
        self._before: Token[T] = self._variable.set(self._value)

    def __exit__(self, *_: object) -> None:
        """Set what was there before."""
        self._variable.reset(self._before)
