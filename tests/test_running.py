"""One person's slow requests leave room for others; quick ones only wait for each other."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from schema import running
from schema.running import Running, TooManyRunningError


@contextmanager
def one(limit: Running, client: str) -> Iterator[None]:
    """Run a request of a client."""
    begun = limit.enter(client)
    try:
        yield
    finally:
        limit.leave(client, begun)


@contextmanager
def held(limit: Running, client: str, times: int) -> Iterator[None]:
    """Run so many requests of a client until the end."""
    end, begun = threading.Event(), threading.Barrier(times + 1)

    def run() -> None:
        with one(limit, client):
            begun.wait(10)
            end.wait(10)

    with ThreadPoolExecutor(times) as pool:
        for _ in range(times):
            pool.submit(run)
        begun.wait(10)
        try:
            yield
        finally:
            end.set()


@pytest.fixture
def soon_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SLOW", 0.2)


def test_who_has_slow_requests_running_is_refused_another_and_others_are_not(soon_slow: None) -> None:
    limit = Running(2)
    with held(limit, "a", 2):
        for _ in range(2):
            with pytest.raises(TooManyRunningError), one(limit, "a"):
                pass
        with one(limit, "b"):
            pass
    with one(limit, "a"):
        pass


def test_a_refusal_waits_until_all_are_slow_and_no_longer(soon_slow: None) -> None:
    limit, started = Running(1), time.monotonic()
    with held(limit, "a", 1):
        with pytest.raises(TooManyRunningError), one(limit, "a"):
            pass
        assert 0.1 < time.monotonic() - started < 5
        again = time.monotonic()
        with pytest.raises(TooManyRunningError), one(limit, "a"):
            pass
        assert time.monotonic() - again < 0.1


def test_quick_requests_wait_for_each_other_and_all_run() -> None:
    limit, most, at_once = Running(2), [0], [0]
    lock = threading.Lock()

    def run(_: int) -> bool:
        with one(limit, "a"):
            with lock:
                at_once[0] += 1
                most[0] = max(most[0], at_once[0])
            time.sleep(0.01)
            with lock:
                at_once[0] -= 1
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(run, range(64))) == 64
    assert most == [2]


def test_a_request_that_fails_makes_room() -> None:
    limit = Running(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="gone"), one(limit, "a"):
            raise ValueError("gone")
    assert limit._begun == {}


def test_one_may_always_run() -> None:
    with one(Running(0), "a"):
        pass
