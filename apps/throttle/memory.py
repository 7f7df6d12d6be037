"""The limits that each process keeps for itself while Redis is away: what `limits.lua` does, in Python."""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import chain
from typing import Final, Protocol

from .terms import MICRO, Draw

MAX_CLIENTS: Final = 10_000
"""So many clients are remembered; the one that was quiet longest is forgotten first."""


class State(Protocol):
    """How a limit of a client stands: looked at first, then asked and drawn from."""

    def look(self, size: int, pace: float, now: int) -> None:
        """Let the time pass until now, in microseconds."""

    def remaining(self) -> int:
        """Return how much is left."""

    def wait(self, wanted: int) -> int:
        """Return after how many microseconds so much will be there."""

    def reset(self) -> int:
        """Return after how many microseconds the limit will be whole."""

    def draw(self, wanted: int) -> None:
        """Take so much."""


class _Bucket:
    """Keep how many millionths of a point there were, and when."""

    def __init__(self) -> None:
        """Begin full, whatever the size."""
        self._points, self._at = math.inf, 0

    def look(self, size: int, pace: float, now: int) -> None:
        self._size, self._rate, self._now = size * MICRO, pace, now
        self._level = int(min(self._size, self._points + math.floor((now - self._at) * pace)))

    def remaining(self) -> int:
        return max(0, self._level // MICRO)

    def wait(self, wanted: int) -> int:
        return max(0, math.ceil((wanted * MICRO - self._level) / self._rate))

    def reset(self) -> int:
        return math.ceil((self._size - self._level) / self._rate)

    def draw(self, wanted: int) -> None:
        self._level = max(-self._size, min(self._size, self._level - wanted * MICRO))
        self._points, self._at = self._level, self._now


class _Window:
    """Keep the times that count, the newest first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._times: deque[int] = deque()

    def look(self, size: int, pace: float, now: int) -> None:
        self._count, self._span, self._now = size, math.ceil(pace * MICRO), now
        while self._times and self._times[-1] <= now - self._span:
            self._times.pop()

    def remaining(self) -> int:
        return max(0, self._count - len(self._times))

    def wait(self, wanted: int) -> int:
        return 0 if wanted <= self.remaining() else self._times[self._count - wanted] + self._span - self._now

    def reset(self) -> int:
        return self._times[0] + self._span - self._now if self._times else 0

    def draw(self, wanted: int) -> None:
        self._times.extendleft([self._now] * wanted)


KINDS: Final[dict[str, type[State]]] = {"bucket": _Bucket, "window": _Window}

_lock: Final = threading.Lock()
_clients: Final[OrderedDict[str, dict[str, State]]] = OrderedDict()


def draw(client: str, draws: Sequence[Draw], *, settles: bool = False) -> list[float]:
    """Draw, to settle whatever is there; return the numbers that `limits.lua` describes."""
    now = time.monotonic_ns() // 1000
    with _lock:
        held = _clients.setdefault(client, {})
        _clients.move_to_end(client)
        if len(_clients) > MAX_CLIENTS:
            _clients.popitem(last=False)
        states = [_look(held, each, now) for each in draws]
        waits = [_wait(state, each) for state, each in zip(states, draws, strict=True)]
        if settles or not any(waits):
            for state, each in zip(states, draws, strict=True):
                state.draw(each.wanted)
        triples = ((state.remaining(), wait, state.reset()) for state, wait in zip(states, waits, strict=True))
        return list(chain.from_iterable(triples))


def _look(held: dict[str, State], draw: Draw, now: int) -> State:
    kind, size, pace = draw.limit.terms
    state = held.setdefault(draw.limit.name, KINDS[kind]())
    state.look(size, pace, now)
    return state


def _wait(state: State, draw: Draw) -> float:
    _, size, _ = draw.limit.terms
    return math.inf if draw.wanted > size else state.wait(draw.wanted)
