"""Every transition as it is really taken, against product.md's tables: what it does, or how it fails."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from django.db import transaction

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.lifecycle.actors import SystemActor
from apps.lifecycle.errors import PermissionDeniedError, RefusedError, TransitionNotAllowedError
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.reads.global_id import encode_id
from tests import factories
from tests.factories import NOON
from tests.graphql import refusal
from tests.machines import ROLES, STATES, Model, Row, rows
from tests.writing import (
    changes_of,
    entries,
    gid,
    in_state,
    item,
    move,
    mutate,
    nothing_changes,
    problems,
    refused,
    stored,
    target,
)

NOW: Final = object()
"""Stands for the time at which a transition is taken."""

EFFECTS: Final[dict[tuple[Model, str], dict[str, Any]]] = {
    (WorkOrder, "START"): {"started_at": NOW},
    (WorkOrder, "COMPLETE"): {"completed_at": NOW},
    (WorkOrder, "REOPEN"): {"completed_at": None},
    (WorkOrder, "CLOSE"): {"closed_at": NOW},
    (Task, "COMPLETE"): {"completed_at": NOW},
    (Ticket, "RESOLVE"): {"resolved_at": NOW},
    (Ticket, "REOPEN"): {"resolved_at": None},
}
"""What product.md says that transitions do beside the status."""

COMMENT: Final = "Because the pump runs dry."
TASK_STATES: Final = {
    "SCHEDULED": True,
    "ASSIGNED": True,
    "IN_PROGRESS": True,
    "COMPLETED": False,
    "APPROVED": False,
    "CANCELLED": False,
    "MISSED": False,
}
"""Whether a task in the state is open."""


def every_case() -> Iterator[Any]:
    for model, states in STATES.items():
        for status in states.split():
            for action in rows(model):
                for role in ROLES:
                    for assigned in (False, True) if model is not AttendanceRecord else (False,):
                        case = f"{model.__name__}-{status}-{action}-{role}{'-assigned' * assigned}"
                        yield pytest.param(model, status, action, role, assigned, id=case)


def commented() -> Iterator[Any]:
    for model in STATES:
        for row in rows(model).values():
            if row.comment:
                yield pytest.param(model, row, id=f"{model.__name__}-{row.action}")


def ready(model: Model, demo: Tenant, status: str, somebody: User, **fields: Any) -> Any:
    """Return a row in a state that satisfies every guard, when anybody else asks."""
    site = {"site": factories.site(demo)} if (model, status) == (WorkOrder, "DRAFT") else {}
    given: dict[Model, dict[str, Any]] = {
        WorkOrder: {"assignee": somebody, "requested_by": somebody, **site},
        Task: {"assignee": somebody},
        Ticket: {"assignee": somebody},
        AttendanceRecord: {"person": somebody, "checked_out_at": NOON},
    }
    return in_state(model, demo, status, **{**given[model], **fields})


def take(row: Any, action: str, actor: Any, comment: str = "", **takes: int) -> Any:
    """Take a row through a transition by the service."""
    with tenant_scope(row.tenant_id):
        return services.transition(type(row), item(row), action, actor=actor, comment=comment, takes=takes)


def refuse(row: Any, action: str, actor: Any, comment: str = "", **takes: int) -> RefusedError:
    """Hold that a row is not taken through a transition, and neither row nor audit is touched; return the refusal."""
    before, trail = stored(row), [entry.pk for entry in entries(row)]
    with pytest.raises(RefusedError) as caught, transaction.atomic():
        take(row, action, actor, comment, **takes)
    assert (stored(row), [entry.pk for entry in entries(row)]) == (before, trail)
    return caught.value


def shown(value: Any) -> Any:
    """Return what the audit trail holds of a value."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


