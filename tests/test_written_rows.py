"""The statements that lock and write rows go past the ORM: what they read and write is what the ORM would."""

from datetime import datetime
from typing import Any

import pytest
from django.db import models, transaction

from apps.accounts.models import Tenant, User
from apps.accounts.prepared import prepared
from apps.accounts.roles import Role
from apps.accounts.tenancy import all_tenants, tenant_scope
from apps.lifecycle import services
from apps.lifecycle.models import Entity
from apps.lifecycle.transitions import Item
from apps.lifecycle.writing import lock
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.factories import NOON
from tests.writing import MAKE


def known(row: models.Model) -> dict[str, tuple[type, Any]]:
    """Return what a row in memory holds, with the types of its values."""
    return {name: (type(value), value) for name, value in vars(row).items() if not name.startswith("_")}


def read(row: models.Model) -> Any:
    """Return the row as the ORM reads it."""
    return models.QuerySet(type(row)).get(pk=row.pk)


@pytest.mark.parametrize("model", MAKE)
def test_a_locked_row_is_the_one_that_the_orm_reads(model: type[Entity], demo: Tenant) -> None:
    row = MAKE[model](demo)
    with transaction.atomic(), tenant_scope(demo.pk):
        (locked,) = lock(model, [row.pk]).values()
    expected = read(row)
    assert known(locked) == known(expected)
    assert locked.loaded() == expected.loaded()
    assert (locked._state.adding, locked._state.db) == (False, "default")
    times = [value for value in vars(locked).values() if isinstance(value, datetime)]
    assert {time.utcoffset() for time in times} == {NOON.utcoffset()}


def test_only_rows_of_the_tenant_in_scope_are_locked(demo: Tenant, rival: Tenant) -> None:
    keys = [factories.work_order(owner).pk for owner in (demo, rival)]
    with transaction.atomic():
        with tenant_scope(demo.pk):
            assert list(lock(WorkOrder, keys)) == keys[:1]
        with all_tenants():
            assert list(lock(WorkOrder, reversed(keys))) == keys


def test_a_new_row_knows_what_the_database_made_of_it(demo: Tenant) -> None:
    boss: User = factories.user(demo, Role.SUPERVISOR)
    with tenant_scope(demo.pk):
        order = services.create(WorkOrder, {"title": "Replace pump seal", "priority": "CRITICAL"}, actor=boss)
    assert (order.priority_rank, order.version, order.serial) == (3, 1, 1)
    assert vars(order) | {"_state": None} == vars(read(order)) | {"_state": None, "_loaded": order._loaded}
    assert order.loaded() == read(order).loaded()
    assert (order._state.adding, order._state.db) == (False, "default")


def planned(table: str) -> dict[str, int]:
    """Return how many times PostgreSQL has planned each of the connection's statements of a table anew."""
    counted = prepared("SELECT statement, custom_plans FROM pg_prepared_statements WHERE statement LIKE $1", [table])
    return dict(counted)


def test_the_statements_of_one_row_are_not_planned_each_time(demo: Tenant) -> None:
    boss, order, table = factories.user(demo, Role.SUPERVISOR), factories.work_order(demo), "%work_orders_workorder%"
    counts = []
    for number in range(30):
        with tenant_scope(demo.pk):
            services.edit(WorkOrder, Item(order.pk, number + 1), {"title": f"Replace seal {number}"}, actor=boss)
        counts.append(planned(table))
    assert len(counts[-1]) > 1
    assert counts[-1] == counts[-10]
