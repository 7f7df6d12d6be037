"""The lines to Redis: who tells does not wait, and no line that is out of step is used again."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from pytest_django import Settings
from redis.exceptions import ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from apps.throttle.limits import Bucket, give_back
from apps.throttle.lines import MOST_OWED, Lines, Plain, lines
from tests.buckets import ClusterFactory, Valkey, closed_port, draws, fresh_server, left, use, wanting

SLOW: Final = Bucket("points", 1000, 0.01)
AT_ONCE: Final = 0.35
CLUSTER: Final = ("--cluster-enabled", "yes", "--cluster-port")


@pytest.fixture
def valkey(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """Return a Valkey of the test's own, which the application uses."""
    with Valkey(tmp_path) as server:
        use(settings, server.url)
        fresh_server(monkeypatch)
        yield server


@pytest.fixture
def present(valkey: Valkey) -> Lines:
    """Return the lines to it."""
    found = lines()
    assert isinstance(found, Lines)
    return found


@pytest.fixture
def client_id() -> str:
    """Return a client that no other test has drawn for."""
    return uuid4().hex


def connections(valkey: Valkey) -> int:
    return len(valkey.ask.client_list()) - 1


def calls(valkey: Valkey, command: str) -> int:
    return int(valkey.ask.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


# Telling


def test_what_is_told_comes_before_what_is_asked_then(present: Lines) -> None:
    for number in range(MOST_OWED * 3):
        present.tell("RPUSH", "told", number)
        if number % 50 == 0:
            assert present.ask("LLEN", "told") == number + 1
    assert present.ask("LRANGE", "told", 0, -1) == [str(number).encode() for number in range(MOST_OWED * 3)]


def test_one_line_serves_one_thread(valkey: Valkey, present: Lines) -> None:
    for _ in range(MOST_OWED * 3):
        present.ask("PING")
        present.tell("PING")
    assert connections(valkey) == 1


def test_so_many_replies_are_owed_at_most(present: Lines) -> None:
    present.ask("PING")
    owed = []
    for _ in range(MOST_OWED * 2 + 1):
        present.tell("PING")
        owed.append(present._idle[-1]._owed)
    assert max(owed) == MOST_OWED
    present.ask("PING")
    assert present._idle[-1]._owed == 0


def test_giving_back_does_not_wait_for_a_server_that_does_not_answer(valkey: Valkey, client_id: str) -> None:
    assert draws(SLOW, client_id, 100)
    valkey.pause()
    began = time.monotonic()
    for _ in range(MOST_OWED):
        give_back(client_id, SLOW, 1)
    assert time.monotonic() - began < AT_ONCE
    valkey.go_on()
    assert left(SLOW, client_id) == 900 + MOST_OWED


def test_giving_back_without_a_line_waits_for_nothing_and_goes_with_the_next_draw(
    valkey: Valkey, present: Lines, client_id: str
) -> None:
    assert draws(SLOW, client_id, 100)
    present._idle.clear()
    valkey.pause()
    began = time.monotonic()
    for _ in range(MOST_OWED):
        give_back(client_id, SLOW, 1)
    assert time.monotonic() - began < AT_ONCE
    valkey.go_on()
    assert left(SLOW, client_id) == 900 + MOST_OWED


def test_what_nobody_asks_after_is_not_kept_without_bound(valkey: Valkey, present: Lines) -> None:
    for number in range(MOST_OWED + 10):
        present.tell("RPUSH", "told", number)
    assert present.ask("LRANGE", "told", 0, 0) == [b"10"]


def test_what_is_told_over_a_line_that_broke_goes_with_the_next_question(valkey: Valkey, present: Lines) -> None:
    present.ask("PING")
    present._idle[-1]._connection._get_socket().close()
    present.tell("SET", "told", "1")
    assert present.ask("GET", "told") == b"1"


def test_points_given_back_are_there_for_another_thread(valkey: Valkey, client_id: str) -> None:
    bucket = Bucket("points", 1, 0.001)
    with ThreadPoolExecutor(1) as other:
        for _ in range(200):
            assert draws(bucket, client_id)
            give_back(client_id, bucket, 1)
            assert other.submit(draws, bucket, client_id).result()
            other.submit(give_back, client_id, bucket, 1).result()


def test_a_script_that_was_told_in_vain_disturbs_nobody(valkey: Valkey, present: Lines) -> None:
    present.ask("PING")
    present.tell("EVALSHA", "0" * 40, 0)
    assert present.ask("ECHO", "1") == b"1"
    assert connections(valkey) == 1


def test_a_fault_that_was_told_comes_to_light(present: Lines) -> None:
    present.ask("SET", "text", "a")
    present.tell("LPUSH", "text", "b")
    with pytest.raises(ResponseError, match="wrong kind"):
        present.ask("PING")
    assert present.ask("GET", "text") == b"a"


# Asking


def test_each_thread_gets_the_answer_to_its_own_question(valkey: Valkey, present: Lines) -> None:
    end = time.monotonic() + 0.5

    def talk(name: int) -> int:
        for number in takewhile(lambda _: time.monotonic() < end, count()):
            assert present.ask("ECHO", f"{name} {number}") == f"{name} {number}".encode()
            present.tell("ECHO", "nobody asked")
        return number

    with ThreadPoolExecutor(8) as pool:
        assert min(pool.map(talk, range(8))) > 10
    assert connections(valkey) <= 8
    assert calls(valkey, "echo") > 160


def test_after_a_late_answer_the_line_is_not_used_again(valkey: Valkey, present: Lines) -> None:
    assert present.ask("ECHO", "1") == b"1"
    with pytest.raises(RedisTimeoutError):
        present.ask("BLPOP", "nothing", 2)
    assert present.ask("ECHO", "2") == b"2"


def test_an_answer_that_was_not_waited_for_to_the_end_is_never_anothers(present: Lines) -> None:
    class Impatient(BaseException):
        pass

    def interrupt(*_: Any, **__: Any) -> None:
        raise Impatient

    present.ask("PING")
    present._idle[-1]._connection.read_response = interrupt
    with pytest.raises(Impatient):
        present.ask("ECHO", "1")
    assert present.ask("ECHO", "2") == b"2"


def test_a_line_that_redis_has_closed_is_replaced(valkey: Valkey, present: Lines) -> None:
    barrier = threading.Barrier(4)

    def together(_: int) -> None:
        barrier.wait(10)
        present.ask("PING")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(together, range(4)))
    valkey.ask.client_kill_filter(_type="normal", skipme=True)
    assert present.ask("ECHO", "1") == b"1"
    assert len(present._idle) == 1, "the others are not tried"


