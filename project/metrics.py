"""`/metrics`: what Prometheus is told, of all worker processes together.

The workers count in files of one folder, which `project.server` makes; whichever is asked adds them up. Elsewhere, in
`make dev`, in commands and tests, a process counts in its memory and tells of itself alone.
"""

import os
import secrets
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseNotFound
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from apps.accounts.middleware import bearer
from apps.throttle.metrics import HITS, REDIS_AWAY
from schema.budget import AT_ONCE, POINTS, SEARCHES, TIME
from schema.compiler.plans import plans_kept
from schema.documents.persisted import REGISTRATIONS

from .folder import FOLDER
from .gauges import gauges

Handler = Callable[[HttpRequest], HttpResponse]

PAGE: Final = "/metrics"
READING: Final = ("GET", "HEAD")

LIMITS: Final = (
    *(limit.name for limit in (POINTS, TIME, SEARCHES, REGISTRATIONS)),
    *("unauthenticated", "login-address", "login-account", "login-device"),
    *(AT_ONCE, REDIS_AWAY),
)
gauges.plans = plans_kept
for limit in LIMITS:  # what was not met yet is 0: a rate can't tell the first time from no time at all
    HITS.labels(limit)


def metrics(get_response: Handler) -> Handler:
    """Answer `/metrics` to who has METRICS_TOKEN, before anything looks at host, session or user; unset: no page."""

    def handle(request: HttpRequest) -> HttpResponse:
        if request.path_info != PAGE:
            return get_response(request)
        # Not by Django, which would do much for it: this path waits for no turn.
        answer = _answer(request) if settings.METRICS_TOKEN else HttpResponseNotFound()
        answer["Cache-Control"] = "no-store"
        return answer

    return handle


def _answer(request: HttpRequest) -> HttpResponse:
    if request.method not in READING:
        return HttpResponseNotAllowed(READING)
    given, wanted = bearer(request.headers.get("Authorization", "")), settings.METRICS_TOKEN
    if not secrets.compare_digest(given.encode(), wanted.encode()):
        said = "Send the METRICS_TOKEN of this server: Authorization: Bearer ...\n"
        challenge = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        return HttpResponse(said, status=HTTPStatus.UNAUTHORIZED, content_type="text/plain", headers=challenge)
    encode, media = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_counted()), content_type=media)


def _counted() -> CollectorRegistry:
    """Return what all workers have counted; gauges of this one are of this moment."""
    gauges.sample()
    folder = os.environ.get(FOLDER)
    if folder is None:
        return REGISTRY
    _forget_dead(Path(folder))
    everything = CollectorRegistry()
    MultiProcessCollector(everything, folder)  # type: ignore[no-untyped-call]
    return everything


def _forget_dead(folder: Path) -> None:
    """Take away what workers that have died hold just now; what they have counted stays."""
    for file in folder.glob("gauge_live*.db"):
        if not _is_worker(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)  # prometheus_client's own way fails if two do it at once


def _is_worker(process: int) -> bool:
    """Tell whether a process is of this server: an id may be another's by now, but hardly one of the same group."""
    try:
        return os.getpgid(process) == os.getpgid(0)
    except (ProcessLookupError, PermissionError):
        return False
