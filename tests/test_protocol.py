"""`/graphql` over HTTP, to the letter of the working group's draft: statuses, media types, methods, and forms."""

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tokens import issue_token
from apps.work_orders.models import WorkOrder
from schema.http.media import MAX_ACCEPT

GRAPHQL: Final = "application/graphql-response+json"
JSON: Final = "application/json"
ME: Final = "{ me { name } }"
CREATE: Final = 'mutation { createWorkOrder(input: {title: "Mend"}) { __typename } }'
BOTH: Final = "query A { me { name } } query B { me { role } }"
PARTIAL: Final = '{ me { name } node(id: "x") { id } }'
NOTHING: Final = "{ workOrders(first: 101) { totalCount } }"

Send = Callable[..., Any]


@pytest.fixture
def token(technician: User) -> str:
    return issue_token(user=technician)[0]


@pytest.fixture
def send(token: str) -> Send:
    """Return a function that sends a body, and returns the response."""

    def sent(
        body: Any, accept: str | None = GRAPHQL, method: str = "POST", content_type: str = JSON, **extra: Any
    ) -> Any:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        headers = {"Authorization": f"Bearer {token}"} | ({} if accept is None else {"Accept": accept})
        return Client().generic(method, "/graphql", text, content_type=content_type, headers=headers, **extra)

    return sent


@pytest.fixture
def get(token: str) -> Send:
    """Return a function that asks by GET, and returns the response."""

    def got(accept: str | None = GRAPHQL, method: str = "get", **parameters: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"} | ({} if accept is None else {"Accept": accept})
        return getattr(Client(), method)("/graphql", parameters, headers=headers)

    return got


def codes(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer.json().get("errors", [])]


# Statuses.

NO_REQUEST: Final = [
    ("{", 400, "BAD_REQUEST"),
    ("[]", 400, "BAD_REQUEST"),
    ("7", 400, "BAD_REQUEST"),
    ([7], 400, "BAD_REQUEST"),
    ({}, 400, "BAD_REQUEST"),
    ({"query": None}, 400, "BAD_REQUEST"),
    ({"query": 7}, 400, "BAD_REQUEST"),
    ({"query": ME, "variables": []}, 400, "BAD_REQUEST"),
    ({"query": ME, "variables": "{}"}, 400, "BAD_REQUEST"),
    ({"query": ME, "operationName": 7}, 400, "BAD_REQUEST"),
    ({"query": ME, "extensions": "x"}, 400, "BAD_REQUEST"),
    ({"query": ME, "documentId": "x"}, 400, "BAD_REQUEST"),
    ({"documentId": 7}, 400, "BAD_REQUEST"),
    ([{"query": ME}, {"query": 7}], 400, "BAD_REQUEST"),
    ([{"query": ME}] * 11, 422, "QUERY_TOO_COMPLEX"),
]
"""What is no request at all; then its status, whatever the client accepts."""

REFUSED: Final = [
    ({"query": ""}, 400, "BAD_REQUEST"),
    ({"query": "{ me {"}, 400, "BAD_REQUEST"),
    ({"query": "{ nothing }"}, 422, "BAD_REQUEST"),
    ({"query": "query ($n: Int!) { workOrders(first: $n) { totalCount } }"}, 422, "BAD_REQUEST"),
    (
        {"query": "query ($n: Int!) { workOrders(first: $n) { totalCount } }", "variables": {"n": "x"}},
        422,
        "BAD_REQUEST",
    ),
    ({"query": ME, "operationName": "Other"}, 422, "BAD_REQUEST"),
    ({"query": BOTH}, 422, "BAD_REQUEST"),
    ({"query": BOTH, "operationName": ""}, 422, "BAD_REQUEST"),
    ({"query": "fragment F on User { id }"}, 422, "BAD_REQUEST"),
    ({"query": "{ workOrders(first: 5000) { edges { cursor } } }"}, 422, "QUERY_TOO_COMPLEX"),
    ({"query": "{ " + "__typename " * 51 + "}"}, 422, "QUERY_TOO_COMPLEX"),
    ({"documentId": "sha256:unknown"}, 422, "PERSISTED_QUERY_NOT_FOUND"),
    ({"documentId": ""}, 422, "PERSISTED_QUERY_NOT_FOUND"),
]
"""What can't run; then its status, which is 200 for a client that accepts plain JSON only."""


@pytest.mark.parametrize(("body", "status", "code"), NO_REQUEST)
@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
def test_what_is_no_request_has_its_status_in_either_form(
    send: Send, body: Any, status: int, code: str, accept: str
) -> None:
    answer = send(body, accept)
    assert (answer.status_code, codes(answer)) == (status, [code])
    assert answer.headers["Content-Type"] == f"{accept}; charset=utf-8"
    assert sorted(answer.json()) == ["errors", "extensions"]


@pytest.mark.parametrize(("body", "status", "code"), REFUSED)
def test_what_can_not_run_is_200_for_who_accepts_plain_json_only(send: Send, body: Any, status: int, code: str) -> None:
    exact, legacy = send(body, GRAPHQL), send(body, JSON)
    assert (exact.status_code, legacy.status_code) == (status, 200)
    assert codes(exact) == codes(legacy) == [code]
    assert sorted(exact.json()) == sorted(legacy.json()) == ["errors", "extensions"]
    assert exact.json()["errors"] == legacy.json()["errors"]


@pytest.mark.parametrize(
    ("query", "data", "status"),
    [
        (ME, True, 200),
        (PARTIAL, {"node": None}, 294),
        (NOTHING, None, 294),
    ],
)
def test_what_ran_has_data_and_with_errors_a_status_of_its_own(
    send: Send, technician: User, query: str, data: Any, status: int
) -> None:
    exact, legacy = send({"query": query}, GRAPHQL), send({"query": query}, JSON)
    assert (exact.status_code, legacy.status_code) == (status, 200)
    assert exact.reason_phrase == ("Partial Success" if status == 294 else "OK")
    me = {"me": {"name": technician.name}}
    expected = None if data is None else me if data is True else me | data
    assert exact.json()["data"] == legacy.json()["data"] == expected
    assert codes(exact) == codes(legacy) == ([] if status == 200 else ["BAD_REQUEST"])


def test_a_batch_is_200_whatever_is_in_it(send: Send, technician: User) -> None:
    for accept in (GRAPHQL, JSON):
        answer = send([{"query": ME}, {"query": "{"}, {"query": PARTIAL}, {"query": "{ nothing }"}], accept)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"{accept}; charset=utf-8")
        bodies = answer.json()
        assert ["data" in each for each in bodies] == [True, False, True, False]
        assert ["errors" in each for each in bodies] == [False, True, True, True]
        assert bodies[0]["data"] == {"me": {"name": technician.name}}


