"""Who is asking: each request gets a user, and its queries that user's tenant."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from .tenancy import all_tenants, tenant_scope
from .tokens import find_token, note_use

Handler = Callable[[HttpRequest], HttpResponse]

SCHEME: Final = "bearer"


def bearer_token(get_response: Handler) -> Handler:
    """Make the user of a valid bearer token the request's user; answer 401 to any other Authorization."""

    def handle(request: HttpRequest) -> HttpResponse:
        header = request.headers.get("Authorization")
        if header is None:
            return get_response(request)
        scheme, _, text = header.partition(" ")
        token = find_token(text.strip()) if scheme.lower() == SCHEME else None
        if token is None:
            return unauthenticated("This is no valid bearer token: it may have expired or been revoked. Get a new one.")
        note_use(token)
        request.user = token.user
        # A page of another origin can't send this header, so the token itself is the proof that CSRF tokens give.
        request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
        return get_response(request)

    return handle


def tenancy(get_response: Handler) -> Handler:
    """Run the request in the scope of its user's tenant; without a user no tenant's row can be reached."""

    def handle(request: HttpRequest) -> HttpResponse:
        with _scope(request):
            return get_response(request)

    return handle


def unauthenticated(message: str) -> JsonResponse:
    """Return the 401 answer, in GraphQL's form."""
    error = {"message": message, "extensions": {"code": "UNAUTHENTICATED"}}
    return JsonResponse({"errors": [error]}, status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _scope(request: HttpRequest) -> AbstractContextManager[None]:
    user = request.user
    if not user.is_authenticated:
        return nullcontext()
    in_admin_site = request.path_info.startswith(f"/{settings.ADMIN_PATH}")
    return all_tenants() if user.is_superuser and in_admin_site else tenant_scope(user.tenant_id)
