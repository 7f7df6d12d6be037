"""What was compiled, kept for as long as it is asked for."""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Final, Generic, TypeVar

from cachetools import LRUCache
from django.conf import settings

T = TypeVar("T")

MOST_NEW: Final = 5_000
"""So many new things are counted; those that come once only drive out each other, and nothing that was compiled."""


class Kept(Generic[T]):
    """What was compiled last, so much of it; each when it has been asked for COMPILE_AFTER times before."""

    def __init__(self, most: int) -> None:
        """Keep nothing yet."""
        self._made: LRUCache[Hashable, T] = LRUCache(most)
        self._asked: LRUCache[Hashable, int] = LRUCache(MOST_NEW)
        self._lock = Lock()

    def get(self, key: Hashable, compiled: Callable[[], T]) -> T | None:
        """Return what is kept under a key, compiled if need be; None while it is new."""
        with self._lock:
            found = self._made.get(key)
            if found is None and self._is_new(key):
                return None
        if found is None:
            found = compiled()
            self.keep(key, found)
        return found

    def keep(self, key: Hashable, made: T) -> None:
        """Keep something under a key."""
        with self._lock:
            self._made[key] = made

    def __len__(self) -> int:
        """Return how much is kept."""
        return len(self._made)

    def _is_new(self, key: Hashable) -> bool:
        asked = self._asked.pop(key, 0)
        if asked < settings.COMPILE_AFTER:
            self._asked[key] = asked + 1
        return bool(asked < settings.COMPILE_AFTER)
