"""What `import_work_orders` costs beside PostgreSQL's bare COPY of the same orders into the same table.

`python -m bench.importing [--work-orders N]`: makes a file of demo titles in a temporary folder and a scratch database,
imports the file, imports it again, then copies the rows to another tenant with nothing looked up and nothing refused.
"""

import argparse
import csv
import io
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.scratch import scratch_database

SITES, ASSETS = 12, 700


def main() -> None:
    """Import, import again, copy, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-orders", type=int, default=100_000)
    count = parser.parse_args().work_orders
    with scratch_database("bench_importing"), tempfile.TemporaryDirectory() as folder:
        from django.core.management import call_command  # noqa: PLC0415 (Django is set up by now)

        from apps.accounts.models import Tenant  # noqa: PLC0415

        for slug in ("first", "second"):
            Tenant.unscoped.create(slug=slug, name=slug)
        file = Path(folder) / "orders.csv"
        write_orders(file, count)
        first = seconds(lambda: call_command("import_work_orders", str(file), tenant="first", stdout=io.StringIO()))
        again = seconds(lambda: call_command("import_work_orders", str(file), tenant="first", stdout=io.StringIO()))
        bare = seconds(copy_to_the_second_tenant)
    print(f"{count:,} orders: imported {first:.1f} s, imported again {again:.1f} s, bare COPY {bare:.1f} s")
    print(f"import / bare COPY: {first / bare:.2f}; again / first: {again / first:.2f}")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def write_orders(file: Path, count: int) -> None:
    """Write a file of so many orders on 12 sites and 700 assets."""
    from project.demo.titles import title  # noqa: PLC0415
    from project.demo.words import CATEGORIES  # noqa: PLC0415

    rng = random.Random(1)
    with file.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out)
        rows.writerow(["external_id", "site_code", "asset_code", "title"])
        for number in range(count):
            asset = rng.randrange(ASSETS)
            rows.writerow([f"E{number}", f"S{asset % SITES}", f"A{asset}", title(rng.choice(CATEGORIES), rng)])


def copy_to_the_second_tenant() -> None:
    """Copy the imported orders, without their places, out of the table and into it again."""
    from django.db import connection  # noqa: PLC0415

    columns = "version, created_at, updated_at, serial, title, description, status, priority, external_id"
    source = f"SELECT {columns}, (SELECT id FROM accounts_tenant WHERE slug = 'second') FROM work_orders_workorder"  # noqa: S608 (constant)
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY ({source}) TO STDOUT (FORMAT BINARY)") as reading:
            blocks = list(reading)
        with cursor.copy(f"COPY work_orders_workorder ({columns}, tenant_id) FROM STDIN (FORMAT BINARY)") as writing:
            for block in blocks:
                writing.write(block)


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
