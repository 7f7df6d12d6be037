"""`/graphql`: operations by POST and GET, GraphiQL for a browser."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from math import ceil
from typing import Any, Final

import orjson
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from schema.budget import OverBudgetError, admitted
from schema.busy import Busy
from schema.context import UNAUTHENTICATED, actor_of
from schema.errors import (
    BadRequestError,
    ForbiddenError,
    MethodError,
    RateLimitedError,
    RequestError,
    UnauthenticatedError,
    internal,
)
from schema.graphiql import graphiql_response
from schema.operation import Answer, Asked, answer_all

from .media import GRAPHQL, JSON, answer_type, wants_page
from .reading import asks_nothing, operations

logger = logging.getLogger(__name__)

ALLOWED: Final = "GET, HEAD, POST, OPTIONS"
READING: Final = {HTTPMethod.GET, HTTPMethod.HEAD}
PARTIAL_SUCCESS: Final = 294
"""The draft's status for data with errors."""

LEGACY_OK: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
"""What is wrong with an operation; to a client that reads plain JSON only, the draft tells it under the status 200."""


class AcceptError(BadRequestError):
    """Raised when a client accepts no form of answer that we have."""

    status = HTTPStatus.NOT_ACCEPTABLE


def graphql(request: HttpRequest) -> HttpResponse:
    """Answer a request; whatever is wrong with it is told in GraphQL's form."""
    media = answer_type(request) or JSON
    try:
        return _answer(request, media)
    except RequestError as error:
        return _refusal(error, media)
    except SuspiciousOperation:
        return _refusal(
            BadRequestError("The request has more parameters, or other ones, than a request may have."), media
        )
    except Exception:
        logger.exception("The request failed outside any resolver")
        return _response({"errors": [internal().formatted]}, HTTPStatus.INTERNAL_SERVER_ERROR, media)


def _answer(request: HttpRequest, media: str) -> HttpResponse:
    if request.method == HTTPMethod.OPTIONS:
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": ALLOWED})
    if request.method not in {*READING, HTTPMethod.POST}:
        raise MethodError("Send operations by POST, or queries by GET.")
    if request.method in READING and asks_nothing(request) and settings.GRAPHIQL and wants_page(request):
        return graphiql_response(request, token=settings.GRAPHIQL_TOKEN)
    if answer_type(request) is None:
        raise AcceptError(f"Answers come as {GRAPHQL} or {JSON}; accept one of them.")
    actor, busy = actor_of(request), Busy()
    asked: Sequence[Asked | RequestError] = ()
    is_batch = False
    try:
        with admitted(actor):
            with busy.measured():
                asked, is_batch = _asked(request)
            answers, paid = answer_all(actor, asked, busy, reading=request.method in READING)
    except OverBudgetError as error:
        return _over_budget(error, asked, media, is_batch=is_batch)
    bodies = [answer.body(paid) for answer in answers]
    if is_batch:
        return _response(bodies, HTTPStatus.OK, media, paid.headers())
    return _response(bodies[0], _status(answers[0], media), media, paid.headers())


def _asked(request: HttpRequest) -> tuple[Sequence[Asked | RequestError], bool]:
    try:
        return operations(request)
    except RequestError as error:
        return [error], False


def _status(answer: Answer, media: str) -> int:
    if answer.ran:
        return PARTIAL_SUCCESS if answer.errors and media == GRAPHQL else HTTPStatus.OK
    legacy = media == JSON and answer.status in LEGACY_OK and not answer.malformed
    return HTTPStatus.OK if legacy else answer.status


def _over_budget(
    error: OverBudgetError, asked: Sequence[Asked | RequestError], media: str, *, is_batch: bool
) -> HttpResponse:
    answer = Answer(error.told.status, [error.told], requested=error.requested, actual=0)
    body = answer.body(error.charge)
    bodies: Any = [body] * len(asked) if is_batch else body
    headers = {**error.charge.headers(), **_waiting(error.told)}
    return _response(bodies, _status(answer, media), media, headers)


def _waiting(error: RequestError) -> Mapping[str, str]:
    return {"Retry-After": str(ceil(error.retry_after))} if isinstance(error, RateLimitedError) else {}


def _refusal(error: RequestError, media: str) -> HttpResponse:
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, UnauthenticatedError) else None
    return _response({"errors": [error.formatted]}, error.status, media, headers)


def _response(body: Any, status: int, media: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), status=status, content_type=f"{media}; charset=utf-8")
    if status == PARTIAL_SUCCESS:
        response.reason_phrase = "Partial Success"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response["Allow"] = ALLOWED
    for name, value in (headers or {}).items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ("Accept", "Authorization", "Cookie"))
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 (Django's signature)
    """Return what a request without the CSRF token gets; one for data that has no session either is nobody's."""
    if request.path == reverse("graphql") and settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return _refusal(UnauthenticatedError(UNAUTHENTICATED), answer_type(request) or JSON)
    message = "The CSRF token is missing or wrong: send the page's token in X-CSRFToken, or use a bearer token."
    return _refusal(ForbiddenError(message), answer_type(request) or JSON)
