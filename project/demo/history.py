"""The audit trail of demo entities: replayed from nothing, it arrives at the rows as they are."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final

from django.db import models
from psycopg.types.json import Jsonb

from apps.audit.models import AuditSource
from apps.lifecycle.actors import SystemActor

from .lives import Life, Step

COMMAND: Final = "seed_demo"
REDACTED: Final = "[redacted]"
PERSONAL: Final = frozenset(
    {
        "email",
        "phone",
        "requester_name",
        "requester_email",
        "requester_phone",
        "check_in_latitude",
        "check_in_longitude",
    }
)
"""Columns whose values the audit trail never holds."""

UNRECORDED: Final = frozenset({"id", "tenant_id", "serial", "version", "created_at", "updated_at", "password"})
"""Columns that no person sets."""

Row = dict[str, Any]


def entries_of_life(model: type[models.Model], pk: int, life: Life, correlations: Iterator[str]) -> Iterator[Row]:
    """Yield an audit entry for each step of an entity's life."""
    now: Row = {}
    for version, step in enumerate(life.steps(), start=1):
        yield {
            **_who(step),
            "at": step.at,
            "action": step.action,
            "entity_kind": model.__name__,
            "entity_id": pk,
            "entity_version": version,
            "changes": Jsonb(_changes(model, now, step.changes)),
            "comment": step.comment,
            "correlation_id": next(correlations),
        }
        now.update(step.changes)


def entries_of_set_up(model: type[models.Model], rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the audit entry of each row that the organisation was set up with: people, sites, assets."""
    for row in rows:
        yield {
            "command": COMMAND,
            "source": AuditSource.COMMAND.value,
            "at": row["created_at"],
            "action": "CREATE",
            "entity_kind": model.__name__,
            "entity_id": row["id"],
            "entity_version": 1,
            "changes": Jsonb(_changes(model, {}, row)),
        }


def _who(step: Step) -> Row:
    if isinstance(step.actor, SystemActor):
        return {"actor_id": None, "command": step.actor.name, "source": AuditSource.COMMAND.value}
    return {"actor_id": step.actor.pk, "source": AuditSource.GRAPHQL.value}


def _changes(model: type[models.Model], before: Row, after: Row) -> list[Row]:
    names = _field_names(model)
    return [
        {"field": names[column], "before": _shown(column, before.get(column)), "after": _shown(column, value)}
        for column, value in after.items()
        if column not in UNRECORDED and value not in {before.get(column), ""}
    ]


def _shown(column: str, value: object) -> object:
    if value is None or value == "":
        return None
    if column in PERSONAL:
        return REDACTED
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


@cache
def _field_names(model: type[models.Model]) -> dict[str, str]:
    return {field.attname: field.name for field in model._meta.concrete_fields}
