"""Who is asking: each request gets a user, its queries that user's tenant, and its changes and log lines an origin."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from .origin import AuditSource, Origin, new_correlation_id, origin_scope, sent_by
from .tenancy import all_tenants, tenant_scope
from .tokens import find_token, note_use

Handler = Callable[[HttpRequest], HttpResponse]

SCHEME: Final = "bearer"
GRAPHQL_TYPE: Final = "application/graphql-response+json"
CORRELATION_HEADER: Final = "X-Correlation-ID"


def correlation(get_response: Handler) -> Handler:
    """Give the request a correlation id, the client's if it sent a well-formed one, and send it back."""

    def handle(request: HttpRequest) -> HttpResponse:
        chosen = new_correlation_id(request.headers.get(CORRELATION_HEADER, ""))
        request.correlation_id = chosen  # type: ignore[attr-defined]
        source = AuditSource.ADMIN if _in_admin_site(request) else AuditSource.GRAPHQL
        with origin_scope(Origin(source, command="nobody signed in", correlation_id=chosen)):
            response = get_response(request)
        response[CORRELATION_HEADER] = chosen
        return response

    return handle


def bearer_token(get_response: Handler) -> Handler:
    """Make the user of a valid bearer token the request's user; answer 401 to any other Authorization."""

    def handle(request: HttpRequest) -> HttpResponse:
        header = request.headers.get("Authorization")
        if header is None:
            return get_response(request)
        scheme, _, text = header.partition(" ")
        token = find_token(text.strip()) if scheme.lower() == SCHEME else None
        if token is None:
            message = "This is no valid bearer token: it may have expired or been revoked. Get a new one."
            return unauthenticated(request, message)
        note_use(token)
        request.user = token.user
        # A page of another origin can't send this header, so the token itself is the proof that CSRF tokens give.
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return get_response(request)

    return handle


def tenancy(get_response: Handler) -> Handler:
    """Run the request in the scope of its user's tenant, its changes made by the user.

    Without a user no tenant's row can be reached.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        with _scope(request):
            return get_response(request)

    return handle


def unauthenticated(request: HttpRequest, message: str) -> JsonResponse:
    """Return the 401 answer, in GraphQL's form, and under its media type if the client knows it."""
    error = {"message": message, "extensions": {"code": "UNAUTHENTICATED"}}
    answer = JsonResponse({"errors": [error]}, status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    if GRAPHQL_TYPE in request.headers.get("Accept", ""):
        answer["Content-Type"] = GRAPHQL_TYPE
    return answer


def _scope(request: HttpRequest) -> AbstractContextManager[object]:
    user, scope = request.user, ExitStack()
    if user.is_authenticated:
        everything = user.is_superuser and _in_admin_site(request)
        scope.enter_context(all_tenants() if everything else tenant_scope(user.tenant_id))
        scope.enter_context(origin_scope(sent_by(user.pk, user.tenant_id)))
    return scope


def _in_admin_site(request: HttpRequest) -> bool:
    return request.path_info.startswith(f"/{settings.ADMIN_PATH}")