@pytest.mark.parametrize(("model", "status", "action", "role", "assigned"), list(every_case()))
def test_an_actor_takes_the_transitions_of_the_table_and_no_others(
    demo: Tenant, model: Model, status: str, action: str, role: str, assigned: bool
) -> None:
    me, somebody = factories.user(demo, Role(role)), factories.user(demo)
    row = ready(model, demo, status, somebody, **({"assignee": me} if assigned else {}))
    table, way = rows(model), rows(model)[action]
    comment = COMMENT if way.comment else ""
    takes = {"assignee": somebody.pk} if (model, action) == (Task, "ASSIGN") else {}
    if status in way.from_states and way.lets(role, assigned=assigned):
        effects = {**EFFECTS.get((model, action), {}), **{f"{name}_id": key for name, key in takes.items()}}
        went_through(row, way, effects, me, comment, takes)
        return
    told = refuse(row, action, me, comment, **takes)
    if status in way.from_states:
        assert isinstance(told, PermissionDeniedError)
        return
    assert isinstance(told, TransitionNotAllowedError)
    may = [each.action for each in table.values() if status in each.from_states and each.lets(role, assigned=assigned)]
    assert (told.current_status, told.allowed_actions) == (status, may)


def went_through(row: Any, way: Row, effects: dict[str, Any], me: User, comment: str, takes: dict[str, int]) -> None:
    """Hold that a transition is taken and does what it should, all of it and nothing else, and leaves one entry."""
    before, trail, began = stored(row), entries(row), datetime.now(UTC)
    moved = take(row, way.action, me, comment, **takes)
    after = stored(row)
    at = after["updated_at"]
    assert began <= at <= datetime.now(UTC)
    assert before["version"] == 1
    done = {column: at if value is NOW else value for column, value in effects.items()}
    assert after == {**before, "status": way.to_state, "version": 2, "updated_at": at, **done}
    assert {column: getattr(moved, column) for column in after} == after
    (*earlier, entry) = entries(row)
    assert [each.pk for each in earlier] == [each.pk for each in trail]
    assert (entry.action, entry.entity_version, entry.comment) == (way.action, 2, comment)
    assert (entry.actor_id, entry.command, entry.at, entry.operation_id) == (me.pk, "", at, None)
    told = {column.removesuffix("_id"): (shown(before[column]), shown(after[column])) for column in ("status", *done)}
    assert changes_of(entry) == {name: both for name, both in told.items() if both[0] != both[1]}


