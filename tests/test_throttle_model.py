"""The limits against a model of them, in exact fractions, by chance: as Redis keeps them, and as the process does.

Time is let pass by making what Redis holds older. Meanwhile its own clock goes on, so each answer is held against the
model as it was just before, and just after; when something was drawn, Redis holds the very moment.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, Final
from uuid import uuid4

import pytest
from django_redis import get_redis_connection
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.throttle.limits import Bucket, Draw, Limit, Standing, Window, settle, take
from tests.buckets import age, held, in_memory

SECOND: Final = 1_000_000
BUCKETS: Final = (Bucket("small", 10, 0.3), Bucket("large", 1000, 16.7), Bucket("slow", 3, 0.0001))
LIMITS: Final[tuple[Limit, ...]] = (*BUCKETS, Window("short", 3, 1.5), Window("long", 7, 60))
SLACK: Final = Fraction(1, 10_000)
"""So much of a point the draws of an example may lose to rounding, each of them less than a millionth."""

Clock = Callable[[], int]
DrawnAt = Callable[[str, Sequence[Limit]], int | None]


class Model:
    """The limits of a client: what was left of each bucket and when, and the times that were drawn of each window."""

    def __init__(self) -> None:
        self.levels = {bucket: (Fraction(bucket.capacity), 0) for bucket in BUCKETS}
        self.times: dict[Window, list[int]] = {each: [] for each in LIMITS if isinstance(each, Window)}

    def available(self, limit: Limit, now: int) -> Fraction:
        if isinstance(limit, Bucket):
            level, since = self.levels[limit]
            return min(Fraction(limit.capacity), level + Fraction(limit.rate) * (now - since) / SECOND)
        return Fraction(limit.count - sum(now - time < limit.seconds * SECOND for time in self.times[limit]))

    def wait(self, limit: Limit, wanted: int, now: int) -> float:
        """Return after how many seconds so much will be there."""
        if wanted > size(limit):
            return math.inf
        missing = wanted - self.available(limit, now)
        if missing <= 0:
            return 0.0
        if isinstance(limit, Bucket):
            return float(missing / Fraction(limit.rate))
        return (self.times[limit][wanted - limit.count - 1] - now) / SECOND + limit.seconds

    def draw(self, limit: Limit, wanted: int, now: int) -> None:
        if isinstance(limit, Bucket):
            level = min(Fraction(limit.capacity), self.available(limit, now) - wanted)
            self.levels[limit] = max(-Fraction(limit.capacity), level), now
        else:
            self.times[limit].extend([now] * wanted)

    def grants(self, wanted: dict[Limit, int], now: int, slack: Fraction) -> bool:
        return all(each <= self.available(limit, now) + slack * bool(each) for limit, each in wanted.items())

    def let_pass(self, seconds: float) -> None:
        passed = round(seconds * SECOND)
        self.levels = {limit: (level, since - passed) for limit, (level, since) in self.levels.items()}
        self.times = {limit: [each - passed for each in times] for limit, times in self.times.items()}


class World:
    """The limits of two clients, beside the models of them."""

    def __init__(self, clock: Clock, later: Callable[[Iterable[str], float], None], drawn_at: DrawnAt) -> None:
        self.clock, self.later, self.drawn_at = clock, later, drawn_at
        self.models = {uuid4().hex: Model() for _ in range(2)}

    def follow(self, run: list[tuple[Any, ...]]) -> None:
        """Take so many steps, each a name, the number of the client, and what is given."""
        clients = list(self.models)
        for name, place, *rest in run:
            getattr(self, name)(clients[place], *rest)

    def take(self, client: str, wanted: dict[Limit, int]) -> None:
        before = self.clock()
        taken = take(client, [Draw(limit, each) for limit, each in wanted.items()])
        after = self.clock()
        model = self.models[client]
        assert model.grants(wanted, before, -SLACK) <= taken.granted <= model.grants(wanted, after, SLACK)
        if taken.granted and any(wanted.values()):
            drawn_at = self.drawn_at(client, [limit for limit, each in wanted.items() if each]) or after
            assert before <= drawn_at <= after
            before = after = drawn_at
            for limit, each in wanted.items():
                model.draw(limit, each, drawn_at)
        for limit, standing in zip(wanted, taken.standings, strict=True):
            self._compare(model, standing, 0 if taken.granted else wanted[limit], before, after)

    def _compare(self, model: Model, standing: Standing, wanted: int, before: int, after: int) -> None:
        limit = standing.limit
        least, most = (model.available(limit, now) for now in (before, after))
        assert max(0, math.floor(least - SLACK)) <= standing.remaining <= max(0, math.floor(most + SLACK))
        rounding = SLACK / Fraction(limit.rate if isinstance(limit, Bucket) else 1) + Fraction(2, SECOND)
        for told, asked in ((standing.retry_after, wanted), (standing.reset_after, size(limit))):
            longest, shortest = (model.wait(limit, asked, now) for now in (before, after))
            assert shortest - rounding <= told <= longest + rounding

    def settle(self, client: str, bucket: Bucket, points: int) -> None:
        settle(client, [Draw(bucket, points)])
        take(client, [Draw(bucket, 0)])  # over the same line: then the points are there
        self.models[client].draw(bucket, points, self.drawn_at(client, [bucket]) or self.clock())

    def let_pass(self, _client: str, seconds: float) -> None:
        self.later(self.models, seconds)
        for model in self.models.values():
            model.let_pass(seconds)


def size(limit: Limit) -> int:
    return limit.capacity if isinstance(limit, Bucket) else limit.count


def in_redis_drawn_at(client: str, limits: Sequence[Limit]) -> int | None:
    """Return when one of these limits was drawn from last, if Redis still holds any of them."""
    server: Any = get_redis_connection("default")
    names = [limit.name for limit in limits]
    keys = [key for key in held(client) if key.decode().rpartition(":")[2] in names]
    kept = [
        server.lindex(key, 0) if server.type(key) == b"list" else (server.get(key) or b"").rpartition(b"@")[2]
        for key in keys
    ]
    return max((int(each) for each in kept if each), default=None)


def in_redis_now() -> int:
    server: Any = get_redis_connection("default")
    seconds, rest = server.time()
    return int(seconds * SECOND + rest)


DUE: Final = st.sampled_from([-2000, -300, -5, -1, 0, 2, 7, 900])
TAKES: Final = st.dictionaries(st.sampled_from(LIMITS), st.sampled_from([0, 1, 1, 1, 2, 3, 7, 8, 11, 400]), min_size=1)
CLIENTS: Final = st.integers(0, 1)
STEPS: Final = st.one_of(
    st.tuples(st.just("take"), CLIENTS, TAKES),
    st.tuples(
        st.just("settle"), CLIENTS, st.sampled_from(BUCKETS), st.sampled_from([-2000, -300, -5, -1, 0, 2, 7, 900])
    ),
    st.tuples(st.just("let_pass"), CLIENTS, st.sampled_from([0.001, 0.05, 0.3, 1.5, 3.333, 9.5, 59.9, 60, 50_000])),
)
RUNS: Final = st.lists(STEPS, min_size=5, max_size=25)


@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(RUNS)
def test_what_redis_keeps_is_the_model(run: list[tuple[Any, ...]]) -> None:
    def later(clients: Iterable[str], seconds: float) -> None:
        for client in clients:
            age(client, seconds)

    World(in_redis_now, later, in_redis_drawn_at).follow(run)


@settings(derandomize=True, max_examples=100, deadline=None, database=None)
@given(RUNS)
def test_what_the_process_keeps_is_the_model(run: list[tuple[Any, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        later = in_memory(patch)
        World(lambda: 0, lambda _, seconds: later("", seconds), lambda *_: None).follow(run)
