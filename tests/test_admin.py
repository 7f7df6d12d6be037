"""The admin site: each tenant's ADMIN sees their own, quickly; operators see all; nothing skips the rules."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.adminsite import lists
from apps.accounts.models import ApiToken, Tenant, User
from apps.accounts.origin import AuditSource
from apps.accounts.roles import Role
from apps.accounts.tokens import find_token, issue_token
from apps.assets.models import Asset, AssetStatus, Site
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.audit.retention import prune
from apps.helpdesk.deadlines import deadlines
from apps.helpdesk.models import Ticket
from apps.lifecycle.priority import Priority
from apps.search.models import Synonym
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.pages import fields, open_form

MODELS: list[Any] = [
    Tenant,
    User,
    ApiToken,
    Site,
    Asset,
    WorkOrder,
    Task,
    Ticket,
    AttendanceRecord,
    AuditEntry,
    Synonym,
]
WORKFLOWS: list[Any] = [WorkOrder, Task, Ticket, AttendanceRecord]
MARK = "zebra"
"""What every text of the rival's rows holds, and no page of another tenant may."""


def name(model: Any) -> str:
    return str(model.__name__)


def url(model: Any, *rest: object) -> str:
    return "/".join(["/admin", model._meta.app_label, model._meta.model_name, *map(str, rest), ""])


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN, name="Boss")


@pytest.fixture
def desk(boss: User) -> Client:
    """Return the browser of an ADMIN of the demo tenant."""
    return signed_in(boss)


@pytest.fixture
def root(rival: Tenant) -> User:
    return factories.user(rival, Role.ADMIN, name="Root", email="root@provider.example", is_superuser=True)


@pytest.fixture
def console(root: User) -> Client:
    """Return the browser of an operator, whose own tenant is the rival."""
    return signed_in(root)


def furnish(owner: Tenant, mark: str = "", rows: int = 1) -> dict[Any, list[Any]]:
    """Make rows of every model for this tenant, with a mark in every text."""
    made: dict[Any, list[Any]] = {model: [] for model in MODELS} | {Tenant: [owner]}
    for number in range(rows):
        person = factories.user(owner, name=f"Person {number} {mark}")
        site = factories.site(owner, name=f"Site {mark}")
        asset = factories.asset(owner, name=f"Asset {mark}", site=site)
        order = factories.work_order(owner, title=f"Order {mark}", site=site, asset=asset, assignee=person)
        made[User] += [person]
        made[Site] += [site]
        made[Asset] += [asset]
        made[WorkOrder] += [order]
        made[ApiToken] += [issue_token(user=person, name=f"Token {mark}")[1]]
        made[Task] += [factories.task(owner, title=f"Task {mark}", work_order=order, asset=asset, assignee=person)]
        made[Ticket] += [factories.ticket(owner, subject=f"Ticket {mark}", site=site, assignee=person)]
        made[AttendanceRecord] += [factories.attendance_record(owner, person=person, site=site)]
        made[Synonym] += [factories.synonym(owner, meaning=f"Meaning {mark}")]
        made[AuditEntry] += [audit_entry(owner, actor=person, comment=mark, entity_id=site.pk)]
    return made


def audit_entry(owner: Tenant, **given: Any) -> AuditEntry:
    change = {"field": "name", "before": "Old", "after": "<New>"}
    entry = {"action": "UPDATE", "entity_kind": "Site", "entity_version": 2, "changes": [change]}
    return AuditEntry.unscoped.create(tenant=owner, source=AuditSource.ADMIN, **entry, **given)


# Who gets in


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TECHNICIAN, Role.SUPERVISOR])
def test_only_admins_enter(demo: Tenant, role: Role) -> None:
    client = signed_in(factories.user(demo, role))
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain == [("/admin/login/?next=/admin/", 302), ("/login/?next=/admin/", 302)]
    assert "which does not open the page you asked for" in answer.text


def test_signing_in_leads_on_to_the_page_that_was_asked_for(client: Client, demo: Tenant) -> None:
    factories.user(demo, Role.ADMIN, email="ada@demo.example", password="correct horse battery")
    asked = client.get(url(Site), follow=True)
    answer = client.post(
        "/login/", fields(asked.text) | {"username": "ADA@demo.example", "password": "correct horse battery"}
    )
    assert answer.headers["Location"] == url(Site)
    assert client.get(url(Site)).status_code == 200


