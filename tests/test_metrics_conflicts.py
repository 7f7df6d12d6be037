"""Each version conflict counts once, wherever it was found: by a service, by the admin site's form, by a save."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from concurrency.exceptions import RecordModifiedError
from django.db import connection, transaction
from django.test import Client

from apps.accounts.models import Tenant, User
from apps.accounts.records import Versioned
from apps.accounts.roles import Role
from apps.assets.models import Site
from apps.helpdesk.models import Ticket
from apps.lifecycle.idempotency import Request, once
from apps.lifecycle.metrics import CONFLICTS
from tests import factories
from tests.counts import moves
from tests.pages import fields, open_form
from tests.rest import Script
from tests.writing import in_state, listening, move, mutate, target

CONFLICT: Final = "concurrency_conflict_total"
ERROR: Final = "state_transition_error_total"


def stale(owner: Tenant) -> Site:
    """Return a site that somebody else has saved since."""
    seen = factories.site(owner)
    Site.unscoped.get(pk=seen.pk).save()
    return seen


@pytest.mark.parametrize("write", [Site.save, Site.delete])
def test_a_stale_save_or_deletion_by_the_orm_counts(demo: Tenant, write: Callable[[Site], Any]) -> None:
    site = stale(demo)
    with moves(CONFLICT) as moved, pytest.raises(RecordModifiedError), transaction.atomic():
        write(site)
    assert moved == {f"{CONFLICT} Site no": 1}


def test_a_stale_save_in_the_admin_site_counts_each_time_it_is_shown(demo: Tenant) -> None:
    admin, site = Client(), factories.site(demo)
    admin.force_login(factories.user(demo, Role.ADMIN))
    page = f"/admin/assets/site/{site.pk}/change/"
    form = open_form(admin, page)
    site.save()
    with moves(CONFLICT) as moved:
        shown = admin.post(page, form)
    with moves(CONFLICT) as after:
        assert admin.post(page, fields(shown.text)).status_code == 302
    assert (moved, after) == ({f"{CONFLICT} Site no": 1}, {})


def test_a_save_that_is_stale_within_a_transition_counts_once_as_what_its_client_is_told(boss: User) -> None:
    site, ticket = stale(boss.tenant), in_state(Ticket, boss.tenant, "NEW")

    def save_too_late(**_: Any) -> None:
        site.save()

    with moves(CONFLICT, ERROR) as moved, listening(save_too_late):
        assert move(boss, ticket, "OPEN")["errorCode"] == "VERSION_CONFLICT"
    assert moved == {f"{ERROR} Ticket VERSION_CONFLICT": 1, f"{CONFLICT} Site no": 1}


def test_a_conflict_by_graphql_or_rest_counts_once(boss: User) -> None:
    ticket, script = in_state(Ticket, boss.tenant, "NEW"), Script(boss)
    seen = {**target(ticket), "version": ticket.version + 1}
    with moves(CONFLICT) as by_graphql:
        assert mutate(boss, "updateTicket", **seen, subject="Water")["errorCode"] == "VERSION_CONFLICT"
    with moves(CONFLICT, ERROR) as by_rest:
        assert script.bulk(Ticket, [seen], "OPEN").status_code == 409
    assert by_graphql == {f"{CONFLICT} Ticket no": 1}
    assert by_rest == {f"{ERROR} Ticket VERSION_CONFLICT": 1, f"{CONFLICT} Ticket no": 1}


def test_a_conflict_in_a_try_that_is_made_again_counts_as_none(boss: User) -> None:
    sites = [stale(boss.tenant), factories.site(boss.tenant)]

    def work() -> Site:
        site = sites.pop(0)
        try:
            with transaction.atomic():
                site.save()
        except RecordModifiedError:
            with connection.cursor() as cursor:
                cursor.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$")
        return site

    with moves(CONFLICT) as moved:
        assert once(Request("edit", {}), actor=boss, work=work, answer=lambda done: done.outcome)
    assert (moved, sites) == ({}, [])


def test_what_has_not_happened_yet_is_nothing_and_not_missing() -> None:
    shown = {sample.labels["entity"] for family in CONFLICTS.collect() for sample in family.samples}
    assert {model.__name__ for model in _records(Versioned)} <= shown


def _records(model: type[Any]) -> list[type[Any]]:
    """Return the models that have a table of their own."""
    below = [record for each in model.__subclasses__() for record in _records(each)]
    ours = model.__module__.startswith("apps.") and not model._meta.abstract
    return [model, *below] if ours else below
