"""What the throttle counts for Prometheus."""

from typing import Final

from prometheus_client import Counter

CONNECTION_ERRORS: Final = Counter("redis_connection_errors_total", "Calls of Redis that failed because it was away.")
HITS: Final = Counter("rate_limit_hits_total", "Draws that were refused, by the limit that refused them.", ["limit"])