def test_a_batch_of_ten_is_the_largest_and_the_setting_says_so(send: Send, settings: Settings) -> None:
    assert len(send([{"query": ME}] * 10).json()) == 10
    settings.MAX_BATCH = 2
    assert len(send([{"query": ME}] * 2).json()) == 2
    (error,) = send([{"query": ME}] * 3).json()["errors"]
    assert error["message"] == "A batch may have 2 operations; this one has 3."


def test_nobody_is_told_anything_but_to_log_in() -> None:
    for text in ("{", "[]", json.dumps({"query": ME}), json.dumps({"query": "{ nothing }"})):
        answer = Client().post("/graphql", text, content_type=JSON, headers={"Authorization": "Bearer wg_no"})
        assert (answer.status_code, codes(answer)) == (401, ["UNAUTHENTICATED"])
        assert sorted(answer.json()) == ["errors"]


@pytest.mark.django_db
def test_whom_no_cookie_makes_known_is_told_to_log_in_not_to_send_a_csrf_token(technician: User) -> None:
    client = Client(enforce_csrf_checks=True)
    stranger = client.post("/graphql", json.dumps({"query": CREATE}), content_type=JSON)
    assert (stranger.status_code, codes(stranger)) == (401, ["UNAUTHENTICATED"])
    client.force_login(technician)
    for accept in (GRAPHQL, JSON):
        headers = {"Accept": accept}
        known = client.post("/graphql", json.dumps({"query": CREATE}), content_type=JSON, headers=headers)
        assert (known.status_code, codes(known), "data" in known.json()) == (403, ["BAD_REQUEST"], False)
        assert known.headers["Content-Type"] == f"{accept}; charset=utf-8"
    assert WorkOrder.unscoped.count() == 0


