"""What the REST API tells of requests that it does not do: a status and a problem for each, and nothing changes."""

import gzip
import json
import re
from time import monotonic
from typing import Any, Final

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.lifecycle import services
from apps.lifecycle.transitions import MAX_ITEMS
from apps.throttle.limits import Draw, settle
from apps.work_orders.models import WorkOrder
from schema import budget
from schema.budget import POINTS, TIME, client_of
from schema.running import Running
from schema.weights import MUTATION
from tests import factories
from tests.attacks import LEAKS
from tests.buckets import left
from tests.counts import moves
from tests.pooling import forget_connections
from tests.rest import Json, Script, made, pointers, told
from tests.writing import everything, nothing_changes, target

BULK: Final = "/api/v1/work-orders/bulk/"
ITEM: Final = {"id": "V29ya09yZGVyOjE=", "version": 1}
BODY: Final = {"action": "APPROVE", "items": [ITEM]}


@pytest.fixture
def order(demo: Tenant) -> Any:
    return made(WorkOrder, demo)


def approve(script: Script, *orders: Any) -> HttpResponse:
    return script.bulk(WorkOrder, [target(each) for each in orders], "APPROVE")


def client() -> Client:
    return Client(raise_request_exception=False)


INVALID: Final[dict[str, tuple[Any, list[str]]]] = {
    "a list": ([BODY], ["#"]),
    "a text": ("APPROVE", ["#"]),
    "null": (None, ["#"]),
    "nothing": ({}, ["#/action", "#/items"]),
    "an unknown action": ({**BODY, "action": "EXPLODE"}, ["#/action"]),
    "an action of another machine": ({**BODY, "action": "LOCK"}, ["#/action"]),
    "an action with a letter that grows": ({**BODY, "action": "ﬁnish"}, ["#/action"]),
    "an action of no text": ({**BODY, "action": 1}, ["#/action"]),
    "no items": ({**BODY, "items": []}, ["#/items"]),
    "items of no list": ({**BODY, "items": {"0": ITEM}}, ["#/items"]),
    "items that are null": ({**BODY, "items": None}, ["#/items"]),
    "1,001 items": ({**BODY, "items": [ITEM] * (MAX_ITEMS + 1)}, ["#/items"]),
    "an item that is an id": ({**BODY, "items": [ITEM, "V29ya09yZGVyOjE="]}, ["#/items/1"]),
    "an item without its version": ({**BODY, "items": [{"id": "x"}]}, ["#/items/0/version"]),
    "an item with more": ({**BODY, "items": [{**ITEM, "status": "DRAFT"}]}, ["#/items/0/status"]),
    "an id that is a number": ({**BODY, "items": [{**ITEM, "id": 17}]}, ["#/items/0/id"]),
    "an id that is null": ({**BODY, "items": [{**ITEM, "id": None}]}, ["#/items/0/id"]),
    "a version that is a text": ({**BODY, "items": [{**ITEM, "version": "1"}]}, ["#/items/0/version"]),
    "a version that is true": ({**BODY, "items": [{**ITEM, "version": True}]}, ["#/items/0/version"]),
    "a version with a fraction": ({**BODY, "items": [{**ITEM, "version": 1.5}]}, ["#/items/0/version"]),
    "a version next to nothing": ({**BODY, "items": [{**ITEM, "version": 2.5e-42}]}, ["#/items/0/version"]),
    "a huge version": ({**BODY, "items": [{**ITEM, "version": 2**31}]}, ["#/items/0/version"]),
    "a version beyond all": ({**BODY, "items": [{**ITEM, "version": 10**300}]}, ["#/items/0/version"]),
    "an item twice": ({**BODY, "items": [ITEM, {**ITEM, "version": 2}]}, ["#/items/1/id"]),
    "a comment that is a number": ({**BODY, "comment": 1}, ["#/comment"]),
    "a comment with NUL": ({**BODY, "comment": "a\0b"}, ["#/comment"]),
    "a comment of 10,001 characters": ({**BODY, "comment": "x" * 10_001}, ["#/comment"]),
    "no comment where one is needed": ({**BODY, "action": "REJECT", "comment": " \t"}, ["#/comment"]),
    "an assignee where none is taken": ({**BODY, "assigneeId": "VXNlcjox"}, ["#/assigneeId"]),
    "an unknown way with errors": ({**BODY, "onError": "IGNORE"}, ["#/onError"]),
    "no way with errors": ({**BODY, "onError": None}, ["#/onError"]),
    "a dry run of text": ({**BODY, "dryRun": "yes"}, ["#/dryRun"]),
    "an unknown member": (
        {**BODY, "a/b~c": 1, "on_error": 1, "d.e": 2, "idempotency_key": "k", "items": [{**ITEM, "a.b": 3}]},
        ["#/items/0/a.b", "#/a~1b~0c", "#/on_error", "#/d.e", "#/idempotency_key"],
    ),
    "all wrong at once": ({"action": 1, "items": 2, "dryRun": 3}, ["#/action", "#/items", "#/dryRun"]),
}


