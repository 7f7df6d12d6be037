"""What filters find, and what they refuse."""

from datetime import timedelta
from typing import Any

import pytest

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from schema.reads.global_id import encode_id
from tests import factories
from tests.graphql import data, refusal, statements

BULK = "6f1c1f0e-3b5c-4d0e-9a52-0d7f3c1f8a11"
LIST = "query ($filters: WorkOrderFilter) { workOrders(filters: $filters) { totalCount edges { node { title } } } }"


@pytest.fixture
def orders(demo: Tenant, technician: User) -> dict[str, Any]:
    site = factories.site(demo, code="NORTH")
    pump = factories.asset(demo, code="PUMP", name="Pump", site=site)
    fan = factories.asset(demo, code="FAN", name="Fan")
    factories.work_order(demo, title="seal", asset=pump, site=site, assignee=technician, priority="HIGH")
    factories.work_order(demo, title="Belt 100%", asset=fan, due_at=factories.NOON)
    factories.work_order(demo, title="bare", status="SUBMITTED", due_at=factories.NOON + timedelta(days=1))
    return {"site": site, "pump": pump, "fan": fan, "technician": technician}


def found(actor: User, filters: Any) -> set[str]:
    answer = data(actor, LIST, filters=filters)["workOrders"]
    titles = {edge["node"]["title"] for edge in answer["edges"]}
    assert answer["totalCount"] == len(titles)
    return titles


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        (None, {"seal", "Belt 100%", "bare"}),
        ({}, {"seal", "Belt 100%", "bare"}),
        ({"status": {"exact": "DRAFT"}}, {"seal", "Belt 100%"}),
        ({"status": {"inList": ["SUBMITTED", "CLOSED"]}}, {"bare"}),
        ({"status": {"inList": []}}, set()),
        ({"id": {"inList": []}}, set()),
        ({"asset": {"id": {"inList": []}}}, set()),
        ({"id": {"exact": None, "inList": None, "isNull": None}}, {"seal", "Belt 100%", "bare"}),
        ({"number": {"exact": "wo-000001"}}, {"seal"}),
        ({"number": {"exact": "WO-1"}}, set()),
        ({"number": {"exact": "T-000001"}}, set()),
        ({"number": {"exact": ""}}, set()),
        ({"number": {"inList": ["WO-000002", "WO-000003", "WO-9" + "9" * 30]}}, {"Belt 100%", "bare"}),
        ({"dueAt": {"gt": "2026-11-02T06:00:00-23:00"}}, {"bare"}),
        ({"dueAt": {"range": {"start": "0001-01-01T00:00:00Z", "end": "9999-12-31T23:59:59Z"}}}, {"Belt 100%", "bare"}),
        ({"status": {"exact": None}}, {"seal", "Belt 100%", "bare"}),
        ({"priority": {"exact": "HIGH"}}, {"seal"}),
        ({"title": {"iContains": "BE"}}, {"Belt 100%"}),
        ({"title": {"contains": "be"}}, set()),
        ({"title": {"contains": "%"}}, {"Belt 100%"}),
        ({"title": {"contains": "_"}}, set()),
        ({"title": {"startsWith": "b"}}, {"bare"}),
        ({"title": {"iStartsWith": "b"}}, {"bare", "Belt 100%"}),
        ({"asset": {"code": {"exact": "PUMP"}}}, {"seal"}),
        ({"asset": {"code": {"exact": "NONE"}}}, set()),
        ({"asset": {"code": {"exact": "PUMP", "startsWith": "F"}}}, set()),
        ({"asset": {"name": {"iExact": "FAN"}}}, {"Belt 100%"}),
        ({"asset": {"site": {"code": {"exact": "NORTH"}}}}, {"seal"}),
        ({"asset": {"id": {"isNull": True}}}, {"bare"}),
        ({"dueAt": {"isNull": True}}, {"seal"}),
        ({"dueAt": {"gte": "2026-11-02T12:00:00Z", "lt": "2026-11-03T12:00:00+00:00"}}, {"Belt 100%"}),
        ({"dueAt": {"range": {"start": "2026-11-02T12:00:00", "end": "2026-11-03T12:00:00"}}}, {"Belt 100%", "bare"}),
        ({"assignee": {"role": {"exact": "TECHNICIAN"}}}, {"seal"}),
        ({"NOT": {"asset": {"code": {"exact": "PUMP"}}}}, {"Belt 100%", "bare"}),
        ({"NOT": {"asset": {"code": {"exact": "NONE"}}}}, {"seal", "Belt 100%", "bare"}),
        ({"status": {"exact": "SUBMITTED"}, "OR": {"priority": {"exact": "HIGH"}}}, {"seal", "bare"}),
        ({"status": {"exact": "DRAFT"}, "AND": {"dueAt": {"isNull": False}}}, {"Belt 100%"}),
    ],
)
def test_a_filter_finds_what_it_says(orders: dict[str, Any], filters: Any, titles: set[str]) -> None:
    assert found(orders["technician"], filters) == titles


def test_a_filter_by_id_takes_global_ids(orders: dict[str, Any]) -> None:
    pump, fan = encode_id("Asset", orders["pump"].pk), encode_id("Asset", orders["fan"].pk)
    assert found(orders["technician"], {"asset": {"id": {"exact": pump}}}) == {"seal"}
    assert found(orders["technician"], {"asset": {"id": {"inList": [pump, fan]}}}) == {"seal", "Belt 100%"}
    assert found(orders["technician"], {"asset": {"id": {"exact": encode_id("Asset", 2**63 - 1)}}}) == set()


