"""What a request costs for a page of results that are remembered, and how large the index is."""

import gc
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import orjson

R = TypeVar("R")
DOCUMENT: Final = """
query Search($query: String!, $kinds: [SearchKind!], $first: Int, $after: String) {
  search(query: $query, kinds: $kinds, first: $first, after: $after) {
    totalCount
    didYouMean
    facets { kind count }
    edges {
      cursor
      score
      highlights { field fragments { text match } }
      node {
        __typename
        ... on WorkOrder { id number title workOrderStatus: status }
        ... on Task { id title taskStatus: status }
        ... on Ticket { id number subject ticketStatus: status }
        ... on Asset { id code name }
        ... on Site { id code name }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
SIZES: Final = """
SELECT pg_total_relation_size(name), pg_table_size(name) FROM unnest(%s::text[]) WITH ORDINALITY AS n (name, place)
ORDER BY place
"""
TABLES: Final = ("work_orders_workorder", "search_document", "search_word", "search_posting")


class Spent(NamedTuple):
    """Milliseconds that passed, and that processes worked: this one, and the server's for this connection."""

    passed: float
    here: float
    there: float


def requests(query: str, size: int, rounds: int) -> tuple[Spent, list[Spent], int]:
    """Ask for a page; return what the first time took, what each of the others did, and the bytes of the answer."""
    post(query, 1)  # the process is warm
    gc.collect()
    gc.freeze()  # as the server does when it starts
    gc.set_threshold(50_000, 10, 10)
    (first, answer), *others = (measured(lambda: post(query, size)) for _ in range(rounds + 1))
    for _, content in ((first, answer), *others):  # read when the time is taken
        assert len(orjson.loads(content)["data"]["search"]["edges"]) == size, f"{query} finds too little."
    return first, [spent for spent, _ in others], len(answer)


def measured(work: Callable[[], R]) -> tuple[Spent, R]:
    """Do the work; return what it took, and what it returned."""
    there, here, began = server_time(), time.process_time(), time.perf_counter()
    result = work()
    passed, worked = time.perf_counter() - began, time.process_time() - here
    return Spent(passed * 1e3, worked * 1e3, (server_time() - there) * 1e3), result


def post(query: str, size: int) -> bytes:
    """Send a search, and return the answer."""
    body = orjson.dumps({"query": DOCUMENT, "variables": {"query": query, "first": size}})
    headers = {"Authorization": f"Bearer {token()}"}
    answer = client().post("/graphql", body, content_type="application/json", headers=headers)
    return bytes(answer.content)


@cache
def client() -> Any:
    """Return what sends requests to the application, without a network."""
    from django.conf import settings  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    settings.ENABLE_SEARCH_RATE_LIMITING = False
    return Client(headers={"host": "localhost"})


_tokens: dict[str, str] = {}


def token() -> str:
    """Return a token of a supervisor, one for each database."""
    from django.db import connection  # noqa: PLC0415

    from apps.accounts.models import User  # noqa: PLC0415
    from apps.accounts.tenancy import all_tenants  # noqa: PLC0415
    from apps.accounts.tokens import issue_token  # noqa: PLC0415

    name = str(connection.settings_dict["NAME"])
    if name not in _tokens:
        with all_tenants():
            _tokens[name] = issue_token(user=User.unscoped.get(email="supervisor@demo.example"))[0]
    return _tokens[name]


def server_time() -> float:
    """Return the seconds that the server's process of this connection has worked; 0 if that is not to be seen."""
    from django.db import connection  # noqa: PLC0415

    connection.ensure_connection()
    try:
        schedule = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text()
    except OSError:
        return 0.0
    return int(schedule.split()[0]) / 1e9


def sizes() -> dict[str, tuple[float, float]]:
    """Return the MB of each table with its indexes, and without."""
    from django.db import connection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(SIZES, [list(TABLES)])
        return {
            name: (total / 2**20, table / 2**20) for name, (total, table) in zip(TABLES, cursor.fetchall(), strict=True)
        }
