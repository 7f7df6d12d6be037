"""No unrecorded change: every way to change a row leaves one entry in the same transaction, and entries stay."""

import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from logging.config import DictConfigurator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.accounts.guarded import UnrecordedWriteError
from apps.accounts.models import ApiToken, Tenant, User
from apps.accounts.origin import (
    AuditSource,
    Origin,
    command_scope,
    correlation_id,
    current_origin,
    new_correlation_id,
    origin_scope,
)
from apps.accounts.records import Versioned
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.accounts.tokens import Bearer, issue_token, note_use, revoke_token
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.attendance.presence import check_in, check_out
from apps.audit.log import logger as audit_logger
from apps.audit.models import AppendOnlyError, AuditEntry
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.lifecycle.actors import SystemActor
from apps.lifecycle.errors import RefusedError
from apps.lifecycle.transitions import Item, OnError
from apps.search.models import Synonym
from apps.tasks.models import Task
from apps.throttle.limits import Bucket
from apps.work_orders.models import WorkOrder
from schema.reads.global_id import encode_id
from tests import factories
from tests.graphql import data, refusal
from tests.pages import open_form
from tests.writing import TEXTS, fail, listening

Change = dict[str, Any]
every_record = pytest.mark.parametrize("model", TEXTS, ids=lambda model: str(model.__name__))


@contextmanager
def recorded() -> Iterator[list[AuditEntry]]:
    """Collect the entries that are written inside."""
    known = set(AuditEntry.unscoped.values_list("pk", flat=True))
    found: list[AuditEntry] = []
    yield found
    found += AuditEntry.unscoped.exclude(pk__in=known).order_by("pk")


def trail(row: Any) -> list[AuditEntry]:
    return list(AuditEntry.unscoped.filter(entity_kind=type(row).__name__, entity_id=row.pk).order_by("pk"))


def versions(row: Any) -> list[int]:
    return [entry.entity_version for entry in trail(row)]


def change(field: str, before: Any, after: Any) -> Change:
    return {"field": field, "before": before, "after": after}


def item(row: Any) -> Item:
    return Item(row.pk, row.version)


def url(row: Any, *rest: object) -> str:
    return "/".join(["/admin", row._meta.app_label, row._meta.model_name, *map(str, rest), ""])


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue_token(user=user)[0]}"}


def row_of(model: Any, owner: Tenant) -> Any:
    """Make a row of this record for the tenant."""
    if model is Tenant:
        return owner
    if model is ApiToken:
        return issue_token(user=factories.user(owner), name="crane")[1]
    make: dict[Any, Callable[[Tenant], Any]] = {
        User: factories.user,
        Site: factories.site,
        Asset: factories.asset,
        WorkOrder: factories.work_order,
    }
    make |= {Task: factories.task, Ticket: factories.ticket, AttendanceRecord: factories.attendance_record}
    make[Synonym] = factories.synonym
    return make[model](owner)


@pytest.fixture
def supervisor(demo: Tenant) -> User:
    return factories.user(demo, Role.SUPERVISOR)


@pytest.fixture
def order(demo: Tenant) -> WorkOrder:
    return factories.work_order(demo, site=factories.site(demo))


@pytest.fixture
def in_demo(demo: Tenant) -> Iterator[None]:
    with tenant_scope(demo.pk):
        yield


# The services


def test_creating_leaves_one_entry(in_demo: None, demo: Tenant, technician: User) -> None:
    site = factories.site(demo)
    with recorded() as entries:
        order = services.create(WorkOrder, {"title": "Replace seal", "site": site.pk}, actor=technician)
    (entry,) = entries
    assert (entry.tenant_id, entry.actor_id, entry.command) == (demo.pk, technician.pk, "")
    assert (entry.action, entry.entity_kind, entry.entity_id) == ("CREATE", "WorkOrder", order.pk)
    assert (entry.entity_version, order.version, entry.at) == (1, 1, order.created_at)
    assert (entry.comment, entry.operation_id) == ("", None)
    assert entry.changes == [
        change("title", None, "Replace seal"),
        change("status", None, "DRAFT"),
        change("priority", None, "MEDIUM"),
        change("site", None, site.pk),
        change("requested_by", None, technician.pk),
    ]


def test_editing_leaves_one_entry_with_what_was_different(in_demo: None, technician: User, order: WorkOrder) -> None:
    values = {"title": "Replace the seal", "priority": "MEDIUM", "description": None}
    with recorded() as entries:
        edited = services.edit(WorkOrder, item(order), values, actor=technician, comment="More precise")
    (entry,) = entries
    assert (entry.action, entry.entity_version, entry.actor_id) == ("UPDATE", 2, technician.pk)
    assert (entry.comment, entry.at) == ("More precise", edited.updated_at)
    assert entry.changes == [change("title", "Replace pump seal", "Replace the seal")]


def test_an_edit_that_changes_nothing_leaves_none(in_demo: None, technician: User, order: WorkOrder) -> None:
    with recorded() as entries:
        edited = services.edit(WorkOrder, item(order), {"title": order.title, "description": ""}, actor=technician)
    assert (entries, edited.version) == ([], 1)


def test_a_transition_leaves_one_entry_under_its_name(in_demo: None, supervisor: User, order: WorkOrder) -> None:
    with recorded() as entries:
        services.transition(WorkOrder, item(order), "CANCEL", actor=supervisor, comment="Twice")
    (entry,) = entries
    assert (entry.action, entry.entity_version, entry.comment) == ("CANCEL", 2, "Twice")
    assert entry.operation_id is None
    assert entry.changes == [change("status", "DRAFT", "CANCELLED")]


def test_an_entry_tells_the_effects_of_a_transition(in_demo: None, supervisor: User, demo: Tenant) -> None:
    order = factories.work_order(demo, status="APPROVED", assignee=supervisor)
    with recorded() as entries:
        started = services.transition(WorkOrder, item(order), "START", actor=supervisor)
    (entry,) = entries
    assert started.started_at is not None
    written = started.started_at.isoformat().replace("+00:00", "Z")
    assert entry.changes == [change("status", "APPROVED", "IN_PROGRESS"), change("started_at", None, written)]


def test_a_bulk_leaves_an_entry_for_each_under_one_operation_by_one_statement(
    in_demo: None, supervisor: User, demo: Tenant
) -> None:
    orders = [factories.work_order(demo, site=factories.site(demo)) for _ in range(20)]
    with recorded() as entries, CaptureQueriesContext(connection) as sent:
        items = [item(order) for order in orders]
        report = services.transition_many(WorkOrder, items, "SUBMIT", actor=supervisor, comment="All")
    assert [entry.entity_id for entry in entries] == [order.pk for order in orders]
    told = {(entry.action, entry.operation_id, entry.entity_version, entry.comment, entry.at) for entry in entries}
    assert told == {("SUBMIT", report.operation_id, 2, "All", entries[0].at)}
    assert isinstance(report.operation_id, UUID)
    assert sum("audit_auditentry" in query["sql"] and "INSERT" in query["sql"] for query in sent) == 1