@pytest.fixture
def admin(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


# What product.md's tables say in their last column: effects.


def test_an_order_that_is_started_again_keeps_the_time_when_it_was_first_started(demo: Tenant, boss: User) -> None:
    order = ready(WorkOrder, demo, "APPROVED", boss, started_at=NOON)
    take(order, "START", boss)
    assert (stored(order)["started_at"], stored(order)["version"]) == (NOON, 2)
    assert changes_of(entries(order)[-1]) == {"status": ("APPROVED", "IN_PROGRESS")}


def test_an_order_that_is_reopened_and_completed_again_has_the_later_time(demo: Tenant, boss: User) -> None:
    order = ready(WorkOrder, demo, "COMPLETED", boss)
    order = take(order, "REOPEN", boss, COMMENT)
    assert stored(order)["completed_at"] is None
    order = take(order, "COMPLETE", boss)
    assert stored(order)["completed_at"] == order.updated_at > NOON - timedelta(days=1000)
    assert [entry.entity_version for entry in entries(order)] == [1, 2, 3]


def test_the_completion_of_a_task_that_is_sent_back_is_replaced_by_the_next(demo: Tenant, boss: User) -> None:
    task = ready(Task, demo, "COMPLETED", boss)
    task = take(task, "REJECT", boss, COMMENT)
    task = take(task, "COMPLETE", boss)
    assert stored(task)["completed_at"] == task.updated_at != NOON


def test_whoever_starts_a_ticket_that_nobody_has_takes_it(demo: Tenant, technician: User) -> None:
    ticket = in_state(Ticket, demo, "OPEN")
    assert take(ticket, "START", technician).assignee_id == technician.pk
    assert stored(ticket)["assignee_id"] == technician.pk
    assert changes_of(entries(ticket)[-1]) == {
        "status": ("OPEN", "IN_PROGRESS"),
        "assignee": (None, technician.pk),
    }


def test_whoever_starts_a_ticket_that_somebody_has_does_not_take_it(demo: Tenant, technician: User, boss: User) -> None:
    ticket = in_state(Ticket, demo, "OPEN", assignee=boss)
    take(ticket, "START", technician)
    assert stored(ticket)["assignee_id"] == boss.pk
    assert changes_of(entries(ticket)[-1]) == {"status": ("OPEN", "IN_PROGRESS")}


def test_a_transition_answers_the_entity_as_it_left_it(demo: Tenant, boss: User) -> None:
    order = ready(WorkOrder, demo, "SUBMITTED", factories.user(demo))
    answer = move(boss, order, "APPROVE", comment="Go on")
    after = stored(order)
    assert (answer["__typename"], answer["id"], answer["status"]) == ("WorkOrder", gid(order), "APPROVED")
    assert (answer["version"], answer["availableActions"]) == (2, ["START", "CANCEL"])
    assert datetime.fromisoformat(answer["updatedAt"]) == after["updated_at"]
    assert entries(order)[-1].comment == "Go on"


# What product.md's tables say in their last column: guards.


def guarded(actor: User, row: Any, action: str, allowed: list[str], comment: str = "") -> None:
    """Hold that a guard refuses an action, and what is told of it."""
    told = refuse(row, action, actor, comment)
    assert isinstance(told, TransitionNotAllowedError)
    assert (told.current_status, told.allowed_actions) == (row.status, allowed)


def test_an_order_without_a_site_is_not_submitted(demo: Tenant, technician: User, boss: User) -> None:
    order = in_state(WorkOrder, demo, "DRAFT")
    guarded(technician, order, "SUBMIT", [])
    guarded(boss, order, "SUBMIT", ["CANCEL"])


def test_a_supervisor_does_not_approve_an_own_request(demo: Tenant, boss: User) -> None:
    guarded(boss, in_state(WorkOrder, demo, "SUBMITTED", requested_by=boss), "APPROVE", ["REJECT", "CANCEL"])


def test_an_admin_approves_an_own_request(demo: Tenant, admin: User) -> None:
    order = in_state(WorkOrder, demo, "SUBMITTED", requested_by=admin)
    assert take(order, "APPROVE", admin).status == "APPROVED"


def test_a_supervisor_approves_a_request_of_nobody(demo: Tenant, boss: User) -> None:
    assert take(in_state(WorkOrder, demo, "SUBMITTED"), "APPROVE", boss).status == "APPROVED"


def test_an_order_without_an_assignee_is_not_started(demo: Tenant, boss: User) -> None:
    guarded(boss, in_state(WorkOrder, demo, "APPROVED"), "START", ["CANCEL"])


@pytest.mark.parametrize("status", [status for status, is_open in TASK_STATES.items() if is_open])
def test_an_order_with_an_open_task_is_not_completed(demo: Tenant, technician: User, status: str) -> None:
    order = ready(WorkOrder, demo, "IN_PROGRESS", technician)
    in_state(Task, demo, "COMPLETED", work_order=order)
    in_state(Task, demo, status, work_order=order, assignee=technician)
    guarded(technician, order, "COMPLETE", ["HOLD"])


@pytest.mark.parametrize("status", [status for status, is_open in TASK_STATES.items() if not is_open])
def test_an_order_whose_tasks_are_done_is_completed(demo: Tenant, technician: User, status: str) -> None:
    order = ready(WorkOrder, demo, "IN_PROGRESS", technician)
    in_state(Task, demo, status, work_order=order, assignee=technician)
    in_state(Task, demo, "SCHEDULED")
    in_state(Task, demo, "SCHEDULED", work_order=ready(WorkOrder, demo, "IN_PROGRESS", technician))
    assert take(order, "COMPLETE", technician).status == "COMPLETED"


@pytest.mark.parametrize(("with_task", "allowed"), [(True, ["HOLD"]), (False, ["HOLD", "COMPLETE"])])
def test_a_refusal_of_another_action_tells_whether_the_order_could_be_completed(
    demo: Tenant, technician: User, with_task: bool, allowed: list[str]
) -> None:
    order = ready(WorkOrder, demo, "IN_PROGRESS", technician)
    if with_task:
        in_state(Task, demo, "SCHEDULED", work_order=order)
    guarded(technician, order, "SUBMIT", allowed)


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.ADMIN])
@pytest.mark.parametrize("status", ["PENDING", "REJECTED"])
def test_nobody_approves_their_own_attendance(demo: Tenant, role: Role, status: str) -> None:
    me = factories.user(demo, role)
    allowed = ["REJECT"] if status == "PENDING" else []
    guarded(me, in_state(AttendanceRecord, demo, status, person=me), "APPROVE", allowed)


