"""What the price and the limits add to a request, and whether each client gets its budget.

Run `python -m bench.limiter [--requests 300] [--rounds 5] [--budget-seconds 30]` (Linux). Four questions, each by
turns on one machine: what reading and pricing a document costs, the first time and again; how many draws a second there
are beside the bare script, for one client and for a thousand; what CPU time a list of 50 takes with the limits and
without them; what clients get who ask for several times their budget, from two workers.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count, cycle
from statistics import median
from typing import Final

from bench.servers import LIST, graphql
from bench.serving.contenders import running
from bench.serving.load import HOST, OK, Outcome, load
from bench.serving.scratch import Environment, issue_token, manage, scratch

OURS: Final = "granian WSGI"
WORK_ORDERS: Final = 5_000
PEOPLE: Final = ("supervisor", "technician", "viewer", "admin")
CHEAP: Final = "{ workOrders(first: 10) { edges { node { id } } } }"
PRICE: Final = 12
"""Points of that document, whose page is always full: nothing is given back."""

BUCKET: Final = 1_200
RATE: Final = 120
"""Of the budgets that are measured: small, so that the server itself is not the limit."""


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description="Measure prices and limits.")
    parser.add_argument("--requests", type=int, default=300, help="with the limits, and without (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are told (%(default)s)")
    parser.add_argument("--budget-seconds", type=float, default=30, help="for the load of the budgets (%(default)s)")
    options = parser.parse_args()
    with scratch(WORK_ORDERS) as environment:
        os.environ.update(environment)
        documents(options.rounds)
        draws(options.rounds)
        requests(environment, options.requests)
        budgets(environment, options.budget_seconds)


def documents(rounds: int) -> None:
    """Print what reading and pricing a document costs: the first time, and again."""
    import django  # noqa: PLC0415 (the environment is the scratch database's by now)

    django.setup()
    from graphql.execution import Executor  # noqa: PLC0415

    from schema.cost import price  # noqa: PLC0415
    from schema.documents.document import Document, read  # noqa: PLC0415
    from schema.root import schema  # noqa: PLC0415

    def priced(text: str) -> None:
        document = read(schema._schema, text)
        assert isinstance(document, Document)
        if not document.prices:
            built = Executor.build(schema._schema, document.parsed)
            assert isinstance(built, Executor)
            document.prices[()] = price(schema._schema, built.operation, built.fragments, built.variable_values)

    texts = (f"{LIST} # {number}" for number in count())
    ways = {"a new document": lambda: priced(next(texts)), "a known document": lambda: priced(LIST)}
    table("reading, validating and pricing the list's document", ways, rounds)


def draws(rounds: int) -> None:
    """Print what drawing from the limits costs beside the bare script."""
    from django_redis import get_redis_connection  # noqa: PLC0415

    from apps.throttle import script  # noqa: PLC0415
    from apps.throttle.limits import Bucket, Draw, settle, take  # noqa: PLC0415

    redis, bucket = get_redis_connection("default"), Bucket("bench", 10**9, 500.0)
    registered = redis.register_script(script.TEXT)
    registered(keys=["{bench}:bench"], args=["bucket 1000000000 500.0 1"])  # loads it
    many = cycle(f"bench-{number}" for number in range(1000))
    ways: dict[str, Callable[[], object]] = {
        "bare EVALSHA, one client": lambda: redis.evalsha(script.SHA, 1, "{bench}:bench", "bucket 1000000000 500.0 1"),
        "bare EVALSHA, 1,000 clients": lambda: redis.evalsha(
            script.SHA, 1, f"{{{next(many)}}}:bench", "bucket 1000000000 500.0 1"
        ),
        "take, one client": lambda: take("bench", [Draw(bucket, 1)]),
        "take, 1,000 clients": lambda: take(next(many), [Draw(bucket, 1)]),
        "settle, without a wait": lambda: settle("bench", [Draw(bucket, -1)]),
    }
    table("drawing from a limit", ways, rounds)


def table(title: str, ways: Mapping[str, Callable[[], object]], rounds: int) -> None:
    """Measure each way by turns and print its medians, with the CPU time as a ratio to the first way's."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            found[name].append(per_call(call))
    print(f"{title:52} {'CPU us':>9} {'ratio':>7} {'a second':>9}")
    first = median(cpu for cpu, _ in next(iter(found.values())))
    for name, figures in found.items():
        cpu, wall = median(cpu for cpu, _ in figures), median(wall for _, wall in figures)
        print(f"  {name:50} {cpu * 1e6:9.1f} {cpu / first:7.3f} {1 / wall:9.0f}")


