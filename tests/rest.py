"""What tests of the REST API share: how a script sends a bulk, and what must hold of each problem it is told."""

import json
from typing import Any, Final

from django.http import HttpResponse
from django.test import Client

from apps.accounts.models import Tenant, User
from apps.accounts.tokens import issue_token
from apps.attendance.models import AttendanceRecord
from project.rest.problems import KINDS, PROBLEM
from project.rest.resources import Model, name_of
from tests import factories
from tests.test_bulk import WAYS
from tests.writing import in_state

Json = dict[str, Any]

TYPES: Final = {kind.code: f"/api/v1/openapi.json#/components/schemas/{kind.name}" for kind in KINDS}


def address(model: Model) -> str:
    return f"/api/v1/{name_of(model)}/bulk/"


class Script:
    """A client of the REST API with a token."""

    def __init__(self, actor: User) -> None:
        self.actor, self.client = actor, Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {issue_token(user=actor)[0]}"}
        # The first use of a token is noted in its row, which tests that nothing changes are not to see.
        assert self.client.get("/api/v1/openapi.json", headers=self.headers).status_code == 200

    def bulk(self, model: Model, items: list[Json], action: str, /, **given: Any) -> HttpResponse:
        return self.send(model, {"items": items, "action": action, **given})

    def send(self, model: Model, body: Any, *, media: str = "application/json", **headers: str) -> HttpResponse:
        """Send a body, JSON unless it is bytes; headers as `Idempotency_Key="x"`."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(  # type: ignore[return-value]
            address(model), sent, content_type=media, headers={**self.headers, **more}
        )


def made(model: Model, owner: Tenant, status: str = "", **fields: Any) -> Any:
    """Return a row in the state that the model's way starts from, or in another."""
    person = "person" if model is AttendanceRecord else "assignee"
    return in_state(model, owner, status or WAYS[model].start, **{person: factories.user(owner), **fields})


def told(answer: HttpResponse, status: int, code: str) -> Json:
    """Hold that an answer is a problem of this status and code, and return what it tells."""
    assert answer["Content-Type"] == PROBLEM, answer.content
    assert (answer["Cache-Control"], len(answer["X-Correlation-ID"])) == ("no-store", 32)
    body: Json = json.loads(answer.content)
    expected = {"type": TYPES[code], "status": status, "code": code, "correlationId": answer["X-Correlation-ID"]}
    assert {name: body[name] for name in expected} == expected
    assert answer.status_code == status
    assert body["title"]
    assert body["detail"].endswith((".", "]"))
    return body


def pointers(body: Json) -> list[str]:
    return [error.get("pointer", error.get("header")) for error in body["errors"]]
