"""A real server of two workers, on a real port, over the tests' database."""

# ruff: noqa: S603, S310 - the commands and the addresses are the tests' own
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from project.embedded.places import ROOT
from tests import factories
from tests.test_import_work_orders import environment

TOKEN: Final = "a-token-for-prometheus"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    port: int
    process: "subprocess.Popen[bytes]"
    folder: Path
    """Where its workers count."""

    def ask(self, token: str, document: str, **variables: Any) -> int:
        """Send an operation over a connection of its own and return the status."""
        body = json.dumps({"query": document, "variables": variables}).encode()
        return self._opened("/graphql", token, body, {"Content-Type": "application/json"})[0]

    def bulk(self, token: str, **given: Any) -> int:
        """Send a bulk of work orders by REST and return the status."""
        body = json.dumps(given).encode()
        return self._opened("/api/v1/work-orders/bulk/", token, body, {"Content-Type": "application/json"})[0]

    def metrics(self) -> dict[str, float]:
        """Return every sample of the page, by its name and labels as they are written."""
        _, text = self._opened("/metrics", TOKEN)
        return {
            sample.name + _labels(sample.labels): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def lives(self) -> bool:
        """Tell whether it answers."""
        try:
            return self._opened("/healthz", "")[0] == 200
        except OSError:
            return False

    def _opened(self, path: str, token: str, body: bytes | None = None, headers: Any = None) -> tuple[int, str]:
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, sent)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}" if labels else ""


def somebodys_token() -> str:
    """Return a token of a supervisor of an organisation."""
    return issue_token(user=factories.user(factories.tenant(), Role.SUPERVISOR))[0]


@contextmanager
def served(folder: Path, **given: str) -> Iterator[Server]:
    """Serve the tests' database by two workers, which count in a folder inside of this one."""
    port = free_port()
    usual = {
        "ALLOWED_HOSTS": "127.0.0.1",
        "HTTPS": "0",
        "AUDIT_LOG": "",
        "METRICS_TOKEN": TOKEN,
        "TMPDIR": str(folder),
        "DATABASE_POOL_SIZE": "2",
    }
    command = [sys.executable, "-m", "project.server", "127.0.0.1", str(port), "2", "2"]
    with subprocess.Popen(command, cwd=ROOT, env=environment() | usual | given, stderr=subprocess.DEVNULL) as process:
        try:
            yield _running(port, process, folder)
        finally:
            process.terminate()


def _running(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> Server:
    """Return the server when it answers and both of its workers count."""
    server = Server(port, process, folder)
    while not (server.lives() and len(list(folder.glob("workgraph-metrics-*/gauge_livesum_*.db"))) == 2):
        assert process.poll() is None
        time.sleep(0.05)
    (counting,) = folder.glob("workgraph-metrics-*")
    return Server(port, process, counting)