def test_a_bulk_records_those_that_went_through_and_no_others(in_demo: None, supervisor: User, demo: Tenant) -> None:
    site = factories.site(demo)
    good, siteless = factories.work_order(demo, site=site), factories.work_order(demo)
    items = [item(good), item(siteless), Item(good.pk + 10_000, 1)]
    with recorded() as entries:
        services.transition_many(WorkOrder, items, "SUBMIT", actor=supervisor, on_error=OnError.SKIP_FAILED)
    assert [entry.entity_id for entry in entries] == [good.pk]


@pytest.mark.parametrize("options", [{"dry_run": True}, {"on_error": OnError.REJECT_ALL}], ids=["dry run", "rejected"])
def test_a_bulk_that_does_nothing_records_nothing(
    in_demo: None, supervisor: User, demo: Tenant, options: dict[str, Any]
) -> None:
    good, siteless = factories.work_order(demo, site=factories.site(demo)), factories.work_order(demo)
    with recorded() as entries:
        services.transition_many(WorkOrder, [item(good), item(siteless)], "SUBMIT", actor=supervisor, **options)
    assert entries == []
    assert WorkOrder.unscoped.filter(version=1, status="DRAFT").count() == 2


def test_assigning_the_one_who_is_assigned_is_recorded_too(in_demo: None, supervisor: User, demo: Tenant) -> None:
    worker = factories.user(demo)
    task = factories.task(demo, status="ASSIGNED", assignee=worker)
    with recorded() as entries:
        services.transition(Task, item(task), "ASSIGN", actor=supervisor, takes={"assignee": worker.pk})
    (entry,) = entries
    assert (entry.action, entry.entity_version, entry.changes) == ("ASSIGN", 2, [])
    assert Task.unscoped.get().version == 2


def test_a_bulk_in_which_some_do_not_differ_records_all(in_demo: None, supervisor: User, demo: Tenant) -> None:
    worker = factories.user(demo)
    tasks = [factories.task(demo), factories.task(demo, status="ASSIGNED", assignee=worker)]
    with recorded() as entries:
        items = [item(task) for task in tasks]
        services.transition_many(Task, items, "ASSIGN", actor=supervisor, takes={"assignee": worker.pk})
    assert [(entry.entity_id, entry.entity_version) for entry in entries] == [(task.pk, 2) for task in tasks]
    assert [entry.changes for entry in entries] == [
        [change("status", "SCHEDULED", "ASSIGNED"), change("assignee", None, worker.pk)],
        [],
    ]


def test_coming_and_going_leave_an_entry_each(in_demo: None, demo: Tenant, technician: User) -> None:
    site = factories.site(demo)
    with recorded() as entries:
        record = check_in({"site": site.pk}, (59.91, 10.75), actor=technician)
        check_out(item(record), {"note": "Done"}, actor=technician)
    assert [(entry.action, entry.entity_version) for entry in entries] == [("CREATE", 1), ("UPDATE", 2)]
    assert {entry.actor_id for entry in entries} == {technician.pk}
    assert [each["field"] for each in entries[1].changes] == ["checked_out_at", "note"]


def test_a_command_that_acts_by_itself_is_named(in_demo: None, demo: Tenant) -> None:
    task = factories.task(demo)
    with recorded() as entries:
        services.transition(Task, item(task), "MISS", actor=SystemActor("close_overdue"))
    (entry,) = entries
    assert (entry.actor_id, entry.command, entry.source) == (None, "close_overdue", "command")


def test_the_versions_of_an_entity_have_no_holes(in_demo: None, demo: Tenant, supervisor: User) -> None:
    order = services.create(WorkOrder, {"title": "A", "site": factories.site(demo).pk}, actor=supervisor)
    order = services.edit(WorkOrder, item(order), {"title": "B"}, actor=supervisor)
    services.transition_many(WorkOrder, [item(order)], "SUBMIT", actor=supervisor)
    row = WorkOrder.unscoped.get()
    row.title = "C"
    row.save()
    row.save(update_fields=["title"])
    services.transition(WorkOrder, item(row), "REJECT", actor=supervisor, comment="No")
    assert versions(order) == [1, 2, 3, 4, 5, 6]
    assert WorkOrder.unscoped.get().version == 6


# The ORM: a shell, a command, the code of others


def test_the_list_of_records_is_complete() -> None:
    assert set(TEXTS) == {model for model in apps.get_models() if issubclass(model, Versioned)}


@every_record
def test_a_row_that_is_made_leaves_one_entry(demo: Tenant, model: Any) -> None:
    row = row_of(model, demo)
    (entry,) = trail(row)
    assert (entry.tenant_id, entry.action, entry.entity_version) == (demo.pk, "CREATE", 1)
    assert (entry.actor_id, entry.source, entry.at) == (None, "command", row.updated_at)
    assert entry.changes[0]["before"] is None


@every_record
def test_a_row_that_is_saved_leaves_one_entry(demo: Tenant, model: Any) -> None:
    row, text = model.unscoped.get(pk=row_of(model, demo).pk), TEXTS[model]
    before = getattr(row, text) or None
    setattr(row, text, "Something else")
    with recorded() as entries:
        row.save()
    (entry,) = entries
    assert (entry.action, entry.entity_version, row.version) == ("UPDATE", 2, 2)
    assert entry.changes == [change(text, before, "Something else")]
    assert (entry.tenant_id, entry.at) == (demo.pk, row.updated_at)


@every_record
def test_a_row_that_is_saved_untouched_leaves_an_entry_of_its_new_version(demo: Tenant, model: Any) -> None:
    row = row_of(model, demo)
    with recorded() as entries:
        row.save()
    (entry,) = entries
    assert (entry.entity_version, entry.changes) == (2, [])


def test_two_saves_of_one_instance_tell_each_its_own_change(order: WorkOrder) -> None:
    for title in ("B", "C"):
        order.title = title
        order.save()
    assert [entry.changes for entry in trail(order)[1:]] == [
        [change("title", "Replace pump seal", "B")],
        [change("title", "B", "C")],
    ]


def test_what_update_fields_leaves_out_is_told_when_it_is_saved(order: WorkOrder) -> None:
    order.title, order.description = "B", "On the roof"
    order.save(update_fields=["title"])
    order.save()
    assert [entry.changes for entry in trail(order)[1:]] == [
        [change("title", "Replace pump seal", "B")],
        [change("description", None, "On the roof")],
    ]


