"""Accounts of processes, from /proc: what CPU time they have used, and on which processors they run."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
import redis

from bench.serving.scratch import Environment

TICKS: Final = os.sysconf("SC_CLK_TCK")


class Family:
    """A process that answers by its children, and they: PostgreSQL's first process and its backends."""

    def __init__(self, pid: int) -> None:
        """Name the first process. Raises RuntimeError when it does not run on this machine."""
        self.pid = pid
        if not Path(f"/proc/{pid}/stat").is_file():
            raise RuntimeError(f"Process {pid} is none of this machine's: the benchmark reads /proc.")

    def members(self) -> list[int]:
        """Return the ids of the processes that run now."""
        children = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [self.pid, *(int(child) for each in children for child in each.read_text().split())]

    def cpu(self) -> float:
        """Return the seconds of CPU that its processes have used so far, those that have ended included."""
        total = sum(_times(self.pid)[2:])
        return (total + sum(sum(_times(pid)[:2]) for pid in self.members())) / TICKS


def _times(pid: int) -> list[int]:
    """Return the ticks of a process in user and system mode, and the same of its children that have ended."""
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]]
    return [0, 0, 0, 0]


def postgresql(environment: Environment) -> Family:
    """Return the processes of the PostgreSQL that serves a database."""
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        stat = Path(f"/proc/{connection.info.backend_pid}/stat")
        return Family(int(stat.read_text().rpartition(")")[2].split()[1]))


def valkey(environment: Environment) -> Family:
    """Return the process that keeps our limits' budgets."""
    with redis.Redis.from_url(environment["REDIS_URL"]) as client:
        return Family(int(client.info("server")["process_id"]))


@contextmanager
def pinned(*families: Family) -> Iterator[tuple[set[int], set[int]]]:
    """Keep the databases, and this process with what it starts, off the first processor, and give it to no one.

    Yield the first processor, for a server, and the others. A process that is not ours to move stays where it is.
    """
    usual = os.sched_getaffinity(0)
    first, *others = sorted(usual)
    server, rest = {first}, set(others) or {first}
    with ExitStack() as stack:
        for pid in [0, *(pid for family in families for pid in family.members())]:
            with suppress(PermissionError, ProcessLookupError):
                stack.callback(_moved, pid, os.sched_getaffinity(pid))
                os.sched_setaffinity(pid, rest)
        yield server, rest


def _moved(pid: int, processors: set[int]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.sched_setaffinity(pid, processors)
