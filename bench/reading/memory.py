"""Whether a worker's memory grows with the number of documents that it is asked."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import orjson

from bench.serving.contenders import started
from bench.serving.load import ask
from bench.serving.scratch import Environment, issue_token

from .load import load
from .servers import PRODUCTION, ours

POINTS: Final = 10
CLIENTS: Final = 4
FIELDS: Final = ("number", "title", "status", "priority", "version", "dueAt", "createdAt", "updatedAt")


def main(environment: Environment, requests: int, documents: int) -> None:
    """Print what memory one worker holds at ten points on the way."""
    asked = _requests(issue_token(environment), documents)
    with started("compiled", ours, {**environment, **PRODUCTION}) as server:
        print(f"{'requests':>10} {'wrong':>6} {'MB of the worker':>17}")
        for point in range(POINTS):
            portion = islice(asked, requests // POINTS)
            outcome = load(server.port, portion, _right, CLIENTS, float("inf"))
            print(f"{(point + 1) * requests // POINTS:10} {outcome.wrong:6} {server.memory():17.1f}", flush=True)


def _right(answer: bytes) -> bool:
    right = b'"errors"' not in answer
    if not right:
        print(answer.partition(b"\r\n\r\n")[2].decode())
    return right


def _requests(token: str, documents: int) -> Iterator[bytes]:
    """Give requests without end, each document twice in a row: the executor answers it, then what was compiled."""
    while True:
        for number in range(documents):
            request = ask("/graphql", token=token, body=orjson.dumps({"query": document(number)})).request
            yield request
            yield request


def document(number: int) -> str:
    """Return a document that no other number has: other fields, and another name for one of them."""
    fields = [name for place, name in enumerate(FIELDS) if number >> place & 1]
    return f"{{ workOrders(first: 3) {{ edges {{ node {{ id alias{number}: title {' '.join(fields)} }} }} }} }}"
