"""What the price and the limits add to a request, and whether each client gets its budget.

Run `python -m bench.limiter [--seconds 3] [--rounds 5] [--clients 4]` (Linux). Four questions, by turns on one machine:
what reading and pricing a document costs the first time and every other time; how many draws a second there are beside
the bare script, for one client and for a thousand; what CPU time a list of 50 takes with the limits and without them;
what clients get who ask for several times their budget, from two workers.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from bench.serving.contenders import running
from bench.serving.load import Ask, Outcome, ask, load
from bench.serving.scratch import Environment, manage, scratch
from bench.servers import LIST, graphql, issue_token, measure

OURS: Final = "granian WSGI"
WORK_ORDERS: Final = 5_000
PEOPLE: Final = ("supervisor", "technician", "viewer", "admin")
CHEAP: Final = "{ workOrders(first: 10) { edges { node { id } } } }"
PRICE: Final = 12
"""Points of that document, whose page is always full: nothing is given back."""

BUCKET: Final = 1_200
RATE: Final = 120
"""Of the budgets that are measured: small, so that the server is not the limit."""


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description="Measure prices and limits.")
    parser.add_argument("--seconds", type=float, default=3, help="for each load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are told (%(default)s)")
    parser.add_argument("--budget-seconds", type=float, default=30, help="for the load of the budgets (%(default)s)")
    options = parser.parse_args()
    with scratch(WORK_ORDERS) as environment:
        os.environ.update(environment)
        documents(options.rounds)
        draws(options.rounds)
        requests({**environment, "COST_BUCKET": "1000000000"}, options.rounds, options.seconds)
        budgets(environment, options.budget_seconds)


def documents(rounds: int) -> None:
    """Print what reading and pricing a document costs: the first time, and again."""
    import django  # noqa: PLC0415 (the environment is the scratch database's by now)

    django.setup()
    from schema.documents.document import Document, read  # noqa: PLC0415
    from schema.operation import Asked, prepared_price  # noqa: PLC0415

    texts = (f"{LIST} # {number}" for number in count())
    print("reading, validating and pricing the list's document, CPU microseconds")


def per_call(call: Callable[[], object], seconds: float = 0.3) -> float:
    """Return the CPU seconds of one call."""
    calls, started, end = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()
        calls += 1
    return (time.process_time() - started) / calls
