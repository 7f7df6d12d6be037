"""`/graphql` as Django serves it: operations by POST and GET, GraphiQL for a browser."""

from collections.abc import Sequence
from functools import partial
from http import HTTPMethod, HTTPStatus
from typing import Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import reverse

from schema.context import UNAUTHENTICATED, actor_of
from schema.errors import BadRequestError, ForbiddenError, MethodError, UnauthenticatedError
from schema.graphiql import graphiql_response
from schema.preparing import Asked

from .media import GRAPHQL, JSON, answer_type, wants_page
from .protocol import ALLOWED, Reply, operations, refusal, told
from .reading import MediaTypeError, TooLargeError, asks_nothing, is_json, posted, queried

READING: Final = {HTTPMethod.GET, HTTPMethod.HEAD}


class AcceptError(BadRequestError):
    """Raised when a client accepts no form of answer that we have."""

    status = HTTPStatus.NOT_ACCEPTABLE


def graphql(request: HttpRequest) -> HttpResponse:
    """Answer a request; whatever is wrong with it is told in GraphQL's form."""
    media = answer_type(_accepted(request))
    answer = told(partial(_answer, request, media), media or JSON)
    return response(answer) if isinstance(answer, Reply) else answer


def response(reply: Reply) -> HttpResponse:
    """Return Django's form of an answer."""
    return HttpResponse(
        reply.content, status=reply.status_code, reason=reply.reason_phrase, headers=dict(reply.headers)
    )


def _answer(request: HttpRequest, media: str | None) -> HttpResponse | Reply:
    if request.method == HTTPMethod.OPTIONS:
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": ALLOWED})
    reading = request.method in READING
    if not reading and request.method != HTTPMethod.POST:
        raise MethodError("Send operations by POST, or queries by GET.")
    if reading and asks_nothing(request.GET) and settings.GRAPHIQL and wants_page(_accepted(request)):
        return graphiql_response(request, token=settings.GRAPHIQL_TOKEN)
    if media is None:
        raise AcceptError(f"Answers come as {GRAPHQL} or {JSON}; accept one of them.")
    return operations(actor_of(request), partial(_asked, request), media, reading=reading)


def _asked(request: HttpRequest) -> tuple[Sequence[Asked], bool]:
    if request.method in READING:
        return queried(request.GET.dict())
    return posted(sent_json(request))


def sent_json(request: HttpRequest) -> bytes:
    """Return the body of a request, which is JSON by its headers, not compressed, and not too large.

    Raises MediaTypeError, TooLargeError and BadRequestError.
    """
    if not is_json(request.META.get("CONTENT_TYPE", "")):
        raise MediaTypeError(f"Send JSON in UTF-8, with the header `Content-Type: {JSON}`.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MediaTypeError("Send the body as it is, without a `Content-Encoding`.")
    try:
        return request.body
    except RequestDataTooBig:
        raise TooLargeError(f"A body may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes.") from None
    except (UnreadablePostError, ValueError):  # its length may be no number
        raise BadRequestError("The body ended before its end.") from None


def _accepted(request: HttpRequest) -> str:
    return request.headers.get("Accept", "")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 (Django's signature)
    """Return what a request without the CSRF token gets; one for data that has no session either is nobody's."""
    media = answer_type(_accepted(request)) or JSON
    if request.path == reverse("graphql") and settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return response(refusal(UnauthenticatedError(UNAUTHENTICATED), media))
    message = "The CSRF token is missing or wrong: send the page's token in X-CSRFToken, or use a bearer token."
    return response(refusal(ForbiddenError(message), media))
