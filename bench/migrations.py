"""How long the steps of a migration take on work orders of several sizes.

`python -m bench.migrations [--work-orders N]...`: seeds a scratch database of each size, then does each step three
times, undoes it, and prints the medians. The last column tells how each grows.
"""

import argparse
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from bench.scratch import scratch_database

ROUNDS: Final = 3
SIZES: Final = (10_000, 100_000)
TABLE: Final = "work_orders_workorder"


class Step(NamedTuple):
    """What is measured, and what makes it possible again."""

    name: str
    statement: str
    undo: str | None = None


STEPS: Final = (
    Step(
        "add a column with a constant default",
        f"ALTER TABLE {TABLE} ADD COLUMN bench_column integer NOT NULL DEFAULT 7",
        f"ALTER TABLE {TABLE} DROP COLUMN bench_column",
    ),
    Step(
        "build an index of three columns concurrently",
        f"CREATE INDEX CONCURRENTLY bench_index ON {TABLE} (tenant_id, status, due_at)",
        "DROP INDEX bench_index",
    ),
    Step("add a check NOT VALID", f"ALTER TABLE {TABLE} ADD CONSTRAINT bench_check CHECK (version > 0) NOT VALID"),
    Step(
        "validate it",
        f"ALTER TABLE {TABLE} VALIDATE CONSTRAINT bench_check",
        f"ALTER TABLE {TABLE} DROP CONSTRAINT bench_check",
    ),
    Step(
        "change a column's type",
        f"ALTER TABLE {TABLE} ALTER COLUMN version TYPE numeric",
        f"ALTER TABLE {TABLE} ALTER COLUMN version TYPE bigint",
    ),
)


def main() -> None:
    """Seed, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-orders", type=int, action="append")
    sizes = parser.parse_args().work_orders or SIZES
    report(sizes, [measured(size) for size in sizes])


def measured(size: int) -> list[float]:
    """Return how many milliseconds each step takes on so many work orders: the median."""
    with scratch_database(f"bench_migrations_{size}"):
        from django.core.management import call_command  # noqa: PLC0415 (Django is set up by now)

        call_command("seed_demo", "--work-orders", str(size), "--password", "bench", verbosity=0)
        rounds = [[*_round()] for _ in range(ROUNDS)]
        return [statistics.median(times) for times in zip(*rounds, strict=True)]


def _round() -> Iterable[float]:
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        for step in STEPS:
            started = time.perf_counter()
            cursor.execute(step.statement)
            yield (time.perf_counter() - started) * 1000
            if step.undo:
                cursor.execute(step.undo)


def report(sizes: Sequence[int], times: Sequence[Sequence[float]]) -> None:
    """Print the steps, a line each."""
    print(f"{'milliseconds':46}" + "".join(f"{size:>12,}" for size in sizes) + f"{'last/first':>12}")
    for step, *taken in zip((step.name for step in STEPS), *times, strict=True):
        print(f"{step:46}" + "".join(f"{each:12.1f}" for each in taken) + f"{taken[-1] / taken[0]:12.1f}")


if __name__ == "__main__":
    main()
