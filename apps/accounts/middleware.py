"""Who is asking: each request gets a user, its queries that user's tenant, and its changes and log lines an origin."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from .models import User
from .origin import AuditSource, Origin, new_correlation_id, origin_scope, sent_by
from .scopes import Both
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
        with arriving(chosen, _source(request)):
            response = get_response(request)
        response[CORRELATION_HEADER] = chosen
        return response

    return handle


def bearer(header: str) -> str:
    """Return the text of the token in a header `Authorization`; none if it is of another scheme."""
    scheme, _, text = header.partition(" ")
    return text.strip() if scheme.lower() == SCHEME else ""


def bearer_token(get_response: Handler) -> Handler:
    """Make the user of a valid bearer token the request's user; answer 401 to any other Authorization."""

    def handle(request: HttpRequest) -> HttpResponse:
        header = request.headers.get("Authorization")
        if header is None:
            return get_response(request)
        token = find_token(bearer(header))
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


def arriving(correlation_id: str, source: AuditSource = AuditSource.GRAPHQL) -> AbstractContextManager[None]:
    """Let what is done inside come from a request of nobody, until it turns out whose it is."""
    return origin_scope(Origin(source, command="nobody signed in", correlation_id=correlation_id))


def acting(user: User, *, everywhere: bool = False) -> AbstractContextManager[None]:
    """Let a request's user read their tenant's rows inside, or every tenant's, and have done what is done there."""
    tenants = all_tenants() if everywhere else tenant_scope(user.tenant_id)
    return Both(tenants, origin_scope(sent_by(user.pk, user.tenant_id)))


def unauthenticated(request: HttpRequest, message: str) -> JsonResponse:
    """Return the 401 answer, in GraphQL's form, and under its media type if the client knows it."""
    error = {"message": message, "extensions": {"code": "UNAUTHENTICATED"}}
    answer = JsonResponse({"errors": [error]}, status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    if GRAPHQL_TYPE in request.headers.get("Accept", ""):
        answer["Content-Type"] = GRAPHQL_TYPE
    return answer


def _scope(request: HttpRequest) -> AbstractContextManager[object]:
    user = request.user
    if not user.is_authenticated:
        return nullcontext()
    return acting(user, everywhere=user.is_superuser and _in_admin_site(request))


def _source(request: HttpRequest) -> AuditSource:
    doors = {settings.ADMIN_PATH: AuditSource.ADMIN, settings.REST_PATH: AuditSource.REST}
    inside = (source for path, source in doors.items() if request.path_info.startswith(f"/{path}"))
    return next(inside, AuditSource.GRAPHQL)


def _in_admin_site(request: HttpRequest) -> bool:
    return request.path_info.startswith(f"/{settings.ADMIN_PATH}")
