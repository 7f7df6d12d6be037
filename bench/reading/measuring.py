"""Loads the servers by turns, and keeps account of what each took."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import cycle
from statistics import median, quantiles
from typing import Final

from bench.serving.load import Outcome

from .load import load
from .processes import Family
from .servers import Contender

CLIENTS: Final = 8
WARMING: Final = 3.0
"""Seconds for which a server is asked before it is measured, at least: Node compiles what runs often."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one load: requests/s, latencies in ms, CPU ms for a request by whom, how busy the server was, failures."""

    rate: float
    middle: float
    tail: float
    server: float
    postgresql: float
    valkey: float
    busy: float
    failed: float


@dataclass(frozen=True, slots=True)
class Work:
    """An operation: its name, the requests for a contender, what is done before each load, what a right answer has."""

    name: str
    requests: Callable[[Contender], Sequence[bytes]]
    prepare: Callable[[], None]
    right: bytes
    again: bool = True
    """Whether the same requests may come again."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The databases beside the servers."""

    postgresql: Family
    valkey: Family


def measure(
    machine: Machine, servers: Sequence[Contender], work: Work, rounds: int, seconds: float
) -> Mapping[str, Figures]:
    """Load the servers by turns; return the medians over the rounds of each."""
    found: dict[str, list[Figures]] = {each.name: [] for each in servers}
    for each in servers:
        once(machine, each, work, max(WARMING, seconds))
    for turn in range(rounds):
        for each in servers[:: -1 if turn % 2 else 1]:  # to and fro: what slowly changes hits all alike
            found[each.name].append(once(machine, each, work, seconds))
    return {name: Figures(*map(median, zip(*map(astuple, all_of), strict=True))) for name, all_of in found.items()}


def once(machine: Machine, contender: Contender, work: Work, seconds: float) -> Figures:
    """Load a server once."""
    work.prepare()
    requests: Iterable[bytes] = work.requests(contender)
    accounts = contender.server.cpu, machine.postgresql.cpu, machine.valkey.cpu
    time.sleep(0.05)  # for what the last load has left to do
    before = [cpu() for cpu in accounts]
    outcome = load(
        contender.server.port, iter(cycle(requests) if work.again else requests), _right(work.right), CLIENTS, seconds
    )
    return _figures(outcome, [cpu() - was for cpu, was in zip(accounts, before, strict=True)])


def _right(mark: bytes) -> Callable[[bytes], bool]:
    def right(answer: bytes) -> bool:
        return b" 200 " in answer[:13] and mark in answer and b'"errors"' not in answer

    return right


def _figures(outcome: Outcome, cpu: Sequence[float]) -> Figures:
    answers = len(outcome.seconds)
    cuts = quantiles(outcome.seconds, n=100)
    server, postgresql, valkey = cpu
    return Figures(
        answers / outcome.elapsed,
        cuts[49] * 1e3,
        cuts[98] * 1e3,
        server / answers * 1e3,
        postgresql / answers * 1e3,
        valkey / answers * 1e3,
        server / outcome.elapsed,
        outcome.wrong + outcome.lost,
    )
