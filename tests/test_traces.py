"""Traces: what a request did, piece by piece, with no value that people wrote; nothing at all unless it is wanted."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Final

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.tracing import spans
from project.lane import lane
from project.traces import Traces
from tests import factories
from tests.test_settings import PRODUCTION, run

SITES: Final = "query Sites($code: String!) { sites(filters: {code: {exact: $code}}) { edges { node { code } } } }"
TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT: Final = f"00-{TRACE}-00f067aa0ba902b7-01"
CORRELATION: Final = "from-the-client-1"
ASK: Final = """
import io, sys, warnings
warnings.simplefilter("ignore")
from project.wsgi import application
environ = {"SERVER_NAME": "x", "SERVER_PORT": "80",
    "HTTP_HOST": "workgraph.example", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
    "REMOTE_ADDR": "192.0.2.1", "HTTP_AUTHORIZATION": "Basic x", "CONTENT_LENGTH": "0",
    "HTTP_TRACEPARENT": "%s"}
for method, path in (("GET", "/healthz"), ("POST", "/graphql")):
    list(application({**environ, "REQUEST_METHOD": method, "PATH_INFO": path}, lambda status, *_: print(status)))
print("opentelemetry.sdk.trace" in sys.modules)
"""

Send = Callable[..., str]


@pytest.fixture
def finished() -> Iterator[InMemorySpanExporter]:
    """Return what holds the spans that have ended."""
    exporter = InMemorySpanExporter()
    traces = Traces(SimpleSpanProcessor(exporter))
    traces.start()
    spans.trace_statements(connection=connection)  # it has been open for long
    yield exporter
    traces.stop()
    connection.execute_wrappers.remove(spans._spanned)


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


@pytest.fixture
def send(boss: User, finished: InMemorySpanExporter) -> Iterator[Send]:
    """Return a function that sends operations to the application as a worker has it, and returns the status."""
    application = Traces.around(spans._told[0], lane(WSGIHandler()))  # type: ignore[arg-type]
    token = issue_token(user=boss)[0]

    def sent(body: Any, **headers: str) -> str:
        content, answered = json.dumps(body).encode(), []
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/graphql",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(content),
            "CONTENT_LENGTH": str(len(content)),
            "CONTENT_TYPE": "application/json",
            "HTTP_HOST": "localhost:8000",
            "HTTP_ACCEPT": "application/json",
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "HTTP_X_CORRELATION_ID": CORRELATION,
        }
        list(application({**environ, **headers}, lambda status, *_: answered.append(status)))
        return str(answered[0])

    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    finished.clear()
    yield sent
    for signal in ends:
        signal.connect(close_old_connections)


def named(finished: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in finished.get_finished_spans() if span.name == name]


def told(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("by_django", [True, False])
def test_a_request_is_a_trace_of_its_operation_its_statements_and_its_calls_of_redis(
    compiled: bool, by_django: bool, send: Send, finished: InMemorySpanExporter, settings: Settings, boss: User
) -> None:
    settings.COMPILED_READS = compiled
    way = {"HTTP_ORIGIN": "http://localhost:8000"} if by_django else {}
    assert send({"query": SITES, "variables": {"code": "secret-code"}}, **way) == "200 OK"
    operation, request = named(finished, "query Sites")
    assert (request.kind, request.parent) == (SpanKind.SERVER, None)
    assert told(request) == {
        "http.request.method": "POST",
        "url.path": "/graphql",
        "url.scheme": "http",
        "server.address": "localhost:8000",
        "http.response.status_code": 200,
        "workgraph.correlation_id": CORRELATION,
    }
    assert told(operation) == {
        "workgraph.plan": "compiled" if compiled else "executor",
        "workgraph.requested": 52,
        "workgraph.actual": 2,
    }
    assert operation.parent == request.context
    inside = [span for span in named(finished, "SELECT") if span.parent == operation.context]
    assert len(inside) == 1
    assert 'FROM "assets_site"' in told(inside[0])["db.query.text"]
    assert next(told(span) for span in named(finished, "EVALSHA")) == {
        "db.system.name": "redis",
        "db.operation.name": "EVALSHA",
    }
    everything = finished.get_finished_spans()
    assert {span.context.trace_id for span in everything if span.context} == {request.context.trace_id}
    shown = "".join(span.to_json() for span in everything)
    assert [word for word in ("secret-code", boss.email, boss.name) if word in shown] == []


def test_a_client_says_of_which_trace_a_request_is_part(send: Send, finished: InMemorySpanExporter) -> None:
    send({"query": "query Mine { __typename }"}, HTTP_TRACEPARENT=PARENT)
    _, request = named(finished, "query Mine")
    assert request.context is not None
    assert request.parent is not None
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, "00f067aa0ba902b7")


@pytest.mark.parametrize("nonsense", ["", "00-0-0-0", "x" * 5000, f"00-{'0' * 32}-{'0' * 16}-01"])
def test_nonsense_from_a_client_begins_a_new_trace(nonsense: str, send: Send, finished: InMemorySpanExporter) -> None:
    assert send({"query": "query Mine { __typename }"}, HTTP_TRACEPARENT=nonsense) == "200 OK"
    assert named(finished, "query Mine")[1].parent is None


def test_the_operations_of_a_batch_have_their_own_spans(send: Send, finished: InMemorySpanExporter) -> None:
    send([{"query": "query One { __typename }"}, {"query": "{ __typename }"}])
    (request,) = named(finished, "POST")
    parts = [span for span in finished.get_finished_spans() if span.parent == request.context]
    assert [span.name for span in parts if "workgraph.plan" in told(span)] == ["query One", "query"]


def test_what_a_client_chooses_is_cut(send: Send, finished: InMemorySpanExporter) -> None:
    send({"query": f"query {'Q' * 1000} {{ __typename }}"})
    assert len(named(finished, f"query {'Q' * 194}")) == 2  # the request, and its operation
    finished.clear()
    send({}, PATH_INFO=f"/{'p' * 1000}", REQUEST_METHOD="M" * 1000)
    (request,) = named(finished, "M" * 200)
    assert told(request)["url.path"] == f"/{'p' * 199}"


def test_a_statement_that_fails_says_so_and_not_with_which_values(finished: InMemorySpanExporter, send: Send) -> None:
    tracer: Any = spans._told[0]
    with tracer._request({}), pytest.raises(ValueError, match="secret"), spans.span("part"):
        raise ValueError("secret")
    (part,) = named(finished, "part")
    assert (part.status.status_code, part.status.description) == (StatusCode.ERROR, None)
    assert (told(part), part.events) == ({"error.type": "ValueError"}, ())


@pytest.mark.django_db
def test_outside_of_any_request_there_are_no_spans(finished: InMemorySpanExporter) -> None:
    factories.tenant()
    assert finished.get_finished_spans() == ()


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """Return the address of a collector that speaks OTLP over HTTP, and what it was sent."""
    received: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


def test_a_worker_sends_its_traces_to_the_collector(collector: tuple[str, list[tuple[str, str, bytes]]]) -> None:
    address, received = collector
    environment = {**PRODUCTION, "HTTPS": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": address}
    worker = run("-c", ASK % PARENT, **environment)
    assert worker.stdout.splitlines() == ["200 OK", "401 Unauthorized", "True"], worker.stderr
    ((path, media, body),) = received
    assert (path, media) == ("/v1/traces", "application/x-protobuf")
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    names = [(each.key, each.value.string_value) for each in resource.resource.attributes]
    assert ("service.name", "workgraph") in names
    sent = [span for scope in resource.scope_spans for span in scope.spans]
    (request,) = [span for span in sent if span.kind == span.SPAN_KIND_SERVER]
    assert (request.name, request.trace_id.hex()) == ("POST", TRACE)
    assert ("http.response.status_code", 401) in [(each.key, each.value.int_value) for each in request.attributes]


def test_a_worker_that_lacks_the_libraries_says_what_to_install() -> None:
    without = 'import sys; sys.modules["opentelemetry"] = None' + ASK % PARENT
    worker = run("-c", without, **PRODUCTION, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert worker.returncode == 1
    assert "install requirements/traces.txt too, or unset it." in worker.stderr.splitlines()[-1]
    assert run("-c", without, **PRODUCTION, HTTPS="0").returncode == 0


def test_a_worker_that_is_not_asked_for_traces_loads_nothing_for_them() -> None:
    worker = run("-c", ASK % PARENT, **PRODUCTION, HTTPS="0")
    assert worker.stdout.splitlines() == ["200 OK", "401 Unauthorized", "False"], worker.stderr