@pytest.mark.parametrize(("body", "places"), INVALID.values(), ids=INVALID)
def test_what_makes_no_sense_is_told_with_its_place(body: Any, places: list[str], script: Script, order: Any) -> None:
    started = monotonic()
    with nothing_changes():
        answer = script.send(WorkOrder, body)
    problem = told(answer, 422, "VALIDATION_FAILED")
    assert pointers(problem) == places
    assert monotonic() - started < 5
    assert all(error["detail"].endswith((".", "]")) for error in problem["errors"])
    assert not LEAKS.search(answer.content.decode().replace("onError", ""))
    assert 8_900 < int(answer["RateLimit"].split("r=")[1].split(";")[0]) < 10_000


MALFORMED: Final = {
    "blanks": b" \n",
    "half an object": b'{"action": "APPROVE"',
    "two objects": b"{}{}",
    "NaN": b'{"action": NaN}',
    "no UTF-8": b'{"action": "\xff"}',
    "UTF-16": '{"action": "APPROVE"}'.encode("utf-16"),
    "half a surrogate pair": b'{"action": "\\ud800"}',
    "100,000 brackets": b"[" * 100_000,
    "a deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_told_so(body: bytes, script: Script) -> None:
    with nothing_changes():
        problem = told(script.send(WorkOrder, body), 400, "BAD_REQUEST")
    assert problem["detail"].startswith("The body is not JSON")


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""]
)
def test_what_is_no_json_by_its_header_is_not_read(media: str, script: Script, order: Any) -> None:
    with nothing_changes():
        told(script.send(WorkOrder, {**BODY, "items": [target(order)]}, media=media), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_compressed_body_is_told_so(script: Script, order: Any) -> None:
    body = json.dumps({**BODY, "items": [target(order)]}).encode()
    for coding, sent in (("gzip", gzip.compress(body)), ("br", body)):
        with nothing_changes():
            answer = script.send(WorkOrder, sent, Content_Encoding=coding)
        assert "Content-Encoding" in told(answer, 415, "UNSUPPORTED_MEDIA_TYPE")["detail"]
    assert script.send(WorkOrder, body, Content_Encoding="Identity").status_code == 200


def test_what_is_wrong_is_told_with_its_place_and_how_much_there_is(script: Script, db: None) -> None:
    one = told(script.bulk(WorkOrder, [{"id": "x"}], "APPROVE"), 422, "VALIDATION_FAILED")
    assert one["detail"] == "#/items/0/version: This is missing."
    two = told(script.send(WorkOrder, {}), 422, "VALIDATION_FAILED")
    assert two["detail"] == "#/action: This is missing. There is more: 2 in all."
    key = told(
        script.send(WorkOrder, BODY | {"items": [{"id": "x", "version": 1}]}, Idempotency_Key="x" * 201),
        422,
        "VALIDATION_FAILED",
    )
    assert key["detail"].startswith("Idempotency-Key: ")


def test_a_body_above_a_megabyte_is_not_read(script: Script) -> None:
    with nothing_changes():
        told(script.send(WorkOrder, b" " * 1_048_577), 413, "TOO_LARGE")


def test_a_megabyte_of_items_is_refused_at_once_in_few_words(script: Script) -> None:
    body = b'{"action":"APPROVE","items":[' + b",".join([b"1"] * 500_000) + b"]}"
    started = monotonic()
    with nothing_changes():
        answer = script.send(WorkOrder, body)
    assert pointers(told(answer, 422, "VALIDATION_FAILED")) == ["#/items"]
    many = json.dumps({f"member{number}": 1 for number in range(50_000)}).encode()
    assert len(pointers(told(script.send(WorkOrder, many), 422, "VALIDATION_FAILED"))) == 50
    thousand = {**BODY, "items": [{}] * 1000}
    assert len(pointers(told(script.send(WorkOrder, thousand), 422, "VALIDATION_FAILED"))) == 50
    assert monotonic() - started < 10


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer wg_" + "a" * 43, "Basic YWRhOmFkYQ==", "Bearer"])
def test_without_a_valid_token_nothing_is_done(header: str | None, order: Any) -> None:
    sent = {"Authorization": header} if header else {}
    with nothing_changes():
        answer = client().post(BULK, {**BODY, "items": [target(order)]}, content_type="application/json", headers=sent)
    problem = told(answer, 401, "UNAUTHENTICATED")  # type: ignore[arg-type]
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "Log in" not in problem["detail"]


def test_a_session_never_suffices_nor_is_it_looked_at(boss: User, order: Any) -> None:
    browser = client()
    browser.force_login(boss)
    body = {**BODY, "items": [target(order)]}
    with nothing_changes(), CaptureQueriesContext(connection) as captured:
        answer = browser.post(BULK, body, content_type="application/json")
    told(answer, 401, "UNAUTHENTICATED")  # type: ignore[arg-type]
    assert len(captured) == 0
    assert answer.cookies == {}
    assert "Cookie" not in answer.get("Vary", "")


def test_a_token_suffices_whatever_cookies_come_along(demo: Tenant, script: Script, order: Any) -> None:
    script.client = Client(enforce_csrf_checks=True)
    script.client.force_login(factories.user(demo, Role.VIEWER))
    assert approve(script, order).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/", "/api/v1/", "/api/v2/work-orders/bulk/", "/api/v1/assets/bulk/", "/api/v1/work-orders/bulk//"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_addresses_lead_nowhere(path: str, method: str, script: Script) -> None:
    answer = script.client.generic(
        method, path, json.dumps(BODY), content_type="application/json", headers=script.headers
    )
    told(answer, 404, "NOT_FOUND")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "HACK"])
