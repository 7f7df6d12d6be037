"""Redis behind TLS and a password: the URL alone leads there, and to nobody whose certificate is not trusted."""

# ruff: noqa: S603 - the commands are the tests' own
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from apps.throttle.limits import Bucket
from project.caches import cache_of
from tests.buckets import Valkey, closed_port, draws, fresh_server, held, left, until, use

PASSWORD: Final = "s/e:c@ret"
QUOTED: Final = "s%2Fe%3Ac%40ret"
POINTS: Final = Bucket("points", 10, 0.01)
TERMINATOR: Final = """
import asyncio, contextlib, ssl, sys

listening, target, certificate, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)

async def pour(source, drain):
    with contextlib.suppress(OSError):
        while read := await source.read(65536):
            drain.write(read)
    drain.close()

async def carry(outer, back):
    inner, forth = await asyncio.open_connection("127.0.0.1", int(target))
    await asyncio.gather(pour(outer, forth), pour(inner, back))

async def serve():
    async with await asyncio.start_server(carry, "127.0.0.1", int(listening), ssl=context) as server:
        await server.serve_forever()

asyncio.run(serve())
"""
"""Speaks TLS in place of the embedded Valkey, which is built without."""


def certify(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=redis"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


def listens(port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
    return False


@contextmanager
def behind_tls(folder: Path, listening: int, *options: str) -> Iterator[Valkey]:
    """Start a Valkey, which is reached by TLS on another port."""
    with Valkey(folder, *options) as valkey:
        command = [sys.executable, "-c", TERMINATOR, str(listening), str(valkey.port), *map(str, certify(folder))]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: listens(listening))
                yield valkey
            finally:
                process.kill()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Return where a Valkey that wants a password is reached by TLS."""
    found = closed_port()
    with behind_tls(tmp_path, found, "--requirepass", PASSWORD):
        yield found


@pytest.fixture
def cluster_port(tmp_path: Path) -> Iterator[int]:
    """Return where the one node of a cluster is reached by TLS, as it says of itself."""
    found = closed_port()
    told = {"cluster-enabled": "yes", "cluster-port": closed_port(), "cluster-announce-port": found}
    options = [str(word) for name, value in told.items() for word in (f"--{name}", value)]
    with behind_tls(tmp_path, found, *options, "--cluster-announce-ip", "127.0.0.1") as valkey:
        valkey.ask.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        until(lambda: valkey.ask.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        yield found


def lead(settings: Settings, address: str) -> None:
    found = cache_of(address)
    use(settings, found["LOCATION"], **found["OPTIONS"])


def limits_and_caches_are_kept() -> None:
    """Hold that the server is asked, and not this process, as while Redis is away."""
    client_id = uuid4().hex
    assert draws(POINTS, client_id, 6)
    assert not draws(POINTS, client_id, 6)
    assert left(POINTS, client_id) == 4
    assert len(held(client_id)) == 1
    cache.set(client_id, "kept")
    assert cache.get(client_id) == "kept"


def test_limits_and_caches_are_kept_there(
    port: int, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_server(monkeypatch)
    lead(settings, f"rediss://:{QUOTED}@127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/certificate.pem")
    limits_and_caches_are_kept()


def test_so_are_they_on_a_cluster(
    cluster_port: int, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh_server(monkeypatch)
    lead(settings, f"rediss+cluster://127.0.0.1:{cluster_port}?ssl_ca_certs={tmp_path}/certificate.pem")
    limits_and_caches_are_kept()


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["rediss+cluster", "redis+cluster"])
def test_a_cluster_that_is_not_trusted_is_away_and_so_is_one_without_tls(
    cluster_port: int, settings: Settings, scheme: str
) -> None:
    lead(settings, f"{scheme}://127.0.0.1:{cluster_port}")
    assert Client().get("/readyz").json()["redis"] == "away"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("password", "trusted", "found"),
    [
        (QUOTED, "?ssl_ca_certs={folder}/certificate.pem", "ok"),
        ("wrong", "?ssl_ca_certs={folder}/certificate.pem", "away"),
        (QUOTED, "", "away"),
    ],
)
def test_the_probe_tells_whether_password_and_certificate_are_right(
    port: int, tmp_path: Path, settings: Settings, password: str, trusted: str, found: str
) -> None:
    lead(settings, f"rediss://:{password}@127.0.0.1:{port}/0{trusted.format(folder=tmp_path)}")
    assert Client().get("/readyz").json()["redis"] == found
