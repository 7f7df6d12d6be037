"""What becomes of the limits when Redis dies, stalls, is replaced or can't: real ones that really do."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from django_redis.exceptions import ConnectionInterrupted
from prometheus_client import REGISTRY
from pytest_django import Settings
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, NoScriptError, OutOfMemoryError, RedisClusterException, ResponseError

from apps.throttle import memory
from apps.throttle.limits import Bucket, LimitsUnavailableError, Window, give_back
from apps.throttle.lines import lines
from apps.throttle.server import REST, Server
from project.caches import cache_of
from tests.buckets import (
    AWAY,
    BACK,
    Valkey,
    closed_port,
    draws,
    fresh_server,
    in_memory,
    left,
    sentinel,
    until,
    use,
    wanting,
)

SLOW: Final = Bucket("points", 10, 0.01)
TIMES: Final = Window("times", 3, 60)
RESTS: Final = 0.3
AT_ONCE: Final = 0.35


@pytest.fixture
def valkey(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """Return a Valkey of the test's own, which the application uses and asks again soon after a failure."""
    with Valkey(tmp_path) as server:
        use(settings, server.url)
        fresh_server(monkeypatch, RESTS)
        yield server


@pytest.fixture
def client_id() -> str:
    """Return a client that no other test has drawn for."""
    return uuid4().hex


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what tells what was logged, of each message its beginning."""
    caplog.set_level(logging.WARNING, "apps.throttle")
    return lambda: [each.message[: len(AWAY)] for each in caplog.records if each.name == "apps.throttle.server"]


Log = Callable[[], list[str]]


def failures() -> float:
    return REGISTRY.get_sample_value("redis_connection_errors_total") or 0.0


def takes(work: Callable[[], Any]) -> float:
    """Return how many seconds it takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def back(client: str, bucket: Bucket, remaining: int) -> None:
    """Wait until it is Redis that answers, which holds so much."""
    until(lambda: left(bucket, client) == remaining)


def test_while_redis_is_dead_the_process_holds_limits_of_the_same_size(
    valkey: Valkey, client_id: str, log: Log
) -> None:
    assert wanting(client_id, (SLOW, 4), (TIMES, 3)).granted
    valkey.kill()
    before = failures()
    assert [draws(SLOW, client_id, 4) for _ in range(4)] == [True, True, False, False]
    assert [draws(TIMES, client_id) for _ in range(4)] == [True, True, True, False]
    give_back(client_id, SLOW, 3)
    assert left(SLOW, client_id) == 5
    assert log() == [AWAY]
    assert failures() == before + 1
    valkey.start()
    back(client_id, SLOW, 10)
    assert log() == [AWAY, BACK]


def test_a_server_that_was_restarted_meanwhile_is_no_outage(valkey: Valkey, client_id: str, log: Log) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: draws(Bucket("points", 100, 0.01), client_id), range(20)))
    valkey.kill()
    valkey.start()
    give_back(client_id, SLOW, 1)
    assert draws(SLOW, client_id)
    assert left(SLOW, client_id) == 9
    assert log() == []


