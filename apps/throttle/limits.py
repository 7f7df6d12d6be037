"""Limits of what a client may do: kept in Redis, and in the process while Redis is away."""

from collections.abc import Iterable, Sequence

from django.conf import settings

from . import memory, script
from .metrics import HITS, REDIS_AWAY
from .server import REST, server
from .terms import MICRO, Bucket, Draw, Limit, Standing, Taken, Window

__all__ = [
    "Bucket",
    "Draw",
    "Limit",
    "LimitsUnavailableError",
    "Standing",
    "Taken",
    "Window",
    "give_back",
    "settle",
    "take",
]


class LimitsUnavailableError(Exception):
    """Raised when Redis is away and LIMITS_FAIL_CLOSED says to refuse then."""

    def __init__(self, retry_after: float) -> None:
        """Remember after how many seconds it is worth trying again."""
        super().__init__(f"The limits can't be looked up; try again in {retry_after:g} s.")
        self.retry_after = retry_after


def take(client: str, draws: Sequence[Draw]) -> Taken:
    """Draw from several limits of a client, each named once: from all of them or from none, in one round trip.

    Raises LimitsUnavailableError.
    """
    numbers = server.attempt(lambda: script.ask(client, draws), otherwise=None)
    if numbers is None:
        if settings.LIMITS_FAIL_CLOSED:
            HITS.labels(REDIS_AWAY).inc()
            raise LimitsUnavailableError(REST)
        numbers = memory.draw(client, draws)
    taken = _taken(draws, numbers)
    if not taken.granted:
        for standing in taken.standings:
            if standing.retry_after:
                HITS.labels(standing.limit.name).inc()
    return taken


def settle(client: str, draws: Sequence[Draw]) -> None:
    """Draw from buckets what has turned out to be due, and give back what is less than 0; does not wait for Redis.

    A bucket that holds less owes the rest, up to its capacity, and nothing is had from it until that is restored.
    """
    if server.is_away:
        memory.draw(client, draws, settles=True)
    else:
        server.attempt(lambda: script.tell(client, draws), otherwise=None)


def give_back(client: str, bucket: Bucket, points: int) -> None:
    """Give points back that were drawn and not used; does not wait for Redis to answer."""
    settle(client, [Draw(bucket, -points)])


def _taken(draws: Sequence[Draw], numbers: Iterable[float]) -> Taken:
    """Read the three numbers of each draw that `limits.lua` describes."""
    following = iter(numbers)
    standings = tuple(
        Standing(draw.limit, int(remaining), wait / MICRO, reset / MICRO)
        for draw, remaining, wait, reset in zip(draws, following, following, following, strict=True)
    )
    return Taken(not any(each.retry_after for each in standings), standings)
