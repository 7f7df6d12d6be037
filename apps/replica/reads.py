"""Where reads are sent.

All that reads, be it by the ORM, by a cursor or by `prepared`, asks Django for the connection called `default`. While
the replica is to be read, its connection is under that name: nothing can forget to ask which it is, nor read half from
one and half from the other.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from apps.accounts.deadline import time_is_up
from apps.accounts.prepared import prepared

from .marks import mark_of
from .metrics import AWAY, FAILED, READS, UNKNOWN, WRITTEN
from .metrics import REPLICA as ANSWERED
from .watch import REPLICA, watch

R = TypeVar("R")
Read = Callable[[], R]

REPLAYED: Final = """
SELECT coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END, 0)::bigint
"""
_replayed: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
"""How far the replica had replayed the log when it was asked over a connection, which ends before that could shrink."""


class Straight:
    """Reads from the primary."""

    def __init__(self, why: str) -> None:
        """Remember why."""
        self._why = why

    def __call__(self, read: Read[R]) -> R:
        """Return what is read."""
        READS.labels(self._why).inc()
        return read()


class Reader:
    """Reads for one request: from the replica, and when that fails from the primary, again from the start."""

    def __init__(self, mark: int) -> None:
        """Ask no replica that has not replayed the log up to there."""
        self._mark, self._hindrance = mark, ""

    def __call__(self, read: Read[R]) -> R:
        """Return what is read; it may be read twice."""
        if not self._hindrance:
            held = connections[REPLICA]
            with Instead(held):
                self._hindrance = self._found(held)
                answer = None if self._hindrance else self._tried(read, held)
            if not self._hindrance:
                READS.labels(ANSWERED).inc()
                return answer  # type: ignore[return-value]
            if held.connection is None or held.connection.closed:
                watch().doubt()
        READS.labels(self._hindrance).inc()
        return read()

    def _found(self, held: BaseDatabaseWrapper) -> str:
        """Return what hinders the replica from being asked."""
        try:
            held.ensure_connection()
            raw = held.connection
            if _replayed.get(raw, 0) < self._mark:
                _replayed[raw] = prepared(REPLAYED)[0][0]
        except Error:
            return FAILED
        return WRITTEN if _replayed.get(raw, 0) < self._mark else ""

    def _tried(self, read: Read[R], held: BaseDatabaseWrapper) -> R | None:
        """Return what is read; it is not to be told if the database failed, which then is what hinders."""
        answer = None
        try:
            answer = read()
        except Exception:
            self._hindrance = _failure(held)
            if not self._hindrance:
                raise
        else:
            self._hindrance = _failure(held)
        return answer


class Instead(AbstractContextManager[None]):
    """Lets this thread's statements go over another connection inside, under the wrappers of the one in its place."""

    def __init__(self, other: BaseDatabaseWrapper) -> None:
        """Remember which."""
        self._other = other

    def __enter__(self) -> None:
        """Take the place."""
        self._own = self._other.execute_wrappers
        self._replaced = connections[DEFAULT_DB_ALIAS]
        self._other.execute_wrappers = self._replaced.execute_wrappers
        connections[DEFAULT_DB_ALIAS] = self._other

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        connections[DEFAULT_DB_ALIAS] = self._replaced
        self._other.execute_wrappers = self._own


def _failure(held: BaseDatabaseWrapper) -> str:
    """Return FAILED if the database failed; who is slower than may be would be so on the primary too."""
    return FAILED if held.errors_occurred and not time_is_up() else ""


def reader(client: str) -> Reader | Straight:
    """Return what reads for a client, from where it may."""
    if not watch().is_good:
        return Straight(AWAY)
    mark = mark_of(client)
    return Straight(UNKNOWN) if mark is None else Reader(mark)
