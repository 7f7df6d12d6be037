"""What the throttle, and whoever else speaks to Redis, counts for Prometheus."""

from typing import Final

from prometheus_client import Counter

CONNECTION_ERRORS: Final = Counter("redis_connection_errors_total", "Calls of Redis that failed because it was away.")
HITS: Final = Counter(
    "rate_limit_hits_total", "Draws, and requests before any draw, that were refused, by what refused them.", ["limit"]
)
REDIS_AWAY: Final = "redis-away"
"""What refuses draws from any limit while Redis is away, with LIMITS_FAIL_CLOSED."""
CACHE_REQUESTS: Final = Counter(
    "redis_cache_requests", "Looks into a cache in Redis, those while Redis was away among them.", ["cache"]
)
CACHE_HITS: Final = Counter("redis_cache_hits", "Looks into a cache in Redis that found something.", ["cache"])


class Lookups:
    """Counts the looks into one cache."""

    def __init__(self, cache: str) -> None:
        """Begin with none."""
        self._requests, self._hits = CACHE_REQUESTS.labels(cache), CACHE_HITS.labels(cache)

    def count(self, *, found: bool) -> None:
        """Count a look, and whether it found something."""
        self._requests.inc()
        if found:
            self._hits.inc()