def test_other_methods_are_told_which_there_is(method: str, script: Script) -> None:
    answer = script.client.generic(method, BULK, headers=script.headers)
    assert (answer.status_code, answer["Allow"]) == (405, "POST, OPTIONS")
    if method != "HEAD":
        told(answer, 405, "METHOD_NOT_ALLOWED")  # type: ignore[arg-type]
    answer = script.client.options(BULK)
    assert (answer.status_code, answer["Allow"], answer.content) == (204, "POST, OPTIONS", b"")


def test_a_bulk_is_priced_and_drawn_as_the_mutation_is(demo: Tenant, script: Script) -> None:
    orders = [made(WorkOrder, demo) for _ in range(5)]
    answer = approve(script, *orders)
    assert answer["RateLimit-Policy"] == '"points";q=10000;w=20, "time";q=60000;w=60'
    remaining, reset = map(int, re.findall(r"\d+", answer["RateLimit"])[:2])
    assert (remaining, reset) == (10_000 - 15, 1)
    assert POINTS.capacity - left(POINTS, client_of(script.actor)) <= 15
    refused = approve(script, orders[0])
    assert refused.status_code == 409
    assert "RateLimit" in refused


def test_over_budget_nothing_is_done(script: Script, order: Any) -> None:
    settle(client_of(script.actor), [Draw(POINTS, POINTS.capacity * 2)])
    with nothing_changes():
        answer = script.bulk(WorkOrder, [target(order)] * 990, "APPROVE")
    problem = told(answer, 429, "RATE_LIMITED")
    assert problem["detail"].startswith("This takes 1000 points and you have")
    assert 5 < int(answer["Retry-After"]) <= 22
    assert answer["RateLimit"].startswith('"points";r=')


def test_who_owes_time_waits(script: Script, order: Any) -> None:
    client_name = client_of(script.actor)
    settle(client_name, [Draw(TIME, TIME.capacity * 2)])
    for _ in range(2):  # the second is known before it is read
        with nothing_changes():
            answer = approve(script, order)
        assert told(answer, 429, "RATE_LIMITED")["detail"].startswith("Your requests have kept us busy for more than")
        assert int(answer["Retry-After"]) > 50


