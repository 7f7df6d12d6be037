"""Many entities at a time: all or the good ones, in the input's order, by a number of statements that does not grow."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.helpdesk.models import Ticket
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.reads.global_id import encode_id
from tests import factories
from tests.factories import NOON
from tests.machines import Model
from tests.writing import (
    bulk,
    changes_of,
    entries,
    everything,
    gid,
    in_state,
    many,
    move,
    nothing_changes,
    problems,
    stored,
    target,
)


class Way(NamedTuple):
    """A transition to try, a state that it does not start from, and one more that it does."""

    action: str
    start: str
    end: str
    wrong: str
    comment: str | None = None


WAYS: Final[dict[Model, Way]] = {
    WorkOrder: Way("REJECT", "SUBMITTED", "REJECTED", "DRAFT", "Too dear"),
    Task: Way("START", "ASSIGNED", "IN_PROGRESS", "SCHEDULED"),
    Ticket: Way("OPEN", "NEW", "OPEN", "RESOLVED"),
    AttendanceRecord: Way("APPROVE", "PENDING", "APPROVED", "APPROVED"),
}
EACH: Final = pytest.mark.parametrize("model", WAYS)


@pytest.fixture
def make(demo: Tenant, technician: User) -> Callable[..., Any]:
    """Return a function that makes a row in a state."""

    def made(model: Model, status: str, **fields: Any) -> Any:
        person = "person" if model is AttendanceRecord else "assignee"
        return in_state(model, demo, status, **{person: technician, **fields})

    return made


def run(boss: User, model: Model, items: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
    """Take many through the model's way and return the report."""
    way = WAYS[model]
    report = bulk(boss, model, items, way.action, comment=way.comment, **given)
    assert report["__typename"] == "BulkTransitionReport", report
    assert report["requested"] == len(report["results"]) == len(items)
    assert [result["id"] for result in report["results"]] == [each["id"] for each in items]
    return report


def done(row: Any, version: int, status: str) -> dict[str, Any]:
    return {"id": gid(row), "ok": True, "status": status, "version": version, "error": None}


def held(row: Any, status: str) -> dict[str, Any]:
    return {"id": gid(row), "ok": False, "status": status, "version": row.version, "error": None}


def codes(report: dict[str, Any]) -> list[str | None]:
    return [result["error"] and result["error"]["errorCode"] for result in report["results"]]


@EACH
def test_a_bulk_takes_all_through_and_ties_their_entries_together(
    model: Model, make: Callable[..., Any], boss: User
) -> None:
    way = WAYS[model]
    rows = [make(model, way.start) for _ in range(3)]
    bystander = make(model, way.start)
    before = [stored(row) for row in (*rows, bystander)]
    report = run(boss, model, [target(row) for row in rows])
    assert (report["succeeded"], report["failed"], report["dryRun"]) == (3, 0, False)
    assert report["results"] == [done(row, 2, way.end) for row in rows]
    after = [stored(row) for row in (*rows, bystander)]
    at = after[0]["updated_at"]
    changed = {"status": way.end, "version": 2, "updated_at": at}
    assert after == [*({**row, **changed} for row in before[:3]), before[3]]
    for row in rows:
        (_, entry) = entries(row)
        assert (entry.action, entry.entity_version, entry.actor_id, entry.at) == (way.action, 2, boss.pk, at)
        assert (entry.comment, entry.operation_id) == (way.comment or "", UUID(report["operationId"]))
        assert changes_of(entry) == {"status": (way.start, way.end)}
    assert AuditEntry.unscoped.filter(operation_id=report["operationId"]).count() == 3


@EACH
def test_with_reject_all_one_failure_changes_nothing(model: Model, make: Callable[..., Any], boss: User) -> None:
    way = WAYS[model]
    first, wrong, last = make(model, way.start), make(model, way.wrong), make(model, way.start)
    for given in ({}, {"onError": "REJECT_ALL"}):
        with nothing_changes():
            report = run(boss, model, [target(first), target(wrong), target(last)], **given)
        assert (report["succeeded"], report["failed"]) == (0, 1)
        assert [report["results"][0], report["results"][2]] == [held(first, way.start), held(last, way.start)]
        told = report["results"][1]
        assert (told["ok"], told["status"], told["version"]) == (False, way.wrong, 1)
        assert told["error"]["__typename"] == "TransitionNotAllowed"
        assert told["error"]["currentStatus"] == way.wrong
        assert way.action not in told["error"]["allowedActions"]
        assert told["error"]["allowedActions"] != []


