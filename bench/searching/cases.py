"""What `bench.search_recall` asks, made of titles as they were typed and as somebody has put them right.

A word is misspelt when the normalised title has a word of 4 letters or more that the typed one has not, and the typed
title a word that the normalised one has not, within the budget of edits from it. The edits are counted here, apart from
the engine: Optimal String Alignment, 1 in a word of 4 to 7 letters, 2 from 8 on.
"""

import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rapidfuzz.distance import OSA

COLUMNS: Final = ("title", "normalised_title")
WORD: Final = re.compile(r"[^\W_]+")
ONE_FROM, TWO_FROM = 4, 8
LONGEST: Final = 200
"""A work order's title has no more characters, and neither has a query."""

STRATA: Final = {
    "normalised, all": "its title put right finds a title that has a word misspelt; the others may be shortened",
    "normalised, within": "the same, where each word asked is in the title as it is or within the budget of edits",
    "typed, all": "a title with a misspelt word finds another with the right one and all others, in either form",
    "typed, within": "the same, where each word of the other title is as asked or within the budget",
    "word, all": "a misspelt word by itself finds a title with the right one",
    "word, within": "the same, without words that have fewer than 4 letters as they are typed",
}


class Title(NamedTuple):
    """A title as it was typed and as it was put right, and the distinct words of both; placeholders are none."""

    typed: str
    right: str
    typed_words: tuple[str, ...]
    right_words: tuple[str, ...]


class Slip(NamedTuple):
    """A misspelt word, and what was meant."""

    typed: str
    meant: str


class Case(NamedTuple):
    """A query, the numbers of the titles that it is to find any of, and the one that it is made of."""

    query: str
    wanted: frozenset[int]
    own: int
    slips: tuple[Slip, ...]

    def typed_in(self, each: Title) -> bool:
        """Tell whether a title holds the misspelt word of a query that does."""
        asked = words(self.query)
        return any(slip.typed in asked and slip.typed in each.typed_words for slip in self.slips)


def read(path: Path) -> list[Title]:
    """Return the titles of a CSV file; exit when there are none."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                sys.exit(f"{path} has no column {' and no column '.join(missing)}.")
            return [title(*(row[name] or "" for name in COLUMNS)) for row in rows if (row["title"] or "").strip()]
    except OSError as error:
        sys.exit(f"{path} can't be read: {error.strerror}.")


def title(typed: str, normalised: str) -> Title:
    """Return a title; `<num>` and whatever else stands for what was taken out is no part of it."""
    right = " ".join(word for word in normalised.split() if "<" not in word)
    return Title(typed[:LONGEST], right[:LONGEST], words(typed), words(right))


def words(text: str) -> tuple[str, ...]:
    """Return the distinct words of a text."""
    return tuple(dict.fromkeys(WORD.findall(text.casefold())))


def edits(word: str) -> int:
    """Return how many edits a word may be away."""
    return (len(word) >= ONE_FROM) + (len(word) >= TWO_FROM) if word.isalpha() else 0


def is_near(asked: str, found: str) -> bool:
    """Tell whether a word is the one that is asked, or within the budget of edits from it."""
    return asked == found or (bool(edits(asked)) and OSA.distance(asked, found) <= edits(asked))


def slips(each: Title) -> tuple[Slip, ...]:
    """Return the misspelt words of a title."""
    strange = [word for word in each.typed_words if word not in each.right_words]
    meant = [word for word in each.right_words if word not in each.typed_words]
    return tuple(Slip(typed, right) for right in meant for typed in strange if is_near(right, typed))


def cases(titles: Sequence[Title]) -> dict[str, list[Case]]:
    """Return what to ask, by what it is to show."""
    found: dict[str, list[Case]] = {name: [] for name in STRATA}
    same, holders = _same(titles), _holders(titles)
    for number, each in enumerate(titles):
        wrong = slips(each)
        if wrong and each.right:
            case = Case(each.right, same[each.typed.casefold()], number, wrong)
            found["normalised, all"].append(case)
            if all(any(is_near(asked, word) for word in each.typed_words) for asked in each.right_words):
                found["normalised, within"].append(case)
        for name, case in _typed(titles, number, wrong, holders):
            found[name].append(case)
    for name, case in _words(titles, holders):
        found[name].append(case)
    return found


def _same(titles: Sequence[Title]) -> dict[str, frozenset[int]]:
    """Return the numbers of the titles that are typed the same."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for number, each in enumerate(titles):
        found[each.typed.casefold()].add(number)
    return {text: frozenset(numbers) for text, numbers in found.items()}


def _holders(titles: Sequence[Title]) -> dict[str, frozenset[int]]:
    """Return the numbers of the titles in which each word is typed."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for number, each in enumerate(titles):
        for word in each.typed_words:
            found[word].add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


def _typed(
    titles: Sequence[Title], number: int, wrong: Iterable[Slip], holders: dict[str, frozenset[int]]
) -> Iterator[tuple[str, Case]]:
    """Yield what to ask with a title as it is typed; nothing when no other title holds what was meant."""
    asked = titles[number].typed_words
    for slip in wrong:
        others = [word for word in asked if word != slip.typed]
        held = [other for other in holders.get(slip.meant, ()) if slip.typed not in titles[other].typed_words]
        either = frozenset(other for other in held if _holds(titles[other], others))
        near = frozenset(other for other in held if _is_within(titles[other], asked))
        for name, wanted in (("typed, all", either), ("typed, within", near)):
            if wanted:
                yield name, Case(titles[number].typed, wanted, number, (slip,))


def _holds(other: Title, asked: Iterable[str]) -> bool:
    return all(word in other.typed_words or word in other.right_words for word in asked)


def _is_within(other: Title, asked: Iterable[str]) -> bool:
    return all(any(is_near(word, found) for found in other.typed_words) for word in asked)


def _words(titles: Sequence[Title], holders: dict[str, frozenset[int]]) -> Iterator[tuple[str, Case]]:
    """Yield each misspelt word once for each word that it is meant to be."""
    firsts: dict[Slip, int] = {}
    for number, each in enumerate(titles):
        for slip in slips(each):
            firsts.setdefault(slip, number)
    for slip, number in firsts.items():
        if wanted := holders.get(slip.meant):
            case = Case(slip.typed, wanted, number, (slip,))
            yield "word, all", case
            if is_near(slip.typed, slip.meant):
                yield "word, within", case