def test_an_api_token_does_not_open_the_admin_site(client: Client, boss: User) -> None:
    token, _ = issue_token(user=boss)
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/admin/", headers=headers).status_code == 302
    assert client.post(url(Site, "add"), {"code": "S"}, headers=headers).status_code == 302
    assert Site.unscoped.count() == 0


def test_every_entity_has_its_pages_and_nothing_else_has() -> None:
    assert set(admin.site._registry) == set(MODELS)
    assert not admin.site.is_registered(Group)


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_every_page_opens_without_inline_code(desk: Client, console: Client, demo: Tenant, model: Any) -> None:
    (row,) = furnish(demo)[model]
    for client in (desk, console):
        for rest in ((), (row.pk, "change"), (row.pk, "history")):
            answer = client.get(url(model, *rest))
            assert answer.status_code == 200, rest
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            for forbidden in ("<style", " style=", " onclick=", "<script>"):
                assert forbidden not in answer.text


# Whose rows


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_an_admin_finds_nothing_of_another_tenant(desk: Client, demo: Tenant, rival: Tenant, model: Any) -> None:
    furnish(demo)
    (theirs,) = furnish(rival, MARK)[model]
    mine = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    filters = (f"?q={MARK.upper()}", f"?id__exact={theirs.pk}", f"?tenant__id__exact={rival.pk}", "?o=1", "?p=1&all=")
    for query in ("", *filters):
        page = desk.get(mine + query, follow=True)
        assert page.status_code == 200
        assert MARK not in page.text, query
        assert url(model, theirs.pk, "change") not in page.text, query
    for rest in ("change", "history", "delete"):
        unknown, foreign = (desk.get(url(model, pk, rest)) for pk in (999_999_999, theirs.pk))
        assert (foreign.status_code, foreign.headers.get("Location")) == (
            unknown.status_code,
            unknown.headers.get("Location"),
        )
        assert foreign.status_code in {302, 403}
    answer = desk.post(url(model, theirs.pk, "change"), {"name": "Taken", "version": "1"})
    assert answer.status_code in {302, 403}
    version = getattr(theirs, "version", None)
    assert getattr(model.unscoped.get(pk=theirs.pk), "version", None) == version


REFERENCES = [(model, field) for model, page in admin.site._registry.items() for field in page.autocomplete_fields]


def reference(value: Any) -> str:
    return value if isinstance(value, str) else name(value)


@pytest.mark.parametrize(("model", "field"), REFERENCES, ids=reference)
def test_a_reference_offers_the_rows_of_the_tenant_alone(
    desk: Client, demo: Tenant, rival: Tenant, model: Any, field: str
) -> None:
    target = model._meta.get_field(field).related_model
    mine, theirs = furnish(demo)[target][0], furnish(rival, MARK)[target][0]
    asked = {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": field}
    found = desk.get("/admin/autocomplete/?" + urlencode(asked)).json()
    assert str(mine.pk) in {row["id"] for row in found["results"]}
    assert str(theirs.pk) not in {row["id"] for row in found["results"]}
    searched = desk.get("/admin/autocomplete/?" + urlencode(asked | {"term": MARK})).json()
    assert searched["results"] == []


@pytest.mark.parametrize(("model", "field"), REFERENCES, ids=reference)
def test_a_forged_reference_to_another_tenant_is_refused(
    desk: Client, demo: Tenant, rival: Tenant, model: Any, field: str
) -> None:
    theirs = furnish(rival, MARK)[model._meta.get_field(field).related_model][0]
    before = model.unscoped.count()
    answer = desk.post(url(model, "add"), open_form(desk, url(model, "add")) | {field: str(theirs.pk)})
    assert answer.status_code == 200
    assert "Select a valid choice. That choice is not one of the available choices." in answer.text
    assert MARK not in answer.text
    assert model.unscoped.count() == before


def test_the_front_page_and_a_filter_name_nothing_of_another_tenant(
    desk: Client, console: Client, demo: Tenant, rival: Tenant
) -> None:
    theirs = furnish(rival, MARK)
    page = url(Site, theirs[Site][0].pk, "change")
    console.post(page, open_form(console, page) | {"name": f"New {MARK}"})
    assert MARK in console.get("/admin/").text
    front = desk.get("/admin/")
    assert MARK not in front.text
    assert list(front.context["log_entries"]) == []
    assert f"New {MARK}" in console.get(url(WorkOrder)).text
    assert MARK not in desk.get(url(WorkOrder)).text


def test_a_history_names_colleagues_but_not_the_people_of_another_tenant(
    desk: Client, console: Client, demo: Tenant, boss: User
) -> None:
    site = factories.site(demo)
    page = url(Site, site.pk, "change")
    for client in (desk, console):
        assert client.post(page, open_form(client, page) | {"name": "Renamed"}).status_code == 302
    history = url(Site, site.pk, "history")
    assert boss.email in desk.get(history).text
    assert "an operator" in desk.get(history).text
    assert "provider.example" not in desk.get(history).text
    assert "root@provider.example" in console.get(history).text


def test_an_operator_sees_all_tenants_and_whose_each_row_is(console: Client, demo: Tenant, rival: Tenant) -> None:
    factories.site(demo, name="Here")
    factories.site(rival, name="There")
    page = console.get(url(Site)).text
    assert "Here" in page
    assert "There" in page
    assert f'<td class="field-tenant nowrap">{demo.name}</td>' in page
    only = console.get(url(Site) + f"?tenant__id__exact={demo.pk}").text
    assert "Here" in only
    assert "There" not in only


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (User, "password__startswith"),
        (ApiToken, "digest__startswith"),
        (ApiToken, "user__password__startswith"),
        (WorkOrder, "assignee__password__startswith"),
        (WorkOrder, "assignee__api_tokens__digest__startswith"),
    ],
)
def test_secrets_cannot_be_guessed_by_filters(desk: Client, demo: Tenant, model: Any, lookup: str) -> None:
    furnish(demo)
    assert desk.get(url(model) + f"?{lookup}=a").status_code == 400