@EACH
def test_with_skip_failed_the_good_ones_go_through(model: Model, make: Callable[..., Any], boss: User) -> None:
    way = WAYS[model]
    first, wrong, last = make(model, way.start), make(model, way.wrong), make(model, way.start)
    before, trail = stored(wrong), len(entries(wrong))
    items = [target(first), target(wrong), {"id": "nonsense", "version": 1}, target(last)]
    report = run(boss, model, items, onError="SKIP_FAILED")
    assert (report["succeeded"], report["failed"]) == (2, 2)
    assert codes(report) == [None, "TRANSITION_NOT_ALLOWED", "NOT_FOUND", None]
    assert [report["results"][0], report["results"][3]] == [done(first, 2, way.end), done(last, 2, way.end)]
    assert (stored(wrong), len(entries(wrong))) == (before, trail)
    assert [(stored(row)["status"], stored(row)["version"]) for row in (first, last)] == [(way.end, 2)] * 2
    assert AuditEntry.unscoped.filter(operation_id=report["operationId"]).count() == 2


@EACH
def test_with_skip_failed_and_nothing_good_nothing_changes(model: Model, make: Callable[..., Any], boss: User) -> None:
    wrong = make(model, WAYS[model].wrong)
    with nothing_changes():
        report = run(boss, model, [target(wrong)], onError="SKIP_FAILED")
    assert (report["succeeded"], report["failed"]) == (0, 1)


@EACH
def test_a_dry_run_reports_what_would_be_and_changes_nothing(
    model: Model, make: Callable[..., Any], boss: User
) -> None:
    way = WAYS[model]
    first, wrong = make(model, way.start), make(model, way.wrong)
    with nothing_changes():
        good = run(boss, model, [target(first)], dryRun=True)
        skipping = run(boss, model, [target(wrong), target(first)], dryRun=True, onError="SKIP_FAILED")
        rejecting = run(boss, model, [target(wrong), target(first)], dryRun=True)
    assert [(report["dryRun"], report["succeeded"], report["failed"]) for report in (good, skipping, rejecting)] == [
        (True, 1, 0),
        (True, 1, 1),
        (True, 0, 1),
    ]
    would_be = {"id": gid(first), "ok": True, "status": way.start, "version": 1, "error": None}
    assert (good["results"], skipping["results"][1]) == ([would_be], would_be)
    assert rejecting["results"][1] == held(first, way.start)
    assert run(boss, model, [target(first)])["succeeded"] == 1


@EACH
def test_the_results_come_in_the_order_of_the_input(model: Model, make: Callable[..., Any], boss: User) -> None:
    way = WAYS[model]
    rows = [make(model, way.start if place % 3 else way.wrong) for place in range(9)]
    shuffled = [rows[place] for place in (4, 8, 0, 7, 3, 1, 6, 2, 5)]
    report = run(boss, model, [target(row) for row in shuffled], onError="SKIP_FAILED")
    expected = [None if row.status == way.start else "TRANSITION_NOT_ALLOWED" for row in shuffled]
    assert codes(report) == expected
    assert [result["status"] for result in report["results"]] == [stored(row)["status"] for row in shuffled]


# What there is wrong with the input itself.


@EACH
@pytest.mark.parametrize("count", [0, 1001])
def test_no_items_and_too_many_are_refused(model: Model, boss: User, count: int) -> None:
    way = WAYS[model]
    items = [{"id": encode_id(model.__name__, key + 1), "version": 1} for key in range(count)]
    with nothing_changes():
        answer = bulk(boss, model, items, way.action, comment=way.comment)
    assert problems(answer) == ["items"]


