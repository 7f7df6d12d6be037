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
    """Return an answer as JSON; raises TypeError for what JSON does not have."""
    return orjson.dumps(answer, default=JsonList.fragment)


def lasting_json_of(value: Any) -> bytes:
    """Return a value as JSON that is kept: a copy, for orjson takes a kilobyte at first, and leaves a hole of it."""
    return json_of(value).decode().encode()