def test_beside_slow_requests_of_ones_own_there_is_no_room(
    script: Script, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(1)
    running._begun[client_of(script.actor)] = [monotonic() - 10]
    monkeypatch.setattr(budget, "_running", running)
    with nothing_changes(), moves("rate_limit_hits_total") as moved:
        answer = approve(script, order)
    assert moved == {"rate_limit_hits_total at-once": 1}
    assert told(answer, 429, "RATE_LIMITED")["detail"].startswith("You have 1 slow requests running here")


def test_what_costs_more_than_one_may_is_never_done(script: Script, order: Any, settings: Settings) -> None:
    settings.COST_LIMIT = 10
    with nothing_changes():
        problem = told(approve(script, order), 422, "QUERY_TOO_COMPLEX")
    assert problem["detail"].startswith("This operation costs 11 points; one may cost 10.")


def test_without_limits_nothing_is_told_of_them(script: Script, order: Any, settings: Settings) -> None:
    settings.ENABLE_COST_LIMIT = False
    answer = approve(script, order)
    assert (answer.status_code, "RateLimit" in answer) == (200, False)


def test_an_address_that_knocks_too_often_is_answered_429(db: None, settings: Settings) -> None:
    settings.STRANGER_LIMIT, settings.STRANGER_RATE, settings.SECRET_KEY = 2, 0.1, "of this test alone"
    sent: dict[str, Any] = {"content_type": "application/json", "REMOTE_ADDR": "192.0.2.9"}
    answers = [client().post(BULK, BODY, **sent) for _ in range(3)]
    assert [each.status_code for each in answers] == [401, 401, 429]
    assert told(answers[2], 429, "RATE_LIMITED")["detail"].endswith(" s.")  # type: ignore[arg-type]
    assert 5 < int(answers[2]["Retry-After"]) <= 10


@pytest.mark.django_db(transaction=True)
def test_what_takes_too_long_is_undone(
    script: Script, order: Any, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REQUEST_SECONDS = 1
    before = everything()
    with pytest.MonkeyPatch.context() as patch:
        done = services.transition_many

        def slowly(*args: Any, **given: Any) -> Any:
            report = done(*args, **given)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(5)")
            return report

        patch.setattr(services, "transition_many", slowly)
        answer = approve(script, order)
    forget_connections()
    assert everything() == before
    assert told(answer, 503, "UNAVAILABLE")["detail"].startswith("This took longer than the 1 s")
    (line,) = (record.getMessage() for record in caplog.records if record.name == "schema.slow")
    assert line.startswith("Stopped operation work-orders/bulk/ APPROVE: 1.")
    assert left(TIME, client_of(script.actor)) < TIME.capacity


def test_what_was_slow_is_logged_once_with_what_it_was_and_without_what_was_written(
    script: Script, order: Any, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.SLOW_OPERATION_SECONDS = 60
    approve(script)
    settings.SLOW_OPERATION_SECONDS = 1e-9
    assert script.send(WorkOrder, {**BODY, "items": [target(order)], "comment": "secret"}).status_code == 200
    (record,) = (record for record in caplog.records if record.name == "schema.slow")
    assert record.getMessage().startswith("Slow operation work-orders/bulk/ APPROVE: 0.")
    fields = record.__dict__
    points = fields["requested"], fields["actual"]
    assert points == (MUTATION + 1, MUTATION + 1)
    assert (fields["actor"], fields["tenant"]) == (script.actor.pk, script.actor.tenant_id)
    assert "secret" not in json.dumps(fields, default=str) + record.getMessage()


def test_how_long_each_takes_is_measured_by_what_it_is_about_and_how_it_ended(script: Script, order: Any) -> None:
    with moves("rest_request_duration_seconds_count") as moved:
        assert approve(script, order).status_code == 200
        assert approve(script, order).status_code == 409
        assert Client().post(BULK, BODY, content_type="application/json").status_code == 401
    series = "rest_request_duration_seconds_count work-orders"
    assert moved == {f"{series} {status}": 1 for status in (200, 401, 409)}


def test_switched_off_bulks_are_told_so(script: Script, order: Any, settings: Settings) -> None:
    settings.ENABLE_BULK_OPERATIONS = False
    with nothing_changes():
        problem = told(approve(script, order), 503, "UNAVAILABLE")
    assert "switched off" in problem["detail"]


def test_a_fault_of_ours_tells_nothing_but_the_id_to_quote(script: Script, order: Any) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a secret plan")

    with nothing_changes(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "transition_many", fail)
        answer = approve(script, order)
    told(answer, 500, "INTERNAL")
    assert b"secret" not in answer.content


def test_in_the_clear_it_is_told_to_use_https_and_is_not_redirected(script: Script, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    script.client = client()
    told(script.send(WorkOrder, BODY), 403, "HTTPS_REQUIRED")


def test_another_host_is_told_a_problem(script: Script) -> None:
    answer = script.client.post(BULK, BODY, content_type="application/json", headers={**script.headers, "Host": "evil"})
    told(answer, 400, "BAD_REQUEST")  # type: ignore[arg-type]


def test_pages_of_other_origins_are_told_nothing(script: Script, settings: Settings) -> None:
    """A page has GraphQL; what is not open to it can't be misused by it."""
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    for answer in (script.client.options(BULK, headers=asked), script.send(WorkOrder, BODY, Origin=asked["Origin"])):
        assert [name for name in answer.headers if name.lower().startswith("access-control-")] == []


def test_a_correlation_id_is_taken_over(script: Script, order: Any) -> None:
    answer = script.send(WorkOrder, {**BODY, "items": [target(order)]}, X_Correlation_ID="nightly-job-17")
    assert answer["X-Correlation-ID"] == "nightly-job-17"


def test_a_long_answer_is_compressed_for_who_accepts_that(script: Script) -> None:
    items = [{"id": f"x{number}", "version": 1} for number in range(50)]
    answer = script.send(WorkOrder, {**BODY, "items": items}, Accept_Encoding="gzip")
    assert (answer.status_code, answer["Content-Encoding"]) == (404, "gzip")
    body: Json = json.loads(gzip.decompress(answer.content))
    assert len(body["results"]) == 50
