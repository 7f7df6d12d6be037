"""What a request is told when it is not done: problem details, as RFC 9457 has them."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Final, NamedTuple, TypeVar

import orjson
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from strawberry.utils.str_converters import to_camel_case

from apps.accounts.origin import correlation_id
from apps.lifecycle.errors import Problem, RefusedError, ValidationFailedError
from schema.budget import OverBudgetError
from schema.errors import INTERNAL, INTERNAL_MESSAGE, RateLimitedError, RequestError

Json = dict[str, Any]
R = TypeVar("R", bound=HttpResponse)

PROBLEM: Final = "application/problem+json"
KEY_HEADER: Final = "Idempotency-Key"
NO_STORE: Final = {"Cache-Control": "no-store"}
MAX_TOLD: Final = 50
"""So many things that are wrong with an input are told."""


class Kind(NamedTuple):
    """A kind of problem: what it is called in the document of the API, its status, its code, and what it means."""

    name: str
    status: HTTPStatus
    code: str
    title: str

    @property
    def uri(self) -> str:
        """Where the kind is described: a reference relative to the server's address."""
        return f"{reverse('rest-openapi')}#/components/schemas/{self.name}"

    def told(self, detail: str, **more: Any) -> Json:
        """Return the details of a problem of this kind."""
        told = {"type": self.uri, "title": self.title, "status": self.status, "detail": detail, "code": self.code}
        return {**told, **more}


