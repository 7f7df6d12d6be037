"""OpenTelemetry: a trace of each request, sent to a collector by OTLP over HTTP. Imported only when it is wanted."""

import atexit
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from django.db.backends.signals import connection_created
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from apps.accounts.middleware import CORRELATION_HEADER
from apps.tracing import spans

from .intake import PROBES, Application, Respond

FAULT: Final = 500
"""From this status of HTTP on, something is wrong with us."""

METHOD: Final = "http.request.method"
TOLD: Final = {
    METHOD: "REQUEST_METHOD",
    "url.path": "PATH_INFO",
    "url.scheme": "wsgi.url_scheme",
    "server.address": "HTTP_HOST",
}
"""What is told of a request, and where it stands."""

SERVICE: Final = "workgraph"
PROPAGATOR: Final = TraceContextTextMapPropagator()


class Traces:
    """Makes spans and has them sent."""

    def __init__(self, processor: SpanProcessor) -> None:
        """Hand finished spans to the processor; what else there is to set, OpenTelemetry reads of its own variables."""
        resource = Resource.create()
        if str(resource.attributes["service.name"]).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": SERVICE}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE)

    def start(self) -> None:
        """Be told what requests do, from now on."""
        spans.use(self)
        connection_created.connect(spans.trace_statements, dispatch_uid="traces")

    def stop(self) -> None:
        """Be told no more, and send what is left."""
        spans.use(None)
        connection_created.disconnect(dispatch_uid="traces")
        self._provider.shutdown()

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, spans.Value]) -> Iterator[None]:
        """Span what happens inside of a request."""
        if not trace.get_current_span().get_span_context().is_valid:
            yield
            return
        with self._begun(name, attributes=attributes) as current:
            try:
                yield
            except Exception as error:
                # Not its message, which may quote values.
                current.set_attribute("error.type", type(error).__qualname__)
                current.set_status(StatusCode.ERROR)
                raise

    def note(self, name: str | None, attributes: Mapping[str, spans.Value]) -> None:
        """Tell more of the innermost span."""
        current = trace.get_current_span()
        current.set_attributes(attributes)
        if name:
            current.update_name(name)

    def around(self, application: Application) -> Application:
        """Return the application with a trace for each request but probes; a client may say of which it is part."""

        def take(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
            if environ.get("PATH_INFO") in PROBES:
                return application(environ, respond)
            with self._request(environ) as span:
                return application(environ, _noting(span, respond))

        return take

    def _request(self, environ: Mapping[str, Any]) -> AbstractContextManager[trace.Span]:
        headers = {name: environ.get(f"HTTP_{name.upper()}", "") for name in ("traceparent", "tracestate")}
        told = {name: str(environ.get(key, ""))[: spans.MOST_NAME] for name, key in TOLD.items()}
        parent = PROPAGATOR.extract(headers)
        return self._begun(told[METHOD], context=parent, kind=SpanKind.SERVER, attributes=told)

    def _begun(self, name: str, **options: Any) -> AbstractContextManager[trace.Span]:
        return self._tracer.start_as_current_span(
            name, record_exception=False, set_status_on_exception=False, **options
        )


def _noting(span: trace.Span, respond: Respond) -> Respond:
    def note(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        code = int(status.partition(" ")[0])
        span.set_attribute("http.response.status_code", code)
        span.set_attribute("workgraph.correlation_id", dict(headers).get(CORRELATION_HEADER, ""))
        if code >= FAULT:
            span.set_status(StatusCode.ERROR)
        return respond(status, headers, *more)

    return note


def by_otlp() -> Traces:
    """Return traces that a thread sends in batches to where OTEL_EXPORTER_OTLP_ENDPOINT says."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (not for tests)
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    traces = Traces(BatchSpanProcessor(OTLPSpanExporter()))
    atexit.register(traces.stop)
    return traces
