"""How long searches take, for Prometheus."""

from typing import Final

from prometheus_client import Histogram

from apps.throttle.metrics import Lookups

LOOKUPS: Final = Lookups("search")
BUCKETS: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SECONDS: Final = Histogram(
    "search_duration_seconds",
    "How long searches take that are answered; cached: from Redis.",
    ["cached"],
    buckets=BUCKETS,
)
DURATIONS: Final = {is_cached: SECONDS.labels(str(is_cached).lower()) for is_cached in (False, True)}