@pytest.mark.parametrize("name", ["site", "site_id"])
def test_update_fields_may_name_the_relation_or_its_column(order: WorkOrder, demo: Tenant, name: str) -> None:
    before, site = order.site_id, factories.site(demo)
    order.site = site
    with recorded() as entries:
        order.save(update_fields=[name])
    (entry,) = entries
    assert WorkOrder.unscoped.get(pk=order.pk).site_id == site.pk
    assert entry.changes == [change("site", before, site.pk)]


def test_update_fields_of_nothing_change_and_record_nothing(order: WorkOrder) -> None:
    order.title = "B"
    with recorded() as entries:
        order.save(update_fields=[])
    assert (entries, WorkOrder.unscoped.get(pk=order.pk).version) == ([], 1)


def test_a_row_read_in_part_tells_what_its_other_columns_were(order: WorkOrder) -> None:
    order.description = "On the roof"
    order.save()
    row = WorkOrder.unscoped.only("title", "version").get(pk=order.pk)
    row.description = "In the cellar"
    with recorded() as entries:
        row.save()
    (entry,) = entries
    assert entry.changes == [change("description", "On the roof", "In the cellar")]


def test_a_row_read_in_part_tells_that_another_column_was_emptied(order: WorkOrder) -> None:
    order.description = "On the roof"
    order.save()
    row = WorkOrder.unscoped.only("title", "version").get(pk=order.pk)
    row.description = ""
    with recorded() as entries:
        row.save()
    (entry,) = entries
    assert WorkOrder.unscoped.get(pk=order.pk).description == ""
    assert entry.changes == [change("description", "On the roof", None)]


def test_a_row_read_again_tells_only_what_is_new(order: WorkOrder) -> None:
    other = WorkOrder.unscoped.get(pk=order.pk)
    other.title = "B"
    other.save()
    order.refresh_from_db()
    order.description = "On the roof"
    order.save()
    assert trail(order)[-1].changes == [change("description", None, "On the roof")]


def test_a_time_is_told_in_utc(order: WorkOrder) -> None:
    order.due_at = factories.NOON.astimezone(ZoneInfo("Asia/Kolkata"))
    order.save()
    assert trail(order)[-1].changes == [change("due_at", None, "2026-11-02T12:00:00Z")]


def test_a_row_that_is_deleted_leaves_one_entry_with_all_that_it_was(demo: Tenant) -> None:
    site = factories.site(demo, code="S1", name="Roof")
    key = site.pk
    with recorded() as entries:
        site.delete()
    (entry,) = entries
    assert (entry.action, entry.entity_kind, entry.entity_id, entry.entity_version) == ("DELETE", "Site", key, 1)
    assert entry.changes == [
        change("code", "S1", None),
        change("name", "Roof", None),
        change("timezone", "UTC", None),
        change("latitude", 59.91, None),
        change("longitude", 10.75, None),
        change("geofence_radius", 200, None),
    ]


def test_a_row_read_in_part_that_is_deleted_tells_all_it_was(demo: Tenant) -> None:
    site = factories.site(demo, name="Cellar")
    Site.unscoped.only("code", "version").get(pk=site.pk).delete()
    last = AuditEntry.unscoped.filter(entity_kind="Site", entity_id=site.pk).latest("pk")
    assert (last.action, last.entity_version) == ("DELETE", 1)
    assert change("name", "Cellar", None) in last.changes


def test_the_admin_sites_own_log_names_objects_without_personal_data(demo: Tenant) -> None:
    admin = Client()
    admin.force_login(factories.user(demo, Role.ADMIN))
    ticket = factories.ticket(demo, subject="Ring Kari, +47 22 33 44 55")
    page = f"/admin/helpdesk/ticket/{ticket.pk}/change/"
    assert admin.post(page, open_form(admin, page) | {"priority": "HIGH"}).status_code == 302
    assert LogEntry.objects.get().object_repr == "T-000001 Ring Kari, [redacted]"


def test_what_goes_with_a_row_leaves_entries_of_its_own(demo: Tenant) -> None:
    person = factories.user(demo)
    issue_token(user=person)
    with recorded() as entries:
        person.delete()
    assert Counter((entry.action, entry.entity_kind) for entry in entries) == {
        ("DELETE", "User"): 1,
        ("DELETE", "ApiToken"): 1,
    }


def test_a_stale_save_leaves_no_entry(order: WorkOrder) -> None:
    other = WorkOrder.unscoped.get(pk=order.pk)
    other.save()
    with recorded() as entries, pytest.raises(Exception, match="modified"), transaction.atomic():
        order.save()
    assert entries == []


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: rows.update(title="X"),
        lambda rows: rows.delete(),
        lambda rows: rows.bulk_create([WorkOrder(title="X")]),
        lambda rows: rows.bulk_update(list(rows), ["title"]),
        lambda rows: rows.get().site.work_orders.update(title="X"),
        lambda rows: rows.get().site.work_orders.all().delete(),
        lambda rows: rows.get().site.work_orders.clear(),
        lambda rows: Site.unscoped.create(tenant=rows.get().tenant, code="X", name="X").work_orders.add(rows.get()),
    ],
)
def test_queries_write_nothing_behind_the_trails_back(in_demo: None, order: WorkOrder, write: Any) -> None:
    for rows in (WorkOrder.unscoped.all(), WorkOrder.objects.all(), WorkOrder._base_manager.all()):
        with pytest.raises(UnrecordedWriteError), transaction.atomic():
            write(rows)
    row = WorkOrder.unscoped.get()
    assert (row.title, row.version, row.site_id, len(trail(row))) == (order.title, 1, order.site_id, 1)


def test_get_or_create_and_update_or_create_leave_an_entry_each(demo: Tenant) -> None:
    with recorded() as entries:
        site, _ = Site.unscoped.get_or_create(tenant=demo, code="S", defaults={"name": "Roof"})
        Site.unscoped.get_or_create(tenant=demo, code="S", defaults={"name": "Roof"})
        Site.unscoped.update_or_create(tenant=demo, code="S", defaults={"name": "Cellar"})
    assert [(entry.action, entry.entity_version) for entry in entries] == [("CREATE", 1), ("UPDATE", 2)]
    assert entries[1].changes == [change("name", "Roof", "Cellar")]
    assert Site.unscoped.get(pk=site.pk).name == "Cellar"


# Users and tokens


def test_an_entry_of_a_user_shows_neither_address_nor_number_nor_password(demo: Tenant) -> None:
    person = factories.user(
        demo, email="ola@demo.example", name="Ola", phone="+47 22 33 44 55", password="correct horse battery"
    )
    (entry,) = trail(person)
    assert entry.changes == [
        change("password", None, "[redacted]"),
        change("email", None, "[redacted]"),
        change("name", None, "Ola"),
        change("phone", None, "[redacted]"),
        change("role", None, "TECHNICIAN"),
        change("is_active", None, True),
        change("is_superuser", None, False),
    ]


