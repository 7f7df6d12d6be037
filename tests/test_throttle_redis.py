"""What the throttle keeps in Redis, and what becomes of it there."""

import re
import threading
from collections import deque
from typing import Any, Final
from uuid import uuid4

import pytest
from django.core.cache import caches
from django_redis import get_redis_connection
from prometheus_client import REGISTRY
from pytest_django import Settings

from apps.throttle.limits import Bucket, Standing, Window, give_back
from tests.buckets import age, draws, held, left, wanting

SLOW: Final = Bucket("points", 100, 0.01)
TIMES: Final = Window("times", 3, 60)
HOUR: Final = 3600


@pytest.fixture
def client_id() -> str:
    """Return a client that no other test has drawn for."""
    return uuid4().hex


@pytest.fixture
def redis() -> Any:
    """Return the Redis that the settings name."""
    return get_redis_connection("default")


def only_key(client: str) -> bytes:
    (key,) = held(client)
    return key


def test_each_limit_has_a_key_and_all_keys_of_a_client_have_the_clients_slot(client_id: str, redis: Any) -> None:
    wanting(client_id, (SLOW, 1), (TIMES, 1))
    expected = [caches["default"].make_key(f"limit:{{{client_id}}}:{name}") for name in ("points", "times")]
    assert [key.decode() for key in held(client_id)] == expected
    assert all(key.startswith("workgraph") for key in expected)
    assert len({redis.execute_command("CLUSTER", "KEYSLOT", key) for key in [*held(client_id), client_id]}) == 1


@pytest.mark.parametrize("name", ["", "}", "{}", "%", "{a}", "::1"])
def test_a_strange_name_has_one_slot_too(name: str, redis: Any) -> None:
    limits = [Bucket(uuid4().hex, 10, 1) for _ in range(5)]
    wanting(name, *((limit, 1) for limit in limits))
    keys = {key for limit in limits for key in held(limit.name)}
    assert len(keys) == 5
    assert len({redis.execute_command("CLUSTER", "KEYSLOT", key) for key in keys}) == 1


def test_the_keys_follow_the_settings(client_id: str, settings: Settings) -> None:
    limit = Bucket("points", 1, 0.01)
    assert [draws(limit, client_id) for _ in range(2)] == [True, False]
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": f"other-{client_id}"}}
    assert [draws(limit, client_id) for _ in range(2)] == [True, False]
    assert len(held(client_id)) == 2


def test_a_bucket_is_kept_until_it_is_full_and_a_full_one_is_not_kept(client_id: str, redis: Any) -> None:
    assert wanting(client_id, (Bucket("points", 100, 10), 0)).granted
    assert held(client_id) == []
    assert draws(Bucket("points", 100, 10), client_id, 60)
    assert 5500 < redis.pttl(only_key(client_id)) <= 6001
    assert re.fullmatch(rb"40000000@\d{16}", redis.get(only_key(client_id)))
    give_back(client_id, Bucket("points", 100, 10), 60)
    assert left(Bucket("points", 100, 10), client_id) == 100
    assert held(client_id) == []


def test_a_window_is_kept_for_its_span_after_what_was_let_last(client_id: str, redis: Any) -> None:
    assert draws(TIMES, client_id, 3)
    age(client_id, 20)
    assert 39_000 < redis.pttl(only_key(client_id)) <= 40_000
    assert not draws(TIMES, client_id)
    assert 39_000 < redis.pttl(only_key(client_id)) <= 40_000, "what is refused keeps nothing"
    assert redis.llen(only_key(client_id)) == 3
    age(client_id, 41)
    assert held(client_id) == []


def test_what_no_longer_counts_is_not_kept(client_id: str, redis: Any) -> None:
    for _ in range(5):
        assert draws(TIMES, client_id)
        age(client_id, 25)
    assert redis.llen(only_key(client_id)) == 3


def test_who_only_looks_or_is_refused_writes_nothing(client_id: str, redis: Any) -> None:
    assert wanting(client_id, (SLOW, 60), (TIMES, 1)).granted
    before = [redis.dump(key) for key in held(client_id)]
    assert wanting(client_id, (SLOW, 0), (TIMES, 0)).granted
    assert not wanting(client_id, (SLOW, 60), (TIMES, 1)).granted
    assert [redis.dump(key) for key in held(client_id)] == before


def test_a_draw_from_several_limits_is_one_round_trip(client_id: str, redis: Any) -> None:
    wanting(client_id, (SLOW, 1))
    with redis.monitor() as monitor:
        commands: deque[str] = deque()

        def listen() -> None:
            for command in monitor.listen():
                if command["command"].endswith(" STOP"):
                    return
                if command["client_type"] != "lua" and client_id in command["command"]:
                    commands.append(command["command"].split()[0])

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        wanting(client_id, (SLOW, 1), (TIMES, 1))
        redis.echo(f"{client_id} STOP")
        listening.join(5)
    assert [command for command in commands if command != "ECHO"] == ["EVALSHA"]


