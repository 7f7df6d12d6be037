"""Documents that are known by a name: Apollo's persisted queries, and those that are registered with the server."""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.cache import cache, caches
from django.core.management import CommandError, call_command
from django.test import Client
from django_redis import get_redis_connection
from graphql import parse, print_ast
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.tokens import issue_token
from apps.throttle.limits import Window
from apps.throttle.server import Server
from apps.work_orders.models import WorkOrder
from schema.documents.trusted import ManifestError, registered
from schema.graphiql import EXAMPLES, example_operations
from tests import factories
from tests.buckets import closed_port, fresh_server
from tests.test_cost import CLIENTS, client_documents, total
from tests.test_schema import OPERATIONS

JSON: Final = "application/json"
ACCEPT: Final = "application/graphql-response+json"
ME: Final = "{ me { name } }"
CREATE: Final = 'mutation { createWorkOrder(input: {title: "Mend"}) { __typename } }'
NOT_FOUND: Final = {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}

Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Let no test find what another has kept."""
    cache.delete_many([f"persisted:{digest(text)}" for text in (ME, CREATE, "{ nothing }")])


@pytest.fixture
def send() -> Send:
    """Return a function that sends a body as a user, and returns the response."""
    tokens: dict[int, str] = {}

    def sent(user: User, accept: str = ACCEPT, **body: Any) -> Any:
        if user.pk not in tokens:
            tokens[user.pk] = issue_token(user=user)[0]
        headers = {"Authorization": f"Bearer {tokens[user.pk]}", "Accept": accept}
        return Client().post("/graphql", json.dumps(body), content_type=JSON, headers=headers)

    return sent


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def by_hash(name: Any, version: Any = 1) -> dict[str, Any]:
    return {"persistedQuery": {"version": version, "sha256Hash": name}}


def told(answer: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.json()["errors"]
    return found


# Apollo's protocol.


def test_a_document_is_sent_once_and_then_known_by_its_hash_to_everybody(
    send: Send, technician: User, rival: Tenant
) -> None:
    known = by_hash(digest(ME))
    unknown = send(technician, extensions=known)
    assert (unknown.status_code, told(unknown), "data" in unknown.json()) == (422, [NOT_FOUND], False)
    assert send(technician, JSON, extensions=known).status_code == 200
    for body in ({"query": ME, "extensions": known}, {"extensions": known}, {"documentId": f"sha256:{digest(ME)}"}):
        answer = send(technician, **body)
        assert (answer.status_code, answer.json()["data"]) == (200, {"me": {"name": technician.name}})
    other = factories.user(rival)
    assert send(other, extensions=known).json()["data"] == {"me": {"name": other.name}}
    assert send(other, documentId=digest(ME)).json()["data"] == {"me": {"name": other.name}}


def test_a_hash_comes_by_get_too_and_a_mutation_by_it_does_not(send: Send, technician: User) -> None:
    headers = {"Authorization": f"Bearer {issue_token(user=technician)[0]}"}
    for text in (ME, CREATE):
        assert send(technician, query=text, extensions=by_hash(digest(text))).status_code == 200
    assert WorkOrder.unscoped.count() == 1
    asked = {"extensions": json.dumps(by_hash(digest(ME)))}
    assert Client().get("/graphql", asked, headers=headers).json()["data"] == {"me": {"name": technician.name}}
    refused = Client().get("/graphql", {"extensions": json.dumps(by_hash(digest(CREATE)))}, headers=headers)
    assert (refused.status_code, WorkOrder.unscoped.count()) == (405, 1)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (by_hash(digest("{ me { id } }")), "`sha256Hash` is not the hash of `query`."),
        (by_hash(digest(ME).upper()), "`sha256Hash` must have 64 hexadecimal digits in lower case."),
        (by_hash(digest(ME)[:-1]), "`sha256Hash` must have 64 hexadecimal digits in lower case."),
        (by_hash(digest(ME) + "\n"), "`sha256Hash` must have 64 hexadecimal digits in lower case."),
        (by_hash(7), "`sha256Hash` must have 64 hexadecimal digits in lower case."),
        (by_hash(None), "`sha256Hash` must have 64 hexadecimal digits in lower case."),
        (by_hash(digest(ME), 2), '`persistedQuery` must be like {"version": 1, "sha256Hash": "..."}.'),
        (by_hash(digest(ME), None), '`persistedQuery` must be like {"version": 1, "sha256Hash": "..."}.'),
        ({"persistedQuery": True}, '`persistedQuery` must be like {"version": 1, "sha256Hash": "..."}.'),
        ({"persistedQuery": []}, '`persistedQuery` must be like {"version": 1, "sha256Hash": "..."}.'),
    ],
)
def test_what_is_no_hash_of_the_text_is_400_and_keeps_nothing(
    send: Send, technician: User, sent: dict[str, Any], message: str
) -> None:
    answer = send(technician, JSON, query=ME, extensions=sent)
    assert (answer.status_code, told(answer)) == (400, [{"message": message, "extensions": {"code": "BAD_REQUEST"}}])
    assert told(send(technician, extensions=by_hash(digest(ME)))) == [NOT_FOUND]


@pytest.mark.parametrize(
    "body",
    [
        {"query": ME, "documentId": "Me"},
        {"documentId": "Me", "extensions": by_hash(digest(ME))},
        {"query": ME, "documentId": f"sha256:{digest(ME)}", "extensions": by_hash(digest(ME))},
    ],
)
def test_a_request_names_one_document(send: Send, technician: User, body: dict[str, Any]) -> None:
    answer = send(technician, **body)
    message = "Send a document in `query`, or name one by `documentId`; not both."
    assert (answer.status_code, told(answer)[0]["message"]) == (400, message)


@pytest.mark.parametrize("text", ["{ nothing }", "{", "{ " + "__typename " * 51 + "}"])
def test_what_can_not_run_is_not_kept(send: Send, technician: User, text: str) -> None:
    assert "errors" in send(technician, query=text, extensions=by_hash(digest(text))).json()
    assert told(send(technician, extensions=by_hash(digest(text)))) == [NOT_FOUND]


def test_what_is_kept_is_kept_for_so_long(send: Send, technician: User, settings: Settings) -> None:
    settings.PERSISTED_QUERY_SECONDS = 100
    send(technician, query=ME, extensions=by_hash(digest(ME)))
    key = caches["default"].make_key(f"persisted:{digest(ME)}")
    assert 90 < get_redis_connection("default").ttl(key) <= 100


def test_more_than_a_client_may_register_is_run_and_not_kept(
    send: Send, technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schema.documents.persisted.REGISTRATIONS", Window("registrations", 1, 60))
    for text, known in (("{ me { id } } # first", True), ("{ me { id } } # second", False)):
        cache.delete(f"persisted:{digest(text)}")
        extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}
        assert send(technician, query=text, extensions=extensions).status_code == 200
        assert (send(technician, extensions=extensions).status_code == 200) is known


def test_while_redis_is_away_a_client_sends_its_text_each_time(
    send: Send, technician: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = settings.CACHES["default"]
    settings.CACHES = {"default": {**default, "LOCATION": f"redis://127.0.0.1:{closed_port()}/0"}}
    fresh_server(monkeypatch)
    monkeypatch.setattr("schema.documents.persisted.server", Server())
    for _ in range(2):
        served = send(technician, query=ME, extensions=by_hash(digest(ME)))
        assert (served.status_code, served.json()["data"]) == (200, {"me": {"name": technician.name}})
        assert told(send(technician, extensions=by_hash(digest(ME)))) == [NOT_FOUND]


# Registered documents.

RELAY: Final = {"3b1c": ME, "9f2d": CREATE}
CODEGEN: Final = {f"sha256:{digest(ME)}": ME, digest(CREATE): CREATE}
APOLLO: Final = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [
        {"id": "3b1c", "name": "Me", "type": "query", "body": ME},
        {"id": "9f2d", "name": "Create", "type": "mutation", "body": CREATE},
    ],
}


def written(folder: Path, **files: Any) -> str:
    """Write files into a folder, `name_json` as `name.json`; return the folder's path."""
    for name, held in files.items():
        text = held if isinstance(held, str) else json.dumps(held)
        folder.joinpath(".".join(name.rsplit("_", 1))).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("manifest", "ids"),
    [
        (RELAY, ["3b1c"]),
        (APOLLO, ["3b1c"]),
        (CODEGEN, [f"sha256:{digest(ME)}", digest(ME)]),
        ({digest(ME): ME}, [f"sha256:{digest(ME)}", digest(ME)]),
    ],
)
def test_the_manifests_of_the_frontends_tools_are_read(
    send: Send, technician: User, settings: Settings, tmp_path: Path, manifest: Any, ids: list[str]
) -> None:
    folder = written(tmp_path, manifest_json=manifest)
    for path in (folder, f"{folder}/manifest.json"):
        settings.TRUSTED_DOCUMENTS_PATH = [path]
        for name in ids:
            assert send(technician, documentId=name).json()["data"] == {"me": {"name": technician.name}}
        assert told(send(technician, documentId="other")) == [NOT_FOUND]