def test_a_new_password_is_recorded_and_not_shown(demo: Tenant) -> None:
    person = factories.user(demo, password="correct horse battery")
    person.set_password("battery staple")
    person.save()
    assert trail(person)[-1].changes == [change("password", "[redacted]", "[redacted]")]


def test_logging_in_is_no_change(client: Client, demo: Tenant) -> None:
    person = factories.user(demo, password="correct horse battery")
    with recorded() as entries:
        assert client.login(username=person.email, password="correct horse battery")
    row = User.unscoped.get(pk=person.pk)
    assert (entries, row.version, row.last_login is not None) == ([], 1, True)


def test_entries_of_a_token_show_neither_text_nor_digest(demo: Tenant) -> None:
    person = factories.user(demo)
    with recorded() as entries:
        text, token = issue_token(user=person, name="crane")
        revoke_token(token)
    issued, revoked = entries
    assert issued.changes == [
        change("user", None, person.pk),
        change("name", None, "crane"),
        change("digest", None, "[redacted]"),
        change("expires_at", None, token.expires_at.isoformat().replace("+00:00", "Z")),
    ]
    assert [each["field"] for each in revoked.changes] == ["revoked_at"]
    everything = json.dumps([entry.changes for entry in entries])
    assert text not in everything
    assert token.digest not in everything


def test_using_a_token_is_no_change(demo: Tenant) -> None:
    _, token = issue_token(user=factories.user(demo))
    with recorded() as entries:
        note_use(Bearer(token.user, token.pk, token.last_used_at))
    row = ApiToken.unscoped.get()
    assert (entries, row.version, row.last_used_at is not None) == ([], 1, True)


# Where a change comes from


def test_the_admin_site_is_a_source_and_its_user_the_actor(demo: Tenant, order: WorkOrder) -> None:
    boss = factories.user(demo, Role.ADMIN)
    desk, page = signed_in(boss), url(order, order.pk, "change")
    form = open_form(desk, page) | {"title": "By the boss"}
    with recorded() as entries:
        answer = desk.post(page, form)
    assert answer.status_code == 302
    (entry,) = entries
    assert (entry.source, entry.actor_id, entry.command) == ("admin", boss.pk, "")
    assert (entry.action, entry.entity_version) == ("UPDATE", 2)
    assert entry.changes == [change("title", "Replace pump seal", "By the boss")]
    assert entry.correlation_id == answer.headers["X-Correlation-ID"]


def test_the_admin_site_leaves_an_entry_for_what_it_adds_and_deletes(demo: Tenant) -> None:
    boss = factories.user(demo, Role.ADMIN)
    desk = signed_in(boss)
    form = open_form(desk, url(Site(), "add")) | {"code": "S1", "name": "Roof"}
    with recorded() as entries:
        assert desk.post(url(Site(), "add"), form).status_code == 302
        key = Site.unscoped.get().pk
        assert desk.post(url(Site(), key, "delete"), {"post": "yes"}).status_code == 302
    told = [(entry.action, entry.entity_id, entry.entity_version) for entry in entries]
    assert told == [("CREATE", key, 1), ("DELETE", key, 1)]
    assert {(entry.source, entry.actor_id) for entry in entries} == {("admin", boss.pk)}


def test_a_refused_form_leaves_no_entry(demo: Tenant, order: WorkOrder) -> None:
    desk, page = signed_in(factories.user(demo, Role.ADMIN)), url(order, order.pk, "change")
    form = open_form(desk, page) | {"title": ""}
    with recorded() as entries:
        assert desk.post(page, form).status_code == 200
    assert (entries, WorkOrder.unscoped.get().version) == ([], 1)


def test_an_operator_of_another_tenant_is_told_by_number_only(demo: Tenant, rival: Tenant, order: WorkOrder) -> None:
    root = factories.user(rival, Role.ADMIN, name="Root Rootsen", email="root@provider.example", is_superuser=True)
    console, page = signed_in(root), url(order, order.pk, "change")
    form = open_form(console, page) | {"title": "By the operator"}
    with recorded() as entries:
        assert console.post(page, form).status_code == 302
    (entry,) = entries
    assert (entry.tenant_id, entry.actor_id) == (demo.pk, None)
    assert (entry.command, entry.source) == (f"operator {root.pk}", "admin")
    query = "{ auditLog(filters: {source: {exact: ADMIN}}) { edges { node { command actor { name } } } } }"
    read = data(factories.user(demo), query)["auditLog"]["edges"]
    assert read == [{"node": {"command": f"operator {root.pk}", "actor": None}}]
    everything = json.dumps(list(AuditEntry.unscoped.filter(tenant=demo).values()), default=str)
    assert "oot@provider" not in everything
    assert "Root" not in everything


def test_an_operator_in_their_own_tenant_is_an_actor_like_others(rival: Tenant) -> None:
    root = factories.user(rival, Role.ADMIN, is_superuser=True)
    order = factories.work_order(rival)
    console, page = signed_in(root), url(order, order.pk, "change")
    form = open_form(console, page) | {"title": "At home"}
    with recorded() as entries:
        assert console.post(page, form).status_code == 302
    (entry,) = entries
    assert (entry.actor_id, entry.command) == (root.pk, "")


