"""The service as it is deployed: nginx over TLS before two instances, which are restarted while clients go on."""

import http.client
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.audit.models import AuditEntry
from apps.work_orders.models import WorkOrder
from project.embedded.places import ROOT
from project.rest.problems import PROBLEM
from tests import factories
from tests.proxied import Front, Instance, free_ports, instances, proxied, readiness, required
from tests.rest import TYPES
from tests.test_import_work_orders import environment

pytestmark = pytest.mark.django_db(transaction=True)

CREATE: Final = "mutation($input: CreateWorkOrderInput!) { createWorkOrder(input: $input) { __typename } }"
READ: Final = "{ workOrders(first: 20) { edges { node { id number title description status } } } }"
THREADS: Final = 4
PATIENCE: Final = 120

Answer = tuple[http.client.HTTPResponse, bytes]


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which a release's static files are gathered."""
    return tmp_path_factory.mktemp("static")


@pytest.fixture(scope="module")
def given(static: Path, django_db_setup: None) -> dict[str, str]:
    settings = {"STATIC_ROOT": str(static), "STRANGER_LIMIT": "5", "STRANGER_RATE": "0.001", "COST_BUCKET": "1000000"}
    settings |= {"COST_RESTORE_RATE": "100000", "TIME_BUCKET": "1000"}
    collect = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(collect, cwd=ROOT, env=environment() | settings, check=True)  # noqa: S603 - our own
    return settings


@pytest.fixture(scope="module")
def service(
    given: dict[str, str], static: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Front, dict[int, Instance]]]:
    required()
    first, second = free_ports(2)
    folder = tmp_path_factory.mktemp("nginx")
    with instances((first, second), **given) as running, proxied(folder, (first, second), static) as front:
        yield front, running


@pytest.fixture
def supervisor(demo: Tenant) -> User:
    return factories.user(demo, Role.SUPERVISOR)


def ask(connection: http.client.HTTPConnection, token: str, body: Any, **headers: str) -> Answer:
    """Send a document and return the answer with its body."""
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    connection.request("POST", "/graphql", json.dumps(body), sent)
    answer = connection.getresponse()
    return answer, answer.read()


def get(front: Front, path: str, **headers: str) -> Answer:
    """Return what the proxy answers to GET over TLS."""
    connection = front.connection()
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def statuses_of_strangers(front: Front, source: str, times: int) -> list[int]:
    """Knock with bad tokens from an address, pretending to be another each time."""
    connection = front.connection(source)
    forged = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(times)]
    found = [ask(connection, "wrong", {"query": "{ me { id } }"}, **headers)[0].status for headers in forged]
    connection.close()
    return found


def some_address() -> str:
    """Return an address of this machine that no test has come from."""
    return f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250)}.{secrets.randbelow(250) + 1}"


def repeated(answer: http.client.HTTPResponse) -> list[str]:
    """Return the names of the headers that came more than once."""
    return [name for name, count in Counter(name.lower() for name, _ in answer.getheaders()).items() if count > 1]


