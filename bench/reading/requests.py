"""The requests of each operation: many, that no two in a row are alike, and for each way of asking the same ones."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from uuid import uuid4

import orjson
import psycopg

from bench.serving.load import ask
from bench.serving.scratch import ACTOR, Environment

from . import operations

MANY: Final = 500
"""Requests of an operation, after which the first comes again."""

Variables = dict[str, Any]
Cursor = tuple[str, int]
"""When an order is due, and its key."""


@dataclass(frozen=True, slots=True)
class Data:
    """What is asked for: whose orders, by whom, statuses that fill a page, orders, places deep in the list, drafts."""

    tenant: int
    actor: int
    statuses: Sequence[str]
    orders: Sequence[int]
    places: Sequence[Cursor]
    drafts: Sequence[tuple[int, int]]


def read(environment: Environment) -> Data:
    """Choose what is asked for. Raises RuntimeError when there is too little of it."""
    with psycopg.connect(environment["DATABASE_URL"]) as connection:

        def rows(statement: str, *values: object) -> list[Any]:
            return connection.execute(statement, values).fetchall()

        [[tenant, actor]] = rows("SELECT tenant_id, id FROM accounts_user WHERE email = %s", ACTOR)
        statuses = rows(
            "SELECT status FROM work_orders_workorder WHERE tenant_id = %s GROUP BY 1 HAVING count(*) > 60 ORDER BY 1",
            tenant,
        )
        [[half]] = rows("SELECT count(*) / 2 FROM work_orders_workorder WHERE tenant_id = %s", tenant)
        orders = rows(
            "SELECT id FROM work_orders_workorder WHERE tenant_id = %s ORDER BY hashint8(id) LIMIT 500", tenant
        )
        places = rows(
            """SELECT to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'), id
            FROM work_orders_workorder WHERE tenant_id = %s ORDER BY due_at, id OFFSET %s LIMIT 500""",
            tenant,
            half,
        )
        drafts = rows(
            """SELECT id, version FROM work_orders_workorder
            WHERE tenant_id = %s AND status = 'DRAFT' AND site_id IS NOT NULL ORDER BY hashint8(id)""",
            tenant,
        )
    if len(statuses) < 2 or len(places) < MANY or not all(due for due, _ in places):  # noqa: PLR2004 - to vary
        raise RuntimeError("Seed more work orders: these do not fill the pages.")
    return Data(tenant, actor, [each for [each] in statuses], [each for [each] in orders], places, drafts)


def redraft(environment: Environment, data: Data) -> None:
    """Make drafts of the submitted orders again, and have PostgreSQL clean up behind it."""
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            """UPDATE work_orders_workorder w SET status = 'DRAFT', version = u.version
            FROM unnest(%s::bigint[], %s::bigint[]) u (id, version) WHERE w.id = u.id AND w.version <> u.version""",
            [list(each) for each in zip(*data.drafts, strict=True)],
        )
        connection.execute("VACUUM ANALYZE work_orders_workorder")


Asking = Callable[[str, Variables], bytes]


def asking(documents: dict[str, str], token: str) -> Asking:
    """Return what makes requests of a way of asking."""

    def request(name: str, variables: Variables) -> bytes:
        body = {"query": documents[name], "operationName": name, "variables": variables}
        return ask("/graphql", token=token, body=orjson.dumps(body)).request

    return request


def ours(data: Data, name: str, mark: object) -> list[Variables]:
    """Return the variables of our API's requests; `mark` is what its cursors of this list begin with."""
    if name == operations.NODE:
        return [{"id": b64encode(f"WorkOrder:{key}".encode()).decode()} for key in data.orders]
    if name == operations.TRANSITION:
        run, numbers = uuid4().hex, count()
        return [
            {"input": {**_target(key, version), "idempotencyKey": f"{run}-{next(numbers)}"}}
            for key, version in data.drafts
        ]
    order = {"ordering": [{"dueAt": "ASC"}]}
    if name == operations.DEEP_LIST:
        return [{"first": 50, **order, "after": cursor([mark, due, key])} for due, key in data.places]
    return [{"first": size(name), **order, "filters": {"status": {"exact": each}}} for each in data.statuses]


def _target(key: int, version: int) -> Variables:
    return {"id": b64encode(f"WorkOrder:{key}".encode()).decode(), "version": version, "action": "SUBMIT"}


def postgraphile(data: Data, name: str, mark: object) -> list[Variables]:
    """Return the variables of PostGraphile's requests for the same."""
    if name == operations.NODE:
        return [{"id": b64encode(f'["WorkOrdersWorkorder","{key}"]'.encode()).decode()} for key in data.orders]
    if name == operations.TRANSITION:
        who = {"tenant": str(data.tenant), "actor": str(data.actor)}
        return [{"input": {**who, "workOrder": str(key), "seen": str(version)}} for key, version in data.drafts]
    tenant = {"tenantId": str(data.tenant)}
    if name == operations.DEEP_LIST:
        return [
            {"first": 50, "condition": tenant, "after": cursor([mark, due.replace("+", ".000000+"), str(key)])}
            for due, key in data.places
        ]
    return [{"first": size(name), "condition": {**tenant, "status": each}} for each in data.statuses]


def size(name: str) -> int:
    """Return how many orders a page of an operation has; 0 if it is no list."""
    return {operations.NODE: 0, operations.TRANSITION: 0, operations.NESTED_LIST: 20}.get(name, 50)


def cursor(values: list[Any]) -> str:
    """Return the cursor that holds these values; both APIs take it with or without padding."""
    return urlsafe_b64encode(orjson.dumps(values)).decode()
