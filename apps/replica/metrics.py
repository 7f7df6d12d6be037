"""What is counted of reads for Prometheus."""

from functools import lru_cache
from typing import Final

from prometheus_client import Counter, Gauge

READS: Final = Counter(
    "replica_reads_total",
    "Requests that only read: answered by the replica, or by the primary, and why.",
    ["answer"],
)
REPLICA: Final = "replica"
AWAY: Final = "primary_replica_away"
"""It can't be reached, is no replica, or is too far behind."""

WRITTEN: Final = "primary_after_write"
"""The client has written, or may have, what the replica does not hold yet."""

UNKNOWN: Final = "primary_redis_away"
"""Nobody knows whether the client has written."""

FAILED: Final = "primary_replica_failed"
"""The replica gave up in the midst of it."""


@lru_cache(maxsize=1)
def lag() -> Gauge:
    """Return the gauge of the replica's age, which is there from the first call on: without a replica there is none."""
    return Gauge(
        "replica_lag_seconds",
        "How old at most what the replica holds was when it was last looked at.",
        multiprocess_mode="livemax",
    )
