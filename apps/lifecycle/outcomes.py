"""What a mutation did, as JSON and back: an entity as it left it, or the report of a bulk."""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.apps import apps

from apps.accounts.trail import Past, PastChange

from .errors import NotFoundError, PermissionDeniedError, RefusedError, TransitionNotAllowedError, VersionConflictError
from .models import Entity, WorkflowEntity
from .transitions import Item, Report, Result

Json = dict[str, Any]
Outcome = Entity | Report
"""What a mutation does: it leaves one entity behind, or a report on many."""

REPORTED = ("id", "tenant_id", "status", "version")
"""The columns that a report tells of its entities."""


def store(outcome: Outcome) -> Json:
    """Return an outcome as values that JSON has, with times and UUIDs as orjson writes them."""
    if isinstance(outcome, Entity):
        return {"entity": _store_entity(outcome, _columns(type(outcome)))}
    return {
        "report": {
            "operation_id": outcome.operation_id,
            "dry_run": outcome.dry_run,
            "results": [_store_result(result) for result in outcome.results],
        }
    }


def restore(stored: Json) -> Outcome:
    """Return the outcome that was stored."""
    if "entity" in stored:
        return _restore_entity(stored["entity"])
    report = stored["report"]
    results = [_restore_result(result) for result in report["results"]]
    return Report(results, report["dry_run"], UUID(report["operation_id"]))


@cache
def _columns(model: type[Entity]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields if not field.generated)


def _store_entity(entity: Entity, columns: Any) -> Json:
    return {"model": entity._meta.label, "columns": {column: getattr(entity, column) for column in columns}}


def _restore_entity(stored: Json) -> Entity:
    model = apps.get_model(stored["model"])
    fields = {field.attname: field for field in model._meta.concrete_fields}
    columns = {name: fields[name].to_python(value) for name, value in stored["columns"].items() if name in fields}
    entity: Entity = model(**columns)
    entity._state.adding = False
    return entity


def _store_result(result: Result) -> Json:
    return {
        "item": result.item,
        "done": result.done,
        "entity": result.entity and _store_entity(result.entity, REPORTED),
        "refusal": result.refusal and _store_refusal(result.refusal),
    }


def _restore_result(stored: Json) -> Result:
    entity = stored["entity"] and _restore_entity(stored["entity"])
    assert entity is None or isinstance(entity, WorkflowEntity)
    refusal = stored["refusal"] and _restore_refusal(stored["refusal"])
    return Result(Item(*stored["item"]), entity, refusal, stored["done"])


def _store_refusal(refusal: RefusedError) -> Json:
    stored: Json = {"code": refusal.code.value, "message": refusal.message}
    if isinstance(refusal, TransitionNotAllowedError):
        stored |= {"current_status": refusal.current_status, "allowed_actions": refusal.allowed_actions}
    if isinstance(refusal, VersionConflictError):
        versions = (refusal.expected_version, refusal.current_version)
        past = (refusal.past.changes, refusal.past.complete)
        stored |= {"kind": refusal.kind, "key": refusal.key, "fields": refusal.fields}
        stored |= {"versions": versions, "past": past}
    if isinstance(refusal, NotFoundError):
        stored |= {"kind": refusal.kind}
    return stored


def _restore_refusal(stored: Json) -> RefusedError:
    code = stored["code"]
    if code == VersionConflictError.code.value:
        changes, complete = stored["past"]
        past = Past(tuple(map(_restore_change, changes)), complete)
        return VersionConflictError(stored["kind"], stored["key"], tuple(stored["versions"]), past, stored["fields"])
    if code == TransitionNotAllowedError.code.value:
        told = {name: stored[name] for name in ("current_status", "allowed_actions")}
        return TransitionNotAllowedError(stored["message"], **told)
    if code == NotFoundError.code.value:
        return NotFoundError(stored["kind"])
    return PermissionDeniedError(stored["message"])


def _restore_change(stored: list[Any]) -> PastChange:
    field, before, after, changed_by, changed_at = stored
    return PastChange(field, before, after, changed_by, datetime.fromisoformat(changed_at))