def test_an_exact_code_is_looked_up_by_key_and_not_joined(orders: dict[str, Any]) -> None:
    (sql,) = statements(
        orders["technician"],
        "query ($f: WorkOrderFilter) { workOrders(filters: $f) { edges { node { id } } } }",
        f={"asset": {"code": {"exact": "PUMP"}}},
    )
    assert " JOIN " not in sql


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"asset": {"id": {"exact": encode_id("Site", 1)}}}, "names a Site; this takes ids of the type Asset"),
        ({"asset": {"id": {"exact": "17"}}}, "is not an id"),
        ({"asset": {"id": {"exact": encode_id("Asset", 10**30)}}}, "is not an id"),
        ({"id": {"exact": ""}}, "is not an id"),
        ({"dueAt": {"gt": "0001-01-01T00:00:00+10:00"}}, "years 1 to 9999"),
        ({"dueAt": {"range": {"start": "2026-01-01", "end": "9999-12-31T23:59:59-10:00"}}}, "years 1 to 9999"),
        ({"title": {"contains": "a\0b"}}, "NUL"),
        ({"asset": {"name": {"inList": ["a\0b"]}}}, "NUL"),
        ({"NOT": {"AND": {"title": {"contains": "\ud800"}}}}, "surrogate"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(technician: User, filters: Any, message: str) -> None:
    code, told = refusal(technician, LIST, filters=filters)
    assert code == "BAD_REQUEST"
    assert message in told


LONG = {"title": {"inList": ["x"] * 500}}
DEEP: dict[str, Any] = {"title": {"exact": "x"}}
for _ in range(17):
    DEEP = {"AND": DEEP, "title": {"exact": "x"}}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"title": {"inList": ["x"] * 1001}}, "1000 values; this one has 1001"),
        ({**LONG, "OR": {**LONG, "NOT": {"title": {"exact": "x"}}}}, "1000 values; this one has 1001"),
        (DEEP, "50 conditions; this one has"),
    ],
)
def test_a_filter_that_holds_too_much_is_refused(technician: User, filters: Any, message: str) -> None:
    code, told = refusal(technician, LIST, filters=filters)
    assert code == "QUERY_TOO_COMPLEX"
    assert message in told


def test_breached_promises_are_found_as_they_are_shown(demo: Tenant, technician: User) -> None:
    late = {"response_due_at": factories.NOON, "resolution_due_at": factories.NOON}
    ahead = {
        "response_due_at": factories.NOON.replace(year=2100),
        "resolution_due_at": factories.NOON.replace(year=2100),
    }
    factories.ticket(demo, subject="unanswered", **{**ahead, "response_due_at": factories.NOON})
    factories.ticket(demo, subject="unsolved", status="OPEN", **late)
    factories.ticket(demo, subject="answered late", status="OPEN", **{**ahead, "response_due_at": factories.NOON})
    solved = factories.NOON + timedelta(hours=1)
    factories.ticket(demo, subject="solved late", status="RESOLVED", resolved_at=solved, **late)
    factories.ticket(demo, subject="solved", status="RESOLVED", resolved_at=solved, **ahead)
    factories.ticket(demo, subject="cancelled", status="CANCELLED", **late)
    document = "query ($b: Boolean) { tickets(filters: {slaBreached: $b}) { edges { node { subject slaBreached } } } }"
    for breached, subjects in [
        (True, {"unanswered", "unsolved", "solved late"}),
        (False, {"answered late", "solved", "cancelled"}),
    ]:
        nodes = [edge["node"] for edge in data(technician, document, b=breached)["tickets"]["edges"]]
        assert {node["subject"] for node in nodes} == subjects
        assert {node["slaBreached"] for node in nodes} == {breached}


def trail(actor: User, selected: str, **filters: str) -> list[Any]:
    document = f"query ($f: AuditEntryFilter) {{ auditLog(filters: $f) {{ edges {{ node {{ {selected} }} }} }} }}"
    return [edge["node"] for edge in data(actor, document, f=filters)["auditLog"]["edges"]]


def test_the_trail_is_filtered_by_object_and_bulk(demo: Tenant) -> None:
    admin = factories.user(demo, Role.ADMIN)
    order = factories.work_order(demo)
    factories.audit_entry(order, actor=admin, action="SUBMIT", operation_id=BULK)
    factories.audit_entry(factories.task(demo), actor=admin)
    entity = {"__typename": "WorkOrder", "id": encode_id("WorkOrder", order.pk)}
    created, submitted = ({"action": action, "entity": entity} for action in ("CREATE", "SUBMIT"))
    selected = "action entity { __typename id }"
    assert trail(admin, selected, entity=entity["id"]) == [submitted, created]
    assert trail(admin, selected, operationId=BULK) == [submitted]
    document = "query ($f: AuditEntryFilter) { auditLog(filters: $f) { totalCount } }"
    assert refusal(admin, document, f={"operationId": "6f1c"})[0] == "BAD_REQUEST"


def test_the_trail_names_what_relations_led_to_by_global_ids(demo: Tenant) -> None:
    admin = factories.user(demo, Role.ADMIN)
    changes = [{"field": field, "before": None, "after": admin.pk} for field in ("requested_by", "serial")]
    factories.audit_entry(factories.work_order(demo), actor=admin, changes=changes, operation_id=BULK)
    (entry,) = trail(admin, "changes { field before after }", operationId=BULK)
    assert entry["changes"] == [
        {"field": "requestedBy", "before": None, "after": encode_id("User", admin.pk)},
        {"field": "serial", "before": None, "after": admin.pk},
    ]


def test_an_entry_about_what_is_no_node_is_shown_without_it(demo: Tenant) -> None:
    admin = factories.user(demo, Role.ADMIN)
    factories.audit_entry(factories.work_order(demo), entity_kind="ApiToken", operation_id=BULK)
    assert trail(admin, "action entity { id }", operationId=BULK) == [{"action": "CREATE", "entity": None}]