# What a new row gets


def test_a_new_work_order_is_a_draft_with_a_number_requested_by_whoever_entered_it(
    desk: Client, boss: User, demo: Tenant
) -> None:
    factories.work_order(demo)
    form = open_form(desk, url(WorkOrder, "add"))
    assert "status" not in form
    answer = desk.post(url(WorkOrder, "add"), form | {"title": "Paint the hall", "status": "CLOSED", "serial": "7"})
    assert answer.status_code == 302
    row = WorkOrder.unscoped.get(title="Paint the hall")
    assert (row.tenant, row.number, row.status, row.requested_by, row.version) == (demo, "WO-000002", "DRAFT", boss, 1)


def test_a_refused_new_row_uses_up_no_number(desk: Client, demo: Tenant) -> None:
    form = open_form(desk, url(WorkOrder, "add"))
    assert desk.post(url(WorkOrder, "add"), form | {"title": " "}).status_code == 200
    desk.post(url(WorkOrder, "add"), form | {"title": "Paint the hall"})
    assert WorkOrder.unscoped.get().number == "WO-000001"


@pytest.mark.parametrize(
    ("priority", "response", "resolution"),
    [
        (Priority.CRITICAL, timedelta(hours=1), timedelta(hours=4)),
        (Priority.HIGH, timedelta(hours=4), timedelta(days=1)),
        (Priority.MEDIUM, timedelta(days=1), timedelta(days=3)),
        (Priority.LOW, timedelta(days=3), timedelta(days=7)),
    ],
)
def test_a_new_ticket_is_due_by_its_priority(
    desk: Client, demo: Tenant, priority: Priority, response: timedelta, resolution: timedelta
) -> None:
    form = open_form(desk, url(Ticket, "add")) | {"subject": "Water on the floor", "priority": priority}
    assert desk.post(url(Ticket, "add"), form).status_code == 302
    row = Ticket.unscoped.get()
    assert (row.number, row.status) == ("T-000001", "NEW")
    assert row.response_due_at - row.created_at == response
    assert row.resolution_due_at - row.created_at == resolution


def test_a_tickets_deadlines_follow_its_priority_and_nothing_else(desk: Client, demo: Tenant) -> None:
    row = factories.ticket(demo, priority=Priority.LOW, requester_email="x@y.example")
    page = url(Ticket, row.pk, "change")
    desk.post(page, open_form(desk, page) | {"subject": "Flood"})
    assert Ticket.unscoped.get().response_due_at == row.response_due_at
    desk.post(page, open_form(desk, page) | {"priority": "CRITICAL"})
    assert Ticket.unscoped.get().response_due_at == row.created_at + timedelta(hours=1)


def test_an_unknown_priority_has_no_deadline() -> None:
    with pytest.raises(ValueError, match="URGENT"):
        deadlines("URGENT", timezone.now())


