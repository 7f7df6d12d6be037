"""What words of the trade mean: `vlv` is a valve, `lhs` the left hand side.

A query's word is met by whatever means the same: by a term that stands for it, or by all the words that it stands for.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from .postings import ask
from .spelling import misspellings, reach
from .words import chunks, stem

BUILT_IN: Final = Path(__file__).with_name("maintenance.csv")
OWN: Final = "SELECT term, meaning FROM search_synonym WHERE tenant_id = %s ORDER BY term, meaning"

SMALL: Final = frozenset({"a", "an", "and", "at", "by", "for", "in", "of", "on", "or", "out", "the", "to", "with"})
"""Words of a meaning that a term does not stand for by themselves."""

Phrase = tuple[str, ...]
Pair = tuple[str, str]
"""A term and a meaning, as people write them."""


class Synonyms:
    """What means the same as what."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        """Read the pairs."""
        self._meanings: defaultdict[Phrase, list[Phrase]] = defaultdict(list)
        self._named: defaultdict[Phrase, list[Phrase]] = defaultdict(list)
        self._terms: defaultdict[str, list[Phrase]] = defaultdict(list)
        self.longest = 1
        self._spelt: set[str] = set()
        """The words that are long enough to be misspelt."""

        for term, meaning in pairs:
            self._add(phrase(term), phrase(meaning))

    def _add(self, term: Phrase, meaning: Phrase) -> None:
        if not term or not meaning or term == meaning:
            return
        self._meanings[term].append(meaning)
        self._named[meaning].append(term)
        self._spelt.update(word for word in (*term, *meaning) if reach(word))
        self.longest = max(self.longest, len(term), len(meaning))
        for word in meaning:
            if word not in SMALL:
                self._terms[stem(word)].append(term)

    def near(self, word: str) -> list[str]:
        """Return the words that one may be a misspelling of, the nearest first; none for a word that is known."""
        if word in self._spelt:
            return []
        found = misspellings(word, self._spelt)
        return sorted(found, key=lambda each: (found[each], each))

    def of_phrase(self, phrase: Phrase) -> list[Phrase]:
        """Return the phrases that a phrase is met by: what it stands for, and the terms that stand for it."""
        return [*self._meanings.get(phrase, ()), *self._named.get(phrase, ())]

    def of_word(self, word: str) -> list[Phrase]:
        """Return the phrases that one word is met by: what it stands for, and the terms that stand for it."""
        meanings = self._meanings.get((word,), [])
        siblings = [term for meaning in meanings for term in self._named[meaning]]
        found = dict.fromkeys([*meanings, *self._terms.get(stem(word), []), *siblings])
        return [each for each in found if each != (word,)]


def phrase(text: str) -> Phrase:
    """Return the words of a term or a meaning; parts that belong together are one: `a/c` is `ac`."""
    found: list[str] = []
    for chunk in chunks(text):
        found += [chunk.joined[0].word] if chunk.joined else [part[0].word for part in chunk.parts if part]
    return tuple(found)


def read_pairs(lines: Iterable[str]) -> list[Pair]:
    """Return the pairs of a CSV file with the columns `term` and `meaning`."""
    return [(row["term"], row["meaning"]) for row in csv.DictReader(lines)]


@cache
def built_in() -> tuple[Pair, ...]:
    """Return the pairs that hold for every tenant who does not say otherwise."""
    with BUILT_IN.open(encoding="utf-8", newline="") as file:
        return tuple(read_pairs(file))


NONE: Final = "0:0"
"""The state of synonyms that are none."""


def synonyms_of(tenant_id: int, state: str) -> Synonyms:
    """Return what means the same to a tenant, whose own synonyms are in this state."""
    return _everybodys() if state == NONE else _owned(tenant_id, state)


@cache
def _everybodys() -> Synonyms:
    return Synonyms(built_in())


@lru_cache(maxsize=256)
def _owned(tenant_id: int, state: str) -> Synonyms:  # noqa: ARG001 (part of the key)
    own = ask(OWN, tenant_id)
    replaced = {phrase(term) for term, _ in own}
    return Synonyms([*(pair for pair in built_in() if phrase(pair[0]) not in replaced), *own])
