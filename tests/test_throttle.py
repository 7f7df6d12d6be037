"""How often one may: buckets and windows, as they are kept in Redis and in the process while Redis is away."""

import math
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count, takewhile
from typing import Final
from uuid import uuid4

import pytest

from apps.throttle.limits import Bucket, Draw, Standing, Taken, Window, give_back, settle, take
from tests.buckets import Later, age, draws, in_memory, left, wanting

POINTS: Final = Bucket("points", 100, 10)
TIMES: Final = Window("times", 3, 60)
SOON: Final = 0.5
"""So many seconds a test may take on a busy machine between two draws."""


@pytest.fixture
def client_id() -> str:
    """Return a client that no other test has drawn for."""
    return uuid4().hex


@pytest.fixture(params=["in Redis", "while Redis is away"])
def later(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Later:
    """Let a test hold in Redis and in the process; return what lets time pass there."""
    return age if request.param == "in Redis" else in_memory(monkeypatch)


def standing(limit: Bucket | Window, client: str, wanted: int) -> Standing:
    return wanting(client, (limit, wanted)).standings[0]


# A bucket


def test_a_bucket_is_full_at_first(later: Later, client_id: str) -> None:
    assert wanting(client_id, (POINTS, 0)) == Taken(True, (Standing(POINTS, 100, 0.0, 0.0),))


def test_what_is_drawn_is_gone_and_comes_back_at_the_rate(later: Later, client_id: str) -> None:
    drawn = standing(POINTS, client_id, 60)
    assert (drawn.remaining, drawn.retry_after, drawn.reset_after) == (40, 0.0, 6.0)
    later(client_id, 2)
    assert 60 <= left(POINTS, client_id) <= 60 + 10 * SOON
    later(client_id, 1000)
    assert left(POINTS, client_id) == 100


def test_what_a_bucket_does_not_hold_is_refused_and_draws_nothing(later: Later, client_id: str) -> None:
    assert draws(POINTS, client_id, 95)
    for _ in range(3):
        refused = standing(POINTS, client_id, 50)
        assert 5 <= refused.remaining <= 5 + 10 * SOON
        assert 4.5 - SOON <= refused.retry_after <= 4.5
        assert 9.5 - SOON <= refused.reset_after <= 9.5


def test_what_turns_out_to_be_due_is_owed_and_nothing_is_had_until_it_is_restored(later: Later, client_id: str) -> None:
    assert draws(POINTS, client_id, 40)
    settle(client_id, [Draw(POINTS, 90)])
    for wanted in (0, 1):
        refused = standing(POINTS, client_id, wanted)
        assert refused.remaining == 0
        assert 3 + wanted / 10 - SOON <= refused.retry_after <= 3 + wanted / 10
        assert 13 - SOON <= refused.reset_after <= 13
    later(client_id, 3.2)
    assert draws(POINTS, client_id, 1)


def test_no_more_is_owed_than_a_bucket_can_hold(later: Later, client_id: str) -> None:
    settle(client_id, [Draw(POINTS, 100_000)])
    assert 10 - SOON <= standing(POINTS, client_id, 0).retry_after <= 10


def test_who_owes_something_draws_nothing_from_other_limits_either(later: Later, client_id: str) -> None:
    settle(client_id, [Draw(POINTS, 150)])
    refused = wanting(client_id, (POINTS, 0), (TIMES, 1))
    assert not refused.granted
    assert left(TIMES, client_id) == 3


def test_several_limits_are_settled_at_once(later: Later, client_id: str) -> None:
    other = Bucket("other", 50, 1)
    assert draws(POINTS, client_id, 60)
    settle(client_id, [Draw(POINTS, -40), Draw(other, 20)])
    assert 80 <= left(POINTS, client_id) <= 80 + 10 * SOON
    assert left(other, client_id) == 30


def test_points_are_there_when_it_is_said_and_not_before(later: Later, client_id: str) -> None:
    bucket = Bucket("slow", 10, 0.1)
    assert draws(bucket, client_id, 10)
    waits = standing(bucket, client_id, 3).retry_after
    assert 30 - SOON <= waits <= 30
    later(client_id, waits - 2 * SOON)
    assert not draws(bucket, client_id, 3)
    later(client_id, 2 * SOON)
    assert draws(bucket, client_id, 3)


def test_parts_of_a_point_are_not_lost(later: Later, client_id: str) -> None:
    bucket = Bucket("slow", 10, 0.01)
    assert draws(bucket, client_id, 10)
    for _ in range(9):
        later(client_id, 10)
        assert not draws(bucket, client_id)
    later(client_id, 10)
    assert draws(bucket, client_id)


def test_points_given_back_are_there_again_but_never_more_than_the_bucket_holds(later: Later, client_id: str) -> None:
    bucket = Bucket("slow", 10, 0.01)
    assert draws(bucket, client_id, 8)
    give_back(client_id, bucket, 5)
    assert left(bucket, client_id) == 7
    give_back(client_id, bucket, 5)
    assert standing(bucket, client_id, 0) == Standing(bucket, 10, 0.0, 0.0)
    give_back(client_id, bucket, 5)
    assert left(bucket, client_id) == 10
    assert standing(bucket, client_id, -5) == Standing(bucket, 10, 0.0, 0.0)


def test_a_bucket_that_was_made_smaller_holds_no_more_than_its_size(later: Later, client_id: str) -> None:
    assert draws(POINTS, client_id, 10)
    smaller = Bucket("points", 20, 10)
    assert left(smaller, client_id) == 20
    assert draws(smaller, client_id, 20)
    assert not draws(smaller, client_id, 20)


def test_a_bucket_that_was_made_larger_fills_up(later: Later, client_id: str) -> None:
    assert draws(POINTS, client_id, 60)
    larger = Bucket("points", 1000, 10)
    assert 40 <= left(larger, client_id) <= 40 + 10 * SOON
    later(client_id, 3)
    assert 70 <= left(larger, client_id) <= 70 + 10 * SOON


# A window


def test_a_window_lets_so_many_times_and_says_when_to_come_back(later: Later, client_id: str) -> None:
    assert [standing(TIMES, client_id, 1).remaining for _ in range(3)] == [2, 1, 0]
    refused = standing(TIMES, client_id, 1)
    assert refused.remaining == 0
    assert 60 - SOON <= refused.retry_after <= refused.reset_after <= 60


def test_a_window_slides(later: Later, client_id: str) -> None:
    assert draws(TIMES, client_id, 2)
    later(client_id, 40)
    assert draws(TIMES, client_id)
    assert 20 - SOON <= standing(TIMES, client_id, 2).retry_after <= 20
    assert 60 - SOON <= standing(TIMES, client_id, 3).retry_after <= 60
    later(client_id, 20)
    assert left(TIMES, client_id) == 2
    later(client_id, 40)
    assert standing(TIMES, client_id, 0) == Standing(TIMES, 3, 0.0, 0.0)


def test_a_window_that_was_made_smaller_lets_nobody_in_until_enough_have_left(later: Later, client_id: str) -> None:
    assert draws(TIMES, client_id, 3)
    smaller = Window("times", 1, 60)
    assert wanting(client_id, (smaller, 0)).granted, "who only looks is never refused"
    refused = standing(smaller, client_id, 1)
    assert refused.remaining == 0
    assert 60 - SOON <= refused.retry_after <= 60


# Both


@pytest.mark.parametrize(("limit", "size"), [(POINTS, 100), (TIMES, 3)])
def test_more_than_a_limit_holds_is_never_there(
    later: Later, client_id: str, limit: Bucket | Window, size: int
) -> None:
    assert standing(limit, client_id, size + 1) == Standing(limit, size, math.inf, 0.0)
    assert draws(limit, client_id, size)
    assert standing(limit, client_id, size + 1).retry_after == math.inf


def test_one_draws_from_all_limits_or_from_none(later: Later, client_id: str) -> None:
    other = Bucket("other", 10, 0.01)
    wanted = ((TIMES, 1), (POINTS, 0), (other, 4))
    assert [wanting(client_id, *wanted).granted for _ in range(3)] == [True, True, False]
    refused = wanting(client_id, *wanted)
    assert [each.limit for each in refused.standings] == [TIMES, POINTS, other]
    assert [each.remaining for each in refused.standings] == [1, 100, 2]
    assert [each.retry_after > 0 for each in refused.standings] == [False, False, True]
    assert refused.retry_after == refused.standings[2].retry_after
    assert draws(TIMES, client_id)
    both = wanting(client_id, *wanted)
    assert both.retry_after == max(each.retry_after for each in both.standings) > both.standings[0].retry_after > 0


def test_nothing_wanted_is_granted(later: Later, client_id: str) -> None:
    assert take(client_id, []) == Taken(True, ())
    assert take(client_id, []).retry_after == 0.0


def test_who_looks_changes_nothing(later: Later, client_id: str) -> None:
    assert wanting(client_id, (POINTS, 50), (TIMES, 1)).granted
    before = wanting(client_id, (POINTS, 0), (TIMES, 0))
    later(client_id, 1)
    after = wanting(client_id, (POINTS, 0), (TIMES, 0))
    assert [each.remaining for each in before.standings] == [50, 2]
    assert 60 <= after.standings[0].remaining <= 60 + 10 * SOON
    assert after.standings[1].reset_after <= before.standings[1].reset_after - 1


def test_clients_and_limits_do_not_know_of_each_other(later: Later, client_id: str) -> None:
    one, other = Bucket("one", 1, 0.01), Bucket("other", 1, 0.01)
    assert [draws(one, client_id), draws(one, client_id + "x"), draws(other, client_id)] == [True] * 3
    assert [draws(one, client_id), draws(one, client_id + "x"), draws(other, client_id)] == [False] * 3


@pytest.mark.parametrize(
    "name", ["", "}", "{}", "{a}", "}{", "%", "%}", "a:b", "::1", "ä ö", "*", "a\nb", "x@y.example"]
)
def test_any_text_may_name_a_client(later: Later, client_id: str, name: str) -> None:
    limit, others = Window(client_id, 1, 60), {f"%{name}", f"{name}%", f"{name}}}"}
    assert [draws(limit, name) for _ in range(2)] == [True, False]
    assert [draws(limit, other) for other in others] == [True] * len(others)


def test_of_many_at_once_exactly_as_many_as_may_are_let(later: Later, client_id: str) -> None:
    window, barrier = Window("test", 50, 60), threading.Barrier(16)

    def greedily() -> int:
        barrier.wait(10)
        return sum(draws(window, client_id) for _ in range(10))

    with ThreadPoolExecutor(16) as pool:
        let = [each.result() for each in [pool.submit(greedily) for _ in range(16)]]
    assert sum(let) == 50


def test_many_who_want_several_at_once_get_whole_draws(later: Later, client_id: str) -> None:
    wanted = ((Bucket("points", 50, 0.001), 7), (Window("times", 100, 60), 3))
    with ThreadPoolExecutor(16) as pool:
        let = list(pool.map(lambda _: wanting(client_id, *wanted).granted, range(32)))
    assert Counter(let) == {True: 7, False: 25}
    assert [each.remaining for each in wanting(client_id, (wanted[0][0], 0), (wanted[1][0], 0)).standings] == [1, 79]


def test_many_never_get_more_than_the_bucket_held_and_what_came_in(client_id: str) -> None:
    bucket, began = Bucket("fast", 100, 500), time.monotonic()
    end = began + 0.5

    def greedily(_: int) -> int:
        return sum(3 * draws(bucket, client_id, 3) for _ in takewhile(lambda _: time.monotonic() < end, count()))

    with ThreadPoolExecutor(8) as pool:
        drawn = sum(pool.map(greedily, range(8)))
    came_in = 500 * (time.monotonic() - began)
    assert 200 < drawn <= 100 + came_in