@pytest.mark.parametrize("model", [Site, Asset, WorkOrder, Task, Ticket, AttendanceRecord, User], ids=name)
def test_an_operator_chooses_whose_a_new_row_is(console: Client, demo: Tenant, model: Any) -> None:
    rows = furnish(demo)
    entries: dict[Any, dict[str, str]] = {
        Site: {"code": "S", "name": "New"},
        Asset: {"code": "A", "name": "New", "site": str(rows[Site][0].pk)},
        WorkOrder: {"title": "New"},
        Task: {"title": "New"},
        Ticket: {"subject": "New"},
        AttendanceRecord: {
            "person": str(rows[User][0].pk),
            "site": str(rows[Site][0].pk),
            "checked_in_at": "2026-11-02T07:00:00",
        },
        User: {"email": "new@demo.example", "name": "New", "usable_password": "false"},
    }
    form = open_form(console, url(model, "add")) | entries[model]
    assert form["of_tenant"] == ""
    refused = console.post(url(model, "add"), form)
    assert (refused.status_code, "This field is required." in refused.text) == (200, True)
    assert console.post(url(model, "add"), form | {"of_tenant": str(demo.pk)}).status_code == 302
    row = model.unscoped.latest("id")
    assert row.tenant == demo
    if model is WorkOrder:
        assert row.requested_by is None


def test_an_operator_cannot_mix_two_tenants_in_one_row(console: Client, demo: Tenant, rival: Tenant) -> None:
    site = factories.site(rival)
    form = open_form(console, url(Asset, "add")) | {"code": "A", "name": "New", "site": str(site.pk)}
    answer = console.post(url(Asset, "add"), form | {"of_tenant": str(demo.pk)})
    assert answer.status_code == 200
    assert "Choose one of the same tenant." in answer.text
    assert Asset.unscoped.count() == 0


def test_an_admins_new_row_is_their_tenants_whatever_the_form_says(desk: Client, demo: Tenant, rival: Tenant) -> None:
    form = open_form(desk, url(Site, "add"))
    assert "of_tenant" not in form
    forged = {"code": "S", "name": "New", "of_tenant": str(rival.pk), "tenant": str(rival.pk)}
    assert desk.post(url(Site, "add"), form | forged).status_code == 302
    assert Site.unscoped.get().tenant == demo


def test_a_code_that_is_taken_is_refused_in_words(desk: Client, demo: Tenant, rival: Tenant) -> None:
    factories.site(demo, code="S1")
    factories.site(rival, code="S2")
    form = open_form(desk, url(Site, "add")) | {"name": "New"}
    answer = desk.post(url(Site, "add"), form | {"code": "S1"})
    assert (answer.status_code, "already exists" in answer.text) == (200, True)
    assert desk.post(url(Site, "add"), form | {"code": "S2"}).status_code == 302


def test_half_a_position_is_refused_in_words(desk: Client, demo: Tenant) -> None:
    form = open_form(desk, url(Site, "add")) | {"code": "S", "name": "New"}
    answer = desk.post(url(Site, "add"), form | {"latitude": "59.9"})
    assert "Enter both latitude and longitude, or neither." in answer.text
    assert desk.post(url(Site, "add"), form | {"latitude": "59.9", "longitude": "0"}).status_code == 302


# What cannot be done


@pytest.mark.parametrize("model", WORKFLOWS, ids=name)
def test_a_status_is_not_edited(desk: Client, demo: Tenant, model: Any) -> None:
    (row,) = furnish(demo)[model]
    page = url(model, row.pk, "change")
    form = open_form(desk, page)
    assert "status" not in form
    assert desk.post(page, form | {"status": "CANCELLED"}).status_code == 302
    assert model.unscoped.get(pk=row.pk).status == row.status


def test_the_status_of_an_asset_is_edited(desk: Client, demo: Tenant) -> None:
    row = factories.asset(demo)
    page = url(Asset, row.pk, "change")
    assert desk.post(page, open_form(desk, page) | {"status": "DOWN"}).status_code == 302
    assert Asset.unscoped.get().status == AssetStatus.DOWN


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (WorkOrder, "serial", "99"),
        (WorkOrder, "requested_by", ""),
        (WorkOrder, "started_at", "2026-11-02T07:00:00"),
        (Task, "assignee", ""),
        (Ticket, "response_due_at", "2026-11-02T07:00:00"),
        (AttendanceRecord, "check_in_latitude", "1"),
        (AttendanceRecord, "person", ""),
        (ApiToken, "expires_at", "2099-11-02T07:00:00"),
        (ApiToken, "digest", "0"),
        (ApiToken, "user", ""),
    ],
)
def test_what_a_form_does_not_offer_it_does_not_take(
    desk: Client, demo: Tenant, model: Any, field: str, value: str
) -> None:
    (row,) = furnish(demo)[model]
    page = url(model, row.pk, "change")
    form = open_form(desk, page)
    assert field not in form
    assert desk.post(page, form | {field: value}).status_code == 302
    after = model.unscoped.get(pk=row.pk)
    assert (getattr(after, field), after.version) == (getattr(row, field), 2)


