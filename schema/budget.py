"""What clients may spend: points for all they ask, searches, and our time.

Points and searches are drawn before anything runs, for all of a request at once. How long something takes shows only
when it has run, so time is owed: who owes some waits until it is restored. A price says what an operation brings; the
time it takes, to count a million rows or to read many fragments, keeps what the price can't see in bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf
from time import monotonic
from typing import Any, Final

import strawberry
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import User
from apps.throttle.limits import Bucket, Draw, Limit, LimitsUnavailableError, Standing, Taken, Window, settle, take
from apps.throttle.metrics import HITS

from .context import Context
from .cost import LEAST, Line
from .errors import QueryTooComplexError, RateLimitedError, RequestError
from .owing import Owing
from .running import SLOW, Running, TooManyRunningError

MILLISECONDS: Final = 1000
POINTS: Final = Bucket("points", settings.COST_BUCKET, settings.COST_RESTORE_RATE)
TIME: Final = Bucket("time", settings.TIME_BUCKET * MILLISECONDS, settings.TIME_RESTORE_RATE * MILLISECONDS)
"""In milliseconds."""

AT_ONCE: Final = "at-once"
"""What refuses requests beside slow ones of the same person, in the metric of limits."""

MAX_DEBTORS: Final = 10_000
_debtors: Final[dict[str, tuple[float, Sequence[Standing]]]] = {}
"""Until when those wait who were found to owe time, by this process's clock, and how their limits stood then."""

_running: Final = Running(settings.AT_ONCE - 1)
_owing: Final = Owing()

SEARCHES: Final = Window("search", settings.SEARCH_RATE_LIMIT, settings.SEARCH_RATE_SECONDS)


@strawberry.type(description="What this operation costs, and what you may spend.")
class RateLimit:
    """What an operation costs, and what its client may spend."""

    cost: int = strawberry.field(description="What this operation costs at most; what it does not bring is given back.")
    limit: int = strawberry.field(description="How many points you can have.")
    remaining: int = strawberry.field(description="How many you have left, this operation paid.")
    restore_rate: int = strawberry.field(description="How many are restored each second.")
    reset_at: datetime = strawberry.field(description="When you will have all of them again, if you spend none.")


def rate_limit(info: strawberry.Info[Context, None]) -> RateLimit | None:
    """Return how the actor's budget stands; None when costs are not limited."""
    price, charge = info.context.price, info.context.charge
    standing = charge.points if charge else None
    if standing is None:
        return None
    return RateLimit(
        cost=price,
        limit=POINTS.capacity,
        remaining=standing.remaining,
        restore_rate=settings.COST_RESTORE_RATE,
        reset_at=_later(standing.reset_after),
    )


@dataclass(slots=True)
class Charge:
    """What a request has drawn from its actor's limits."""

    client: str
    drawn: int
    standings: Sequence[Standing]

    @property
    def points(self) -> Standing | None:
        """How the points stand; None when costs are not limited."""
        return next((each for each in self.standings if each.limit is POINTS), None)

    def settle(self, actual: int, milliseconds: float) -> None:
        """Give back the points that were drawn and not spent, and owe the time that it took."""
        if self.points is None:
            return
        spare = max(0, self.drawn - actual)
        due = _owing.due(self.client, milliseconds, anyway=bool(spare))
        changes = [Draw(POINTS, -spare)] * bool(spare) + [Draw(TIME, due)] * bool(due)
        if not changes:
            return
        settle(self.client, changes)
        self.standings = [_changed(each, changes) for each in self.standings]

    def told(self, requested: int, actual: int, lines: Sequence[Line] | None = None) -> dict[str, Any] | None:
        """Return what a response says of its cost; None when costs are not limited."""
        standing = self.points
        if standing is None and lines is None:
            return None
        told: dict[str, Any] = {"requested": requested, "actual": actual}
        if standing is not None:
            told |= {
                "limit": POINTS.capacity,
                "remaining": standing.remaining,
                "restoreRate": settings.COST_RESTORE_RATE,
                "resetAt": _later(standing.reset_after).isoformat(),
            }
        return told if lines is None else {**told, "breakdown": [line._asdict() for line in lines]}

    def headers(self) -> dict[str, str]:
        """Return the headers that tell how the limits stand, as the IETF's draft on rate limit headers has them."""
        if not self.standings:
            return {}
        return {
            "RateLimit-Policy": ", ".join(map(_policy, self.standings)),
            "RateLimit": ", ".join(
                f'"{each.limit.name}";r={each.remaining};t={ceil(each.reset_after)}' for each in self.standings
            ),
        }


class OverBudgetError(Exception):
    """Raised when a request costs more than its actor has; holds what to tell, and how the limits stand."""

    def __init__(self, charge: Charge, requested: int, told: RequestError) -> None:
        """Remember the charge, which has drawn nothing, and the error: it can be had later, or never."""
        super().__init__(told.message)
        self.charge, self.requested, self.told = charge, requested, told


