"""Requests find the database's connection as the one before them has left it, on whatever thread they run."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from pytest_django import Settings

from project import seats
from project.intake import Application
from project.seats import Seat, seated

pytestmark = pytest.mark.django_db(transaction=True)

Work = Callable[[], Any]


def backend() -> int:
    """Return the number of the process that serves this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Seat]]:
    """Return the seats that there are, and close them in the end."""
    found: list[Seat] = []

    class Noted(Seat):
        def __init__(self) -> None:
            super().__init__()
            found.append(self)

    monkeypatch.setattr(seats, "Seat", Noted)
    yield found
    for seat in found:
        seat.close()


@pytest.fixture
def pool_size() -> int:
    return 8


@pytest.fixture
def served(settings: Settings, pool_size: int) -> Callable[..., Any]:
    """Return what does some work as a request, each on a thread of its own."""
    answers: dict[int, Any] = {}

    def answer(environ: dict[str, Any], _: Any) -> list[bytes]:
        answers[id(environ)] = environ["work"]()
        return []

    settings.DATABASE_POOL_SIZE = pool_size
    application: Application = seated(answer)

    def serve(work: Work, path: str = "/graphql") -> Any:
        environ = {"work": work, "PATH_INFO": path}

        def run() -> Any:
            application(environ, lambda *_: None)
            assert not connections.all(initialized_only=True)
            return answers[id(environ)]

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(run).result(10)

    return serve


def test_a_connection_stays_from_one_request_to_the_next(served: Callable[..., Any], made: list[Seat]) -> None:
    assert len({served(backend) for _ in range(20)}) == 1
    assert len(made) == 1
    assert backend() != served(backend)


def test_there_are_as_many_as_requests_at_once(served: Callable[..., Any], made: list[Seat]) -> None:
    together = threading.Barrier(3)

    def work() -> int:
        together.wait(10)
        return backend()

    for _ in range(3):
        with ThreadPoolExecutor(3) as threads:
            assert len(set(threads.map(served, [work] * 3))) == 3
    assert len(made) == 3


@pytest.mark.parametrize("pool_size", [3])
def test_one_of_the_pools_connections_is_left_for_others(served: Callable[..., Any], made: list[Seat]) -> None:
    together = threading.Barrier(4)

    def work() -> None:
        backend()
        together.wait(10)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(served, [work] * 4))
    assert sum(seat.is_connected for seat in made) == 2
    assert {served(backend) for _ in range(5)} == {served(backend)}


def test_a_seat_that_is_connected_goes_first(served: Callable[..., Any], made: list[Seat]) -> None:
    reached, over = threading.Event(), threading.Event()

    def connect_and_wait() -> int:
        found = backend()
        reached.set()
        over.wait(10)
        return found

    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(served, connect_and_wait)
        reached.wait(10)
        served(over.set)  # on a seat of its own, without a connection, and given back last or not
        assert first.result(10) == served(backend) == served(backend)
    assert len(made) == 2


def test_a_probe_needs_no_seat(served: Callable[..., Any], made: list[Seat]) -> None:
    served(lambda: None, "/readyz")
    assert not made


def test_what_needs_no_database_opens_no_connection(served: Callable[..., Any], made: list[Seat]) -> None:
    served(lambda: None)
    assert made[0]._connections["default"].connection is None


def fail() -> None:
    backend()
    raise ValueError("gone")


def test_a_request_that_fails_gives_its_connection_back(served: Callable[..., Any], made: list[Seat]) -> None:
    with pytest.raises(ValueError, match="gone"):
        served(fail)
    assert made[0]._connections["default"].connection is None
    served(backend)
    assert len(made) == 1


def meet_an_error() -> None:
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT nothing")


def leave_a_transaction() -> None:
    transaction.set_autocommit(False)
    backend()


def leave_a_block() -> None:
    transaction.atomic().__enter__()
    backend()


@pytest.mark.parametrize("work", [meet_an_error, leave_a_transaction, leave_a_block])
def test_so_does_one_after_which_the_connection_may_be_out_of_order(
    served: Callable[..., Any], made: list[Seat], work: Work
) -> None:
    served(work)
    assert made[0]._connections["default"].connection is None
    assert served(lambda: (transaction.get_autocommit(), connection.in_atomic_block)) == (True, False)


def test_a_connection_goes_back_to_the_pool_in_time(
    served: Callable[..., Any], made: list[Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    served(backend)
    assert made[0]._connections["default"].connection is not None
    monkeypatch.setattr(seats, "LONGEST", 0.0)
    made[0]._connections["default"].close()
    served(backend)
    assert made[0]._connections["default"].connection is None


def test_a_connection_that_was_cut_fails_one_request(served: Callable[..., Any]) -> None:
    cut = served(backend)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [cut])
    with pytest.raises(DatabaseError):
        served(backend)
    assert served(backend) != cut