def per_call(call: Callable[[], object], seconds: float = 0.3) -> tuple[float, float]:
    """Return the seconds of CPU, and on the clock, of one call."""
    calls, cpu, started = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() < started + seconds:
        call()
        calls += 1
    return (time.process_time() - cpu) / calls, (time.perf_counter() - started) / calls


def requests(environment: Environment, count: int) -> None:
    """Print what a list of 50 costs with the limits and without: in one process, request by request by turns."""
    from django.conf import settings  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    from apps.throttle.limits import Bucket  # noqa: PLC0415
    from schema import budget  # noqa: PLC0415

    budget.POINTS = Bucket("points", 10**9, 500.0)  # type: ignore[misc]
    budget.TIME = Bucket("time", 10**9, 1000.0)  # type: ignore[misc]
    client, headers = Client(SERVER_NAME=HOST), {"Authorization": f"Bearer {issue_token(environment)}"}
    body = {"query": LIST, "variables": {"first": 50}}
    found: dict[str, list[tuple[float, float]]] = {"without limits": [], "with limits": []}
    for _ in range(count):
        for name, times in found.items():
            settings.ENABLE_COST_LIMIT = name == "with limits"
            cpu, started = time.process_time(), time.perf_counter()
            answer = client.post("/graphql", body, content_type="application/json", headers=headers)
            times.append((time.process_time() - cpu, time.perf_counter() - started))
            assert answer.status_code == OK, answer.content
    print(f"{'a list of 50, all of the request in one process':52} {'CPU ms':>9} {'ratio':>7} {'ms':>9}")
    first = median(cpu for cpu, _ in found["without limits"])
    for name, times in found.items():
        cpu, wall = median(cpu for cpu, _ in times), median(wall for _, wall in times)
        print(f"  {name:50} {cpu * 1e3:9.3f} {cpu / first:7.3f} {wall * 1e3:9.3f}")


def budgets(environment: Environment, seconds: float) -> None:
    """Print what clients get who ask for several times their budget, beside what is theirs."""
    limits = {"ENABLE_COST_LIMIT": "1", "COST_BUCKET": str(BUCKET), "COST_RESTORE_RATE": str(RATE)}
    tokens = [manage(environment, "issue_token", f"{person}@demo.example").strip() for person in PEOPLE]
    with running(OURS, {**environment, **limits}, 2, 5) as server:
        outcomes = asyncio.run(all_at_once(server.port, tokens, seconds))
    print(f"{'several times its budget, from two workers':52} {'asked':>9} {'got':>7} {'its own':>9} {'ratio':>7}")
    for person, outcome in zip(PEOPLE, outcomes, strict=True):
        asked, got = len(outcome.seconds) * PRICE, (len(outcome.seconds) - outcome.wrong) * PRICE
        own = BUCKET + RATE * outcome.elapsed
        print(f"  {person:50} {asked:9} {got:7} {own:9.0f} {got / own:7.3f}")


async def all_at_once(port: int, tokens: Sequence[str], seconds: float) -> list[Outcome]:
    """Let each client ask on two connections as fast as it is answered; a refusal counts as wrong."""
    return await asyncio.gather(*(load(port, graphql(token, CHEAP), 2, seconds) for token in tokens))


if __name__ == "__main__":
    main()