@EACH
def test_a_thousand_items_go_through(model: Model, demo: Tenant, boss: User, technician: User) -> None:
    way = WAYS[model]
    person = {} if model is AttendanceRecord else {"assignee": technician}
    rows = many(model, demo, 1000, status=way.start, **person)
    report = run(boss, model, [target(row) for row in reversed(rows)])
    assert (report["succeeded"], report["failed"]) == (1000, 0)
    written = models.QuerySet[Any](model).filter(pk__in=[row.pk for row in rows], status=way.end, version=2)
    assert written.count() == 1000
    assert AuditEntry.unscoped.filter(operation_id=report["operationId"]).count() == 1000


@EACH
def test_an_item_that_comes_twice_is_refused(model: Model, make: Callable[..., Any], boss: User) -> None:
    way = WAYS[model]
    first, second = make(model, way.start), make(model, way.start)
    other_spelling = {"id": b64encode(f"{model.__name__}:0{second.pk}".encode()).decode(), "version": 1}
    items = [target(first), target(second), {**target(first), "version": 2}, other_spelling, target(first)]
    with nothing_changes():
        answer = bulk(boss, model, items, way.action, comment=way.comment, onError="SKIP_FAILED")
    assert problems(answer) == ["items.2.id", "items.3.id", "items.4.id"]


@pytest.mark.parametrize("comment", [{}, {"comment": " "}], ids=str)
def test_a_bulk_without_its_comment_is_refused_whatever_its_items(
    make: Callable[..., Any], boss: User, comment: dict[str, str]
) -> None:
    order = make(WorkOrder, "SUBMITTED")
    with nothing_changes():
        answer = bulk(boss, WorkOrder, [target(order)], "REJECT", onError="SKIP_FAILED", **comment)
    assert problems(answer) == ["comment"]


def test_tasks_are_assigned_together(make: Callable[..., Any], boss: User, technician: User) -> None:
    tasks = [make(Task, "SCHEDULED", assignee=None), make(Task, "ASSIGNED", assignee=boss), make(Task, "ASSIGNED")]
    items = [target(task) for task in tasks]
    inactive = gid(factories.user(technician.tenant, is_active=False))
    with nothing_changes():
        assert problems(bulk(boss, Task, items, "ASSIGN")) == ["assigneeId"]
        assert problems(bulk(boss, Task, items, "ASSIGN", assigneeId=inactive)) == ["assigneeId"]
    report = bulk(boss, Task, items, "ASSIGN", assigneeId=gid(technician))
    assert [result["status"] for result in report["results"]] == ["ASSIGNED"] * 3
    assert {stored(task)["assignee_id"] for task in tasks} == {technician.pk}
    assert [changes_of(entries(task)[-1]) for task in tasks] == [
        {"status": ("SCHEDULED", "ASSIGNED"), "assignee": (None, technician.pk)},
        {"assignee": (boss.pk, technician.pk)},
        {},
    ]


def test_each_row_keeps_what_only_others_set(make: Callable[..., Any], demo: Tenant, boss: User) -> None:
    mine = factories.user(demo)
    tickets = [make(Ticket, "OPEN", assignee=None), make(Ticket, "OPEN", assignee=mine)]
    bulk(boss, Ticket, [target(ticket) for ticket in tickets], "START")
    assert [stored(ticket)["assignee_id"] for ticket in tickets] == [boss.pk, mine.pk]
    orders = [make(WorkOrder, "APPROVED"), make(WorkOrder, "APPROVED", started_at=NOON)]
    bulk(boss, WorkOrder, [target(order) for order in orders], "START")
    first, second = map(stored, orders)
    assert (first["started_at"], second["started_at"]) == (first["updated_at"], NOON)


# What there is wrong with single items.


