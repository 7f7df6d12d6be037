"""How requests reach Django: whole, in their turn, with room on the interpreter's stack."""

import http.client
import io
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from project.embedded.places import ROOT
from project.intake import LONGEST_BODY, Turns, in_turn
from project.stack import ROOM, roomy


@pytest.fixture
def one_at_a_time() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-m", "project.server", "127.0.0.1", str(port), "1", "1"]
    with subprocess.Popen(command, cwd=ROOT) as server:  # noqa: S603 - our own command
        while not answers(port):
            assert server.poll() is None
            time.sleep(0.05)
        yield port
        server.terminate()


def answers(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/nothing")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_clients_that_send_half_a_body_hold_up_nobody(one_at_a_time: int) -> None:
    half = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n12345"
    with ExitStack() as clients:
        for _ in range(5):
            clients.enter_context(socket.create_connection(("127.0.0.1", one_at_a_time))).sendall(half)
        time.sleep(0.3)  # they have reached their threads

        assert answers(one_at_a_time) == 404


def test_a_probe_is_answered_out_of_turn() -> None:
    nobody_has_a_turn = in_turn(lambda environ, _: [environ["PATH_INFO"].encode()], at_once=0)
    for path in ("/healthz", "/readyz"):
        assert nobody_has_a_turn({"PATH_INFO": path}, lambda: None) == [path.encode()]


@pytest.mark.parametrize("size", [0, 3, LONGEST_BODY, LONGEST_BODY + 5])
def test_a_body_that_comes_in_chunks_gets_a_length(size: int) -> None:
    environ = {"PATH_INFO": "/", "HTTP_TRANSFER_ENCODING": "Chunked", "wsgi.input": io.BytesIO(b"x" * size)}
    in_turn(lambda *_: [], at_once=1)(environ, lambda: None)
    read = min(size, LONGEST_BODY + 1)
    assert (environ["CONTENT_LENGTH"], len(environ["wsgi.input"].read())) == (str(read), read)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["application/json", "text/plain; charset*=nope'en'utf-8"])
def test_a_media_type_that_django_stumbles_over_is_none(kind: str) -> None:
    environ = {"PATH_INFO": "/", "CONTENT_TYPE": kind}
    in_turn(lambda *_: [], at_once=1)(environ, lambda: None)
    assert environ["CONTENT_TYPE"] == ("" if "*" in kind else kind)


def test_a_client_that_hangs_up_amid_its_body_harms_nobody(one_at_a_time: int) -> None:
    half = b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n12345"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", one_at_a_time)) as client:
            client.sendall(half)

    assert answers(one_at_a_time) == 404


def started(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    time.sleep(0.05)  # it has come to its wait
    return thread


def test_who_waits_longest_is_next() -> None:
    turns, order = Turns(at_once=1), list[int]()

    def take(number: int) -> None:
        with turns:
            order.append(number)

    with turns:
        waiting = [started(lambda number=number: take(number)) for number in range(5)]  # type: ignore[misc]
    for thread in waiting:
        thread.join()

    assert order == [0, 1, 2, 3, 4]


def test_no_more_are_at_work_than_may_be() -> None:
    turns, at_work, most = Turns(at_once=2), list[int](), list[int]()

    def work() -> None:
        for _ in range(20):
            with turns:
                at_work.append(1)
                most.append(len(at_work))
                time.sleep(0.001)
                at_work.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) == 2
    assert len(most) == 120


def test_an_error_hands_its_turn_on() -> None:
    def fail(environ: dict[str, Any], respond: Any) -> list[bytes]:
        raise LookupError

    application = in_turn(fail, at_once=1)
    for _ in range(3):
        with pytest.raises(LookupError):
            application({}, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declared", "read"),
    [("3", b"abc"), ("", None), ("0", None), ("x", None), ("-1", None), (str(LONGEST_BODY + 1), None)],
)
def test_a_body_is_read_if_it_may_be_as_long_as_declared(declared: str, read: bytes | None) -> None:
    sent, seen = io.BytesIO(b"abcdef"), list[Any]()

    def application(environ: dict[str, Any], respond: Any) -> list[bytes]:
        seen.append(environ["wsgi.input"])
        return []

    in_turn(application, at_once=1)({"CONTENT_LENGTH": declared, "wsgi.input": sent}, None)  # type: ignore[arg-type]

    assert (seen[0].read(), sent.tell()) == (read, 3) if read else seen[0] is sent


def test_a_function_with_room_answers_as_without() -> None:
    given = roomy(lambda *values, **named: (values, named))

    assert given(1, 2, three=3) == ((1, 2), {"three": 3})
    assert given.__code__.co_stacksize == ROOM