def test_graphql_is_a_source_and_the_tokens_user_the_actor(client: Client, technician: User) -> None:
    document = 'mutation { createWorkOrder(input: {title: "Seal"}) { ... on WorkOrder { id } } }'
    headers = bearer(technician) | {"X-Correlation-ID": "phone-7.0042"}
    with recorded() as entries:
        client.post("/graphql", json.dumps({"query": document}), content_type="application/json", headers=headers)
    (entry,) = entries
    assert (entry.source, entry.actor_id, entry.command) == ("graphql", technician.pk, "")
    assert entry.correlation_id == "phone-7.0042"


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        (["manage.py", "shell"], "shell"),
        (["/srv/app/manage.py", "createsuperuser", "--noinput"], "createsuperuser"),
        (["/usr/lib/django/__main__.py", "loaddata"], "loaddata"),
        (["/usr/bin/django-admin", "shell"], "shell"),
        (["manage.py"], "manage.py"),
        (["repair.py", "--all"], "repair.py"),
        ([""], "python"),
        (["x" * 300], "x" * 100),
    ],
)
def test_outside_of_requests_and_commands_the_program_is_named(
    demo: Tenant, monkeypatch: pytest.MonkeyPatch, argv: list[str], program: str
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    (entry,) = trail(factories.site(demo))
    assert (entry.source, entry.command, entry.actor_id, entry.correlation_id) == ("command", program, None, "")


def test_what_one_command_does_has_one_correlation_id(demo: Tenant) -> None:
    with recorded() as entries:
        with command_scope("repair"):
            factories.site(demo)
            factories.site(demo)
        with command_scope("repair"):
            factories.site(demo)
    assert {(entry.source, entry.command) for entry in entries} == {("command", "repair")}
    first, second, third = (entry.correlation_id for entry in entries)
    assert first == second != third


def test_a_command_of_ours_says_its_name(demo: Tenant) -> None:
    person = factories.user(demo)
    with recorded() as entries:
        call_command("issue_token", person.email, stdout=StringIO())
    (entry,) = entries
    assert (entry.entity_kind, entry.source, entry.command) == ("ApiToken", "command", "issue_token")
    assert len(entry.correlation_id) == 32


@pytest.mark.django_db
def test_founding_a_tenant_is_recorded_in_its_own_trail() -> None:
    with recorded() as entries:
        call_command("create_tenant", "third", "The Third", stdout=StringIO())
    (entry,) = entries
    third = Tenant.unscoped.get(slug="third")
    assert (entry.tenant_id, entry.entity_kind, entry.entity_id, entry.command) == (
        third.pk, "Tenant", third.pk, "create_tenant",
    )  # fmt: skip


# Together with the change, or not at all


def test_after_a_rollback_there_is_no_entry(in_demo: None, demo: Tenant, technician: User) -> None:
    with recorded() as entries:
        with transaction.atomic():
            services.create(WorkOrder, {"title": "A"}, actor=technician)
            factories.site(demo)
            transaction.set_rollback(True)
        with listening(fail), pytest.raises(ZeroDivisionError), transaction.atomic():
            services.create(WorkOrder, {"title": "A"}, actor=technician)
    assert (entries, WorkOrder.unscoped.count(), Site.unscoped.count()) == ([], 0, 0)


@pytest.mark.django_db(transaction=True)
def test_a_service_rolls_back_its_own_change_when_a_receiver_fails() -> None:
    owner = factories.tenant()
    user, order = factories.user(owner, Role.SUPERVISOR), factories.work_order(owner, site=factories.site(owner))
    attempts: list[Callable[[], Any]] = [
        lambda: services.create(WorkOrder, {"title": "A"}, actor=user),
        lambda: services.edit(WorkOrder, item(order), {"title": "A"}, actor=user),
        lambda: services.transition(WorkOrder, item(order), "SUBMIT", actor=user),
        lambda: services.transition_many(WorkOrder, [item(order)], "SUBMIT", actor=user),
    ]
    with recorded() as entries, listening(fail), tenant_scope(owner.pk):
        for attempt in attempts:
            with pytest.raises(ZeroDivisionError):
                attempt()
    row = WorkOrder.unscoped.get()
    assert (entries, row.title, row.status, row.version) == ([], order.title, "DRAFT", 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "origin",
    [
        Origin(AuditSource.COMMAND, command="a", correlation_id="c" * 65),
        Origin(SimpleNamespace(value="smoke signal"), command="a"),  # type: ignore[arg-type]
    ],
    ids=["too long", "unknown source"],
)
def test_a_change_whose_entry_the_database_refuses_fails(origin: Origin) -> None:
    owner = factories.tenant()
    user, site = factories.user(owner, Role.SUPERVISOR), factories.site(owner)
    order = factories.work_order(owner, site=site)
    row = WorkOrder.unscoped.get()
    row.title = "By the ORM"
    attempts: list[Callable[[], Any]] = [
        lambda: services.create(WorkOrder, {"title": "A"}, actor=user),
        lambda: services.edit(WorkOrder, item(order), {"title": "A"}, actor=user),
        lambda: services.transition_many(WorkOrder, [item(order)], "SUBMIT", actor=user),
        row.save,
        lambda: factories.site(owner),
        factories.user(owner).delete,
    ]
    with recorded() as entries, origin_scope(origin), tenant_scope(owner.pk):
        for attempt in attempts:
            with pytest.raises(DatabaseError):
                attempt()
    after = WorkOrder.unscoped.get()
    assert (entries, after.title, after.status, after.version) == ([], order.title, "DRAFT", 1)
    assert (Site.unscoped.count(), User.unscoped.count()) == (1, 2)


def test_a_refusal_leaves_no_entry(in_demo: None, demo: Tenant, order: WorkOrder) -> None:
    viewer = factories.user(demo, Role.VIEWER)
    attempts: list[Callable[[], Any]] = [
        lambda: services.create(WorkOrder, {"title": "A"}, actor=viewer),
        lambda: services.edit(WorkOrder, item(order), {"title": "A"}, actor=viewer),
        lambda: services.transition(WorkOrder, item(order), "SUBMIT", actor=viewer),
    ]
    with recorded() as entries:
        for attempt in attempts:
            with pytest.raises(RefusedError), transaction.atomic():
                attempt()
    assert (entries, WorkOrder.unscoped.get().version) == ([], 1)


# Entries stay as they were written


@pytest.fixture
def entry(demo: Tenant) -> AuditEntry:
    factories.site(demo)
    return AuditEntry.unscoped.get(entity_kind="Site")


@pytest.mark.parametrize(
    "write",
    [
        lambda entry: entry.save(),
        lambda entry: entry.save(update_fields=["comment"]),
        lambda entry: entry.delete(),
        lambda _: AuditEntry.unscoped.update(comment="forged"),
        lambda _: AuditEntry.unscoped.all().update(comment="forged"),
        lambda _: AuditEntry.unscoped.all().delete(),
        lambda _: AuditEntry.unscoped.filter(pk__gt=0).delete(),
        lambda _: AuditEntry.objects.all().delete(),
        lambda _: AuditEntry.objects.update(comment="forged"),
        lambda entry: AuditEntry.unscoped.bulk_update([entry], ["comment"]),
        lambda entry: AuditEntry.unscoped.update_or_create(pk=entry.pk, defaults={"comment": "forged"}),
    ],
)
def test_the_orm_changes_and_deletes_no_entry(in_demo: None, entry: AuditEntry, write: Any) -> None:
    before = AuditEntry.unscoped.order_by("pk").values()
    known = list(before)
    entry.comment = "forged"
    with pytest.raises(AppendOnlyError), transaction.atomic():
        write(entry)
    assert list(before.all()) == known


def test_an_entry_is_not_overwritten_by_a_new_one_of_its_key(entry: AuditEntry) -> None:
    entry._state.adding = True
    entry.comment = "forged"
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save()
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        AuditEntry.unscoped.bulk_create([entry], update_conflicts=True, unique_fields=["id"], update_fields=["comment"])
    assert AuditEntry.unscoped.get(pk=entry.pk).comment == ""


STATEMENTS = {
    "UPDATE": "UPDATE audit_auditentry SET comment = 'forged'",
    "DELETE": "DELETE FROM audit_auditentry",
    "TRUNCATE": "TRUNCATE audit_auditentry CASCADE",
}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_database_refuses_it_to_the_owner_of_the_table(entry: AuditEntry, statement: str) -> None:
    before = list(AuditEntry.unscoped.order_by("pk").values())
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableowner = current_user FROM pg_tables WHERE tablename = 'audit_auditentry'")
        assert cursor.fetchone() == (True,)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError, match=f"{statement} refused"), transaction.atomic():
            cursor.execute(STATEMENTS[statement])
    assert list(AuditEntry.unscoped.order_by("pk").values()) == before


