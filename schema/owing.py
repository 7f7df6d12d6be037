"""Time that is owed and was not told yet: what a quick request takes is too little to tell Redis of by itself."""

from threading import Lock
from typing import Final

WORTH_TELLING: Final = 20.0
"""Milliseconds. So much may be missing from what Redis knows of a client, for each process."""

MOST_CLIENTS: Final = 10_000
"""Of more, what little each owes is forgotten."""


class Owing:
    """Adds up what clients owe."""

    def __init__(self) -> None:
        """Start with nothing owed."""
        self._lock = Lock()
        self._owed: dict[str, float] = {}

    def due(self, client: str, milliseconds: float, *, anyway: bool) -> int:
        """Add to what a client owes; return the whole milliseconds to tell now, 0 unless they are many.

        With `anyway` something else is told, and they go along.
        """
        with self._lock:
            owed = self._owed.get(client, 0.0) + milliseconds
            told = int(owed) if anyway or owed >= WORTH_TELLING else 0
            if client not in self._owed and len(self._owed) >= MOST_CLIENTS:
                self._owed.clear()
            self._owed[client] = owed - told
        return told
