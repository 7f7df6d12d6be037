"""The short way of requests with a token: it answers as Django does, and leaves to Django what is not for it."""

import gzip
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from io import BytesIO
from typing import Any, Final, NamedTuple

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import OperationalError, close_old_connections, connection
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.deadline import Deadline
from apps.accounts.models import ApiToken, Tenant, User
from apps.accounts.origin import current_origin
from apps.accounts.roles import Role
from apps.accounts.tenancy import TenantNotChosenError, current_tenant
from apps.accounts.tokens import find_token, issue_token, revoke_token
from apps.audit.models import AuditEntry
from apps.throttle.limits import Bucket
from apps.work_orders.models import WorkOrder
from project.intake import Application, in_turn
from project.lane import LONGEST_HOST, lane
from schema import budget
from tests import factories
from tests.test_protocol import BOTH, CREATE, GRAPHQL, JSON, ME, NO_REQUEST, PARTIAL, REFUSED

SITES: Final = "{ sites(first: 50) { edges { node { id code name createdAt } } } }"
CORRELATION: Final = "from-the-client-1"

Environ = dict[str, Any]


class Answer(NamedTuple):
    """What came back, and whether Django was asked."""

    status: str
    headers: dict[str, str]
    body: bytes
    by_django: bool = True

    @property
    def code(self) -> Any:
        return json.loads(self.body)["errors"][0]["extensions"]["code"]


Send = Callable[..., Answer]


@pytest.fixture
def actor(demo: Tenant) -> User:
    for _ in range(4):
        factories.site(demo)
    return factories.user(demo, Role.SUPERVISOR)


@pytest.fixture
def token(actor: User) -> str:
    return issue_token(user=actor)[0]


@pytest.fixture
def environ(token: str) -> Environ:
    """Return what the server says of a request, but for its body."""
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/graphql",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "CONTENT_TYPE": JSON,
        "HTTP_HOST": "localhost:8000",
        "HTTP_ACCEPT": JSON,
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "HTTP_X_CORRELATION_ID": CORRELATION,
    }


@pytest.fixture
def send(environ: Environ) -> Send:
    """Return a function that sends a request to the lane, the headers changed that it is given (None: left out)."""
    return lambda body=None, **changes: asked(served().both, environ, body, changes)


class Served:
    """The application as a worker has it, and Django alone."""

    def __init__(self) -> None:
        self._django, self._asked_django = WSGIHandler(), False
        self._both = in_turn(lane(self._noted), at_once=1)

    def _noted(self, environ: Environ, respond: Any) -> Any:
        self._asked_django = True
        return self._django(environ, respond)

    def both(self, environ: Environ) -> Answer:
        self._asked_django = False
        return raw(self._both, environ)._replace(by_django=self._asked_django)

    def django(self, environ: Environ) -> Answer:
        return raw(in_turn(self._django, at_once=1), environ)


@cache
def served() -> Served:
    return Served()


@pytest.fixture
def anew() -> Iterator[None]:
    """Have the application read its settings when it is next asked."""
    served.cache_clear()
    yield
    served.cache_clear()


@pytest.fixture(autouse=True)
def one_transaction() -> Iterator[None]:
    """Let Django keep the connection between requests, as the test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def raw(application: Application, environ: Environ) -> Answer:
    begun: list[Any] = []
    parts = application(environ, lambda *begin: begun.extend(begin))
    body = b"".join(parts)
    getattr(parts, "close", lambda: None)()
    status, headers = begun
    assert len(dict(headers)) == len(headers)
    return Answer(status, dict(headers), body)


def asked(application: Callable[[Environ], Answer], environ: Environ, body: Any, changes: Environ) -> Answer:
    given = {"query": ME} if body is None else body
    text = given if isinstance(given, str | bytes) else json.dumps(given)
    text = text.encode() if isinstance(text, str) else text
    whole = {**environ, "CONTENT_LENGTH": str(len(text)), "wsgi.input": BytesIO(text), **changes}
    return application({name: value for name, value in whole.items() if value is not None})


def settled(answer: Answer) -> Any:
    """Return an answer without what differs from one time to the next."""
    headers, body = dict(answer.headers), answer.body
    assert headers.get("Content-Length", str(len(body))) == str(len(body))  # Django's own pages of errors have none
    if headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
        headers["Content-Length"] = "of chance"
    headers["RateLimit"] = re.sub(r"=\d+", "=", headers.get("RateLimit", ""))
    if "Retry-After" in headers:
        headers["Retry-After"] = "soon"
    told = re.sub(rb'"(resetAt|retryAfter|remaining|number|id)":("[^"]*"|[\d.]+)', b"", body)
    told = re.sub(rb"(you have|again in) [\d.]+", b"", told)
    if told != body:
        headers["Content-Length"] = "of numbers"
    return answer.status, headers, told


@pytest.fixture
def same(environ: Environ) -> Callable[..., Answer]:
    """Return a function that sends a request to the lane and to Django and checks that they answer alike."""

    def compare(body: Any = None, *, by_django: bool = False, **changes: Any) -> Answer:
        reference, found = (asked(way, environ, body, changes) for way in (served().django, served().both))
        assert settled(found) == settled(reference)
        assert found.by_django == by_django
        return found

    return compare


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody have any points."""
    monkeypatch.setattr(budget, "POINTS", Bucket("points", 1, 0.001))


