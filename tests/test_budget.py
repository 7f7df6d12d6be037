"""What clients may spend: what is drawn and given back, to the point, and what is told of it."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.tokens import issue_token
from apps.throttle.limits import Bucket, Standing, Taken, Window
from apps.throttle.server import Server
from apps.work_orders.models import WorkOrder
from schema import budget
from schema.errors import INTERNAL_MESSAGE
from schema.reads.render import Executor
from schema.running import Running
from tests import factories
from tests.buckets import closed_port, fresh_server
from tests.counts import moves

GRAPHQL: Final = "application/graphql-response+json"
JSON: Final = "application/json"
ME: Final = "{ me { id } }"
TEN: Final = "{ workOrders(first: 10) { edges { cursor } } }"
CREATE: Final = 'mutation { createWorkOrder(input: {title: "Mend"}) { __typename } }'
EXPLAIN: Final = {"cost": "explain"}
RATE: Final = "{ rateLimit { cost limit remaining restoreRate resetAt } workOrders(first: 10) { edges { cursor } } }"
TOLD: Final = ["actual", "limit", "remaining", "requested", "resetAt", "restoreRate"]

Send = Callable[..., Any]


@pytest.fixture
def send() -> Send:
    """Return a function that sends a body as a user, and returns the response."""
    tokens: dict[int, str] = {}

    def sent(user: User, body: Any, accept: str = GRAPHQL, method: str = "POST") -> Any:
        if user.pk not in tokens:
            tokens[user.pk] = issue_token(user=user)[0]
        headers = {"Authorization": f"Bearer {tokens[user.pk]}", "Accept": accept}
        if method == "GET":
            return Client().get("/graphql", body, headers=headers)
        asked = {"query": body} if isinstance(body, str) else body
        text = asked if isinstance(asked, bytes) else json.dumps(asked)
        return Client().post("/graphql", text, content_type=JSON, headers=headers)

    return sent


@pytest.fixture
def hundred(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Let one have 100 points, and more only after a long time."""
    points = Bucket("points", 100, 0.01)
    monkeypatch.setattr(budget, "POINTS", points)
    return points


def cost(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["extensions"]["cost"]
    return found


def stands(answer: Any) -> tuple[int, int, int]:
    """Return what was requested, what was spent, and what is left."""
    told = cost(answer)
    return told["requested"], told["actual"], told["remaining"]


def code(answer: Any) -> str:
    (error,) = answer.json()["errors"]
    return str(error["extensions"]["code"])


def spend(send: Send, user: User, points: int) -> None:
    """Spend so many points, up to 100."""
    ids = ["V29ya09yZGVyOjk5OTk5OTk5OQ=="] * points
    answer = send(user, {"query": "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", "variables": {"ids": ids}})
    assert cost(answer)["actual"] == points


# What is told.


def test_the_budget_is_the_one_that_is_promised(settings: Settings) -> None:
    assert Bucket("points", 10_000, 500) == budget.POINTS
    assert (settings.COST_LIMIT, settings.ENABLE_COST_LIMIT, settings.LIMITS_FAIL_CLOSED) == (5000, True, False)


def test_an_answer_tells_what_it_cost_and_what_is_left(send: Send, hundred: Bucket, technician: User) -> None:
    before = timezone.now()
    told = cost(send(technician, "{ me { tenant { id } } }"))
    reset = datetime.fromisoformat(told.pop("resetAt"))
    assert told == {"requested": 2, "actual": 2, "limit": 100, "remaining": 98, "restoreRate": 500}
    assert before + timedelta(seconds=199) < reset < timezone.now() + timedelta(seconds=201)


def test_what_lists_did_not_bring_is_given_back(send: Send, hundred: Bucket, technician: User, demo: Tenant) -> None:
    for _ in range(3):
        factories.work_order(demo)
    assert stands(send(technician, TEN)) == (12, 5, 95)
    assert stands(send(technician, TEN)) == (12, 5, 90)
    answer = send(technician, ME)
    assert stands(answer) == (1, 1, 89)
    reset = datetime.fromisoformat(cost(answer)["resetAt"]) - timezone.now()
    assert timedelta(seconds=1090) < reset < timedelta(seconds=1101)


def test_the_field_says_what_the_answer_does_before_anything_is_given_back(
    send: Send, hundred: Bucket, technician: User, demo: Tenant
) -> None:
    factories.work_order(demo)
    answer = send(technician, RATE)
    field, told = answer.json()["data"]["rateLimit"], cost(answer)
    assert (field["cost"], field["limit"], field["remaining"], field["restoreRate"]) == (13, 100, 87, 500)
    assert (told["requested"], told["actual"], told["remaining"]) == (13, 4, 96)
    both = [datetime.fromisoformat(each["resetAt"]) for each in (field, told)]
    assert timedelta(seconds=890) < both[0] - both[1] < timedelta(seconds=901)
    again = send(technician, "{ rateLimit { remaining cost } }")
    assert (
        again.json()["data"]["rateLimit"]
        == {"remaining": cost(again)["remaining"], "cost": 1}
        == {
            "remaining": 95,
            "cost": 1,
        }
    )


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "{ nothing }",
        "query A { me { id } } query B { me { id } }",
        {"query": "query ($n: Int!) { workOrders(first: $n) { totalCount } }"},
        {"query": ME, "operationName": "Other"},
        {"documentId": "unknown"},
        {"query": 7},
        b"{",
        [],
        "{ " + "__typename " * 51 + "}",
    ],
)
@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
def test_what_does_not_run_costs_a_point_and_tells_it(
    send: Send, hundred: Bucket, technician: User, body: Any, accept: str
) -> None:
    answer = send(technician, body, accept)
    assert (sorted(cost(answer)), "data" in answer.json()) == (TOLD, False)
    assert stands(answer) == (1, 1, 99)
    assert stands(send(technician, ME)) == (1, 1, 98)


