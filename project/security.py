"""What every page of ours forbids the browser."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Add the policy to every response that brings none of its own; Django's debug pages need inline styles."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not (settings.DEBUG and response.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}):
            response.headers.setdefault(HEADER, settings.CONTENT_SECURITY_POLICY)
        return response

    return handle
