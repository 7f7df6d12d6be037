"""Starting and stopping the web server: real processes on real ports."""

# ruff: noqa: S603 - the commands are the tests' own
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from project.embedded.places import ROOT


def serve(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "project.serve"],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_port_in_use_is_told_in_a_line(taken_port: int) -> None:
    result = serve(PORT=str(taken_port))

    assert result.returncode == 2
    assert result.stderr == (
        f"workgraph: cannot listen on port {taken_port} of 127.0.0.1: Address already in use. "
        "Choose another, like `make run PORT=8001`.\n"
    )


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_told_in_a_line(port: str) -> None:
    result = serve(PORT=port)

    assert result.returncode == 2
    assert result.stderr == f"workgraph: PORT is {port}: it must be a number from 1 to 65535.\n"


def test_an_unusable_local_folder_is_told_in_a_line(free_port: int) -> None:
    result = serve(PORT=str(free_port), WORKGRAPH_LOCAL="/dev/null", DATABASE_URL="")

    assert result.returncode == 2
    assert result.stderr.startswith("workgraph: cannot write /dev/null")
    assert result.stderr.count("\n") == 1


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/nothing").close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("receiver", [os.kill, os.killpg], ids=["one", "group"])
def test_the_server_ends_at_once_whoever_gets_the_signal(
    free_port: int, sign: signal.Signals, receiver: Callable[[int, int], None]
) -> None:
    command = [sys.executable, "-m", "project.server", "127.0.0.1", str(free_port), "2", "2"]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as server:
        while not answers(free_port):
            assert server.poll() is None
            time.sleep(0.05)
        receiver(server.pid, sign)  # the second worker is still starting, often enough

        assert server.wait(10) == 0


def test_no_worker_outlives_a_killed_server(free_port: int) -> None:
    command = [sys.executable, "-m", "project.server", "127.0.0.1", str(free_port), "2", "2"]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as server:
        while not answers(free_port):
            time.sleep(0.05)
        server.kill()
    deadline = time.monotonic() + 10
    while answers(free_port) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not answers(free_port)