# What both answer, they answer alike.


@pytest.mark.parametrize("accept", [GRAPHQL, JSON, "*/*", None])
@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ __typename }"},
        {"query": ME},
        {"query": PARTIAL},
        {"query": SITES},
        {"query": CREATE},
        {"query": BOTH, "operationName": "B"},
        {"query": "{ __schema { queryType { name } } }"},
        {"query": ME, "extensions": {"cost": "explain"}},
        [{"query": ME}, {"query": "{"}, {"query": PARTIAL}],
        b"\xff",
        b"   ",
        *(body for body, *_ in NO_REQUEST),
        *(body for body, *_ in REFUSED),
    ],
)
def test_it_answers_as_django_does(same: Callable[..., Answer], body: Any, accept: str | None) -> None:
    same(body, HTTP_ACCEPT=accept)


@pytest.mark.parametrize("accepts", ["gzip", "gzip, deflate, br", "br", "gzip;q=0", "identity", ""])
@pytest.mark.parametrize("query", ["{ __typename }", SITES])
def test_it_compresses_as_django_does(same: Callable[..., Answer], query: str, accepts: str) -> None:
    answer = same({"query": query}, HTTP_ACCEPT_ENCODING=accepts)
    assert ("Accept-Encoding" in answer.headers["Vary"]) == (query == SITES)
    compressed = query == SITES and accepts.startswith("gzip") and "q=0" not in accepts
    assert (answer.headers.get("Content-Encoding") == "gzip") == compressed