def client_of(actor: User) -> str:
    """Return by what name an actor's limits are kept."""
    return f"{actor.tenant_id}:{actor.pk}"


class Admission:
    """Lets a request of an actor be read and run inside."""

    def __init__(self, actor: User) -> None:
        """Remember whose it is."""
        self._client, self._begun = client_of(actor), 0.0

    def __enter__(self) -> None:
        """Begin.

        Raises OverBudgetError for who is known to owe time, for to find out what they ask for would take more of it,
        and for who has as many slow requests running as may be.
        """
        _refuse_debtor(self._client)
        try:
            self._begun = _running.enter(self._client)
        except TooManyRunningError as error:
            HITS.labels(AT_ONCE).inc()
            message = f"You have {_running.most} slow requests running here; wait until one of them is done."
            raise OverBudgetError(Charge(self._client, 0, ()), LEAST, RateLimitedError(message, SLOW)) from error

    def __exit__(self, *_: object) -> None:
        """End."""
        _running.leave(self._client, self._begun)


def _refuse_debtor(client: str) -> None:
    until, standings = _debtors.get(client, (0.0, ()))
    wait = until - monotonic()
    if wait > 0 and settings.ENABLE_COST_LIMIT:
        HITS.labels(TIME.name).inc()
        raise OverBudgetError(Charge(client, 0, standings), LEAST, _too_soon(TIME, LEAST, 0, wait))


def check_price(points: int) -> None:
    """Refuse what costs more than one operation may, whoever asks for it.

    Raises QueryTooComplexError.
    """
    most = settings.COST_LIMIT
    if settings.ENABLE_COST_LIMIT and points > most:
        message = f"This operation costs {points} points; one may cost {most}. Ask for shorter pages, or in parts."
        raise QueryTooComplexError(message, cost=points, limit=most)


def charge(actor: User, points: int, searches: int) -> Charge:
    """Draw what a request costs from its actor's limits; nothing looks how they stand.

    Raises OverBudgetError when they can't be had.
    """
    client, draws = client_of(actor), []
    if settings.ENABLE_COST_LIMIT:
        draws += [Draw(POINTS, points), Draw(TIME, 0)]
    if settings.ENABLE_SEARCH_RATE_LIMITING and searches:
        draws.append(Draw(SEARCHES, searches))
    if not draws:
        return Charge(client, 0, ())
    try:
        taken = take(client, draws)
    except LimitsUnavailableError as error:
        unknown = RateLimitedError("What you may spend can't be looked up just now. Try again.", error.retry_after)
        raise OverBudgetError(Charge(client, 0, ()), points, unknown) from error
    if not taken.granted:
        _remember(client, taken)
        raise _refusal(Charge(client, 0, taken.standings), taken, points, searches)
    return Charge(client, points, taken.standings)


def _refusal(charge: Charge, taken: Taken, points: int, searches: int) -> OverBudgetError:
    blocking = max(taken.standings, key=lambda each: each.retry_after)
    if blocking.retry_after == inf:
        wanted = f"{points} points" if blocking.limit is POINTS else f"{searches} searches"
        never = QueryTooComplexError(f"This takes {wanted}, more than you can ever have at once; ask in parts.")
        return OverBudgetError(charge, points, never)
    later = _too_soon(blocking.limit, points, blocking.remaining, blocking.retry_after)
    return OverBudgetError(charge, points, later)


def _too_soon(limit: Limit, points: int, remaining: int, wait: float) -> RateLimitedError:
    why = {
        POINTS: f"This takes {points} points and you have {remaining}; {settings.COST_RESTORE_RATE} are restored each "
        "second.",
        TIME: f"Your requests have kept us busy for more than {settings.TIME_BUCKET} s.",
        SEARCHES: f"You may search {SEARCHES.count} in {SEARCHES.seconds:g} seconds at most.",
    }
    return RateLimitedError(f"{why[limit]} Try again in {ceil(wait)} s.", wait)


def _remember(client: str, taken: Taken) -> None:
    wait = next((each.retry_after for each in taken.standings if each.limit is TIME), 0.0)
    if wait:
        if len(_debtors) >= MAX_DEBTORS:
            _debtors.clear()
        _debtors[client] = monotonic() + wait, taken.standings


def _changed(standing: Standing, changes: Sequence[Draw]) -> Standing:
    change = next((each for each in changes if each.limit is standing.limit), None)
    if change is None or not isinstance(change.limit, Bucket):
        return standing
    remaining = max(0, min(change.limit.capacity, standing.remaining - change.wanted))
    reset_after = max(0.0, standing.reset_after + change.wanted / change.limit.rate)
    return Standing(change.limit, remaining, standing.retry_after, reset_after)


def _policy(standing: Standing) -> str:
    limit = standing.limit
    quota, window = (
        (limit.capacity, limit.capacity / limit.rate) if isinstance(limit, Bucket) else (limit.count, limit.seconds)
    )
    return f'"{limit.name}";q={quota};w={ceil(window)}'


def _later(seconds: float) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)
