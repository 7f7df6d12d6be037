"""Connections to the databases that stay open from one request to the next."""

from collections import deque
from collections.abc import Iterable
from threading import Lock
from time import monotonic
from typing import Any, Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .gauges import gauges
from .intake import PROBES, Application, Respond

LONGEST: Final = 60.0
"""Seconds that a connection stays with a seat before it goes back to the pool, which renews those that are old."""


class Seat:
    """A place for a request, with Django's connections to the databases, whichever thread it runs on."""

    def __init__(self) -> None:
        """Open no connection yet: Django does when one is needed."""
        self._connections = {alias: _unopened(alias) for alias in settings.DATABASES}
        self._until = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether it holds one of the pool's connections."""
        return self._connections[DEFAULT_DB_ALIAS].connection is not None

    def __enter__(self) -> None:
        """Make the connections this thread's."""
        if not self.is_connected:
            self._until = monotonic() + LONGEST
        for alias, held in self._connections.items():
            connections[alias] = held

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Take them away, and keep open those with which nothing can be wrong; the pool looks into the others."""
        for alias in self._connections:
            del connections[alias]
        for alias, held in self._connections.items():
            if held.connection is None:
                continue
            if failed or held.errors_occurred or held.in_atomic_block or not held.autocommit:
                self._connections[alias] = _unopened(alias)
                held.close()
            elif monotonic() > self._until:
                held.close()

    def close(self) -> None:
        """Give the connection back to the pool, and close the replica's."""
        for held in self._connections.values():
            held.close()


class Seats:
    """The seats that nobody sits on."""

    def __init__(self, most: int) -> None:
        """Let so many of them stay connected: others need connections of the pool, too."""
        self._most, self._free, self._lock = most, deque[Seat](), Lock()

    def take(self) -> Seat:
        """Return one that is connected, if there is one."""
        with self._lock:
            return self._free.pop() if self._free else Seat()

    @property
    def idle(self) -> int:
        """How many connections are kept open that nobody uses."""
        with self._lock:
            return sum(seat.is_connected for seat in self._free)

    def give_back(self, seat: Seat) -> None:
        """Take one back."""
        with self._lock:
            if seat.is_connected and sum(each.is_connected for each in self._free) >= self._most:
                seat.close()
            if seat.is_connected:
                self._free.append(seat)
            else:
                self._free.appendleft(seat)


def _unopened(alias: str) -> BaseDatabaseWrapper:
    connection: BaseDatabaseWrapper = connections.create_connection(alias)
    connection.inc_thread_sharing()
    return connection


def seated(application: Application) -> Application:
    """Give each request a seat while it runs, but for probes.

    To take a connection from the pool and give it back is much of what Django does for a quick request. The pool keeps
    one for those who have no seat.
    """
    seats = Seats(settings.DATABASE_POOL_SIZE - 1)
    gauges.idle = lambda: seats.idle

    def take(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in PROBES:
            return application(environ, respond)
        seat = seats.take()
        try:
            with seat:
                return application(environ, respond)
        finally:
            seats.give_back(seat)

    return take
