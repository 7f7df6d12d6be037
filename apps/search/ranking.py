"""Which documents a query finds and how well, by operations on bitmaps alone: no row is read.

Each word of the query costs a document a penalty from 0 to 100, by how the nearest of its words is like it and how much
that weighs; a document's score is what is left of 1 on average. A ranking maps penalties to the documents that have
them. Only a few penalties are possible, so that all documents are ranked by a handful of intersections, whether a word
occurs in ten documents or in a hundred thousand.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Final

from pyroaring import BitMap

from .documents import NUMBERED
from .spelling import Likeness

WORST: Final = 100
LIKENESS: Final = {
    Likeness.EXACT: 100,
    Likeness.PREFIX: 92,
    Likeness.STEM: 88,
    Likeness.ONE_EDIT: 76,
    Likeness.SYNONYM: 72,
    Likeness.TWO_EDITS: 50,
}
WEIGHT: Final = {"a": 1.0, "b": 0.9, "c": 0.8, NUMBERED: 1.0}

Ranking = dict[int, BitMap]
"""Documents by penalty; each under its least one."""


def penalty(likeness: Likeness, weight: str) -> int:
    """Return what a word costs a document in which it occurs like this."""
    return WORST - round(LIKENESS[likeness] * WEIGHT[weight])


def ranked(found: Iterable[tuple[int, BitMap]]) -> Ranking:
    """Return the ranking of documents that were found with several penalties each."""
    unions: defaultdict[int, list[BitMap]] = defaultdict(list)
    for cost, numbers in found:
        unions[cost].append(numbers)
    ranking, seen = {}, BitMap()
    for cost in sorted(unions):
        numbers = BitMap.union(*unions[cost]) - seen
        if numbers:
            ranking[cost] = numbers
            seen |= numbers
    return ranking


def any_of(rankings: Iterable[Ranking]) -> Ranking:
    """Return the documents of any of the rankings, each with its least penalty."""
    return ranked(pair for ranking in rankings for pair in ranking.items())


def all_of(rankings: Iterable[Ranking], *, worst: bool = False) -> Ranking:
    """Return the documents that are in all rankings, with the sum of their penalties; or with the worst of them."""
    return reduce(lambda one, other: _both(one, other, worst=worst), sorted(rankings, key=count))


def _both(one: Ranking, other: Ranking, *, worst: bool) -> Ranking:
    found: Ranking = {}
    for cost, numbers in one.items():
        for more, others in other.items():
            if common := numbers & others:
                total = max(cost, more) if worst else cost + more
                found[total] = found[total] | common if total in found else common
    return dict(sorted(found.items()))


def within(ranking: Ranking, numbers: BitMap) -> Ranking:
    """Return the documents of a ranking that are among these."""
    return {cost: kept for cost, found in ranking.items() if (kept := found & numbers)}


def numbers_of(ranking: Ranking) -> BitMap:
    """Return all documents of a ranking."""
    return BitMap.union(*ranking.values()) if ranking else BitMap()


def count(ranking: Mapping[int, BitMap]) -> int:
    """Return how many documents are ranked."""
    return sum(map(len, ranking.values()))


def page(ranking: Ranking, size: int, after: tuple[int, int] | None) -> list[tuple[int, int]]:
    """Return the next documents after one, as pairs of penalty and number: the best first, the newest among equals.

    `after` is such a pair, whether or not there is a document in its place; numbers begin with 1.
    """
    found: list[tuple[int, int]] = []
    for cost, numbers in sorted(ranking.items()):
        if after and cost < after[0]:
            continue
        end = numbers.rank(after[1] - 1) if after and cost == after[0] else len(numbers)
        start = max(0, end - (size - len(found)))
        found += [(cost, number) for number in reversed(numbers[start:end].to_array())]
        if len(found) >= size:
            break
    return found
