"""The time that a request may take, on real connections of the real pool."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from time import monotonic
from typing import Any, Final, TypeVar

import psycopg
import pytest
from django.core.management import BaseCommand, call_command
from django.db import DatabaseError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from psycopg.errors import QueryCanceled
from pytest_django import Settings

from apps.accounts.deadline import Deadline, DeadlineExceededError, ran_out_of_time
from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from project.urls import urlpatterns as ours
from tests import factories
from tests.pooling import forget_connections

R = TypeVar("R")

LIMIT: Final = 0.5
"""Seconds that a request may take here."""

AGES: Final = 5

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.test_deadline")]


def sleep(seconds: float) -> None:
    run("SELECT pg_sleep(%s)", seconds)


def run(statement: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone() if cursor.description else None


def timeout() -> str:
    return str(run("SHOW statement_timeout")[0])


def server_process() -> int:
    return int(run("SELECT pg_backend_pid()")[0])


def sleeping_page(_request: HttpRequest, times: int, each: int) -> HttpResponse:
    for _ in range(times):
        sleep(each / 1000)
    return HttpResponse("slept")


def timeout_page(_request: HttpRequest) -> HttpResponse:
    outside = timeout()
    with transaction.atomic():
        return HttpResponse(f"{outside} {timeout()} {server_process()}")


def locking_page(_request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        run("SELECT pg_advisory_xact_lock(7)")
        sleep(AGES)
    return HttpResponse("slept")


def raw_page(_request: HttpRequest) -> HttpResponse:
    run("SELECT 1")
    psycopg.Cursor(connection.connection).execute("SELECT pg_sleep(5)")
    return HttpResponse("slept")


urlpatterns = [
    path("sleep/<int:times>/<int:each>", sleeping_page),
    path("timeout", timeout_page),
    path("lock", locking_page),
    path("raw", raw_page),
    *ours,
]


@pytest.fixture(autouse=True)
def own_pool(settings: Settings) -> Iterator[None]:
    """Give the test connections that no other has used, and none its own."""
    settings.REQUEST_SECONDS = LIMIT
    forget_connections()
    yield
    forget_connections()


def in_thread(call: Callable[[], R]) -> R:
    """Call in a thread that hands its connection back to the pool, as a server's do."""
    results: list[R] = []

    def work() -> None:
        try:
            results.append(call())
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results[0]


def get(address: str) -> tuple[int, str, float]:
    """Ask for a page in a thread; return status, text, and how long it took."""

    def ask() -> tuple[int, str, float]:
        started = monotonic()
        answer = Client().get(address)
        return answer.status_code, answer.text, monotonic() - started

    return in_thread(ask)


def get_from_here(address: str) -> int:
    """Ask for a page on the test's own connection; return the status."""
    return Client().get(address).status_code


def test_a_quick_page_is_left_alone() -> None:
    assert get("/sleep/2/10")[:2] == (200, "slept")


def test_a_statement_that_takes_too_long_is_stopped() -> None:
    status, text, took = get("/sleep/1/5000")
    assert (status, text) == (503, "This took longer than 0.5 seconds and was stopped.\n")
    assert LIMIT * 0.9 < took < AGES / 2  # a busy machine answers late


def test_many_statements_that_take_too_long_together_are_stopped() -> None:
    status, _, took = get("/sleep/50/100")
    assert status == 503
    assert LIMIT * 0.9 < took < AGES / 2  # a busy machine answers late


def test_a_lock_is_waited_for_no_longer() -> None:
    run("SELECT pg_advisory_lock(7)")
    try:
        status, _, took = get("/lock")
    finally:
        run("SELECT pg_advisory_unlock(7)")
    assert status == 503
    assert LIMIT * 0.9 < took < AGES / 2  # a busy machine answers late


def test_the_locks_of_what_was_stopped_are_free_at_once() -> None:
    assert get("/lock")[0] == 503
    assert run("SELECT pg_try_advisory_lock(7)") == (True,)
    run("SELECT pg_advisory_unlock(7)")


def test_statements_past_django_are_stopped_too() -> None:
    status, _, took = get("/raw")
    assert status == 503
    assert LIMIT * 0.9 < took < AGES / 2  # a busy machine answers late


