"""The errors a request ends with, and what of them a client is told.

* RequestError: the request can't be served as it stands; each has a code, and a status of HTTP
    * BadRequestError (BAD_REQUEST, 400)
        * InvalidError (422): a document or variables that don't fit the schema
        * ForbiddenError (403)
        * MethodError (405)
    * UnauthenticatedError (UNAUTHENTICATED, 401)
    * QueryTooComplexError (QUERY_TOO_COMPLEX, 422)
    * PersistedQueryNotFoundError (PERSISTED_QUERY_NOT_FOUND, 422)
    * RateLimitedError (RATE_LIMITED, 429)

Whatever else is raised is a fault of ours: the client reads INTERNAL with the request's correlation id and nothing
more, the log has the rest.
"""

import logging
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.conf import settings
from graphql import GraphQLError
from strawberry.exceptions import StrawberryInputCoercionError

from apps.accounts.deadline import ran_out_of_time
from apps.accounts.origin import correlation_id

logger = logging.getLogger(__name__)

MAX_MESSAGE: Final = 500
"""So many characters of graphql-core's messages are told; they quote what the client has sent."""

INTERNAL: Final = "INTERNAL"
INTERNAL_MESSAGE: Final = "Something went wrong on our side; nothing was changed by the field that failed."


class RequestError(GraphQLError):
    """A request that can't be served as it stands."""

    code: ClassVar[str]
    status: ClassVar[HTTPStatus]

    def __init__(self, message: str, **details: Any) -> None:
        """Say what is wrong and what to do; details go to the client beside the code."""
        super().__init__(message, extensions={"code": self.code, **details})


class BadRequestError(RequestError):
    """Raised when an argument, or the request itself, makes no sense."""

    code, status = "BAD_REQUEST", HTTPStatus.BAD_REQUEST


class InvalidError(BadRequestError):
    """Raised when a document or its variables don't fit the schema."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class ForbiddenError(BadRequestError):
    """Raised when this server serves no such request, whoever sends it."""

    status = HTTPStatus.FORBIDDEN


class MethodError(BadRequestError):
    """Raised when what is asked may not come by this method of HTTP."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class UnauthenticatedError(RequestError):
    """Raised when nobody is logged in."""

    code, status = "UNAUTHENTICATED", HTTPStatus.UNAUTHORIZED


class QueryTooComplexError(RequestError):
    """Raised when an operation asks for more than one operation may."""

    code, status = "QUERY_TOO_COMPLEX", HTTPStatus.UNPROCESSABLE_ENTITY


class PersistedQueryNotFoundError(RequestError):
    """Raised when no document is known by an id. The message is the one that Apollo's clients look for."""

    code, status = "PERSISTED_QUERY_NOT_FOUND", HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self) -> None:
        """Say so."""
        super().__init__("PersistedQueryNotFound")


class RateLimitedError(RequestError):
    """Raised when a client has asked for more than it may for now."""

    code, status = "RATE_LIMITED", HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, retry_after: float) -> None:
        """Say how much one may ask for, and after how many seconds it is worth trying again."""
        super().__init__(message, retryAfter=round(retry_after, 3))
        self.retry_after = retry_after


def published(error: GraphQLError) -> GraphQLError:
    """Return what the client is told of an error, and log what it is not told."""
    original = error.original_error
    if isinstance(error, RequestError) or isinstance(original, RequestError):
        return error
    if original is None or (isinstance(original, GraphQLError) and _is_about_the_request(error, original)):
        return _told(error, BadRequestError.code, error.message[:MAX_MESSAGE])
    if ran_out_of_time(original):
        return _told(error, QueryTooComplexError.code, _too_slow())
    logger.error("A resolver failed", exc_info=original)
    return _told(error, INTERNAL, INTERNAL_MESSAGE, correlationId=correlation_id())


def _is_about_the_request(error: GraphQLError, original: GraphQLError) -> bool:
    """Tell what a client has sent from a value of ours that can't be answered: that one points at nothing it sent."""
    return error.path is None or bool(original.nodes) or isinstance(original, StrawberryInputCoercionError)


def _too_slow() -> str:
    """Return what is said of a request that took too long."""
    return f"This took longer than the {settings.REQUEST_SECONDS:g} s that a request may take; ask for less at once."


def internal() -> GraphQLError:
    """Return what is told of a fault of ours: an id to quote, by which the log has the rest."""
    return GraphQLError(INTERNAL_MESSAGE, extensions={"code": INTERNAL, "correlationId": correlation_id()})


def _told(error: GraphQLError, code: str, message: str, **details: str) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code, **details},
    )
