"""`/graphql` as a client meets it: who may ask, by which method, and what it is told when something is wrong."""

import json
import logging
import re
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.origin import WELL_FORMED
from apps.accounts.tokens import issue_token
from schema.errors import INTERNAL_MESSAGE
from tests import factories
from tests.conftest import Ask

ME = "{ me { name role tenant { name } } }"
ISSUE = 2
"""The token that the fixture issues, and its entry in the audit trail."""

AUTHENTICATION = 2
"""The token with its user and tenant, and the note of its first use."""


def post(client: Client, body: Any, **headers: str) -> Any:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post("/graphql", text, content_type="application/json", headers=headers)


def code(answer: Any) -> str:
    (error,) = answer.json()["errors"]
    return str(error["extensions"]["code"])


def test_a_bearer_token_says_who_asks(ask: Ask, technician: User) -> None:
    answer = ask(technician, ME)
    tenant = {"name": technician.tenant.name}
    assert answer["data"] == {"me": {"name": technician.name, "role": "TECHNICIAN", "tenant": tenant}}


@pytest.mark.django_db
def test_nobody_reads_anything() -> None:
    answer = post(Client(), {"query": ME})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert code(answer) == "UNAUTHENTICATED"
    assert "data" not in answer.json()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header", ["Bearer wg_wrong", "Bearer", "Basic YTpi", "", "Bearer \x00", "Bearer " + "x" * 9000]
)
def test_a_bad_token_is_refused_even_beside_a_session(technician: User, header: str) -> None:
    client = Client()
    client.force_login(technician)
    answer = post(client, {"query": ME}, Authorization=header)
    assert answer.status_code == 401
    assert code(answer) == "UNAUTHENTICATED"


def test_a_session_asks_with_the_csrf_token_only(technician: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(technician)
    refused = post(client, {"query": ME})
    assert refused.status_code == 403
    assert code(refused) == "BAD_REQUEST"
    client.get("/graphql", headers={"Accept": "text/html"})
    served = post(client, {"query": ME}, **{"X-CSRFToken": client.cookies["csrftoken"].value})
    assert served.json()["data"]["me"]["name"] == technician.name


def test_a_page_of_our_origin_reads_the_csrf_token_off_the_sign_in_page(technician: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(technician)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/login/").text)
    assert token
    served = post(client, {"query": ME}, **{"X-CSRFToken": token[1]})
    assert served.json()["data"]["me"]["name"] == technician.name


def test_a_query_may_come_by_get(client: Client, technician: User) -> None:
    token, _ = issue_token(user=technician)
    answer = client.get("/graphql", {"query": ME}, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["data"]["me"]["name"] == technician.name


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[1]", 400),
        ("nonsense", 400),
        (b"\xff\xfe", 400),
        ({"query": 7}, 400),
        ("null", 400),
        ("5", 400),
        ('"x"', 400),
        ({}, 400),
        ("", 415),
        ("[" * 10000, 400),
        ('{"query": "\\ud800"}', 400),
        (b"x" * 1_100_000, 413),
    ],
)
def test_what_is_no_request_is_told_in_graphqls_form(technician: User, body: Any, status: int) -> None:
    token, _ = issue_token(user=technician)
    answer = post(Client(), body, Authorization=f"Bearer {token}")
    assert answer.status_code == status
    assert code(answer) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "document",
    [
        f"{{ workOrders(first: {'9' * 5000}) {{ totalCount }} }}",
        "query A { me { id } } query B { me { name } }",
        "{ nothing }",
        "{",
        "query ($n: Int!) { workOrders(first: $n) { totalCount } }",
        "{ node(id: 7.5) { id } }",
    ],
)
def test_a_bad_document_is_the_clients_to_mend(ask: Ask, technician: User, document: str) -> None:
    answer = ask(technician, document)
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}


