"""The inputs of mutations, read off the models: what people may enter, typed and described as its column is."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

import strawberry
from django.db import models as db
from strawberry import UNSET

from apps.lifecycle.models import Entity, WorkflowEntity
from apps.lifecycle.services import OnConflict
from apps.lifecycle.transitions import MAX_ITEMS, Item, OnError

from .enums import enum_of, publish
from .errors import BadRequestError
from .reads.global_id import decode_id
from .reads.lookups import NO_KEY
from .weights import cost

publish(OnConflict)
publish(OnError)

Fields = dict[str, tuple[Any, Any]]
"""The type of each field of an input, and its declaration."""

SCALARS: "Final[tuple[tuple[type[db.Field[Any, Any]], Any], ...]]" = (
    (db.ForeignKey, strawberry.ID),
    (db.DateTimeField, datetime),
    (db.BooleanField, bool),
    (db.FloatField, float),
    (db.IntegerField, int),
    (db.CharField, str),
    (db.TextField, str),
)
"""The GraphQL type of a column without choices: the first whose class it is of."""


@strawberry.input(description="An entity, and the version of it that you saw.")
class VersionedId:
    """An entity, and the version of it that the caller saw."""

    id: strawberry.ID = strawberry.field(description="The entity's id.")
    version: int = strawberry.field(description="The version that you saw.")


def optional(kind: Any, description: str) -> tuple[Any, Any]:
    """Return a field that may be left out."""
    return kind | None, strawberry.field(default=UNSET, description=description)


KEY: Final[Fields] = {
    "idempotency_key": optional(
        str,
        "Chosen by you, a UUID say: a retry with the same key and the same input within 24 hours answers what the "
        "first did, and does it once.",
    )
}
COMMENT: Final[Fields] = {"comment": optional(str, "Why, for the audit trail.")}
TARGET: Final[Fields] = {
    "id": (strawberry.ID, strawberry.field(description="What to change.")),
    "version": (int, strawberry.field(description="The version of it that you saw.")),
}


def entered(model: type[Entity], names: tuple[str, ...], *, required: bool = False) -> Fields:
    """Return fields of an input for these fields of a model; those without a default must be given, if so required."""
    fields: Fields = {}
    for name in names:
        field: Any = model._meta.get_field(name)
        kind = enum_of(field) if field.choices else next(kind for column, kind in SCALARS if isinstance(field, column))
        must = required and not (field.null or field.blank or field.has_default())
        fields[field.attname] = (
            (kind, strawberry.field(description=field.help_text)) if must else optional(kind, field.help_text)
        )
    return fields


def with_article(model: type[Entity]) -> str:
    """Return the name of an entity with the article that it takes."""
    name = str(model._meta.verbose_name)
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


@cache
def create_input(model: type[Entity]) -> Any:
    """Return the input of the mutation that creates an entity."""
    fields = entered(model, model.editing.fields, required=True)
    return make(f"Create{model.__name__}Input", f"A new {model._meta.verbose_name}.", {**fields, **KEY})


@cache
def update_input(model: type[Entity]) -> Any:
    """Return the input of the mutation that edits an entity."""
    merge = (OnConflict, strawberry.field(default=OnConflict.FAIL, description="What to do if it changed since."))
    fields = {**TARGET, **entered(model, model.editing.fields), **COMMENT, "on_conflict": merge, **KEY}
    description = f"New values of {with_article(model)}. What is left out stays; null empties a field."
    return make(f"Update{model.__name__}Input", description, fields)


@cache
def transition_input(model: type[WorkflowEntity], actions: Any) -> Any:
    """Return the input of the mutation that takes an entity through a transition."""
    fields = {**TARGET, **_action(actions), **COMMENT, **carried_fields(model), **KEY}
    return make(f"Transition{model.__name__}Input", f"What to do to {with_article(model)}.", fields)


@cache
def bulk_input(model: type[WorkflowEntity], actions: Any) -> Any:
    """Return the input of the mutation that takes many entities through a transition."""
    items = strawberry.field(
        description=f"Which, in the versions that you saw: 1 to {MAX_ITEMS}, each once.", directives=[cost(1)]
    )
    dry = strawberry.field(default=False, description="Judge and report, and change nothing.")
    on_error = strawberry.field(default=OnError.REJECT_ALL, description="What to do if some can't be done.")
    fields: Fields = {"items": (list[VersionedId], items), **_action(actions), **COMMENT, **carried_fields(model)}
    fields |= {"dry_run": (bool, dry), "on_error": (OnError, on_error), **KEY}
    return make(f"BulkTransition{model.__name__}sInput", f"What to do to {model._meta.verbose_name_plural}.", fields)


def make(name: str, description: str, fields: Fields) -> Any:
    """Make an input type of fields."""
    kinds = {field: kind for field, (kind, _) in fields.items()}
    made = type(name, (), {"__annotations__": kinds, **{field: declared for field, (_, declared) in fields.items()}})
    return strawberry.input(made, name=name, description=description)


def values_of(model: type[Entity], given: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what an input gives of these fields of a model, by name; a reference by the key of what it leads to."""
    values: dict[str, Any] = {}
    for name in names:
        field: Any = model._meta.get_field(name)
        value = getattr(given, field.attname)
        if value is not UNSET:
            is_id = field.is_relation and value is not None
            values[name] = key_of(field.related_model, value) if is_id else value
    return values


def carried(model: type[WorkflowEntity], given: Any) -> dict[str, Any]:
    """Return the references that the input of a transition carries, by field name."""
    return {name: key for name, key in values_of(model, given, _taken(model)).items() if key is not None}


def item_of(model: type[Entity], target: Any) -> Item:
    """Return the entity that an input names, and its version."""
    return Item(key_of(model, target.id), target.version)


def items_of(model: type[Entity], targets: Sequence[VersionedId]) -> list[Item]:
    """Return the entities that an input lists; each id that can't name one gets a key of its own that no row has."""
    return [Item(key_of(model, target.id) or -1 - place, target.version) for place, target in enumerate(targets)]


def text_of(value: Any) -> str:
    """Return an optional text; empty if it was left out."""
    return value or ""


def key_of(model: type[db.Model], text: str) -> int:
    """Return the key that a global id names; NO_KEY for what can't name a row of the model."""
    try:
        named = decode_id(text)
    except BadRequestError:
        return NO_KEY
    return named.key if named.type_name == model.__name__ else NO_KEY


def input_values(given: Any) -> Mapping[str, Any]:
    """Return what an input says, without its idempotency key: what tells one request from another."""
    return {name: value for name, value in vars(given).items() if value is not UNSET and name not in KEY}


def _action(actions: Any) -> Fields:
    return {"action": (actions, strawberry.field(description="What to do."))}


def carried_fields(model: type[WorkflowEntity]) -> Fields:
    """Return the fields by which an input carries the references that transitions take."""
    return entered(model, _taken(model))


def _taken(model: type[WorkflowEntity]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for way in model.machine.transitions for name in way.takes))
