"""Nothing changes behind the services' back: queries that write are refused, and saves check what they write over."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from concurrency.exceptions import RecordModifiedError
from django.apps import apps
from django.db import DatabaseError, models, transaction
from django.utils import timezone

from apps.accounts.guarded import UnrecordedWriteError
from apps.accounts.models import ApiToken, Tenant, User
from apps.accounts.records import UnversionedSaveError, Versioned
from apps.accounts.tenancy import all_tenants, tenant_scope
from apps.accounts.tokens import issue_token
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.lifecycle.errors import VersionConflictError
from apps.lifecycle.idempotency import Request, once
from apps.lifecycle.models import StatusChangedError
from apps.search.models import Synonym
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.writing import TEXTS, changes_of, entries, item, nothing_changes, stored

Kind = type[Versioned]

MAKE: Final[dict[Kind, Callable[[Tenant], Any]]] = {
    Tenant: lambda owner: owner,
    User: factories.user,
    ApiToken: lambda owner: issue_token(user=factories.user(owner))[1],
    Site: factories.site,
    Asset: factories.asset,
    WorkOrder: factories.work_order,
    Task: factories.task,
    Ticket: factories.ticket,
    AttendanceRecord: factories.attendance_record,
    Synonym: factories.synonym,
}
KINDS: Final = pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.__name__)
MANAGERS: Final = pytest.mark.parametrize("manager", ["objects", "unscoped", "_base_manager", "_default_manager"])
WRITES: Final[dict[str, Callable[[Any, Any, str], object]]] = {
    "update": lambda rows, _row, text: rows.update(**{text: "Behind"}),
    "bulk_update": lambda rows, row, text: rows.bulk_update([row], [text]),
    "bulk_create": lambda rows, row, _text: rows.bulk_create([row]),
    "delete": lambda rows, _row, _text: rows.all().delete(),
}


@pytest.fixture
def order(demo: Tenant) -> WorkOrder:
    return factories.work_order(demo, title="Seal", description="On the roof")


def again(row: Any) -> Any:
    """Read a row anew."""
    return type(row).unscoped.get(pk=row.pk)


def test_these_are_all_the_records() -> None:
    assert {kind for kind in apps.get_models() if issubclass(kind, Versioned)} == set(TEXTS)


# Queries that write.


@KINDS
@MANAGERS
@pytest.mark.parametrize("write", WRITES)
def test_a_query_writes_nothing(demo: Tenant, kind: Any, manager: str, write: str) -> None:
    row = MAKE[kind](demo)
    rows = getattr(kind, manager)
    with all_tenants(), nothing_changes(), pytest.raises(UnrecordedWriteError) as caught:
        WRITES[write](rows, row, TEXTS[kind])
    message = str(caught.value)
    assert message.startswith(f"{kind.__name__} rows change one by one by `save()` or `delete()`")
    assert f"`{write}()` on a query" in message
    for service in ("apps.lifecycle.services", "create", "edit", "transition", "transition_many"):
        assert service in message


@pytest.mark.parametrize(
    "rows",
    [
        lambda: WorkOrder.unscoped.filter(title="Seal"),
        lambda: WorkOrder.unscoped.select_for_update().filter(title="Seal"),
        lambda: WorkOrder.unscoped.order_by("pk").reverse(),
        lambda: WorkOrder.unscoped.all() | WorkOrder.unscoped.none(),
        lambda: WorkOrder.unscoped.using("default"),
        lambda: WorkOrder.unscoped.exclude(title="Pump").select_related("site"),
    ],
    ids=["filter", "lock", "order", "or", "using", "exclude"],
)
def test_no_query_that_is_made_of_one_writes_either(order: WorkOrder, rows: Callable[[], Any]) -> None:
    writes: list[Callable[[], object]] = [lambda: rows().update(title="Behind"), lambda: rows().delete()]
    for write in writes:
        with nothing_changes(), pytest.raises(UnrecordedWriteError):
            write()


def test_a_status_is_not_written_by_a_query(order: WorkOrder) -> None:
    for columns in ({"status": "CLOSED"}, {"version": 1}, {"version": models.F("version") + 1}, {"tenant_id": 1}):
        with nothing_changes(), pytest.raises(UnrecordedWriteError):
            WorkOrder.unscoped.filter(pk=order.pk).update(**columns)


def test_related_managers_write_nothing(demo: Tenant, order: WorkOrder) -> None:
    site = factories.site(demo)
    held = factories.work_order(demo, site=site)
    task, person = factories.task(demo), factories.user(demo)
    attempts: list[Callable[[], object]] = [
        lambda: site.work_orders.update(title="Behind"),
        lambda: site.work_orders.add(order),
        lambda: site.work_orders.set([order]),
        lambda: site.work_orders.remove(held),
        site.work_orders.clear,
        lambda: site.work_orders.all().delete(),
        lambda: site.work_orders.bulk_create([WorkOrder(title="New")]),
        lambda: site.work_orders.bulk_update([held], ["title"]),
        lambda: order.tasks.add(task),
        lambda: person.assigned_tasks.add(task),
    ]
    for attempt in attempts:
        with all_tenants(), nothing_changes(), pytest.raises(UnrecordedWriteError), transaction.atomic():
            attempt()


def test_a_related_manager_that_saves_each_row_is_served(demo: Tenant, order: WorkOrder) -> None:
    site = factories.site(demo)
    with all_tenants():
        site.work_orders.add(order, bulk=False)
    assert (stored(order)["site_id"], stored(order)["version"]) == (site.pk, 2)
    assert changes_of(entries(order)[-1]) == {"site": (None, site.pk)}


# Bookkeeping.


@pytest.mark.parametrize(("kind", "column"), [(User, "last_login"), (ApiToken, "last_used_at")])
def test_bookkeeping_is_written_without_a_version_or_an_entry(demo: Tenant, kind: Any, column: str) -> None:
    row, now = MAKE[kind](demo), timezone.now()
    before, trail = stored(row), len(entries(row))
    assert kind.unscoped.filter(pk=row.pk).update(**{column: now}) == 1
    assert stored(row) == {**before, column: now}
    assert len(entries(row)) == trail
    with nothing_changes(), pytest.raises(UnrecordedWriteError):
        kind.unscoped.filter(pk=row.pk).update(**{column: None, "name": "Behind"})


def test_only_people_and_tokens_have_bookkeeping() -> None:
    assert {kind.__name__: kind.bookkeeping for kind in TEXTS if kind.bookkeeping} == {
        "User": ("last_login",),
        "ApiToken": ("last_used_at",),
    }


# Saves.


@KINDS
def test_a_save_raises_the_version_by_one_and_leaves_an_entry(demo: Tenant, kind: Any) -> None:
    row = again(MAKE[kind](demo))
    before, trail = stored(row), len(entries(row))
    setattr(row, TEXTS[kind], "Other")
    row.save()
    after = stored(row)
    changed = {TEXTS[kind]: "Other", "version": before["version"] + 1, "updated_at": after["updated_at"]}
    assert after == {**before, **changed}
    assert row.version == after["version"]
    entry = entries(row)[-1]
    assert (entry.action, entry.entity_version, len(entries(row))) == ("UPDATE", after["version"], trail + 1)
    assert changes_of(entry) == {TEXTS[kind]: (before[TEXTS[kind]] or None, "Other")}


@KINDS
def test_a_save_of_some_fields_raises_the_version_and_writes_no_others(demo: Tenant, kind: Any) -> None:
    row = again(MAKE[kind](demo))
    before = stored(row)
    setattr(row, TEXTS[kind], "Other")
    row.created_at = timezone.now()
    row.save(update_fields=[TEXTS[kind]])
    after = stored(row)
    assert after == {**before, TEXTS[kind]: "Other", "version": before["version"] + 1, "updated_at": row.updated_at}
    assert after["updated_at"] > before["updated_at"]
    assert changes_of(entries(row)[-1]) == {TEXTS[kind]: (before[TEXTS[kind]] or None, "Other")}


def test_a_save_of_some_fields_tells_only_of_them(order: WorkOrder) -> None:
    row = again(order)
    row.title, row.description = "Pump", "In the cellar"
    row.save(update_fields=["title"])
    assert (stored(row)["title"], stored(row)["description"]) == ("Pump", "On the roof")
    assert changes_of(entries(row)[-1]) == {"title": ("Seal", "Pump")}
    row.save()
    assert stored(row)["description"] == "In the cellar"
    assert changes_of(entries(row)[-1]) == {"description": ("On the roof", "In the cellar")}
    assert [entry.entity_version for entry in entries(row)] == [1, 2, 3]


def test_a_save_of_no_fields_changes_nothing(order: WorkOrder) -> None:
    row = again(order)
    row.title = "Pump"
    with nothing_changes():
        row.save(update_fields=[])


@KINDS
@pytest.mark.parametrize("named", [True, False], ids=["some fields", "all fields"])
def test_a_stale_row_is_not_saved(demo: Tenant, kind: Any, named: bool) -> None:
    row = MAKE[kind](demo)
    stale, fresh = again(row), again(row)
    setattr(fresh, TEXTS[kind], "First")
    fresh.save()
    setattr(stale, TEXTS[kind], "Second")
    version = stale.version
    with nothing_changes(), pytest.raises(RecordModifiedError), transaction.atomic():
        stale.save(update_fields=[TEXTS[kind]] if named else None)
    assert stale.version == version


def test_what_a_service_changed_makes_a_row_stale(order: WorkOrder, technician: User) -> None:
    stale = again(order)
    with tenant_scope(order.tenant_id):
        services.edit(WorkOrder, item(order), {"description": "Service"}, actor=technician)
    stale.title = "Save"
    with nothing_changes(), pytest.raises(RecordModifiedError), transaction.atomic():
        stale.save(update_fields=["title"])


def test_a_row_that_a_service_returned_is_saved_on_top(order: WorkOrder, technician: User) -> None:
    with tenant_scope(order.tenant_id):
        edited = services.edit(WorkOrder, item(order), {"title": "Pump"}, actor=technician)
    edited.description = "In the cellar"
    edited.save()
    assert stored(order)["version"] == 3
    assert changes_of(entries(order)[-1]) == {"description": ("On the roof", "In the cellar")}


@KINDS
def test_a_row_that_was_read_without_its_version_is_not_saved(demo: Tenant, kind: Any) -> None:
    key = MAKE[kind](demo).pk
    for rows in (kind.unscoped.only(TEXTS[kind]), kind.unscoped.defer("version")):
        for named in (None, [TEXTS[kind]]):
            row = rows.get(pk=key)
            setattr(row, TEXTS[kind], "Other")
            with nothing_changes(), pytest.raises(UnversionedSaveError, match="without its version"):
                row.save(update_fields=named)


@KINDS
def test_a_row_that_was_read_with_its_version_is_saved(demo: Tenant, kind: Any) -> None:
    made = MAKE[kind](demo)
    before = stored(made)
    row = kind.unscoped.only(TEXTS[kind], "version").get(pk=made.pk)
    setattr(row, TEXTS[kind], "Other")
    row.save()
    after = stored(made)
    changed = {TEXTS[kind]: "Other", "version": before["version"] + 1, "updated_at": after["updated_at"]}
    assert after == {**before, **changed}


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind is not Tenant], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("named", [True, False], ids=["some fields", "all fields"])
def test_a_deleted_row_does_not_come_back(demo: Tenant, kind: Any, named: bool) -> None:
    row = MAKE[kind](demo)
    ghost = again(row)
    again(row).delete()
    setattr(ghost, TEXTS[kind], "Back")
    with nothing_changes(), pytest.raises(DatabaseError), transaction.atomic():
        ghost.save(update_fields=[TEXTS[kind]] if named else None)
    assert not kind.unscoped.filter(pk=row.pk).exists()


def test_a_row_that_is_made_by_hand_does_not_write_over_another(order: WorkOrder) -> None:
    for status in ("DRAFT", "CANCELLED"):
        copy = WorkOrder(pk=order.pk, tenant_id=order.tenant_id, serial=order.serial, title="Mine", version=1)
        copy.status = status
        with nothing_changes(), pytest.raises((DatabaseError, TypeError)), transaction.atomic():
            copy.save()


@pytest.mark.parametrize("named", [None, ["status"], ["title", "status"]], ids=str)
def test_a_status_does_not_change_by_a_save(order: WorkOrder, named: list[str] | None) -> None:
    row = again(order)
    row.status = "SUBMITTED"
    with nothing_changes(), pytest.raises(StatusChangedError, match=r"by `apps\.lifecycle\.services\.transition` only"):
        row.save(update_fields=named)


def test_a_save_of_other_fields_leaves_a_status_that_was_set_in_memory(order: WorkOrder) -> None:
    row = again(order)
    row.title, row.status = "Pump", "SUBMITTED"
    row.save(update_fields=["title"])
    assert (stored(row)["title"], stored(row)["status"]) == ("Pump", "DRAFT")


def test_a_status_that_was_not_read_is_not_saved(order: WorkOrder) -> None:
    row = WorkOrder.unscoped.only("title", "version").get(pk=order.pk)
    row.status = "SUBMITTED"
    with nothing_changes(), pytest.raises(StatusChangedError):
        row.save()


# A save that comes too late, inside a mutation.


def test_a_save_that_comes_too_late_inside_a_mutation_is_a_conflict(order: WorkOrder, technician: User) -> None:
    stale = again(order)
    with tenant_scope(order.tenant_id):
        services.edit(WorkOrder, item(order), {"title": "First"}, actor=technician)

    def work() -> Any:
        again(order).save()
        stale.title, stale.description = "Second", "Second"
        stale.save()
        return stale

    def answer(done: Any) -> Any:
        return done.outcome

    for key in (None, "a-key"):
        with tenant_scope(order.tenant_id), nothing_changes(), pytest.raises(VersionConflictError) as caught:
            once(Request("saveIt", {}, key), actor=technician, work=work, answer=answer)
        told = caught.value
        assert (told.kind, told.key, told.code) == ("WorkOrder", order.pk, "VERSION_CONFLICT")
        assert (told.expected_version, told.current_version) == (1, 2)
        assert (told.fields, told.safe_to_merge) == (["description", "title"], False)
        assert [(change.field, change.after, change.changed_by) for change in told.past.changes] == [
            ("title", "First", technician.pk)
        ]
    assert stored(order)["version"] == 2
