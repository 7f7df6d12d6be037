"""The audit trail: who changed what, when and why."""

from functools import cache
from typing import Any
from uuid import UUID

import strawberry
import strawberry_django
from django.apps import apps
from django.db import models as db
from django.db.models import Q
from strawberry import auto
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from apps.accounts.origin import AuditSource
from apps.audit import models

from .accounts import User, UserFilter
from .enums import publish
from .errors import BadRequestError
from .reads.connection import connection
from .reads.fields import Node, computed, entity, node_reference
from .reads.global_id import decode_id, encode_id
from .reads.lookups import ChoiceLookup, IdLookup, TextLookup, TimeLookup, filter_input
from .reads.ordering import order_input
from .reads.traced import converted

publish(AuditSource)


@strawberry.type(description="What a change did to one field.")
class FieldChange:
    """What a change did to one field."""

    field: str = strawberry.field(description="The field's name.")
    before: JSON | None = strawberry.field(
        description="Its value before; the id of what a relation led to. Personal data is redacted."
    )
    after: JSON | None = strawberry.field(
        description="Its value after; the id of what a relation leads to. Personal data is redacted."
    )


@cache
def _relations(kind: str) -> dict[str, str]:
    """Return the relations of a kind of entity, and the types of the nodes they lead to."""
    found = [model for model in apps.get_models() if model.__name__ == kind]
    columns = [column for model in found for column in model._meta.fields if isinstance(column, db.ForeignKey)]
    return {column.name: column.related_model.__name__ for column in columns}


def published_change(kind: str, field: str, before: Any, after: Any) -> dict[str, Any]:
    """Return what clients see of a change of an entity's field, as it stands in the trail."""
    target = _relations(kind).get(field)
    shown = [encode_id(target, value) if target and isinstance(value, int) else value for value in (before, after)]
    return {"field": to_camel_case(field), "before": shown[0], "after": shown[1]}


def _changes(root: strawberry.Parent[models.AuditEntry]) -> list[FieldChange]:
    return [
        FieldChange(**published_change(root.entity_kind, change["field"], change.get("before"), change.get("after")))
        for change in root.changes
    ]


@filter_input(models.AuditEntry, "Which entries of the audit trail to list.")
class AuditEntryFilter:
    id: IdLookup | None
    at: TimeLookup | None
    actor: UserFilter | None
    command: TextLookup | None
    action: TextLookup | None
    source: ChoiceLookup[AuditSource] | None
    correlation_id: TextLookup | None

    @strawberry_django.filter_field(description="The changes of this object.")
    def entity(self, value: strawberry.ID, prefix: str) -> Q:
        """Return the condition that the entry is of the object with this id."""
        kind = converted(value, lambda text: decode_id(text).type_name, str)
        key = converted(value, lambda text: decode_id(text).key, int)
        return Q(**{f"{prefix}entity_kind": kind, f"{prefix}entity_id": key})

    @strawberry_django.filter_field(description="The changes of this bulk.")
    def operation_id(self, value: strawberry.ID, prefix: str) -> Q:
        """Return the condition that the entry is of the bulk with this id.

        Raises BadRequestError when the text is no such id.
        """
        return Q(**{f"{prefix}operation_id": converted(value, _operation, UUID)})


def _operation(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise BadRequestError(f"{text[:80]!r} is not the id of an operation.") from error


@order_input(models.AuditEntry)
class AuditEntryOrder:
    at: auto


@entity(models.AuditEntry)
class AuditEntry(Node):
    at: auto
    actor: User | None
    command: auto
    action: auto
    entity = node_reference(description="What was changed.")
    entity_version: auto
    comment: auto
    correlation_id: auto
    operation_id: strawberry.ID | None
    source: AuditSource

    changes: list[FieldChange] = computed(
        "changes", "entity_kind", resolver=_changes, description="What the change did, field by field."
    )


def history(model: type[db.Model]) -> object:
    """Declare the list of the changes of an entity."""
    return connection(
        "AuditEntry",
        "schema.audit",
        column="entity_id",
        where=Q(entity_kind=model.__name__),
        description="Its changes, the newest first.",
    )