@pytest.mark.parametrize(
    ("id_", "message"),
    [
        ("", "is not an id"),
        ("17", "is not an id"),
        ("V29ya09yZGVyOg==", "is not an id"),
        ("V29ya09yZGVyOi0x", "is not an id"),
        ("Tm9uc2Vuc2U6MQ==", "no objects of the type 'Nonsense'"),
        ("UXVlcnk6MQ==", "no objects of the type 'Query'"),
        ("\N{PILE OF POO}", "is not an id"),
    ],
)
def test_what_is_no_id_is_refused(ask: Ask, technician: User, id_: str, message: str) -> None:
    answer = ask(technician, "query ($id: ID!) { node(id: $id) { id } }", id=id_)
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert message in error["message"]


def test_at_most_100_nodes_are_asked_for_at_once(ask: Ask, technician: User) -> None:
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    ids = ["VGFzazox"] * 101
    assert ask(technician, document, ids=ids[:100])["data"] == {"nodes": [None] * 100}
    assert ask(technician, document, ids=ids)["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}


def test_a_fault_of_ours_is_logged_and_not_told(
    ask: Ask, technician: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise DatabaseError("relation secret_table does not exist")

    monkeypatch.setattr("schema.reads.lists.fetch_page", fail)
    monkeypatch.setattr("schema.compiler.statement.prepared", fail)
    with caplog.at_level(logging.ERROR):
        answer = ask(technician, "{ workOrders { edges { node { id } } } }")
    (error,) = answer["errors"]
    assert (error["message"], error["extensions"]["code"]) == (INTERNAL_MESSAGE, "INTERNAL")
    assert WELL_FORMED.fullmatch(error["extensions"]["correlationId"])
    assert "secret" not in json.dumps(answer)
    assert "secret_table" in caplog.text


def test_a_request_costs_its_own_statement_and_those_of_its_token(ask: Ask, technician: User, demo: Tenant) -> None:
    factories.work_order(demo, assignee=technician)
    document = "{ workOrders { edges { node { number assignee { name } } } } }"
    with CaptureQueriesContext(connection) as first:
        ask(technician, document)
    issued = [query["sql"] for query in first.captured_queries if query["sql"].lstrip().startswith("INSERT")]
    assert len(issued) == ISSUE
    assert len(first.captured_queries) - len(issued) == AUTHENTICATION + 1


def test_a_browser_gets_graphiql_and_a_program_does_not(client: Client, technician: User) -> None:
    client.force_login(technician)
    page = client.get("/graphql", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    program = client.get("/graphql", headers={"Accept": "application/json"})
    assert program.status_code == 400
    assert code(program) == "BAD_REQUEST"


def test_a_fault_outside_any_resolver_is_told_in_graphqls_form(
    technician: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("secret plan")

    monkeypatch.setattr("schema.http.view.actor_of", fail)
    token, _ = issue_token(user=technician)
    answer = post(Client(), {"query": ME}, Authorization=f"Bearer {token}")
    assert (answer.status_code, code(answer)) == (500, "INTERNAL")
    assert "secret" not in answer.text
    assert "secret plan" in caplog.text


def test_the_one_operation_that_is_named_runs(client: Client, technician: User) -> None:
    token, _ = issue_token(user=technician)
    body = {"query": "query A { me { id } } query B { me { name } }", "operationName": "B"}
    answer = post(client, body, Authorization=f"Bearer {token}")
    assert answer.json()["data"] == {"me": {"name": technician.name}}


@pytest.mark.parametrize("by_session", [True, False])
def test_the_lists_of_the_actor_are_read_by_session_and_by_token(
    client: Client, ask: Ask, technician: User, demo: Tenant, by_session: bool
) -> None:
    order = factories.work_order(demo, assignee=technician)
    document = "{ me { assignedWorkOrders { totalCount edges { node { number } } } } }"
    client.force_login(technician)
    answer = post(client, {"query": document}).json() if by_session else ask(technician, document)
    expected = {"totalCount": 1, "edges": [{"node": {"number": order.number}}]}
    assert answer["data"] == {"me": {"assignedWorkOrders": expected}}


def test_without_introspection_errors_suggest_nothing(ask: Ask, technician: User, settings: Settings) -> None:
    misspelt = "{ workOrders(firs: 1) { totalCount } }"
    assert "Did you mean 'first'" in ask(technician, misspelt)["errors"][0]["message"]
    settings.INTROSPECTION = False
    assert "Did you mean" not in ask(technician, misspelt)["errors"][0]["message"]
