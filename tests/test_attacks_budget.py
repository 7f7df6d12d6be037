"""Attacks on the budget: nothing is had for nothing, nothing is given back that was used, nothing is spent twice."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Final

import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import Tenant
from apps.throttle.limits import give_back
from schema.budget import POINTS, TIME, client_of
from schema.cost import MAX_LINES, MOST
from tests import factories
from tests.attacks import ME, Attack, Target, asked, told, withstands
from tests.buckets import left, wanting

SERVED: Final = "200"
REFUSED: Final = "294 BAD_REQUEST"
COMPLEX: Final = "422 QUERY_TOO_COMPLEX"
LIMITED: Final = "429 RATE_LIMITED"
EXPLAIN: Final = {"cost": "explain"}

ORDERS: Final = "edges { node { id site { id } requestedBy { id } } }"
BAD: Final = 'workOrders(after: "forged") { totalCount }'
BAD_BELOW: Final = 'assignedWorkOrders(after: "forged") { totalCount }'
DEAR: Final = "{ workOrders(first: 100) { edges { node { tasks(first: 100) { edges { node { id } } } } } } }"
CREATE: Final = 'mutation { createSite(input: { code: "HACKED", name: "a" }) { __typename } }'


@pytest.fixture
def target(demo: Tenant, rival: Tenant, settings: Settings) -> Target:
    """Return an attacker and its prey, on a server that shows its schema to nobody."""
    settings.INTROSPECTION = settings.GRAPHIQL = False
    return Target.among(demo, rival)


def cost(answer: Any) -> Any:
    return answer.json()["extensions"]["cost"]


def drain(target: Target, leave: int = 0) -> None:
    """Leave the actor so many points, as nearly as they can be counted while they are restored."""
    wanting(client_of(target.actor), (POINTS, target.points() - leave))


# What an operation is told to cost


PRICES: Final = {
    "an alias like the list's": (f"{{ edges: workOrders(first: 1) {{ edges: {ORDERS} }} }}", 5, 5),
    "aliases that trade places": (
        "{ workOrders(first: 1) { edges: pageInfo { hasNextPage } x: edges { node { site: id id: site { id } } } } }",
        4,
        4,
    ),
    "an alias that hides the list": ("{ workOrders(first: 1) { x: edges { node { id } } edges: totalCount } }", 3, 3),
    "a list in two parts": (
        "{ workOrders(first: 1) { edges { node { site { id } } } } workOrders(first: 1) { edges { node { id } } } }",
        4,
        4,
    ),
    "a list by two fragments": (
        (
            "{ ...A ...B } fragment A on Query { workOrders(first: 1) { edges { node { site { id } } } } } fragment B "
            "on Query { workOrders(first: 1) { edges { node { requestedBy { id } } } } }"
        ),
        5,
        5,
    ),
    "skipped by default": ("query($s: Boolean! = true) { workOrders @skip(if: $s) { totalCount } }", 1, 1),
    "included after all": (
        "query($s: Boolean! = false) { workOrders(first: 1) @skip(if: $s) { edges { node { id } } } }",
        3,
        3,
    ),
    "a default of one": ("query($n: Int = 1) { workOrders(first: $n) { edges { node { id } } } }", 3, 3),
    "a page of none": ("{ workOrders(first: 0) { edges { node { site { id } } } } }", 2, 2),
    "from the back": ("{ workOrders(last: 1) { edges { node { id } } } }", 3, 3),
    "an interface": (
        '{ nodes(ids: ["@order@"]) { ... on WorkOrder { site { id } } ... on User { tenant { id } } } }',
        2,
        2,
    ),
    "30 counts": ("{ " + " ".join(f"a{n}: workOrders(first: 0) {{ totalCount }}" for n in range(30)) + " }", 60, 60),
}


@pytest.mark.parametrize("name", PRICES)
def test_no_trick_of_the_document_makes_it_cheaper(target: Target, name: str) -> None:
    document, requested, actual = PRICES[name]
    told_of = cost(withstands(target, asked(name, SERVED, document)))
    assert (told_of["requested"], told_of["actual"]) == (requested, actual)


@pytest.mark.parametrize("given", [{}, {"n": None}])
def test_a_variable_that_is_null_or_absent_is_priced_as_the_default_page(target: Target, given: dict[str, Any]) -> None:
    document = "query($n: Int) { workOrders(first: $n) { edges { node { id } } } }"
    assert cost(withstands(target, asked("null", SERVED, document, **given)))["requested"] == 52


@pytest.mark.parametrize("size", [-1, -(2**31)])
def test_a_negative_page_takes_nothing_off_the_price(target: Target, size: int) -> None:
    lists = (f"a{number}: workOrders(first: {number}) {{ edges {{ node {{ id }} }} }}" for number in (1, size))
    document = "{ " + " ".join(lists).replace("a-", "b") + " }"
    told_of = cost(withstands(target, asked("negative", REFUSED, document)))
    assert (told_of["requested"], told_of["actual"]) == (5, 5)


@pytest.mark.parametrize(
    "document",
    [
        f"{{ a: workOrders(first: 100) {{ {ORDERS} }} b: {BAD} }}",
        f'{{ node(id: "@user@") {{ ... on User {{ a: assignedWorkOrders {{ {ORDERS} }} b: {BAD_BELOW} }} }} }}',
        '{ workOrders(first: 100) { edges { node { id site { id } tasks(after: "forged") { totalCount } } } } }',
    ],
    ids=["beside it", "below null", "inside"],
)
def test_what_ran_before_a_field_failed_is_not_given_back(target: Target, document: str) -> None:
    document = document.replace("@user@", target.ids["user"])
    told_of = cost(withstands(target, asked("abandoned", REFUSED, document)))
    assert told_of["actual"] == told_of["requested"] > 100


@pytest.mark.parametrize("body", ["{", "{ nope }", "{ me { id", "query($x: Int!) { node(id: $x) { id } }"])
def test_what_does_not_run_is_not_for_nothing(target: Target, body: str) -> None:
    answer = target.send(Attack("bad", "", {"query": body}))
    assert cost(answer)["actual"] == 1


@pytest.mark.parametrize("body", ["{", "{ nope }", "{ me { a: id" + " a: id" * 40 + " } }"])
def test_without_points_nonsense_is_told_to_wait_like_sense(target: Target, body: str) -> None:
    give_back(client_of(target.actor), POINTS, -2 * POINTS.capacity)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "is_served", lambda _: None)  # it would have to wait
        withstands(target, asked("nonsense", LIMITED, body))


# Over budget


@pytest.mark.parametrize(
    "body",
    [
        {"query": f"{{ workOrders(first: 100) {{ {ORDERS} }} }}"},
        [{"query": ME}, {"query": f"{{ workOrders(first: 100) {{ {ORDERS} }} }}"}],
        {"query": "mutation { " + " ".join(f"a{n}: {CREATE[11:-1].strip()}" for n in range(30)) + " }"},
    ],
    ids=["query", "batch", "mutations"],
)
def test_over_budget_nothing_runs_and_the_wait_is_told(target: Target, body: Any) -> None:
    drain(target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "is_served", lambda _: None)  # it would have to wait
        answer = withstands(target, Attack("over", LIMITED, body))
    assert int(answer.headers["Retry-After"]) == 1
    first = answer.json()[0] if isinstance(body, list) else answer.json()
    assert 0 < first["errors"][0]["extensions"]["retryAfter"] <= 1


def test_a_price_above_all_limits_is_refused_for_good(target: Target) -> None:
    answer = withstands(target, asked("dear", COMPLEX, DEAR))
    assert "Retry-After" not in answer.headers
    assert cost(answer)["actual"] == 1


def test_points_of_another_actor_are_not_touched(target: Target, rival: Tenant) -> None:
    other = Target.among(rival, target.actor.tenant)
    before = left(POINTS, client_of(other.actor))
    withstands(target, asked("mine", SERVED, f"{{ workOrders(first: 100) {{ {ORDERS} }} }}"))
    assert left(POINTS, client_of(other.actor)) >= before


# Explanations


WIDE: Final = """
fragment W on WorkOrder {
  site { id } requestedBy { id } actions { action } tasks { ...T } tickets { ...K } history { ...H }
  asset { site { id } tasks { ...T } tickets { ...K } children { edges { node { site { id } tasks { ...T } } } } }
}
fragment T on TaskConnection { edges { node { asset { id } assignee { id } } } }
fragment K on TicketConnection { edges { node { site { id } asset { site { id } } assignee { id } } } }
fragment H on AuditEntryConnection { edges { node { actor { id } changes { field } } } }
"""
HUGE: Final = "first: 2147483647"
EXPLAINED: Final = {
    "a query": ME,
    "a mutation": CREATE,
    "what is too dear": DEAR,
    "what is dearer than can be told": (
        f"{{ workOrders({HUGE}) {{ edges {{ node {{ history({HUGE}) {{ edges {{ node {{ id }} }} }} }} }} }} }}"
    ),
    "many lines": "{ "
    + " ".join(f"a{n}: workOrders {{ edges {{ node {{ ...W }} }} }}" for n in range(30))
    + " }"
    + WIDE,
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_an_explanation_runs_and_draws_nothing_and_adds_up(target: Target, name: str) -> None:
    answer = withstands(target, Attack(name, SERVED, {"query": EXPLAINED[name], "extensions": EXPLAIN}))
    told_of = cost(answer)
    assert "data" not in answer.json()
    assert len(told_of["breakdown"]) <= MAX_LINES + 1
    assert all(0 < line["cost"] <= MOST for line in told_of["breakdown"])
    assert min(MOST, sum(line["cost"] for line in told_of["breakdown"])) == told_of["requested"]
    assert len(answer.content) < 200_000
    assert told_of["actual"] == 0


def test_ten_explanations_in_a_batch_are_bounded(target: Target) -> None:
    body = [{"query": EXPLAINED["many lines"], "extensions": EXPLAIN}] * 10
    answer = withstands(target, Attack("explanations", SERVED, body))
    assert len(answer.content) < 2_000_000


def test_an_explanation_beside_a_query_pays_for_the_query_alone(target: Target) -> None:
    drain(target, 5_000)
    body = [{"query": DEAR, "extensions": EXPLAIN}, {"query": "{ workOrders(first: 1) { edges { node { id } } } }"}]
    answer = withstands(target, Attack("beside", SERVED, body))
    assert [part["extensions"]["cost"]["actual"] for part in answer.json()] == [0, 3]


# Time


def test_who_has_kept_the_server_busy_waits_though_points_are_left(target: Target) -> None:
    client = client_of(target.actor)
    give_back(client, TIME, -2 * TIME.capacity)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "is_served", lambda _: None)  # it would have to wait
        patch.setattr("schema.budget._debtors", {})
        withstands(target, asked("busy", LIMITED, ME))
        give_back(client, TIME, 2 * TIME.capacity)
    withstands(target, asked("again", SERVED, ME))


# At once


@pytest.mark.django_db(transaction=True)
def test_the_last_points_are_spent_once(demo: Tenant, rival: Tenant) -> None:
    made = Target.among(demo, rival)
    factories.work_order(demo)
    body = {"query": "{ workOrders(first: 100) { edges { node { id } } } rateLimit { cost } }"}
    start = Barrier(8)

    def send() -> Any:
        target = Target(made.actor, made.ids, Client(raise_request_exception=False), made.token)
        try:
            start.wait()
            return target.send(Attack("at once", "", body))
        finally:
            connections.close_all()

    began = time.monotonic()
    drain(made, 150)
    with ThreadPoolExecutor(8) as pool:
        answers = [future.result() for future in [pool.submit(send) for _ in range(8)]]
    assert {told(answer.status_code, [answer.json()]) for answer in answers} <= {SERVED, LIMITED}
    served = [answer for answer in answers if answer.status_code == 200]
    paid = sum(cost(answer)["actual"] for answer in served)
    restored = POINTS.rate * (time.monotonic() - began)
    assert served
    assert 0 <= made.points() <= 150 - paid + POINTS.rate * (time.monotonic() - began) + 1
    assert paid <= 150 + restored
