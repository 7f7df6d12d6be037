"""The real nginx, configured by the file that is handed out, before real servers."""

# ruff: noqa: S603 - the commands are the tests' own
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from project.embedded.places import ROOT
from tests.test_import_work_orders import environment

NGINX: Final = shutil.which("nginx") or (shutil.which("nginx", path="/usr/sbin"))
CONFIGURATION: Final = ROOT / "ops" / "nginx" / "workgraph.conf"
HOST: Final = "workgraph.example"
LIVES: Final = 240  # seconds that a busy machine may take to start one
USER: Final = "" if os.geteuid() else "user root;"  # the tests' folders are private
MAIN: Final = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include /etc/nginx/mime.types;
    include {folder}/workgraph.conf;
}}
"""


class Connection(http.client.HTTPSConnection):
    """A connection over TLS to the proxy of this machine, from an address of this machine."""

    def __init__(self, port: int, trusted: Path, source: str, host: str) -> None:
        """Connect with the first request."""
        super().__init__(host, port, timeout=30)
        self._trusted, self._source = ssl.create_default_context(cafile=str(trusted)), source

    def connect(self) -> None:
        """Connect, whatever the name stands for elsewhere."""
        plain = socket.create_connection(("127.0.0.1", self.port), 30, (self._source, 0))
        self.sock = self._trusted.wrap_socket(plain, server_hostname=self.host)


class Front(NamedTuple):
    """The proxy, and the instances behind it."""

    port: int
    plain_port: int
    instances: tuple[int, ...]
    folder: Path

    def connection(self, source: str = "127.0.0.1", host: str = HOST) -> Connection:
        """Return a connection to the proxy."""
        return Connection(self.port, self.folder / "fullchain.pem", source, host)


def required() -> None:
    """Skip the test where there is no nginx, unless REQUIRE_NGINX says that there must be one."""
    if NGINX is None:
        if os.environ.get("REQUIRE_NGINX"):
            pytest.fail("REQUIRE_NGINX is set, and there is no nginx")
        pytest.skip("there is no nginx on this machine")


def free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [taken.getsockname()[1] for taken in sockets]


class Instance:
    """One server, as the unit `workgraph@PORT` runs it; it can be restarted."""

    def __init__(self, port: int, given: dict[str, str], release: Path) -> None:
        """Start it."""
        self.port, self._given, self._release = port, given, release
        self.start()

    def start(self) -> None:
        """Start it, not waiting until it is ready."""
        command = [sys.executable, "-m", "project.serve", "--prepared"]
        self._process = subprocess.Popen(command, cwd=self._release, env=self._given | {"PORT": str(self.port)})

    def wait(self) -> None:
        """Wait until it is ready."""
        end = time.monotonic() + LIVES
        while readiness(self.port) != 200:
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)

    def tell_to_stop(self) -> None:
        """Do what the service manager does first."""
        self._process.terminate()

    def stop(self) -> int:
        """Stop it as the service manager does, and wait until it has gone."""
        self._process.terminate()
        return self._process.wait(LIVES)

    def restart(self) -> None:
        """Do what `systemctl restart` does."""
        assert self.stop() == 0
        self.start()


def readiness(port: int) -> int:
    """Return the status that `/readyz` answers; 0 for none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def instances(ports: Sequence[int], release: Path = ROOT, /, **given: str) -> Iterator[dict[int, Instance]]:
    """Run an instance of a release on each port, with the tests' database."""
    settings = {"ALLOWED_HOSTS": HOST, "TRUST_FORWARDED_PROTO": "1", "TRUSTED_PROXIES": "127.0.0.1", "AUDIT_LOG": ""}
    settings |= {"WORKERS": "1", "DATABASE_POOL_SIZE": "4", "DRAIN_SECONDS": "3", "LOG_LEVEL": "ERROR"}
    running = {port: Instance(port, environment() | settings | given, release) for port in ports}
    try:
        for instance in running.values():
            instance.wait()
        yield running
    finally:
        for instance in running.values():
            instance.tell_to_stop()
        for instance in running.values():
            instance.stop()


@contextmanager
def proxied(folder: Path, ports: tuple[int, int], static: Path) -> Iterator[Front]:
    """Run nginx before the instances on these ports."""
    secure, plain = free_ports(2)
    front = Front(secure, plain, ports, folder)
    _certify(folder)
    (folder / "workgraph.conf").write_text(_adapted(front, static))
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=USER))
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "[warn]" not in tested.stderr, tested.stderr
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _await(secure)
            yield front
        finally:
            process.terminate()


def _adapted(front: Front, static: Path) -> str:
    """Return the configuration with the ports and files of this test in place of the host's."""
    text = CONFIGURATION.read_text()
    for found, put in {
        "listen 443": f"listen 127.0.0.1:{front.port}",
        "listen 80": f"listen 127.0.0.1:{front.plain_port}",
        "127.0.0.1:8001": f"127.0.0.1:{front.instances[0]}",
        "127.0.0.1:8002": f"127.0.0.1:{front.instances[1]}",
        f"/etc/letsencrypt/live/{HOST}": str(front.folder),
        "/opt/workgraph/static/": f"{static}/",
    }.items():
        assert found in text
        text = text.replace(found, put)
    return "\n".join(line for line in text.splitlines() if "listen [::]" not in line)


def _certify(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem"), "-days", "2"]
    command += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    subprocess.run(command, check=True, capture_output=True)


def _await(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail("nginx does not listen")
