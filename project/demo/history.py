"""The audit trail of demo entities: replayed from nothing, it arrives at the rows as they are."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from psycopg.types.json import Jsonb

from apps.accounts.origin import AuditSource
from apps.accounts.records import Versioned, differences
from apps.audit.redaction import shown
from apps.lifecycle.actors import SystemActor

from .lives import Life, Step

COMMAND: Final = "seed_demo"
Row = dict[str, Any]


def entries_of_life(model: type[Versioned], pk: int, life: Life, correlations: Iterator[str]) -> Iterator[Row]:
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


def entries_of_set_up(model: type[Versioned], rows: Iterable[Row]) -> Iterator[Row]:
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


def _changes(model: type[Versioned], before: Row, after: Row) -> list[Row]:
    return [
        {"field": name, "before": shown(model, name, old), "after": shown(model, name, new)}
        for name, old, new in differences(model, before, after)
    ]
