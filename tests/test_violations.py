"""What the database refuses is told in words, and declarations that could not hold are found before they run."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from apps.accounts.models import Tenant, User
from apps.accounts.tenancy import tenant_scope
from apps.assets.models import Asset, Site
from apps.lifecycle.actors import ADMIN
from apps.lifecycle.checks import check_editing, check_machine
from apps.lifecycle.editing import WORKER
from apps.lifecycle.errors import ValidationFailedError
from apps.lifecycle.machine import REQUIRED, Machine
from apps.lifecycle.models import IdempotencyKey
from apps.lifecycle.signals import Change
from apps.lifecycle.validation import violations_refused
from apps.lifecycle.writing import update
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories


def refused(model: Any, **columns: Any) -> list[tuple[str, str]]:
    """Insert a row behind the services, and return the problems that the database's refusal is told as."""
    with pytest.raises(ValidationFailedError) as refusal, transaction.atomic(), violations_refused(model):
        models.QuerySet(model).bulk_create([model(**columns)])
    return [(path, message) for path, message in refusal.value.problems]


def test_half_a_position_is_told_as_what_it_is(demo: Tenant) -> None:
    told = refused(Site, tenant=demo, code="S", name="Site", latitude=59.9)
    assert told == [("latitude", "Enter both latitude and longitude, or neither.")]


def test_another_tenants_row_is_none(demo: Tenant, rival: Tenant) -> None:
    told = refused(Asset, tenant=demo, code="A", name="Asset", site=factories.site(rival))
    assert told == [("site_id", "There is no site with this id.")]


def test_a_value_that_is_taken_is_told_so(demo: Tenant) -> None:
    factories.site(demo, code="S")
    assert refused(Site, tenant=demo, code="S", name="Site") == [("code", "This is taken already. Choose another.")]


def test_a_blank_is_told_as_one(demo: Tenant) -> None:
    assert refused(Site, tenant=demo, code=" ", name="Site") == [("code", "Write more than white space.")]


def test_what_no_constraint_of_the_model_refused_stays_an_error(demo: Tenant) -> None:
    nameless: dict[str, Any] = {"tenant": demo, "code": "S", "name": None}
    with pytest.raises(IntegrityError, match="null value"), transaction.atomic(), violations_refused(Site):
        models.QuerySet[Any](Site).bulk_create([Site(**nameless)])


def test_a_locked_row_that_is_not_there_is_a_fault_of_ours(demo: Tenant, technician: User) -> None:
    gone = factories.site(demo)
    factories.erase(Site.unscoped.filter(pk=gone.pk))
    gone.name = "Gone"
    change = Change(gone, "UPDATE", gone.changes())
    with tenant_scope(demo.pk), pytest.raises(RuntimeError, match="0 of 1 locked rows"), transaction.atomic():
        update([change], actor=technician, at=timezone.now())


def test_a_key_is_called_what_the_client_called_it() -> None:
    assert str(IdempotencyKey(key="phone-7")) == "phone-7"


def test_what_entities_declare_to_be_edited_is_sound() -> None:
    assert check_editing() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fields": ("title", "colour")}, "WorkOrder lets people edit colour."),
        ({"fields": ("status",)}, "WorkOrder lets people edit status."),
        ({"fields": ("closed_at",)}, "WorkOrder lets people edit closed_at."),
        ({"fields": ("serial",)}, "WorkOrder lets people edit serial."),
        ({"only": {"colour": ADMIN}}, "WorkOrder has no colour to edit."),
        ({"fits": {"painter": WORKER}}, "WorkOrder has no painter to edit."),
    ],
)
def test_check_finds_fields_that_nobody_could_or_should_edit(
    changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkOrder, "editing", replace(WorkOrder.editing, **changes))
    assert [(error.id, error.msg) for error in check_editing()] == [("lifecycle.E011", message)]


@pytest.mark.parametrize("demands", [{"comment": REQUIRED}, {"takes": ("asset",)}])
def test_check_finds_an_action_that_asks_for_one_thing_or_another(
    demands: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    miss = Task.machine.ways("MISS")[0]
    scheduled, assigned = miss.from_states
    halves = (replace(miss, from_states=(scheduled,)), replace(miss, from_states=(assigned,), **demands))
    others = tuple(way for way in Task.machine.transitions if way.action != "MISS")
    machine = Machine(Task.machine.initial, (*others, *halves), Task.machine.final)
    monkeypatch.setattr(Task, "machine", machine)
    message = "Task asks for one thing or another for MISS, depending on the state."
    assert [(error.id, error.msg) for error in check_machine(Task)] == [("lifecycle.E010", message)]