def test_a_mutation_by_get_costs_a_point_and_a_query_its_price(send: Send, hundred: Bucket, technician: User) -> None:
    refused = send(technician, {"query": CREATE}, method="GET")
    assert (refused.status_code, stands(refused)) == (405, (1, 1, 99))
    assert stands(send(technician, {"query": "{ me { tenant { id } } }"}, method="GET")) == (2, 2, 97)


def test_who_is_unknown_is_told_nothing_of_costs(db: None) -> None:
    answer = Client().post("/graphql", json.dumps({"query": ME}), content_type=JSON)
    assert (answer.status_code, "extensions" in answer.json(), "RateLimit" in answer.headers) == (401, False, False)


@pytest.mark.parametrize(
    ("query", "policy", "limits"),
    [
        (ME, r'"points";q=100;w=10000, "time";q=60000;w=60', r'"points";r=99;t=\d+, "time";r=\d+;t=\d+'),
        (
            '{ search(query: "pump") { totalCount } }',
            r'"points";q=100;w=10000, "time";q=60000;w=60, "search";q=20;w=10',
            r'"points";r=90;t=\d+, "time";r=\d+;t=\d+, "search";r=19;t=10',
        ),
    ],
)
def test_the_headers_are_those_of_the_ietfs_draft(
    send: Send, hundred: Bucket, technician: User, query: str, policy: str, limits: str
) -> None:
    answer = send(technician, query)
    assert answer.headers["RateLimit-Policy"] == policy
    assert re.fullmatch(limits, answer.headers["RateLimit"]), answer.headers["RateLimit"]
    seconds = int(re.findall(r't=(\d+), "time"', answer.headers["RateLimit"])[0])
    assert abs(seconds - (100 - cost(answer)["remaining"]) * 100) <= 1
    assert "Retry-After" not in answer.headers


# What can't be had.


def test_one_operation_may_cost_so_much(send: Send, hundred: Bucket, technician: User, settings: Settings) -> None:
    settings.COST_LIMIT = 12
    assert stands(send(technician, TEN)) == (12, 2, 98)
    answer = send(technician, TEN.replace("10", "11"))
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "cost": 13, "limit": 12}
    assert error["message"] == ("This operation costs 13 points; one may cost 12. Ask for shorter pages, or in parts.")
    assert (answer.status_code, stands(answer), "data" in answer.json()) == (422, (13, 1, 97), False)