def test_a_supervisor_rejects_an_own_record(demo: Tenant, boss: User) -> None:
    record = in_state(AttendanceRecord, demo, "PENDING", person=boss)
    assert take(record, "REJECT", boss, COMMENT).status == "REJECTED"


def test_a_record_without_an_end_is_not_locked(demo: Tenant, admin: User) -> None:
    guarded(admin, in_state(AttendanceRecord, demo, "APPROVED"), "LOCK", ["REJECT"])


def test_an_admin_locks_an_own_record_that_has_an_end(demo: Tenant, admin: User) -> None:
    record = in_state(AttendanceRecord, demo, "APPROVED", person=admin, checked_out_at=NOON)
    assert take(record, "LOCK", admin).status == "LOCKED"


# Comments.


@pytest.mark.parametrize("comment", [{}, {"comment": None}, {"comment": ""}, {"comment": " \n\t "}], ids=str)
@pytest.mark.parametrize(("model", "way"), list(commented()))
def test_a_transition_that_needs_a_comment_is_refused_without_one(
    demo: Tenant, admin: User, technician: User, model: Model, way: Row, comment: dict[str, str | None]
) -> None:
    row = ready(model, demo, way.from_states[0], technician)
    answer = refused(admin, f"transition{model.__name__}", **target(row), action=way.action, **comment)
    assert problems(answer) == ["comment"]


@pytest.mark.parametrize("comment", ["Half \ud800 a pair", "A NUL \0", "x" * 10_001], ids=["half", "nul", "long"])
def test_a_comment_that_can_not_be_stored_is_refused(demo: Tenant, admin: User, comment: str) -> None:
    order = ready(WorkOrder, demo, "SUBMITTED", admin)
    for action in ("APPROVE", "REJECT"):
        answer = refused(admin, "transitionWorkOrder", **target(order), action=action, comment=comment)
        assert problems(answer) == ["comment"]


def test_the_longest_comment_is_stored_whole(demo: Tenant, admin: User) -> None:
    order = ready(WorkOrder, demo, "SUBMITTED", admin)
    assert move(admin, order, "REJECT", comment="ø" * 10_000)["status"] == "REJECTED"
    assert entries(order)[-1].comment == "ø" * 10_000


# What an action carries.


def test_assigning_sets_the_assignee_that_the_input_names(demo: Tenant, boss: User, technician: User) -> None:
    task = in_state(Task, demo, "SCHEDULED")
    answer = move(boss, task, "ASSIGN", assigneeId=gid(technician))
    assert (answer["status"], answer["assignee"]["id"], answer["version"]) == ("ASSIGNED", gid(technician), 2)
    assert changes_of(entries(task)[-1]) == {
        "status": ("SCHEDULED", "ASSIGNED"),
        "assignee": (None, technician.pk),
    }


def test_an_assigned_task_is_assigned_to_somebody_else(demo: Tenant, boss: User, technician: User) -> None:
    task = in_state(Task, demo, "ASSIGNED", assignee=boss)
    assert move(boss, task, "ASSIGN", assigneeId=gid(technician))["assignee"]["id"] == gid(technician)
    assert changes_of(entries(task)[-1]) == {"assignee": (boss.pk, technician.pk)}


