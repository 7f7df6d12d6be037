"""How often a client may do something within a span of time.

The count is kept in Redis, by one script in one round trip, on one key for each client. While Redis is away each
process keeps its own of the same size.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.core.cache import cache as redis_cache
from django_redis import get_redis_connection

from .server import server

SCRIPT: Final = Path(__file__).with_name("window.lua")
MICROSECONDS: Final = 1_000_000
MAX_CLIENTS: Final = 10_000
"""So many clients a process remembers while Redis is away; the one that was quiet longest is forgotten first."""


class LimitExceededError(Exception):
    """Raised when a client has done something as often as it may."""

    def __init__(self, limit: "Window", retry_after: float) -> None:
        """Remember the limit, and after how many seconds it is worth trying again."""
        super().__init__(f"{limit.count} in {limit.seconds:g} seconds at most.")
        self.limit, self.retry_after = limit, retry_after


@dataclass(frozen=True, slots=True)
class Window:
    """So many times in any so many seconds."""

    name: str
    count: int
    seconds: float

    def draw(self, client: str, times: int = 1) -> None:
        """Let a client do it so many times; all of them or none.

        Raises LimitExceededError.
        """
        allowed, rest = server.attempt(lambda: self._in_redis(client, times), otherwise=None) or _local(
            self, client, times
        )
        if not allowed:
            raise LimitExceededError(self, rest / MICROSECONDS)

    def _in_redis(self, client: str, times: int) -> tuple[int, int]:
        # The braces make one slot of all keys of a client, in a cluster.
        key = redis_cache.make_key(f"limit:{{{client}}}:{self.name}")
        answer: list[int] = _script()(keys=[key], args=[self.count, int(self.seconds * MICROSECONDS), times])
        return answer[0], answer[1]


@cache
def _script() -> Any:
    return get_redis_connection("default").register_script(SCRIPT.read_text())


_lock: Final = threading.Lock()
_logs: Final[OrderedDict[tuple[str, str], deque[float]]] = OrderedDict()


def _local(window: Window, client: str, times: int) -> tuple[int, int]:
    """Do what the script does, for this process alone."""
    now = time.monotonic()
    with _lock:
        log = _logs.setdefault((window.name, client), deque())
        _logs.move_to_end((window.name, client))
        if len(_logs) > MAX_CLIENTS:
            _logs.popitem(last=False)
        while log and log[0] <= now - window.seconds:
            log.popleft()
        if len(log) + times > window.count:
            blocking = log[len(log) + times - window.count - 1] if times <= window.count else now
            return 0, math.ceil((blocking + window.seconds - now) * MICROSECONDS)
        log.extend([now] * times)
        return 1, window.count - len(log)
