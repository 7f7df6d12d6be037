"""What a search costs at 10,000 to 1,000,000 work orders, beside `similarity()` and tantivy on the same texts.

`python -m bench.search_speed [--rows N]... [--queries N]`: seeds a scratch database for each size and asks queries of
several kinds by turns. Ours is the service: computed anew, with nothing from the cache; the same with highlights; and
cached, asked the second time. `similarity()` orders all titles, and so is asked less often the more rows there are.
tantivy's index is in this process's memory, from which it reads keys alone; its words are met within the same budget,
exact or not alike. CPU time is that of this process and of the database server's for this connection. Then a page of
1,000 cached results is requested from `/graphql`, without the web server.
"""

import argparse
import io
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from bench.scratch import scratch_database
from bench.searching import page
from bench.searching.contenders import Tantivy, Way, memory, ours, similarity
from bench.searching.page import Spent
from bench.searching.queries import kinds

ROWS: Final = (10_000, 100_000, 1_000_000)
QUERIES, SAMPLE, BATCH = 40, 4_000, 10_000
SIMILARITIES: Final = 400_000
"""So many titles are ordered by similarity for a kind of query, a query's worth at least."""

PAGE, ROUNDS = 1_000, 40
RATIOS: Final = (("one typo", "correct"), ("two typos", "correct"), ("frequent", "freq + rare"))

Times = dict[str, dict[str, list[Spent]]]
"""What queries took, by their kind and the way."""


def main() -> None:
    """Measure each size; print how it grows."""
    parser = argparse.ArgumentParser(description="Measure what a search costs.")
    parser.add_argument("--rows", type=int, action="append", help="how many work orders (10,000, 100,000, 1,000,000)")
    parser.add_argument("--queries", type=int, default=QUERIES, help="of each kind (%(default)s)")
    options = parser.parse_args()
    measured = {rows: measure(rows, options.queries) for rows in sorted(set(options.rows or ROWS))}
    grow(measured)