@EACH
def test_ids_that_name_nothing_of_the_tenant_are_not_found_each_by_itself(
    model: Model, make: Callable[..., Any], rival: Tenant, boss: User
) -> None:
    way = WAYS[model]
    good, foreign = make(model, way.start), in_state(model, rival, way.wrong)
    other = next(kind for kind in WAYS if kind is not model)
    ids = [
        "",
        "garbage",
        "%%%",
        b64encode(b"WorkOrder:").decode(),
        encode_id(other.__name__, good.pk),
        encode_id("User", boss.pk),
        encode_id(model.__name__, 0),
        encode_id(model.__name__, 2**63),
        encode_id(model.__name__, 2**62),
        gid(foreign),
    ]
    before, trail = stored(foreign), len(entries(foreign))
    items = [*({"id": each, "version": 1} for each in ids), target(good)]
    with nothing_changes():
        report = run(boss, model, items)
    assert codes(report) == ["NOT_FOUND"] * len(ids) + [None]
    assert (report["succeeded"], report["failed"]) == (0, len(ids))
    assert report["results"][-1] == held(good, way.start)
    for result in report["results"][:-1]:
        assert (result["ok"], result["status"], result["version"]) == (False, None, None)
        assert result["error"]["message"] == f"There is no {model._meta.verbose_name} with this id."
    assert run(boss, model, items, onError="SKIP_FAILED")["succeeded"] == 1
    assert (stored(foreign), len(entries(foreign))) == (before, trail)


@EACH
def test_conflicts_tell_what_changed_for_each_item(
    model: Model, make: Callable[..., Any], boss: User, technician: User
) -> None:
    way = WAYS[model]
    moved, never, good = make(model, way.start), make(model, way.start), make(model, way.start)
    move(boss, moved, way.action, comment=way.comment)
    items = [target(moved), {**target(never), "version": 9}, target(good)]
    with nothing_changes():
        report = run(boss, model, items)
    assert codes(report) == ["VERSION_CONFLICT", "VERSION_CONFLICT", None]
    told, unknown = (result["error"] for result in report["results"][:2])
    (change,) = told.pop("changes")
    assert change.pop("changedAt") is not None
    who = {"id": gid(boss), "name": boss.name}
    assert change == {"field": "status", "before": way.start, "after": way.end, "changedBy": who}
    assert (told["expectedVersion"], told["currentVersion"], told["safeToMerge"]) == (1, 2, False)
    assert told["current"] == {"__typename": model.__name__, "id": gid(moved), "version": 2}
    assert (unknown["expectedVersion"], unknown["currentVersion"], unknown["changes"]) == (9, 1, [])
    assert unknown["current"] == {"__typename": model.__name__, "id": gid(never), "version": 1}


@EACH
def test_a_viewer_is_refused_item_by_item(model: Model, make: Callable[..., Any], demo: Tenant) -> None:
    way, viewer = WAYS[model], factories.user(demo, Role.VIEWER)
    rows = [make(model, way.start), make(model, way.wrong)]
    for on_error in ("REJECT_ALL", "SKIP_FAILED"):
        with nothing_changes():
            report = run(viewer, model, [target(row) for row in rows], onError=on_error)
        assert codes(report) == ["PERMISSION_DENIED", "TRANSITION_NOT_ALLOWED"]
        assert report["results"][1]["error"]["allowedActions"] == []
        assert report["failed"] == 2


def test_a_technician_takes_through_only_what_is_assigned_to_them(
    make: Callable[..., Any], demo: Tenant, technician: User
) -> None:
    own, others = make(Task, "ASSIGNED"), make(Task, "ASSIGNED", assignee=factories.user(demo))
    report = run(technician, Task, [target(others), target(own)], onError="SKIP_FAILED")
    assert codes(report) == ["PERMISSION_DENIED", None]
    assert (stored(others)["version"], stored(own)["version"]) == (1, 2)


def test_no_user_marks_tasks_as_missed(make: Callable[..., Any], demo: Tenant) -> None:
    task, admin = make(Task, "ASSIGNED"), factories.user(demo, Role.ADMIN)
    with nothing_changes():
        report = bulk(admin, Task, [target(task)], "MISS", onError="SKIP_FAILED")
    assert codes(report) == ["PERMISSION_DENIED"]


def test_orders_with_open_tasks_are_held_back_by_their_own_tasks_only(make: Callable[..., Any], boss: User) -> None:
    busy, free, empty = (make(WorkOrder, "IN_PROGRESS") for _ in range(3))
    make(Task, "ASSIGNED", work_order=busy)
    make(Task, "COMPLETED", work_order=free)
    report = bulk(boss, WorkOrder, [target(each) for each in (empty, busy, free)], "COMPLETE", onError="SKIP_FAILED")
    assert codes(report) == [None, "TRANSITION_NOT_ALLOWED", None]
    told = report["results"][1]["error"]
    assert (told["currentStatus"], told["allowedActions"]) == ("IN_PROGRESS", ["HOLD"])


