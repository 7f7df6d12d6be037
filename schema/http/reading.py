"""What a request of HTTP asks for."""

from collections.abc import Mapping
from http import HTTPMethod
from typing import Any, Final

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError

from schema.documents.persisted import hash_sent
from schema.errors import BadRequestError, QueryTooComplexError
from schema.operation import Asked

from .media import JSON

UTF_8: Final = {"utf-8", "utf8", ""}
EXAMPLE: Final = '{"query": "{ me { id } }"}'
PARAMETERS: Final = ("query", "documentId", "extensions")
"""One of them a request has at least."""


class TooLargeError(BadRequestError):
    """Raised when a body has more bytes than a body may have."""

    status = BadRequestError.status.REQUEST_ENTITY_TOO_LARGE


class MediaTypeError(BadRequestError):
    """Raised when a body is not JSON by its header."""

    status = BadRequestError.status.UNSUPPORTED_MEDIA_TYPE


def asks_nothing(request: HttpRequest) -> bool:
    """Tell whether a request by GET names no operation."""
    return not any(name in request.GET for name in PARAMETERS)


def operations(request: HttpRequest) -> tuple[list[Asked], bool]:
    """Return the operations that a request asks for, and whether it is a batch of them.

    Raises BadRequestError.
    """
    if request.method == HTTPMethod.POST:
        return _posted(_body(request))
    return [_asked(_query_string(request))], False


def _posted(body: Any) -> tuple[list[Asked], bool]:
    if not isinstance(body, list):
        return [_asked(body)], False
    if not body:
        raise BadRequestError("A batch must have an operation.")
    if len(body) > settings.MAX_BATCH:
        raise QueryTooComplexError(f"A batch may have {settings.MAX_BATCH} operations; this one has {len(body)}.")
    return [_asked(each) for each in body], True


def _query_string(request: HttpRequest) -> dict[str, Any]:
    given: dict[str, Any] = request.GET.dict()
    for name in ("variables", "extensions"):
        if given.get(name):
            given[name] = _json(str(given[name]).encode(errors="surrogateescape"), f"`{name}`")
        else:
            given.pop(name, None)
    return given


def _body(request: HttpRequest) -> Any:
    charset = request.content_params.get("charset", "") if request.content_params else ""
    if request.content_type != JSON or charset.lower() not in UTF_8:
        raise MediaTypeError(f"Send JSON in UTF-8, with the header `Content-Type: {JSON}`.")
    try:
        body = request.body
    except RequestDataTooBig:
        raise TooLargeError(f"A body may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.") from None
    except (UnreadablePostError, ValueError):  # its length may be no number
        raise BadRequestError("The body ended before its end.") from None
    return _json(body, "The body")


def _json(text: bytes, name: str) -> Any:
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
