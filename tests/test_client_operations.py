"""Every mutation that our clients send, as they send it, does what its name says."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from graphql import FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode, OperationType, Visitor, visit
from graphql import parse as parse_document
from graphql.language import Node, print_ast

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.factories import NOON
from tests.graphql import data
from tests.machines import Model
from tests.test_schema import OPERATIONS
from tests.writing import gid, in_state, nothing_changes, stored, target

pytestmark = pytest.mark.skipif(not OPERATIONS.is_dir(), reason="the clients' documents lie beside the project")

DOCUMENTS: Final = [parse_document(path.read_text()) for path in sorted(OPERATIONS.glob("*.graphql"))]
DEFINITIONS: Final = [definition for document in DOCUMENTS for definition in document.definitions]
FRAGMENTS: Final = {each.name.value: each for each in DEFINITIONS if isinstance(each, FragmentDefinitionNode)}
MUTATIONS: Final = {
    each.name.value: each
    for each in DEFINITIONS
    if isinstance(each, OperationDefinitionNode) and each.operation is OperationType.MUTATION and each.name
}
NAMES: Final = (
    "CheckIn CheckOut TransitionAttendanceRecord BulkTransitionAttendanceRecords CreateTask TransitionTask"
    " BulkTransitionTasks CreateTicket UpdateTicket TransitionTicket BulkTransitionTickets CreateWorkOrder"
    " UpdateWorkOrder TransitionWorkOrder BulkTransitionWorkOrders"
)
WAYS: Final[dict[str, tuple[Model, str, str, str]]] = {
    "WorkOrder": (WorkOrder, "APPROVED", "START", "IN_PROGRESS"),
    "Task": (Task, "COMPLETED", "APPROVE", "APPROVED"),
    "Ticket": (Ticket, "NEW", "OPEN", "OPEN"),
    "AttendanceRecord": (AttendanceRecord, "PENDING", "APPROVE", "APPROVED"),
}


class Spreads(Visitor):
    """Collects the names of the fragments that a document spreads."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> None:
        self.names.append(node.name.value)


def whole(node: Node) -> str:
    """Return an operation with the fragments that it needs, at any depth."""
    needed: dict[str, Node] = {}
    waiting = [node]
    while waiting:
        spreads = Spreads()
        visit(waiting.pop(), spreads)
        new = {name: FRAGMENTS[name] for name in spreads.names if name not in needed}
        needed |= new
        waiting += new.values()
    return "\n".join(print_ast(each) for each in (node, *needed.values()))