def test_retention_may_delete_entries_and_not_change_them(entry: AuditEntry) -> None:
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SET LOCAL workgraph.audit_retention = 'on'")
        with pytest.raises(IntegrityError, match="UPDATE refused"), transaction.atomic():
            cursor.execute(STATEMENTS["UPDATE"])
        cursor.execute("DELETE FROM audit_auditentry WHERE id = %s", [entry.pk])
        assert cursor.rowcount == 1


@pytest.mark.parametrize("value", ["off", "", "yes", "ON"])
def test_only_on_is_leave_to_delete(entry: AuditEntry, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('workgraph.audit_retention', %s, true)", [value])
        with pytest.raises(IntegrityError, match="DELETE refused"), transaction.atomic():
            cursor.execute(STATEMENTS["DELETE"])


@pytest.mark.django_db(transaction=True)
def test_leave_to_delete_ends_with_its_transaction() -> None:
    factories.site(factories.tenant())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL workgraph.audit_retention = 'on'")
        cursor.execute("DELETE FROM audit_auditentry WHERE entity_kind = 'Site'")
    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="DELETE refused"):
        cursor.execute(STATEMENTS["DELETE"])
    assert AuditEntry.unscoped.count() == 1


# Correlation ids


GIVEN_BACK = ["phone-7.0042", "a" * 64, "12345678", "550e8400-e29b-41d4-a716-446655440000", "Root-1:abc"]
HOSTILE = [
    "",
    "short",
    "a" * 65,
    "a" * 1000,
    "abcdefgh\n",
    "abcd\nefgh",
    "abcdefgh\r\nSet-Cookie: a=b",
    "ab cd ef gh",
    "-abcdefgh",
    "blåbærgrøt",
    "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
    "abcdefgh\x00",
    "<script>alert(1)",
    "{correlation_id}",
]


@pytest.mark.parametrize("proposed", GIVEN_BACK)
def test_a_well_formed_correlation_id_is_taken_over(proposed: str) -> None:
    assert new_correlation_id(proposed) == proposed


@pytest.mark.parametrize("proposed", HOSTILE)
def test_any_other_is_made_anew(proposed: str) -> None:
    made = new_correlation_id(proposed)
    assert (len(made), made.isalnum(), made == proposed) == (32, True, False)
    assert new_correlation_id(proposed) != made


@pytest.mark.parametrize("path", ["/graphql", "/admin/", "/login/", "/nowhere"])
@pytest.mark.django_db
def test_every_answer_carries_a_correlation_id(client: Client, path: str) -> None:
    assert client.get(path, headers={"X-Correlation-ID": "phone-7.0042"}).headers["X-Correlation-ID"] == "phone-7.0042"
    for proposed in HOSTILE:
        answer = client.get(path, headers={"X-Correlation-ID": proposed})
        assert len(answer.headers["X-Correlation-ID"]) == 32
    assert client.get(path).headers["X-Correlation-ID"] != client.get(path).headers["X-Correlation-ID"]


@pytest.mark.django_db
def test_a_refused_token_is_answered_with_the_correlation_id(client: Client) -> None:
    headers = {"Authorization": "Bearer wg_wrong", "X-Correlation-ID": "phone-7.0042"}
    answer = client.post("/graphql", "{}", content_type="application/json", headers=headers)
    assert (answer.status_code, answer.headers["X-Correlation-ID"]) == (401, "phone-7.0042")


def test_a_request_leaves_nothing_of_its_origin_behind(client: Client, technician: User) -> None:
    client.post("/graphql", '{"query": "{ me { id } }"}', content_type="application/json", headers=bearer(technician))
    assert (correlation_id(), current_origin().user_id) == ("", None)


@pytest.fixture
def console(settings: Settings) -> Iterator[StringIO]:
    """Return what a handler on the root logger writes, with the settings' format and filter."""
    stream, config = StringIO(), DictConfigurator(settings.LOGGING)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(config.configure_formatter(dict(settings.LOGGING["formatters"]["line"])))
    handler.addFilter(config.configure_filter(dict(settings.LOGGING["filters"]["correlation"])))
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def test_the_lines_of_a_request_its_entries_and_its_answer_have_one_correlation_id(
    client: Client, console: StringIO, technician: User, order: WorkOrder
) -> None:
    document = """mutation($id: ID!) {
        good: updateWorkOrder(input: {id: $id, version: 1, title: "B"}) { ... on WorkOrder { version } }
        bad: updateWorkOrder(input: {id: $id, version: 2, title: "C"}) { ... on WorkOrder { version } }
    }"""

    def fail_on_third(changed: Any, **_: Any) -> None:
        logging.getLogger("tests").warning("About to change")
        if changed.changes[0].entity.version == 3:
            raise ZeroDivisionError

    body = json.dumps({"query": document, "variables": {"id": encode_id("WorkOrder", order.pk)}})
    headers = bearer(technician)
    with recorded() as entries, listening(fail_on_third):
        answer = client.post("/graphql", body, content_type="application/json", headers=headers)
    chosen = answer.headers["X-Correlation-ID"]
    assert [entry.correlation_id for entry in entries] == [chosen]
    lines = [line for line in console.getvalue().splitlines() if line[:2] == "20"]
    assert [line.partition("] ")[2] for line in lines] == [
        "tests: About to change",
        "tests: About to change",
        "schema.errors: A resolver failed",
    ]
    assert all(f"[{chosen}]" in line for line in lines)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/nowhere", "/graphql?query=%7B"])
def test_the_line_of_a_refused_request_carries_its_correlation_id(client: Client, console: StringIO, path: str) -> None:
    client.get(path, headers={"X-Correlation-ID": "phone-7.0042"})
    (line,) = [line for line in console.getvalue().splitlines() if " django.request: " in line]
    assert "[phone-7.0042]" in line


def test_a_request_over_a_limit_leaves_no_line(
    client: Client, console: StringIO, monkeypatch: pytest.MonkeyPatch, technician: User
) -> None:
    monkeypatch.setattr("schema.budget.POINTS", Bucket("none", 1, 0.001))
    client.force_login(technician)
    statuses = [client.get("/graphql", {"query": "{ me { id } }"}).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]
    assert "django.request" not in console.getvalue()


def test_a_line_outside_of_any_request_carries_a_dash(console: StringIO) -> None:
    logging.getLogger("tests").warning("Hello")
    assert console.getvalue().endswith("WARNING [-] tests: Hello\n")


# The log file


