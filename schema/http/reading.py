"""What a request of HTTP asks for."""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

import orjson
from django.conf import settings
from django.utils.http import parse_header_parameters

from schema.documents.persisted import hash_sent
from schema.errors import BadRequestError, QueryTooComplexError
from schema.preparing import Asked

from .media import JSON

UTF_8: Final = {"utf-8", "utf8", ""}
EXAMPLE: Final = '{"query": "{ me { id } }"}'
PARAMETERS: Final = ("query", "documentId", "extensions")
"""One of them a request has at least."""


class TooLargeError(BadRequestError):
    """Raised when a body has more bytes than a body may have."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class MediaTypeError(BadRequestError):
    """Raised when a body is not JSON by its header."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def asks_nothing(parameters: Mapping[str, Any]) -> bool:
    """Tell whether a query string names no operation."""
    return not any(name in parameters for name in PARAMETERS)


@lru_cache(maxsize=64)
def is_json(content_type: str) -> bool:
    """Tell whether a body is JSON in UTF-8, by its header."""
    kind, parameters = parse_header_parameters(content_type)
    return kind == JSON and parameters.get("charset", "").lower() in UTF_8


def posted(body: bytes) -> tuple[list[Asked], bool]:
    """Return the operations that a body asks for, and whether it is a batch of them.

    Raises BadRequestError.
    """
    given = parsed(body, "The body")
    if not isinstance(given, list):
        return [_asked(given)], False
    if not given:
        raise BadRequestError("A batch must have an operation.")
    if len(given) > settings.MAX_BATCH:
        raise QueryTooComplexError(f"A batch may have {settings.MAX_BATCH} operations; this one has {len(given)}.")
    return [_asked(each) for each in given], True


def queried(parameters: Mapping[str, Any]) -> tuple[list[Asked], bool]:
    """Return the operation that a query string asks for; it is no batch.

    Raises BadRequestError.
    """
    given = dict(parameters)
    for name in ("variables", "extensions"):
        if given.get(name):
            given[name] = parsed(str(given[name]).encode(errors="surrogateescape"), f"`{name}`")
        else:
            given.pop(name, None)
    return [_asked(given)], False


def parsed(text: bytes, name: str) -> Any:
    """Return what a JSON text says; raises BadRequestError, which calls the text by this name."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"{name} is not JSON: {error}.") from None


def _asked(given: Any) -> Asked:
    if not isinstance(given, dict):
        raise BadRequestError(f"A request must be an object, like {EXAMPLE}.")
    query, extensions = _checked(given, "query", str, "a text"), _checked(given, "extensions", dict, "an object")
    names = [_checked(given, "documentId", str, "a text"), hash_sent(query, extensions)]
    named = [name for name in names if name is not None]
    if query is None and not named:
        raise BadRequestError("Send a document in `query`, or name a known one by `documentId`.")
    if len(named) > 1 or (query is not None and names[0] is not None):
        raise BadRequestError("Send a document in `query`, or name one by `documentId`; not both.")
    return Asked(
        query=query,
        document_name=next(iter(named), None),
        operation_name=_checked(given, "operationName", str, "a text"),
        variables=_checked(given, "variables", dict, "an object"),
        extensions=extensions,
    )


def _checked(given: Mapping[str, Any], name: str, kind: type, words: str) -> Any:
    value = given.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadRequestError(f"`{name}` must be {words}.")
    return value