@pytest.mark.parametrize("model", [*WORKFLOWS, User, ApiToken, AuditEntry], ids=name)
def test_these_are_never_deleted(desk: Client, console: Client, demo: Tenant, model: Any) -> None:
    (row,) = furnish(demo)[model]
    for client in (desk, console):
        assert client.post(url(model, row.pk, "delete"), {"post": "yes"}).status_code == 403
    assert model.unscoped.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_no_list_deletes_in_bulk(desk: Client, demo: Tenant, model: Any) -> None:
    row = furnish(demo)[model][0]
    before = model.unscoped.count()
    chosen = {"action": "delete_selected", "_selected_action": [f"{row.pk},1", str(row.pk)], "post": "yes"}
    assert desk.post(url(model), chosen).status_code in {200, 302, 403}
    assert model.unscoped.count() == before


def test_what_others_refer_to_is_not_deleted_and_the_page_names_a_few_of_them(desk: Client, demo: Tenant) -> None:
    site = factories.site(demo)
    for number in range(8):
        factories.work_order(demo, site=site, title=f"Order {number}")
    factories.asset(demo, site=site)
    page = desk.get(url(Site, site.pk, "delete"))
    assert page.text.count("<li>work order: ") == 5
    assert page.text.count("<li>asset: ") == 1
    assert "<li>and more work orders</li>" in page.text
    assert 'value="yes"' not in page.text
    assert desk.post(url(Site, site.pk, "delete"), {"post": "yes"}).status_code == 200
    assert Site.unscoped.filter(pk=site.pk).exists()


def test_what_nothing_refers_to_is_deleted_after_a_question(desk: Client, demo: Tenant) -> None:
    site = factories.site(demo)
    assert 'value="yes"' in desk.get(url(Site, site.pk, "delete")).text
    assert desk.post(url(Site, site.pk, "delete"), {"post": "yes"}).status_code == 302
    assert not Site.unscoped.exists()


def test_tenants_are_founded_by_operators_who_alone_set_slugs(desk: Client, console: Client, demo: Tenant) -> None:
    assert desk.get(url(Tenant, "add")).status_code == 403
    page = url(Tenant, demo.pk, "change")
    form = open_form(desk, page)
    assert "slug" not in form
    assert desk.post(page, form | {"name": "Demo Inc.", "slug": "stolen"}).status_code == 302
    row = Tenant.unscoped.get(pk=demo.pk)
    assert (row.name, row.slug) == ("Demo Inc.", demo.slug)
    console.post(url(Tenant, "add"), open_form(console, url(Tenant, "add")) | {"slug": "third", "name": "Third"})
    assert Tenant.unscoped.get(slug="third").name == "Third"


def test_a_tenant_is_deleted_by_an_operator_once_it_has_nothing_and_its_trail_is_pruned(
    desk: Client, console: Client, demo: Tenant
) -> None:
    third = factories.tenant()
    assert desk.post(url(Tenant, demo.pk, "delete"), {"post": "yes"}).status_code == 403
    assert "<li>user: " in console.get(url(Tenant, demo.pk, "delete")).text
    page = url(Tenant, third.pk, "delete")
    assert "<li>audit entry: " in console.get(page).text
    assert console.post(page, {"post": "yes"}).status_code == 200
    assert Tenant.unscoped.filter(pk=third.pk).exists()
    assert list(prune(third.pk, timezone.now())) == [1]
    assert console.post(page, {"post": "yes"}).status_code == 302
    assert not Tenant.unscoped.filter(pk=third.pk).exists()


