"""Requests that only a socket can send, against the real web server: none fails, none is taken for another."""

# ruff: noqa: S603 - the command is the test's own
import http.client
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import pytest

from apps.accounts.models import Tenant
from apps.accounts.tokens import issue_token
from project.embedded.places import ROOT
from schema.reads.global_id import encode_id
from tests import factories
from tests.attacks import CODES, LEAKS
from tests.test_import_work_orders import environment
from tests.writing import nothing_changes

BODY: Final = b'{"query":"{me{id}}"}'
CHUNKS: Final = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
CHUNKED: Final = b"Transfer-Encoding: chunked"
PATIENCE: Final = 10


def request(
    *headers: bytes,
    method: bytes = b"POST",
    target: bytes = b"/graphql",
    body: bytes = BODY,
    host: bytes = b"127.0.0.1",
    kind: bytes = b"application/json",
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """Return a request as it is sent; without a length when a header says something about it."""
    lines = [b"%s %s %s" % (method, target, version), b"Host: " + host, b"Authorization: Bearer TOKEN", *headers]
    lines += [b"Content-Type: " + kind, b"Connection: close"]
    if not any(each.startswith((b"Content-Length", b"Transfer-Encoding")) for each in headers):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


OF_A_BODY: Final = {
    "two lengths": ({400}, request(b"Content-Length: 20", b"Content-Length: 3")),
    "a length that is none": ({400}, request(b"Content-Length: abc")),
    "a negative length": ({400}, request(b"Content-Length: -1")),
    "a signed length": ({400}, request(b"Content-Length: +20")),
    "a length of 20 digits": ({400}, request(b"Content-Length: " + b"9" * 20)),
    "a length of a terabyte": ({413}, request(b"Content-Length: 1099511627776")),
    "less than there is": ({400}, request(b"Content-Length: 5")),
    "no body": ({400}, request(body=b"")),
    "a body above 1 MB": ({413}, request(body=b"[" * 1_048_577)),
    "chunks": ({200, 400, 411}, request(CHUNKED, body=CHUNKS)),
    "chunks with a trailer": ({200, 400, 411}, request(CHUNKED, body=CHUNKS[:-2] + b"X-A: b\r\n\r\n")),
    "chunks and a length": ({200, 400, 411}, request(CHUNKED, b"Content-Length: 20", body=CHUNKS)),
    "chunks of no length": ({400, 411}, request(CHUNKED, body=b"zz\r\n" + BODY + b"\r\n0\r\n\r\n")),
    "3 MB of chunks": (
        {400, 411, 413},
        request(CHUNKED, body=(b"100000\r\n" + b"[" * 0x100000 + b"\r\n") * 3 + b"0\r\n\r\n"),
    ),
    "coded twice": ({200, 400, 411, 501}, request(b"Transfer-Encoding: gzip, chunked", body=CHUNKS)),
    "another coding": ({400, 501}, request(b"Transfer-Encoding: identity")),
    "two codings": ({400, 501}, request(CHUNKED, b"Transfer-Encoding: identity", body=CHUNKS)),
    "a second request in the body": ({200}, request() + request(method=b"GET", target=b"/healthz", body=b"")),
}

OF_HEADERS: Final = {
    "a parameter of a strange coding": ({415}, request(kind=b"application/json; charset*=nope'en'utf-8")),
    "a charset that is none": ({415}, request(kind=b"application/json; charset=nope")),
    "a charset of no ASCII": ({415}, request(kind=b"application/json; charset=\xff")),
    "a range of a strange coding": ({200, 406}, request(b"Accept: application/json;a*=nope''x")),
    "3,000 ranges": ({200, 400, 406}, request(b"Accept: " + b",".join(b"a%d/b;q=0.5" % n for n in range(3_000)))),
    "NUL": ({400}, request(b"X-A: a\x00b")),
    "a folded header": ({400}, request(b"X-A: a\r\n b")),
    "a blank before the colon": ({400}, request(b"X-A : b")),
    "500 KB": ({431}, request(b"X-A: " + b"a" * 500_000)),
    "200 headers": ({431}, request(*(b"X-A%d: a" % n for n in range(200)))),
    "underscores": ({200}, request(b"Content_Length: 3", b"X_Forwarded_For: a", b"Authorization_: x")),
    "two tokens": ({400, 401}, request(b"Authorization: Bearer x")),
    "no Latin": ({200}, request(b"X-Correlation-ID: \xff\xfe")),
    "an upgrade": ({200, 400}, request(b"Upgrade: websocket")),
    "an expectation": ({200}, request(b"Expect: 100-continue")),
    "another host": ({400}, request(host=b"evil.example")),
    "two hosts": ({400}, request(host=b"127.0.0.1, evil.example")),
    "a host with a user": ({400}, request(host=b"127.0.0.1@evil.example")),
    "no host": ({400}, request(host=b"")),
    "half an address": ({400}, request(host=b"[::1")),
}

OF_A_LINE: Final = {
    "an absolute address": ({200}, request(target=b"http://127.0.0.1/graphql")),
    "a tunnel": ({400, 404, 405}, request(method=b"CONNECT", target=b"evil.example:80")),
    "a way up": ({404}, request(target=b"/static/../graphql")),
    "two slashes": ({404}, request(target=b"//graphql")),
    "NUL in the path": ({404}, request(target=b"/graphql%00")),
    "no UTF-8 in the path": ({404}, request(target=b"/%ff%fe")),
    "bytes in the query string": ({400}, request(method=b"GET", target=b"/graphql?query=\xff", body=b"")),
    "no UTF-8 in the query string": ({200, 400}, request(method=b"GET", target=b"/graphql?query=%ff", body=b"")),
    "1,500 parameters": ({400}, request(method=b"GET", target=b"/graphql?" + b"a=1&" * 1_500, body=b"")),
    "a long address": ({200, 414}, request(method=b"GET", target=b"/graphql?query=%23" + b"a" * 60_000, body=b"")),
    "a method of its own": ({405}, request(method=b"HACK")),
    "HTTP/1.0": ({200}, request(version=b"HTTP/1.0")),
    "HTTP/9.9": ({400}, request(version=b"HTTP/9.9")),
    "no version": ({400}, b"GET /graphql\r\n\r\n"),
    "bytes": ({400}, b"\x00\x01\x02\r\n\r\n"),
    "TLS": ({400}, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
}


class Answer(io.BytesIO):
    """What a server has sent."""

    def makefile(self, *_: Any) -> io.BytesIO:
        return self


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def server(port: int, **more: str) -> Iterator[None]:
    """Serve the tests' database by one worker."""
    given = {"ALLOWED_HOSTS": "127.0.0.1", "HTTPS": "0", "AUDIT_LOG": "", "STRANGER_LIMIT": "10000", **more}
    command = [sys.executable, "-m", "project.server", "127.0.0.1", str(port), "1", "2"]
    with subprocess.Popen(command, cwd=ROOT, env=environment() | given, stderr=subprocess.DEVNULL) as process:
        try:
            while not _listens(port):
                assert process.poll() is None
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        return sent(port, request(method=b"GET", target=b"/healthz", body=b""))[0] == 200
    except OSError:
        return False


def sent(port: int, data: bytes) -> tuple[int, bytes]:
    """Return the status and the body of the answer to what was sent; a status of 0 for none."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        received = _received(connection, data)
    answer = http.client.HTTPResponse(Answer(received))  # type: ignore[arg-type]
    try:
        answer.begin()
        return answer.status, answer.read()
    except http.client.HTTPException:
        return 0, received


def _received(connection: socket.socket, data: bytes) -> bytes:
    received = b""
    with suppress(OSError):  # refused before it was all here; what was told may be there to be read
        connection.sendall(data)
    with suppress(OSError):
        while part := connection.recv(65_536):
            received += part
    return received


def violations(port: int, data: bytes, statuses: set[int], plain: bytes, served: bytes) -> Iterator[str]:
    """Yield what is wrong with the answer to what is sent."""
    started = time.monotonic()
    status, body = sent(port, data)
    if status not in statuses:
        yield f"told {status}: {body[:200]!r}"
    text = body.decode(errors="replace").replace("<!doctype html>", "")
    if found := LEAKS.search(text):
        yield f"leaks {found}"
    if text.startswith("{") and not _codes(text) <= CODES:
        yield f"is of no form: {text[:200]}"
    if time.monotonic() - started > PATIENCE / 2:
        yield f"took {time.monotonic() - started:.1f} s"
    if served not in sent(port, plain)[1]:
        yield "is not served afterwards"


def _codes(text: str) -> set[str]:
    return {error["extensions"]["code"] for error in json.loads(text).get("errors", [])}


@pytest.mark.django_db(transaction=True)
def test_the_server_withstands_what_only_a_socket_can_send(demo: Tenant, port: int) -> None:
    actor = factories.user(demo)
    token = issue_token(user=actor)[0].encode()
    identity = json.dumps({"id": encode_id("User", actor.pk)}, separators=(",", ":")).encode()
    found: dict[str, list[str]] = {}
    with server(port):
        plain = request().replace(b"TOKEN", token)
        status, body = sent(port, plain)
        assert (status, identity in body) == (200, True)
        with nothing_changes():
            for name, (statuses, data) in (OF_A_BODY | OF_HEADERS | OF_A_LINE).items():
                found[name] = [*violations(port, data.replace(b"TOKEN", token), statuses, plain, identity)]
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
