from typing import Any
import pytest
from django.db import connection, transaction, models
from apps.accounts.models import Tenant
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.lifecycle import services as lifecycle
from apps.search.services import Question, search
from apps.search.rebuilding import drift, rebuild
from apps.search.merging import merge
from apps.search.highlighting import Marker
from tests import factories
from tests.writing import item
from django.core.management import call_command
from apps.work_orders.models import WorkOrder


def ask(owner, text, *kinds):
    return search(owner.pk, Question(text, kinds, 100))


def test_stale_in_transaction(demo: Tenant) -> None:
    order = factories.work_order(demo, title="aardvark")
    assert ask(demo, "aardvark").total == 1
    order.title = "quokka"
    order.save()
    assert ask(demo, "aardvark").total == 0
    assert ask(demo, "quokka").total == 1


@pytest.mark.django_db(transaction=True)
def test_stale_highlights(demo: Tenant) -> None:
    order = factories.work_order(demo, title="pump seal")
    print(ask(demo, "pump").hits[0].highlights)
    order.title = "SEAL, pump!"
    order.save()
    assert "".join(f.text for f in ask(demo, "pump").hits[0].highlights[0].fragments) == "SEAL, pump!"


def test_update_fields(demo: Tenant) -> None:
    order = factories.work_order(demo, title="aardvark")
    order.title = "quokka"
    order.description = "wombat"
    order.save(update_fields=["title"])
    assert not any(drift(demo.pk)), drift(demo.pk)


def test_missing_words(demo: Tenant) -> None:
    order = factories.work_order(demo, title="aardvark quokka")
    merge(demo.pk)
    with connection.cursor() as c:
        c.execute("DELETE FROM search_word WHERE tenant_id = %s AND text='quokka'", [demo.pk])
    print(drift(demo.pk))


def test_missing_option(demo: Tenant) -> None:
    models.QuerySet(WorkOrder).bulk_create([WorkOrder(tenant=demo, serial=77, title="aardvark", version=1)])
    factories.work_order(demo, title="quokka")
    merge(demo.pk)
    call_command("rebuild_search_index", missing=True)
    assert not any(drift(demo.pk)), drift(demo.pk)


def test_long_mark() -> None:
    print(Marker(["x" * 40], []).highlight("a", "aaa " + "x" * 300))
    assert any(f.match for f in Marker(["x" * 40], []).highlight("a", "aaa " + "x" * 300).fragments)


@pytest.mark.django_db(transaction=True)
def test_facets(demo: Tenant) -> None:
    pass