def measure(rows: int, count: int) -> Times:
    """Seed, index, ask; print and return what it took."""
    with scratch_database(f"bench_search_speed_{rows}"):
        tenant_id = seed(rows)
        report_sizes()
        before, began = memory(), time.perf_counter()
        tantivy = Tantivy(texts(tenant_id))
        spent = time.perf_counter() - began
        print(f"tantivy: built in {spent:.1f} s, {memory() - before:.0f} MB more in memory")
        asked = kinds(*sample(tenant_id, random.Random(1)), count, random.Random(2))
        similar, often = similarity(tenant_id), max(1, SIMILARITIES // rows)
        times = {}
        print(f"{'query':12} {'way':18} {'ms':>8} {'p95 ms':>8} {'CPU ms':>8} {'asked':>6} {'found':>9} {'ratio':>8}")
        for kind, queries in asked.items():
            other = {"tantivy": tantivy.ask_prefix if kind == "prefix" else tantivy.ask}
            times[kind], found = ask(queries, ours(tenant_id) | other, {"similarity()": similar}, often)
            report(kind, times[kind], found)
        report_ratios(times)
        report_pages(well_found(asked["frequent"], ours(tenant_id)["ours"]))
    return times


def seed(rows: int) -> int:
    """Seed the demo data, and return the tenant; print how long the index took."""
    from django.core.management import call_command  # noqa: PLC0415 (Django is set up by now)
    from django.db import connection  # noqa: PLC0415

    from apps.accounts.models import Tenant  # noqa: PLC0415
    from apps.search.rebuilding import rebuild  # noqa: PLC0415
    from project.demo import seeding  # noqa: PLC0415

    spent: list[float] = []
    began = time.perf_counter()
    with patch.object(seeding, "rebuild", lambda tenant_id: spent.append(seconds(partial(rebuild, tenant_id)))):
        arguments = ("--work-orders", str(rows), "--histories", "1000", "--password", "bench")
        call_command("seed_demo", *arguments, stdout=io.StringIO())
    total = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    print(f"\n{rows:,} work orders: seeded in {total:.1f} s, {spent[0]:.1f} s of them to index", flush=True)
    print(f"memory of this process: {memory():.0f} MB")
    return int(Tenant.unscoped.get(slug="demo").pk)


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def texts(tenant_id: int) -> Iterator[tuple[int, str]]:
    """Yield keys and texts of all work orders: number, title and description, as ours has them."""
    from apps.work_orders.models import WorkOrder  # noqa: PLC0415

    rows = WorkOrder.unscoped.filter(tenant_id=tenant_id).values_list("pk", "serial", "title", "description")
    for key, serial, title, description in rows.order_by().iterator(chunk_size=BATCH):
        yield key, f"{WorkOrder.number_prefix}-{serial:06d} {title} {description}"


def sample(tenant_id: int, rng: random.Random) -> tuple[list[str], list[int]]:
    """Return the titles and serials of some work orders."""
    from apps.work_orders.models import WorkOrder  # noqa: PLC0415

    rows = WorkOrder.unscoped.filter(tenant_id=tenant_id)
    count = rows.count()
    serials = rng.sample(range(1, count + 1), min(SAMPLE, count))
    return list(rows.filter(serial__in=serials).order_by("pk").values_list("title", flat=True)), serials


def ask(
    queries: Sequence[str], ways: dict[str, Way], slow: dict[str, Way], often: int
) -> tuple[dict[str, list[Spent]], dict[str, list[int]]]:
    """Ask all queries in each way by turns, in the slow ways only the first; return what it took, and results."""
    times: dict[str, list[Spent]] = {name: [] for name in ways | slow}
    found: dict[str, list[int]] = {name: [] for name in ways | slow}
    for number, query in enumerate(queries):
        for name, way in (ways | slow if number < often else ways).items():
            if name == "ours, cached":
                way(query)
            spent, count = page.measured(partial(way, query))
            times[name].append(spent)
            found[name].append(count)
    return times, found


def report(kind: str, times: dict[str, list[Spent]], found: dict[str, list[int]]) -> None:
    """Print a line for each way."""
    base = statistics.median(each.passed for each in times["ours"])
    for name, spent in times.items():
        passed, worked = [each.passed for each in spent], statistics.median(each.here + each.there for each in spent)
        results, ratio = statistics.median(found[name]), statistics.median(passed) / base
        line = f"{statistics.median(passed):8.2f} {percentile(passed):8.2f} {worked:8.2f} {len(spent):6}"
        print(f"{kind:12} {name:18} {line} {results:9,.0f} {ratio:8.2f}", flush=True)


def percentile(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return sorted(values)[int(0.95 * len(values))]


def report_ratios(times: Times) -> None:
    """Print what typing errors and frequent words cost each way."""
    for one, other in RATIOS:
        line = ", ".join(f"{name} {middle(times, one, name) / middle(times, other, name):.2f}" for name in times[one])
        print(f"{one} / {other}: {line}")


def middle(times: Times, kind: str, way: str) -> float:
    """Return the median of the time that passed."""
    return statistics.median(each.passed for each in times[kind][way])


def report_sizes() -> None:
    """Print how large the tables are."""
    for name, (total, table) in page.sizes().items():
        print(f"{name}: {total:.1f} MB with its indexes, {table:.1f} MB without")


def well_found(frequent: Sequence[str], way: Way) -> str:
    """Return a word that fills a page, or the beginning of one; of many, the first."""
    asked = [*dict.fromkeys(frequent), *(word[:2] for word in frequent)]
    return max(asked, key=lambda query: min(way(query), PAGE))


def report_pages(query: str) -> None:
    """Print what requests for pages cost that are cached: CPU time of this process and of the database server's."""
    print(f"{query!r}, by /graphql")
    print(f"{'page':>6} {'first ms':>9} {'cached ms':>10} {'p95 ms':>8} {'CPU here':>9} {'in server':>9} {'kB':>7}")
    for size in (20, PAGE):
        first, spent, length = page.requests(query, size, ROUNDS)
        passed, here, there = map(list, zip(*spent, strict=True))
        line = f"{first.passed:9.1f} {statistics.median(passed):10.2f} {percentile(passed):8.2f}"
        cpu = f"{statistics.median(here):9.2f} {statistics.median(there):9.2f}"
        print(f"{size:6,} {line} {cpu} {length / 1000:7.0f}", flush=True)


def grow(measured: dict[int, Times]) -> None:
    """Print the medians of the larger sizes as multiples of the smallest one's."""
    least, *others = measured
    for rows in others:
        print(f"\nfrom {least:,} to {rows:,} rows, medians grow by")
        for kind, times in measured[rows].items():
            growth: dict[str, Any] = {
                name: middle(measured[rows], kind, name) / middle(measured[least], kind, name) for name in times
            }
            print(f"{kind:12} " + ", ".join(f"{name} {factor:.2f}" for name, factor in growth.items()))


if __name__ == "__main__":
    main()
