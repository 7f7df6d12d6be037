"""The REST API as a real server serves it: to a script, and to Schemathesis, which knows nothing but its document."""

# ruff: noqa: S603 - the command is the test's own
import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.audit.models import AuditEntry
from apps.work_orders.models import WorkOrder
from project.rest.openapi import described
from tests import factories
from tests.rest import made
from tests.test_attacks_server import server
from tests.test_bulk import WAYS
from tests.writing import gid, in_state, stored, target

Json = dict[str, Any]

GUIDE: Final = (Path(__file__).parent.parent / "docs" / "rest.md").read_text()
EXAMPLES: Final = "4"
"""Of each operation, beside those that Schemathesis derives from the document."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


def objects(part: Any) -> Iterator[Json]:
    """Yield every object in a document."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    if isinstance(part, dict):
        yield part
    for each in inner:
        yield from objects(each)


def narrowed(ids: list[str], person: str) -> Json:
    """Return the document, with ids that are there, and without what no schema can say or takes minutes to generate.

    A key that comes twice is refused, and a thousand items take long to make up; other tests send both.
    """
    document: Json = json.loads(json.dumps(described()))
    for part in objects(document):
        part.pop("maxItems", None)
        part.pop("maxLength", None)
    for path in document["paths"].values():
        path.get("post", {}).pop("parameters", None)
    schemas = document["components"]["schemas"]
    item = schemas["Item"]["properties"]
    item["id"], item["version"] = {"anyOf": [{"enum": ids}, item["id"]]}, {"anyOf": [{"const": 1}, item["version"]]}
    schemas["TaskBulk"]["properties"]["assigneeId"] = {"enum": [person, None]}
    content = document["paths"]["/api/v1/tasks/bulk/"]["post"]["requestBody"]["content"]["application/json"]
    content["examples"]["ASSIGN"]["value"]["assigneeId"] = person
    return document


def test_it_does_what_its_document_says_whatever_is_sent(demo: Tenant, boss: User, port: int, tmp_path: Path) -> None:
    rows = [made(model, demo) for model in WAYS for _ in range(3)]
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(narrowed([gid(row) for row in rows], gid(factories.user(demo)))))
    token, _ = issue_token(user=boss)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", f"http://127.0.0.1:{port}"),
        *("--header", f"Authorization: Bearer {token}", "--phases", "examples,coverage,fuzzing", "--seed", "1"),
        *("--max-examples", EXAMPLES, "--generation-database", "none", "--no-color", "--warnings", "off"),
    ]
    with server(port, ENABLE_COST_LIMIT="0"):
        found = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Tested: 5" in found.stdout


def posted(port: int, path: str, token: str, body: Json) -> tuple[int, Json]:
    """Send a body and return the status and what is told."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(sent) as answer:  # noqa: S310 - the address is the test's own
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_example_in_python_approves_what_is_submitted_or_tells_why_not(demo: Tenant, boss: User, port: int) -> None:
    orders = [in_state(WorkOrder, demo, "SUBMITTED") for _ in range(2)]
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)

    def ran(token: str) -> subprocess.CompletedProcess[str]:
        env = {"URL": f"http://127.0.0.1:{port}", "TOKEN": token}
        return subprocess.run([sys.executable, "-c", example], env=env, check=False, capture_output=True, text=True)

    with server(port):
        refused, done = ran("wrong"), ran(issue_token(user=boss)[0])
    assert (refused.returncode, json.loads(refused.stderr)["errors"][0]["extensions"]["code"]) == (1, "UNAUTHENTICATED")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 approved, 0 refused\n", "")
    assert [stored(row)["status"] for row in orders] == ["APPROVED", "APPROVED"]


def test_a_script_is_served_with_a_slash_at_the_end_and_without(demo: Tenant, boss: User, port: int) -> None:
    orders = [in_state(WorkOrder, demo, "SUBMITTED") for _ in range(2)]
    token, _ = issue_token(user=boss)
    path = "/api/v1/work-orders/bulk"
    with server(port):
        first = posted(port, path, token, {"action": "approve", "items": [target(orders[0])]})
        second = posted(port, f"{path}/", token, {"action": "approve", "items": [target(row) for row in orders]})
        third = posted(port, f"{path}/", "wrong", {"action": "approve", "items": [target(orders[1])]})
    assert (first[0], first[1]["succeeded"]) == (200, 1)
    assert (second[0], second[1]["code"]) == (409, "VERSION_CONFLICT")
    assert (third[0], third[1]["code"]) == (401, "UNAUTHENTICATED")
    assert [stored(row)["status"] for row in orders] == ["APPROVED", "SUBMITTED"]
    assert [entry.source for entry in AuditEntry.unscoped.filter(action="APPROVE")] == ["rest"]
