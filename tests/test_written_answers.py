"""What a mutation answers of an entity is what the database holds, even if it is not read again."""

from typing import Any

import pytest
from graphql import get_named_type, is_leaf_type
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.attendance.models import AttendanceRecord
from apps.work_orders.models import WorkOrder
from schema.compiler.layout import KEPT_AS_WRITTEN
from tests import factories, samples
from tests.graphql import OBJECTS, data, statements
from tests.samples import CREATED, FIELDS, column, sent
from tests.writing import gid, in_state, target


@pytest.fixture(autouse=True)
def unlimited(settings: Settings, compiled_at_once: None) -> None:
    settings.ENABLE_COST_LIMIT = False


@pytest.fixture
def admin(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


def held(kind: Any) -> str:
    """Return the selection of the fields that are columns which hold what was written."""
    columns = {each.name for each in kind._meta.concrete_fields if each.get_internal_type() in KEPT_AS_WRITTEN}
    selectable = OBJECTS[kind.__name__].fields.items()
    names = [name for name, each in selectable if column(name) in columns and is_leaf_type(get_named_type(each.type))]
    assert len(names) > 6
    return " ".join(names)


def document(name: str, kind: Any, selected: str) -> str:
    given = f"{name[0].upper()}{name[1:]}Input!"
    return f"mutation ($input: {given}) {{ {name}(input: $input) {{ ... on {kind.__name__} {{ {selected} }} }} }}"


def reads(sql: list[str], kind: Any) -> list[str]:
    return [each for each in sql if f'FROM "{kind._meta.db_table}"' in each and "SELECT t0.c0" in each]


def as_read(actor: User, kind: Any, id_: str, selected: str, settings: Settings) -> Any:
    """Return the entity as the executor reads it."""
    settings.COMPILED_READS = False
    query = f"query ($id: ID!) {{ node(id: $id) {{ ... on {kind.__name__} {{ {selected} }} }} }}"
    found = data(actor, query, id=id_)["node"]
    settings.COMPILED_READS = True
    return found


@pytest.mark.parametrize("kind", CREATED)
def test_a_new_entity_is_answered_as_it_is_read(kind: Any, demo: Tenant, admin: User, settings: Settings) -> None:
    name, selected = f"create{kind.__name__}", held(kind)
    given = {name: sent(value) for name, value in samples.values(kind, demo).items()}
    answer = data(admin, document(name, kind, selected), input=given)[name]
    assert answer == as_read(admin, kind, answer["id"], selected, settings)


@pytest.mark.parametrize("kind", FIELDS)
def test_an_entity_that_was_edited_is_answered_as_it_is_read(
    kind: Any, demo: Tenant, admin: User, settings: Settings
) -> None:
    name, selected, row = f"update{kind.__name__}", held(kind), samples.row(kind, demo)
    given = {name: sent(value) for name, value in samples.values(kind, demo, other=True).items()}
    answer = data(admin, document(name, kind, selected), input={**target(row), **given})[name]
    assert answer["version"] == 2
    assert answer == as_read(admin, kind, answer["id"], selected, settings)


def test_who_comes_and_goes_is_answered_as_it_is_read(demo: Tenant, technician: User, settings: Settings) -> None:
    selected, given = held(AttendanceRecord), {"siteId": gid(factories.site(demo)), "note": "By the gate"}
    come = data(technician, document("checkIn", AttendanceRecord, selected), input=given)["checkIn"]
    assert come == as_read(technician, AttendanceRecord, come["id"], selected, settings)
    seen = {"id": come["id"], "version": 1}
    gone = data(technician, document("checkOut", AttendanceRecord, selected), input=seen)["checkOut"]
    assert gone["checkedOutAt"] is not None
    assert gone == as_read(technician, AttendanceRecord, come["id"], selected, settings)


@pytest.mark.parametrize(
    ("status", "action"), [("APPROVED", "START"), ("IN_PROGRESS", "COMPLETE"), ("COMPLETED", "CLOSE")]
)
def test_the_times_of_a_transition_are_answered_as_they_are_read(
    demo: Tenant, admin: User, settings: Settings, status: str, action: str
) -> None:
    row, selected = in_state(WorkOrder, demo, status, assignee=admin), held(WorkOrder)
    given = {**target(row), "action": action}
    answer = data(admin, document("transitionWorkOrder", WorkOrder, selected), input=given)["transitionWorkOrder"]
    assert answer["version"] == 2
    assert answer == as_read(admin, WorkOrder, answer["id"], selected, settings)


@pytest.mark.parametrize(
    ("selected", "times"),
    [("id number title status version updatedAt", 0), ("id asset { id }", 1), ("id actions { action }", 1)],
)
def test_it_is_read_again_only_for_what_the_row_does_not_have(
    demo: Tenant, admin: User, settings: Settings, selected: str, times: int
) -> None:
    row = factories.work_order(demo, site=factories.site(demo))
    name = "transitionWorkOrder"
    given = {"id": gid(row), "version": 1, "action": "SUBMIT"}
    sent_ = statements(admin, document(name, WorkOrder, selected), input=given)
    assert len(reads(sent_, WorkOrder)) == times
    row.refresh_from_db(from_queryset=WorkOrder.unscoped.all())
    assert (row.status, row.version) == ("SUBMITTED", 2)


def test_nothing_in_place_of_an_empty_text_is_answered_as_it_is_stored(
    demo: Tenant, admin: User, settings: Settings
) -> None:
    row = factories.work_order(demo, external_id=None)
    factories.force(WorkOrder.unscoped.filter(pk=row.pk), external_id="")
    given = {**target(row), "title": "Another", "externalId": None}
    answer = data(admin, document("updateWorkOrder", WorkOrder, "id title externalId"), input=given)["updateWorkOrder"]
    assert answer["title"] == "Another"
    assert answer == as_read(admin, WorkOrder, gid(row), "id title externalId", settings)
