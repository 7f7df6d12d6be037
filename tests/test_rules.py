"""What transitions demand and do beside changing the status."""

from datetime import timedelta
from typing import Any

import pytest

from apps.accounts.models import Tenant, User
from apps.accounts.tenancy import all_tenants
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle.machine import Machine, Verdict
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.factories import NOON
from tests.machines import ME, SOMEBODY, STATES, Person, entity, judge


@pytest.mark.parametrize(
    ("thing", "action", "role", "reason"),
    [
        (
            entity(AttendanceRecord, "PENDING"),
            "FIRE",
            "ADMIN",
            "There is no action FIRE. Choose APPROVE, REJECT or LOCK.",
        ),
        (
            entity(WorkOrder, "CLOSED"),
            "CANCEL",
            "VIEWER",
            "To cancel, the status must be DRAFT, SUBMITTED, APPROVED or ON_HOLD; it is CLOSED.",
        ),
        (entity(Task, "COMPLETED"), "START", "ADMIN", "To start, the status must be ASSIGNED; it is COMPLETED."),
        (entity(WorkOrder, "DRAFT", site_id=None), "SUBMIT", "VIEWER", "Only a technician may submit."),
        (entity(WorkOrder, "SUBMITTED"), "APPROVE", "TECHNICIAN", "Only a supervisor may approve."),
        (entity(AttendanceRecord, "APPROVED"), "LOCK", "SUPERVISOR", "Only an admin may lock."),
        (entity(Task, "ASSIGNED"), "MISS", "ADMIN", "Only the system may miss."),
        (entity(WorkOrder, "DRAFT", site_id=None), "SUBMIT", "TECHNICIAN", "Choose a site first."),
        (entity(WorkOrder, "APPROVED", assignee_id=None), "START", "SUPERVISOR", "Assign somebody first."),
        (
            entity(WorkOrder, "IN_PROGRESS", has_open_task=True),
            "COMPLETE",
            "SUPERVISOR",
            "Complete or cancel its open tasks first.",
        ),
        (
            entity(WorkOrder, "SUBMITTED", requested_by_id=ME),
            "APPROVE",
            "SUPERVISOR",
            "This is your own request: let another supervisor or an admin approve it.",
        ),
        (
            entity(AttendanceRecord, "PENDING", person_id=ME),
            "APPROVE",
            "ADMIN",
            "This is your own record: let somebody else approve it.",
        ),
        (
            entity(AttendanceRecord, "APPROVED", checked_out_at=None),
            "LOCK",
            "ADMIN",
            "Check the person out first.",
        ),
    ],
)
def test_a_refusal_says_what_stands_against_it(thing: Any, action: str, role: str, reason: str) -> None:
    verdict = judge(thing, action, role)
    assert (verdict.allowed, verdict.reason) == (False, reason)


@pytest.mark.parametrize(
    ("thing", "action", "role"),
    [
        (entity(WorkOrder, "SUBMITTED", requested_by_id=ME), "APPROVE", "ADMIN"),
        (entity(WorkOrder, "SUBMITTED", requested_by_id=None), "APPROVE", "SUPERVISOR"),
        (entity(WorkOrder, "SUBMITTED", requested_by_id=ME), "REJECT", "SUPERVISOR"),
        (entity(WorkOrder, "SUBMITTED", site_id=None, assignee_id=None), "APPROVE", "SUPERVISOR"),
        (entity(AttendanceRecord, "PENDING", person_id=ME), "REJECT", "SUPERVISOR"),
        (entity(AttendanceRecord, "PENDING", checked_out_at=None), "APPROVE", "SUPERVISOR"),
        (entity(Task, "SCHEDULED", assignee_id=None), "ASSIGN", "SUPERVISOR"),
    ],
)
def test_a_guard_stands_only_where_the_table_puts_it(thing: Any, action: str, role: str) -> None:
    assert judge(thing, action, role) == Verdict(
        action, thing.machine.transition(action, thing.status).requires_comment
    )


