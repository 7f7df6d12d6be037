"""What a worker holds just now: connections to the database, requests that wait, plans.

Gauges are looked at now and then, not kept up: a request would pay for that.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS
from django.db.backends.postgresql.base import DatabaseWrapper
from prometheus_client import Gauge

EVERY: Final = 2.0
"""Seconds between two looks of a worker."""

SIZE: Final = Gauge("database_pool_size", "Connections to the database that are open.", multiprocess_mode="livesum")
IN_USE: Final = Gauge(
    "database_pool_in_use", "Connections to the database that a request holds.", multiprocess_mode="livesum"
)
WAITING: Final = Gauge(
    "database_pool_waiting", "Requests that wait for a connection to the database.", multiprocess_mode="livesum"
)
TURNS_WAITING: Final = Gauge(
    "requests_waiting", "Requests that are here and wait for their turn.", multiprocess_mode="livesum"
)
PLANS: Final = Gauge(
    "compiled_plans",
    "Plans of operations that are kept: how they are read, or why they are not compiled.",
    multiprocess_mode="livesum",
)

Number = Callable[[], int]


class Gauges:
    """The gauges of this process; whoever has something to tell says how to find it out."""

    def __init__(self) -> None:
        """Know of nothing that is kept open or waits."""
        self.idle: Number = _none
        """How many connections are kept open beside the pool, for the next request."""
        self.waiting: Number = _none
        """How many requests wait for their turn."""
        self.plans: Number = _none
        """How many plans are kept."""

    def sample(self) -> None:
        """Look at all of them."""
        pool = _pool_stats()
        size = pool.get("pool_size", 0)
        SIZE.set(size)
        IN_USE.set(max(0, size - pool.get("pool_available", 0) - self.idle()))
        WAITING.set(pool.get("requests_waiting", 0))
        TURNS_WAITING.set(self.waiting())
        PLANS.set(self.plans())

    def keep_sampling(self) -> None:
        """Look at them every few seconds from now on, in a thread: another worker may be the one that is asked."""
        threading.Thread(target=self._keep_sampling, name="gauges", daemon=True).start()

    def _keep_sampling(self) -> None:
        while True:
            self.sample()
            time.sleep(EVERY)


def _none() -> int:
    return 0


def _pool_stats() -> dict[str, Any]:
    """Return what the pool tells of itself; to ask Django for the pool would open it where nothing has."""
    pool = DatabaseWrapper._connection_pools.get(DEFAULT_DB_ALIAS)  # type: ignore[attr-defined]
    return pool.get_stats() if pool else {}


gauges: Final = Gauges()
