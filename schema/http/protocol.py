"""What is answered over HTTP, whoever takes the request in: statuses, headers and bodies."""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.client import responses
from math import ceil
from typing import Any, Final, NamedTuple, TypeVar

from django.core.exceptions import SuspiciousOperation

from apps.accounts.models import User
from schema.budget import Admission, OverBudgetError
from schema.busy import Busy
from schema.errors import BadRequestError, RateLimitedError, RequestError, UnauthenticatedError, internal
from schema.json_text import json_of
from schema.metrics import Timing
from schema.operation import answer_all
from schema.preparing import Answer, Asked

from .media import GRAPHQL, JSON

logger = logging.getLogger(__name__)

T = TypeVar("T")
Read = Callable[[], tuple[Sequence[Asked | RequestError], bool]]
"""Returns the operations of a request, and whether it is a batch of them; raises RequestError."""

ALLOWED: Final = "GET, HEAD, POST, OPTIONS"
VARY: Final = "Accept, Authorization, Cookie"
PARTIAL_SUCCESS: Final = 294
"""The draft's status for data with errors."""

PHRASES: Final = {**responses, PARTIAL_SUCCESS: "Partial Success"}

LEGACY_OK: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
"""What is wrong with an operation; to a client that reads plain JSON only, the draft tells it under the status 200."""


class Reply(NamedTuple):
    """An answer over HTTP."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def reason_phrase(self) -> str:
        """The status in words."""
        return PHRASES[self.status_code]


def told(answer: Callable[[], T], media: str) -> T | Reply:
    """Return an answer; whatever is wrong with the request is told in GraphQL's form."""
    try:
        return answer()
    except RequestError as error:
        return refusal(error, media)
    except SuspiciousOperation:
        return refusal(
            BadRequestError("The request has more parameters, or other ones, than a request may have."), media
        )
    except Exception:
        logger.exception("The request failed outside any resolver")
        return _reply({"errors": [internal().formatted]}, HTTPStatus.INTERNAL_SERVER_ERROR, media)


def operations(actor: User, read: Read, media: str, *, reading: bool) -> Reply:
    """Return what becomes of the operations of a request; with `reading` nothing runs but queries."""
    busy = Busy()
    asked: Sequence[Asked | RequestError] = ()
    is_batch = False
    with Timing() as timing:
        try:
            with Admission(actor):
                with busy.measured():
                    asked, is_batch = _asked(read)
                answers, paid = answer_all(actor, asked, busy, reading=reading)
        except OverBudgetError as error:
            timing.note_limited(_name(asked), is_batch=is_batch)
            return _over_budget(error, asked, media, is_batch=is_batch)
        bodies = [answer.body(paid) for answer in answers]
        body, status = (bodies, HTTPStatus.OK) if is_batch else (bodies[0], _status(answers[0], media))
        reply = _reply(body, status, media, paid.headers())
        timing.note(answers, is_batch=is_batch)
        return reply


def _name(asked: Sequence[Asked | RequestError]) -> str | None:
    return asked[0].operation_name if asked and isinstance(asked[0], Asked) else None


def refusal(error: RequestError, media: str) -> Reply:
    """Return what tells that a request can't be served."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, UnauthenticatedError) else {}
    return _reply({"errors": [error.formatted]}, error.status, media, headers)


def _asked(read: Read) -> tuple[Sequence[Asked | RequestError], bool]:
    try:
        return read()
    except RequestError as error:
        return [error], False


def _status(answer: Answer, media: str) -> int:
    if answer.ran:
        return PARTIAL_SUCCESS if answer.errors and media == GRAPHQL else HTTPStatus.OK
    legacy = media == JSON and answer.status in LEGACY_OK and not answer.malformed
    return HTTPStatus.OK if legacy else answer.status


def _over_budget(error: OverBudgetError, asked: Sequence[Asked | RequestError], media: str, *, is_batch: bool) -> Reply:
    answer = Answer(error.told.status, [error.told], requested=error.requested, actual=0)
    body = answer.body(error.charge)
    bodies: Any = [body] * len(asked) if is_batch else body
    headers = {**error.charge.headers(), **_waiting(error.told)}
    return _reply(bodies, _status(answer, media), media, headers)


def _waiting(error: RequestError) -> Mapping[str, str]:
    return {"Retry-After": str(ceil(error.retry_after))} if isinstance(error, RateLimitedError) else {}


def _reply(body: Any, status: int, media: str, more: Mapping[str, str] | None = None) -> Reply:
    headers = {"Content-Type": f"{media}; charset=utf-8", **(more or {}), "Cache-Control": "no-store", "Vary": VARY}
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ALLOWED
    return Reply(status, headers, json_of(body))
