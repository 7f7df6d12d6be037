"""`/graphql`: operations by POST and GET, GraphiQL for a browser."""

import logging
from http import HTTPStatus
from typing import Any

import orjson
from cross_web import HTTPException
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from strawberry.django.views import GraphQLView
from strawberry.http import GraphQLHTTPResponse, process_result
from strawberry.types import ExecutionResult

from .context import Context
from .errors import INTERNAL, INTERNAL_MESSAGE, BadRequestError, UnauthenticatedError, published
from .graphiql import graphiql_response

logger = logging.getLogger(__name__)


class GraphQLEndpoint(GraphQLView[Context, None]):
    """Execute operations for a logged-in user; show GraphiQL to a browser."""

    def dispatch(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponseBase:
        """Answer a request; whatever is wrong with it is told in GraphQL's form."""
        try:
            return self.run(request=request)
        except UnauthenticatedError as error:
            answer = refusal(error.message, error.code, HTTPStatus.UNAUTHORIZED)
            answer["WWW-Authenticate"] = "Bearer"
            return answer
        except HTTPException as error:
            return refusal(str(error.reason), BadRequestError.code, error.status_code)
        except UnicodeDecodeError:
            return refusal("The body is not UTF-8.", BadRequestError.code, HTTPStatus.BAD_REQUEST)
        except RequestDataTooBig:
            message = f"A body may have {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes."
            return refusal(message, BadRequestError.code, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except Exception:
            logger.exception("The request failed outside any resolver")
            return refusal(INTERNAL_MESSAGE, INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR)

    def get_context(self, request: HttpRequest, response: HttpResponse) -> Context:
        """Return what resolvers know of the request.

        Raises UnauthenticatedError when nobody is logged in.
        """
        context = Context(request, response)
        _ = context.actor
        return context

    def process_result(self, request: HttpRequest, result: ExecutionResult) -> GraphQLHTTPResponse:  # noqa: ARG002
        """Return the answer with its errors as a client may see them."""
        result.errors = [published(error) for error in result.errors] if result.errors else None
        return process_result(result)

    def parse_json(self, data: str | bytes) -> Any:
        """Return the object or array that a body is."""
        parsed = super().parse_json(data)
        if not isinstance(parsed, dict | list):
            raise HTTPException(HTTPStatus.BAD_REQUEST, 'The JSON must be an object, like {"query": "{ me { id } }"}.')
        return parsed

    def decode_json(self, data: str | bytes) -> object:
        """Return what a body says; unlike the standard library's parser, whatever its depth."""
        return orjson.loads(data)

    def encode_json(self, data: object) -> bytes:
        """Return the answer as JSON."""
        return orjson.dumps(data)

    def render_graphql_ide(self, request: HttpRequest) -> HttpResponse:
        """Return GraphiQL, where the settings allow it."""
        if not settings.GRAPHIQL:
            raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, "GraphiQL is off; send `Accept: application/json`.")
        return graphiql_response(request, token=settings.GRAPHIQL_TOKEN)


def refusal(message: str, code: str, status: int) -> JsonResponse:
    """Return a request error as the whole answer."""
    return JsonResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> JsonResponse:  # noqa: ARG001 (Django's signature)
    """Return what a session request without the CSRF token gets."""
    message = "The CSRF token is missing or wrong: send the page's token in X-CSRFToken, or use a bearer token."
    return refusal(message, BadRequestError.code, HTTPStatus.FORBIDDEN)
