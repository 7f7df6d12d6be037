"""What holds for all addresses of the REST API, whoever answers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from .problems import BY_NAME, DETAILS, NO_STORE, PROBLEM, Kind, ProblemResponse, add_headers, body_of, of_status

Handler = Callable[[HttpRequest], HttpResponse]

REDIRECTED: Final = HTTPStatus.MOVED_PERMANENTLY


def rest(get_response: Handler) -> Handler:
    """Look at no cookie of a request, and tell whatever is wrong with it as a problem.

    A session then never suffices, and no CSRF token is needed: nothing is done but by a token that the client itself
    puts into each request.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(f"/{settings.REST_PATH}"):
            return get_response(request)
        request.COOKIES = {}
        response = get_response(request)
        _vary_by_no_cookie(response)
        return response if isinstance(response, ProblemResponse) else _told(response)

    return handle


def _vary_by_no_cookie(response: HttpResponse) -> None:
    """Take back what sessions say of every answer: that it hangs on a cookie."""
    names = [name for name in response.get("Vary", "").split(", ") if name not in {"", "Cookie"}]
    del response["Vary"]
    if names:
        response["Vary"] = ", ".join(names)


def _told(response: HttpResponse) -> HttpResponse:
    """Return an answer of ours as it is, one that Django or its middleware gave in the form of a problem."""
    kind = _kind(response.status_code)
    if kind is None:
        return response
    detail = DETAILS.get(kind.name, f"{kind.title}.")
    if "Retry-After" in response:
        detail += f" Try again in {response['Retry-After']} s."
    response.status_code, response.reason_phrase = kind.status, kind.status.phrase
    response.content = body_of(kind, detail)
    return add_headers(response, {"Content-Type": PROBLEM, "Content-Length": str(len(response.content)), **NO_STORE})


def _kind(status: int) -> Kind | None:
    if status == REDIRECTED:  # to HTTPS; a client that follows sends no body
        return BY_NAME["HttpsRequired"]
    return of_status(status) if status >= HTTPStatus.BAD_REQUEST else None
