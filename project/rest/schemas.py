"""The schemas of the document that describes the REST API: what is sent, and what is answered."""

from typing import Any, Final

from strawberry.utils.str_converters import to_camel_case

from apps.lifecycle.machine import Machine
from apps.lifecycle.transitions import MAX_ITEMS, OnError
from apps.lifecycle.validation import MAX_COMMENT
from schema.inputs import carried_fields
from schema.lifecycle import action_enum

from .answers import HELD_BACK
from .problems import KINDS, Kind
from .reading import MAX_INT
from .resources import Model

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
NUMBER: Final[Json] = {"type": "integer"}
VERSION: Final[Json] = {"type": "integer", "format": "int32", "minimum": -MAX_INT, "maximum": MAX_INT}
CHANGE_VALUE: Final[Json] = {"description": "A value as JSON has it; of a relation the id. Personal data is redacted."}
COMMENT: Final[Json] = {
    "type": ["string", "null"],
    "maxLength": MAX_COMMENT,
    "pattern": r"^[^\u0000]*$",
    "description": "Why, for the audit trail.",
}
ITEM: Final[Json] = {
    "type": "object",
    "description": "An entity, and the version of it that you saw.",
    "properties": {
        "id": {**TEXT, "description": "Its global id, as the GraphQL API gives it."},
        "version": {**VERSION, "description": "The version that you saw."},
    },
    "required": ["id", "version"],
    "additionalProperties": False,
}


def ref(name: str) -> Json:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> dict[str, Json]:
    """Return the schemas that do not depend on what is changed, by their names."""
    return {
        "Item": ITEM,
        "Report": _report(),
        "Result": _result(),
        "Change": _change(),
        "Problem": _problem(),
        **{kind.name: _kind(kind) for kind in KINDS},
    }


def inputs_of(model: Model, action: str) -> dict[str, str]:
    """Return the references that an action takes, as the body names them, and the type of what each leads to."""
    names = {name for way in model.machine.ways(action) for name in way.takes}
    fields: dict[str, Any] = {name: model._meta.get_field(name) for name in names}
    return {to_camel_case(field.attname): field.related_model.__name__ for field in fields.values()}


def bulk_schema(model: Model) -> Json:
    """Return the schema of a bulk's body."""
    carried = {to_camel_case(name): _reference(field) for name, (_, field) in carried_fields(model).items()}
    properties: Json = {
        "action": _action(model),
        "items": {
            "type": "array",
            "items": ref("Item"),
            "minItems": 1,
            "maxItems": MAX_ITEMS,
            "description": f"Which, in the versions that you saw: 1 to {MAX_ITEMS}, each once.",
        },
        "comment": COMMENT,
        **carried,
        "onError": _choices(OnError, "What to do if some can't be done.", default=OnError.REJECT_ALL.value),
        "dryRun": {"type": "boolean", "default": False, "description": "Judge and report, and change nothing."},
    }
    return {
        "type": "object",
        "description": f"What to do to {model._meta.verbose_name_plural}.",
        "properties": properties,
        "required": ["action", "items"],
        "additionalProperties": False,
        "allOf": _conditions(model, carried),
    }


def _reference(field: Any) -> Json:
    return {"type": ["string", "null"], "description": str(field.description)}


def _action(model: Model) -> Json:
    return _choices(action_enum(model), "What to do, in capitals or not.")


def _choices(choices: Any, description: str, **more: Any) -> Json:
    meanings = "".join(f"\n- `{choice.value}`: {choice.label}." for choice in choices)
    return {"type": "string", "enum": choices.values, "description": f"{description}\n{meanings}", **more}


def _conditions(model: Model, carried: Json) -> list[Json]:
    """Return what an action demands besides: its comment, and references which others do not take."""
    machine: Machine = model.machine
    commented = [name for name in machine.action_names if any(way.requires_comment for way in machine.ways(name))]
    conditions = [_when(commented, {"comment": {"type": "string", "pattern": r"\S"}})]
    for name in carried:
        taking = [action for action in machine.action_names if name in inputs_of(model, action)]
        conditions.append(_when(taking, {name: TEXT}, {"properties": {name: {"type": "null"}}}))
    return conditions