def test_files_of_graphql_in_one_folder_are_read_together(
    send: Send, technician: User, settings: Settings, tmp_path: Path
) -> None:
    fragments = "fragment Row on User { name ...Role } fragment Role on User { role } fragment Idle on User { id }"
    queries = "query Me { me { ...Row } } query Roles { me { ...Role } }"
    settings.TRUSTED_DOCUMENTS_PATH = [written(tmp_path, a_graphql=queries, b_graphql=fragments, c_json="{}")]
    me = {"name": technician.name, "role": "TECHNICIAN"}
    assert send(technician, documentId="Me").json()["data"] == {"me": me}
    assert send(technician, documentId="Roles").json()["data"] == {"me": {"role": "TECHNICIAN"}}
    text = print_ast(parse("query Roles { me { ...Role } } fragment Role on User { role }"))
    assert send(technician, documentId=f"sha256:{digest(text)}").json()["data"] == {"me": {"role": "TECHNICIAN"}}
    assert send(technician, extensions=by_hash(digest(text))).json()["data"] == {"me": {"role": "TECHNICIAN"}}
    assert told(send(technician, documentId="")) == [NOT_FOUND]


def test_a_document_without_a_name_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    documents = registered((written(tmp_path, a_graphql=ME),))
    assert documents == {f"sha256:{digest(print_ast(parse(ME)))}": print_ast(parse(ME))}