@pytest.mark.parametrize("given", [{}, {"assigneeId": None}], ids=str)
def test_assigning_without_an_assignee_is_refused(demo: Tenant, boss: User, given: dict[str, None]) -> None:
    task = in_state(Task, demo, "SCHEDULED")
    assert problems(refused(boss, "transitionTask", **target(task), action="ASSIGN", **given)) == ["assigneeId"]


@pytest.mark.parametrize("action", [action for action in rows(Task) if action != "ASSIGN"])
def test_no_other_action_takes_an_assignee(demo: Tenant, boss: User, technician: User, action: str) -> None:
    task = in_state(Task, demo, rows(Task)[action].from_states[-1], assignee=technician)
    given = {"action": action, "comment": COMMENT, "assigneeId": gid(technician)}
    assert problems(refused(boss, "transitionTask", **target(task), **given)) == ["assigneeId"]


@pytest.mark.parametrize("who", ["a viewer", "inactive", "foreign", "nobody", "an order", "garbage", "beyond bigint"])
def test_a_task_is_assigned_to_nobody_who_can_not_do_it(demo: Tenant, rival: Tenant, boss: User, who: str) -> None:
    task = in_state(Task, demo, "SCHEDULED")
    ids: dict[str, Callable[[], str]] = {
        "a viewer": lambda: gid(factories.user(demo, Role.VIEWER)),
        "inactive": lambda: gid(factories.user(demo, is_active=False)),
        "foreign": lambda: gid(factories.user(rival)),
        "nobody": lambda: encode_id("User", 2**62),
        "an order": lambda: encode_id("WorkOrder", boss.pk),
        "garbage": lambda: "garbage",
        "beyond bigint": lambda: encode_id("User", 2**63),
    }
    given = {"action": "ASSIGN", "assigneeId": ids[who]()}
    assert problems(refused(boss, "transitionTask", **target(task), **given)) == ["assigneeId"]


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN])
def test_a_task_is_assigned_to_whoever_can_do_it(demo: Tenant, boss: User, role: Role) -> None:
    worker = factories.user(demo, role)
    assert take(in_state(Task, demo, "SCHEDULED"), "ASSIGN", boss, assignee=worker.pk).assignee_id == worker.pk


# The system.


@pytest.mark.parametrize("status", ["SCHEDULED", "ASSIGNED"])
def test_the_system_marks_a_task_as_missed(demo: Tenant, technician: User, status: str) -> None:
    task = in_state(Task, demo, status, assignee=technician)
    assert take(task, "MISS", SystemActor("close_overdue")).status == "MISSED"
    (_, entry) = entries(task)
    assert (entry.action, entry.actor_id, entry.command, entry.entity_version) == ("MISS", None, "close_overdue", 2)
    assert changes_of(entry) == {"status": (status, "MISSED")}


@pytest.mark.parametrize(
    "status", [status for status in STATES[Task].split() if status not in {"SCHEDULED", "ASSIGNED"}]
)
def test_the_system_misses_no_task_that_was_started(demo: Tenant, technician: User, status: str) -> None:
    task = in_state(Task, demo, status, assignee=technician)
    assert isinstance(refuse(task, "MISS", SystemActor("close_overdue")), TransitionNotAllowedError)


@pytest.mark.parametrize(
    ("model", "action"), [(model, action) for model in STATES for action in rows(model) if action != "MISS"]
)
def test_the_system_takes_no_other_transition(demo: Tenant, technician: User, model: Model, action: str) -> None:
    row = ready(model, demo, rows(model)[action].from_states[0], technician)
    takes = {"assignee": technician.pk} if action == "ASSIGN" else {}
    assert isinstance(refuse(row, action, SystemActor("close_overdue"), COMMENT, **takes), PermissionDeniedError)


# What is no transition of the machine.