@EACH
def test_a_single_transition_has_no_operation_id(model: Model, make: Callable[..., Any], boss: User) -> None:
    way = WAYS[model]
    row = make(model, way.start)
    move(boss, row, way.action, comment=way.comment)
    assert [entry.operation_id for entry in entries(row)] == [None, None]


def test_two_bulks_have_two_operation_ids(make: Callable[..., Any], boss: User) -> None:
    reports = [run(boss, Ticket, [target(make(Ticket, "NEW"))]) for _ in range(2)]
    assert len({report["operationId"] for report in reports}) == 2


# How many statements it takes.

SIZES: Final = (2, 20, 200)


def statements_of(work: Callable[[], dict[str, Any]], failed: int, succeeded: int) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        report = work()
    assert (report["failed"], report["succeeded"]) == (failed, succeeded)
    return [query["sql"] for query in captured.captured_queries]


def same_for_all(counts: dict[int, int]) -> int:
    (count,) = set(counts.values())
    return count


@EACH
@pytest.mark.parametrize("dry", [False, True])
def test_a_bulk_takes_as_many_statements_for_two_as_for_two_hundred(
    model: Model, demo: Tenant, boss: User, technician: User, dry: bool
) -> None:
    way, counts = WAYS[model], {}
    person = {} if model is AttendanceRecord else {"assignee": technician}
    for size in SIZES:
        items = [target(row) for row in many(model, demo, size, status=way.start, **person)]
        counts[size] = len(statements_of(lambda: run(boss, model, items, dryRun=dry), 0, size))  # noqa: B023
    # A savepoint and its release; lock; and if it is done, write and record.
    assert same_for_all(counts) == (3 if dry else 5)


@EACH
def test_conflicts_take_as_many_statements_for_two_as_for_two_hundred(
    model: Model, demo: Tenant, boss: User, technician: User
) -> None:
    way, counts = WAYS[model], {}
    person = {} if model is AttendanceRecord else {"assignee": technician}
    for size in SIZES:
        rows = many(model, demo, size, status=way.start, **person)
        run(boss, model, [target(row) for row in rows])
        items = [target(row) for row in (*rows, *many(model, demo, size, status=way.start, **person))]
        counts[size] = len(
            statements_of(lambda: run(boss, model, items, onError="SKIP_FAILED"), size, size)  # noqa: B023
        )
    # Besides: the trail; and for the answer, who changed them, and what they are now.
    assert same_for_all(counts) == 8


def test_refused_orders_take_as_many_statements_for_two_as_for_two_hundred(demo: Tenant, boss: User) -> None:
    counts = {}
    for size in SIZES:
        items = [target(row) for row in many(WorkOrder, demo, size, status="DRAFT")]
        counts[size] = len(statements_of(lambda: run(boss, WorkOrder, items), size, 0))  # noqa: B023
    # Besides savepoint and lock: whether tasks are open, which tells the allowed actions.
    assert same_for_all(counts) == 4


def test_completing_takes_as_many_statements_for_two_as_for_two_hundred(demo: Tenant, boss: User) -> None:
    counts = {}
    for size in SIZES:
        orders = many(WorkOrder, demo, 2 * size, status="IN_PROGRESS", started_at=NOON, assignee=boss)
        for order in orders[:size]:
            many(Task, demo, 1, work_order=order)
        items = [target(row) for row in orders]

        def work(items: list[dict[str, Any]] = items) -> dict[str, Any]:
            return bulk(boss, WorkOrder, items, "COMPLETE", onError="SKIP_FAILED")

        counts[size] = len(statements_of(work, size, size))
    # Besides savepoint and lock: how many tasks are open, write, record.
    assert same_for_all(counts) == 6


def test_the_trail_is_read_once_for_many_conflicts(demo: Tenant, boss: User) -> None:
    rows = many(Ticket, demo, 50, status="NEW")
    items = [target(row) for row in rows]
    run(boss, Ticket, items)
    before = everything()
    taken = statements_of(lambda: run(boss, Ticket, items), 50, 0)
    assert everything() == before
    assert len([sql for sql in taken if "audit_auditentry" in sql]) == 1
