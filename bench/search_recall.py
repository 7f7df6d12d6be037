"""How often a search finds what was misspelt: recall among the first 20, and mean reciprocal rank.

`python -m bench.search_recall FILE [--misses]`: FILE is a CSV with the columns `title` and `normalised_title`, as typed
and as put right. The titles become work orders of a scratch tenant; then each that holds a misspelt word is searched
for as it is put right, and as it is typed others are that hold the right word; `bench.searching.cases` says which.
Everything is asked twice: with no synonyms, and with those that are built in. No answer comes from the cache.
"""

import argparse
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from bench.scratch import scratch_database
from bench.searching.cases import STRATA, Case, Title, cases, read

FIRST: Final = 20
SEED: Final = 1

Search = Callable[[str, int], tuple[list[int], int]]
"""Returns the numbers of the first titles that a query finds, and how many it finds."""


class Outcome(NamedTuple):
    """At which rank a wanted title was found, and whether the very one was; how many titles were found.

    Ranks go as far as the first page, 0 is none of it; `somewhere` tells whether a wanted title is on any. The
    reciprocal rank leaves out what comes before for being typed as the query is: it is right there.
    """

    rank: int
    reciprocal: float
    itself: bool
    total: int
    somewhere: bool


def main() -> None:
    """Load, ask, print."""
    options = arguments()
    if options.file is None:
        print("search_recall needs a file: a CSV with the columns title and normalised_title.")
        return
    titles = read(options.file)
    asked = cases(titles)
    with scratch_database("bench_search_recall"):
        tenant_id, numbers = load(titles, random.Random(SEED))
        print(f"{len(titles):,} titles of {options.file}")
        for name, text in STRATA.items():
            print(f"  {name:18} {text}")
        print(
            f"{'query':18} {'synonyms':8} {'cases':>6} {'recall@20':>10} {'MRR':>6} {'itself@20':>10} {'anywhere':>9}"
        )
        for name, synonyms in (("none", no_synonyms), ("built in", built_in_synonyms)):
            with synonyms():
                report(name, answer(tenant_id, numbers, titles, asked), titles if options.misses else ())


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure how often a search finds what was misspelt.")
    parser.add_argument("file", type=Path, nargs="?", help="a CSV with the columns title and normalised_title")
    parser.add_argument("--misses", action="store_true", help="list what was not found among the first 20")
    return parser.parse_args()


def load(titles: Sequence[Title], rng: random.Random) -> tuple[int, dict[int, int]]:
    """Make work orders of the titles in a new tenant; return the tenant, and the numbers of the titles by their keys.

    They are written in an order left to chance, for among equals the newest is found first.
    """
    from django.utils import timezone  # noqa: PLC0415 (Django is set up by now)

    from apps.accounts.models import Tenant  # noqa: PLC0415
    from apps.search.rebuilding import rebuild  # noqa: PLC0415
    from apps.work_orders.models import WorkOrder  # noqa: PLC0415
    from project.demo.tables import analyze, copy, reserve_ids  # noqa: PLC0415

    tenant = Tenant.unscoped.create(slug="recall", name="Recall")
    keys, numbers = reserve_ids(WorkOrder, len(titles)), rng.sample(range(len(titles)), len(titles))
    shared = {"tenant_id": tenant.pk, "version": 1, "created_at": timezone.now(), "updated_at": timezone.now()}
    rows = [
        {**shared, "id": key, "serial": serial, "title": titles[number].typed}
        for serial, (key, number) in enumerate(zip(keys, numbers, strict=True), start=1)
    ]
    copy(WorkOrder, rows)
    analyze([WorkOrder])
    rebuild(tenant.pk)
    return tenant.pk, dict(zip(keys, numbers, strict=True))


@contextmanager
def built_in_synonyms() -> Iterator[None]:
    """Search with the synonyms that everybody has."""
    from apps.search import synonyms  # noqa: PLC0415

    synonyms._everybodys.cache_clear()
    yield


@contextmanager
def no_synonyms() -> Iterator[None]:
    """Search as if no synonyms were built in."""
    from apps.search import synonyms  # noqa: PLC0415

    with patch.object(synonyms, "built_in", return_value=()):
        synonyms._everybodys.cache_clear()
        yield
    synonyms._everybodys.cache_clear()


def answer(
    tenant_id: int, numbers: Mapping[int, int], titles: Sequence[Title], asked: Mapping[str, Sequence[Case]]
) -> dict[str, list[tuple[Case, Outcome]]]:
    """Ask everything, and return what came of it."""
    from apps.accounts.tenancy import tenant_scope  # noqa: PLC0415
    from apps.search import cache, services  # noqa: PLC0415

    def search(query: str, first: int) -> tuple[list[int], int]:
        results = services.search(tenant_id, services.Question(query, (), first, None, highlights=False))
        return [numbers[hit.key] for hit in results.hits], results.total

    def computed(_: str, compute: Callable[[], tuple[str, Any]]) -> Any:
        return compute()[1]

    with tenant_scope(tenant_id), patch.object(cache, "remembered", computed):
        return {name: [(case, outcome(search, case, titles)) for case in each] for name, each in asked.items()}


def outcome(search: Search, case: Case, titles: Sequence[Title]) -> Outcome:
    """Ask, and look where what is wanted was found."""
    found, total = search(case.query, FIRST)
    rank = next((rank for rank, number in enumerate(found, start=1) if number in case.wanted), 0)
    alike = sum(case.typed_in(titles[number]) for number in found[: rank - 1]) if rank else 0
    somewhere = bool(rank) or (total > FIRST and not case.wanted.isdisjoint(search(case.query, total)[0]))
    return Outcome(rank, 1 / (rank - alike) if rank else 0, case.own in found, total, somewhere)


def report(synonyms: str, found: Mapping[str, Sequence[tuple[Case, Outcome]]], titles: Sequence[Title]) -> None:
    """Print a line for each kind of question, and below it the misses if the titles are given."""
    for name, pairs in found.items():
        outcomes = [each for _, each in pairs]
        recall, itself = mean(bool(each.rank) for each in outcomes), mean(each.itself for each in outcomes)
        reciprocal = mean(each.reciprocal for each in outcomes)
        line = f"{name:18} {synonyms:8} {len(outcomes):6,} {recall:10.3f} {reciprocal:6.3f}"
        same = f"{itself:10.3f}" if name.startswith("normalised") else " " * 10
        print(f"{line} {same} {mean(each.somewhere for each in outcomes):9.3f}", flush=True)
        for case, each in pairs if titles else ():
            if not each.rank:
                print(f"    {miss(case, each, titles)}")


def mean(values: Iterable[float]) -> float:
    """Return the mean of numbers; of none, not a number."""
    known = list(values)
    return sum(known) / len(known) if known else float("nan")


def miss(case: Case, each: Outcome, titles: Sequence[Title]) -> str:
    """Tell what was asked and not found among the first."""
    how = "further down" if each.somewhere else "nowhere"
    wanted = titles[case.own if case.own in case.wanted else min(case.wanted)].typed
    meant = ", ".join(f"{slip.typed}>{slip.meant}" for slip in case.slips)
    return f"{how} of {each.total}: {case.query!r} for {wanted!r} ({meant})"


if __name__ == "__main__":
    main()