@pytest.fixture
def admin(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


@pytest.fixture
def send(admin: User) -> Callable[..., dict[str, Any]]:
    """Return a function that sends one of the clients' mutations and returns its payload."""

    def sent(name: str, **given: Any) -> dict[str, Any]:
        (answer,) = data(admin, whole(MUTATIONS[name]), input=given).values()
        payload: dict[str, Any] = answer
        return payload

    return sent


Send = Callable[..., dict[str, Any]]


def ready(demo: Tenant, kind: str) -> Any:
    """Return a row in the state from which the kind's way starts."""
    model, start, _, _ = WAYS[kind]
    person = {"person": factories.user(demo)} if kind == "AttendanceRecord" else {"assignee": factories.user(demo)}
    return in_state(model, demo, start, **person)


def test_these_are_the_mutations_that_clients_send() -> None:
    assert sorted(MUTATIONS) == sorted(NAMES.split())


def test_create_work_order_creates_it(demo: Tenant, send: Send) -> None:
    site = factories.site(demo)
    asset = factories.asset(demo, site=site)
    answer = send(
        "CreateWorkOrder",
        title="Replace pump seal",
        description="On the roof",
        priority="HIGH",
        siteId=gid(site),
        assetId=gid(asset),
        dueAt=NOON.isoformat(),
        idempotencyKey="5c7f0f8e",
    )
    order = WorkOrder.unscoped.get()
    shown = {name: answer[name] for name in ("id", "number", "title", "status", "priority", "version", "assignee")}
    assert shown == {
        "id": gid(order),
        "number": "WO-000001",
        "title": "Replace pump seal",
        "status": "DRAFT",
        "priority": "HIGH",
        "version": 1,
        "assignee": None,
    }
    assert answer["asset"] == {
        "id": gid(asset),
        "code": asset.code,
        "name": asset.name,
        "site": {"id": gid(site), "name": site.name},
    }


@pytest.mark.parametrize(("name", "column"), [("CreateWorkOrder", "title"), ("CreateTicket", "subject")])
def test_a_blank_title_is_told_by_its_path(send: Send, name: str, column: str) -> None:
    with nothing_changes():
        answer = send(name, **{column: " "})
    assert answer == {
        "__typename": "ValidationFailed",
        "errorCode": "VALIDATION_FAILED",
        "message": "Write more than white space.",
        "problems": [{"path": column, "message": "Write more than white space."}],
    }


def test_update_work_order_updates_it_and_then_tells_the_conflict(demo: Tenant, send: Send, admin: User) -> None:
    order = factories.work_order(demo)
    answer = send("UpdateWorkOrder", **target(order), description="On the roof")
    assert (answer["id"], answer["description"], answer["version"]) == (gid(order), "On the roof", 2)
    with nothing_changes():
        stale = send("UpdateWorkOrder", **target(order), description="In the cellar")
    assert stale["changes"][0].pop("changedAt")
    message = "It was changed meanwhile: you saw version 1, now it is 2."
    assert stale.pop("message").startswith(message)
    assert stale == {
        "__typename": "VersionConflict",
        "errorCode": "VERSION_CONFLICT",
        "expectedVersion": 1,
        "currentVersion": 2,
        "safeToMerge": False,
        "changes": [
            {
                "field": "description",
                "before": None,
                "after": "On the roof",
                "changedBy": {"id": gid(admin), "name": admin.name},
            }
        ],
        "current": {"__typename": "WorkOrder", "id": gid(order), "version": 2},
    }


def test_create_task_creates_it(demo: Tenant, send: Send) -> None:
    order = factories.work_order(demo)
    answer = send("CreateTask", title="Drain the pump", workOrderId=gid(order), dueAt=NOON.isoformat())
    task = Task.unscoped.get()
    assert answer == {"id": gid(task), "title": "Drain the pump", "status": "SCHEDULED", "version": 1}
    assert task.work_order_id == order.pk


def test_create_ticket_creates_it_and_update_ticket_updates_it(send: Send) -> None:
    answer = send("CreateTicket", subject="Water", priority="CRITICAL", requesterEmail="eve@example.org")
    ticket = Ticket.unscoped.get()
    row = {"id": gid(ticket), "number": "T-000001", "subject": "Water", "status": "NEW", "version": 1}
    assert answer == row
    assert send("UpdateTicket", **target(ticket), subject="Fire") == {
        "id": gid(ticket),
        "subject": "Fire",
        "version": 2,
    }
    with nothing_changes():
        assert send("UpdateTicket", **target(ticket), subject="Ice")["errorCode"] == "VERSION_CONFLICT"


def test_check_in_and_check_out_note_that_somebody_came_and_left(demo: Tenant, send: Send) -> None:
    site = factories.site(demo, latitude=59.91, longitude=10.75)
    came = send("CheckIn", siteId=gid(site), latitude=59.91, longitude=10.75, note="Early")
    record = AttendanceRecord.unscoped.get()
    assert came.pop("checkedInAt")
    assert came == {
        "id": gid(record),
        "status": "PENDING",
        "version": 1,
        "withinGeofence": True,
        "distanceMetres": 0.0,
    }
    left = send("CheckOut", **target(record))
    assert left.pop("checkedOutAt")
    assert left == {"id": gid(record), "status": "PENDING", "version": 2}
    with nothing_changes():
        assert send("CheckOut", **target(record))["__typename"] == "VersionConflict"
        assert send("CheckIn", siteId=gid(site), latitude=1.0)["problems"][0]["path"] == "longitude"


@pytest.mark.parametrize("kind", WAYS)
def test_a_transition_takes_one_through_and_tells_why_not(demo: Tenant, send: Send, kind: str) -> None:
    _, _, action, end = WAYS[kind]
    row = ready(demo, kind)
    answer = send(f"Transition{kind}", **target(row), action=action, idempotencyKey="once")
    actions = {"availableActions": ["HOLD", "COMPLETE"]} if kind == "WorkOrder" else {}
    assert answer == {"id": gid(row), "status": end, "version": 2, **actions}
    with nothing_changes():
        stale = send(f"Transition{kind}", **target(row), action=action)
        again = send(f"Transition{kind}", id=gid(row), version=2, action=action)
        lost = send(f"Transition{kind}", id="lost", version=1, action=action)
    assert (stale["__typename"], stale["current"]["version"]) == ("VersionConflict", 2)
    assert (again["__typename"], again["errorCode"]) == ("TransitionNotAllowed", "TRANSITION_NOT_ALLOWED")
    assert (lost["__typename"], lost["errorCode"]) == ("NotFound", "NOT_FOUND")
    if kind == "WorkOrder":
        assert (again["currentStatus"], again["allowedActions"]) == ("IN_PROGRESS", ["HOLD", "COMPLETE"])


@pytest.mark.parametrize("kind", WAYS)
def test_a_bulk_takes_many_through_and_reports_each(demo: Tenant, send: Send, kind: str) -> None:
    _, start, action, end = WAYS[kind]
    rows = [ready(demo, kind), ready(demo, kind)]
    items = [target(rows[1]), {"id": "lost", "version": 1}, target(rows[0])]
    with nothing_changes():
        held = send(f"BulkTransition{kind}s", items=items, action=action)
        dry = send(f"BulkTransition{kind}s", items=items, action=action, dryRun=True, onError="SKIP_FAILED")
        none = send(f"BulkTransition{kind}s", items=[], action=action)
    assert (held["requested"], held["succeeded"], held["failed"]) == (3, 0, 1)
    assert (dry["dryRun"], dry["succeeded"], dry["failed"]) == (True, 2, 1)
    assert none["errorCode"] == "VALIDATION_FAILED"
    done = send(f"BulkTransition{kind}s", items=items, action=action, onError="SKIP_FAILED")
    assert len(done.pop("operationId")) == 36
    assert done.pop("results") == [
        {"id": gid(rows[1]), "ok": True, "status": end, "version": 2, "error": None},
        {
            "id": "lost",
            "ok": False,
            "status": None,
            "version": None,
            "error": {
                "__typename": "NotFound",
                "errorCode": "NOT_FOUND",
                "message": f"There is no {WAYS[kind][0]._meta.verbose_name} with this id.",
            },
        },
        {"id": gid(rows[0]), "ok": True, "status": end, "version": 2, "error": None},
    ]
    assert done == {"dryRun": False, "requested": 3, "succeeded": 2, "failed": 1}
    assert {stored(row)["status"] for row in rows} == {end} != {start}
