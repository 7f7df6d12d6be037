"""Application hosts: the server as it runs in production, several times."""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.cluster.processes import Process, free_port
from project.embedded.places import ROOT

SECONDS = 30
DEMO_PASSWORD = "of-demo-people"  # noqa: S105 - they live as long as the demonstration


@dataclass(frozen=True)
class Site:
    """What the hosts of one installation share: the environment that their settings are read from."""

    environment: Mapping[str, str]
    folder: Path

    @classmethod
    def of(cls, folder: Path, *, database: str, redis: str, replica: str = "", **more: str) -> Site:
        """Return the site of these servers."""
        served = {"DATABASE_URL": database, "REPLICA_URL": replica, "REDIS_URL": redis}
        plain = {"SECRET_KEY": "of-one-machine", "ALLOWED_HOSTS": "127.0.0.1", "HTTPS": "0"}
        return cls({**served, **plain, "AUDIT_LOG": "", "DEMO_PASSWORD": DEMO_PASSWORD, **more}, folder)

    def manage(self, *arguments: str) -> str:
        """Run a command of `manage.py`, and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def host(self, name: str, **environment: str) -> Host:
        """Return a host of it, which runs inside of its process's block."""
        port = free_port()
        command = [sys.executable, "-m", "project.server", "127.0.0.1", str(port), "1", "4"]
        url, log = f"http://127.0.0.1:{port}", self.folder / f"{name}.log"
        process = Process(
            command, log, lambda: _ready(url), environment={**self.environment, **environment}, cwd=str(ROOT)
        )
        return Host(name, url, log, process)


@dataclass(frozen=True)
class Host:
    """An application host."""

    name: str
    url: str
    log: Path
    process: Process

    def ask(self, token: str, query: str, **variables: Any) -> dict[str, Any]:
        """Return what it answers to an operation, whatever the status."""
        answer: dict[str, Any] = self.post(token, {"query": query, "variables": variables})
        return answer

    def post(self, token: str, sent: Any) -> Any:
        """Return what it answers to a body."""
        body = json.dumps(sent).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)  # noqa: S310 - it is a host of ours
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - beside it
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)


def _ready(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=SECONDS).close()  # noqa: S310 - it is a host of ours
    except OSError:
        return False
    return True