@pytest.mark.parametrize("slow", ["/sleep/1/5000", "/sleep/50/100", "/sleep/1/300", "/lock", "/raw"])
def test_the_next_request_on_the_connection_has_all_its_time(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"]["pool"], "max_size", 1)
    process = in_thread(server_process)
    get(slow)
    assert get("/timeout")[:2] == (200, f"500ms 500ms {process}")


@pytest.fixture
def admin() -> User:
    return factories.user(factories.tenant(), Role.ADMIN)


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Keep everybody else from reading a table."""
    with transaction.atomic():
        run(f"LOCK TABLE {table}")
        yield


@pytest.mark.parametrize(
    ("table", "document"),
    [
        ("assets_site", "{ sites { edges { node { name } } } }"),
        ("search_word", '{ search(query: "pump") { totalCount } }'),
    ],
)
def test_an_operation_that_takes_too_long_is_told_so_and_goes_through_later(
    admin: User, table: str, document: str
) -> None:
    def ask() -> Any:
        sent = {"query": document}
        return Client().post("/graphql", sent, "application/json", headers={"Authorization": f"Bearer {token}"}).json()

    token, _ = issue_token(user=admin)
    with locked(table):
        assert in_thread(ask)["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    assert "errors" not in in_thread(ask)


def test_a_page_of_the_admin_site_is_told_so_too(admin: User) -> None:
    client = Client()
    client.force_login(admin)
    with locked("assets_site"):
        assert in_thread(lambda: client.get("/admin/assets/site/").status_code) == 503
    assert in_thread(lambda: client.get("/admin/assets/site/").status_code) == 200


def test_a_request_without_a_limit_is_not_limited(settings: Settings) -> None:
    settings.REQUEST_SECONDS = 0
    assert get("/timeout")[1].startswith("0 0 ")
    assert get("/sleep/1/700")[:2] == (200, "slept")


class SlowCommand(BaseCommand):
    """A command that takes longer than a request may."""

    def handle(self, *_: Any, **__: Any) -> None:
        started = monotonic()
        sleep(LIMIT + 0.2)
        self.stdout.write(f"{timeout()} {monotonic() - started > LIMIT}")


def test_commands_take_their_time() -> None:
    printed = StringIO()
    call_command(SlowCommand(), stdout=printed)
    assert printed.getvalue() == "0 True\n"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the timeouts that PostgreSQL is told from now on."""
    told: list[str] = []
    execute = psycopg.Connection.execute

    def note(self: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        told.append(statement)
        return execute(self, statement, *args, **kwargs)

    run("SELECT 1")
    monkeypatch.setattr(psycopg.Connection, "execute", note)
    return told


def test_postgresql_is_told_once_for_all_quick_requests(told: list[str]) -> None:
    for _ in range(3):
        with Deadline(60):
            run("SELECT 1")
            with transaction.atomic():
                run("SELECT 1")
            run("SELECT 1")
    assert told == ["SET statement_timeout = 60000"]


def test_within_a_transaction_it_is_told_once_too(told: list[str]) -> None:
    with transaction.atomic(), Deadline(60):
        run("SELECT 1")
        with transaction.atomic():
            run("SELECT 1")
    assert told == ["SET LOCAL statement_timeout = 60000"]
    assert timeout() == "0"


def test_after_a_transaction_it_is_told_for_good(told: list[str]) -> None:
    with transaction.atomic(), Deadline(60):
        run("SELECT 1")
    for _ in range(3):
        with Deadline(60):
            run("SELECT 1")
            with transaction.atomic():
                run("SELECT 1")
    assert told == ["SET LOCAL statement_timeout = 60000", "SET statement_timeout = 60000"]


def test_what_a_rollback_undoes_is_told_again(told: list[str]) -> None:
    with transaction.atomic(), Deadline(60):
        with transaction.atomic():
            run("SELECT 1")
            transaction.set_rollback(True)
        assert timeout() == "1min"
    with Deadline(60), transaction.atomic():
        assert timeout() == "1min"
    # The first is told before the savepoint, the second after it was rolled back to.
    assert told == ["SET LOCAL statement_timeout = 60000"] * 3


def test_a_slow_request_tells_it_ten_times_at_most(told: list[str]) -> None:
    assert get_from_here("/sleep/200/5") == 503
    assert told == [f"SET statement_timeout = {left}" for left in range(500, 0, -50)]


def test_a_connection_that_is_opened_anew_is_told_too(told: list[str]) -> None:
    with Deadline(60):
        run("SELECT 1")
        forget_connections()
        run("SELECT 1")
    assert told == ["SET statement_timeout = 60000"] * 2


def test_a_transaction_may_start_with_its_own_settings() -> None:
    with Deadline(60), transaction.atomic():
        run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        assert run("SHOW transaction_isolation") == ("repeatable read",)


def test_after_a_failed_statement_its_savepoint_is_still_rolled_back_to() -> None:
    with transaction.atomic(), connection.execute_wrapper(Deadline(LIMIT)):
        with pytest.raises(DatabaseError), transaction.atomic():
            run("SELECT pg_sleep(0.2), 1 / (random() * 0)::int")
        assert run("SELECT 1") == (1,)


@transaction.atomic
def write_one_then_another_too_late() -> None:
    with transaction.atomic():
        run("INSERT INTO written VALUES (1)")
    threading.Event().wait(0.06)
    run("INSERT INTO written VALUES (2)")


@transaction.atomic
def write_too_late_within_a_savepoint() -> None:
    run("INSERT INTO written VALUES (1)")
    with transaction.atomic():
        threading.Event().wait(0.06)
        run("INSERT INTO written VALUES (2)")


@pytest.mark.parametrize("write", [write_one_then_another_too_late, write_too_late_within_a_savepoint])
def test_when_time_is_up_nothing_more_is_sent_and_nothing_is_kept(write: Callable[[], None]) -> None:
    run("CREATE TEMPORARY TABLE written (number int)")
    with pytest.raises(DeadlineExceededError), connection.execute_wrapper(Deadline(0.05)):
        write()
    assert run("SELECT count(*) FROM written") == (0,)


def test_what_a_deadline_raises_can_be_told_from_other_errors() -> None:
    with pytest.raises(OperationalError) as stopped, connection.execute_wrapper(Deadline(0.05)):
        sleep(AGES)
    with pytest.raises(DatabaseError) as failed:
        run("SELECT 1 / 0")
    errors = (stopped.value, DeadlineExceededError(), QueryCanceled(), failed.value, OperationalError())
    assert [ran_out_of_time(error) for error in errors] == [True, True, True, False, False]


def test_a_lost_connection_is_told_as_django_tells_it() -> None:
    process = server_process()
    in_thread(lambda: run("SELECT pg_terminate_backend(%s, 1000)", process))
    with pytest.raises(OperationalError), connection.execute_wrapper(Deadline(LIMIT)):
        run("SELECT 1")
    forget_connections()
