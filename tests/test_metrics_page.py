"""`/metrics`: who may read it, and that it tells of all workers together. Real servers on real ports."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
from django.test import Client
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tokens import issue_token
from apps.throttle.metrics import HITS
from project.gauges import Gauges
from project.intake import Turns
from project.metrics import LIMITS
from project.switches import SWITCHES
from tests.servers import Server, served, somebodys_token

SOME: Final = "a-token-for-prometheus"


@pytest.fixture(autouse=True)
def metrics_token(settings: Settings) -> None:
    settings.METRICS_TOKEN = SOME


def page(client: Client | None = None, token: str = SOME, **headers: str) -> Any:
    return (client or Client()).get("/metrics", headers={"Authorization": f"Bearer {token}", **headers})


def test_who_has_the_token_reads_the_metrics() -> None:
    answer = page()
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer["Cache-Control"] == "no-store"
    told = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"bulk_operation", "database_pool_size"} <= told


def test_prometheus_may_have_open_metrics() -> None:
    answer = page(Accept="application/openmetrics-text; version=1.0.0")
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {SOME}", SOME, "Bearer ä", f"Bearer {SOME}x"])
def test_nobody_else_does(header: str) -> None:
    answer = Client().get("/metrics", headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert "bulk_operation" not in answer.text


@pytest.mark.django_db
def test_a_persons_token_is_none(technician: User) -> None:
    token, _ = issue_token(user=technician)
    assert page(token=token).status_code == 401


def test_without_a_token_in_the_settings_there_is_no_page_and_nobody_is_looked_for(settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    assert page(Client(), token="").status_code == 404  # and no database: pytest-django would refuse it
    assert page(Client(), token=f"wg_{'x' * 43}").status_code == 404
    assert Client().get("/metrics").status_code == 404


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "[::1]", "evil.example", "not a host"])
def test_it_needs_no_host_and_no_https(host: str, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = page(Host=host, Cookie="sessionid=wrong")  # and no database: pytest-django would refuse it
    assert (answer.status_code, len(answer.cookies)) == (200, 0)


def test_guessing_the_token_locks_nobody_out(settings: Settings) -> None:
    settings.STRANGER_LIMIT = 1
    assert {page(token="wrong").status_code for _ in range(20)} == {401}
    assert page().status_code == 200


@pytest.mark.parametrize(("method", "status"), [("head", 200), ("post", 405), ("options", 405), ("delete", 405)])
def test_it_can_be_read_and_nothing_else(method: str, status: int) -> None:
    answer = getattr(Client(), method)("/metrics", headers={"Authorization": f"Bearer {SOME}"})
    assert answer.status_code == status
    assert answer.get("Allow") == ("GET, HEAD" if status == 405 else None)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/metrics/", "/metricsx", "/metrics/x"])
def test_other_addresses_are_as_before(path: str) -> None:
    assert Client().get(path).status_code == 404


def test_what_has_not_happened_yet_is_nothing_and_not_missing() -> None:
    shown = {sample.labels["limit"] for family in HITS.collect() for sample in family.samples}
    assert {*LIMITS, "at-once", "redis-away"} <= shown


@pytest.mark.django_db
def test_the_gauges_tell_what_is_held_just_now() -> None:
    gauges = Gauges()
    gauges.idle, gauges.waiting, gauges.plans = (lambda: 0), (lambda: 3), (lambda: 5)
    gauges.sample()
    shown = {name: REGISTRY.get_sample_value(name) for name in ("requests_waiting", "compiled_plans")}
    assert shown == {"requests_waiting": 3, "compiled_plans": 5}
    size = REGISTRY.get_sample_value("database_pool_size") or 0
    assert size >= 1  # this test's own is one of them
    in_use = REGISTRY.get_sample_value("database_pool_in_use") or 0
    gauges.idle = lambda: 1
    gauges.sample()
    assert REGISTRY.get_sample_value("database_pool_in_use") == max(0, in_use - 1)


def test_who_waits_for_a_turn_is_counted() -> None:
    turns = Turns(0)
    assert turns.waiting == 0
    turns._waiting.append(turns._mutex)
    assert turns.waiting == 1


@pytest.fixture
def server(transactional_db: None, tmp_path: Path) -> Iterator[Server]:
    """Return a real server of two workers on the tests' database, with one feature off."""
    with served(tmp_path, ENABLE_BULK_OPERATIONS="0") as running:
        yield running


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; a connection to a worker that is being killed may break."""
    deadline = time.monotonic() + 20
    while True:
        with suppress(OSError):
            if holds():
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


QUERY: Final = "query Mine { me { id } }"


def test_the_page_adds_up_what_all_workers_have_counted(server: Server) -> None:
    token = somebodys_token()
    name = 'graphql_request_duration_seconds_count{operation="Mine",outcome="ok"}'
    sent = 0

    def both_have_worked() -> bool:
        nonlocal sent
        sent += 20
        for _ in range(20):
            assert server.ask(token, QUERY) == 200
        return len(list(server.folder.glob("counter_*.db"))) == 2

    until(both_have_worked)
    assert {server.metrics()[name] for _ in range(10)} == {sent}  # whichever worker is asked


def test_all_workers_together_say_once_which_features_are_on(server: Server) -> None:
    shown = {name: value for name, value in server.metrics().items() if name.startswith("feature_enabled")}
    assert shown == {f'feature_enabled{{feature="{each}"}}': float(each != "bulk_operations") for each in SWITCHES}


def test_what_a_killed_worker_has_counted_stays_and_what_it_held_goes(server: Server) -> None:
    token = somebodys_token()
    name = 'graphql_request_duration_seconds_count{operation="Mine",outcome="ok"}'
    for _ in range(40):
        assert server.ask(token, QUERY) == 200
    workers = sorted(server.folder.glob("gauge_livesum_*.db"))
    killed = int(workers[0].stem.rpartition("_")[2])
    os.kill(killed, signal.SIGKILL)

    until(lambda: bool(server.metrics()) and not workers[0].exists())
    assert server.metrics()[name] == 40
    until(lambda: len(list(server.folder.glob("gauge_livesum_*.db"))) == 2)  # the one in its place


def test_the_folder_is_gone_with_the_server(server: Server) -> None:
    assert server.folder.is_dir()
    assert server.folder.stat().st_mode & 0o777 == 0o700
    server.process.terminate()
    server.process.wait(20)
    assert not server.folder.exists()