@pytest.mark.parametrize(
    "changes",
    [
        {"CONTENT_TYPE": "application/json; charset=utf-8"},
        {"CONTENT_TYPE": 'Application/JSON;charset="UTF8"'},
        {"HTTP_HOST": "127.0.0.1"},
        {"HTTP_HOST": "LOCALHOST:1"},
        {"QUERY_STRING": "query={me{id}}"},
        {"HTTP_USER_AGENT": "curl/8", "HTTP_ACCEPT_LANGUAGE": "de", "HTTP_X_FORWARDED_FOR": "1.2.3.4"},
        {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "evil.example"},
        {"HTTP_IF_NONE_MATCH": "*", "HTTP_RANGE": "bytes=0-1", "HTTP_EXPECT": "100-continue"},
        {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": None},
    ],
)
def test_what_says_nothing_to_the_answer_goes_the_short_way(same: Callable[..., Answer], changes: Environ) -> None:
    same(**changes)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_name_of_the_scheme_has_any_case(same: Callable[..., Answer], token: str, scheme: str) -> None:
    same(HTTP_AUTHORIZATION=f"{scheme}  {token} ")


@pytest.mark.parametrize("given", ["", "short", "with spaces in it", "x" * 65, None])
def test_a_correlation_id_that_is_none_is_replaced(send: Send, given: str | None) -> None:
    made = [send(HTTP_X_CORRELATION_ID=given).headers["X-Correlation-ID"] for _ in range(2)]
    assert len({given, *made}) == 3


def test_who_is_over_budget_is_told_so_as_by_django(same: Callable[..., Answer], spent: None) -> None:
    same({"query": SITES})
    same([{"query": SITES}] * 2)
    assert same({"query": SITES}, HTTP_ACCEPT=GRAPHQL).code in {"RATE_LIMITED", "QUERY_TOO_COMPLEX"}


# What is not for it.


@pytest.mark.parametrize(
    "changes",
    [
        {"REQUEST_METHOD": "GET", "QUERY_STRING": "query={me{id}}"},
        {"REQUEST_METHOD": "PUT"},
        {"REQUEST_METHOD": "OPTIONS"},
        {"REQUEST_METHOD": "post"},
        {"PATH_INFO": "/graphql/"},
        {"PATH_INFO": "/"},
        {"HTTP_COOKIE": "sessionid=x"},
        {"HTTP_COOKIE": ""},
        {"HTTP_ORIGIN": "https://app.example"},
        {"HTTP_CONTENT_ENCODING": "gzip"},
        {"HTTP_AUTHORIZATION": None},
        {"HTTP_AUTHORIZATION": ""},
        {"HTTP_AUTHORIZATION": "Basic YTpi"},
        {"HTTP_AUTHORIZATION": "Bearer wg_" + "x" * 43},
        {"HTTP_AUTHORIZATION": "Bearer wg_\x00\xff" + "x" * 41},
        {"HTTP_AUTHORIZATION": "Bearer wg_x"},
        {"CONTENT_TYPE": "text/plain"},
        {"CONTENT_TYPE": ""},
        {"CONTENT_TYPE": None},
        {"CONTENT_TYPE": "application/json; charset=latin-1"},
        {"CONTENT_TYPE": "application/json; x*=nope'en'y"},
        {"HTTP_ACCEPT": "text/html"},
        {"HTTP_ACCEPT": "image/png"},
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": "local host"},
        {"HTTP_HOST": "x" * (LONGEST_HOST + 1)},
        {"HTTP_HOST": None, "SERVER_NAME": "127.0.0.1"},
        {"CONTENT_LENGTH": "160"},
        {"CONTENT_LENGTH": "016"},
        {"CONTENT_LENGTH": "0"},
        {"CONTENT_LENGTH": ""},
        {"CONTENT_LENGTH": "x"},
    ],
)
def test_what_it_does_not_understand_is_djangos(
    same: Callable[..., Answer], caplog: pytest.LogCaptureFixture, changes: Environ
) -> None:
    with caplog.at_level(logging.CRITICAL):
        same(**changes, by_django=True)


def test_a_body_that_is_too_large_is_djangos(same: Callable[..., Answer], settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 50
    text = json.dumps({"query": ME})
    same(text.ljust(50))
    assert same(text.ljust(51), by_django=True).status.startswith("413")


def test_a_body_that_was_not_taken_in_is_djangos(environ: Environ) -> None:
    class Stream:
        def __init__(self, text: bytes) -> None:
            self.read = BytesIO(text).read
            self.readline = None

    reached: list[bytes] = []
    text = json.dumps({"query": ME}).encode()
    lane(lambda given, _: reached.append(given["wsgi.input"].read()) or [])(  # type: ignore[func-returns-value]
        {**environ, "CONTENT_LENGTH": str(len(text)), "wsgi.input": Stream(text)}, lambda *_: None
    )
    assert reached == [text]


def test_a_path_under_which_all_is_served_is_djangos(environ: Environ, settings: Settings) -> None:
    reached: list[str] = []

    def django(given: Environ, _: Any) -> list[bytes]:
        reached.append(given["SCRIPT_NAME"])
        return []

    asked(lambda given: lane(django)(given, None), environ, None, {"SCRIPT_NAME": "/below"})  # type: ignore[arg-type, return-value]
    assert reached == ["/below"]
    settings.FORCE_SCRIPT_NAME = "/below"
    assert lane(django) is django
    settings.FORCE_SCRIPT_NAME, settings.DEBUG = None, True
    assert lane(django) is django


def test_a_token_that_is_valid_no_more_is_djangos_at_once(
    same: Callable[..., Answer], actor: User, token: str, environ: Environ
) -> None:
    both = served().both
    assert not asked(both, environ, None, {}).by_django
    factories.force(User.unscoped.filter(pk=actor.pk), is_active=False)
    assert asked(both, environ, None, {})[0::3] == ("401 Unauthorized", True)
    factories.force(User.unscoped.filter(pk=actor.pk), is_active=True)
    assert not asked(both, environ, None, {}).by_django
    factories.force(ApiToken.unscoped.filter(user=actor), expires_at=timezone.now() - timedelta(seconds=1))
    assert asked(both, environ, None, {})[0::3] == ("401 Unauthorized", True)
    factories.force(ApiToken.unscoped.filter(user=actor), expires_at=timezone.now() + timedelta(seconds=60))
    revoke_token(factories.stored_token(token))
    assert same(by_django=True).code == "UNAUTHENTICATED"


# HTTPS.


@pytest.fixture
def https(anew: None, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = settings.SECURE_HSTS_PRELOAD = settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    settings.SECURE_HSTS_SECONDS = 1000
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


@pytest.mark.parametrize(
    ("scheme", "forwarded", "secure"),
    [
        ("http", None, False),
        ("https", None, True),
        ("http", "https", True),
        ("https", "http", False),
        ("http", "https, http", True),
        ("http", "http, https", False),
        ("http", "https" + " " * LONGEST_HOST, None),
    ],
)
def test_what_came_in_the_clear_is_djangos_where_https_is_demanded(
    same: Callable[..., Answer], https: None, scheme: str, forwarded: str | None, secure: bool | None
) -> None:
    answer = same(by_django=not secure, HTTP_X_FORWARDED_PROTO=forwarded, **{"wsgi.url_scheme": scheme})
    assert answer.status == ("301 Moved Permanently" if secure is False else "200 OK")
    assert ("Strict-Transport-Security" in answer.headers) == (secure is not False)


def test_the_host_that_a_proxy_names_decides_where_it_is_believed(
    same: Callable[..., Answer], anew: None, settings: Settings
) -> None:
    settings.USE_X_FORWARDED_HOST = True
    same(HTTP_X_FORWARDED_HOST="localhost", HTTP_HOST="evil.example")
    assert same(by_django=True, HTTP_X_FORWARDED_HOST="evil.example").status == "400 Bad Request"


# What is done besides.


def test_a_change_is_audited_as_its_users(send: Send, actor: User) -> None:
    answer = send({"query": CREATE})
    assert (answer.status, answer.by_django) == ("200 OK", False)
    assert WorkOrder.unscoped.get().tenant == actor.tenant
    entry = AuditEntry.unscoped.latest("id")
    assert (entry.source, entry.actor_id, entry.correlation_id) == ("graphql", actor.pk, CORRELATION)


def test_the_use_of_the_token_is_noted(send: Send, token: str) -> None:
    send()
    held = find_token(token)
    assert held is not None
    assert held.last_used_at is not None


def test_nothing_is_left_of_a_request(send: Send) -> None:
    before = current_origin()
    send()
    assert current_origin() == before
    assert connection.execute_wrappers == []
    with pytest.raises(TenantNotChosenError):
        current_tenant(User)


@pytest.mark.parametrize("seconds", [7.0, 0.0])
def test_a_request_has_its_time(
    send: Send, settings: Settings, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    wrappers: list[Any] = []
    monkeypatch.setattr("project.lane.note_use", lambda _: wrappers.extend(connection.execute_wrappers))
    settings.REQUEST_SECONDS = seconds
    send()
    assert [type(wrapper) for wrapper in wrappers] == [Deadline] * bool(seconds)


def test_a_refusal_is_logged_as_by_django(send: Send, caplog: pytest.LogCaptureFixture) -> None:
    send("{")
    (line,) = [line for line in caplog.records if line.name == "django.request"]
    assert line.getMessage() == "Bad Request: /graphql"
    assert (line.levelname, vars(line)["status_code"]) == ("WARNING", 400)


@pytest.mark.parametrize("place", ["find_token", "note_use", "operations"])
def test_a_fault_is_told_in_graphqls_form(
    send: Send, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    def fail(*_: Any, **_named: Any) -> None:
        raise OperationalError("secret plan")

    monkeypatch.setattr(f"project.lane.{place}", fail)
    answer = send()
    assert (answer.status, answer.code, answer.by_django) == ("500 Internal Server Error", "INTERNAL", False)
    assert json.loads(answer.body)["errors"][0]["extensions"]["correlationId"] == CORRELATION
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "secret" not in answer.body.decode()
    assert "secret plan" in caplog.text
    assert ("django.request", logging.ERROR) in [(line.name, line.levelno) for line in caplog.records]


def test_it_stands_for_this_middleware(settings: Settings) -> None:
    """What is added here may have to be done by the lane as well: the lane knows of headers only."""
    assert settings.MIDDLEWARE == [
        "apps.accounts.middleware.correlation",
        "project.health.health",
        "project.metrics.metrics",
        "project.deadline.RequestDeadline",
        "corsheaders.middleware.CorsMiddleware",
        "project.compression.compression",
        "project.rest.middleware.rest",
        "django.middleware.security.SecurityMiddleware",
        "project.security.content_security_policy",
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "project.strangers.Strangers",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "apps.accounts.middleware.bearer_token",
        "apps.accounts.middleware.tenancy",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        "concurrency.middleware.ConcurrencyMiddleware",
    ]
