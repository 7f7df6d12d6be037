"""What our reads cost beside PostGraphile's, beside the executor's, and beside a bare statement: by turns, on one core.

Run `python -m bench.reads [--work-orders 20000] [--seconds 2] [--rounds 5] [--only WorkOrderList,...]` (Linux); the
published figures are of 1,000,000 work orders. Each server is one process and has the first processor to itself;
PostgreSQL, Valkey and the load of 8 connections share another. CPU time for a request is the steadiest figure.
`--memory` asks one worker many documents instead, and tells whether its memory grows.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any, Final

import orjson
import psycopg

from bench.reading import memory, operations
from bench.reading.comparing import compare
from bench.reading.load import answers
from bench.reading.measuring import Figures, Machine, Work, measure
from bench.reading.processes import pinned, postgresql, valkey
from bench.reading.requests import Data, read, redraft, size
from bench.reading.servers import BARE, COMPILED, EXECUTOR, FOREIGN, HERE, WAYS, Contender, contenders
from bench.serving.scratch import Environment, issue_token, scratch

NAME: Final = "bench_reads"
COMPARED: Final = 3
"""Answers of each server that are compared before it is measured."""

HEAD: Final = "{:16}{:>8}{:>8}{:>8}{:>12}{:>12}{:>9}{:>6}{:>8}{:>7}"
LINE: Final = "  {:14}{:8.0f}{:8.2f}{:8.2f}{:12.3f}{:12.3f}{:9.3f}{:6.0%}{:8.0f}{:7.1f}"


def main() -> None:
    """Print a table for each operation."""
    options = arguments()
    with scratch(options.work_orders, NAME) as environment:
        if options.memory:
            memory.main(environment, options.requests, options.documents)
            return
        run(environment, options)


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Compare ways to answer the same reads.")
    parser.add_argument("--work-orders", type=int, default=20_000, help="in the database (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="for each load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are told (%(default)s)")
    parser.add_argument("--only", type=_names(operations.NAMES), default=operations.NAMES, help="these operations")
    parser.add_argument("--servers", type=_names(list(WAYS)), default=list(WAYS), help="these servers")
    parser.add_argument("--memory", action="store_true", help="watch a worker's memory instead")
    parser.add_argument("--requests", type=int, default=100_000, help="for --memory (%(default)s)")
    parser.add_argument("--documents", type=int, default=10_000, help="for --memory (%(default)s)")
    return parser.parse_args()


def _names(known: Sequence[str]) -> Any:
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(known)}")
        return chosen

    return names


def run(environment: Environment, options: argparse.Namespace) -> None:
    """Start the servers, see that they answer the same, measure and report."""
    data, token = read(environment), issue_token(environment)
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute((HERE / "functions.sql").read_bytes())
    machine = Machine(postgresql(environment), valkey(environment))
    with (
        pinned(machine.postgresql, machine.valkey) as (first, _),
        contenders(environment, data, token, first, options.servers) as servers,
    ):
        for name in options.only:
            work = prepared(environment, data, name)
            sizes = checked(servers, work, name)
            report(name, measure(machine, servers, work, options.rounds, options.seconds), sizes)


def prepared(environment: Environment, data: Data, name: str) -> Work:
    """Return an operation, ready to be asked for."""
    if name == operations.TRANSITION:
        again = partial(redraft, environment, data)
        return Work(name, lambda contender: contender.requests(data, name), again, b'"SUBMITTED"', again=False)
    known: dict[str, list[bytes]] = {}

    def requests(contender: Contender) -> list[bytes]:
        if contender.name not in known:
            known[contender.name] = contender.requests(data, name)
        return known[contender.name]

    return Work(name, requests, lambda: None, b'"node"')


def checked(servers: Sequence[Contender], work: Work, name: str) -> dict[str, float]:
    """Compare the servers' first answers; return the kilobytes of the first one of each."""
    found = {}
    for each in servers:
        work.prepare()
        found[each.name] = answers(each.server.port, work.requests(each)[:COMPARED])
    compare(name, size(name), found)
    return {each: len(orjson.dumps(given[0])) / 1e3 for each, given in found.items()}


def report(operation: str, found: Mapping[str, Figures], sizes: Mapping[str, float]) -> None:
    """Print the figures of an operation, and ours as ratios."""
    columns = ("req/s", "p50 ms", "p99 ms", "server CPU", "PostgreSQL", "Valkey", "busy", "failed", "KB")
    print("\n" + HEAD.format(operation, *columns), flush=True)
    for name, one in found.items():
        print(LINE.format(name, *astuple(one), sizes[name]))
    for other in (FOREIGN, BARE, EXECUTOR):
        if COMPILED in found and other in found:
            us, them = found[COMPILED], found[other]
            rate, server, database = us.rate / them.rate, us.server / them.server, us.postgresql / them.postgresql
            print(f"  to {other}: {rate:.2f} of the requests/s, CPU {server:.2f}, PostgreSQL's {database:.2f}")


if __name__ == "__main__":
    main()
