"""The examples of the guides: all fit the schema, and those for frontends are followed and answer as shown."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from django.test import Client
from graphql import parse, validate
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.helpdesk.models import Ticket
from apps.throttle.limits import Bucket
from schema import budget
from schema.reads.global_id import encode_id
from schema.root import schema
from tests import factories
from tests.clients.node import node, reaching
from tests.test_docs import PAGES, ROOT
from tests.test_generated_types import FILE
from tests.writing import gid

Json = dict[str, Any]

BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SENT: Final = re.compile(r"-d '(\{.*?\})'", re.DOTALL)
LOOSE: Final = {"endCursor", "changedAt", "resetAt", "remaining", "operationId", "totalCount", "count", "score"}
"""What differs each time, or with the other data of a demo; of that the type is compared."""

NEW_ENTITY: Final = "adding-an-entity.md"
"""Its examples are of an entity that is not there; a test of its own follows it."""

SCRIPT: Final = """
import { ask } from "./ask.mjs";
const create = "mutation ($subject: String!) { createTicket(input: {subject: $subject}) { __typename } }";
const said = [await ask("{ me { name } }"), await ask("{ me { nam } }").catch((error) => error.code)];
for (const subject of ["Water", "Fire"]) said.push(await ask(create, { subject }));
console.log(JSON.stringify(said));
"""


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def examples(text: str) -> Iterator[tuple[Json, Json]]:
    """Yield each body that a page tells to send, with the answer that it shows; variables follow their document."""
    body: Json = {}
    for language, block in BLOCK.findall(text):
        held = json.loads(block) if language == "json" else {}
        if language == "graphql":
            body = {"query": block}
        elif language == "sh" and (sent := SENT.search(block)):
            body = json.loads(sent[1])
        elif "query" in held and "extensions" in held:
            body = held
        elif "data" in held or "extensions" in held:
            yield body, held
        elif held:
            body = {**body, "variables": held}


def as_shown(value: Any, shown: Any, name: str = "") -> Any:
    """Return what was answered, so that it equals what is shown if it agrees; a list may be shown in part."""
    if name in LOOSE:
        return shown if type(value) is type(shown) else value
    if isinstance(value, dict) and isinstance(shown, dict):
        return {key: as_shown(each, shown.get(key), key) for key, each in value.items()}
    if isinstance(value, list) and isinstance(shown, list):
        return [as_shown(each, other) for each, other in zip(value, shown, strict=False)]
    return value


@pytest.fixture
def supervisor(demo: Tenant) -> User:
    return factories.user(demo, Role.SUPERVISOR, name="Dmitri Castillo")


@pytest.fixture
def ids(demo: Tenant) -> dict[str, str]:
    """Return, for each order in the pages, its id there and that of one which is like it here."""
    yard, fab = factories.site(demo, code="CHI-WTR"), factories.site(demo, code="SIN-FAB")
    martin = factories.user(demo, name="Dmitri Martin")
    factories.work_order(demo, title="REPAIR CONDENSATE DRAIN LEFT HAND REAR")  # found too, after the newer one
    urgent = {"priority": "CRITICAL", "status": "SUBMITTED"}
    orders: dict[int, Json] = {
        4998: {"title": "adjjust belt splice stairwell 2", "site": yard},
        4962: {"title": "REPAIR CONDENSATE DRAIN RIGHT HAND REAR"},
        2757: {
            "title": "WATER UNDER UNIT",
            "due_at": datetime.fromisoformat("2026-11-15T22:00:00+00:00"),
            "asset": factories.asset(demo, site=fab, code="AHU-299"),
            **urgent,
        },
        3307: {
            "title": "SWITCHGEAR LOAD TEST",
            "due_at": datetime.fromisoformat("2027-01-05T02:00:00+00:00"),
            "asset": factories.asset(demo, site=fab, code="SWG-251"),
            "assignee": martin,
            **urgent,
        },
        1043: {"asset": factories.asset(demo, site=fab), **urgent, "priority": "LOW"},
        4960: {"status": "SUBMITTED", "version": 2},
        4953: {"status": "SUBMITTED", "version": 2},
    }
    made = {serial: factories.work_order(demo, serial=serial, **fields) for serial, fields in orders.items()}
    return {encode_id("WorkOrder", serial): gid(order) for serial, order in made.items()}


@pytest.fixture
def send(client: Client, supervisor: User) -> Callable[[Json], Json]:
    """Return a function that sends a body as the supervisor and returns the answer."""
    token, _ = issue_token(user=supervisor)

    def sent(body: Json) -> Json:
        headers = {"Authorization": f"Bearer {token}"}
        answer: Json = client.post("/graphql", body, content_type="application/json", headers=headers).json()
        return answer

    return sent


@pytest.mark.parametrize("path", [each for each in PAGES if each.name != NEW_ENTITY], ids=lambda path: path.name)
def test_every_document_fits_the_schema(path: Path) -> None:
    documents = [block for language, block in BLOCK.findall(path.read_text()) if language == "graphql"]
    assert [validate(schema._schema, parse(document)) for document in documents] == [[]] * len(documents)


@pytest.mark.parametrize(("name", "count"), [("frontends.md", 11), ("bulk-operations.md", 1)])
def test_the_examples_answer_as_shown(name: str, count: int, ids: dict[str, str], send: Callable[[Json], Json]) -> None:
    text = page(name)
    for there, here in ids.items():
        text = text.replace(there, here)
    followed = 0
    for body, shown in examples(text):
        answer = send(body)
        assert as_shown({key: answer.get(key) for key in shown}, shown) == shown, body
        followed += 1
    assert followed == count


def test_the_script_asks_tells_errors_by_their_code_and_waits_its_turn(
    live_server: LiveServer, supervisor: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "POINTS", Bucket("points", 13, 5))
    (tmp_path / "ask.mjs").write_text(dict(FILE.findall(page("frontends.md")))["ask.mjs"])
    (tmp_path / "run.mjs").write_text(SCRIPT)

    said = json.loads(node(["run.mjs"], reaching(live_server, supervisor), tmp_path))

    created = {"createTicket": {"__typename": "Ticket"}}
    assert said == [{"me": {"name": "Dmitri Castillo"}}, "BAD_REQUEST", created, created]
    assert sorted(Ticket.unscoped.values_list("subject", flat=True)) == ["Fire", "Water"]
