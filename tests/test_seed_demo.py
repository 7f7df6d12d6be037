import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker, Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.attendance.workflow import MACHINE as ATTENDANCE_MACHINE
from apps.attendance.workflow import AttendanceRecordStatus
from apps.audit.models import AuditEntry
from apps.audit.redaction import REDACTED
from apps.helpdesk.models import Ticket
from apps.helpdesk.workflow import MACHINE as TICKET_MACHINE
from apps.helpdesk.workflow import TicketStatus
from apps.lifecycle.actors import SystemActor
from apps.lifecycle.machine import Machine
from apps.tasks.models import Task
from apps.tasks.workflow import MACHINE as TASK_MACHINE
from apps.tasks.workflow import OPEN, TaskStatus
from apps.work_orders.models import WorkOrder
from apps.work_orders.workflow import MACHINE as ORDER_MACHINE
from apps.work_orders.workflow import WorkOrderStatus
from project.demo import seeding
from tests import factories

MACHINES: dict[type[models.Model], Machine] = {
    WorkOrder: ORDER_MACHINE,
    Task: TASK_MACHINE,
    Ticket: TICKET_MACHINE,
    AttendanceRecord: ATTENDANCE_MACHINE,
}
STATES: dict[type[models.Model], type[models.TextChoices]] = {
    WorkOrder: WorkOrderStatus,
    Task: TaskStatus,
    Ticket: TicketStatus,
    AttendanceRecord: AttendanceRecordStatus,
}
NATURAL_KEYS: dict[Any, str] = {Tenant: "slug", User: "email", Site: "code", Asset: "code", WorkOrder: "serial"}
NOW = "2026-11-23T00:00:00+00:00"
PASSWORD = "correct horse"

workflow_entities = pytest.mark.parametrize("model", MACHINES)


