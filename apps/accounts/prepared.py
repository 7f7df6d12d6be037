"""Statements that PostgreSQL prepares once for each connection, for what is asked again and again."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from cachetools import LRUCache
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Connection, OperationalError, RawCursor
from psycopg.adapt import AdaptersMap, PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.postgres import types
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.types.numeric import Int8

Row = tuple[Any, ...]
Statement: TypeAlias = tuple[bytes, tuple[int, ...]]
"""Its text, and PostgreSQL's types of its parameters."""

PREPARE_AFTER: Final = 3
"""So many times PostgreSQL plans a statement anew on a connection; from then on it is sent by name."""

MOST: Final = 100
"""So many statements have names on a connection, those that were sent last."""

INT8: Final = types["int8"].oid
STALE: Final = {b"0A000", b"26000"}
"""What PostgreSQL says of a statement by name whose tables have changed, and of a name it does not know (any more)."""


def prepared(sql: str, params: Sequence[Any] = (), ticks: Collection[int] = ()) -> list[Row]:
    """Run a statement whose parameters are `$1`, `$2` and so on; return its rows, in PostgreSQL's own types.

    Times in the columns at the places `ticks` come as PostgreSQL holds them: microseconds from the year 2000 on.
    It goes through Django's connection like any other: in its transaction, under the wrappers that measure and limit
    statements.
    """
    held = connections[DEFAULT_DB_ALIAS]
    if held.connection is None:
        held.ensure_connection()
    # An integer's own size would make one statement several, by the types of what is sent.
    given = [Int8(each) if type(each) is int else each for each in params]
    if held.queries_logged:
        return _logged(held, sql, given, ticks)
    execute: Callable[..., list[Row]] = partial(_executed, held, ticks)
    for wrapper in reversed(held.execute_wrappers):
        execute = partial(wrapper, execute)
    return execute(sql, given, False, {"connection": held, "cursor": None})


def prepared_first(sql: str, params: Sequence[Any] = ()) -> list[Row]:
    """Run a statement that only reads, with which a request begins, over a connection that lives.

    PostgreSQL that is restarted ends all connections, also those that nobody uses. Who finds one of them dead has lost
    nothing yet, and takes another.
    """
    held = connections[DEFAULT_DB_ALIAS]
    for _ in range(settings.DATABASE_POOL_SIZE):
        try:
            return prepared(sql, params)
        except Error:
            if held.in_atomic_block or not _has_died(held.connection):
                raise
            held.close()
    return prepared(sql, params)


def _has_died(raw: Connection[Any] | None) -> bool:
    return raw is not None and raw.pgconn.status != ConnStatus.OK


def _executed(
    held: BaseDatabaseWrapper, ticks: Collection[int], sql: str, params: Sequence[Any], _many: bool, _context: object
) -> list[Row]:
    """Run a statement by libpq's own calls: a cursor takes twice the time, for much that ours don't need."""
    held.validate_no_broken_transaction()
    raw = held.connection
    with held.wrap_database_errors:
        if not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE:
            _checked(raw.pgconn, raw.pgconn.exec_(raw._get_tx_start_command()))
        return (_statements.get(raw) or _known(raw)).run(sql, params, ticks)


def _checked(pgconn: PGconn, result: PGresult) -> PGresult:
    if result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
        return result
    if pgconn.status != ConnStatus.OK:
        raise OperationalError(result.get_error_message())
    raise error_from_result(result)


def _rows(values: Any, result: PGresult, ticks: Collection[int]) -> list[Row]:
    """Return the rows of a result; the times at the places `ticks` as the integers that they are."""
    if result.status == ExecStatus.COMMAND_OK:
        return []
    values.set_pgresult(result, set_loaders=not ticks)
    if ticks:
        kinds = [INT8 if place in ticks else result.ftype(place) for place in range(result.nfields)]
        values.set_loader_types(kinds, Format.BINARY)
    rows: list[Row] = values.load_rows(0, result.ntuples, tuple)
    return rows


class _Adapters(NamedTuple):
    """How values become PostgreSQL's and back, as a connection does it, without holding on to that."""

    adapters: AdaptersMap
    connection: None = None


class _Statements:
    """The statements of a connection, and those that it knows by name.

    psycopg could do it, but forgets all names whenever a transaction is rolled back, as each refused change is.
    PostgreSQL keeps them, and plans anew by itself what a change of the tables touches.
    """

    def __init__(self, raw: Connection[Any]) -> None:
        """Know none yet."""
        self._pgconn, self._numbers = raw.pgconn, count()
        self._values = Transformer(_Adapters(raw.adapters))
        self._names: LRUCache[Statement, bytes] = LRUCache(MOST)
        self._times: LRUCache[Statement, int] = LRUCache(MOST)

    def run(self, sql: str, params: Sequence[Any], ticks: Collection[int]) -> list[Row]:
        """Run a statement, and return its rows."""
        values = self._values
        dumped = values.dump_sequence(params, [PyFormat.AUTO] * len(params))
        result = self._sent((sql.encode(), tuple(values.types or ())), dumped, values.formats)
        return _rows(values, result, ticks)

    def _sent(self, statement: Statement, params: Any, formats: Any) -> PGresult:
        """Return what PostgreSQL answers to a statement, in its binary form."""
        name = self._named(statement)
        if name is not None:
            result = self._pgconn.exec_prepared(name, params, formats, Format.BINARY)
            if result.status == ExecStatus.FATAL_ERROR and result.error_field(DiagnosticField.SQLSTATE) in STALE:
                self._names.clear()
                self._pgconn.exec_(b"DEALLOCATE ALL")
                if self._pgconn.transaction_status == TransactionStatus.IDLE:
                    return self._once(statement, params, formats)
            return _checked(self._pgconn, result)
        return self._once(statement, params, formats)

    def _once(self, statement: Statement, params: Any, formats: Any) -> PGresult:
        sql, types = statement
        return _checked(self._pgconn, self._pgconn.exec_params(sql, params, types, formats, Format.BINARY))

    def _named(self, statement: Statement) -> bytes | None:
        name = self._names.get(statement)
        if name is None and self._comes_often(statement):
            name = b"workgraph_%d" % next(self._numbers)
            _checked(self._pgconn, self._pgconn.prepare(name, *statement))
            if len(self._names) == MOST:
                self._pgconn.exec_(b"DEALLOCATE " + self._names.popitem()[1])
            self._names[statement] = name
        return name

    def _comes_often(self, statement: Statement) -> bool:
        times = self._times.pop(statement, 0)
        if times < PREPARE_AFTER:
            self._times[statement] = times + 1
        return times >= PREPARE_AFTER


_statements: Final[WeakKeyDictionary[Connection[Any], _Statements]] = WeakKeyDictionary()


def _known(raw: Connection[Any]) -> _Statements:
    statements = _statements[raw] = _Statements(raw)
    return statements


def _logged(held: BaseDatabaseWrapper, sql: str, params: Sequence[Any], ticks: Collection[int]) -> list[Row]:
    raw: Any = held.connection
    cursor = RawCursor[Row](raw)
    cursor.format = Format.BINARY
    held._prepare_cursor(cursor).execute(sql, params)  # type: ignore[attr-defined]
    result = cursor.pgresult
    return _rows(Transformer(_Adapters(raw.adapters)), result, ticks) if result else []
