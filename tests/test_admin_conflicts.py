"""Two people edit one row in the admin site: nothing either of them entered is lost."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.views import View

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.pages import fields, open_form

CONFLICT = "Somebody else saved this work order"
BY_ADA = "Ada saved this work order"
DUE = datetime(2026, 11, 5, 8, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def order(demo: Tenant) -> WorkOrder:
    return factories.work_order(demo, title="Replace pump seal", description="On the roof", due_at=DUE)


@pytest.fixture
def page(order: WorkOrder) -> str:
    return f"/admin/work_orders/workorder/{order.pk}/change/"


def admin_of(tenant: Tenant, name: str) -> Client:
    client = Client()
    client.force_login(factories.user(tenant, Role.ADMIN, name=name))
    return client


@pytest.fixture
def ada(demo: Tenant) -> Client:
    return admin_of(demo, "Ada")


@pytest.fixture
def bob(demo: Tenant) -> Client:
    return admin_of(demo, "Bob")


def now(order: WorkOrder) -> WorkOrder:
    return WorkOrder.unscoped.get(pk=order.pk)


def saved(answer: Any) -> bool:
    assert answer.status_code in {200, 302}
    return bool(answer.status_code == 302)


def test_one_after_the_other_both_save(ada: Client, bob: Client, page: str, order: WorkOrder) -> None:
    assert saved(ada.post(page, open_form(ada, page) | {"title": "By Ada"}))
    assert saved(bob.post(page, open_form(bob, page) | {"title": "By Bob"}))
    assert (now(order).title, now(order).version) == ("By Bob", 3)


def test_the_second_sees_the_conflict_and_nothing_is_overwritten(
    ada: Client, bob: Client, page: str, order: WorkOrder
) -> None:
    hers, his = open_form(ada, page), open_form(bob, page)
    assert saved(ada.post(page, hers | {"title": "By Ada"}))
    answer = bob.post(page, his | {"title": "By Bob", "description": "Typed for half an hour"})
    assert not saved(answer)
    assert BY_ADA in answer.text
    assert "Changed meanwhile to “By Ada”. What you entered is kept; saving again replaces that." in answer.text
    assert (now(order).title, now(order).description, now(order).version) == ("By Ada", "On the roof", 2)
    assert LogEntry.objects.count() == 1


def test_what_he_typed_stays_in_the_form_and_is_saved_once_he_has_seen_hers(
    ada: Client, bob: Client, page: str, order: WorkOrder
) -> None:
    hers, his = open_form(ada, page), open_form(bob, page)
    ada.post(page, hers | {"title": "By Ada"})
    again = fields(bob.post(page, his | {"title": "By Bob", "description": "Typed for half an hour"}).text)
    assert (again["title"], again["description"]) == ("By Bob", "Typed for half an hour")
    assert saved(bob.post(page, again))
    assert (now(order).title, now(order).description, now(order).version) == ("By Bob", "Typed for half an hour", 3)


def test_what_he_did_not_touch_comes_up_to_date_so_that_saving_again_keeps_her_change(
    ada: Client, bob: Client, page: str, order: WorkOrder, demo: Tenant
) -> None:
    site, worker = factories.site(demo, code="ROOF", name="Site ROOF"), factories.user(demo, name="Wim Worker")
    hers, his = open_form(ada, page), open_form(bob, page)
    changes = {
        "description": "In the cellar",
        "priority": "HIGH",
        "site": str(site.pk),
        "assignee": str(worker.pk),
        "due_at": "2026-11-09T10:00:00",
    }
    assert saved(ada.post(page, hers | changes))
    answer = bob.post(page, his | {"title": "By Bob"})
    again = fields(answer.text)
    assert {name: again[name] for name in (*changes, "title")} == changes | {"title": "By Bob"}
    for shown in ("In the cellar", "High", "ROOF Site ROOF", "Wim Worker"):
        assert f"Changed meanwhile to “{shown}”, which is filled in now." in answer.text
    assert saved(bob.post(page, again))
    row = now(order)
    assert (row.title, row.description, row.priority, row.site, row.assignee) == (
        "By Bob",
        "In the cellar",
        "HIGH",
        site,
        worker,
    )
    assert row.due_at == datetime(2026, 11, 9, 10, tzinfo=UTC)


def test_a_value_that_was_cleared_meanwhile_stays_cleared(
    ada: Client, bob: Client, page: str, order: WorkOrder
) -> None:
    hers, his = open_form(ada, page), open_form(bob, page)
    ada.post(page, hers | {"description": "", "due_at": ""})
    answer = bob.post(page, his | {"title": "By Bob"})
    assert answer.text.count("Changed meanwhile to “empty”, which is filled in now.") == 2
    bob.post(page, fields(answer.text))
    assert (now(order).title, now(order).description, now(order).due_at) == ("By Bob", "", None)


def test_the_same_change_twice_is_no_disagreement(ada: Client, bob: Client, page: str, order: WorkOrder) -> None:
    hers, his = open_form(ada, page), open_form(bob, page)
    ada.post(page, hers | {"title": "New seal"})
    answer = bob.post(page, his | {"title": "New seal"})
    assert BY_ADA in answer.text
    assert "Changed meanwhile" not in answer.text
    assert saved(bob.post(page, fields(answer.text)))


def test_a_third_change_before_the_second_try_is_a_new_conflict(
    ada: Client, bob: Client, page: str, order: WorkOrder
) -> None:
    his = open_form(bob, page)
    ada.post(page, open_form(ada, page) | {"title": "By Ada"})
    again = fields(bob.post(page, his | {"title": "By Bob"}).text)
    ada.post(page, open_form(ada, page) | {"title": "By Ada again"})
    answer = bob.post(page, again)
    assert "Changed meanwhile to “By Ada again”. What you entered is kept" in answer.text
    assert now(order).title == "By Ada again"


def test_an_invalid_entry_and_a_conflict_are_told_together(
    ada: Client, bob: Client, page: str, order: WorkOrder
) -> None:
    his = open_form(bob, page)
    ada.post(page, open_form(ada, page) | {"description": "In the cellar"})
    answer = bob.post(page, his | {"title": ""})
    assert BY_ADA in answer.text
    assert "This field is required." in answer.text
    again = fields(answer.text)
    assert (again["title"], again["description"]) == ("", "In the cellar")
    assert saved(bob.post(page, again | {"title": "By Bob"}))
    assert (now(order).title, now(order).description) == ("By Bob", "In the cellar")


def test_a_checkbox_merges_like_any_field(ada: Client, bob: Client, demo: Tenant) -> None:
    person = factories.user(demo, name="Pat")
    page = f"/admin/accounts/user/{person.pk}/change/"
    hers, his = open_form(ada, page), open_form(bob, page)
    assert hers.pop("is_active") == "on"
    assert saved(ada.post(page, hers))
    answer = bob.post(page, his | {"name": "Patricia"})
    assert "Changed meanwhile to “False”, which is filled in now." in answer.text
    again = fields(answer.text)
    assert "is_active" not in again
    assert saved(bob.post(page, again))
    row = User.unscoped.get(pk=person.pk)
    assert (row.name, row.is_active, row.version) == ("Patricia", False, 3)


def test_saving_an_untouched_form_changes_nothing_but_the_version(ada: Client, page: str, order: WorkOrder) -> None:
    assert saved(ada.post(page, open_form(ada, page)))
    row = now(order)
    assert (row.title, row.description, row.due_at, row.version) == (order.title, order.description, DUE, 2)
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_the_row_is_locked_from_the_check_to_the_save(ada: Client, page: str) -> None:
    form = open_form(ada, page)
    with CaptureQueriesContext(connection) as sent:
        ada.post(page, form | {"title": "By Ada"})
    steps = [
        query["sql"]
        for query in sent
        if 'FOR NO KEY UPDATE OF "work_orders_workorder"' in query["sql"]
        or query["sql"].startswith('UPDATE "work_orders_workorder"')
    ]
    assert [step.split()[0] for step in steps] == ["SELECT", "UPDATE"]
    assert '"version" = 1' in steps[1].partition("WHERE")[2]


def test_a_forged_version_is_refused(ada: Client, page: str, order: WorkOrder) -> None:
    answer = ada.post(page, open_form(ada, page) | {"title": "Forged", "version": "2:forged"})
    assert answer.status_code == 400
    assert now(order).version == 1


@pytest.mark.parametrize("version", ["", None])
def test_a_missing_version_is_a_conflict(ada: Client, page: str, order: WorkOrder, version: str | None) -> None:
    form = open_form(ada, page) | {"title": "Blind"}
    form.pop("version")
    answer = ada.post(page, form | ({} if version is None else {"version": version}))
    assert not saved(answer)
    assert CONFLICT in answer.text
    assert (now(order).title, now(order).version) == ("Replace pump seal", 1)


class Stale(View):
    """A view that saves a row which somebody else saved a moment ago."""

    def get(self, *_: Any, **__: Any) -> None:
        first, second = WorkOrder.objects.get(), WorkOrder.objects.get()
        first.save()
        second.save()


urlpatterns = [path("stale/", Stale.as_view())]


@pytest.mark.urls("tests.test_admin_conflicts")
def test_a_race_that_no_form_could_settle_ends_on_a_page_that_says_so(ada: Client, order: WorkOrder) -> None:
    ada.raise_request_exception = False
    answer = ada.get("/stale/?q=1")
    assert answer.status_code == 409
    assert "Somebody else saved this work order at the same moment." in answer.text
    assert 'href="/stale/?q=1"' in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
