"""The commands that run from a timer: overdue tasks are closed, old audit entries and old keys go."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from freezegun import freeze_time

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.audit import retention
from apps.audit.models import AuditEntry
from apps.lifecycle.models import IdempotencyKey
from apps.lifecycle.services import edit
from apps.lifecycle.transitions import Item
from apps.tasks.models import Task
from apps.tasks.overdue import close_overdue
from tests import factories
from tests.factories import NOON

LATER = NOON + timedelta(hours=1)


def run(name: str, *arguments: str, **options: Any) -> str:
    printed = io.StringIO()
    call_command(name, *arguments, stdout=printed, **options)
    return printed.getvalue().strip()


def entries_of(task: Task) -> list[AuditEntry]:
    return list(AuditEntry.unscoped.filter(entity_kind="Task", entity_id=task.pk).order_by("id"))


def overdue_task(owner: Tenant, **fields: Any) -> Task:
    return factories.task(owner, due_at=NOON, **fields)


@freeze_time(LATER)
def test_overdue_tasks_of_every_tenant_are_missed_by_the_command(demo: Tenant, rival: Tenant) -> None:
    worker = factories.user(demo)
    tasks = [overdue_task(demo), overdue_task(demo, status="ASSIGNED", assignee=worker), overdue_task(rival)]
    assert run("close_overdue") == "3 tasks closed as missed"
    for task in tasks:
        task.refresh_from_db()
        assert (task.status, task.version) == ("MISSED", 2)
        _created, missed = entries_of(task)
        assert (missed.action, missed.entity_version, missed.actor_id) == ("MISS", 2, None)
        assert (missed.command, missed.source) == ("close_overdue", "command")
        assert missed.tenant_id == task.tenant_id
    assert len({entry.correlation_id for task in tasks for entry in entries_of(task)[1:]}) == 1


@freeze_time(LATER)
def test_what_is_not_due_or_not_waiting_is_left_alone(demo: Tenant) -> None:
    worker = factories.user(demo)
    kept = [
        factories.task(demo),
        factories.task(demo, due_at=LATER),
        factories.task(demo, due_at=LATER + timedelta(seconds=1)),
        overdue_task(demo, status="IN_PROGRESS", assignee=worker),
        overdue_task(demo, status="COMPLETED", completed_at=NOON),
        overdue_task(demo, status="CANCELLED"),
    ]
    assert run("close_overdue") == "0 tasks closed as missed"
    assert [Task.unscoped.get(pk=task.pk).version for task in kept] == [1] * len(kept)


@freeze_time(LATER)
def test_a_second_run_finds_nothing(demo: Tenant) -> None:
    task = overdue_task(demo)
    run("close_overdue")
    assert run("close_overdue") == "0 tasks closed as missed"
    assert len(entries_of(task)) == 2


@freeze_time(LATER)
def test_tasks_are_closed_a_batch_at_a_time(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.tasks.overdue.MAX_ITEMS", 2)
    for _ in range(5):
        overdue_task(demo)
    with tenant_scope(demo.pk):
        assert list(close_overdue(LATER)) == [2, 2, 1]


@freeze_time(LATER)
def test_a_task_that_somebody_moves_at_the_same_moment_is_not_missed(
    demo: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, boss = overdue_task(demo), factories.user(demo, Role.SUPERVISOR)
    take = close_overdue.__globals__["transition_many"]

    def late(*args: Any, **options: Any) -> Any:
        edit(Task, Item(task.pk, 1), {"due_at": LATER + timedelta(days=1)}, actor=boss)
        return take(*args, **options)

    monkeypatch.setattr("apps.tasks.overdue.transition_many", late)
    assert run("close_overdue") == "0 tasks closed as missed"
    assert Task.unscoped.get(pk=task.pk).status == "SCHEDULED"


def old_entry(owner: Tenant, days: int) -> AuditEntry:
    return factories.audit_entry(factories.site(owner), at=timezone.now() - timedelta(days=days))


def test_entries_go_when_their_time_is_up_and_not_before(demo: Tenant, rival: Tenant) -> None:
    old, young, others = old_entry(demo, 91), old_entry(demo, 89), old_entry(rival, 400)
    assert run("prune_audit").startswith("2 audit entries from before")
    left = set(AuditEntry.unscoped.values_list("pk", flat=True))
    assert young.pk in left
    assert {old.pk, others.pk}.isdisjoint(left)


def test_a_dry_run_counts_and_deletes_nothing(demo: Tenant) -> None:
    old = old_entry(demo, 91)
    assert "1 audit entries" in (said := run("prune_audit", "--dry-run"))
    assert said.endswith("would be deleted")
    assert AuditEntry.unscoped.filter(pk=old.pk).exists()


def test_days_and_tenant_can_be_chosen(demo: Tenant, rival: Tenant) -> None:
    mine, theirs = old_entry(demo, 8), old_entry(rival, 8)
    assert run("prune_audit", "--days", "7", "--tenant", demo.slug).startswith("1 audit entries")
    assert not AuditEntry.unscoped.filter(pk=mine.pk).exists()
    assert AuditEntry.unscoped.filter(pk=theirs.pk).exists()


def test_an_unknown_tenant_or_no_days_are_refused(db: None) -> None:
    with pytest.raises(CommandError, match="There is no tenant nobody"):
        run("prune_audit", "--tenant", "nobody")
    with pytest.raises(CommandError, match="choose 1 or more"):
        run("prune_audit", "--days", "0")


def test_many_entries_go_in_batches(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        old_entry(demo, 91)
    assert list(retention.prune(demo.pk, timezone.now() - timedelta(days=90))) == [2, 2, 1]


@pytest.mark.django_db(transaction=True)
def test_leave_to_delete_ends_with_the_transaction_of_the_command() -> None:
    demo = factories.tenant()
    old_entry(demo, 91)
    run("prune_audit")
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_auditentry")
    assert AuditEntry.unscoped.exists()


def test_keys_are_forgotten_after_a_day(demo: Tenant, technician: User) -> None:
    for key, hours in (("old", 25), ("young", 23)):
        created = timezone.now() - timedelta(hours=hours)
        IdempotencyKey.unscoped.create(tenant=demo, user=technician, key=key, fingerprint="f", created_at=created)
    assert run("prune_idempotency_keys") == "1 keys deleted"
    assert [row.key for row in IdempotencyKey.unscoped.all()] == ["young"]