# What is no more, or was overwritten


def test_a_server_that_has_forgotten_the_script_learns_it_again(client_id: str, redis: Any) -> None:
    assert draws(SLOW, client_id, 60)
    redis.script_flush()
    assert draws(SLOW, client_id, 40)
    redis.script_flush()
    give_back(client_id, SLOW, 40)
    assert left(SLOW, client_id) == 0, "what was only told is lost, which costs little"
    give_back(client_id, SLOW, 40)
    assert left(SLOW, client_id) == 40


@pytest.mark.parametrize("rubbish", ["", "rubbish", "1@", "-5@7", "5@-7", "nan@nan", "1e9@0x1", "5@7@9", "inf@1"])
def test_a_bucket_that_was_overwritten_is_a_full_one(client_id: str, redis: Any, rubbish: str) -> None:
    assert draws(SLOW, client_id, 60)
    redis.set(only_key(client_id), rubbish)
    assert wanting(client_id, (SLOW, 60)).standings[0].remaining == 40
    assert re.fullmatch(rb"40000000@\d{16}", redis.get(only_key(client_id)))
    assert redis.pttl(only_key(client_id)) > 0


def test_a_bucket_never_holds_more_than_its_size_whatever_is_written_there(client_id: str, redis: Any) -> None:
    assert draws(SLOW, client_id, 60)
    redis.set(only_key(client_id), f"{10**30}@{10**40}")
    assert [draws(SLOW, client_id, 60) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("limit", [SLOW, TIMES])
def test_a_key_that_holds_something_else_is_taken_for_none(client_id: str, redis: Any, limit: Bucket | Window) -> None:
    size = left(limit, client_id)
    assert draws(limit, client_id, size)
    key = only_key(client_id)
    redis.delete(key)
    redis.hset(key, "some", "thing")
    assert [draws(limit, client_id, size) for _ in range(2)] == [True, False]
    assert redis.pttl(key) > 0


def test_times_that_are_none_do_not_count_for_ever(client_id: str, redis: Any) -> None:
    assert draws(TIMES, client_id)
    key = only_key(client_id)
    redis.rpush(key, "rubbish", "inf", "-1", "0x10")
    assert [draws(TIMES, client_id) for _ in range(3)] == [True, True, False], "the oldest are forgotten"
    redis.delete(key)
    redis.lpush(key, "rubbish", "rubbish", "rubbish")
    assert [draws(TIMES, client_id) for _ in range(4)] == [True, True, True, False]
    redis.lset(key, 0, "rubbish")
    refused = wanting(client_id, (TIMES, 3)).standings[0]
    assert (refused.remaining, refused.reset_after) == (0, 0.0)
    assert 0 < refused.retry_after <= 60


def test_when_all_is_flushed_the_limits_are_whole(client_id: str, redis: Any) -> None:
    assert wanting(client_id, (SLOW, 100), (TIMES, 3)).granted
    redis.delete(*held(client_id))
    assert wanting(client_id, (SLOW, 100), (TIMES, 3)).granted


# A clock that goes back, as it may when another server takes over


@pytest.mark.parametrize("wanted", [0, 1])
def test_while_the_clock_goes_back_no_time_passes_and_then_it_goes_on(client_id: str, wanted: int) -> None:
    bucket = Bucket("points", 100, 1)
    assert draws(bucket, client_id, 100)
    age(client_id, -HOUR)
    assert wanting(client_id, (bucket, wanted)).standings[0].remaining == 0
    age(client_id, 10)
    assert 10 <= left(bucket, client_id) <= 11


def test_a_clock_that_goes_back_hands_out_no_points(client_id: str) -> None:
    assert draws(SLOW, client_id, 60)
    for _ in range(3):
        age(client_id, -HOUR)
        assert left(SLOW, client_id) == 40


def test_a_window_outlasts_a_clock_that_goes_back_and_not_for_longer_than_its_span(client_id: str) -> None:
    assert draws(TIMES, client_id)
    age(client_id, 20)
    assert draws(TIMES, client_id, 2)
    age(client_id, -HOUR)
    refused = wanting(client_id, (TIMES, 1)).standings[0]
    assert (refused.remaining, round(refused.retry_after), round(refused.reset_after)) == (0, 40, 60)
    age(client_id, 40)
    assert left(TIMES, client_id) == 1
    age(client_id, 20)
    assert wanting(client_id, (TIMES, 0)).standings == (Standing(TIMES, 3, 0.0, 0.0),)


# What is counted


def test_each_refusal_is_counted_by_the_limit_that_refused(client_id: str) -> None:
    one, other = Bucket(uuid4().hex, 5, 0.01), Window(uuid4().hex, 1, 60)
    for _ in range(3):
        wanting(client_id, (one, 1), (other, 1))
    counted = [REGISTRY.get_sample_value("rate_limit_hits_total", {"limit": each.name}) for each in (one, other)]
    assert counted == [None, 2]