@pytest.mark.parametrize(
    ("model", "action", "status", "before", "after"),
    [
        (WorkOrder, "START", "APPROVED", {"started_at": None}, {"started_at": NOON}),
        (WorkOrder, "START", "APPROVED", {"started_at": NOON - timedelta(1)}, {"started_at": NOON - timedelta(1)}),
        (WorkOrder, "COMPLETE", "IN_PROGRESS", {"completed_at": NOON - timedelta(1)}, {"completed_at": NOON}),
        (WorkOrder, "REOPEN", "COMPLETED", {"completed_at": NOON}, {"completed_at": None}),
        (WorkOrder, "CLOSE", "COMPLETED", {"closed_at": None}, {"closed_at": NOON}),
        (Task, "COMPLETE", "IN_PROGRESS", {"completed_at": None}, {"completed_at": NOON}),
        (Ticket, "START", "OPEN", {"assignee_id": None}, {"assignee_id": ME}),
        (Ticket, "START", "OPEN", {"assignee_id": SOMEBODY}, {"assignee_id": SOMEBODY}),
        (Ticket, "RESOLVE", "IN_PROGRESS", {"resolved_at": None}, {"resolved_at": NOON}),
        (Ticket, "REOPEN", "RESOLVED", {"resolved_at": NOON}, {"resolved_at": None}),
    ],
)
def test_an_effect_sets_the_columns_that_its_row_says(
    model: Any, action: str, status: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    thing = entity(model, status, **before)
    for effect in model.machine.transition(action, status).effects:
        effect.apply(thing, Person(ME, "SUPERVISOR"), NOON)
    assert {name: getattr(thing, name) for name in after} == after


def test_no_other_transition_has_an_effect() -> None:
    with_effects = {(m.__name__, way.action): way.rules for m in STATES for way in m.machine.transitions if way.effects}
    assert with_effects == {
        ("WorkOrder", "START"): ("needs an assignee", "sets startedAt once"),
        ("WorkOrder", "COMPLETE"): ("no open task left", "sets completedAt"),
        ("WorkOrder", "REOPEN"): ("clears completedAt",),
        ("WorkOrder", "CLOSE"): ("sets closedAt",),
        ("Task", "COMPLETE"): ("sets completedAt",),
        ("Ticket", "START"): ("takes it if unassigned",),
        ("Ticket", "RESOLVE"): ("sets resolvedAt",),
        ("Ticket", "REOPEN"): ("clears resolvedAt",),
    }


def test_only_assigning_a_task_takes_something_from_the_input() -> None:
    taken = {(m.__name__, way.action): way.takes for m in STATES for way in m.machine.transitions if way.takes}
    assert taken == {("Task", "ASSIGN"): ("assignee",)}


@pytest.mark.parametrize(
    ("order_status", "task_status", "expected"),
    [
        ("IN_PROGRESS", "SCHEDULED", True),
        ("IN_PROGRESS", "ASSIGNED", True),
        ("IN_PROGRESS", "IN_PROGRESS", True),
        ("IN_PROGRESS", "COMPLETED", False),
        ("IN_PROGRESS", "APPROVED", False),
        ("IN_PROGRESS", "CANCELLED", False),
        ("IN_PROGRESS", "MISSED", False),
        ("APPROVED", "SCHEDULED", False),
    ],
)
def test_an_order_in_progress_is_fetched_with_whether_a_task_is_open(
    demo: Tenant, technician: User, order_status: str, task_status: str, expected: bool
) -> None:
    order = factories.work_order(demo, status=order_status, started_at=NOON)
    factories.task(demo, work_order=order, status=task_status, assignee=technician, completed_at=NOON)
    factories.task(demo, work_order=factories.work_order(demo), status="SCHEDULED")
    annotations = {name: make("") for name, make in WorkOrder.machine.annotations.items()}
    with all_tenants():
        fetched = WorkOrder.objects.annotate(**annotations).get(pk=order.pk)
    assert fetched.has_open_task is expected


def test_the_annotation_works_for_an_order_that_is_joined_to_another_row(
    demo: Tenant, django_assert_num_queries: Any
) -> None:
    order = factories.work_order(demo, status="IN_PROGRESS", started_at=NOON)
    done = factories.work_order(demo, status="IN_PROGRESS", started_at=NOON)
    first, second = factories.task(demo, work_order=order), factories.task(demo, work_order=done, status="CANCELLED")
    lone = factories.task(demo)
    annotations = {name: make("work_order__") for name, make in WorkOrder.machine.annotations.items()}
    with all_tenants(), django_assert_num_queries(1):
        found: Any = Task.objects.annotate(**annotations)
        assert {task.pk: task.has_open_task for task in found} == {first.pk: True, second.pk: False, lone.pk: False}


@pytest.mark.parametrize("model", STATES)
def test_judging_a_fetched_row_asks_the_database_nothing(
    model: Any, demo: Tenant, technician: User, django_assert_num_queries: Any
) -> None:
    make = {
        WorkOrder: factories.work_order,
        Task: factories.task,
        Ticket: factories.ticket,
        AttendanceRecord: factories.attendance_record,
    }[model]
    row = make(demo)
    machine: Machine = model.machine
    annotations = {name: compute("") for name, compute in machine.annotations.items()}
    with all_tenants():
        fetched = model.objects.annotate(**annotations).only("pk", *machine.columns).get(pk=row.pk)
    with django_assert_num_queries(0):
        assert machine.actions(fetched, technician, include_blocked=True)
        for state in machine.states:
            fetched.status = state.name
            machine.actions(fetched, technician, include_blocked=True)
