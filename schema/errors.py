"""The errors a request ends with, and what of them a client is told.

* RequestError: the request can't be served as it stands; each has a code
    * BadRequestError (BAD_REQUEST)
    * UnauthenticatedError (UNAUTHENTICATED)

Whatever else is raised is a fault of ours: the client reads INTERNAL and nothing more, the log has the rest.
"""

import logging
from typing import ClassVar, Final

from graphql import GraphQLError

logger = logging.getLogger(__name__)

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


def published(error: GraphQLError) -> GraphQLError:
    """Return what the client is told of an error, and log what it is not told."""
    original = error.original_error
    if isinstance(original, RequestError):
        return error
    if original is None or isinstance(original, GraphQLError):
        error.extensions = {"code": BadRequestError.code, **(error.extensions or {})}
        return error
    logger.error("A resolver failed", exc_info=original)
    return GraphQLError(INTERNAL_MESSAGE, nodes=error.nodes, path=error.path, extensions={"code": "INTERNAL"})
