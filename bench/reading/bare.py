"""The least that can answer the same requests: a statement each, written by hand, and nothing around it.

No GraphQL is read, no token, no limit: the operation's name picks a function. It shows what HTTP, PostgreSQL and JSON
cost anyhow; ours is told as a ratio to it.
"""

import os
from base64 import b64decode, b64encode
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson
from psycopg import Connection, RawCursor
from psycopg_pool import ConnectionPool

from project.intake import Respond, in_turn

from . import operations
from .statements import COUNT, HISTORY, LIST, NODE, PLAIN_LIST, SUBMIT, TASKS

TENANT: Final = int(os.environ["BENCH_TENANT"])
ACTOR: Final = int(os.environ["BENCH_ACTOR"])
SIZE: Final = int(os.environ["DATABASE_POOL_SIZE"])
MARK: Final = 4_294_967_295
"""Stands where our cursors tell of which order they are."""

TASK: Final = ("title", "status", "version")
ENTRY: Final = ("at", "action", "entityVersion")

Data = dict[str, Any]
Row = tuple[Any, ...]


def _ready(connection: Connection[Row]) -> None:
    """Prepare statements at once, with plans for any values."""
    connection.autocommit, connection.prepare_threshold, connection.cursor_factory = True, 0, RawCursor
    connection.execute("SET plan_cache_mode = force_generic_plan")


pool: Final = ConnectionPool(os.environ["DATABASE_URL"], min_size=SIZE, max_size=SIZE, configure=_ready, open=True)


def _rows(statement: str, *values: object) -> list[Row]:
    with pool.connection() as connection:
        return connection.execute(statement, values, binary=True).fetchall()


def _id(kind: str, key: int) -> str:
    return b64encode(f"{kind}:{key}".encode()).decode()


def _key(given: str) -> int:
    return int(b64decode(given).partition(b":")[2])


def _cursor(row: Row) -> str:
    return b2a_base64(orjson.dumps([MARK, row[6], row[0]]), newline=False).decode().rstrip("=")


def _node(row: Row) -> Data:
    key, serial, title, status, priority, version, due, created, updated, asset, code, name, *rest = row
    site, site_name, person, person_name = rest
    place = asset and {"id": _id("Site", site), "name": site_name}
    return {
        "id": _id("WorkOrder", key),
        "number": f"WO-{serial:06d}",
        "title": title,
        "status": status,
        "priority": priority,
        "version": version,
        "dueAt": due,
        "createdAt": created,
        "updatedAt": updated,
        "asset": asset and {"id": _id("Asset", asset), "code": code, "name": name, "site": place},
        "assignee": person and {"id": _id("User", person), "name": person_name},
    }


def _connection(rows: list[Row], first: int, nodes: list[Data], *, after: bool = False, **more: object) -> Data:
    cursors = [_cursor(row) for row in rows[:first]]
    info = {
        "hasNextPage": len(rows) > first,
        "hasPreviousPage": after,
        "startCursor": cursors[0],
        "endCursor": cursors[-1],
    }
    edges = [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)]
    return {"workOrders": {**more, "edges": edges, "pageInfo": info}}


def work_orders(asked: Data) -> Data:
    """Return a page of the orders in a status."""
    first = int(asked["first"])
    rows = _rows(LIST.format(first + 1), TENANT, asked["filters"]["status"]["exact"])
    return _connection(rows, first, [_node(row) for row in rows[:first]])


def counted(asked: Data) -> Data:
    """Return the same with the count of them all."""
    [[count]] = _rows(COUNT, TENANT, asked["filters"]["status"]["exact"])
    page = work_orders(asked)
    page["workOrders"]["totalCount"] = count
    return page


def deep(asked: Data) -> Data:
    """Return a page of all orders, after a cursor."""
    first, cursor = int(asked["first"]), asked["after"]
    _, due, key = orjson.loads(b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_"))
    rows = _rows(PLAIN_LIST.format(first + 1), TENANT, due, key)
    return _connection(rows, first, [_node(row) for row in rows[:first]], after=True)


def nested(asked: Data) -> Data:
    """Return a page with each order's first tasks and latest entries of the audit trail."""
    first = int(asked["first"])
    rows = _rows(LIST.format(first + 1), TENANT, asked["filters"]["status"]["exact"])
    keys = [row[0] for row in rows[:first]]
    tasks: dict[int, list[Data]] = {key: [] for key in keys}
    history: dict[int, list[Data]] = {key: [] for key in keys}
    for order, key, *task in _rows(TASKS, TENANT, keys):
        tasks[order].append({"node": {"id": _id("Task", key), **dict(zip(TASK, task, strict=True))}})
    for order, key, *entry in _rows(HISTORY, TENANT, keys):
        history[order].append({"node": {"id": _id("AuditEntry", key), **dict(zip(ENTRY, entry, strict=True))}})
    nodes = [
        {
            "id": _id("WorkOrder", key),
            "number": f"WO-{serial:06d}",
            "title": title,
            "status": status,
            "tasks": {"edges": tasks[key]},
            "history": {"edges": history[key]},
        }
        for key, serial, title, status, *_ in rows[:first]
    ]
    return _connection(rows, first, nodes)


def node(asked: Data) -> Data:
    """Return one order."""
    [row] = _rows(NODE, TENANT, _key(asked["id"]))
    return {"node": _node(row)}


def submit(asked: Data) -> Data:
    """Submit an order, by the function that PostGraphile calls."""
    given = asked["input"]
    [[key, status, version]] = _rows(SUBMIT, TENANT, ACTOR, _key(given["id"]), given["version"])
    return {"transitionWorkOrder": {"id": _id("WorkOrder", key), "status": status, "version": version}}


FUNCTIONS: Final[dict[str, Callable[[Data], Data]]] = {
    operations.LIST: work_orders,
    operations.NESTED_LIST: nested,
    operations.COUNTED_LIST: counted,
    operations.DEEP_LIST: deep,
    operations.NODE: node,
    operations.TRANSITION: submit,
}


def answer(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
    """Answer a request, as WSGI has it."""
    asked = orjson.loads(environ["wsgi.input"].read())
    body = orjson.dumps({"data": FUNCTIONS[asked["operationName"]](asked["variables"])})
    respond("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


application: Final = in_turn(answer, int(os.environ["AT_ONCE"]))