# Media types.


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL, GRAPHQL),
        (GRAPHQL.upper(), GRAPHQL),
        (f"{JSON}, {GRAPHQL}", GRAPHQL),
        (f"{JSON};q=0.9, {GRAPHQL}", GRAPHQL),
        (f"{JSON}, {GRAPHQL};q=0.9", JSON),
        (f"{GRAPHQL};q=0.5,*/*;q=0.8", JSON),
        (f"{GRAPHQL};q=0, */*", JSON),
        (f"{JSON};q=0, */*", GRAPHQL),
        (f"{JSON};q=0.5, application/*;q=0.7", GRAPHQL),
        (f"{GRAPHQL};q=0.5, application/*;q=0.5", GRAPHQL),
        (f"{JSON};q=nonsense", JSON),
        (f"{JSON};q=0.333, {GRAPHQL};q=0.334", GRAPHQL),
        (f"{GRAPHQL}; charset=utf-8", GRAPHQL),
        (f"{JSON};charset=UTF-8", JSON),
        (f"text/html, {JSON};q=0.1", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        (f",{JSON},,", JSON),
        (f"{GRAPHQL}, application/graphql+json, {JSON}, text/event-stream, multipart/mixed", GRAPHQL),  # urql
        (f"{GRAPHQL},{JSON};q=0.9", GRAPHQL),  # Apollo Client 4
        (f"multipart/mixed;deferSpec=20220824,{GRAPHQL},{JSON};q=0.9", GRAPHQL),  # Apollo Client 3
        (f"{GRAPHQL}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL),  # graphql-request
        ("text/*", None),
        ("image/png", None),
        ("application/xml", None),
        ("*/*;q=0", None),
        (f"{JSON};q=0", None),
        (f"{JSON};charset=iso-8859-1", None),
        ("garbage", None),
        ("garbage;charset*=x", None),
        ("x" * MAX_ACCEPT + f",{JSON}", None),
    ],
)
def test_the_form_of_an_answer_is_what_the_client_likes_best(send: Send, accept: str | None, form: str | None) -> None:
    answer = send({"query": ME}, accept)
    assert answer.headers["Content-Type"] == f"{form or JSON}; charset=utf-8"
    assert answer.status_code == (200 if form else 406)
    assert ("data" in answer.json(), codes(answer)) == ((True, []) if form else (False, ["BAD_REQUEST"]))


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('application/json;charset="UTF-8"', 200),
        ("application/json; charset=utf8", 200),
        ("APPLICATION/JSON", 200),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=latin-1", 415),
        ("application/graphql", 415),
        ("application/graphql-response+json", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_a_body_is_json_in_utf_8_by_its_header(send: Send, content_type: str, status: int) -> None:
    answer = send({"query": CREATE}, content_type=content_type)
    assert (answer.status_code, codes(answer)) == (status, [] if status == 200 else ["BAD_REQUEST"])
    assert WorkOrder.unscoped.count() == (status == 200)
    assert ("data" in answer.json()) == (status == 200)


def test_a_body_is_not_compressed(send: Send) -> None:
    assert send({"query": CREATE}, HTTP_CONTENT_ENCODING="identity").status_code == 200
    answer = send({"query": CREATE}, HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status_code, codes(answer)) == (415, ["BAD_REQUEST"])
    assert WorkOrder.unscoped.count() == 1


def test_a_body_has_a_size(send: Send, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body: dict[str, str] = {"query": ME, "padding": ""}
    body["padding"] = "x" * (1000 - len(json.dumps(body)))
    assert send(body).status_code == 200
    body["padding"] += "x"
    answer = send(body)
    assert (answer.status_code, codes(answer)) == (413, ["BAD_REQUEST"])
    assert answer.json()["errors"][0]["message"] == "A body may have 1000 bytes."


class Broken:
    """A connection that ends in the midst of a body."""

    def read(self, *_: Any) -> bytes:
        raise OSError("gone")

    readline = read


def test_a_body_that_ends_before_its_end_is_told_so(send: Send) -> None:
    answer = send({"query": ME}, **{"wsgi.input": Broken()})
    assert (answer.status_code, codes(answer)) == (400, ["BAD_REQUEST"])
    assert answer.json()["errors"][0]["message"] == "The body ended before its end."


# Methods.


def test_a_query_comes_by_get_with_variables_and_extensions(get: Send, technician: User) -> None:
    answer = get(
        query="query A { me { name } } query B($n: Int) { workOrders(first: $n) { edges { cursor } } }",
        operationName="B",
        variables='{"n": 7}',
        extensions='{"cost": "explain"}',
    )
    assert answer.status_code == 200
    assert answer.json()["extensions"]["cost"]["requested"] == 9
    for empty in ({"variables": "", "extensions": "", "operationName": ""}, {"variables": "null"}, {"more": "x"}):
        assert get(query=ME, **empty).json()["data"] == {"me": {"name": technician.name}}


@pytest.mark.parametrize(
    "parameters",
    [
        {"query": ME, "variables": "{"},
        {"query": ME, "variables": "[]"},
        {"query": ME, "variables": "7"},
        {"query": ME, "variables": '{"a": NaN}'},
        {"query": ME, "extensions": "x"},
        {"query": ME, "extensions": '"x"'},
        {"query": ME, "documentId": "x"},
        {"operationName": "A"},
        {},
    ],
)
def test_a_query_string_that_is_no_request_is_400(get: Send, parameters: dict[str, str]) -> None:
    for accept in (GRAPHQL, JSON):
        answer = get(accept, **parameters)
        assert (answer.status_code, codes(answer)) == (400, ["BAD_REQUEST"])
        assert "data" not in answer.json()


def test_a_query_string_has_so_many_parameters(get: Send) -> None:
    answer = get(query=ME, **{f"p{number}": "x" for number in range(1001)})
    assert (answer.status_code, codes(answer)) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
@pytest.mark.parametrize("method", ["get", "head"])
def test_a_mutation_does_not_come_by_get(get: Send, accept: str, method: str) -> None:
    answer = get(
        accept, method, query=f"query A {{ me {{ id }} }} {CREATE.replace('mutation', 'mutation B')}", operationName="B"
    )
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    assert WorkOrder.unscoped.count() == 0
    if method == "get":
        assert codes(answer) == ["BAD_REQUEST"]
        assert sorted(answer.json()) == ["errors", "extensions"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PURGE"])
def test_other_methods_are_not_served(send: Send, method: str) -> None:
    answer = send({"query": ME}, method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    assert codes(answer) == ["BAD_REQUEST"]


def test_head_answers_as_get_does_without_a_body(get: Send) -> None:
    head, whole = get(method="head", query=ME), get(query=ME)
    assert (head.status_code, head.content) == (200, b"")
    assert whole.content != b""
    assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    assert get(method="head", query="{ nothing }").status_code == 422


@pytest.mark.django_db
def test_options_tells_anybody_the_methods() -> None:
    answer = Client().options("/graphql")
    assert (answer.status_code, answer.content, answer.headers["Allow"]) == (204, b"", "GET, HEAD, POST, OPTIONS")


# What a request may hold.


@pytest.mark.parametrize(
    "more",
    [
        {"variables": None, "operationName": None, "extensions": None, "documentId": None},
        {"operationName": ""},
        {"id": 7, "doc_id": "x", "key": [], "hash": None},
        {"variables": {"not": "declared"}},
        {"extensions": {"tracing": True, "persistedQuery": None, "cost": "tell"}},
    ],
)
def test_what_is_optional_may_be_null_and_what_is_unknown_is_passed_over(
    send: Send, technician: User, more: dict[str, Any]
) -> None:
    answer = send({"query": ME, **more})
    assert (answer.status_code, answer.json()["data"]) == (200, {"me": {"name": technician.name}})


def test_what_an_answer_is_kept_by_is_told(send: Send, get: Send) -> None:
    for answer in (send({"query": ME}), get(query=ME), send("{"), send({"query": ME}, "image/png")):
        assert answer.headers["Cache-Control"] == "no-store"
        vary = {name.strip() for name in answer.headers["Vary"].split(",")}
        assert {"Accept", "Authorization", "Cookie"} <= vary


# GraphiQL.

BROWSER: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        (BROWSER, True),
        ("text/html", True),
        (f"text/html, {JSON}", True),
        (f"text/html;q=0.8, {JSON};q=0.7", True),
        (f"text/html;q=0.9, {JSON}", False),
        ("*/*", False),
        ("text/*", False),
        (None, False),
        (GRAPHQL, False),
    ],
)
def test_a_browser_gets_a_page_and_nobody_else(get: Send, settings: Settings, accept: str | None, page: bool) -> None:
    settings.GRAPHIQL = True
    answer = get(accept)
    assert answer.headers["Content-Type"].startswith("text/html") == page
    assert answer.status_code == (200 if page else 406 if accept == "text/*" else 400)
    settings.GRAPHIQL = False
    assert get(accept).status_code == (406 if accept in {"text/html", "text/*"} else 400)


def test_a_browser_that_asks_something_gets_an_answer(get: Send, send: Send) -> None:
    assert "data" in get(BROWSER, query=ME).json()
    assert "data" in send({"query": ME}, BROWSER).json()
    assert get("text/html", query=ME).status_code == 406
    assert codes(get(BROWSER, documentId="x")) == ["PERSISTED_QUERY_NOT_FOUND"]
    assert get("text/html", "head").content == b""