def test_an_action_that_the_machine_does_not_know_is_refused(demo: Tenant, admin: User) -> None:
    order = in_state(WorkOrder, demo, "DRAFT")
    assert isinstance(refuse(order, "FIRE", admin), TransitionNotAllowedError)
    document = "mutation($input: TransitionWorkOrderInput!) { transitionWorkOrder(input: $input) { __typename } }"
    with nothing_changes():
        code, _ = refusal(admin, document, input={**target(order), "action": "FIRE"})
    assert code == "BAD_REQUEST"


@pytest.mark.parametrize("model", STATES)
@pytest.mark.parametrize("what", ["foreign", "gone", "another type", "garbage", "beyond bigint"])
def test_what_there_is_not_in_the_tenant_is_not_found(
    demo: Tenant, rival: Tenant, admin: User, model: Any, what: str
) -> None:
    row = in_state(model, rival if what == "foreign" else demo, STATES[model].split()[0])
    ids = {
        "foreign": gid(row),
        "gone": encode_id(model.__name__, row.pk + 10**9),
        "another type": encode_id("Site", row.pk),
        "garbage": "Wörk",
        "beyond bigint": encode_id(model.__name__, 2**63),
    }
    given = {"id": ids[what], "version": 1, "action": rows(model)[next(iter(rows(model)))].action}
    if model is Task:
        given["assigneeId"] = gid(admin)
    answer = refused(admin, f"transition{model.__name__}", **given)
    assert (answer["__typename"], answer["errorCode"]) == ("NotFound", "NOT_FOUND")
    assert answer["message"] == f"There is no {model._meta.verbose_name} with this id."


@pytest.mark.parametrize("model", STATES)
@pytest.mark.parametrize("version", [-1, 0, 2, 2**31 - 1])
def test_a_version_that_never_was_is_a_conflict(demo: Tenant, admin: User, model: Any, version: int) -> None:
    row = in_state(model, demo, STATES[model].split()[0])
    given = {"id": gid(row), "version": version, "action": next(iter(rows(model)))}
    if model is Task:
        given["assigneeId"] = gid(admin)
    answer = refused(admin, f"transition{model.__name__}", **given)
    assert (answer["errorCode"], answer["expectedVersion"], answer["currentVersion"]) == (
        "VERSION_CONFLICT",
        version,
        1,
    )
    assert answer["current"] == {"__typename": model.__name__, "id": gid(row), "version": 1}


def test_a_stale_transition_is_told_what_changed_by_whom_and_when(demo: Tenant, boss: User, technician: User) -> None:
    order = ready(WorkOrder, demo, "SUBMITTED", technician)
    move(boss, order, "APPROVE")
    at = stored(order)["updated_at"]
    answer = refused(boss, "transitionWorkOrder", **target(order), action="APPROVE")
    (change,) = answer["changes"]
    assert datetime.fromisoformat(change.pop("changedAt")) == at
    who = {"id": gid(boss), "name": boss.name}
    assert change == {"field": "status", "before": "SUBMITTED", "after": "APPROVED", "changedBy": who}
    assert (answer["expectedVersion"], answer["currentVersion"], answer["safeToMerge"]) == (1, 2, False)


def test_a_conflict_comes_before_any_judgement_of_a_row_that_the_caller_never_saw(demo: Tenant, boss: User) -> None:
    viewer = factories.user(demo, Role.VIEWER)
    order = ready(WorkOrder, demo, "SUBMITTED", boss)
    answer = refused(viewer, "transitionWorkOrder", id=gid(order), version=7, action="START")
    assert answer["errorCode"] == "VERSION_CONFLICT"


def test_two_transitions_of_one_document_run_one_after_the_other(demo: Tenant, boss: User) -> None:
    order = ready(WorkOrder, demo, "APPROVED", boss)
    first = mutate(boss, "transitionWorkOrder", **target(order), action="START")
    second = mutate(boss, "transitionWorkOrder", id=gid(order), version=first["version"], action="COMPLETE")
    assert (first["status"], second["status"], second["version"]) == ("IN_PROGRESS", "COMPLETED", 3)
