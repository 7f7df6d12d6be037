"""The errors a request ends with, and what of them a client is told.

* RequestError: the request can't be served as it stands; each has a code
    * BadRequestError (BAD_REQUEST)
    * UnauthenticatedError (UNAUTHENTICATED)
    * RateLimitedError (RATE_LIMITED)

Whatever else is raised is a fault of ours: the client reads INTERNAL and nothing more, the log has the rest.
"""

import logging
import re
from typing import ClassVar, Final

from django.conf import settings
from graphql import GraphQLError

logger = logging.getLogger(__name__)

INTERNAL: Final = "INTERNAL"
SUGGESTION: Final = re.compile(r" Did you mean .*", re.DOTALL)
"""What graphql-core tells of the schema to whoever misspells it."""

INTERNAL_MESSAGE: Final = "Something went wrong on our side; nothing was changed by the field that failed."


class RequestError(GraphQLError):
    """A request that can't be served as it stands."""

    code: ClassVar[str]

    def __init__(self, message: str) -> None:
        """Say what is wrong and what to do."""
        super().__init__(message, extensions={"code": self.code})


class BadRequestError(RequestError):
    """Raised when an argument makes no sense."""

    code = "BAD_REQUEST"


class UnauthenticatedError(RequestError):
    """Raised when nobody is logged in."""

    code = "UNAUTHENTICATED"


class RateLimitedError(RequestError):
    """Raised when a client has asked too often."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, retry_after: float) -> None:
        """Say how often one may ask, and after how many seconds it is worth trying again."""
        super().__init__(message)
        assert self.extensions is not None
        self.extensions["retryAfter"] = round(retry_after, 3)


def published(error: GraphQLError) -> GraphQLError:
    """Return what the client is told of an error, and log what it is not told."""
    original = error.original_error
    if isinstance(original, RequestError):
        return error
    if original is None or isinstance(original, GraphQLError):
        return _told(error, BadRequestError.code, _without_suggestions(error.message))
    if error.path is None and isinstance(original, ValueError):
        # Python reads no number of more than 4,300 digits; validation meets it before any resolver.
        return _told(error, BadRequestError.code, "A value in the document is too long to be read.")
    logger.error("A resolver failed", exc_info=original)
    return _told(error, INTERNAL, INTERNAL_MESSAGE)


def _told(error: GraphQLError, code: str, message: str) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code},
    )


def _without_suggestions(message: str) -> str:
    return message if settings.INTROSPECTION else SUGGESTION.sub("", message)
