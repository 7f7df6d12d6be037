"""Which web server answers at the least cost: the same application under each, by turns.

Run `python -m bench.servers [--seconds 2] [--rounds 3] [--workers 1] [--threads 5] [--trials]` (Linux). The CPU time
for a request is the steadiest figure: requests per second and latencies suffer from whatever else the machine does.
With one worker the server has one processor to itself and the load another. docs/decisions/0003-web-server.md reads
the figures.
"""

import argparse
import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from statistics import median, quantiles
from typing import Final

import orjson

from bench.serving import trials
from bench.serving.contenders import CONTENDERS, Server, running
from bench.serving.load import FOUND, OK, Ask, Connection, ask, run
from bench.serving.scratch import Environment, issue_token, scratch

WORK_ORDERS: Final = 5_000
CLIENTS: Final = 8
ROW: Final = """id number title status priority version dueAt createdAt updatedAt
    asset { id code name site { id name } } assignee { id name }"""
LIST: Final = f"""query WorkOrderList($first: Int) {{
    workOrders(first: $first) {{
        edges {{ cursor node {{ {ROW} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"""
NODE: Final = f"query WorkOrderRow($id: ID!) {{ node(id: $id) {{ ... on WorkOrder {{ {ROW} }} }} }}"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one load: CPU milliseconds for a request, requests per second, latencies in milliseconds, failures."""

    cpu: float
    rate: float
    middle: float
    tail: float
    failed: int


def main() -> None:
    """Print a table for each operation."""
    options = arguments()
    with scratch(WORK_ORDERS) as environment:
        token = issue_token(environment)
        with contenders(environment, options.workers, options.threads) as servers:
            asked = operations(servers[0].port, token)
            for name, operation in asked.items():
                report(name, measure(servers, operation, options.rounds, options.seconds))
            print("MB of a worker:", ", ".join(f"{server.name} {server.memory():.0f}" for server in servers))
        if options.trials:
            trials.main(environment, asked["list of 50"], options.threads)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Compare web servers.")
    parser.add_argument("--seconds", type=float, default=2, help="for each load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are told (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes of a server (%(default)s)")
    parser.add_argument("--threads", type=int, default=5, help="of a worker, that run Django (%(default)s)")
    parser.add_argument("--trials", action="store_true", help="also try what servers stumble over")
    return parser.parse_args()


@contextmanager
def contenders(environment: Environment, workers: int, threads: int) -> Iterator[list[Server]]:
    """Yield all servers, running; one worker gets a processor to itself, and the load what is left."""
    processors = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        if workers == 1:
            os.sched_setaffinity(0, processors[:1])
        servers = [stack.enter_context(running(name, environment, workers, threads)) for name in CONTENDERS]
        os.sched_setaffinity(0, processors[1 if workers == 1 else 0 :] or processors)
        yield servers
        os.sched_setaffinity(0, processors)


def operations(port: int, token: str) -> dict[str, Ask]:
    """Return what is asked of the servers, each with its name."""
    listed = graphql(token, LIST, first=50)
    edges = asyncio.run(first_answer(port, listed))["data"]["workOrders"]["edges"]
    assert len(edges) == 50  # noqa: PLR2004 - the page asked for
    return {
        "list of 50": listed,
        "one node": graphql(token, NODE, id=edges[0]["node"]["id"]),
        "redirect": ask("/", status=FOUND),
    }


def graphql(token: str, document: str, **variables: object) -> Ask:
    """Return the request of an operation."""
    return ask("/graphql", token=token, body=orjson.dumps({"query": document, "variables": variables}))


async def first_answer(port: int, asked: Ask) -> dict[str, dict[str, dict[str, list[dict[str, dict[str, str]]]]]]:
    """Return what a request is answered with, as JSON."""
    connection = await Connection.open(port)
    status = await connection.ask(asked.request)
    connection.close()
    assert status == OK, connection.body
    answer: dict[str, dict[str, dict[str, list[dict[str, dict[str, str]]]]]] = orjson.loads(connection.body)
    return answer


def measure(servers: Sequence[Server], asked: Ask, rounds: int, seconds: float) -> Mapping[str, Figures]:
    """Load the servers by turns; return the medians over the rounds of each."""
    for server in servers:
        run(server.port, asked, CLIENTS, seconds / 4)
    found: dict[str, list[Figures]] = {server.name: [] for server in servers}
    for turn in range(rounds):
        for server in servers[:: -1 if turn % 2 else 1]:  # to and fro: what slowly changes hits all alike
            found[server.name].append(figures(server, asked, seconds))
    return {name: Figures(*map(median, zip(*map(astuple, all_of), strict=True))) for name, all_of in found.items()}


def figures(server: Server, asked: Ask, seconds: float) -> Figures:
    """Load a server once."""
    before = server.cpu()
    outcome = run(server.port, asked, CLIENTS, seconds)
    answers = len(outcome.seconds)
    cuts = quantiles(outcome.seconds, n=100)
    return Figures(
        (server.cpu() - before) / answers * 1e3,
        answers / outcome.elapsed,
        cuts[49] * 1e3,
        cuts[98] * 1e3,
        outcome.wrong + outcome.lost + outcome.refused,
    )


def report(operation: str, found: Mapping[str, Figures]) -> None:
    """Print the figures of an operation, with each server's CPU time as a ratio to the least."""
    least = min(figures.cpu for figures in found.values())
    print(f"{operation:18} {'CPU ms':>7} {'ratio':>6} {'req/s':>7} {'p50 ms':>7} {'p99 ms':>7} {'failed':>7}")
    for name, one in sorted(found.items(), key=lambda item: item[1].cpu):
        print(
            f"  {name:16} {one.cpu:7.2f} {one.cpu / least:6.2f} {one.rate:7.0f} {one.middle:7.1f} {one.tail:7.1f}"
            f" {one.failed:7.0f}"
        )


if __name__ == "__main__":
    main()
