"""What transitions cost by one mutation, beside the bare SQL for the same: lock, update, insert the audit entries.

`python -m bench.bulk [--rounds N]`: seeds a scratch database, then submits 1, 100 and 1,000 drafts by turns: by a
request to `/graphql` (token, parsing, judging, answer and all, without the web server) and by three statements. A slow
moment of the machine falls on both.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from uuid import uuid4

from bench.scratch import scratch_database

SIZES: Final = (1, 100, 1000)
ONE: Final = """
mutation ($input: TransitionWorkOrderInput!) {
  transitionWorkOrder(input: $input) {
    ... on WorkOrder { id status version availableActions }
    ... on MutationError { errorCode message }
  }
}
"""
MANY: Final = """
mutation ($input: BulkTransitionWorkOrdersInput!) {
  bulkTransitionWorkOrders(input: $input) {
    ... on BulkTransitionReport { operationId succeeded failed results { id ok status version error { errorCode } } }
    ... on MutationError { errorCode message }
  }
}
"""
LOCK: Final = """
SELECT id, version, status, site_id FROM work_orders_workorder WHERE tenant_id = %s AND id = ANY(%s)
ORDER BY id FOR NO KEY UPDATE
"""
UPDATE: Final = """
UPDATE work_orders_workorder SET version = version + 1, updated_at = %s, status = 'SUBMITTED'
WHERE tenant_id = %s AND id = ANY(%s)
"""
INSERT: Final = """
INSERT INTO audit_auditentry (tenant_id, at, actor_id, command, comment, correlation_id, operation_id, source, action,
    entity_kind, entity_id, entity_version, changes)
SELECT %s, %s, %s, '', '', %s, %s, 'graphql', 'SUBMIT', 'WorkOrder', id, version,
    '[{"field": "status", "before": "DRAFT", "after": "SUBMITTED"}]'
FROM unnest(%s::bigint[], %s::int[]) AS u (id, version)
"""

Items = Sequence[tuple[int, int]]
"""Keys and versions of drafts."""


def main() -> None:
    """Seed, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with scratch_database("bench_bulk"):
        from django.core.management import call_command  # noqa: PLC0415 (Django is set up by now)

        call_command("seed_demo", "--work-orders", "10000", "--password", "bench")
        report({size: measure(size, rounds if size > 1 else 10 * rounds) for size in SIZES})


def measure(size: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the milliseconds and the CPU milliseconds of this process that each way took, in each round."""
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, submit in ways().items():
            items = drafts(size)
            began, cpu = time.perf_counter(), time.process_time()
            submit(items)
            spent = time.perf_counter() - began, time.process_time() - cpu
            times.setdefault(name, []).append((spent[0] * 1000, spent[1] * 1000))
            redraft(items)
    return times


def ways() -> dict[str, Callable[[Items], None]]:
    """Return the two ways to submit drafts."""
    return {"bare SQL": by_sql, "mutation": by_mutation}


def by_sql(items: Items) -> None:
    """Submit drafts by three statements in a transaction."""
    from django.db import connection, transaction  # noqa: PLC0415

    actor, at, keys = supervisor(), datetime.now(UTC), [key for key, _ in items]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, [actor.tenant_id, keys])
        locked = cursor.fetchall()
        assert {(key, version) for key, version, *_ in locked} == set(items)
        cursor.execute(UPDATE, [at, actor.tenant_id, keys])
        versions = [version + 1 for _, version, *_ in locked]
        shared = [actor.tenant_id, at, actor.pk, uuid4().hex, uuid4()]
        cursor.execute(INSERT, [*shared, [key for key, *_ in locked], versions])


def by_mutation(items: Items) -> None:
    """Submit drafts by one request."""
    from schema.reads.global_id import encode_id  # noqa: PLC0415

    targets = [{"id": encode_id("WorkOrder", key), "version": version} for key, version in items]
    if len(targets) == 1:
        answer = post(ONE, {**targets[0], "action": "SUBMIT"})["transitionWorkOrder"]
        assert answer["status"] == "SUBMITTED", answer
    else:
        answer = post(MANY, {"items": targets, "action": "SUBMIT"})["bulkTransitionWorkOrders"]
        assert answer["succeeded"] == len(items), answer


def post(document: str, values: dict[str, Any]) -> Any:
    """Send a mutation, and return its answer."""
    body = json.dumps({"query": document, "variables": {"input": values}})
    headers = {"Authorization": f"Bearer {token()}"}
    answer = client().post("/graphql", body, content_type="application/json", headers=headers)
    return answer.json()["data"]


def drafts(size: int) -> Items:
    """Return some drafts that have a site."""
    from apps.work_orders.models import WorkOrder  # noqa: PLC0415

    rows = WorkOrder.unscoped.filter(tenant=supervisor().tenant_id, status="DRAFT", site__isnull=False)
    found = list(rows.order_by("?").values_list("pk", "version")[:size])
    assert len(found) == size
    return found


def redraft(items: Items) -> None:
    """Make drafts of them again, behind the services' back."""
    from django.db import models  # noqa: PLC0415

    from apps.work_orders.models import WorkOrder  # noqa: PLC0415

    models.QuerySet.update(WorkOrder.unscoped.filter(pk__in=[key for key, _ in items]), status="DRAFT")


@cache
def supervisor() -> Any:
    """Return who submits."""
    from apps.accounts.models import User  # noqa: PLC0415

    return User.unscoped.get(email="supervisor@demo.example")


@cache
def token() -> str:
    """Return a token of theirs."""
    from apps.accounts.tenancy import all_tenants  # noqa: PLC0415
    from apps.accounts.tokens import issue_token  # noqa: PLC0415

    with all_tenants():
        return issue_token(user=supervisor())[0]


@cache
def client() -> Any:
    """Return what sends requests to the application, without a network."""
    from django.test import Client  # noqa: PLC0415

    return Client(headers={"host": "localhost"})


def report(measured: dict[int, dict[str, list[tuple[float, float]]]]) -> None:
    """Print the medians, and the mutation's ratio to the bare SQL."""
    print(f"{'transitions':>11} {'way':10} {'ms':>9} {'p95 ms':>9} {'CPU ms':>9} {'ratio of ms':>12}")
    for size, times in measured.items():
        bare = statistics.median(spent for spent, _ in times["bare SQL"])
        for name, rounds in times.items():
            spent, cpu = ([each[place] for each in rounds] for place in (0, 1))
            median, p95 = statistics.median(spent), sorted(spent)[int(0.95 * len(spent))]
            print(f"{size:11,} {name:10} {median:9.2f} {p95:9.2f} {statistics.median(cpu):9.2f} {median / bare:12.2f}")


if __name__ == "__main__":
    main()
