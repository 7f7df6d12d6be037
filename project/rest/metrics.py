"""How long bulks by REST take, for Prometheus."""

from http import HTTPStatus
from time import perf_counter
from typing import Final, Self

from prometheus_client import Histogram

from schema.metrics import BUCKETS

SECONDS: Final = Histogram(
    "rest_request_duration_seconds",
    "How long bulks by REST take, with what is refused, from the look at the token to the answer.",
    ["resource", "status"],
    buckets=BUCKETS,
)


class Timing:
    """Measures the time of one request, and counts it when it is left; what sets no status has failed."""

    def __init__(self, resource: str) -> None:
        """Start."""
        self._started, self._resource = perf_counter(), resource
        self.status: int = HTTPStatus.INTERNAL_SERVER_ERROR

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(self, *_: object) -> None:
        """Count the request."""
        SECONDS.labels(self._resource, str(int(self.status))).observe(perf_counter() - self._started)
