"""Statements that are asked again and again, sent by the name that PostgreSQL knows them by."""

import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from django.db import DatabaseError, DataError, IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.accounts import prepared as module
from apps.accounts.prepared import prepared

OFTEN: Final = 6
"""So many times, and PostgreSQL has the statement prepared."""


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def by_name(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the statements that were sent by name."""
    named, sent = module._Statements._named, list[str]()

    def noted(names: Any, statement: Any) -> Any:
        name = named(names, statement)
        if name is not None:
            sent.append(statement[0].decode())
        return name

    monkeypatch.setattr(module._Statements, "_named", noted)
    return sent


def names() -> set[str]:
    """Return the names that PostgreSQL has on the connection."""
    return {name for (name,) in prepared("SELECT name FROM pg_prepared_statements")}


@pytest.fixture
def pairs() -> None:
    """Make a table of numbers and texts, whose numbers are unique."""
    prepared("DROP TABLE IF EXISTS pairs")
    prepared("CREATE TEMPORARY TABLE pairs (id bigint PRIMARY KEY, name text)")


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT 1", []),
        ("SELECT $1::bigint + 1, $2::text, $3::timestamptz", [7, "x", datetime(2026, 11, 2, tzinfo=UTC)]),
        ("SELECT $1::text, $2::bigint[]", [None, [1, 2, 3]]),
        ("SELECT id FROM generate_series(1, $1) AS id", [5]),
        ("SELECT 1 WHERE $1::boolean", [False]),
    ],
)
def test_it_answers_the_same_by_name(by_name: list[str], sql: str, params: list[Any]) -> None:
    answers = [prepared(sql, params) for _ in range(OFTEN)]
    assert answers == [answers[0]] * OFTEN
    assert by_name[-1] == sql
    with CaptureQueriesContext(connection) as captured:
        assert prepared(sql, params) == answers[0]
    assert len(captured) == 1


def test_a_statement_without_rows_answers_none(pairs: None, by_name: list[str]) -> None:
    assert [prepared("INSERT INTO pairs VALUES ($1, $2)", [number, None]) for number in range(OFTEN)] == [[]] * OFTEN
    assert by_name
    assert prepared("SELECT count(*) FROM pairs WHERE name IS NULL") == [(OFTEN,)]


def test_it_is_in_the_transaction_from_the_first(pairs: None, by_name: list[str]) -> None:
    insert = "INSERT INTO pairs VALUES ($1, 'x') RETURNING id"
    for number in range(OFTEN):
        prepared(insert, [number])
    with transaction.atomic():
        prepared(insert, [OFTEN])
        count = len(by_name)
        prepared(insert, [OFTEN + 1])
        assert len(by_name) == count + 1
        transaction.set_rollback(True)
    assert prepared("SELECT count(*) FROM pairs") == [(OFTEN,)]
    assert prepared(insert, [OFTEN + 2]) == [(OFTEN + 2,)]


def test_what_postgresql_refuses_is_one_of_djangos_errors(pairs: None, by_name: list[str]) -> None:
    insert, divide = "INSERT INTO pairs VALUES ($1, 'x')", "SELECT 1 / $1::bigint"
    for number in range(1, OFTEN):
        prepared(insert, [number])
        prepared(divide, [number])
    assert {insert, divide} <= set(by_name)
    with pytest.raises(IntegrityError, match="pairs_pkey"):
        prepared(insert, [1])
    with pytest.raises(DataError, match="division by zero"):
        prepared(divide, [0])
    assert prepared(divide, [1]) == [(1,)]
    with transaction.atomic():
        with pytest.raises(DataError):
            prepared(divide, [0])
        with pytest.raises(DatabaseError, match="current transaction is aborted"):
            prepared(divide, [1])
        transaction.set_rollback(True)
    assert prepared(divide, [1]) == [(1,)]


def test_a_rollback_leaves_the_names(by_name: list[str]) -> None:
    for _ in range(OFTEN):
        prepared("SELECT 1")
    with transaction.atomic():
        prepared("SELECT 1")
        transaction.set_rollback(True)
    before = len(by_name)
    assert prepared("SELECT 1") == [(1,)]
    assert len(by_name) == before + 1


def test_a_table_that_has_changed_is_read_as_it_is_now(pairs: None, by_name: list[str]) -> None:
    prepared("INSERT INTO pairs VALUES (7, 'x')")
    for _ in range(OFTEN):
        prepared("SELECT id FROM pairs")
    prepared("ALTER TABLE pairs ALTER id TYPE text")
    before = len(by_name)
    assert prepared("SELECT id FROM pairs") == [("7",)]
    assert len(by_name) == before + 1
    assert [prepared("SELECT id FROM pairs") for _ in range(OFTEN)] == [[("7",)]] * OFTEN
    assert len(by_name) > before + 1


def test_a_name_that_somebody_took_away_is_given_anew(by_name: list[str]) -> None:
    for _ in range(OFTEN):
        prepared("SELECT 2")
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    assert prepared("SELECT 2") == [(2,)]
    assert [prepared("SELECT 2") for _ in range(OFTEN)] == [[(2,)]] * OFTEN
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    with pytest.raises(DatabaseError, match="does not exist"), transaction.atomic():
        prepared("SELECT 2")  # of a transaction some is done already
    assert prepared("SELECT 2") == [(2,)]


def test_not_every_statement_has_a_name(by_name: list[str]) -> None:
    connection.close()
    prepared("SELECT 0")
    assert not by_name
    for number in range(module.MOST + 20):
        for _ in range(OFTEN):
            prepared(f"SELECT {number}, {number}")
    assert len(names()) == module.MOST
    assert prepared("SELECT 0, 0") == [(0, 0)]
    sent = set(by_name)
    assert len(sent) == module.MOST + 20


def test_a_connection_that_was_cut_is_an_error_and_the_next_is_good() -> None:
    statement = "SELECT pg_backend_pid()"
    for _ in range(OFTEN):
        ((backend,),) = prepared(statement)

    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [backend])
        connection.close()

    other = threading.Thread(target=cut)
    other.start()
    other.join()
    for _ in range(2):
        with pytest.raises(OperationalError):
            prepared(statement)
    connection.close()
    assert prepared(statement) != [(backend,)]


def test_others_go_on_while_postgresql_works() -> None:
    statement, counted = "SELECT pg_sleep($1::float)", 0
    for _ in range(OFTEN):
        prepared(statement, [0.001])
    waiting = threading.Event()

    def count() -> None:
        nonlocal counted
        while not waiting.is_set():
            counted += 1
            time.sleep(0.001)

    other = threading.Thread(target=count)
    other.start()
    prepared(statement, [0.3])
    waiting.set()
    other.join()
    assert counted > 20


def test_wrappers_are_around_it() -> None:
    seen: list[Any] = []

    def wrapper(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        seen.append((sql, list(params), many, context["connection"].alias))
        return execute(sql, params, many, context)

    for _ in range(OFTEN):
        with connection.execute_wrapper(wrapper):
            prepared("SELECT $1::bigint", [3])
    assert seen == [("SELECT $1::bigint", [3], False, "default")] * OFTEN