def test_a_server_that_is_no_more_the_primary_is_asked_for_no_more(valkey: Valkey, present: Lines) -> None:
    present.ask("PING")
    valkey.ask.replicaof("127.0.0.1", 1)
    with pytest.raises(ReadOnlyError):
        present.ask("SET", "a", "1")
    assert len(present._idle) == 0


def test_a_child_process_has_lines_of_its_own(valkey: Valkey, client_id: str) -> None:
    assert draws(SLOW, client_id)
    give_back(client_id, SLOW, 1)
    child = os.fork()
    if not child:
        theirs_and_ours = all(draws(SLOW, client_id) for _ in range(50)) and connections(valkey) == 3
        os._exit(0 if theirs_and_ours else 1)
    assert all(draws(SLOW, client_id) for _ in range(50))
    assert os.waitpid(child, 0)[1] == 0
    assert left(SLOW, client_id) == 900


# Which Redis


def test_lines_lead_where_the_settings_lead(valkey: Valkey, settings: Settings, client_id: str, tmp_path: Path) -> None:
    with Valkey(tmp_path / "other") as other:
        assert draws(SLOW, client_id, 600)
        use(settings, other.url)
        assert draws(SLOW, client_id, 600)
        use(settings, valkey.url)
        assert not draws(SLOW, client_id, 600)


def test_lines_authenticate_and_choose_the_database_as_the_settings_say(
    valkey: Valkey, settings: Settings, client_id: str
) -> None:
    valkey.ask.acl_setuser("throttle", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all"])
    use(settings, valkey.url.replace("//", "//throttle:secret@").replace("/0", "/3"))
    assert draws(SLOW, client_id)
    assert {"throttle"} == {each["user"] for each in valkey.ask.client_list() if each["db"] == "3"}


def test_a_cluster_is_spoken_to_by_its_own_client(
    valkey: Valkey, settings: Settings, client_id: str, tmp_path: Path
) -> None:
    with Valkey(tmp_path / "cluster", *CLUSTER, str(closed_port())) as cluster:
        cluster.ask.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        use(settings, cluster.url, CONNECTION_FACTORY=f"tests.buckets.{ClusterFactory.__name__}")
        assert isinstance(lines(), Plain)
        for _ in range(2):
            assert wanting(client_id, (SLOW, 100), (Bucket("other", 10, 0.01), 1)).granted
            give_back(client_id, SLOW, 50)
            assert left(SLOW, client_id) in {950, 900}
        assert left(SLOW, client_id) == 900
        cluster.ask.script_flush()
        give_back(client_id, SLOW, 50)
        assert left(SLOW, client_id) == 900