def made(settings: Any, path: Path, **options: Any) -> logging.Handler:
    """Return a handler of the settings' kind that writes to this file."""
    config = DictConfigurator({**settings.LOGGING, "formatters": {}})
    config.config["formatters"]["bare"] = config.configure_formatter(dict(settings.LOGGING["formatters"]["bare"]))
    handler: logging.Handler = config.configure_handler(
        {**settings.AUDIT_LOG_HANDLER, "filename": str(path), **options}
    )
    return handler


@pytest.fixture
def audit_log(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """Return the path of an audit log that is written while the test runs."""
    path = tmp_path / "audit.log"
    handler = made(settings, path)
    audit_logger.addHandler(handler)
    yield path
    audit_logger.removeHandler(handler)
    handler.close()


def logged(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.django_db(transaction=True)
def test_the_log_has_a_line_for_each_entry_once_it_is_committed(audit_log: Path) -> None:
    owner = factories.tenant()
    before = len(logged(audit_log))
    with transaction.atomic():
        with command_scope("repair"):
            site = factories.site(owner, code="S1", name="Roof")
        assert len(logged(audit_log)) == before
    assert len(logged(audit_log)) == before + 1 == AuditEntry.unscoped.count()
    line, (entry,) = logged(audit_log)[-1], trail(site)
    assert line == {
        "tenant": owner.pk,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "actor": None,
        "command": "repair",
        "comment": "",
        "correlation_id": entry.correlation_id,
        "operation_id": None,
        "source": "command",
        "action": "CREATE",
        "entity_kind": "Site",
        "entity_id": site.pk,
        "entity_version": 1,
        "changes": entry.changes,
    }


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_logged(audit_log: Path) -> None:
    owner = factories.tenant()
    before = logged(audit_log)
    with transaction.atomic():
        factories.site(owner)
        transaction.set_rollback(True)
    assert logged(audit_log) == before


def test_a_bulk_is_logged_as_many_lines_of_one_operation(
    in_demo: None,
    audit_log: Path,
    supervisor: User,
    demo: Tenant,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    orders = [factories.work_order(demo, site=factories.site(demo)) for _ in range(5)]
    with django_capture_on_commit_callbacks(execute=True):
        items = [item(order) for order in orders]
        report = services.transition_many(WorkOrder, items, "SUBMIT", actor=supervisor, comment="All")
    lines = logged(audit_log)
    assert [line["entity_id"] for line in lines] == [order.pk for order in orders]
    told = {(line["operation_id"], line["actor"], line["action"], line["comment"]) for line in lines}
    assert told == {(str(report.operation_id), supervisor.pk, "SUBMIT", "All")}


def test_what_is_logged_is_redacted(
    in_demo: None,
    audit_log: Path,
    supervisor: User,
    demo: Tenant,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    ticket = factories.ticket(demo, requester_email="kari@firm.example")
    values = {"requester_email": "ola@firm.example", "description": "Call\n+47 22 33 44 55"}
    with django_capture_on_commit_callbacks(execute=True):
        services.edit(Ticket, item(ticket), values, actor=supervisor, comment="Asked ola@firm.example")
    (line,) = logged(audit_log)
    assert line["comment"] == "Asked [redacted]"
    assert line["changes"] == [
        change("description", None, "Call\n[redacted]"),
        change("requester_email", "[redacted]", "[redacted]"),
    ]


def test_without_a_log_nothing_is_written_and_nothing_fails(
    demo: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    monkeypatch.setattr(audit_logger, "handlers", [])
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        factories.site(demo)
    assert (len(callbacks), caplog.records) == (2, [])  # one counts, one logs


WRITER = """
import json, sys
from logging.config import dictConfig
from apps.audit.log import write_log
dictConfig(json.loads(sys.argv[1]))
for number in range(int(sys.argv[3])):
    shared = (1, "now", int(sys.argv[2]), "", "", "", None, "command")
    write_log(shared, [{"entity_id": number, "entity_version": place} for place in range(2)])
"""


def test_processes_that_write_and_rotate_one_log_lose_no_line(settings: Settings, tmp_path: Path) -> None:
    writers, operations = 3, 60
    handler = {**settings.AUDIT_LOG_HANDLER, "filename": str(tmp_path / "audit.log"), "maxBytes": 4000}
    config = {**settings.LOGGING, "handlers": {"audit": handler}, "filters": {}, "root": {}}
    config["loggers"] = {"workgraph.audit": {**settings.LOGGING["loggers"]["workgraph.audit"], "handlers": ["audit"]}}
    config["formatters"] = {"bare": settings.LOGGING["formatters"]["bare"]}
    command = [sys.executable, "-c", WRITER, json.dumps(config)]
    root = Path(__file__).parent.parent
    running = [
        subprocess.Popen([*command, str(writer), str(operations)], cwd=root)  # noqa: S603 (our own program)
        for writer in range(writers)
    ]
    assert [process.wait(timeout=120) for process in running] == [0] * writers
    files = [path for path in tmp_path.iterdir() if path.name.startswith("audit.log")]
    assert len(files) > 5
    lines = [line for path in files for line in logged(path)]
    wanted = {(writer, number, place) for writer in range(writers) for number in range(operations) for place in (0, 1)}
    assert Counter((line["actor"], line["entity_id"], line["entity_version"]) for line in lines) == Counter(wanted)


# Reading the trail


LOG = """query($filters: AuditEntryFilter) {
    auditLog(filters: $filters, ordering: [{at: ASC}]) { edges { node {
        id at action command comment correlationId operationId source entityVersion
        actor { id } entity { id } changes { field before after }
    } } }
}"""


def nodes(reader: User, **filters: Any) -> list[dict[str, Any]]:
    return [edge["node"] for edge in data(reader, LOG, filters=filters)["auditLog"]["edges"]]


@pytest.fixture
def history(in_demo: None, demo: Tenant, supervisor: User, technician: User) -> dict[str, Any]:
    """Return two orders of the demo tenant: one edited by a technician, both submitted by a supervisor."""
    first, second = (factories.work_order(demo, site=factories.site(demo)) for _ in range(2))
    with origin_scope(Origin(AuditSource.GRAPHQL, correlation_id="phone-7.0042")):
        services.edit(WorkOrder, item(first), {"priority": "HIGH"}, actor=technician, comment="Urgent")
    items = [Item(first.pk, 2), item(second)]
    report = services.transition_many(WorkOrder, items, "SUBMIT", actor=supervisor)
    return {"first": first, "second": second, "report": report}


def test_an_entry_is_read_with_all_it_tells(technician: User, history: dict[str, Any]) -> None:
    order = encode_id("WorkOrder", history["first"].pk)
    (node,) = nodes(technician, correlationId={"exact": "phone-7.0042"})
    entry = trail(history["first"])[1]
    assert node == {
        "id": encode_id("AuditEntry", entry.pk),
        "at": entry.at.isoformat(),
        "action": "UPDATE",
        "command": "",
        "comment": "Urgent",
        "correlationId": "phone-7.0042",
        "operationId": None,
        "source": "GRAPHQL",
        "entityVersion": 2,
        "actor": {"id": encode_id("User", technician.pk)},
        "entity": {"id": order},
        "changes": [{"field": "priority", "before": "MEDIUM", "after": "HIGH"}],
    }


def test_every_filter_of_the_log_finds_its_entries(technician: User, supervisor: User, history: dict[str, Any]) -> None:
    first, second = history["first"], history["second"]
    created, edited, submitted = trail(first)
    found = {
        "entity": (nodes(technician, entity=encode_id("WorkOrder", first.pk)), [created, edited, submitted]),
        "operation": (
            nodes(technician, operationId=str(history["report"].operation_id)),
            [submitted, trail(second)[1]],
        ),
        "actor": (nodes(technician, actor={"id": {"exact": encode_id("User", technician.pk)}}), [edited]),
        "supervisor": (
            nodes(technician, actor={"id": {"exact": encode_id("User", supervisor.pk)}}),
            [submitted, trail(second)[1]],
        ),
        "action": (nodes(technician, action={"exact": "SUBMIT"}), [submitted, trail(second)[1]]),
        "correlation": (nodes(technician, correlationId={"exact": "phone-7.0042"}), [edited]),
        "source": (nodes(technician, source={"exact": "GRAPHQL"}), [edited]),
        "id": (nodes(technician, id={"exact": encode_id("AuditEntry", edited.pk)}), [edited]),
        "at": (nodes(technician, at={"gte": submitted.at.isoformat()}), [submitted, trail(second)[1]]),
        "command": (nodes(technician, command={"exact": "nobody's"}), []),
        "none": (nodes(technician, entity=encode_id("WorkOrder", first.pk + 1000)), []),
    }
    for name, (read, wanted) in found.items():
        assert sorted(node["id"] for node in read) == sorted(encode_id("AuditEntry", each.pk) for each in wanted), name


def test_what_is_no_operation_is_refused(technician: User) -> None:
    code, message = refusal(technician, LOG, filters={"operationId": "x' OR 1=1"})
    assert (code, message) == ("BAD_REQUEST", '"x\' OR 1=1" is not the id of an operation.')


def test_a_tenant_reads_its_own_trail_only(rival: Tenant, technician: User, history: dict[str, Any]) -> None:
    stranger = factories.user(rival)
    factories.work_order(rival)
    own = {encode_id("AuditEntry", pk) for pk in AuditEntry.unscoped.filter(tenant=rival).values_list("pk", flat=True)}
    assert {node["id"] for node in nodes(stranger)} == own
    for filters in (
        {"entity": encode_id("WorkOrder", history["first"].pk)},
        {"operationId": str(history["report"].operation_id)},
        {"actor": {"id": {"exact": encode_id("User", technician.pk)}}},
        {"correlationId": {"exact": "phone-7.0042"}},
        {"action": {"exact": "SUBMIT"}},
    ):
        assert nodes(stranger, **filters) == [], filters


@pytest.mark.parametrize("kind", ["WorkOrder", "Task", "Ticket", "AttendanceRecord"])
def test_the_history_of_an_entity_is_its_own_and_newest_first(demo: Tenant, technician: User, kind: str) -> None:
    model: Any = {model.__name__: model for model in TEXTS}[kind]
    row, other = row_of(model, demo), row_of(model, demo)
    for value in ("B", "C"):
        setattr(row, TEXTS[model], value)
        row.save()
        other.save()
    query = f"""query($id: ID!) {{ node(id: $id) {{ ... on {kind} {{
        history {{ totalCount edges {{ node {{ entityVersion action changes {{ after }} }} }} }} }} }} }}"""
    history = data(technician, query, id=encode_id(kind, row.pk))["node"]["history"]
    told = [(edge["node"]["entityVersion"], edge["node"]["action"]) for edge in history["edges"]]
    assert (history["totalCount"], told) == (3, [(3, "UPDATE"), (2, "UPDATE"), (1, "CREATE")])
    assert [edge["node"]["changes"] for edge in history["edges"][:2]] == [[{"after": "C"}], [{"after": "B"}]]


def test_the_history_takes_filters_and_pages(technician: User, history: dict[str, Any]) -> None:
    query = """query($id: ID!, $filters: AuditEntryFilter, $first: Int, $after: String) {
        node(id: $id) { ... on WorkOrder { history(filters: $filters, first: $first, after: $after) {
            edges { node { action } } pageInfo { hasNextPage endCursor }
        } } } }"""
    order = encode_id("WorkOrder", history["first"].pk)

    def read(**arguments: Any) -> Any:
        return data(technician, query, id=order, **arguments)["node"]["history"]

    by_me = {"actor": {"id": {"exact": encode_id("User", technician.pk)}}}
    assert [edge["node"]["action"] for edge in read(filters=by_me)["edges"]] == ["UPDATE"]
    page = read(first=2)
    assert [edge["node"]["action"] for edge in page["edges"]] == ["SUBMIT", "UPDATE"]
    rest = read(first=2, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["action"] for edge in rest["edges"]] == ["CREATE"]
    assert (page["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)


def test_relations_are_told_by_global_ids_and_fields_by_their_names(technician: User, history: dict[str, Any]) -> None:
    (created, *_), order = nodes(technician, entity=encode_id("WorkOrder", history["first"].pk)), history["first"]
    assert {"field": "site", "before": None, "after": encode_id("Site", order.site_id)} in created["changes"]


def test_an_entry_of_what_has_no_node_is_read_without_it(demo: Tenant, technician: User) -> None:
    issue_token(user=technician, name="crane")
    (token,) = [
        node for node in nodes(technician) if {"field": "name", "before": None, "after": "crane"} in node["changes"]
    ]
    assert (token["entity"], token["action"]) == (None, "CREATE")
    assert {"field": "digest", "before": None, "after": "[redacted]"} in token["changes"]


def test_entries_outlive_what_they_tell_of(demo: Tenant, technician: User) -> None:
    site = factories.site(demo)
    key = encode_id("Site", site.pk)
    site.delete()
    read = nodes(technician, entity=key)
    assert [(node["action"], node["entity"]) for node in read] == [("CREATE", None), ("DELETE", None)]


def test_entries_of_one_moment_are_in_the_order_in_which_they_were_written(demo: Tenant, technician: User) -> None:
    order = factories.work_order(demo)
    at = factories.NOON + timedelta(days=1)
    for version in (2, 3, 4):
        factories.audit_entry(order, at=at, entity_version=version, action="UPDATE")
    read = nodes(technician, at={"exact": at.isoformat()})
    assert [node["entityVersion"] for node in read] == [2, 3, 4]