def test_several_paths_are_read_and_the_same_may_come_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = written(tmp_path / "a", x_json=RELAY), written(tmp_path / "b", y_json={**RELAY, "7": "{ x }"})
    assert dict(registered((first, f"{second}/y.json"))) == {**RELAY, "7": "{ x }"}
    (tmp_path / "c").mkdir()
    with pytest.raises(ManifestError, match="registers 3b1c, which another document is called by already"):
        registered((first, written(tmp_path / "c", z_json={"3b1c": "{ y }"})))


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("a.json", "{"),
        ("a.json", "[]"),
        ("a.json", "7"),
        ("a.json", '{"a": 7}'),
        ("a.json", '{"a": {"body": "{ me { id } }"}}'),
        ("a.json", '{"operations": [{"id": "a"}]}'),
        ("a.json", '{"operations": [7]}'),
        ("a.json", '{"operations": 7}'),
        ("a.json", '{"operations": [{"id": "a", "body": 7}]}'),
        ("a.graphql", "{ me {"),
        ("a.graphql", b"\xff\xfe"),
        ("a.txt", "{ me { id } }"),
    ],
)
def test_a_bad_manifest_is_told_by_its_path(tmp_path: Path, name: str, held: str | bytes) -> None:
    path = tmp_path / name
    path.write_bytes(held if isinstance(held, bytes) else held.encode())
    with pytest.raises(ManifestError) as caught:
        registered((str(path),))
    assert str(path) in str(caught.value)


def test_a_path_to_nothing_is_told(tmp_path: Path) -> None:
    for name in ("folder", "a.json", "a.graphql"):
        with pytest.raises(ManifestError, match=name):
            registered((str(tmp_path / name),))


