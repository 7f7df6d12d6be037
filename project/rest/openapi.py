"""The document that describes the REST API (OpenAPI 3.1), read off the models and their machines."""

import hashlib
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import orjson
from django.conf import settings
from django.urls import reverse

from apps.accounts.middleware import CORRELATION_HEADER
from apps.lifecycle.machine import Machine
from schema.lifecycle import action_enum
from schema.mutations import bulk_name
from schema.reads.global_id import encode_id
from schema.weights import MUTATION

from .problems import KEY_HEADER, KINDS, PROBLEM
from .resources import Model, resources
from .schemas import bulk_schema, inputs_of, ref, schemas

Json = dict[str, Any]

VERSION: Final = "1"
ABOUT: Final = (
    "Takes many entities through one action of their workflow, as the mutations `bulkTransition…` of the GraphQL API "
    f"do. A bulk costs {MUTATION} points and one for each item, out of the same budget."
)
CODES: Final = {
    HTTPStatus.OK: "Every item went through, or in a dry run would have.",
    HTTPStatus.MULTI_STATUS: "With SKIP_FAILED: some items were refused, or all; the others went through.",
    HTTPStatus.BAD_REQUEST: "The body is not JSON, or the request can't be read.",
    HTTPStatus.UNAUTHORIZED: "There is no valid bearer token.",
    HTTPStatus.FORBIDDEN: "With REJECT_ALL: your role does not suffice for some items. Nothing was changed.",
    HTTPStatus.NOT_FOUND: "With REJECT_ALL: some items are not there. Nothing was changed. Or no such address is.",
    HTTPStatus.CONFLICT: "With REJECT_ALL: some items were changed meanwhile, their state stands against it, or they "
    "were refused for different reasons. Nothing was changed.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body has more bytes than a body may have.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not `application/json` in UTF-8.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The input makes no sense, and `errors` says where; or it costs more than a "
    "bulk may.",
    HTTPStatus.TOO_MANY_REQUESTS: "You have too few points left for now; nothing was done.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of ours, which was logged; nothing was changed.",
    HTTPStatus.SERVICE_UNAVAILABLE: "It took too long, or bulk operations are switched off; nothing was changed.",
}
"""The statuses of a bulk, and what each means."""

WITH_RESULTS: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}
"""The problems that may tell what became of each item."""

UNPAID: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.INTERNAL_SERVER_ERROR}
"""What is told before anything is drawn, or although it went wrong."""

HEADERS: Final = {
    "RateLimit": "How your limits stand, as the IETF's draft on such headers has it.",
    "RateLimit-Policy": "What your limits are.",
    "Retry-After": "After how many seconds to try again.",
    "WWW-Authenticate": "Which scheme to authenticate by.",
    CORRELATION_HEADER: "What ties together all that the request did; it stands in the audit trail.",
}


@cache
def document() -> bytes:
    """Return the document as JSON."""
    return orjson.dumps(described())


@cache
def tag() -> str:
    """Return what changes when the document does; weak, as it may travel compressed."""
    return f'W/"{hashlib.sha256(document()).hexdigest()[:32]}"'


def described() -> Json:
    """Return the document."""
    paths = {reverse(f"rest-{name}") + "/": _path(name, model) for name, model in resources().items()}
    components = {
        "schemas": {**schemas(), **{_input(model): bulk_schema(model) for model in resources().values()}},
        "headers": {name: _header(meaning) for name, meaning in HEADERS.items()},
        "responses": {status.name: _response(status) for status in CODES},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "An API token: `wg_…`."}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Workgraph", "version": VERSION, "description": ABOUT, "license": _license()},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": str(model.__doc__)} for name, model in resources().items()],
        "paths": {**paths, reverse("rest-openapi"): _own_path()},
        "components": components,
    }


def _license() -> Json:
    return {"name": "MIT", "identifier": "MIT"}


def _input(model: Model) -> str:
    return f"{model.__name__}Bulk"


def _path(name: str, model: Model) -> Json:
    plural = model._meta.verbose_name_plural
    content = {"schema": ref(_input(model)), "examples": _examples(model)}
    return {
        "post": {
            "operationId": bulk_name(model),
            "summary": f"Take many {plural} from one state to another, all or those that can.",
            "tags": [name],
            "parameters": [_key_parameter(), _correlation_parameter()],
            "requestBody": {"required": True, "content": {"application/json": content}},
            "responses": {str(status.value): {"$ref": f"#/components/responses/{status.name}"} for status in CODES},
        }
    }


def _own_path() -> Json:
    told: Json = {
        "200": {"description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}}},
        "304": {"description": "It is as it was."},
        "412": {"description": "It is another than you want.", "content": _content(HTTPStatus.PRECONDITION_FAILED)},
    }
    summary = "Read this document, which needs no token."
    return {"get": {"operationId": "readDocument", "summary": summary, "security": [], "responses": told}}


def _key_parameter() -> Json:
    return {
        "name": KEY_HEADER,
        "in": "header",
        "description": "Chosen by you, a UUID say, with quotes around it or without: a retry with the same key and the "
        "same input within 24 hours answers what the first did, and does it once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 202, "pattern": "^[ -~]+$"},
        "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
    }


def _correlation_parameter() -> Json:
    told = (
        "What the audit trail and the log are to know the request by: 8 to 64 letters, digits, `.`, `_`, `:` or `-`. "
        "One is made if there is none, or another."
    )
    return {"name": CORRELATION_HEADER, "in": "header", "description": told, "schema": {"type": "string"}}


def _examples(model: Model) -> Json:
    return {action: _example(model, action) for action in model.machine.action_names}


def _example(model: Model, action: str) -> Json:
    machine: Machine = model.machine
    value: Json = {"action": action, "items": [{"id": encode_id(model.__name__, 17), "version": 3}]}
    if any(way.requires_comment for way in machine.ways(action)):
        value["comment"] = "Why, for the audit trail."
    value |= {name: encode_id(kind, 4) for name, kind in inputs_of(model, action).items()}
    meaning = action_enum(model)[action].label
    return {"summary": str(meaning), "value": value}


def _header(meaning: str) -> Json:
    return {"description": meaning, "schema": {"type": "string"}}


def _response(status: HTTPStatus) -> Json:
    names = [CORRELATION_HEADER]
    names += [] if status in UNPAID or not settings.ENABLE_COST_LIMIT else ["RateLimit", "RateLimit-Policy"]
    names += {HTTPStatus.TOO_MANY_REQUESTS: ["Retry-After"], HTTPStatus.UNAUTHORIZED: ["WWW-Authenticate"]}.get(
        status, []
    )
    return {
        "description": CODES[status],
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": _content(status),
    }


def _content(status: HTTPStatus) -> Json:
    if status < HTTPStatus.BAD_REQUEST:
        return {"application/json": {"schema": ref("Report")}}
    kinds = [ref(kind.name) for kind in KINDS if kind.status == status]
    schema = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {PROBLEM: {"schema": schema}}
