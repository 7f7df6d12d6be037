"""How many requests of one person this process runs at once: one fewer than it can, so that others find room.

What takes long shows only when it has taken long. So a person's requests wait for each other for a moment, which quick
ones never notice; when those that run turn out to be slow, further ones are refused until one of them is done.
"""

from threading import Condition
from time import monotonic
from typing import Final

SLOW: Final = 1.0
"""After so many seconds a request is slow."""


class TooManyRunningError(Exception):
    """Raised when a person has as many slow requests running as may be."""


class Running:
    """Knows when the requests that run were begun, by whom."""

    def __init__(self, most: int) -> None:
        """Let a person run so many at once."""
        self.most = max(1, most)
        self._begun: dict[str, list[float]] = {}
        self._changed = Condition()

    def enter(self, client: str) -> float:
        """Begin a request of a client, if need be after others of it; return when that was.

        Raises TooManyRunningError.
        """
        with self._changed:
            while len(mine := self._begun.setdefault(client, [])) >= self.most:
                rest = max(mine) + SLOW - monotonic()
                if rest <= 0:
                    raise TooManyRunningError
                self._changed.wait(rest)
            mine.append(monotonic())
            return mine[-1]

    def leave(self, client: str, begun: float) -> None:
        """End a request that was begun."""
        with self._changed:
            mine = self._begun[client]
            mine.remove(begun)
            if not mine:
                del self._begun[client]
            self._changed.notify_all()
