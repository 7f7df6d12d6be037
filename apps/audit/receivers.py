"""Who listens: every change of a record leaves its entry in the same transaction, by whatever way it was made."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.origin import current_origin
from apps.accounts.prepared import prepared
from apps.accounts.records import Versioned, differences
from apps.lifecycle.actors import Actor, SystemActor
from apps.lifecycle.signals import CREATE, DELETE, UPDATE, Change, ChangeSet, entities_changed
from apps.lifecycle.tries import tell_at_last

from .log import write_log
from .metrics import FAILURES, WRITES
from .redaction import scrub, shown

INSERT = """
INSERT INTO audit_auditentry (tenant_id, at, actor_id, command, comment, correlation_id, operation_id, source,
    action, entity_kind, entity_id, entity_version, changes)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, u.* FROM jsonb_to_recordset($9::jsonb)
    AS u (action text, entity_kind text, entity_id bigint, entity_version int, changes jsonb)
"""


class Who(NamedTuple):
    """Who made a change: the key of a user of the tenant, or the name of a command."""

    actor_id: int | None
    command: str


def listen() -> None:
    """Start to record what the services tell, and what is saved or deleted by the ORM."""
    entities_changed.connect(record_changes, dispatch_uid="audit")
    pre_save.connect(know_before, dispatch_uid="audit")
    post_save.connect(record_save, dispatch_uid="audit")
    pre_delete.connect(know_last, dispatch_uid="audit")
    post_delete.connect(record_delete, dispatch_uid="audit")
    pre_save.connect(scrub_admin_log, sender=LogEntry, dispatch_uid="audit")


def record_changes(changed: ChangeSet, **_: Any) -> None:
    """Record what the services did."""
    if not settings.ENABLE_AUDIT_SIGNALS:
        return
    who = _who(changed.actor)
    record(changed.changes, at=changed.at, who=who, comment=changed.comment, operation_id=changed.operation_id)


def know_before(sender: Any, instance: Any, **_: Any) -> None:
    """Let a row that was read in part know what the columns were that it sets besides."""
    if issubclass(sender, Versioned):  # the index of the search asks for it too, also while nothing is recorded
        instance.read_before()


def scrub_admin_log(instance: LogEntry, **_: Any) -> None:
    """Keep personal data out of the admin site's own log, which names objects by their titles."""
    instance.object_repr = scrub(instance.object_repr)


def know_last(sender: Any, instance: Any, **_: Any) -> None:
    """Let a row that is deleted know what it was in the end, however long ago it was read."""
    if _is_recorded(sender) and instance.pk is not None:
        columns = [field.name for field in sender._meta.concrete_fields if not field.primary_key]
        instance.refresh_from_db(fields=columns, from_queryset=sender._base_manager.select_for_update())


def record_save(sender: Any, instance: Any, created: bool, update_fields: Any = None, **_: Any) -> None:
    """Record what the ORM saved: by the admin site, a shell, a command."""
    if _is_recorded(sender):
        change = Change(instance, CREATE if created else UPDATE, instance.changes(update_fields))
        record([change], at=instance.updated_at, who=_who_saves(instance))


def record_delete(sender: Any, instance: Any, **_: Any) -> None:
    """Record what the ORM deleted; with a tenant goes the trail in which that could stand."""
    if _is_recorded(sender) and sender is not Tenant:
        before = instance.loaded()
        change = Change(instance, DELETE, differences(sender, before, dict.fromkeys(before)))
        record([change], at=timezone.now(), who=_who_saves(instance))


def record(
    changes: Sequence[Change], *, at: datetime, who: Who, comment: str = "", operation_id: UUID | None = None
) -> None:
    """Write an entry for each change, by one statement; once that is committed, write the log."""
    try:
        entries = [_entry(change) for change in changes]
        tenant, origin = _tenant_of(changes[0].entity), current_origin()
        shared = (tenant, at, *who, scrub(comment), origin.correlation_id, operation_id, origin.source.value)
        prepared(INSERT, [*shared, orjson.dumps(entries).decode()])
    except Exception:
        tell_at_last(lambda: FAILURES.inc(len(changes)))
        raise
    transaction.on_commit(lambda: WRITES.inc(len(entries)), robust=True)
    transaction.on_commit(partial(write_log, shared, entries))


def _entry(change: Change) -> dict[str, Any]:
    """Return what an entry says of its own; its siblings of one operation share the rest."""
    entity, model = change.entity, type(change.entity)
    return {
        "action": change.action,
        "entity_kind": model.__name__,
        "entity_id": entity.pk,
        "entity_version": entity.version,
        "changes": [
            {"field": name, "before": shown(model, name, before), "after": shown(model, name, after)}
            for name, before, after in change.fields
        ],
    }


def _is_recorded(sender: Any) -> bool:
    return settings.ENABLE_AUDIT_SIGNALS and issubclass(sender, Versioned)


def _tenant_of(entity: Versioned) -> int:
    return int(entity.pk if isinstance(entity, Tenant) else entity.tenant_id)  # type: ignore[attr-defined]


def _who(actor: Actor) -> Who:
    return Who(None, actor.name[:100]) if isinstance(actor, SystemActor) else Who(actor.pk, "")


def _who_saves(entity: Versioned) -> Who:
    """Return who saves or deletes by the ORM: the user of the request, or the program.

    An operator of another tenant is told by number: the tenant's people must not learn of others'.
    """
    origin = current_origin()
    if origin.user_id is None:
        return Who(None, origin.command)
    stranger = origin.user_tenant_id != _tenant_of(entity)
    return Who(None, f"operator {origin.user_id}") if stranger else Who(origin.user_id, "")
