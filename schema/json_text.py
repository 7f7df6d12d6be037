"""Answers as JSON. Parts of them can be JSON already."""

from collections.abc import Sequence
from typing import Any

import orjson


class JsonList:
    """A list whose items are JSON already."""

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[bytes]) -> None:
        """Hold the items."""
        self._items = items

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._items)

    def fragment(self) -> orjson.Fragment:
        """Return what orjson writes as it is."""
        return orjson.Fragment(b"[%b]" % b",".join(self._items))


def json_of(answer: Any) -> bytes:
    """Return an answer as JSON."""
    return orjson.dumps(answer, default=_part)


def _part(value: Any) -> orjson.Fragment:
    if isinstance(value, JsonList):
        return value.fragment()
    raise TypeError(f"{type(value).__name__} is nothing that JSON has")