def test_who_meets_a_server_that_stalls_waits_once_and_then_nobody_does(
    valkey: Valkey, client_id: str, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_server(monkeypatch)
    assert draws(SLOW, client_id, 6)
    valkey.pause()
    assert 0.4 < takes(lambda: draws(SLOW, client_id, 6)) < 0.5 + AT_ONCE
    assert takes(lambda: [draws(SLOW, client_id) for _ in range(100)]) < AT_ONCE
    assert takes(lambda: give_back(client_id, SLOW, 1)) < AT_ONCE
    assert log() == [AWAY]


def test_of_those_who_come_later_one_tries_and_the_others_do_not_wait(valkey: Valkey, client_id: str, log: Log) -> None:
    valkey.pause()
    draws(SLOW, client_id)
    time.sleep(RESTS + 0.05)
    barrier = threading.Barrier(8)

    def come(_: int) -> float:
        barrier.wait(10)
        return takes(lambda: draws(SLOW, client_id))

    with ThreadPoolExecutor(8) as pool:
        waited = sorted(pool.map(come, range(8)))
    assert waited[6] < AT_ONCE < 0.4 < waited[7] < 2
    valkey.go_on()
    back(client_id, SLOW, 10)
    assert log() == [AWAY, BACK]


def test_many_who_meet_an_outage_at_once_log_it_once(valkey: Valkey, client_id: str, log: Log) -> None:
    valkey.kill()
    barrier = threading.Barrier(16)

    def meet() -> bool:
        barrier.wait(10)
        return draws(Window("test", 5, 60), client_id)

    with ThreadPoolExecutor(16) as pool:
        let = [each.result() for each in [pool.submit(meet) for _ in range(16)]]
    assert sum(let) == 5
    assert log() == [AWAY]


def test_each_outage_is_logged_once_and_so_is_its_end(valkey: Valkey, client_id: str, log: Log) -> None:
    for _ in range(2):
        valkey.kill()
        end = time.monotonic() + 2.5 * RESTS
        while time.monotonic() < end:
            draws(SLOW, client_id)
            time.sleep(0.02)
        valkey.start()
        back(client_id, SLOW, 10)
    assert log() == [AWAY, BACK] * 2


@pytest.fixture
def scripts(valkey: Valkey, client_id: str) -> Valkey:
    """Return a server that knows the script, and holds four points of a client."""
    assert draws(SLOW, client_id, 6)
    return valkey


def test_when_all_was_flushed_the_limits_are_whole(scripts: Valkey, client_id: str, log: Log) -> None:
    scripts.ask.flushall()
    scripts.ask.script_flush()
    assert left(SLOW, client_id) == 10
    assert log() == []


@pytest.mark.parametrize(
    ("harm", "heal"),
    [
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("ACL SETUSER default -evalsha -eval", "ACL SETUSER default +@all"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
    ],
)
def test_a_server_that_can_not_write_is_taken_for_away(
    scripts: Valkey, client_id: str, log: Log, harm: str, heal: str
) -> None:
    scripts.ask.execute_command(*harm.split())
    assert [draws(SLOW, client_id, 3) for _ in range(4)] == [True, True, True, False]
    assert log() == [AWAY]
    scripts.ask.execute_command(*heal.split())
    back(client_id, SLOW, 4)
    assert log() == [AWAY, BACK]


def test_a_replica_that_has_lost_its_primary_is_taken_for_away(scripts: Valkey, client_id: str, log: Log) -> None:
    scripts.ask.config_set("replica-serve-stale-data", "no")
    scripts.ask.replicaof("127.0.0.1", 1)
    assert left(SLOW, client_id) == 10
    assert log() == [AWAY]
    scripts.ask.replicaof("NO", "ONE")
    back(client_id, SLOW, 4)


def test_a_server_that_runs_another_script_for_long_is_taken_for_away(
    scripts: Valkey, client_id: str, log: Log
) -> None:
    scripts.ask.config_set("busy-reply-threshold", 1)
    with ThreadPoolExecutor(1) as pool, Redis.from_url(scripts.url) as another:
        endless = pool.submit(another.eval, "while true do end", 0)
        time.sleep(0.1)
        assert left(SLOW, client_id) == 10
        assert log() == [AWAY]
        scripts.ask.script_kill()
        assert isinstance(endless.exception(), ResponseError)
    back(client_id, SLOW, 4)


def test_a_server_that_still_loads_is_taken_for_away(scripts: Valkey, client_id: str, log: Log) -> None:
    for number in range(400):
        scripts.ask.set(f"heavy {number}", "x" * 10_000)
    scripts.ask.config_set("rdbcompression", "no")
    scripts.ask.save()
    scripts.kill()
    scripts.start("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
    assert left(SLOW, client_id) == 10
    assert log() == [AWAY]
    scripts.ask.config_set("key-load-delay", 0)
    back(client_id, SLOW, 4)


def test_a_server_that_lets_nobody_in_is_taken_for_away(scripts: Valkey, client_id: str, log: Log) -> None:
    scripts.kill()
    scripts.start("--requirepass", "secret")
    assert [draws(SLOW, client_id, 6) for _ in range(2)] == [True, False]
    assert log() == [AWAY]


def test_a_cluster_that_is_down_is_taken_for_away(scripts: Valkey, client_id: str, log: Log) -> None:
    scripts.kill()
    scripts.start("--cluster-enabled", "yes", "--cluster-port", str(closed_port()))
    assert [draws(SLOW, client_id, 6) for _ in range(2)] == [True, False]
    assert log() == [AWAY]


def test_when_another_takes_over_at_the_same_address_its_count_holds_at_once(
    valkey: Valkey, settings: Settings, client_id: str, tmp_path: Path, log: Log
) -> None:
    address = tmp_path / "address"
    address.symlink_to(valkey.folder / "socket")
    use(settings, f"unix://{address}")
    assert draws(SLOW, client_id, 6)
    with Valkey(tmp_path / "other") as other:
        other.ask.replicaof("127.0.0.1", valkey.port)
        until(lambda: other.ask.info("replication")["master_link_status"] == "up")
        other.ask.replicaof("NO", "ONE")
        valkey.ask.replicaof("127.0.0.1", other.port)
        address.unlink()
        address.symlink_to(other.folder / "socket")
        assert draws(SLOW, client_id, 3)
        assert not draws(SLOW, client_id, 3)
        assert log() == []
        valkey.kill()
        assert left(SLOW, client_id) == 1
        assert log() == []


def test_sentinels_lead_to_the_server_that_took_over(
    valkey: Valkey, settings: Settings, client_id: str, tmp_path: Path, log: Log
) -> None:
    with Valkey(tmp_path / "other", "--replicaof", f"127.0.0.1 {valkey.port}") as other:
        until(lambda: other.ask.info("replication")["master_link_status"] == "up")
        with sentinel(tmp_path, valkey) as port:
            found = cache_of(f"redis+sentinel://127.0.0.1:{port}/main/0")
            use(settings, found["LOCATION"], **found["OPTIONS"])
            assert draws(SLOW, client_id, 6)
            valkey.ask.wait(1, 1000)
            valkey.kill()
            assert left(SLOW, client_id) == 10
            back(client_id, SLOW, 4)
    assert log() == [AWAY, BACK]


# To refuse


def test_who_wants_limits_that_can_be_looked_up_or_none_is_refused_while_redis_is_away(
    valkey: Valkey, client_id: str, settings: Settings
) -> None:
    settings.LIMITS_FAIL_CLOSED = True
    assert draws(SLOW, client_id, 6)
    valkey.kill()
    for _ in range(3):
        with pytest.raises(LimitsUnavailableError, match="try again in 2 s") as caught:
            draws(SLOW, client_id)
        assert caught.value.retry_after == REST == 2.0
    give_back(client_id, SLOW, 1)
    valkey.start()
    until(lambda: lines().ask("PING") == b"PONG")
    time.sleep(RESTS)
    assert draws(SLOW, client_id, 6)


# What the process remembers


def test_the_process_remembers_so_many_clients_and_forgets_the_quietest(monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory(monkeypatch)
    monkeypatch.setattr(memory, "MAX_CLIENTS", 3)
    once = Window("test", 1, 60)
    assert [draws(once, client) for client in "abc"] == [True] * 3
    assert not draws(once, "a"), "the quietest is b now"
    assert draws(once, "d")
    assert list(memory._clients) == ["c", "a", "d"]
    assert [draws(once, client) for client in "acd"] == [False] * 3
    assert draws(once, "b")
    assert len(memory._clients) == 3


# What is an outage


@pytest.mark.parametrize(
    "error",
    [
        RedisConnectionError("gone"),
        ConnectionInterrupted(connection=None),
        RedisClusterException("Redis Cluster cannot be connected."),
        OutOfMemoryError("command not allowed", status_code="OOM"),
        ResponseError("MISCONF Errors writing to the AOF file"),
        ResponseError(
            "Error running script (call to f_0a1b): @user_script:24: @user_script: 24: -READONLY You can't write "
            "against a read only replica.",
            status_code="ERR",
        ),
        OSError("gone"),
        TimeoutError(),
    ],
)
def test_every_way_of_being_away_is_known(error: Exception, log: Log) -> None:
    def fail() -> int:
        raise error

    server, turns = Server(), count()
    assert [server.attempt(fail, otherwise=5), server.attempt(lambda: next(turns), otherwise=6)] == [5, 6]
    assert next(turns) == 0, "nobody waits"
    assert log() == [AWAY]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a fault of ours"),
        DataError("a fault of ours"),
        NoScriptError("a fault of ours", status_code="NOSCRIPT"),
        ResponseError("ERR a fault of ours script: 0a1b, on @user_script:7."),
        ResponseError("WRONGTYPE a fault of ours"),
    ],
)
def test_what_is_no_outage_is_not_taken_for_one(error: Exception, log: Log) -> None:
    def fail(*, wrapped: bool = False) -> None:
        if wrapped:
            raise ConnectionInterrupted(connection=None) from error
        raise error

    server = Server()
    with pytest.raises(type(error), match="a fault of ours"):
        server.attempt(fail, otherwise=None)
    if isinstance(error, ResponseError):
        with pytest.raises(ConnectionInterrupted):
            server.attempt(lambda: fail(wrapped=True), otherwise=None)
    assert server.attempt(lambda: 7, otherwise=0) == 7
    assert log() == []


def test_an_answer_that_was_under_way_when_redis_went_away_does_not_bring_it_back(log: Log) -> None:
    def fail() -> int:
        raise OSError

    server = Server()

    def answer_late() -> int:
        assert server.attempt(fail, otherwise=5) == 5
        return 7

    assert server.attempt(answer_late, otherwise=6) == 7
    assert server.is_away
    assert log() == [AWAY]
