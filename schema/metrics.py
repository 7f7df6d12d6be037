"""How long requests of `/graphql` take, for Prometheus: by the operation's name, of which there are only so many."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock
from time import perf_counter
from typing import Final, Self

from django.conf import settings
from prometheus_client import Histogram

from .documents.trusted import registered
from .errors import INTERNAL
from .preparing import Answer

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SECONDS: Final = Histogram(
    "graphql_request_duration_seconds",
    "How long requests take, from the look at the body to the text of the answer.",
    ["operation", "outcome"],
    buckets=BUCKETS,
)

ANONYMOUS, BATCH, OTHER = "anonymous", "batch", "other"
OK: Final = "ok"
ERRORS: Final = "errors"
"""It ran, and some of it could not be answered."""

REFUSED: Final = "refused"
LIMITED: Final = "limited"
FAILED: Final = "failed"
"""By a fault of ours."""

MOST_NAMES: Final = 100
"""So many names of operations are told apart by a worker, besides those of registered documents."""

LONGEST_NAME: Final = 64
NAMED: Final = re.compile(r"\b(?:query|mutation|subscription)\s+(\w+)")


class Names:
    """Names of operations that are told apart: clients choose them, and must not fill Prometheus."""

    def __init__(self, most: int) -> None:
        """Know none yet."""
        self._most, self._known, self._lock = most, set[str](), Lock()

    def label(self, name: str | None, *, ran: bool) -> str:
        """Return a name by which to count; only what ran makes a new one."""
        if name is None:
            return ANONYMOUS
        if name in self._known or name in _registered(tuple(settings.TRUSTED_DOCUMENTS_PATH)):
            return name
        with self._lock:
            if not ran or len(self._known) >= self._most or len(name) > LONGEST_NAME:
                return OTHER
            self._known.add(name)
        return name


NAMES: Final = Names(MOST_NAMES)


@cache
def _registered(paths: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for text in registered(paths).values() for name in NAMED.findall(text))


class Timing:
    """Measures the time of one request, and counts it when it is left."""

    def __init__(self) -> None:
        """Start; what nobody says more of has failed."""
        self._started, self._operation, self._outcome = perf_counter(), ANONYMOUS, FAILED

    def note(self, answers: Sequence[Answer], *, is_batch: bool) -> None:
        """Note what became of the operations: of a batch, the worst."""
        if is_batch:
            self._operation, self._outcome = BATCH, max(map(outcome, answers), key=SEVERITY.index, default=REFUSED)
        else:
            [answer] = answers
            self._operation, self._outcome = NAMES.label(answer.operation, ran=answer.ran), outcome(answer)

    def note_limited(self, name: str | None, *, is_batch: bool) -> None:
        """Note that nothing has run, because the client may not have it now."""
        self._outcome, self._operation = LIMITED, BATCH if is_batch else NAMES.label(name, ran=False)

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Count the request."""
        _seconds(self._operation, self._outcome)(perf_counter() - self._started)


SEVERITY: Final = (OK, REFUSED, ERRORS, FAILED)


def outcome(answer: Answer) -> str:
    """Return in a word what became of an operation."""
    if not answer.errors:
        return OK
    if any((error.extensions or {}).get("code") == INTERNAL for error in answer.errors):
        return FAILED
    return ERRORS if answer.ran else REFUSED


@cache
def _seconds(operation: str, outcome: str) -> Callable[[float], None]:
    return SECONDS.labels(operation, outcome).observe
