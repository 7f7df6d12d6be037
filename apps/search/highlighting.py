"""Marks in the texts of an entity, as they were written, what a query found in them."""

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from .words import tokens

LONGEST: Final = 200
"""How many characters of a longer text are shown, around the first match."""

BEFORE: Final = 60
"""How many of them at most lie before it."""

ELLIPSIS: Final = "…"


class Fragment(NamedTuple):
    """A part of a text, and whether it is what was found."""

    text: str
    match: bool


class Highlight(NamedTuple):
    """A text in which something was found, in fragments."""

    field: str
    fragments: list[Fragment]


def whole(field: str, text: str) -> Highlight:
    """Return a text that was found as a whole."""
    return Highlight(field, [Fragment(text, match=True)])


class Marker:
    """Knows the words that a query found."""

    def __init__(self, words: Collection[str], beginnings: Iterable[str]) -> None:
        """Remember the words, and how words begin that are found by their beginning."""
        self._words, self._beginnings = words, tuple(beginnings)

    def highlight(self, field: str, text: str) -> Highlight | None:
        """Return a text with what was found in it; None if nothing was."""
        spans = _joined(
            (token.start, token.end)
            for token in tokens(text)
            if token.word in self._words or (self._beginnings and token.word.startswith(self._beginnings))
        )
        return Highlight(field, list(_fragments(text, spans))) if spans else None


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in their order, those that overlap as one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _fragments(text: str, spans: list[tuple[int, int]]) -> Iterable[Fragment]:
    first, last = _window(text, spans[0][0])
    at, lead = first, ELLIPSIS if first else ""
    for start, end in spans:
        if start >= last:
            break
        if lead or start > at:
            yield Fragment(lead + text[at:start], match=False)
        at, lead = min(end, last), ""
        yield Fragment(text[start:at], match=True)
    rest = text[at:last] + (ELLIPSIS if last < len(text) else "")
    if rest:
        yield Fragment(rest, match=False)


def _window(text: str, match: int) -> tuple[int, int]:
    """Return which part of a text to show: all of a short one."""
    if len(text) <= LONGEST:
        return 0, len(text)
    first = max(0, min(match - BEFORE, len(text) - LONGEST))
    last = first + LONGEST
    first = text.find(" ", first, match) + 1 or first if first else 0
    return first, last if last == len(text) or (cut := text.rfind(" ", match, last)) < 0 else cut
