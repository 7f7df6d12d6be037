"""The short way of a request that brings a token: past Django's middleware, which would do more than the answer.

It is for requests that are understood to the last header; all others, and those with a token that is not known, go
to Django as they came. What Django's middleware adds to an answer is asked of it, once for each host.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.utils.log import log_response

from apps.accounts.middleware import CORRELATION_HEADER, acting, arriving, bearer
from apps.accounts.origin import new_correlation_id
from apps.accounts.tokens import Bearer, find_token, is_token, note_use
from schema.http.media import JSON, answer_type
from schema.http.protocol import VARY, Reply, operations, told
from schema.http.reading import is_json, posted
from schema.http.view import response

from .compression import GRAPHQL, SHORT, gzipped
from .deadline import time_for_a_request
from .intake import Application, Respond

Environ = dict[str, Any]
Headers = Mapping[str, str]

NOT_UNDERSTOOD: Final = {"HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_CONTENT_ENCODING"}
OWN: Final = {"Content-Type", "Content-Length", CORRELATION_HEADER}
"""Headers that each answer has of its own."""

READY: Final = "project.lane.ready"
MOST_HOSTS: Final = 256
LONGEST_HOST: Final = 300
"""Of what decides which headers an answer gets, in characters."""


class Asked(NamedTuple):
    """What is read of a request before anything is done for it."""

    token: str
    media: str
    body: bytes
    correlation_id: str


class Dress(NamedTuple):
    """What Django's middleware adds to an answer: to a short one, and to one that is worth compressing."""

    short: Headers
    long: Headers


def lane(django: Application) -> Application:
    """Return the application with a short way; where Django is to say more than users may know, it answers all."""
    if settings.DEBUG or settings.FORCE_SCRIPT_NAME:
        return django
    dresses = Dresses()

    def take(environ: Environ, respond: Respond) -> Iterable[bytes]:
        asked = understood(environ)
        answer = asked and _answer(asked, dresses, environ)
        return _sent(*answer, asked, environ, respond) if asked and answer else django(environ, respond)

    return take


def understood(environ: Environ) -> Asked | None:
    """Return what a request asks; None if that is for Django to find out."""
    if (
        environ.get("REQUEST_METHOD") != "POST"
        or environ.get("PATH_INFO") != GRAPHQL
        or environ.get("SCRIPT_NAME")
        or not NOT_UNDERSTOOD.isdisjoint(environ)
    ):
        return None
    token, media = bearer(environ.get("HTTP_AUTHORIZATION", "")), answer_type(environ.get("HTTP_ACCEPT", ""))
    body = _body(environ)
    if not is_token(token) or media is None or body is None or not is_json(environ.get("CONTENT_TYPE", "")):
        return None
    return Asked(token, media, body, new_correlation_id(environ.get("HTTP_X_CORRELATION_ID", "")))


def _body(environ: Environ) -> bytes | None:
    """Return the body, which stays where it is; None if it has not been taken in, or not whole."""
    taken_in = environ.get("wsgi.input")
    if not isinstance(taken_in, BytesIO):
        return None
    body = taken_in.getvalue()
    whole = environ.get("CONTENT_LENGTH") == str(len(body))
    return body if whole and len(body) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE else None


class Dresses:
    """Remembers what Django's middleware adds to answers."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._chain = _Chain()
        proxy = settings.SECURE_PROXY_SSL_HEADER
        self._deciding = ["HTTP_HOST", "wsgi.url_scheme", *([proxy[0]] if proxy else [])]
        if settings.USE_X_FORWARDED_HOST:
            self._deciding.append("HTTP_X_FORWARDED_HOST")
        self._remembered = lru_cache(MOST_HOSTS)(self._asked_for)

    def fitting(self, environ: Environ) -> Dress | None:
        """Return what is added to the answer to a request; None if Django answers it in its own way."""
        given = [environ.get(name) for name in self._deciding]
        if given[0] is None or len("".join(map(str, given))) > LONGEST_HOST:
            return None
        return self._remembered(*given)

    def _asked_for(self, *given: str | None) -> Dress | None:
        environ = {name: value for name, value in zip(self._deciding, given, strict=True) if value is not None}
        short, long = (self._chain.around(b" " * length, environ) for length in (0, SHORT))
        return None if short is None or long is None else Dress(short, long)


class _Chain(WSGIHandler):
    """Django's middleware around an answer that is ready."""

    def around(self, body: bytes, environ: Environ) -> Headers | None:
        """Return the headers that the middleware lets out with an answer; None if it lets out another."""
        ready = response(Reply(HTTPStatus.OK, {"Content-Type": JSON, "Vary": VARY}, body))
        of_any = {"REQUEST_METHOD": "POST", "PATH_INFO": GRAPHQL, "wsgi.input": BytesIO(), READY: ready}
        answer = self._middleware_chain(WSGIRequest({**of_any, **environ}))  # type: ignore[attr-defined]
        if answer is not ready or answer.cookies:
            return None
        return {name: value for name, value in answer.items() if name not in OWN}

    def _get_response(self, request: HttpRequest) -> HttpResponse:
        ready: HttpResponse = request.META[READY]
        return ready


def _answer(asked: Asked, dresses: Dresses, environ: Environ) -> tuple[Reply, Dress] | None:
    """Return the answer, and what is added to it; None if nobody has the token, or Django answers in its own way."""
    with arriving(asked.correlation_id), time_for_a_request():
        found = told(partial(find_token, asked.token), asked.media)
        dress = found and dresses.fitting(environ)  # for who has no token Django is asked once, not thrice
        if not found or not dress:
            return None
        reply = found if isinstance(found, Reply) else told(partial(_run, asked, found), asked.media)
        if reply.status_code >= HTTPStatus.BAD_REQUEST:
            request = WSGIRequest(environ)  # Django's log names it
            log_response("%s: %s", reply.reason_phrase, request.path, response=response(reply), request=request)
        return reply, dress


def _run(asked: Asked, bearer: Bearer) -> Reply:
    note_use(bearer)
    with acting(bearer.user):
        return operations(bearer.user, partial(posted, asked.body), asked.media, reading=False)


def _sent(reply: Reply, dress: Dress, asked: Asked, environ: Environ, respond: Respond) -> Iterable[bytes]:
    content = reply.content
    headers = {**reply.headers, **(dress.short if len(content) < SHORT else dress.long)}
    compressed = gzipped(content, environ.get("HTTP_ACCEPT_ENCODING", ""))
    if compressed is not None:
        content, headers["Content-Encoding"] = compressed, "gzip"
    headers["Content-Length"], headers[CORRELATION_HEADER] = str(len(content)), asked.correlation_id
    respond(f"{reply.status_code} {reply.reason_phrase}", list(headers.items()))
    return [content]
