"""What holds inside a block: who asks, whose rows are seen."""

import sys
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from types import TracebackType
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


class Both:
    """Is inside of one thing, and inside of another in it."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, outer: AbstractContextManager[None], inner: AbstractContextManager[None]) -> None:
        """Remember the two."""
        self._outer, self._inner = outer, inner

    def __enter__(self) -> None:
        """Enter both."""
        self._outer.__enter__()
        try:
            self._inner.__enter__()
        except BaseException:
            self._outer.__exit__(*sys.exc_info())
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave both."""
        try:
            self._inner.__exit__(kind, error, trace)
        finally:
            self._outer.__exit__(kind, error, trace)
