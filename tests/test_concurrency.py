"""Many at a time, each on a connection of its own: nothing is lost, nothing half done, and nobody waits in a circle."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Barrier, Event, Thread
from typing import Any, Final

import pytest
from concurrency.exceptions import RecordModifiedError
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.assets.models import Asset
from apps.attendance.models import AttendanceRecord
from apps.attendance.presence import check_in, check_out
from apps.audit.models import AuditEntry
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.lifecycle.errors import TransitionNotAllowedError, ValidationFailedError, VersionConflictError
from apps.lifecycle.signals import entities_changed
from apps.lifecycle.transitions import Item, OnError
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.factories import NOON
from tests.graphql import refusal
from tests.writing import entries, in_state, item, mutate, nothing_changes, stored, target

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE: Final = 30.0
"""How many seconds a thread is waited for."""

Work = Callable[[], Any]


@contextmanager
def own_connection(tenant_id: int) -> Iterator[None]:
    """Give the thread a connection of its own, outside the pool, and the scope of a tenant."""
    options = {name: value for name, value in connections.settings["default"]["OPTIONS"].items() if name != "pool"}
    connections["default"] = DatabaseWrapper({**connections.settings["default"], "OPTIONS": options}, "default")
    try:
        with tenant_scope(tenant_id):
            yield
    finally:
        connections["default"].close()


class Call(Thread):
    """A piece of work in a thread, on a connection of its own; it keeps what was returned or raised."""

    def __init__(self, tenant_id: int, work: Work, barrier: Barrier | None = None) -> None:
        super().__init__(daemon=True)
        self._tenant_id, self._work, self._barrier = tenant_id, work, barrier
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        with own_connection(self._tenant_id):
            try:
                connections["default"].ensure_connection()
                if self._barrier:
                    self._barrier.wait(PATIENCE)
                self.outcome = self._work()
            except Exception as error:  # noqa: BLE001 (whatever it is, the test judges it)
                self.outcome = error

    def result(self) -> Any:
        self.join(PATIENCE)
        assert not self.is_alive(), "the thread waits for ever"
        return self.outcome


def at_once(tenant: Tenant, works: Sequence[Work]) -> list[Any]:
    """Do all of it at the same moment; return what each returned or raised, in their order."""
    barrier = Barrier(len(works))
    calls = [Call(tenant.pk, work, barrier) for work in works]
    return [call.result() for call in calls]


@contextmanager
def listening(receiver: Callable[..., None]) -> Iterator[None]:
    """Let a receiver hear of changes, after the audit trail has."""
    entities_changed.connect(receiver, weak=False)
    try:
        yield
    finally:
        entities_changed.disconnect(receiver)


class Pause:
    """A receiver that holds the first writer of a model between its write and its commit."""

    def __init__(self, model: type[Any]) -> None:
        self._model, self.pid = model, 0
        self.reached, self.released = Event(), Event()

    def __call__(self, sender: type[Any], **_: Any) -> None:
        if sender is self._model and not self.reached.is_set():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (self.pid,) = cursor.fetchone()
            self.reached.set()
            assert self.released.wait(PATIENCE)


def until_somebody_waits() -> None:
    """Return when a statement in this database waits for a lock."""
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND pid <> pg_backend_pid()"
    )
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute(asked)
            if cursor.fetchone() == (1,):
                return
        time.sleep(0.01)
    pytest.fail("nobody waits for a lock")


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


# One row, many writers.


def writers(order: WorkOrder, boss: User, way: str, count: int) -> list[Work]:
    """Return writers of one order who have all seen its first version."""
    seen = item(order)
    ways: dict[str, Callable[[int], Any]] = {
        "edit": lambda n: services.edit(WorkOrder, seen, {"title": f"By {n}"}, actor=boss),
        "transition": lambda n: services.transition(WorkOrder, seen, "CANCEL", actor=boss, comment=f"By {n}"),
        "bulk": lambda n: services.transition_many(WorkOrder, [seen], "CANCEL", actor=boss, comment=f"By {n}"),
        "GraphQL": lambda n: mutate(boss, "updateWorkOrder", **target(order), title=f"By {n}"),
    }
    return [partial(ways[way], n) for n in range(count)]


def is_conflict(outcome: Any) -> bool:
    """Tell whether a writer was told that the row is of version 2 now, and that it knows all that happened."""
    if isinstance(outcome, dict):
        return bool(outcome["__typename"] == "VersionConflict" and outcome["currentVersion"] == 2)
    if not isinstance(outcome, VersionConflictError):
        outcome = outcome.results[0].refusal
    return isinstance(outcome, VersionConflictError) and outcome.current_version == 2 and outcome.past.complete


def won(outcome: Any) -> bool:
    """Tell whether a writer went through."""
    if isinstance(outcome, dict):
        return bool(outcome["__typename"] == "WorkOrder" and outcome["version"] == 2)
    return getattr(outcome, "version", None) == 2 or getattr(outcome, "succeeded", None) == 1


@pytest.mark.parametrize("way", ["edit", "transition", "bulk", "GraphQL"])
def test_of_fifty_writers_who_saw_the_same_version_one_wins(demo: Tenant, boss: User, way: str) -> None:
    order = factories.work_order(demo)
    before = stored(order)
    outcomes = at_once(demo, writers(order, boss, way, 50))
    winners = [n for n, outcome in enumerate(outcomes) if won(outcome)]
    assert len(winners) == 1
    assert [n for n, outcome in enumerate(outcomes) if not won(outcome) and is_conflict(outcome)] == [
        n for n in range(50) if n != winners[0]
    ]
    after = stored(order)
    written = {"title": f"By {winners[0]}"} if way in {"edit", "GraphQL"} else {"status": "CANCELLED"}
    assert after == {**before, **written, "version": 2, "updated_at": after["updated_at"]}
    (_, entry) = entries(order)
    assert (entry.entity_version, entry.actor_id) == (2, boss.pk)
    assert entry.comment == ("" if "title" in written else f"By {winners[0]}")


def test_of_ten_who_save_the_same_row_by_the_orm_one_wins(demo: Tenant) -> None:
    order = factories.work_order(demo)
    copies = [WorkOrder.unscoped.get(pk=order.pk) for _ in range(10)]

    def save(n: int) -> None:
        copies[n].title = f"By {n}"
        copies[n].save()

    outcomes = at_once(demo, [partial(save, n) for n in range(10)])
    winners = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert len(winners) == 1
    assert sum(isinstance(outcome, RecordModifiedError) for outcome in outcomes) == 9
    assert (stored(order)["title"], stored(order)["version"]) == (f"By {winners[0]}", 2)
    assert [entry.entity_version for entry in entries(order)] == [1, 2]


def test_of_ten_who_check_the_same_person_out_one_does(demo: Tenant, boss: User) -> None:
    record = factories.attendance_record(demo)
    outcomes = at_once(demo, [lambda: check_out(item(record), {}, actor=boss)] * 10)
    assert sum(isinstance(outcome, AttendanceRecord) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, VersionConflictError) for outcome in outcomes) == 9
    assert stored(record)["version"] == len(entries(record)) == 2


def test_eight_who_merge_different_fields_all_go_through(demo: Tenant, boss: User) -> None:
    order = factories.work_order(demo)
    site = factories.site(demo)
    changes: list[dict[str, Any]] = [
        {"title": "Pump"},
        {"description": "In the cellar"},
        {"priority": "HIGH"},
        {"external_id": "X-1"},
        {"site": site.pk},
        {"assignee": boss.pk},
        {"due_at": NOON},
    ]

    def edit(values: dict[str, Any]) -> WorkOrder:
        merge = services.OnConflict.MERGE
        return services.edit(WorkOrder, item(order), values, actor=boss, on_conflict=merge)

    outcomes = at_once(demo, [partial(edit, values) for values in changes])
    assert [type(outcome) for outcome in outcomes] == [WorkOrder] * len(changes)
    after = stored(order)
    assert (after["title"], after["description"], after["priority"]) == ("Pump", "In the cellar", "HIGH")
    assert (after["external_id"], after["site_id"], after["assignee_id"]) == ("X-1", site.pk, boss.pk)
    assert (after["due_at"], after["version"]) == (NOON, 8)
    assert [entry.entity_version for entry in entries(order)] == list(range(1, 9))


# Many rows, many writers.


@pytest.mark.parametrize("on_error", OnError)
def test_bulks_that_overlap_in_opposite_orders_do_not_wait_in_a_circle(
    demo: Tenant, boss: User, on_error: OnError
) -> None:
    tickets = [in_state(Ticket, demo, "IN_PROGRESS") for _ in range(20)]
    parts = [tickets[:15], tickets[:4:-1], tickets[3:18], tickets[17:2:-1]]
    expected = {"HOLD": "ON_HOLD", "RESUME": "IN_PROGRESS"}
    for action in ["HOLD", "RESUME"] * 3:
        seen = {ticket.pk: stored(ticket)["version"] for ticket in tickets}

        def take(rows: list[Any], how: OnError, action: str = action, seen: dict[int, int] = seen) -> Any:
            items = [Item(row.pk, seen[row.pk]) for row in rows]
            return services.transition_many(Ticket, items, action, actor=boss, comment="In turn", on_error=how)

        reports = at_once(demo, [partial(take, part, on_error) for part in parts])
        assert [type(report).__name__ for report in reports] == ["Report"] * 4, reports
        done = [result.item.key for report in reports for result in report.results if result.done]
        assert len(done) == len(set(done))
        if on_error is OnError.SKIP_FAILED:
            assert sorted(done) == [ticket.pk for ticket in tickets]
        else:
            assert sum(report.succeeded == 15 for report in reports) == 1
            with tenant_scope(demo.pk):
                take([ticket for ticket in tickets if ticket.pk not in done], OnError.REJECT_ALL)
        for ticket in tickets:
            row = stored(ticket)
            assert (row["version"], row["status"]) == (seen[ticket.pk] + 1, expected[action])
    for ticket in tickets:
        trail = entries(ticket)
        assert [entry.entity_version for entry in trail] == list(range(1, 8))
        assert [entry.action for entry in trail[1:]] == ["HOLD", "RESUME"] * 3


def test_bulks_and_single_edits_of_the_same_rows_do_not_wait_in_a_circle(demo: Tenant, boss: User) -> None:
    orders = [in_state(WorkOrder, demo, "IN_PROGRESS") for _ in range(10)]
    tasks = [factories.task(demo) for _ in range(10)]
    items = [item(order) for order in orders]
    skip: dict[str, Any] = {"actor": boss, "on_error": OnError.SKIP_FAILED}
    complete = [partial(services.transition_many, WorkOrder, each, "COMPLETE", **skip) for each in (items, items[::-1])]
    join = [
        partial(services.edit, Task, item(task), {"work_order": order.pk}, actor=boss)
        for task, order in zip(tasks, orders[::-1], strict=True)
    ]
    outcomes = at_once(demo, [*complete, *join])
    assert [type(outcome).__name__ for outcome in outcomes[:2]] == ["Report"] * 2, outcomes
    assert {type(outcome).__name__ for outcome in outcomes[2:]} <= {"Task", "ValidationFailedError"}
    completed = {order.pk for order in orders if stored(order)["status"] == "COMPLETED"}
    assert sum(report.succeeded for report in outcomes[:2]) == len(completed)
    assert completed.isdisjoint({stored(task)["work_order_id"] for task in tasks})
    for row in (*orders, *tasks):
        assert len(entries(row)) == stored(row)["version"]


# What fails in the middle leaves nothing.


def killed(pause: Pause) -> None:
    """End the connection of the writer that is held."""
    assert pause.reached.wait(PATIENCE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pause.pid])
        assert cursor.fetchone() == (True,)
    pause.released.set()


@pytest.mark.parametrize("way", ["create", "edit", "transition", "bulk", "check_in", "save"])
def test_a_connection_that_dies_before_the_commit_leaves_neither_change_nor_entry(
    demo: Tenant, boss: User, way: str
) -> None:
    order, other, site = factories.work_order(demo), factories.work_order(demo), factories.site(demo)

    def both() -> None:
        order.title = "Save"
        order.save()
        services.edit(WorkOrder, item(other), {"title": "Service"}, actor=boss)

    ways: dict[str, Work] = {
        "create": lambda: services.create(WorkOrder, {"title": "New"}, actor=boss),
        "edit": lambda: services.edit(WorkOrder, item(order), {"title": "New"}, actor=boss),
        "transition": lambda: services.transition(WorkOrder, item(order), "CANCEL", actor=boss, comment="Why"),
        "bulk": lambda: services.transition_many(
            WorkOrder, [item(order), item(other)], "CANCEL", actor=boss, comment="Why"
        ),
        "check_in": lambda: check_in({"site": site.pk}, (None, None), actor=boss),
        "save": transaction.atomic(both),
    }
    pause = Pause(AttendanceRecord if way == "check_in" else WorkOrder)
    with listening(pause), nothing_changes():
        call = Call(demo.pk, ways[way])
        killed(pause)
        assert isinstance(call.result(), OperationalError), call.outcome


class LateError(RuntimeError):
    """Raised by a receiver after the audit trail has recorded."""


def fail(**_: Any) -> None:
    raise LateError


def test_a_writer_that_fails_after_its_change_leaves_neither_change_nor_entry(demo: Tenant, boss: User) -> None:
    order, other, site = factories.work_order(demo), factories.work_order(demo), factories.site(demo)
    record = factories.attendance_record(demo)
    items = [item(order), item(other)]
    attempts: list[Work] = [
        lambda: services.create(WorkOrder, {"title": "New"}, actor=boss),
        lambda: services.create(Ticket, {"subject": "New"}, actor=boss),
        lambda: services.edit(WorkOrder, item(order), {"title": "New"}, actor=boss),
        lambda: services.transition(WorkOrder, item(order), "CANCEL", actor=boss, comment="Why"),
        lambda: services.transition_many(WorkOrder, items, "CANCEL", actor=boss, comment="Why"),
        lambda: check_in({"site": site.pk}, (None, None), actor=boss),
        lambda: check_out(item(record), {}, actor=boss),
    ]
    with listening(fail), tenant_scope(demo.pk):
        for attempt in attempts:
            with nothing_changes(), pytest.raises(LateError):
                attempt()
    with tenant_scope(demo.pk):
        assert services.create(WorkOrder, {"title": "Next"}, actor=boss).serial == 3


def test_a_mutation_that_fails_after_its_change_is_an_internal_error_and_leaves_nothing(
    demo: Tenant, boss: User
) -> None:
    order = factories.work_order(demo)
    document = "mutation($input: UpdateWorkOrderInput!) { updateWorkOrder(input: $input) { __typename } }"
    given = {**target(order), "title": "New", "idempotencyKey": "a-key"}
    with listening(fail), nothing_changes():
        code, message = refusal(boss, document, input=given)
    assert code == "INTERNAL"
    assert "Late" not in message
    assert mutate(boss, "updateWorkOrder", **given)["version"] == 2


# Rules over several rows.


@pytest.mark.parametrize("joins", ["create", "edit"])
def test_an_order_waits_for_the_task_that_is_being_added_and_is_not_completed(
    demo: Tenant, boss: User, joins: str
) -> None:
    order, task = in_state(WorkOrder, demo, "IN_PROGRESS"), factories.task(demo)
    ways: dict[str, Work] = {
        "create": lambda: services.create(Task, {"title": "Drain", "work_order": order.pk}, actor=boss),
        "edit": lambda: services.edit(Task, item(task), {"work_order": order.pk}, actor=boss),
    }
    pause = Pause(Task)
    with listening(pause):
        joining = Call(demo.pk, ways[joins])
        assert pause.reached.wait(PATIENCE)
        completing = Call(demo.pk, lambda: services.transition(WorkOrder, item(order), "COMPLETE", actor=boss))
        until_somebody_waits()
        pause.released.set()
        assert isinstance(joining.result(), Task)
        assert isinstance(completing.result(), TransitionNotAllowedError)
    assert (stored(order)["status"], stored(order)["version"], len(entries(order))) == ("IN_PROGRESS", 1, 1)


@pytest.mark.parametrize("joins", ["create", "edit"])
def test_a_task_waits_for_the_order_that_is_being_completed_and_is_not_added(
    demo: Tenant, boss: User, joins: str
) -> None:
    order, task = in_state(WorkOrder, demo, "IN_PROGRESS"), factories.task(demo)
    ways: dict[str, Work] = {
        "create": lambda: services.create(Task, {"title": "Drain", "work_order": order.pk}, actor=boss),
        "edit": lambda: services.edit(Task, item(task), {"work_order": order.pk}, actor=boss),
    }
    pause = Pause(WorkOrder)
    with listening(pause):
        completing = Call(demo.pk, lambda: services.transition(WorkOrder, item(order), "COMPLETE", actor=boss))
        assert pause.reached.wait(PATIENCE)
        joining = Call(demo.pk, ways[joins])
        until_somebody_waits()
        pause.released.set()
        assert isinstance(completing.result(), WorkOrder)
        told = joining.result()
    assert isinstance(told, ValidationFailedError)
    assert [problem.path for problem in told.problems] == ["work_order_id"]
    assert (stored(order)["status"], Task.unscoped.count(), stored(task)["version"]) == ("COMPLETED", 1, 1)


def test_no_order_is_completed_with_an_open_task_however_they_meet(demo: Tenant, boss: User) -> None:
    orders = [in_state(WorkOrder, demo, "IN_PROGRESS") for _ in range(12)]
    works: list[Work] = []
    for order in orders:
        works += [
            partial(services.transition, WorkOrder, item(order), "COMPLETE", actor=boss),
            partial(services.create, Task, {"title": "Drain", "work_order": order.pk}, actor=boss),
        ]
    outcomes = at_once(demo, works)
    for place, order in enumerate(orders):
        completed, created = outcomes[2 * place : 2 * place + 2]
        assert (type(completed), type(created)) in {
            (WorkOrder, ValidationFailedError),
            (TransitionNotAllowedError, Task),
        }, (completed, created)
        done = isinstance(completed, WorkOrder)
        assert stored(order)["status"] == ("COMPLETED" if done else "IN_PROGRESS")
        assert Task.unscoped.filter(work_order=order).count() == (0 if done else 1)


def test_two_assets_do_not_become_parts_of_each_other(demo: Tenant, boss: User) -> None:
    for _ in range(5):
        one, two = factories.asset(demo), factories.asset(demo)
        edits = [
            partial(services.edit, Asset, item(part), {"parent": whole.pk}, actor=boss)
            for part, whole in ((one, two), (two, one))
        ]
        outcomes = at_once(demo, edits)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Asset", "ValidationFailedError"], outcomes
        assert [stored(one)["parent_id"], stored(two)["parent_id"]].count(None) == 1


# Numbers.


def test_eight_who_create_orders_leave_neither_gap_nor_double(demo: Tenant, rival: Tenant, boss: User) -> None:
    factories.work_order(rival)

    def create(n: int) -> list[str]:
        numbers = []
        for round_ in range(10):
            if round_ % 3 == 0:
                with pytest.raises(ValidationFailedError):
                    services.create(WorkOrder, {"title": " "}, actor=boss)
            numbers.append(services.create(WorkOrder, {"title": f"{n}.{round_}"}, actor=boss).number)
        return numbers

    outcomes = at_once(demo, [partial(create, n) for n in range(8)])
    assert [type(outcome) for outcome in outcomes] == [list] * 8, outcomes
    numbers = sorted(number for outcome in outcomes for number in outcome)
    assert numbers == [f"WO-{serial:06d}" for serial in range(1, 81)]
    assert all(outcome == sorted(outcome) for outcome in outcomes)


def test_of_eight_who_use_the_same_external_id_one_does(demo: Tenant, boss: User) -> None:
    values = {"title": "Seal", "external_id": "X-1"}
    outcomes = at_once(demo, [lambda: services.create(WorkOrder, values, actor=boss)] * 8)
    assert sum(isinstance(outcome, WorkOrder) for outcome in outcomes) == 1
    refused = [outcome for outcome in outcomes if isinstance(outcome, ValidationFailedError)]
    assert [[problem.path for problem in each.problems] for each in refused] == [["external_id"]] * 7
    assert len(entries(WorkOrder.unscoped.get())) == 1
    assert AuditEntry.unscoped.filter(entity_kind="WorkOrder").count() == 1