def test_the_audit_trail_is_read_only(desk: Client, demo: Tenant) -> None:
    row = audit_entry(demo, entity_id=4711)
    page = desk.get(url(AuditEntry, row.pk, "change")).text
    assert "<tr><th>name</th><td>Old</td><td>&lt;New&gt;</td></tr>" in page
    assert desk.get(url(AuditEntry, "add")).status_code == 403
    assert desk.post(url(AuditEntry, row.pk, "change"), {"action": "FORGED"}).status_code == 403
    assert url(AuditEntry, row.pk, "change") in desk.get(url(AuditEntry) + "?q=4711").text
    for nothing in ("4712", "name", "9" * 30):
        assert url(AuditEntry, row.pk, "change") not in desk.get(url(AuditEntry) + f"?q={nothing}").text


# People


def test_a_new_user_gets_a_hashed_password_and_can_sign_in(desk: Client, demo: Tenant, client: Client) -> None:
    form = open_form(desk, url(User, "add")) | {
        "email": "New@Demo.Example",
        "name": "New",
        "role": "TECHNICIAN",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
    }
    assert desk.post(url(User, "add"), form).status_code == 302
    row = User.unscoped.get(email="new@demo.example")
    assert (row.tenant, row.role, row.is_superuser) == (demo, "TECHNICIAN", False)
    assert "correct horse" not in row.password
    assert client.login(username="new@demo.example", password="correct horse battery")


@pytest.mark.parametrize("password", ["short", "password", "new@demo.example"])
def test_a_weak_password_is_refused(desk: Client, password: str) -> None:
    form = open_form(desk, url(User, "add")) | {"email": "new@demo.example", "name": "New", "usable_password": "true"}
    answer = desk.post(url(User, "add"), form | {"password1": password, "password2": password})
    assert answer.status_code == 200
    assert not User.unscoped.filter(email="new@demo.example").exists()


@pytest.mark.parametrize("taken", ["there@rival.example", "THERE@rival.example", "here@demo.example"])
def test_an_address_that_is_taken_is_refused_in_words_that_do_not_say_by_whom(
    desk: Client, demo: Tenant, rival: Tenant, taken: str
) -> None:
    factories.user(rival, email="there@rival.example")
    factories.user(demo, email="here@demo.example")
    form = open_form(desk, url(User, "add")) | {"email": taken, "name": "New", "usable_password": "false"}
    answer = desk.post(url(User, "add"), form)
    assert answer.status_code == 200
    assert "This address cannot be used. Choose another." in answer.text
    assert rival.name not in answer.text


def test_an_admin_makes_nobody_an_operator(desk: Client, boss: User, demo: Tenant) -> None:
    colleague = factories.user(demo, Role.ADMIN)
    for user in (boss, colleague):
        page = url(User, user.pk, "change")
        form = open_form(desk, page)
        assert "is_superuser" not in form
        assert desk.post(page, form | {"is_superuser": "on"}).status_code == 302
    new = {"email": "new@demo.example", "name": "New", "usable_password": "false", "is_superuser": "on"}
    assert desk.post(url(User, "add"), open_form(desk, url(User, "add")) | new).status_code == 302
    assert not User.unscoped.filter(is_superuser=True).exists()


def test_an_admin_moves_nobody_to_another_tenant(desk: Client, console: Client, demo: Tenant, rival: Tenant) -> None:
    colleague = factories.user(demo)
    page = url(User, colleague.pk, "change")
    for client in (desk, console):
        form = open_form(client, page) | {"tenant": str(rival.pk), "of_tenant": str(rival.pk)}
        assert client.post(page, form).status_code == 302
    assert User.unscoped.get(pk=colleague.pk).tenant == demo


def test_an_admin_neither_edits_an_operator_of_their_tenant_nor_acts_as_one(desk: Client, demo: Tenant) -> None:
    operator = factories.user(demo, Role.ADMIN, is_superuser=True)
    assert desk.post(url(User, operator.pk, "change"), {"name": "Mine"}).status_code == 403
    assert desk.get(f"/admin/accounts/user/{operator.pk}/password/").status_code == 403
    passwords = {"password1": "correct horse battery", "password2": "correct horse battery"}
    assert desk.post(f"/admin/accounts/user/{operator.pk}/password/", passwords).status_code == 403
    answer = desk.post(url(ApiToken, "add"), open_form(desk, url(ApiToken, "add")) | {"user": str(operator.pk)})
    assert "Operators issue their tokens themselves." in answer.text
    assert ApiToken.unscoped.count() == 0
    row = User.unscoped.get(pk=operator.pk)
    assert (row.version, row.password) == (operator.version, operator.password)


