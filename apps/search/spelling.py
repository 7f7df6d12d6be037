"""How a word of a query and a word of a text may differ.

The budget of edits grows with the length of the longer of the two, for it is letters that get lost: 0 up to 3 letters,
1 up to 7, 2 from 8 on; and 0 when 3 letters or fewer are asked. An edit is a letter more, less or another, or two
neighbours swapped (Optimal String Alignment). Codes are never misspelt.

Candidates are found by deletion keys (SymSpell, W. Garbe 2012): two words within the budget have a form in common that
either becomes by leaving letters out, and it suffices to look at their beginnings.
"""

from collections.abc import Collection, Iterable
from enum import IntEnum
from hashlib import blake2b
from itertools import combinations
from typing import Final

from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from .words import is_code

BEGINNING: Final = 7
"""How many letters of a word its deletion keys are made of."""

ONE_FROM, TWO_FROM, MAX_EDITS = 4, 8, 2


class Likeness(IntEnum):
    """How a word of a text is like the one that is asked; the lower, the better."""

    EXACT = 0
    PREFIX = 1
    STEM = 2
    ONE_EDIT = 3
    SYNONYM = 4
    TWO_EDITS = 5


EDITED: Final = frozenset({Likeness.ONE_EDIT, Likeness.TWO_EDITS})
"""The likenesses of a word that is misspelt, here or there."""


def reach(word: str) -> int:
    """Return how many edits a word that is asked may be away from any other, however long that is."""
    if is_code(word):
        return 0
    return (len(word) >= ONE_FROM) + (len(word) >= TWO_FROM - MAX_EDITS)


def budget(asked: str, found: str) -> int:
    """Return how many edits may lie between a word that is asked and one of a text."""
    if len(asked) < ONE_FROM or is_code(asked) or is_code(found):
        return 0
    return 1 + (max(len(asked), len(found)) >= TWO_FROM)


def misspelt(asked: str, found: str) -> Likeness | None:
    """Return how far apart two different words are, or None if that is over the budget."""
    most = budget(asked, found)
    if not most or abs(len(asked) - len(found)) > most:
        return None
    edits = OSA.distance(asked, found, score_cutoff=most)
    return None if edits > most else Likeness.ONE_EDIT if edits == 1 else Likeness.TWO_EDITS


def misspellings(asked: str, words: Collection[str]) -> dict[str, Likeness]:
    """Return which of these words are misspellings of the one that is asked, or the other way round, and how far."""
    if not reach(asked):
        return {}
    near = extract(asked, words, scorer=OSA.distance, score_cutoff=reach(asked), limit=None)
    likes = ((word, misspelt(asked, word)) for word, _, _ in near)
    return {word: like for word, like in likes if like is not None}


def keys_asked(word: str, tenant_id: int) -> list[int]:
    """Return the keys under which a tenant's words within the budget of the one that is asked are found."""
    edits = reach(word)
    return _keys(word, edits, tenant_id) if edits else []


def keys_of(word: str, tenant_id: int) -> list[int]:
    """Return the keys of a word of a tenant's texts: enough for every word that may be asked and is that near."""
    if not word.isalpha() or len(word) < ONE_FROM - 1:
        return []
    return _keys(word, MAX_EDITS if len(word) >= TWO_FROM - MAX_EDITS else 1, tenant_id)


def _keys(word: str, edits: int, tenant_id: int) -> list[int]:
    begin = word[:BEGINNING]
    forms = {begin} | {form for left in range(1, edits + 1) for form in _without(begin, left)}
    return [_hash(f"{tenant_id}:{form}") for form in forms]


def _without(word: str, count: int) -> Iterable[str]:
    return map("".join, combinations(word, len(word) - count)) if count <= len(word) else ()


def _hash(form: str) -> int:
    return int.from_bytes(blake2b(form.encode(), digest_size=8).digest(), signed=True)
