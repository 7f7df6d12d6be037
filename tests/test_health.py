"""What probes are told, with real servers and with servers that are away or hang."""

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Final

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse
from django.test import Client
from django_redis import get_redis_connection
from pytest_django import DjangoAssertNumQueries, Settings
from redis import Redis

from project import health
from project.health import Check, Migrations
from project.stopping import STOPPING
from tests.pooling import forget_connections

ALL_ON: Final = dict.fromkeys(("audit_signals", "bulk_operations", "search_rate_limiting", "cost_limit"), "on")
ALL_WELL: Final = {"database": "ok", "redis": "ok", "migrations": "ok", "switches": ALL_ON}


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Check, ...]]:
    """Return checks that know nothing yet; none is left running."""
    fresh = (
        Check("database", health._database),
        Check("redis", health._redis),
        Check("migrations", Migrations()),
    )
    monkeypatch.setattr(health, "CHECKS", fresh)
    yield fresh
    for check in fresh:
        if check._asked:
            check._asked.result(30)


def probe(page: str, client: Client | None = None, **headers: str) -> Any:
    return (client or Client()).get(page, headers={"Host": "10.0.0.7:8000", **headers})


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return a port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield int(silent.getsockname()[1])


@pytest.fixture
def database_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that moves the database to another port, in vain."""
    given = dict(connection.settings_dict)

    def move(port: int) -> None:
        options = {**given["OPTIONS"], "connect_timeout": 6, "pool": {"min_size": 1, "max_size": 1, "timeout": 6}}
        forget_connections()
        connection.settings_dict.update({"HOST": "127.0.0.1", "PORT": port, "OPTIONS": options})

    yield move
    forget_connections()
    connection.settings_dict.update(given)


@pytest.fixture
def redis_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that moves Redis to another port, in vain."""

    def move(port: int) -> None:
        elsewhere = Redis(port=port, socket_timeout=6, socket_connect_timeout=6)
        monkeypatch.setattr(health, "get_redis_connection", lambda _alias: elsewhere)

    return move


def answer(response: HttpResponse) -> tuple[int, Any]:
    return response.status_code, response.json()  # type: ignore[attr-defined]


def test_the_process_lives_whatever_the_servers_do(redis_at: Any, closed_port: int) -> None:
    redis_at(closed_port)  # and pytest-django lets no test without a mark reach the database
    response = probe("/healthz")
    assert (response.status_code, response.text) == (200, "ok\n")
    assert response["Content-Type"] == "text/plain"


@pytest.fixture
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time."""
    monkeypatch.setattr(health, "PATIENCE", 30)


@pytest.mark.django_db
def test_it_can_serve(no_hurry: None) -> None:
    assert answer(probe("/readyz")) == (200, ALL_WELL)


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
@pytest.mark.parametrize("host", ["10.0.0.7:8000", "[::1]", "evil.example", "not a host"])
def test_probes_need_no_host_no_https_and_no_token(page: str, host: str, settings: Settings, no_hurry: None) -> None:
    settings.SECURE_SSL_REDIRECT = True
    response = probe(page, Host=host, Authorization="Bearer wrong", Cookie="sessionid=wrong")
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies
    assert "X-Correlation-ID" in response


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_probes_may_ask_for_the_head(page: str, no_hurry: None) -> None:
    response = Client().head(page)
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("page", ["/healthz", "/readyz"])
def test_they_may_do_nothing_else(page: str) -> None:
    response = Client().post(page)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/healthz/", "/healthz/x", "/readyzz"])
def test_other_addresses_are_as_before(page: str) -> None:
    assert Client().get(page).status_code == 404


@pytest.mark.django_db
def test_without_the_database_it_cannot_serve(
    database_at: Any, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    database_at(closed_port)
    started = monotonic()
    response = probe("/readyz")
    assert 1.9 < monotonic() - started < 5
    assert answer(response) == (503, {**ALL_WELL, "database": "away", "migrations": "away"})


@pytest.mark.django_db
def test_a_database_that_hangs_holds_up_nobody(database_at: Any, silent_port: int, checks: tuple[Check, ...]) -> None:
    database_at(silent_port)
    before = threading.active_count()
    started = monotonic()
    with ThreadPoolExecutor(8) as probes:
        answers = [answer(response) for response in probes.map(probe, ["/readyz"] * 8)]
        waiting = threading.active_count() - before - 8
    assert 1.9 < monotonic() - started < 5
    assert answers == [(503, {**ALL_WELL, "database": "away", "migrations": "away"})] * 8
    assert waiting <= 2 + 4  # the two that hang, however many ask; the others are the pool's own


@pytest.mark.django_db
def test_it_is_ready_again_when_the_database_is_back(database_at: Any, closed_port: int, no_hurry: None) -> None:
    given = connection.settings_dict["PORT"], connection.settings_dict["HOST"]
    database_at(closed_port)
    assert probe("/readyz").status_code == 503
    forget_connections()
    connection.settings_dict["PORT"], connection.settings_dict["HOST"] = given
    assert answer(probe("/readyz")) == (200, ALL_WELL)


@pytest.mark.django_db
@pytest.mark.parametrize(("fail_closed", "status"), [(False, 200), (True, 503)])
def test_without_redis_it_serves_unless_the_limits_are_to_fail_closed(
    fail_closed: bool, status: int, redis_at: Any, closed_port: int, settings: Settings, no_hurry: None
) -> None:
    settings.LIMITS_FAIL_CLOSED = fail_closed
    redis_at(closed_port)
    assert answer(probe("/readyz")) == (status, {**ALL_WELL, "redis": "away"})


@pytest.mark.django_db
def test_a_redis_that_hangs_holds_up_nobody(redis_at: Any, silent_port: int) -> None:
    redis_at(silent_port)
    started = monotonic()
    assert answer(probe("/readyz")) == (200, {**ALL_WELL, "redis": "away"})
    assert 1.9 < monotonic() - started < 5


@pytest.mark.django_db(transaction=True)
def test_it_cannot_serve_while_a_migration_is_pending(no_hurry: None) -> None:
    applied = MigrationRecorder.Migration.objects
    last = applied.filter(app="audit").latest("id")
    last.delete()
    try:
        assert answer(probe("/readyz")) == (503, {**ALL_WELL, "migrations": "pending"})
    finally:
        last.save()
    assert answer(probe("/readyz")) == (200, ALL_WELL)


@pytest.mark.django_db
def test_finding_no_pending_migration_takes_two_statements_once(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    migrations = Migrations()
    with django_assert_num_queries(2):
        assert migrations() == "ok"
    with django_assert_num_queries(0):
        assert migrations() == "ok"


@pytest.mark.django_db
def test_the_log_has_a_line_for_each_change_and_the_reason(
    redis_at: Any, closed_port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, no_hurry: None
) -> None:
    caplog.set_level(logging.WARNING, "project.health")
    redis_at(closed_port)
    probe("/readyz")
    probe("/readyz")
    monkeypatch.setattr(health, "get_redis_connection", get_redis_connection)
    probe("/readyz")
    lines = [record.getMessage() for record in caplog.records if record.name == "project.health"]
    assert [line.partition(" (")[0] for line in lines] == ["Probe of redis: away", "Probe of redis: ok"]
    assert "refused" in lines[0]


def test_a_process_that_is_told_to_stop_is_not_ready(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(STOPPING, "is_set", lambda: True)
    answer = probe("/readyz")
    assert (answer.status_code, answer.json()) == (503, ALL_WELL | {"server": "stopping"})
    assert probe("/healthz").status_code == 200
