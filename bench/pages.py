"""What a page costs near the front of a list and deep inside it, by our ranges and by the usual ways.

`python -m bench.pages [--work-orders N]`: seeds a scratch database, then times each statement in turn, so that a slow
moment of the machine falls on all of them. The list is the work orders of a tenant by due date, 50 of them.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.scratch import scratch_database

ROUNDS = 15
PAGE = 51


def main() -> None:
    """Seed, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-orders", type=int, default=100_000)
    count = parser.parse_args().work_orders
    with scratch_database("bench_pages"):
        from django.core.management import call_command  # noqa: PLC0415 (Django is set up by now)

        started = time.perf_counter()
        call_command("seed_demo", "--work-orders", str(count), "--password", "bench")
        print(f"seeding: {time.perf_counter() - started:.1f} s for {count:,} work orders and what goes with them")
        report(ways(count // 2))


def ways(depth: int) -> dict[str, Callable[[], int]]:
    """Return the ways to fetch a page, each as a function that returns the number of rows."""
    from django.db.models import F, Q  # noqa: PLC0415

    from apps.accounts.models import Tenant  # noqa: PLC0415
    from apps.accounts.tenancy import tenant_scope  # noqa: PLC0415
    from apps.work_orders.models import WorkOrder  # noqa: PLC0415
    from schema.reads.fetch import Listing, Window, fetch_page  # noqa: PLC0415
    from schema.reads.keyset import order_of  # noqa: PLC0415
    from schema.reads.plan import Plan  # noqa: PLC0415

    tenant = Tenant.unscoped.get(slug="demo").pk
    order = order_of(WorkOrder, [F("due_at").asc()])

    def ours(after: Any) -> int:
        plan = Plan(WorkOrder)
        plan.add_columns(["title", "due_at", "asset__code", "asset__site__name", "assignee__name"])
        with tenant_scope(tenant):
            return len(fetch_page(plan, Listing(WorkOrder, Q(), order, Window(50, after=after))).rows)

    def usual(condition: Q, offset: int = 0) -> int:
        rows = WorkOrder.unscoped.filter(condition, tenant=tenant).select_related("asset__site", "assignee")
        return len(rows.order_by("due_at", "id")[offset : offset + PAGE])

    row = WorkOrder.unscoped.filter(tenant=tenant).order_by("due_at", "id")[depth - 1]
    beyond = Q(due_at__gt=row.due_at) | Q(due_at__isnull=True) | Q(due_at=row.due_at, id__gt=row.pk)
    return {
        "ranges (ours), first page": lambda: ours(None),
        f"ranges (ours), after {depth:,} rows": lambda: ours((row.due_at, row.pk)),
        "usual statement, first page": lambda: usual(Q()),
        f"one condition with OR, after {depth:,} rows": lambda: usual(beyond),
        f"OFFSET, after {depth:,} rows": lambda: usual(Q(), depth),
    }


def report(measured: dict[str, Callable[[], int]]) -> None:
    """Time each way in turn, and print its median in SQL beside the first."""
    times: dict[str, list[float]] = {name: [] for name in measured}
    statements = {}
    for _ in range(ROUNDS):
        for name, fetch in measured.items():
            spent, statements[name] = sql_time(fetch)
            times[name].append(spent)
    first = statistics.median(next(iter(times.values())))
    print(f"{'way':44} {'ms in SQL':>10} {'ratio':>8} {'statements':>11}")
    for name, measurements in times.items():
        median = statistics.median(measurements)
        print(f"{name:44} {median:10.2f} {median / first:8.2f} {statements[name]:11}")


def sql_time(fetch: Callable[[], int]) -> tuple[float, int]:
    """Return how long the statements of a fetch took, in milliseconds, and how many there were."""
    from django.db import connection  # noqa: PLC0415

    spent: list[float] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            spent.append((time.perf_counter() - started) * 1000)

    with connection.execute_wrapper(watch):
        fetch()
    return sum(spent), len(spent)


if __name__ == "__main__":
    main()
