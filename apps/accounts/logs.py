"""What every line of a log carries."""

import logging
from http import HTTPStatus

from .origin import correlation_id


class CorrelationFilter(logging.Filter):
    """Let a log's format name the request that a line belongs to, as `{correlation_id}`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the correlation id to the line; a dash outside of any request."""
        request = getattr(record, "request", None)  # Django tells of refused requests after the last middleware
        record.correlation_id = correlation_id() or getattr(request, "correlation_id", "") or "-"
        return True


class UnlimitedFilter(logging.Filter):
    """Drops the lines of requests that were over a limit: who sends too many is not to fill the log with them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to keep a line."""
        return getattr(record, "status_code", None) != HTTPStatus.TOO_MANY_REQUESTS
