"""Work that ends in a deadlock is tried again; what comes of it is told once no try follows."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from django.db import OperationalError
from psycopg.errors import DeadlockDetected

from apps.accounts.scopes import Held

R = TypeVar("R")
Tell = Callable[[], Any]

TRIES: Final = 3
"""How often work is tried that ends in a deadlock: an import, say, and an edit that wait for each other."""

_held: ContextVar[list[Tell] | None] = ContextVar("tries", default=None)


def tell_at_last(tell: Tell) -> None:
    """Tell what came of work: at once, or within a try when it has turned out to be the last."""
    held = _held.get()
    if held is None:
        tell()
    else:
        held.append(tell)


def until_done(work: Callable[[], R]) -> R:
    """Return what work returns that PostgreSQL undoes when it ends it for a deadlock: then it is tried again."""
    held: list[Tell] = []
    try:
        with Held(_held, held):
            for _ in range(TRIES - 1):
                try:
                    return work()
                except OperationalError as error:
                    if not isinstance(error.__cause__, DeadlockDetected):
                        raise
                held.clear()
            return work()
    finally:
        for tell in held:
            tell()
