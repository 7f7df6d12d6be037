"""How rows are locked and written, however many they are: by one statement each.

The services call this, and what creates entities in a way of its own: a check-in, an import.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import connection, models

from apps.accounts.prepared import prepared
from apps.accounts.sequences import take_numbers
from apps.accounts.tenancy import current_tenant

from .actors import Actor
from .models import Entity, NumberedEntity
from .rules import Annotation
from .signals import CREATE, Change, ChangeSet, entities_changed
from .statements import given, inserting, locking, made, updating
from .validation import violations_refused

E = TypeVar("E", bound=Entity)


def lock(model: type[E], keys: Iterable[int], *, alone: bool = False) -> dict[int, E]:
    """Lock the rows of the tenant in scope with these keys, in the order of the keys, and return them.

    Everybody locks in this order, so no two can wait for each other in a circle. `alone` keeps others from writing
    rows that refer to these, too: for rules that count them.
    """
    wanted = list(set(keys))
    one = len(wanted) == 1
    found = prepared(
        locking(model, alone=alone, one=one), [wanted[0] if one else wanted, current_tenant(model) or None]
    )
    names = [field.attname for field in model._meta.concrete_fields]
    rows = (model.from_db(connection.alias, names, values) for values in found)
    return {row.pk: row for row in rows}


def compute(model: type[E], rows: Sequence[E], annotations: Mapping[str, Annotation]) -> None:
    """Let the database compute what rules ask of locked rows, seeing all that was committed before the lock."""
    if not rows or not annotations:
        return
    expressions = {f"computed_{name}": make("") for name, make in annotations.items()}
    asked = model.objects.filter(pk__in=[row.pk for row in rows]).annotate(**expressions)
    found = {pk: values for pk, *values in asked.order_by().values_list("pk", *expressions)}
    for row in rows:
        for name, value in zip(annotations, found[row.pk], strict=True):
            setattr(row, name, value)


def insert(entity: Entity, *, actor: Actor, at: datetime) -> None:
    """Write a new entity, numbered if its kind is, and tell what happened."""
    model = type(entity)
    if isinstance(entity, NumberedEntity):
        (entity.serial,) = take_numbers(tenant_id=entity.tenant_id, kind=entity.number_kind)
    with violations_refused(model):
        _insert(entity)
    announce([Change(entity, CREATE, entity.changes())], actor=actor, at=at)


def update(
    changes: Sequence[Change],
    *,
    actor: Actor,
    at: datetime,
    **why: Any,
) -> None:
    """Write what changed of locked rows of one model, raise their versions, and tell what happened."""
    if not changes:
        return
    rows = [change.entity for change in changes]
    model = type(rows[0])
    names = list(dict.fromkeys(field.field for change in changes for field in change.fields))
    with violations_refused(model):
        _write(model, rows, names, at)
    for row in rows:
        row.version, row.updated_at = row.version + 1, at
    announce(changes, actor=actor, at=at, **why)


def announce(changes: Sequence[Change], *, actor: Actor, at: datetime, **why: Any) -> None:
    """Tell what happened to whoever listens, and remember the rows as they are now."""
    sender = type(changes[0].entity)
    entities_changed.send(sender=sender, changed=ChangeSet(changes, at, actor, **why))
    for change in changes:
        change.entity.remember()


def _insert(entity: Entity) -> None:
    model = type(entity)
    values = [field.get_db_prep_save(field.pre_save(entity, add=True), connection) for field in given(model)]
    (filled,) = prepared(inserting(model), values)
    for field, value in zip(made(model), filled, strict=True):
        setattr(entity, field.attname, value)
    entity._state.adding, entity._state.db = False, connection.alias


def _write(model: type[models.Model], rows: Sequence[Any], names: Sequence[str], at: datetime) -> None:
    columns = ["id", *(model._meta.get_field(name).attname for name in names)]  # type: ignore[union-attr]
    values = [[getattr(row, column) for row in rows] for column in columns]
    one = len(rows) == 1
    given_values = [value for (value,) in values] if one else values
    written = prepared(updating(model, *names, one=one), [at, rows[0].tenant_id, *given_values])
    if len(written) != len(rows):
        raise RuntimeError(f"{len(written)} of {len(rows)} locked rows were written.")