def test_what_a_proxy_owes_its_clients(
    service: tuple[Front, dict[int, Instance]], static: Path, supervisor: User
) -> None:
    front, _ = service
    for _ in range(20):
        factories.work_order(supervisor.tenant)
    token, _ = issue_token(user=supervisor)
    connection = front.connection()

    answer, body = ask(connection, token, {"query": READ}, **{"Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["Content-Encoding"], body[:2]) == (200, "gzip", b"\x1f\x8b")
    assert repeated(answer) == []
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"

    answer, body = ask(connection, token, {"query": "#" * 1_100_000})
    assert (answer.status, json.loads(body)["errors"][0]["extensions"]["code"]) == (413, "BAD_REQUEST")

    connection.request("POST", "/api/v1/tasks/bulk/", "#" * 1_100_000, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (413, PROBLEM)
    assert json.loads(answer.read())["type"] == TYPES["TOO_LARGE"]

    # Who knocks is known by the address it has, whatever it says of itself.
    for _ in range(2):
        assert statuses_of_strangers(front, some_address(), 7) == [401] * 5 + [429] * 2

    for page in ("/metrics", "/healthz", "/readyz"):
        assert get(front, page)[0].status == 404

    answer, body = get(front, "/login/")
    assert (answer.status, repeated(answer)) == (200, [])
    style = body.decode().partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert (static / style.removeprefix("/static/")).is_file()
    answer, body = get(front, style, **{"Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["Content-Encoding"], repeated(answer)) == (200, "gzip", [])
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/css"
    assert get(front, "/static/accounts/page.css")[0].headers["Cache-Control"] == "public, max-age=60"
    assert get(front, "/static/../nginx.conf")[0].status in {400, 404}


def test_plain_http_is_sent_to_https_and_other_hosts_get_nothing(service: tuple[Front, dict[int, Instance]]) -> None:
    front, _ = service
    plain = http.client.HTTPConnection("127.0.0.1", front.plain_port, timeout=10)
    plain.request("GET", "/graphql?query=%7Ba%7D", headers={"Host": "workgraph.example"})
    answer = plain.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://workgraph.example/graphql?query=%7Ba%7D")
    plain.close()

    plain.request("GET", "/graphql", headers={"Host": "evil.example"})
    with pytest.raises(http.client.RemoteDisconnected):
        plain.getresponse()
    plain.close()
    with pytest.raises(OSError, match=r"(?i)unrecognized.name"):
        front.connection(host="evil.example").connect()


def test_http_2_is_spoken_to_whoever_offers_it(service: tuple[Front, dict[int, Instance]]) -> None:
    front, _ = service
    context = ssl.create_default_context(cafile=str(front.folder / "fullchain.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    plain = socket.create_connection(("127.0.0.1", front.port), 10)
    with context.wrap_socket(plain, server_hostname="workgraph.example") as secure:
        assert secure.selected_alpn_protocol() == "h2"


class Client:
    """Somebody who reads and writes without a pause, on one connection, and never repeats a request."""

    def __init__(self, front: Front, token: str, number: int) -> None:
        """Have done nothing yet."""
        self._front, self._token, self._number = front, token, number
        self.made, self.read, self.failed = 0, 0, list[str]()

    def work(self, over: threading.Event) -> None:
        """Go on until told to stop."""
        connection = self._front.connection()
        while not over.is_set():
            try:
                self.made += self._create(connection, self.made)
                self.read += self._read(connection)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                connection = self._front.connection()
        connection.close()

    def _create(self, connection: http.client.HTTPConnection, count: int) -> bool:
        key = f"{self._number}-{count}"
        answer, body = ask(
            connection, self._token, {"query": CREATE, "variables": {"input": {"title": key, "idempotencyKey": key}}}
        )
        return self._well(answer, body == b'{"data":{"createWorkOrder":{"__typename":"WorkOrder"}}}', body)

    def _read(self, connection: http.client.HTTPConnection) -> bool:
        answer, body = ask(connection, self._token, {"query": READ})
        return self._well(answer, b'"edges"' in body, body)

    def _well(self, answer: http.client.HTTPResponse, expected: bool, body: bytes) -> bool:
        if answer.status == 200 and (expected or b"__typename" in body):
            return True
        self.failed.append(f"{answer.status} {body[:200]!r}")
        return False


def under_load(front: Front, actors: list[User], meanwhile: Callable[[], None]) -> list[Client]:
    """Return what became of clients that worked while something was done."""
    clients = [Client(front, issue_token(user=actor)[0], number) for number, actor in enumerate(actors)]
    over = threading.Event()
    with ThreadPoolExecutor(len(clients)) as pool:
        working = [pool.submit(client.work, over) for client in clients]
        try:
            time.sleep(1)
            meanwhile()
        finally:
            over.set()
        for each in working:
            each.result(PATIENCE)
    return clients


def test_a_rolling_restart_loses_no_request(service: tuple[Front, dict[int, Instance]], demo: Tenant) -> None:
    front, running = service

    def roll() -> None:
        for port, instance in running.items():
            instance.restart()
            instance.wait()
            assert readiness(port) == 200
            time.sleep(3)  # SETTLE in ops/rolling_restart.sh

    actors = [factories.user(demo, Role.SUPERVISOR) for _ in range(THREADS)]
    clients = under_load(front, actors, roll)

    assert [client.failed for client in clients] == [[]] * THREADS
    assert all(client.made > 10 and client.read > 10 for client in clients)
    made = sum(client.made for client in clients)
    assert WorkOrder.unscoped.filter(tenant=demo).count() == made
    created = AuditEntry.unscoped.filter(tenant=demo, action="CREATE", entity_kind="WorkOrder")
    assert (created.count(), created.values("entity_id").distinct().count()) == (made, made)


@pytest.fixture
def lone(given: dict[str, str]) -> Iterator[Instance]:
    (port,) = free_ports(1)
    with instances([port], **given) as running:
        yield running[port]


def test_an_instance_that_is_told_to_stop_says_so_and_serves_on(lone: Instance, supervisor: User) -> None:
    token, _ = issue_token(user=supervisor)
    headers = {"Host": "workgraph.example", "X-Forwarded-Proto": "https"}
    kept = http.client.HTTPConnection("127.0.0.1", lone.port, timeout=10)
    answer, _ = ask(kept, token, {"query": "{ me { id } }"}, **headers)
    assert (answer.status, answer.headers["Connection"], readiness(lone.port)) == (200, None, 200)

    lone.tell_to_stop()
    while readiness(lone.port) == 200:
        time.sleep(0.01)

    assert readiness(lone.port) == 503
    answer, _ = ask(kept, token, {"query": "{ me { id } }"}, **headers)
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert lone.stop() == 0


def test_the_script_restarts_each_instance_once_the_others_are_ready(given: dict[str, str], tmp_path: Path) -> None:
    first, second = free_ports(2)
    restart = tmp_path / "restart"
    restart.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/restarted\n')
    restart.chmod(0o700)
    script = [str(ROOT / "ops" / "rolling_restart.sh"), str(first), str(second)]
    settings = os.environ | {"RESTART": str(restart), "SETTLE": "0", "PATIENCE": "5"}
    with instances([first, second], **given) as running:
        done = subprocess.run(script, env=settings, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "restarted").read_text() == f"workgraph@{first}\nworkgraph@{second}\n"

        assert running[second].stop() == 0
        (tmp_path / "restarted").unlink()
        done = subprocess.run(script, env=settings, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert (done.returncode, f"port {second} is not ready" in done.stderr) == (1, True)
    # A restart may be what it needs; the one that serves is left alone.
    assert (tmp_path / "restarted").read_text() == f"workgraph@{second}\n"


def test_an_instance_without_static_files_says_what_to_do(given: dict[str, str], tmp_path: Path) -> None:
    settings = environment() | given | {"STATIC_ROOT": str(tmp_path), "PORT": str(free_ports(1)[0])}
    command = [sys.executable, "-m", "project.serve", "--prepared"]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    told = f"workgraph: there are no static files in {tmp_path}: run `manage.py collectstatic` first.\n"
    assert (done.returncode, done.stderr) == (2, told)
