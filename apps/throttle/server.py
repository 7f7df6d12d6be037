"""Redis, which may be away: then what it would have done is done without, and the log says so once."""

import logging
import re
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import DataError, RedisClusterException, RedisError, ResponseError

from apps.tracing.spans import span

from .metrics import CONNECTION_ERRORS

logger = logging.getLogger(__name__)

R = TypeVar("R")

REST: Final = 2.0
"""For so many seconds after a failure nobody waits for Redis; then one tries."""

UNABLE: Final = re.compile(
    r"\b(?:ASK|BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|MOVED|NOPERM|NOREPLICAS|OOM|READONLY|TRYAGAIN|UNKILLABLE)\b"
)
"""What a server says that can't do now what it is asked. Redis 6 says it in the midst of a script's error."""


class Server:
    """Knows whether Redis was away when it was last asked."""

    def __init__(self) -> None:
        """Take it for present."""
        self._lock = threading.Lock()
        self._away, self._try_again_at = False, 0.0

    @property
    def is_away(self) -> bool:
        """Tell whether Redis was away when it was last asked."""
        return self._away

    def attempt(self, call: Callable[[], R], otherwise: R) -> R:
        """Return what a call of Redis returns, or the other value if Redis is away."""
        tries = self._away
        if tries and not self._is_my_turn():
            return otherwise
        try:
            with span("redis", db__system__name="redis"):
                answer = call()
        except (RedisError, RedisClusterException, ConnectionInterrupted, OSError) as error:
            if not _means_away(error):
                raise
            CONNECTION_ERRORS.inc()
            self._note(away=True, why=error)
            return otherwise
        if tries:
            self._note(away=False)
        return answer

    def _is_my_turn(self) -> bool:
        """Tell whether to try again: one does, and the others go on without waiting for what comes of it."""
        with self._lock:
            due = time.monotonic() >= self._try_again_at
            if due:
                self._try_again_at = time.monotonic() + REST
            return due

    def _note(self, *, away: bool, why: Exception | None = None) -> None:
        with self._lock:
            was_away, self._away, self._try_again_at = self._away, away, time.monotonic() + REST
        if away and not was_away:
            logger.warning("Redis is away; going on without it. %s", why)
        elif was_away and not away:
            logger.warning("Redis is back.")


def _means_away(error: BaseException) -> bool:
    """Tell an outage from a fault of ours, which is a command that the server understood and refuses."""
    if isinstance(error, ConnectionInterrupted) and error.__cause__:
        return _means_away(error.__cause__)
    if isinstance(error, ResponseError):
        return bool(UNABLE.search(f"{error.status_code} {error}"))
    return not isinstance(error, DataError)


server: Final = Server()
"""The one Redis that the settings name."""
