"""Statements that PostgreSQL prepares once for each connection, for what is asked again and again."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Self

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection, OperationalError, RawCursor
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.types.numeric import Int8

Row = tuple[Any, ...]


def prepared(sql: str, params: Sequence[Any] = ()) -> list[Row]:
    """Run a statement whose parameters are `$1`, `$2` and so on; return its rows, in PostgreSQL's own types.

    It goes through Django's connection like any other: in its transaction, under the wrappers that measure and limit
    statements. PostgreSQL plans it anew until it has come a few times (`prepare_threshold` in the settings).
    """
    held = connections[DEFAULT_DB_ALIAS]
    held.ensure_connection()
    # An integer's own size would make one statement several, by the types of what is sent.
    given = [Int8(each) if type(each) is int else each for each in params]
    if held.queries_logged:
        return _logged(held, sql, given)
    execute: Callable[..., list[Row]] = partial(_executed, held)
    for wrapper in reversed(held.execute_wrappers):
        execute = partial(wrapper, execute)
    return execute(sql, given, False, {"connection": held, "cursor": None})


def _executed(held: BaseDatabaseWrapper, sql: str, params: Sequence[Any], _many: bool, _context: object) -> list[Row]:
    held.validate_no_broken_transaction()
    with held.wrap_database_errors:
        rows = _sent(held.connection, sql.encode(), params)
        return _rows(_Cursor(held.connection).execute(sql, params)) if rows is None else rows


def _sent(raw: Connection[Row], sql: bytes, params: Sequence[Any]) -> list[Row] | None:
    """Run a statement that psycopg has prepared, and return its rows; None if there is none, or more to be done.

    A cursor takes twice the time of all this; it can do much that a statement of ours doesn't need.
    """
    pgconn = raw.pgconn
    begins = not raw.autocommit and pgconn.transaction_status == TransactionStatus.IDLE
    if begins or pgconn.status != ConnStatus.OK:
        return None
    values = Transformer(raw)
    dumped = values.dump_sequence(params, [PyFormat.AUTO] * len(params))
    name = raw._prepared._names.get((sql, values.types or ()))
    if name is None:
        return None
    result = pgconn.exec_prepared(name, dumped, values.formats, Format.BINARY)  # type: ignore[arg-type] # None is NULL
    if result.status == ExecStatus.TUPLES_OK:
        values.set_pgresult(result)
        return values.load_rows(0, result.ntuples, tuple)
    if result.status == ExecStatus.COMMAND_OK:
        return []
    if pgconn.status != ConnStatus.OK:
        raise OperationalError(result.get_error_message())
    raise error_from_result(result)


def _rows(cursor: "_Cursor") -> list[Row]:
    result = cursor.pgresult
    return cursor.fetchall() if result and result.status == ExecStatus.TUPLES_OK else []


class _Query(NamedTuple):
    query: bytes


class _Cursor(RawCursor[Row]):
    """Reads PostgreSQL's own format, and tells Django's log what it sent, which psycopg forgets of a prepared one."""

    def __init__(self, connection: Connection[Any]) -> None:
        """Work on a connection."""
        super().__init__(connection)
        self.format = Format.BINARY

    def execute(self, query: Any, *about: Any, **options: Any) -> Self:
        """Execute a statement."""
        try:
            return super().execute(query, *about, **options)
        finally:
            self._query: Any = _Query(query.encode())


def _logged(held: BaseDatabaseWrapper, sql: str, params: Sequence[Any]) -> list[Row]:
    cursor = _Cursor(held.connection)
    held._prepare_cursor(cursor).execute(sql, params)  # type: ignore[attr-defined]
    return _rows(cursor)