def _when(actions: list[str], demanded: Json, otherwise: Json | None = None) -> Json:
    condition = {"properties": {"action": {"enum": actions}}, "required": ["action"]}
    then = {"if": condition, "then": {"properties": demanded, "required": list(demanded)}}
    return {**then, "else": otherwise} if otherwise else then


def _closed(description: str, properties: Json, *optional: str) -> Json:
    """Return the schema of an object whose members are all there but for these."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "properties": properties, "required": required}


def _report() -> Json:
    return _closed(
        "What became of the items, in the input's order.",
        {
            "operationId": {**TEXT, "format": "uuid", "description": "What the audit entries have in common."},
            "dryRun": {"type": "boolean", "description": "Nothing was changed; this is what would have been."},
            "requested": {**NUMBER, "description": "How many items were sent."},
            "succeeded": {**NUMBER, "description": "How many went through, or in a dry run would have."},
            "failed": {**NUMBER, "description": "How many were refused."},
            "results": {"type": "array", "items": ref("Result"), "description": "One for each item, in their order."},
        },
    )


def _result() -> Json:
    status = f"200: it went through; {HELD_BACK.value}: held back because others were refused; else why it was refused."
    entity = _closed(
        "The entity as it is after the operation; null if there is none.", {"status": TEXT, "version": VERSION}
    )
    return _closed(
        "What became of an item.",
        {
            "id": {**TEXT, "description": "The entity's id, as you sent it."},
            "status": {**NUMBER, "enum": [200, 403, 404, 409, HELD_BACK.value], "description": status},
            "entity": {**entity, "type": ["object", "null"]},
            "problem": {"anyOf": [ref("Problem"), {"type": "null"}], "description": "Why it was refused, or null."},
        },
    )


def _change() -> Json:
    return _closed(
        "How a field differs from what you saw.",
        {
            "field": TEXT,
            "before": CHANGE_VALUE,
            "after": CHANGE_VALUE,
            "changedAt": {**TEXT, "format": "date-time"},
            "changedBy": {
                **_closed("Who changed it last; null when a command did.", {"id": TEXT, "name": TEXT}),
                "type": ["object", "null"],
            },
        },
    )


def _problem() -> Json:
    return _closed(
        "Why something was not done, as RFC 9457 has it.",
        {
            "type": {**TEXT, "format": "uri-reference", "description": "Where the kind of problem is described."},
            "title": {**TEXT, "description": "The kind of problem, for people."},
            "status": {**NUMBER, "description": "The status of HTTP."},
            "detail": {**TEXT, "description": "What is wrong and what to do."},
            "code": {**TEXT, "enum": [kind.code for kind in KINDS], "description": "The kind, for programs."},
            "correlationId": {**TEXT, "description": "What to quote when you ask about the request."},
        },
        "correlationId",
    )


def _kind(kind: Kind) -> Json:
    properties: Json = {
        "code": {"const": kind.code},
        "status": {"const": kind.status.value},
        **EXTENSIONS.get(kind.name, {}),
    }
    return {"description": f"{kind.title}.", "allOf": [ref("Problem")], "type": "object", "properties": properties}


RESULTS: Final[Json] = {
    name: {**told, "description": f"Of a whole bulk. {told['description']}"}
    for name, told in _report()["properties"].items()
}
EXTENSIONS: Final[dict[str, Json]] = {
    "PermissionDenied": RESULTS,
    "NotFound": RESULTS,
    "ItemsRefused": RESULTS,
    "VersionConflict": {
        **RESULTS,
        "expectedVersion": {**VERSION, "description": "Of an item: the version that you sent."},
        "currentVersion": {**VERSION, "description": "Of an item: the version that it has now."},
        "changes": {"type": "array", "items": ref("Change"), "description": "Of an item: what has changed since."},
    },
    "TransitionNotAllowed": {
        **RESULTS,
        "currentStatus": {**TEXT, "description": "Of an item: the status that it has now."},
        "allowedActions": {"type": "array", "items": TEXT, "description": "Of an item: what you may do instead."},
    },
    "ValidationFailed": {
        "errors": {
            "type": "array",
            "description": "What is wrong, and where: a JSON Pointer into the body, or the name of a header.",
            "items": {
                "type": "object",
                "properties": {"detail": TEXT, "pointer": TEXT, "header": TEXT},
                "required": ["detail"],
            },
        }
    },
}
"""What problems of a kind tell beside what every problem tells."""
