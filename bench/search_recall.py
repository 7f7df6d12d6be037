"""How often a search finds what was misspelt: recall among the first 20, and mean reciprocal rank.

`python -m bench.search_recall FILE [--misses]`: FILE is a CSV with the columns `title` and `normalised_title`, as typed
and as put right. The titles become work orders of a scratch tenant; then each that holds a misspelt word is searched
for as it is put right, and as it is typed others are that hold the right word. `bench.search_cases` says what counts.
Everything is asked twice: with no synonyms, and with those that are built in. No answer comes from the cache.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from bench.scratch import scratch_database
from bench.search_cases import STRATA, Case, Title, cases, read

FIRST: Final = 20
SEED: Final = 1


class Outcome(NamedTuple):
    """At which rank a wanted title was found, at which the very one, and how many titles were; 0 is nowhere.

    Ranks go as far as the first page; `somewhere` tells whether a wanted title is on any.
    """

    rank: int
    own: int
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
        tenant_id, first = load(titles, random.Random(SEED))
        print(f"{len(titles):,} titles of {options.file}")
        for name, text in STRATA.items():
            print(f"  {name:18} {text}")
        print(
            f"{'query':18} {'synonyms':8} {'cases':>6} {'recall@20':>10} {'MRR':>6} {'itself@20':>10} {'anywhere':>9}"
        )
        for name, synonyms in (("none", no_synonyms), ("built in", built_in_synonyms)):
            with synonyms():
                report(name, asked, answer(tenant_id, first, asked), titles if options.misses else ())


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
    tenant_id: int, numbers: Mapping[int, int], asked: Mapping[str, Sequence[Case]]
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
        return {name: [(case, outcome(search, case)) for case in each] for name, each in asked.items()}


def outcome(search: Callable[[str, int], tuple[list[int], int]], case: Case) -> Outcome:
    """Ask, and look where what is wanted was found."""
    found, total = search(case.query, FIRST)
    ranks = [rank for rank, number in enumerate(found, start=1) if number in case.wanted]
    own = found.index(case.own) + 1 if case.own in found else 0
    somewhere = bool(ranks) or (total > FIRST and not case.wanted.isdisjoint(search(case.query, total)[0]))
    return Outcome(ranks[0] if ranks else 0, own, total, somewhere)


def report(
    synonyms: str,
    asked: Mapping[str, Sequence[Case]],
    found: Mapping[str, Sequence[tuple[Case, Outcome]]],
    titles: Sequence[Title],
) -> None:
    """Print a line for each kind of question, and below it the misses if the titles are given."""
    for name in asked:
        outcomes = [each for _, each in found[name]]
        ranked = [1 / each.rank if each.rank else 0 for each in outcomes]
        itself = f"{mean(bool(each.own) for each in outcomes):10.3f}" if name.startswith("normalised") else f"{'':10}"
        print(
            f"{name:18} {synonyms:8} {len(outcomes):6,} {mean(map(bool, ranked)):10.3f} {mean(ranked):6.3f} {itself}"
            f" {mean(each.somewhere for each in outcomes):9.3f}",
            flush=True,
        )
        for case, each in found[name] if titles else ():
            if not each.rank:
                print(f"    {miss(case, each, titles)}")


def mean(values: Any) -> float:
    """Return the mean of numbers; of none, not a number."""
    known = [float(each) for each in values]
    return sum(known) / len(known) if known else float("nan")


def miss(case: Case, each: Outcome, titles: Sequence[Title]) -> str:
    """Tell what was asked and not found among the first."""
    how = "further down" if each.somewhere else "nowhere"
    wanted = titles[case.own if case.own in case.wanted else min(case.wanted)].typed
    meant = ", ".join(f"{slip.typed}>{slip.meant}" for slip in case.slips)
    return f"{how} of {each.total}: {case.query!r} for {wanted!r} ({meant})"


if __name__ == "__main__":
    main()
