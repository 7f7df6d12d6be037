"""Whether the process lives, and whether it can serve: for those who restart it, and for those who send it requests."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from http import HTTPStatus
from time import monotonic
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django_redis import get_redis_connection

from .stopping import STOPPING
from .switches import positions

logger = logging.getLogger(__name__)

PATIENCE: Final = 2.0
"""Seconds within which a probe is answered, whatever has become of the servers."""

OK: Final = "ok"
AWAY: Final = "away"
PENDING: Final = "pending"


class Check:
    """Something to be asked for, in a thread of its own: it may hang for longer than who asks can wait.

    Who asks while it hangs waits for the same answer, so that never more than one thread hangs.
    """

    def __init__(self, name: str, ask: Callable[[], str]) -> None:
        """Ask nothing yet."""
        self.name, self._ask = name, ask
        self._lock = threading.Lock()
        self._asked: Future[str] | None = None
        self._last = OK

    def start(self) -> Future[str]:
        """Ask, unless that is being done; return where the answer will be."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._answer, args=[self._asked], daemon=True).start()
            return self._asked

    def _answer(self, answer: Future[str]) -> None:
        try:
            found, why = self._ask(), ""
        except Exception as error:  # noqa: BLE001 - whatever it is, it can't be reached
            found, why = AWAY, f" ({error})"
        if found != self._last:
            logger.warning("Probe of %s: %s%s", self.name, found, why)
            self._last = found
        answer.set_result(found)
        connection.close()


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return OK


def _redis() -> str:
    get_redis_connection("default").ping()
    return OK


class Migrations:
    """Finds out whether any is pending, until none is: nothing of this process can add one."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._none_pending = False

    def __call__(self) -> str:
        """Return `ok` or `pending`."""
        if not self._none_pending:
            executor = MigrationExecutor(connection)
            self._none_pending = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        return OK if self._none_pending else PENDING


CHECKS: Final = (Check("database", _database), Check("redis", _redis), Check("migrations", Migrations()))


def health(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer `/healthz` and `/readyz` before anything looks at host, session or user: a probe has none of them."""
    pages = {"/healthz": lambda: HttpResponse("ok\n", content_type="text/plain"), "/readyz": _readiness}

    def handle(request: HttpRequest) -> HttpResponse:
        page = pages.get(request.path_info)
        if page is None:
            return get_response(request)
        answer = page() if request.method in {"GET", "HEAD"} else HttpResponseNotAllowed(["GET", "HEAD"])
        answer["Cache-Control"] = "no-store"
        return answer

    return handle


def _readiness() -> HttpResponse:
    """Tell of each server, and of the switches; 503 if requests can't be served, or soon won't be.

    Without Redis they can, unless the limits are to fail closed then: a server that were taken away from its clients
    for it would turn a loss of speed into an outage.
    """
    end = monotonic() + PATIENCE
    asked = {check.name: check.start() for check in CHECKS}
    found = {name: _within(answer, end - monotonic()) for name, answer in asked.items()}
    needed = {"database", "migrations"} | ({"redis"} if settings.LIMITS_FAIL_CLOSED else set())
    ready = all(found[name] == OK for name in needed) and not STOPPING.is_set()
    if STOPPING.is_set():
        found["server"] = "stopping"
    told = {**found, "switches": positions()}
    return JsonResponse(told, status=HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


def _within(answer: Future[str], seconds: float) -> str:
    try:
        return answer.result(max(seconds, 0))
    except TimeoutError:
        return AWAY
