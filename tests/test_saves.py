"""Saving and deleting by the ORM, where the library would let a change slip by."""

from typing import Any

import pytest
from concurrency.exceptions import RecordModifiedError
from django.db import OperationalError, connection, transaction
from django.test import Client

from apps.accounts.models import Tenant, User
from apps.accounts.records import IdentityChangedError, UnversionedSaveError
from apps.accounts.roles import Role
from apps.assets.models import Site
from apps.audit.models import AuditEntry
from apps.lifecycle.idempotency import Request, once
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.factories import NOON
from tests.pages import open_form
from tests.writing import nothing_changes


@pytest.fixture
def order(demo: Tenant) -> WorkOrder:
    return factories.work_order(demo, title="Seal", description="A")


def somebody_else_saves(order: WorkOrder, **columns: Any) -> None:
    row = WorkOrder.unscoped.get(pk=order.pk)
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()


def test_a_version_that_was_read_later_than_the_rest_does_not_vouch_for_it(order: WorkOrder) -> None:
    row = WorkOrder.unscoped.only("title").get(pk=order.pk)
    somebody_else_saves(order, title="Theirs")
    assert row.version == 2
    row.title += "!"
    with nothing_changes(), pytest.raises(UnversionedSaveError):
        row.save()


def test_a_version_that_was_refreshed_alone_does_not_vouch_for_the_rest(order: WorkOrder) -> None:
    row = WorkOrder.unscoped.get(pk=order.pk)
    somebody_else_saves(order, description="B")
    row.refresh_from_db(fields=["version"])
    row.title = "Mine"
    with nothing_changes(), pytest.raises(UnversionedSaveError):
        row.save()
    row.refresh_from_db()
    row.title = "Mine"
    row.save()
    assert WorkOrder.unscoped.values_list("title", "description", "version").get() == ("Mine", "B", 3)


@pytest.mark.parametrize("column", ["serial", "created_at", "tenant", "pk"])
def test_what_says_which_row_it_is_never_changes(order: WorkOrder, rival: Tenant, column: str) -> None:
    other = factories.work_order(rival)
    values = {"serial": 4711, "created_at": NOON, "tenant": rival, "pk": other.pk}
    setattr(order, column, values[column])
    with nothing_changes(), pytest.raises(IdentityChangedError, match="stays as it was read"):
        order.save()


def test_a_row_read_in_part_is_dated_when_it_is_saved(order: WorkOrder) -> None:
    row = WorkOrder.unscoped.only("version", "title").get(pk=order.pk)
    row.title = "Mine"
    row.save()
    after, entry = WorkOrder.unscoped.get(pk=order.pk), AuditEntry.unscoped.latest("pk")
    assert (after.title, after.version, after.updated_at > order.updated_at) == ("Mine", 2, True)
    assert entry.at == after.updated_at


def test_a_copy_tells_all_it_was_created_with(order: WorkOrder) -> None:
    copy = WorkOrder.unscoped.get(pk=order.pk)
    copy.pk, copy.serial, copy._state.adding = None, 4711, True
    copy.save()
    entry = AuditEntry.unscoped.latest("pk")
    told = {change["field"]: change["after"] for change in entry.changes}
    assert (entry.action, entry.entity_id, told["title"]) == ("CREATE", copy.pk, "Seal")


def test_a_stale_row_is_not_deleted(demo: Tenant) -> None:
    stale = factories.site(demo, name="Roof")
    fresh = Site.unscoped.get(pk=stale.pk)
    fresh.name = "Cellar"
    fresh.save()
    with nothing_changes(), pytest.raises(RecordModifiedError), transaction.atomic():
        stale.delete()


def test_a_row_that_is_gone_is_not_deleted_again(demo: Tenant) -> None:
    first = factories.site(demo)
    second = Site.unscoped.get(pk=first.pk)
    first.delete()
    with nothing_changes(), pytest.raises(RecordModifiedError), transaction.atomic():
        second.delete()


@pytest.mark.parametrize("status", ["COMPLETED", "CLOSED", "CANCELLED"])
def test_the_admin_site_puts_no_task_on_a_finished_order(demo: Tenant, status: str) -> None:
    times = {"started_at": NOON, "completed_at": NOON, "closed_at": NOON}
    order, task = factories.work_order(demo, status=status, **times), factories.task(demo)
    admin, page = Client(), f"/admin/tasks/task/{task.pk}/change/"
    admin.force_login(factories.user(demo, Role.ADMIN))
    form = open_form(admin, page) | {"work_order": str(order.pk)}
    with nothing_changes():
        answer = admin.post(page, form)
    assert "Choose a work order that is still to be done" in answer.text


@pytest.mark.parametrize(("role", "active"), [(Role.VIEWER, True), (Role.TECHNICIAN, False)])
def test_the_admin_site_assigns_nobody_who_could_not_do_the_work(
    demo: Tenant, order: WorkOrder, role: Role, active: bool
) -> None:
    person = factories.user(demo, role, is_active=active)
    admin, page = Client(), f"/admin/work_orders/workorder/{order.pk}/change/"
    admin.force_login(factories.user(demo, Role.ADMIN))
    form = open_form(admin, page) | {"assignee": str(person.pk)}
    with nothing_changes():
        answer = admin.post(page, form)
    assert "Choose somebody who can do the work" in answer.text


def failing(times: int, code: str, order: WorkOrder) -> Any:
    """Return work that PostgreSQL itself ends with this error, so often, after it has changed something."""
    tried: list[int] = []

    def work() -> WorkOrder:
        tried.append(1)
        row = WorkOrder.unscoped.get(pk=order.pk)
        row.title = f"Try {len(tried)}"
        row.save()
        if len(tried) <= times:
            with connection.cursor() as cursor:
                cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        return row

    return work


@pytest.mark.parametrize("deadlocks", [1, 2])
def test_work_that_ends_in_a_deadlock_is_tried_again(technician: User, order: WorkOrder, deadlocks: int) -> None:
    work = failing(deadlocks, "40P01", order)
    done = once(Request("edit", {}, "key"), actor=technician, work=work, answer=lambda done: done.outcome)
    assert isinstance(done, WorkOrder)
    assert (done.title, done.version) == (f"Try {deadlocks + 1}", 2)
    assert AuditEntry.unscoped.filter(entity_kind="WorkOrder").count() == 2


@pytest.mark.parametrize(("times", "code"), [(3, "40P01"), (1, "57014")])
def test_deadlocks_without_end_and_other_errors_are_told(
    technician: User, order: WorkOrder, times: int, code: str
) -> None:
    with nothing_changes(), pytest.raises(OperationalError):
        once(Request("edit", {}), actor=technician, work=failing(times, code, order), answer=lambda done: done)
