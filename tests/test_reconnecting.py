"""PostgreSQL is restarted, which ends all connections: no request with a token fails for that afterwards."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psycopg
import pytest
from django.db import Error, connection, transaction

from apps.accounts.deadline import Deadline
from apps.accounts.prepared import prepared, prepared_first
from project.backups import archive
from tests.pooling import forget_connections
from tests.servers import Server, served, somebodys_token

PID: Final = "SELECT pg_backend_pid()"
CUT: Final = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
OPERATION: Final = "{ me { id } }"


@pytest.fixture(autouse=True)
def living_connections(transactional_db: None) -> Iterator[None]:
    """Leave no dead connection in this process's pool."""
    yield
    forget_connections()


def cut() -> int:
    """End all connections to the tests' database; return how many there were."""
    with archive.session(archive._ours(), autocommit=True) as own:
        return len(own.execute(CUT).fetchall())


def test_who_begins_with_a_read_finds_another_connection() -> None:
    ((before,),) = prepared_first(PID)
    assert cut() >= 1
    ((after,),) = prepared_first(PID)
    assert after != before
    assert prepared(PID) == [(after,)]


def test_so_does_who_has_a_deadline() -> None:
    prepared_first(PID)
    with Deadline(20):
        prepared_first(PID)
        cut()
    with Deadline(10):
        assert prepared_first(PID)


def test_what_is_wrong_with_the_statement_is_told_at_once() -> None:
    asked: list[str] = []

    def count(execute: object, sql: str, *rest: object) -> object:
        asked.append(sql)
        return execute(sql, *rest)  # type: ignore[operator]

    with connection.execute_wrapper(count), pytest.raises(Error, match="does not exist"):
        prepared_first("SELECT nothing")
    assert asked == ["SELECT nothing"]


def test_in_a_transaction_something_would_be_lost_and_it_fails() -> None:
    def read_twice() -> None:
        with transaction.atomic():
            prepared_first(PID)
            cut()
            prepared_first(PID)

    with pytest.raises(Error):
        read_twice()


def test_where_nothing_answers_it_fails() -> None:
    prepared_first(PID)
    cut()

    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("no server")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "get_new_connection", refuse)
        with pytest.raises(Error, match="no server"):
            prepared_first(PID)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with served(tmp_path, DATABASE_POOL_SIZE="4") as running:
        yield running


def test_no_request_with_a_token_fails_for_that(server: Server) -> None:
    token = somebodys_token()

    def statuses() -> list[int]:
        with ThreadPoolExecutor(8) as pool:
            return [*pool.map(lambda _: server.ask(token, OPERATION), range(40))]

    assert statuses() == [200] * 40
    assert cut() > 2
    assert statuses() == [200] * 40
