"""What tests of the write path share: rows in any state, mutations and their answers, and what must not change."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from django.db import models, transaction
from graphql import GraphQLUnionType

from apps.accounts.models import ApiToken, Tenant, TenantSequence, User
from apps.accounts.records import Versioned
from apps.accounts.sequences import take_numbers
from apps.accounts.tenancy import tenant_scope
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.helpdesk.models import Ticket
from apps.lifecycle.errors import ValidationFailedError
from apps.lifecycle.models import Entity
from apps.lifecycle.signals import entities_changed
from apps.lifecycle.transitions import Item
from apps.search.models import Synonym
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.reads.global_id import encode_id
from schema.root import schema
from tests import factories
from tests.factories import NOON
from tests.graphql import OBJECTS, data, everything_of
from tests.machines import Model

Stored = dict[str, Any]
Answer = dict[str, Any]

MAKE: Final[dict[type[Entity], Callable[..., Any]]] = {
    WorkOrder: factories.work_order,
    Task: factories.task,
    Ticket: factories.ticket,
    AttendanceRecord: factories.attendance_record,
    Site: factories.site,
    Asset: factories.asset,
}
STAMPS: Final[dict[Model, dict[str, str]]] = {
    WorkOrder: {
        "started_at": "IN_PROGRESS ON_HOLD COMPLETED CLOSED",
        "completed_at": "COMPLETED CLOSED",
        "closed_at": "CLOSED",
    },
    Task: {"completed_at": "COMPLETED APPROVED"},
    Ticket: {"resolved_at": "RESOLVED CLOSED"},
    AttendanceRecord: {},
}
"""The times that a row in a state must have."""

REFUSALS: Final = {
    "MutationError": "errorCode message",
    "VersionConflict": "expectedVersion currentVersion safeToMerge current { __typename id version }"
    " changes { field before after changedAt changedBy { id name } }",
    "TransitionNotAllowed": "currentStatus allowedActions",
    "ValidationFailed": "problems { path message }",
}
"""What is asked of each type of refusal."""


def in_state(model: Model, owner: Tenant, status: str, **fields: Any) -> Any:
    """Return a new row in a state, with the times that the state demands."""
    stamps = {column: NOON for column, states in STAMPS[model].items() if status in states.split()}
    return MAKE[model](owner, status=status, **{**stamps, **fields})


def gid(row: models.Model) -> str:
    return encode_id(type(row).__name__, row.pk)


def target(row: Entity) -> dict[str, Any]:
    """Return what an input says of which row it is about."""
    return {"id": gid(row), "version": row.version}


def item(row: Entity) -> Item:
    return Item(row.pk, row.version)


def stored(row: models.Model) -> Stored:
    """Return what the database holds of a row."""
    (values,) = models.QuerySet(type(row)).filter(pk=row.pk).values()
    return values


def entries(row: models.Model) -> list[AuditEntry]:
    """Return the audit entries of a row, the oldest first."""
    found = AuditEntry.unscoped.filter(entity_kind=type(row).__name__, entity_id=row.pk)
    return list(found.order_by("id"))


def changes_of(entry: AuditEntry) -> dict[str, tuple[Any, Any]]:
    """Return what an entry tells of each field, once: before and after."""
    assert len({change["field"] for change in entry.changes}) == len(entry.changes)
    return {change["field"]: (change["before"], change["after"]) for change in entry.changes}


def everything() -> dict[str, list[Stored]]:
    """Return every entity, number taken and audit entry that the database holds."""
    tables: Iterable[type[models.Model]] = (*MAKE, User, TenantSequence, AuditEntry)
    return {table.__name__: list(models.QuerySet(table).order_by("pk").values()) for table in tables}


@contextmanager
def nothing_changes() -> Iterator[None]:
    """Hold that neither a row nor a version nor the audit trail changes inside."""
    before = everything()
    yield
    assert everything() == before


@contextmanager
def refuses(owner: Tenant, *paths: str) -> Iterator[None]:
    """Hold that a service, called inside in the scope of a tenant, refuses what was entered, and changes nothing."""
    with (
        nothing_changes(),
        pytest.raises(ValidationFailedError) as caught,
        tenant_scope(owner.pk),
        transaction.atomic(),
    ):
        yield
    assert [problem.path for problem in caught.value.problems] == list(paths)


def mutate(actor: User, name: str, /, **given: Any) -> Answer:
    """Run a mutation and return its answer, whole."""
    payload = schema._schema.type_map[f"{name[0].upper()}{name[1:]}Payload"]
    assert isinstance(payload, GraphQLUnionType)
    selection = _fragments(kind.name for kind in payload.types)
    document = f"mutation($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{ {selection} }} }}"
    answer: Answer = data(actor, document, input=given)[name]
    return answer


def _fragments(kinds: Iterable[str]) -> str:
    selected = {"MutationError": REFUSALS["MutationError"], **{kind: _selection(kind) for kind in kinds}}
    return "__typename " + " ".join(f"... on {kind} {{ {inner} }}" for kind, inner in selected.items())


def _selection(kind: str) -> str:
    if kind == "BulkTransitionReport":
        error = f"error {{ {_fragments(REFUSALS)} }}"
        return f"operationId dryRun requested succeeded failed results {{ id ok status version {error} }}"
    if kind in REFUSALS:
        return REFUSALS[kind]
    is_node = any(interface.name == "Node" for interface in OBJECTS[kind].interfaces)
    return everything_of(OBJECTS[kind], 1)[1:-1] if is_node else "__typename"


def refused(actor: User, name: str, /, **given: Any) -> Answer:
    """Run a mutation that is refused, hold that it changed nothing, and return the refusal."""
    with nothing_changes():
        answer = mutate(actor, name, **given)
    assert "errorCode" in answer, answer
    assert answer["message"].endswith((".", "]")), answer["message"]
    return answer


def problems(answer: Answer) -> list[str]:
    """Return the paths of what is wrong with an input."""
    assert answer["errorCode"] == "VALIDATION_FAILED", answer
    return [problem["path"] for problem in answer["problems"]]


def bulk(actor: User, model: Model, items: list[dict[str, Any]], action: str, **given: Any) -> Answer:
    """Take many rows through a transition and return the report, or the refusal."""
    return mutate(actor, f"bulkTransition{model.__name__}s", items=items, action=action, **given)


def move(actor: User, row: Any, action: str, **given: Any) -> Answer:
    """Take a row through a transition on top of its version and return the answer."""
    return mutate(actor, f"transition{type(row).__name__}", **target(row), action=action, **given)


def many(model: Any, owner: Tenant, count: int, **fields: Any) -> list[Any]:
    """Return many new rows, written by one statement and without audit entries."""
    shared: dict[str, Any] = {"tenant": owner, "version": 1, **fields}
    if model is AttendanceRecord:
        shared = {"person": factories.user(owner), "site": factories.site(owner), "checked_in_at": NOON, **shared}
    if model is Ticket:
        shared |= {"subject": "Water on the floor", "response_due_at": NOON, "resolution_due_at": NOON}
    if model in {WorkOrder, Task}:
        shared["title"] = "Replace pump seal"
    serials: Iterable[dict[str, int]] = [{}] * count
    if model in {WorkOrder, Ticket}:
        numbers = take_numbers(tenant_id=owner.pk, kind=model.number_kind, count=count)
        serials = [{"serial": serial} for serial in numbers]
    return models.QuerySet[Any](model).bulk_create([model(**shared, **serial) for serial in serials])


@contextmanager
def listening(receiver: Callable[..., Any]) -> Iterator[None]:
    """Let a receiver hear what the services tell inside, after the audit trail has heard it."""
    entities_changed.connect(receiver)
    try:
        yield
    finally:
        entities_changed.disconnect(receiver)


def fail(**_: Any) -> None:
    raise ZeroDivisionError("This receiver always fails.")


TEXTS: Final[dict[type[Versioned], str]] = {
    Tenant: "name",
    User: "name",
    ApiToken: "name",
    Site: "name",
    Asset: "name",
    WorkOrder: "title",
    Task: "title",
    Ticket: "subject",
    AttendanceRecord: "note",
    Synonym: "meaning",
}
"""Every record, and a text of it that can be changed."""