def test_only_registered_documents_run_when_only_they_are_trusted(
    send: Send, technician: User, settings: Settings, tmp_path: Path
) -> None:
    kept = "{ me { role } }"
    assert send(technician, query=kept, extensions=by_hash(digest(kept))).status_code == 200
    settings.TRUSTED_DOCUMENTS_PATH = [written(tmp_path, manifest_json=RELAY)]
    settings.TRUSTED_DOCUMENTS = "only"
    for body in ({"query": ME}, {"query": CREATE}, {"query": "{"}, {"query": ME, "extensions": by_hash(digest(ME))}):
        for accept in (ACCEPT, JSON):
            refused = send(technician, accept, **body)
            (error,) = told(refused)
            assert (refused.status_code, error["extensions"]["code"]) == (403, "BAD_REQUEST")
            assert (WorkOrder.unscoped.count(), "data" in refused.json()) == (0, False)
    assert told(send(technician, extensions=by_hash(digest(kept)))) == [NOT_FOUND]
    assert send(technician, documentId="3b1c").json()["data"] == {"me": {"name": technician.name}}
    assert send(technician, documentId="9f2d").status_code == 200
    assert WorkOrder.unscoped.count() == 1


@pytest.mark.skipif(not OPERATIONS.is_dir(), reason="the clients' documents lie beside the project")
def test_every_document_of_our_clients_runs_by_its_id(send: Send, technician: User, settings: Settings) -> None:
    settings.TRUSTED_DOCUMENTS, settings.TRUSTED_DOCUMENTS_PATH = "only", [str(OPERATIONS)]
    documents = registered((str(OPERATIONS),))
    assert {name for name in documents if not name.startswith("sha256:")} == set(client_documents())
    assert len(documents) == 2 * len(CLIENTS)
    for name, (variables, points) in CLIENTS.items():
        assert documents[f"sha256:{digest(documents[name])}"] == documents[name]
        answer = send(technician, documentId=name, variables=variables, extensions={"cost": "explain"}).json()
        assert ("errors" in answer, answer["extensions"]["cost"]["requested"]) == (False, points), name
        if name in {"Me", "WorkOrderList", "Search"}:
            assert "errors" not in send(technician, documentId=name, variables=variables).json(), name


def test_every_example_in_graphiql_runs_by_its_id(send: Send, technician: User, settings: Settings) -> None:
    settings.TRUSTED_DOCUMENTS, settings.TRUSTED_DOCUMENTS_PATH = "only", [str(EXAMPLES)]
    assert len(registered((str(EXAMPLES),))) == 2 * len(example_operations())
    for example in example_operations():
        answer = send(technician, documentId=example.name, variables=example.variables)
        assert "errors" not in answer.json(), answer.json()
        cost = answer.json()["extensions"]["cost"]["requested"]
        assert cost == total(example.query, **(example.variables or {}))


def checked(settings: Settings, *paths: str) -> str:
    """Return what `manage.py check_documents` prints."""
    settings.TRUSTED_DOCUMENTS_PATH, printed = [*paths], StringIO()
    call_command("check_documents", stdout=printed)
    return printed.getvalue()


def test_a_command_lists_the_registered_documents(settings: Settings, tmp_path: Path) -> None:
    folder = written(tmp_path, a_json={"1": ME, "2": "query A { me { id } } mutation B { __typename }"})
    assert checked(settings, folder) == "1 query\n2 query A, mutation B\nAll 2 can run.\n"
    assert checked(settings) == "All 0 can run.\n"


def test_the_command_fails_on_what_can_not_run_and_on_a_bad_manifest(settings: Settings, tmp_path: Path) -> None:
    folder = written(tmp_path, a_json={"1": ME, "2": "{ nothing }"})
    with pytest.raises(CommandError, match=r"^1 of 2 can't run\.$"):
        checked(settings, folder)
    with pytest.raises(CommandError, match="elsewhere is no folder"):
        checked(settings, f"{folder}/elsewhere")


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["query A { me { id } }", "query A { me { name } }"], "The name A is that of 2 operations"),
        (["{ me { id } }", "{ me { name } }"], "The name (none) is that of 2 operations"),
        (
            ["query A { me { ...F } } fragment F on User { id }", "fragment F on User { name }"],
            "The name F is that of 2 fragments",
        ),
    ],
)
def test_names_that_are_there_twice_are_refused_and_none_is_lost(tmp_path: Path, texts: list[str], told: str) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.graphql").write_text(text)
    with pytest.raises(ManifestError, match=re.escape(told)):
        registered((str(tmp_path),))
