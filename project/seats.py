"""Connections to the database that stay open from one request to the next, for as many requests as run at once."""

from collections.abc import Iterable
from time import monotonic
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .intake import Application, Respond

LONGEST: Final = 60.0
"""Seconds that a connection stays with a seat before it goes back to the pool, which renews those that are old."""


class Seat:
    """A place for a request, with Django's connection to the database, whichever thread it runs on."""

    def __init__(self) -> None:
        """Open no connection yet: Django does when one is needed."""
        self._connection, self._until = _unopened(), 0.0

    def __enter__(self) -> None:
        """Make the connection this thread's."""
        if self._connection.connection is None:
            self._until = monotonic() + LONGEST
        connections[DEFAULT_DB_ALIAS] = self._connection

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Take it away, and keep it open unless something may be wrong with it: then the pool looks into that."""
        del connections[DEFAULT_DB_ALIAS]
        held = self._connection
        if held.connection is None:
            return
        in_doubt = failed or held.errors_occurred or held.in_atomic_block or not held.autocommit
        if in_doubt or monotonic() > self._until:
            held.close()
        if in_doubt:
            self._connection = _unopened()


def _unopened() -> BaseDatabaseWrapper:
    connection: BaseDatabaseWrapper = connections.create_connection(DEFAULT_DB_ALIAS)
    connection.inc_thread_sharing()
    return connection


def seated(application: Application) -> Application:
    """Give each request a seat while it runs; there are as many as requests have been there at once.

    To take a connection from the pool and give it back takes Django longer than the rest of what a quick request needs
    of it.
    """
    free: list[Seat] = []

    def take(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        try:
            seat = free.pop()
        except IndexError:
            seat = Seat()
        try:
            with seat:
                return application(environ, respond)
        finally:
            free.append(seat)

    return take
