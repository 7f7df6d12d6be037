"""What is remembered of earlier changes, for those who must not import who remembers it.

The audit trail stands on everything else, and nothing imports it. It takes its place here when the server starts.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db import models


class PastChange(NamedTuple):
    """How a field differs from what a reader saw, and who changed it last; values as the trail holds them."""

    field: str
    before: Any
    after: Any
    changed_by: int | None
    changed_at: datetime


class Past(NamedTuple):
    """The changes between two versions of a row; `complete` when the trail holds every version in between.

    `authors` are the keys of who saved it, also without changing anything; None for commands.
    """

    changes: tuple[PastChange, ...] = ()
    complete: bool = False
    authors: tuple[int | None, ...] = ()


class Trail(Protocol):
    """Whoever remembers changes."""

    def changes_since(self, model: type[models.Model], versions: Mapping[int, tuple[int, int]]) -> dict[int, Past]:
        """Return what happened to rows between two versions of each, by their keys."""


_trails: list[Trail] = []


def keep_trail(trail: Trail) -> None:
    """Make this the trail that is asked."""
    _trails[:] = [trail]


def changes_since(model: type[models.Model], versions: Mapping[int, tuple[int, int]]) -> dict[int, Past]:
    """Return what happened to rows, each given by its key and the versions between which it changed.

    A row of which nothing is remembered has an incomplete past without changes.
    """
    known = _trails[0].changes_since(model, versions) if _trails and versions else {}
    return {key: known.get(key, Past()) for key in versions}
