"""How the server takes leave: whoever it has let in is answered."""

# ruff: noqa: S603 - the commands are the tests' own
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from project.embedded.places import ROOT
from project.stopping import STOPPING, closing
from tests.proxied import free_ports, readiness

CROWD: Final = 16
QUEUE: Final = """
import socket, sys
from project.stopping import shut_doors
with socket.create_server(("127.0.0.1", 0)) as listener:
    address = listener.getsockname()
    early = socket.create_connection(address)  # in the queue of the kernel
    shut_doors()
    early.sendall(b"early")
    late = socket.socket()
    late.settimeout(0.2)
    assert late.connect_ex(address) != 0, "the door is open"
    accepted, _ = listener.accept()
    assert accepted.recv(10) == b"early"
    accepted.sendall(b"answer")
    assert early.recv(10) == b"answer"
assert socket.socket().connect_ex(address) != 0
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filters of sockets are Linux's")
def test_a_door_that_is_shut_keeps_who_is_inside_and_nobody_else() -> None:
    done = subprocess.run([sys.executable, "-c", QUEUE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def answered(environ: dict[str, Any], respond: Any) -> list[bytes]:
    respond("200 OK", [("Content-Type", "text/plain")])
    return [b""]


@pytest.mark.parametrize("stopping", [False, True])
def test_each_answer_closes_its_connection_once_the_end_is_near(
    monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    monkeypatch.setattr(STOPPING, "is_set", lambda: stopping)
    told: list[Any] = []
    closing(answered)({}, lambda status, headers: told.extend([status, *headers]))
    assert told == ["200 OK", ("Content-Type", "text/plain"), *[("Connection", "close")] * stopping]


@pytest.fixture
def server() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "project.server", "127.0.0.1", str(port), "2", "2", "1"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        while readiness(port) == 0:
            assert process.poll() is None
            time.sleep(0.05)
        yield port, process
        process.terminate()


def ask_until_refused(port: int) -> Counter[str]:
    """Make one connection for each request, as long as any is taken; return what became of them."""
    found: Counter[str] = Counter()
    while not found["refused"]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.connect()
        except OSError:
            found["refused"] += 1
            continue
        found[_outcome(connection)] += 1
        connection.close()
    return found


def _outcome(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", "/healthz")
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)


def test_who_has_been_let_in_is_answered_up_to_the_last_moment(server: tuple[int, subprocess.Popen[bytes]]) -> None:
    port, process = server
    with ThreadPoolExecutor(CROWD) as crowd:
        asking = [crowd.submit(ask_until_refused, port) for _ in range(CROWD)]
        time.sleep(0.5)
        process.terminate()
        found = sum((each.result(30) for each in asking), Counter[str]())

    assert {*found} == {"200", "refused"}
    assert process.wait(10) == 0


def test_ctrl_c_does_not_wait_for_proxies() -> None:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "project.server", "127.0.0.1", str(port), "2", "2", "60"]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        while readiness(port) == 0:
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0


def test_an_idle_connection_is_closed_when_the_time_is_up(server: tuple[int, subprocess.Popen[bytes]]) -> None:
    port, process = server
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(1000)
        process.terminate()
        assert process.wait(10) == 0