def test_an_admin_does_not_lock_themselves_out(desk: Client, boss: User) -> None:
    page = url(User, boss.pk, "change")
    form = open_form(desk, page)
    assert not {"role", "is_active"} & set(form)
    assert desk.post(page, form | {"role": "VIEWER", "name": "Boss II"}).status_code == 302
    row = User.unscoped.get(pk=boss.pk)
    assert (row.name, row.role, row.is_active) == ("Boss II", "ADMIN", True)


def test_an_operator_makes_and_unmakes_operators(console: Client, demo: Tenant) -> None:
    person = factories.user(demo, Role.ADMIN)
    page = url(User, person.pk, "change")
    assert console.post(page, open_form(console, page) | {"is_superuser": "on"}).status_code == 302
    assert User.unscoped.get(pk=person.pk).is_superuser
    form = open_form(console, page)
    assert form.pop("is_superuser") == "on"
    assert console.post(page, form).status_code == 302
    assert not User.unscoped.get(pk=person.pk).is_superuser


def test_an_admin_sets_a_password_which_no_page_and_no_log_shows(desk: Client, demo: Tenant, client: Client) -> None:
    person = factories.user(demo, password="the old one, long")
    page = f"/admin/accounts/user/{person.pk}/password/"
    passwords = {"usable_password": "true", "password1": "correct horse battery", "password2": "correct horse battery"}
    assert desk.post(page, open_form(desk, page) | passwords | {"set-password": "1"}).status_code == 302
    assert client.login(username=person.email, password="correct horse battery")
    row = User.unscoped.get(pk=person.pk)
    secret = row.password.rpartition("$")[2]
    page = desk.get(url(User, person.pk, "change")).text
    assert secret not in page
    assert LogEntry.objects.get().get_change_message() == "Changed password."


# Tokens


def test_a_token_is_issued_in_the_admin_site_and_shown_once(desk: Client, demo: Tenant) -> None:
    person = factories.user(demo)
    form = open_form(desk, url(ApiToken, "add")) | {"user": str(person.pk), "name": "crane", "days": "5"}
    issued = desk.post(url(ApiToken, "add"), form)
    stored = [str(one.get_decoded()) for one in Session.objects.all()] + [str(desk.session.items())]
    shown = desk.get(issued.headers["Location"]).text
    text = shown.partition("The token is <code>")[2].partition("</code>")[0]
    token = factories.stored_token(text)
    assert (token.user, token.name, token.tenant) == (person, "crane", demo)
    assert abs(token.expires_at - timezone.now() - timedelta(days=5)) < timedelta(minutes=1)
    assert text not in desk.get(url(ApiToken)).text
    assert text not in desk.get(url(ApiToken, token.pk, "change")).text
    assert token.digest not in desk.get(url(ApiToken, token.pk, "change")).text
    assert not [session for session in stored if text in session]
    assert text not in LogEntry.objects.get().object_repr


@pytest.mark.parametrize(
    ("days", "issued"), [("", 1), ("1", 1), ("3650", 1), ("0", 0), ("-1", 0), ("3651", 0), ("x", 0)]
)
def test_a_token_lives_one_day_to_ten_years(desk: Client, demo: Tenant, days: str, issued: int) -> None:
    person = factories.user(demo)
    desk.post(url(ApiToken, "add"), open_form(desk, url(ApiToken, "add")) | {"user": str(person.pk), "days": days})
    assert ApiToken.unscoped.count() == issued


def test_no_token_is_issued_to_somebody_inactive(desk: Client, demo: Tenant) -> None:
    person = factories.user(demo, is_active=False)
    answer = desk.post(url(ApiToken, "add"), open_form(desk, url(ApiToken, "add")) | {"user": str(person.pk)})
    assert "This user is not active." in answer.text
    assert ApiToken.unscoped.count() == 0


def test_an_operators_token_for_somebody_is_that_persons_tenants(console: Client, demo: Tenant) -> None:
    person = factories.user(demo)
    form = open_form(console, url(ApiToken, "add"))
    assert "of_tenant" not in form
    assert console.post(url(ApiToken, "add"), form | {"user": str(person.pk)}).status_code == 302
    assert ApiToken.unscoped.get().tenant == demo


def test_chosen_tokens_are_revoked(desk: Client, demo: Tenant) -> None:
    person = factories.user(demo)
    (first, row), (second, _) = issue_token(user=person), issue_token(user=person)
    answer = desk.post(url(ApiToken), {"action": "revoke", "_selected_action": [f"{row.pk},1"]}, follow=True)
    assert "Revoked: " in answer.text
    assert find_token(first) is None
    assert find_token(second) is not None
    assert LogEntry.objects.get().get_change_message() == "Revoked."


