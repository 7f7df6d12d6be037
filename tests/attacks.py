"""What attacks are made of: a request, what it must be told, and what must hold of every answer whatever is asked."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.conf import settings
from django.test import Client

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from schema.budget import POINTS, client_of
from schema.reads.global_id import encode_id
from tests import factories
from tests.buckets import left
from tests.writing import nothing_changes

SECRET: Final = "OnlyRivalMayReadThis"
GRAPHQL: Final = "application/graphql-response+json"
ME: Final = "{ me { id } }"
LONGEST: Final = 5.0
"""How many seconds an attack may be worked on, on a busy machine."""

CODES: Final = {"UNAUTHENTICATED", "RATE_LIMITED", "QUERY_TOO_COMPLEX", "BAD_REQUEST", "PERSISTED_QUERY_NOT_FOUND"}
"""All that a client can be told; INTERNAL is a fault of ours."""

LEAKS: Final = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|psycopg|django|strawberry|graphql\.|\bSELECT\b|\bFROM \"|relation \""
    r"|object at 0x|<class|[a-z]Error\b|Did you mean (?!'\w+ \{)|<!doctype|"
    + "|".join([re.escape(str(settings.BASE_DIR)), SECRET]),
    re.IGNORECASE,
)
"""What tells of our insides, of the schema's other names, or of another tenant; not `Did you mean 'me { ... }'?`."""


@dataclass(frozen=True)
class Attack:
    """A request, and what it must be told: status and codes, like `422 BAD_REQUEST`, or one of several by `|`."""

    name: str
    told: str
    body: Any = None
    """What is sent: bytes as they are, a text likewise, anything else as JSON. `@order@` and such are ids."""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    query: str = ""
    media: str = "application/json"

    def __str__(self) -> str:
        """Name the case in pytest's report."""
        return self.name


def asked(name: str, told: str, document: str, **variables: Any) -> Attack:
    """Return the attack of a document and its variables."""
    return Attack(name, told, {"query": document, "variables": variables})


def bodies(told: str, sent: Mapping[str, Any], **about: Any) -> list[Attack]:
    """Return an attack for each body, all of which are told the same."""
    return [replace(Attack(name, told, body), **about) for name, body in sent.items()]


def documents(told: str, sent: Mapping[str, str]) -> list[Attack]:
    """Return an attack for each document, all of which are told the same."""
    return [asked(name, told, document) for name, document in sent.items()]


@dataclass(frozen=True)
class Target:
    """Who attacks, as an admin of one tenant, and ids of that tenant's and of another's rows."""

    actor: User
    ids: Mapping[str, str]
    client: Client
    token: str

    @classmethod
    def among(cls, own: Tenant, other: Tenant) -> "Target":
        """Make the rows, an actor and its token, which has been used: to note that changes a row."""
        actor = factories.user(own, Role.ADMIN)
        client = Client(raise_request_exception=False)
        made = cls(actor, _ids(own, actor) | _ids(other, _secret(other), "rival_"), client, issue_token(user=actor)[0])
        made.is_served()
        return made

    def send(self, attack: Attack, token: str | None = None) -> Any:
        """Send an attack."""
        headers = {"Accept": GRAPHQL, "Authorization": f"Bearer {token or self.token}", **attack.headers}
        body = self._filled(attack.body)
        path = f"/graphql?{attack.query}" if attack.query else "/graphql"
        sent = {name: value for name, value in headers.items() if value}
        return self.client.generic(attack.method, path, body, content_type=attack.media, headers=sent)

    def _filled(self, body: Any) -> bytes:
        if isinstance(body, bytes):
            return body
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        return re.sub(r"@(\w+)@", lambda found: self.ids.get(found[1], found[0]), text).encode()

    def is_served(self) -> None:
        """Hold that the next request is served as if nothing had been."""
        answer = self.send(Attack("after", "200", {"query": ME}))
        assert answer.status_code == 200, answer.content
        assert answer.json()["data"] == {"me": {"id": encode_id("User", self.actor.pk)}}

    def points(self) -> int:
        """Return how many points the actor has left."""
        return left(POINTS, client_of(self.actor))


def _ids(owner: Tenant, person: User, prefix: str = "") -> dict[str, str]:
    text = {"name": SECRET} if prefix else {}
    site = factories.site(owner, **text)
    order = factories.work_order(owner, site=site, requested_by=person, title=SECRET if prefix else "Replace pump seal")
    rows = {"user": person, "site": site, "order": order, "task": factories.task(owner, work_order=order)}
    return {prefix + name: encode_id(type(row).__name__, row.pk) for name, row in rows.items()}


def _secret(other: Tenant) -> User:
    return factories.user(other, Role.ADMIN, name=SECRET, phone=SECRET)


def withstands(target: Target, attack: Attack) -> Any:
    """Hold that an attack is told what it must be, and does nothing else; return the answer."""
    started, points = time.monotonic(), target.points()  # what is restored is counted from before, so at least all
    with nothing_changes():
        answer = target.send(attack)
    assert time.monotonic() - started < LONGEST
    parts = _parts(answer)
    assert told(answer.status_code, parts) in attack.told.split("|"), answer.content[:500]
    assert not LEAKS.search(answer.content.decode()), LEAKS.search(answer.content.decode())
    drawn = sum(_actual(part) for part in parts)
    remain = target.points()
    restored = POINTS.rate * (time.monotonic() - started)
    assert 0 <= remain <= min(POINTS.capacity, points - drawn + restored + 1)
    target.is_served()
    return answer


def told(status: int, parts: Iterable[Mapping[str, Any]]) -> str:
    """Return the status and all codes that an answer tells, each once."""
    codes = dict.fromkeys(error["extensions"]["code"] for part in parts for error in part.get("errors", ()))
    return " ".join([str(status), *codes])


def _parts(answer: Any) -> list[Any]:
    """Return the answers in an answer, which are of GraphQL's form."""
    assert answer.headers["Content-Type"].removesuffix("; charset=utf-8") in {GRAPHQL, "application/json"}
    body = answer.json()
    parts = body if isinstance(body, list) else [body]
    for part in parts:
        _assert_form(part)
    return parts


def _assert_form(part: Any) -> None:
    assert part
    assert set(part) <= {"data", "errors", "extensions"}
    assert part.get("errors") != []
    for error in part.get("errors", ()):
        assert set(error) <= {"message", "locations", "path", "extensions"}
        assert error["message"]
        assert error["extensions"]["code"] in CODES


def _actual(part: Mapping[str, Any]) -> int:
    cost = part.get("extensions", {}).get("cost", {"requested": 0, "actual": 0})
    assert 0 <= cost["actual"] <= cost["requested"] or cost["actual"] == 1
    return int(cost["actual"])