KINDS: Final = (
    Kind("BadRequest", HTTPStatus.BAD_REQUEST, "BAD_REQUEST", "This is no request that can be read"),
    Kind("Unauthenticated", HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED", "There is no valid bearer token"),
    Kind("PermissionDenied", HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", "Your role does not suffice"),
    Kind("HttpsRequired", HTTPStatus.FORBIDDEN, "HTTPS_REQUIRED", "This server is for HTTPS only"),
    Kind("NotFound", HTTPStatus.NOT_FOUND, "NOT_FOUND", "There is no such thing"),
    Kind("MethodNotAllowed", HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "This address has other methods"),
    Kind("ItemsRefused", HTTPStatus.CONFLICT, "ITEMS_REFUSED", "Items were refused, for different reasons"),
    Kind("VersionConflict", HTTPStatus.CONFLICT, "VERSION_CONFLICT", "Somebody changed it after you had read it"),
    Kind(
        "TransitionNotAllowed",
        HTTPStatus.CONFLICT,
        "TRANSITION_NOT_ALLOWED",
        "Its state, or a rule of its workflow, stands against it",
    ),
    Kind(
        "PreconditionFailed",
        HTTPStatus.PRECONDITION_FAILED,
        "PRECONDITION_FAILED",
        "It is not in the form that your If-Match names",
    ),
    Kind("TooLarge", HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TOO_LARGE", "The body is too large"),
    Kind("UnsupportedMediaType", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "The body is not JSON"),
    Kind("ValidationFailed", HTTPStatus.UNPROCESSABLE_ENTITY, "VALIDATION_FAILED", "What you sent makes no sense"),
    Kind("TooExpensive", HTTPStatus.UNPROCESSABLE_ENTITY, "QUERY_TOO_COMPLEX", "This costs more than you can spend"),
    Kind("RateLimited", HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED", "You have asked for more than you may for now"),
    Kind("Internal", HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL, "Something went wrong on our side"),
    Kind("Unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "UNAVAILABLE", "This can't be done at the moment"),
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}
DETAILS: Final = {
    "BadRequest": "The server can't read this request: look at its host, its address and its headers.",
    "Unauthenticated": "This is no valid bearer token: it may have expired or been revoked. Get a new one.",
    "HttpsRequired": "Send requests to the https address. Replace the token, which others may have read on its way.",
    "NotFound": "There is nothing at this address; the API's document names all that there is.",
    "RateLimited": "Too many requests without a valid token came from your address.",
    "Internal": INTERNAL_MESSAGE,
    "Unavailable": "The server can't do this at the moment; nothing was changed. Try again later.",
}
"""What is said where something before the API itself has answered."""


class ProblemResponse(HttpResponse):
    """Details of a problem."""

    def __init__(self, kind: Kind, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        """Tell of a problem; `more` stands beside what every problem tells."""
        super().__init__(
            body_of(kind, detail, **more),
            content_type=PROBLEM,
            status=kind.status,
            headers={**NO_STORE, **(headers or {})},
        )


def body_of(kind: Kind, detail: str, **more: Any) -> bytes:
    """Return the body that tells of a problem."""
    return orjson.dumps(kind.told(detail, correlationId=correlation_id(), **more))


def of_status(status: int) -> Kind:
    """Return the kind of problem that a status tells by itself; of one that none here has, a kind of its own."""
    answered = HTTPStatus(status)
    plain = Kind("Problem", answered, answered.name, answered.phrase)
    return next((kind for kind in KINDS if kind.status == status), plain)


def of_code(code: str) -> Kind:
    """Return the kind of problem with a code; what has none here can't be done at the moment."""
    return next((kind for kind in KINDS if kind.code == code), BY_NAME["Unavailable"])


def of_request(error: RequestError) -> ProblemResponse:
    """Return what tells that a request can't be served."""
    code = (error.extensions or {})["code"]
    fitting = [kind for kind in KINDS if kind.status == error.status]
    kind = next((each for each in fitting if each.code == code), fitting[0] if fitting else of_code(code))
    if kind is BY_NAME["Unauthenticated"]:  # to log in, as GraphQL advises, is of no use here
        return ProblemResponse(kind, "Send `Authorization: Bearer <token>`.", headers={"WWW-Authenticate": "Bearer"})
    return ProblemResponse(kind, error.message)


def over_budget(error: OverBudgetError) -> HttpResponse:
    """Return what tells that a request costs more than there is."""
    answer = of_request(error.told)
    waiting = {"Retry-After": str(ceil(error.told.retry_after))} if isinstance(error.told, RateLimitedError) else {}
    return add_headers(answer, {**error.charge.headers(), **waiting})


def add_headers(response: R, headers: Mapping[str, str]) -> R:
    """Return the response with headers added."""
    for name, value in headers.items():
        response[name] = value
    return response


def of_refusal(refusal: RefusedError) -> ProblemResponse:
    """Return what tells that an input was refused as a whole."""
    kind = of_code(refusal.code)
    if isinstance(refusal, ValidationFailedError):
        return invalid(refusal.problems)
    return ProblemResponse(kind, refusal.message)


def invalid(problems: Iterable[Problem]) -> ProblemResponse:
    """Return what tells what is wrong with an input, and where in it."""
    (first, *others) = problems
    errors = [_placed(each) for each in (first, *others)[:MAX_TOLD]]
    place = errors[0].get("pointer", KEY_HEADER)
    detail = f"{place}: {first.message}" + (f" There is more: {len(others) + 1} in all." if others else "")
    return ProblemResponse(BY_NAME["ValidationFailed"], detail, errors=errors)


def too_slow() -> ProblemResponse:
    """Return what tells that a request took too long."""
    detail = f"This took longer than the {settings.REQUEST_SECONDS:g} s that a request may take. Nothing was changed."
    return ProblemResponse(BY_NAME["Unavailable"], f"{detail} Send fewer items at once.")


def switched_off() -> ProblemResponse:
    """Return what tells that the operator wants no bulks."""
    detail = "Bulk operations are switched off on this server; take entities through one at a time, by GraphQL."
    return ProblemResponse(BY_NAME["Unavailable"], detail)


def _placed(problem: Problem) -> Json:
    if problem.path == "idempotency_key":
        return {"detail": problem.message, "header": KEY_HEADER}
    if problem.path.startswith("#"):
        return {"detail": problem.message, "pointer": problem.path}
    return {"detail": problem.message, "pointer": pointer(*map(to_camel_case, problem.path.split(".")))}


def pointer(*places: str) -> str:
    """Return the JSON Pointer (RFC 6901) of a place in the body, as the fragment of a URI."""
    escaped = (place.replace("~", "~0").replace("/", "~1") for place in places if place)
    return "".join(["#", *(f"/{place}" for place in escaped)])