def test_what_is_above_the_budget_is_refused_and_runs_nothing(send: Send, hundred: Bucket, technician: User) -> None:
    spend(send, technician, 95)
    for accept in (GRAPHQL, JSON):
        answer = send(technician, CREATE, accept)
        (error,) = answer.json()["errors"]
        assert answer.status_code == 429
        assert (sorted(answer.json()), sorted(error)) == (["errors", "extensions"], ["extensions", "message"])
        assert sorted(error["extensions"]) == ["code", "retryAfter"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert 490 < error["extensions"]["retryAfter"] <= 500
        waiting = int(answer.headers["Retry-After"])
        assert waiting - 1 < error["extensions"]["retryAfter"] <= waiting
        assert error["message"] == (
            f"This takes 10 points and you have 5; 500 are restored each second. Try again in {waiting} s."
        )
        assert (stands(answer), sorted(cost(answer))) == ((10, 0, 5), TOLD)
        assert re.match(r'"points";r=5;t=9\d\d\d, "time";r=', answer.headers["RateLimit"])
        assert answer.headers["RateLimit-Policy"].startswith('"points";q=100;w=10000, ')
        assert answer.headers["Cache-Control"] == "no-store"
    assert WorkOrder.unscoped.count() == 0
    assert stands(send(technician, ME)) == (1, 1, 4)


def test_a_budget_is_restored_as_time_passes(send: Send, monkeypatch: pytest.MonkeyPatch, technician: User) -> None:
    monkeypatch.setattr(budget, "POINTS", Bucket("points", 3, 1000))
    assert [send(technician, ME).status_code for _ in range(10)] == [200] * 10


@pytest.mark.parametrize(("accept", "status"), [(GRAPHQL, 422), (JSON, 200)])
def test_what_can_never_be_paid_is_not_told_to_wait(
    send: Send, hundred: Bucket, technician: User, accept: str, status: int
) -> None:
    for body in (TEN.replace("10", "99"), [{"query": CREATE}] * 9 + [{"query": TEN}]):
        answer = send(technician, body, accept)
        one = answer.json()[0] if isinstance(body, list) else answer.json()
        (error,) = one["errors"]
        points = 101 if isinstance(body, str) else 102
        message = f"This takes {points} points, more than you can ever have at once; ask in parts."
        assert (error["message"], error["extensions"]) == (message, {"code": "QUERY_TOO_COMPLEX"})
        assert ("data" in one, one["extensions"]["cost"]["requested"]) == (False, points)
        assert (answer.status_code, "Retry-After" in answer.headers) == (status, False)
    assert WorkOrder.unscoped.count() == 0
    assert stands(send(technician, ME)) == (1, 1, 99)


def test_time_is_owed_and_who_owes_waits(
    send: Send, technician: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.TIME_BUCKET = 1
    monkeypatch.setattr(budget, "TIME", Bucket("time", 1000, 10))
    monkeypatch.setattr(budget, "_debtors", {})
    monkeypatch.setattr("schema.operation.Busy.milliseconds", property(lambda _: 1500))
    first = send(technician, CREATE)
    assert first.status_code == 200
    assert re.search(r'"time";r=0;t=150$', first.headers["RateLimit"])
    second = send(technician, CREATE)
    (error,) = second.json()["errors"]
    assert (second.status_code, error["extensions"]["code"]) == (429, "RATE_LIMITED")
    assert 45 < error["extensions"]["retryAfter"] <= 50
    seconds = second.headers["Retry-After"]
    assert error["message"] == f"Your requests have kept us busy for more than 1 s. Try again in {seconds} s."
    with moves("rate_limit_hits_total") as hits:
        third = send(technician, CREATE)
    assert (third.status_code, third.json()["errors"][0]["message"]) == (429, error["message"]), "and is not read"
    assert hits == {"rate_limit_hits_total time": 1}
    assert sorted(third.json()["extensions"]["cost"]) == sorted(second.json()["extensions"]["cost"])
    assert third.headers["RateLimit-Policy"] == second.headers["RateLimit-Policy"]
    assert WorkOrder.unscoped.count() == 1


@pytest.mark.parametrize("points", [50, 20_000])
def test_what_it_takes_to_refuse_a_request_is_owed_too(
    send: Send, technician: User, monkeypatch: pytest.MonkeyPatch, points: int
) -> None:
    monkeypatch.setattr(budget, "POINTS", Bucket("points", points, 0.001))
    monkeypatch.setattr(budget, "TIME", Bucket("time", 60_000, 0.001))
    monkeypatch.setattr("schema.operation.Busy.milliseconds", property(lambda _: 1500))
    dear = [
        {"query": "{ workOrders(first: 100) { edges { node { tasks(first: 45) { edges { node { id } } } } } } }"}
    ] * 10
    for refused in range(1, 4):
        answer = send(technician, dear)
        assert {each["errors"][0]["extensions"]["code"] for each in answer.json()} <= {"QUERY_TOO_COMPLEX"}
        assert f'"time";r={60_000 - refused * 1500};' in answer.headers["RateLimit"]


def test_no_more_debtors_are_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    debtors: dict[str, Any] = {}
    monkeypatch.setattr(budget, "_debtors", debtors)
    monkeypatch.setattr(budget, "MAX_DEBTORS", 2)
    owing = Taken(False, (Standing(budget.TIME, 0, 1.0, 2.0),))
    for client in "abc":
        budget._remember(client, owing)
    assert list(debtors) == ["c"]


# Batches.


def test_a_batch_is_paid_at_once_and_each_tells_its_own_cost(
    send: Send, hundred: Bucket, technician: User, demo: Tenant
) -> None:
    factories.work_order(demo)
    answer = send(technician, [{"query": ME}, {"query": TEN}, {"query": "{"}, {"query": CREATE}])
    told = [each["extensions"]["cost"] for each in answer.json()]
    assert [(each["requested"], each["actual"]) for each in told] == [(1, 1), (12, 3), (1, 1), (10, 10)]
    assert {each["remaining"] for each in told} == {100 - 1 - 3 - 1 - 10}
    assert stands(send(technician, ME)) == (1, 1, 84)


def test_in_a_batch_the_field_says_what_is_left_when_all_of_it_is_paid(
    send: Send, hundred: Bucket, technician: User
) -> None:
    answer = send(technician, [{"query": TEN}, {"query": "{ rateLimit { cost remaining } }"}, {"query": ME}])
    assert answer.json()[1]["data"]["rateLimit"] == {"cost": 1, "remaining": 100 - 12 - 1 - 1}


def test_a_batch_that_is_above_the_budget_runs_nothing(send: Send, hundred: Bucket, technician: User) -> None:
    spend(send, technician, 75)
    answer = send(technician, [{"query": CREATE}, {"query": CREATE}, {"query": ME}, {"query": TEN}])
    assert (answer.status_code, len(answer.json())) == (429, 4)
    for each in answer.json():
        assert (sorted(each), each["errors"][0]["extensions"]["code"]) == (["errors", "extensions"], "RATE_LIMITED")
        assert (each["extensions"]["cost"]["requested"], each["extensions"]["cost"]["remaining"]) == (33, 25)
    assert WorkOrder.unscoped.count() == 0
    assert send(technician, [{"query": CREATE}, {"query": CREATE}]).status_code == 200
    assert WorkOrder.unscoped.count() == 2


# Explaining.


def test_what_is_explained_runs_nothing_and_draws_nothing(
    send: Send, hundred: Bucket, technician: User, demo: Tenant
) -> None:
    answer = send(technician, {"query": CREATE, "extensions": EXPLAIN})
    assert (answer.status_code, sorted(answer.json())) == (200, ["extensions"])
    told = cost(answer)
    assert told.pop("breakdown") == [{"path": "createWorkOrder", "cost": 10}]
    assert (sorted(told), stands(answer)) == (TOLD, (10, 0, 100))
    assert WorkOrder.unscoped.count() == 0
    assert stands(send(technician, ME)) == (1, 1, 99)


@pytest.mark.parametrize("query", [ME, TEN, RATE, CREATE, "{ __typename }", "{ workOrders { edges { cursor } } }"])
def test_a_breakdown_adds_up_to_the_price_that_is_then_paid(
    send: Send, hundred: Bucket, technician: User, query: str
) -> None:
    told = cost(send(technician, {"query": query, "extensions": EXPLAIN}))
    assert sum(line["cost"] for line in told["breakdown"]) == told["requested"]
    assert cost(send(technician, query))["requested"] == told["requested"]
    assert cost(send(technician, {"query": query, "extensions": {"cost": "tell"}})).get("breakdown") is None


def test_what_could_not_be_paid_is_explained_all_the_same(
    send: Send, hundred: Bucket, technician: User, settings: Settings
) -> None:
    settings.COST_LIMIT = 5
    dear = {"query": "{ workOrders(first: 5000) { edges { cursor } } }", "extensions": EXPLAIN}
    assert cost(send(technician, dear))["breakdown"] == [
        {"path": "workOrders", "cost": 2},
        {"path": "workOrders.edges", "cost": 5000},
    ]
    settings.COST_LIMIT = 5000
    spend(send, technician, 100)
    assert send(technician, ME).status_code == 429
    assert stands(send(technician, dear)) == (5002, 0, 0)


def test_what_can_not_run_is_not_explained(send: Send, hundred: Bucket, technician: User) -> None:
    answer = send(technician, {"query": "{ nothing }", "extensions": EXPLAIN})
    assert (code(answer), stands(answer), "breakdown" in cost(answer)) == ("BAD_REQUEST", (1, 1, 99), False)


def test_in_a_batch_one_is_explained_and_another_runs(send: Send, hundred: Bucket, technician: User) -> None:
    answer = send(technician, [{"query": CREATE, "extensions": EXPLAIN}, {"query": CREATE}])
    explained, ran = answer.json()
    assert ("data" in explained, "data" in ran, WorkOrder.unscoped.count()) == (False, True, 1)
    assert (explained["extensions"]["cost"]["actual"], explained["extensions"]["cost"]["remaining"]) == (0, 90)


# Off, apart, away.


def test_the_switch_turns_the_limit_off(send: Send, hundred: Bucket, technician: User, settings: Settings) -> None:
    settings.ENABLE_COST_LIMIT = False
    answer = send(technician, RATE)
    assert (answer.status_code, "extensions" in answer.json(), answer.json()["data"]["rateLimit"]) == (200, False, None)
    assert ("RateLimit" in answer.headers, "RateLimit-Policy" in answer.headers) == (False, False)
    dear = "{ workOrders(first: 100) { edges { node { tasks(first: 100) { edges { cursor } } } } } }"
    assert [send(technician, dear).status_code for _ in range(2)] == [200] * 2
    explained = cost(send(technician, {"query": dear, "extensions": EXPLAIN}))
    assert (sorted(explained), explained["requested"]) == (["actual", "breakdown", "requested"], 10_302)
    assert "extensions" not in send(technician, "{ nothing }").json()
    searched = send(technician, '{ search(query: "pump") { totalCount } }')
    assert re.fullmatch(r'"search";r=19;t=10', searched.headers["RateLimit"])
    assert "extensions" not in searched.json()
    settings.ENABLE_SEARCH_RATE_LIMITING = False
    assert "RateLimit" not in send(technician, '{ search(query: "pump") { totalCount } }').headers
    settings.ENABLE_COST_LIMIT = True
    assert stands(send(technician, ME)) == (1, 1, 99)


def test_everybody_has_a_budget_of_their_own(
    send: Send, hundred: Bucket, technician: User, demo: Tenant, rival: Tenant
) -> None:
    spend(send, technician, 100)
    assert code(send(technician, ME)) == "RATE_LIMITED"
    for other in (factories.user(demo), factories.user(rival)):
        assert stands(send(other, ME)) == (1, 1, 99)
    session = Client()
    session.force_login(technician)
    by_session = session.post("/graphql", {"query": ME}, content_type=JSON)
    assert by_session.status_code == 429
    again, _ = issue_token(user=technician)
    by_token = Client().get("/graphql", {"query": ME}, headers={"Authorization": f"Bearer {again}"})
    assert by_token.status_code == 429


@pytest.fixture
def away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Let Redis be where nobody answers."""
    default = settings.CACHES["default"]
    settings.CACHES = {"default": {**default, "LOCATION": f"redis://127.0.0.1:{closed_port()}/0"}}
    return fresh_server(monkeypatch)


def test_without_redis_the_budget_is_of_the_same_size(
    away: Server, send: Send, hundred: Bucket, technician: User, demo: Tenant
) -> None:
    factories.work_order(demo)
    assert stands(send(technician, TEN)) == (12, 3, 97)
    assert away.is_away
    spend(send, technician, 90)
    answer = send(technician, CREATE)
    assert (answer.status_code, stands(answer)) == (429, (10, 0, 7))
    assert WorkOrder.unscoped.count() == 1


def test_who_would_rather_refuse_than_not_know_refuses_while_redis_is_away(
    away: Server, send: Send, technician: User, settings: Settings
) -> None:
    settings.LIMITS_FAIL_CLOSED = True
    for body in (CREATE, [{"query": CREATE}] * 2):
        with moves("rate_limit_hits_total") as moved:
            answer = send(technician, body)
        assert moved == {"rate_limit_hits_total redis-away": 1}
        one = answer.json()[0] if isinstance(body, list) else answer.json()
        assert (answer.status_code, answer.headers["Retry-After"], "RateLimit" in answer.headers) == (429, "2", False)
        assert one == {
            "errors": [
                {
                    "message": "What you may spend can't be looked up just now. Try again.",
                    "extensions": {"code": "RATE_LIMITED", "retryAfter": 2.0},
                }
            ]
        }
    assert WorkOrder.unscoped.count() == 0
    settings.ENABLE_COST_LIMIT = settings.ENABLE_SEARCH_RATE_LIMITING = False
    assert send(technician, ME).status_code == 200


# What goes wrong.


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no list be read."""

    def fail(*_: Any) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr("schema.reads.lists.fetch_page", fail)
    monkeypatch.setattr("schema.compiler.statement.prepared", fail)


def test_what_fails_costs_its_whole_price(failing: None, send: Send, hundred: Bucket, technician: User) -> None:
    answer = send(technician, "{ me { id } workOrders(first: 10) { edges { cursor } } }")
    assert (code(answer), answer.json()["errors"][0]["message"]) == ("INTERNAL", INTERNAL_MESSAGE)
    assert (answer.status_code, answer.json()["data"], stands(answer)) == (294, None, (13, 13, 87))


def test_what_fails_outside_any_resolver_is_told_beside_what_has_run(
    send: Send, hundred: Bucket, technician: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    executed = Executor.execute_operation

    def execute(self: Any) -> Any:
        if self.operation.name:
            raise RuntimeError("secret plan")
        return executed(self)

    monkeypatch.setattr("schema.operation.Executor.execute_operation", execute)
    monkeypatch.setattr("django.conf.settings.COMPILED_READS", False)
    answer = send(technician, [{"query": CREATE}, {"query": f"query Bad {TEN}"}])
    ran, failed = answer.json()
    assert ("data" in ran, "data" in failed, WorkOrder.unscoped.count()) == (True, False, 1)
    assert failed["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert (failed["extensions"]["cost"]["actual"], failed["extensions"]["cost"]["remaining"]) == (12, 100 - 10 - 12)
    assert send(technician, f"query Bad {TEN}").status_code == 500
    assert "secret plan" in caplog.text
    assert "secret" not in answer.text


def test_searches_that_are_too_many_are_told_apart_from_points(
    send: Send, hundred: Bucket, technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "SEARCHES", Window("search", 1, 60))
    query = '{ search(query: "pump") { totalCount } }'
    assert stands(send(technician, query)) == (10, 10, 90)
    answer = send(technician, query)
    waiting = answer.headers["Retry-After"]
    message = f"You may search 1 in 60 seconds at most. Try again in {waiting} s."
    assert answer.json()["errors"][0]["message"] == message
    assert (code(answer), stands(answer)) == ("RATE_LIMITED", (10, 0, 90))


def test_who_has_slow_requests_running_is_told_to_wait(
    send: Send, technician: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr("schema.running.SLOW", 0.0)
    limit = Running(1)
    monkeypatch.setattr(budget, "_running", limit)
    begun = limit.enter(budget.client_of(technician))
    with moves("rate_limit_hits_total") as moved:
        answer = send(technician, CREATE)
    assert moved == {"rate_limit_hits_total at-once": 1}
    limit.leave(budget.client_of(technician), begun)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["extensions"]) == (429, {"code": "RATE_LIMITED", "retryAfter": 1.0})
    assert answer.headers["Retry-After"] == "1"
    assert WorkOrder.unscoped.count() == 0
    assert send(technician, CREATE).status_code == 200