def test_a_token_changed_meanwhile_is_not_revoked_unseen(desk: Client, demo: Tenant) -> None:
    text, row = issue_token(user=factories.user(demo))
    row.name = "renamed"
    row.save()
    answer = desk.post(url(ApiToken), {"action": "revoke", "_selected_action": [f"{row.pk},1"]}, follow=True)
    assert "The execution was aborted." in answer.text
    assert find_token(text) is not None


def test_another_tenants_token_is_not_revoked(desk: Client, rival: Tenant) -> None:
    text, row = issue_token(user=factories.user(rival))
    desk.post(url(ApiToken), {"action": "revoke", "_selected_action": [f"{row.pk},1"]})
    assert find_token(text) is not None


# Lists


def statements(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as sent:
        assert client.get(path).status_code == 200
    return len(sent)


@pytest.mark.parametrize("who", ["desk", "console"])
@pytest.mark.parametrize("model", [model for model in MODELS if model is not Tenant], ids=name)
def test_a_list_of_a_hundred_costs_the_statements_of_a_list_of_two(
    request: pytest.FixtureRequest, demo: Tenant, model: Any, who: str
) -> None:
    client = request.getfixturevalue(who)
    furnish(demo, rows=2)
    client.get(url(model))  # content types are cached from here on
    few = statements(client, url(model))
    furnish(demo, rows=98)
    assert client.get(url(model)).text.count("<tr><") >= 100
    assert statements(client, url(model)) == few
    assert few <= 5


def test_a_count_is_stopped_and_says_so(desk: Client, demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "COUNTED_AT_MOST", 2)
    for _ in range(2):
        factories.site(demo)
    assert "\n2 sites\n" in desk.get(url(Site)).text
    factories.site(demo)
    with CaptureQueriesContext(connection) as sent:
        page = desk.get(url(Site)).text
    assert "\n2+ sites\n" in page
    counts = [query["sql"] for query in sent if "COUNT(" in query["sql"]]
    assert len(counts) == 1
    assert "LIMIT 3" in counts[0]
    assert "ORDER BY" not in counts[0]


@pytest.mark.parametrize("term", ["WO-000002", "wo-2", "2", "000002", " WO-000002 "])
def test_a_number_finds_its_row_by_the_index(desk: Client, demo: Tenant, term: str) -> None:
    factories.work_order(demo, title="Order 2")
    wanted = factories.work_order(demo, title="The wanted one")
    with CaptureQueriesContext(connection) as sent:
        page = desk.get(url(WorkOrder) + "?" + urlencode({"q": term})).text
    assert url(WorkOrder, wanted.pk, "change") in page
    assert "Order 2" not in page
    assert not any("LIKE" in query["sql"] for query in sent)


@pytest.mark.parametrize("term", ["%", "_", "'", '"', "\\", "a\0b", "9" * 40, "(", "WO-", "x " * 50])
def test_whatever_is_searched_for_is_text(desk: Client, demo: Tenant, term: str) -> None:
    furnish(demo)
    for model in MODELS:
        answer = desk.get(url(model) + "?" + urlencode({"q": term}))
        assert answer.status_code == 200, model


@pytest.mark.parametrize("term", ["%", "_", "\\", "lai_", "p%n"])
def test_no_wildcard_is_interpreted(desk: Client, demo: Tenant, term: str) -> None:
    row = factories.work_order(demo, title="Plain")
    assert url(WorkOrder, row.pk, "change") not in desk.get(url(WorkOrder) + "?" + urlencode({"q": term})).text


def test_choices_are_called_what_the_api_calls_them(desk: Client, demo: Tenant) -> None:
    factories.work_order(demo)
    page = desk.get(url(WorkOrder)).text
    assert '<span title="Being written">Draft</span>' in page
    assert '<a href="?status__exact=IN_PROGRESS">In progress</a>' in page.replace("\n", "").replace("    ", "")
    assert '<option value="HIGH">High: Soon: it hinders people</option>' in desk.get(url(WorkOrder, "add")).text


@pytest.mark.parametrize("pk", ["0", "-1", "x", "1" * 30, "1_0", "%00"])
def test_an_impossible_id_is_an_unknown_one(desk: Client, demo: Tenant, pk: str) -> None:
    for model in MODELS:
        assert desk.get(url(model, pk, "change")).status_code == 302, model