def seed(**options: Any) -> str:
    out = StringIO()
    call_command("seed_demo", **{"password": PASSWORD, "now": datetime.fromisoformat(NOW), **options}, stdout=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def seeded(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Seed once, with the numbers that `make run` uses, for the tests that only read."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield seed()
        transaction.set_rollback(True)


def rows(model: type[models.Model], slug: str = "demo") -> models.QuerySet[Any]:
    manager: models.Manager[Any] = model.unscoped  # type: ignore[attr-defined]
    return manager.filter(tenant__slug=slug)


def test_demo_has_the_numbers_that_are_promised(seeded: str) -> None:
    counts = {model: rows(model).count() for model in (WorkOrder, Task, Ticket, AttendanceRecord, Asset, Site, User)}
    assert list(counts.values()) == [5_000, 2_000, 1_000, 1_000, 300, 12, 60]
    assert rows(WorkOrder).filter(status="DRAFT").count() == 1_500


def test_rival_has_a_tenth_of_them(seeded: str) -> None:
    counts = [rows(model, "rival").count() for model in (WorkOrder, Task, Ticket, AttendanceRecord, Asset, Site, User)]
    assert counts == [500, 200, 100, 100, 30, 2, 6]
    assert rows(WorkOrder, "rival").filter(status="DRAFT").count() == 150


def test_the_command_says_what_it_made(seeded: str) -> None:
    demo, rival, history = seeded.splitlines()
    assert demo == (
        "demo: 5,000 work orders, 2,000 tasks, 1,000 tickets, 1,000 attendance records, 300 assets, 12 sites, 60 people"
    )
    assert rival.startswith(
        "rival: 500 work orders, 200 tasks, 100 tickets, 100 attendance records, 30 assets, 2 sites"
    )
    assert history.startswith(f"{AuditEntry.unscoped.count():,} audit entries; ")


@workflow_entities
@pytest.mark.parametrize("slug", ["demo", "rival"])
def test_every_state_occurs(seeded: str, model: type[models.Model], slug: str) -> None:
    assert set(rows(model, slug).values_list("status", flat=True)) == set(STATES[model].values)


@pytest.mark.parametrize("slug", ["demo", "rival"])
def test_one_can_log_in_as_each_role_and_as_nobody_else(seeded: str, slug: str) -> None:
    people = {user.email: user for user in rows(User, slug)}
    for role in Role:
        user = people.pop(f"{role.lower()}@{slug}.example")
        assert (user.role, user.check_password(PASSWORD)) == (role, True)
    assert [user.email for user in people.values() if user.has_usable_password()] == []


@workflow_entities
def test_the_audit_trail_replayed_arrives_at_the_rows(seeded: str, model: type[models.Model]) -> None:
    fields = {field.name: field for field in model._meta.concrete_fields}
    entities = rows(model).in_bulk()
    for pk, entries in histories(model).items():
        row = entities[pk]
        replayed: dict[str, Any] = {}
        for entry in entries:
            for change in entry.changes:
                assert change["before"] == replayed.get(change["field"])
                replayed[change["field"]] = change["after"]
        for name, value in replayed.items():
            if name in row.personal:
                assert value == REDACTED
            else:
                assert fields[name].to_python(value) == getattr(row, fields[name].attname), (name, pk)


@workflow_entities
def test_versions_and_times_of_the_audit_trail_are_those_of_the_row(seeded: str, model: type[models.Model]) -> None:
    trails = histories(model)
    assert len(trails) == rows(model).count()
    for row in rows(model):
        entries = trails[row.pk]
        assert [entry.entity_version for entry in entries] == list(range(1, row.version + 1))
        assert (entries[0].at, entries[-1].at) == (row.created_at, row.updated_at)
        assert all(earlier.at < later.at for earlier, later in pairwise(entries))


@workflow_entities
def test_every_step_was_one_that_the_actor_might_take(seeded: str, model: type[models.Model]) -> None:
    machine, people = MACHINES[model], {user.pk: user for user in rows(User)}
    fields = {field.name: field.attname for field in model._meta.concrete_fields}
    empty = dict.fromkeys(fields.values()) | {"has_open_task": False}
    for entries in histories(model).values():
        entity = SimpleNamespace(**empty)
        for entry in entries:
            if entry.action not in {"CREATE", "UPDATE"}:
                actor = people.get(entry.actor_id) or SystemActor(entry.command)
                carried = {"assignee_id": entry.actor_id} if entry.action == "ASSIGN" else {}
                judged = SimpleNamespace(**{**vars(entity), **carried})
                verdict = machine.judge(judged, entry.action, actor)
                assert (verdict.allowed, verdict.reason) == (True, None)
                assert not verdict.requires_comment or entry.comment
            for change in entry.changes:
                setattr(entity, fields[change["field"]], change["after"])


def test_an_order_that_is_done_has_no_open_task(seeded: str) -> None:
    done = WorkOrder.unscoped.filter(status__in=["COMPLETED", "CLOSED"], tasks__isnull=False)
    assert done.exists()
    assert not done.filter(tasks__status__in=OPEN).exists()


def test_nothing_lies_in_the_future_but_what_is_planned(seeded: str) -> None:
    now = datetime.fromisoformat(NOW)
    assert not AuditEntry.unscoped.filter(at__gte=now).exists()
    for model in MACHINES:
        assert not rows(model).filter(updated_at__gte=now).exists()
    due = rows(WorkOrder).filter(status="DRAFT", due_at__isnull=False)
    assert due.filter(due_at__lt=now).exists()
    assert due.filter(due_at__gt=now).exists()


def test_nobody_checks_in_twice_on_a_day(seeded: str) -> None:
    records = rows(AttendanceRecord).values_list("person_id", "checked_in_at", "site__timezone")
    days = Counter((person, at.astimezone(ZoneInfo(timezone)).date()) for person, at, timezone in records)
    assert [person_and_day for person_and_day, times in days.items() if times > 1] == []


def test_the_position_says_whether_it_was_within_the_geofence(seeded: str) -> None:
    known = rows(AttendanceRecord).exclude(distance_metres=None).select_related("site")
    assert {record.within_geofence for record in known} == {True, False}
    assert all(record.within_geofence == (record.distance_metres <= record.site.geofence_radius) for record in known)


def test_what_is_created_afterwards_gets_the_next_id_and_number(seeded: str) -> None:
    last = WorkOrder.unscoped.order_by("-id")[0]
    tenant = Tenant.unscoped.get(slug="demo")
    order = factories.work_order(tenant)
    assert order.pk > last.pk
    assert order.number == "WO-005001"
    assert factories.ticket(tenant).number == "T-001001"
    entry = AuditEntry(tenant=tenant, action="X", entity_kind="X", entity_id=1, entity_version=1, source="command")
    entry.save()
    assert entry.pk == AuditEntry.unscoped.order_by("-id")[0].pk


@pytest.mark.django_db
def test_the_same_seed_gives_the_same_content_under_other_ids() -> None:
    first_id, first = seeded_and_undone()
    second_id, second = seeded_and_undone()
    assert first_id != second_id
    assert first == second


@pytest.mark.django_db
def test_another_seed_gives_other_content() -> None:
    assert seeded_and_undone()[1] != seeded_and_undone(seed=2)[1]


@pytest.mark.django_db
def test_all_times_move_with_now_and_the_rest_stays() -> None:
    with transaction.atomic():
        seed(work_orders=20)
        before = list(rows(WorkOrder).order_by("id").values_list("title", "status", "created_at"))
        transaction.set_rollback(True)
    seed(work_orders=20, now=datetime.fromisoformat(NOW) + timedelta(days=7))
    after = list(rows(WorkOrder).order_by("id").values_list("title", "status", "created_at"))
    assert after == [(title, status, at + timedelta(days=7)) for title, status, at in before]


@pytest.mark.django_db
def test_histories_go_back_to_the_newest_orders_asked_for() -> None:
    seed(work_orders=50, histories=10)
    with_history = AuditEntry.unscoped.filter(entity_kind="WorkOrder", tenant__slug="demo").values("entity_id")
    newest = rows(WorkOrder).order_by("-id")[:10].values_list("id", flat=True)
    assert set(with_history.values_list("entity_id", flat=True)) == set(newest)


@pytest.mark.django_db
@pytest.mark.parametrize("others", [False, True], ids=["empty", "with orders of others"])
def test_indexes_and_references_built_afterwards_are_those_of_the_migrations(
    monkeypatch: pytest.MonkeyPatch, *, others: bool
) -> None:
    monkeypatch.setattr(seeding, "MANY", 10)
    if others:
        factories.work_order(factories.tenant())
    before = structure()
    with CaptureQueriesContext(connection) as queries:
        seed(work_orders=20)
    built = sum("CREATE INDEX" in query["sql"] for query in queries)
    assert built == (0 if others else len(WorkOrder._meta.indexes))
    assert structure() == before
    assert rows(WorkOrder).count() == 20


@pytest.mark.django_db
def test_a_second_run_is_refused_and_changes_nothing() -> None:
    seed(work_orders=20)
    before = digest()
    with pytest.raises(CommandError, match=r"There is a tenant demo already; nothing was changed"):
        seed(work_orders=20)
    assert digest() == before


@pytest.mark.django_db
def test_a_second_run_with_if_empty_asks_one_question_and_does_nothing() -> None:
    seed(work_orders=20)
    before = digest()
    with CaptureQueriesContext(connection) as queries:
        said = seed(work_orders=20, if_empty=True)
    assert (len(queries), said, digest()) == (1, "", before)


@pytest.mark.django_db
def test_a_rival_that_is_there_already_keeps_demo_from_being_made() -> None:
    factories.tenant("rival")
    with pytest.raises(CommandError, match="There is a tenant rival already"):
        seed(work_orders=20)
    assert not Tenant.unscoped.filter(slug="demo").exists()


@pytest.mark.django_db
def test_a_password_is_never_made_up_in_production(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMBEDDED = False
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="Choose a password for the demo users: --password, or DEMO_PASSWORD"):
        seed(password=None)
    assert not Tenant.unscoped.filter(slug="demo").exists()


@pytest.mark.django_db
def test_the_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", "battery staple")
    seed(password=None, work_orders=20)
    assert User.unscoped.get(email="admin@rival.example").check_password("battery staple")


def histories(model: type[models.Model]) -> dict[int, list[AuditEntry]]:
    trails: dict[int, list[AuditEntry]] = {}
    for entry in rows(AuditEntry).filter(entity_kind=model.__name__).order_by("id"):
        trails.setdefault(entry.entity_id, []).append(entry)
    return trails


def structure() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = 'work_orders_workorder'::regclass AND indisvalid"
            " UNION SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = 'work_orders_workorder'::regclass AND convalidated ORDER BY 1"
        )
        return list(cursor.fetchall())


def seeded_and_undone(**options: Any) -> tuple[int, str]:
    """Return the id of an order and a digest of all content, ids aside; leave nothing behind but used ids."""
    with transaction.atomic():
        seed(work_orders=100, **options)
        found = WorkOrder.unscoped.order_by("id")[0].pk, digest()
        transaction.set_rollback(True)
    return found


def digest() -> str:
    sha = hashlib.sha256()
    for model in (*NATURAL_KEYS, Task, Ticket, AttendanceRecord):
        for row in model.unscoped.order_by("id").values_list(*columns(model)):
            sha.update(repr(row).encode())
    names = ("at", "action", "entity_kind", "entity_version", "comment", "correlation_id", "source", "actor__email")
    for *entry, changes in AuditEntry.unscoped.order_by("id").values_list(*names, "changes"):
        sha.update(repr((entry, [change for change in changes if not isinstance(change["after"], int)])).encode())
    return sha.hexdigest()


def columns(model: type[models.Model]) -> list[str]:
    kept = [field for field in model._meta.concrete_fields if field.name not in {"id", "password"}]
    return [f"{field.name}__{NATURAL_KEYS[field.related_model]}" if field.is_relation else field.name for field in kept]
