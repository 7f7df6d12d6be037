"""Statements that PostgreSQL prepares once for each connection, for what is asked again and again."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from django.db import connection
from psycopg import RawCursor
from psycopg.pq import ExecStatus, Format
from psycopg.types.numeric import Int8

Row = tuple[Any, ...]


class _Sent(NamedTuple):
    query: bytes


class _Cursor(RawCursor[Row]):
    """Tells Django's log of statements what it sent, which psycopg forgets of a prepared one."""

    def execute(self, query: Any, *about: Any, **options: Any) -> Self:
        """Execute a statement."""
        try:
            return super().execute(query, *about, **options)
        finally:
            self._query: Any = _Sent(query.encode())


def prepared(sql: str, params: Sequence[Any] = ()) -> list[Row]:
    """Run a statement whose parameters are `$1`, `$2` and so on; return its rows, in PostgreSQL's own types.

    It goes through Django's connection like any other: in its transaction, under the wrappers that measure and limit
    statements. PostgreSQL plans it anew until it has come a few times (`prepare_threshold` in the settings).
    """
    connection.ensure_connection()
    cursor = _Cursor(connection.connection)
    cursor.format = Format.BINARY
    wrapped = connection._prepare_cursor(cursor)  # type: ignore[attr-defined]
    # An integer's own size would make one statement several, by the types of what is sent.
    wrapped.execute(sql, [Int8(each) if type(each) is int else each for each in params])
    result = cursor.pgresult
    return cursor.fetchall() if result and result.status == ExecStatus.TUPLES_OK else []
