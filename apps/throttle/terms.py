"""What a limit is, what is wanted of it, and how it stands then."""

from dataclasses import dataclass
from typing import Final, NamedTuple

MICRO: Final = 1_000_000
"""So many microseconds make a second, and so many parts of it a point."""

Terms = tuple[str, int, float]
"""The kind of a limit, its size, and its pace: what `limits.lua` and `memory.py` go by."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Hold points, which are drawn and come back at a steady rate: `rate`, above 0, in a second."""

    name: str
    capacity: int
    rate: float

    @property
    def terms(self) -> Terms:
        """Return the limit's terms."""
        return "bucket", self.capacity, self.rate


@dataclass(frozen=True, slots=True)
class Window:
    """Let something be done so many times in any so many seconds."""

    name: str
    count: int
    seconds: float

    @property
    def terms(self) -> Terms:
        """Return the limit's terms."""
        return "window", self.count, self.seconds


Limit = Bucket | Window


class Draw(NamedTuple):
    """Say how much is wanted of a limit; 0 only looks."""

    limit: Limit
    wanted: int


class Standing(NamedTuple):
    """Tell how a limit stands after a draw, or after its refusal.

    `remaining` are the whole points, or the times, that are left. `retry_after` are the seconds until what was wanted
    will be there: 0 if it was, infinity if the limit is smaller. `reset_after` are those until the limit is whole.
    """

    limit: Limit
    remaining: int
    retry_after: float
    reset_after: float


class Taken(NamedTuple):
    """Tell whether what was wanted was granted, and how the limits stand, in the order of the draws."""

    granted: bool
    standings: tuple[Standing, ...]

    @property
    def retry_after(self) -> float:
        """Return after how many seconds all that was wanted will be there; 0 if it was granted."""
        return max((each.retry_after for each in self.standings), default=0.0)
