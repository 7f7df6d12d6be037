"""How rows are locked and written, however many they are: by one statement each.

The services call this, and what creates entities in a way of its own: a check-in, an import.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models
from psycopg import sql

from apps.accounts.sequences import take_numbers

from .actors import Actor
from .models import Entity, NumberedEntity
from .rules import Annotation
from .signals import CREATE, Change, ChangeSet, entities_changed
from .validation import violations_refused

E = TypeVar("E", bound=Entity)

UPDATE = """
UPDATE {table} AS t SET version = t.version + 1, updated_at = %s{assignments}
FROM (SELECT * FROM unnest({arrays}) AS u (id{columns})) AS v WHERE t.id = v.id AND t.tenant_id = %s
"""


def lock(model: type[E], keys: Iterable[int], *, alone: bool = False) -> dict[int, E]:
    """Lock the rows of the tenant in scope with these keys, in the order of the keys, and return them.

    Everybody locks in this order, so no two can wait for each other in a circle. `alone` keeps others from writing
    rows that refer to these, too: for rules that count them.
    """
    rows = model.objects.select_for_update(of=("self",), no_key=not alone).filter(pk__in=set(keys)).order_by("pk")
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
        models.QuerySet[Entity](model).bulk_create([entity])
    announce([Change(entity, CREATE, entity.changes())], actor=actor, at=at)


def update(
    changes: Sequence[Change],
    *,
    actor: Actor,
    at: datetime,
    comment: str = "",
    operation_id: UUID | None = None,
) -> None:
    """Write what changed of locked rows of one model, raise their versions, and tell what happened."""
    if not changes:
        return
    rows = [change.entity for change in changes]
    model = type(rows[0])
    names = dict.fromkeys(field.field for change in changes for field in change.fields)
    with violations_refused(model):
        _write(model, rows, [model._meta.get_field(name) for name in names], at)
    for row in rows:
        row.version, row.updated_at = row.version + 1, at
    announce(changes, actor=actor, at=at, comment=comment, operation_id=operation_id)


def announce(changes: Sequence[Change], *, actor: Actor, at: datetime, **why: Any) -> None:
    """Tell what happened to whoever listens, and remember the rows as they are now."""
    sender = type(changes[0].entity)
    entities_changed.send(sender=sender, changed=ChangeSet(changes, at, actor, **why))
    for change in changes:
        change.entity.remember()


def _write(model: type[models.Model], rows: Sequence[Any], fields: Sequence[Any], at: datetime) -> None:
    names = [sql.Identifier(field.column) for field in fields]
    statement = sql.SQL(UPDATE).format(
        table=sql.Identifier(model._meta.db_table),
        assignments=sql.SQL("").join(sql.SQL(", {0} = v.{0}").format(name) for name in names),
        arrays=sql.SQL(", ").join(sql.SQL(f"%s::{kind}[]") for kind in ("bigint", *map(_type, fields))),
        columns=sql.SQL("").join(sql.SQL(", {}").format(name) for name in names),
    )
    values = [[getattr(row, field.attname) for row in rows] for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, [at, [row.pk for row in rows], *values, rows[0].tenant_id])
        if cursor.rowcount != len(rows):
            raise RuntimeError(f"{cursor.rowcount} of {len(rows)} locked rows were written.")


def _type(field: Any) -> str:
    """Return PostgreSQL's name for a column's type without its size: a cast to a size would cut a text in silence."""
    return str(field.db_type(connection)).partition("(")[0]
