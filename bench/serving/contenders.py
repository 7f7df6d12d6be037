"""The web servers that are compared, each as a command; how they are installed, started, measured and ended."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from project.embedded.places import ROOT, local

from .load import HOST
from .scratch import Environment

TICKS: Final = os.sysconf("SC_CLK_TCK")
GUNICORN: Final = "gunicorn --no-control-socket --log-level critical --keep-alive 75 --bind {host}:{port}"
ASGI: Final = "--factory bench.serving.asgi:application"

# The first is ours. {threads} are those that run Django; under ASGI Django makes one for each request in hand.
CONTENDERS: Final = {
    "granian WSGI": "project.server {host} {port} {workers} {threads}",
    "granian ASGI": "granian --interface asginl --no-ws --log-level critical --workers {workers} "
    f"--host {{host}} --port {{port}} {ASGI}",
    "gunicorn gthread": f"{GUNICORN} --workers {{workers}} --worker-class gthread --threads {{threads}} project.wsgi",
    "gunicorn sync": f"{GUNICORN} --workers {{workers}} --worker-class sync project.wsgi",
    "uvicorn ASGI": "uvicorn --loop uvloop --http httptools --lifespan off --ws none --no-access-log "
    f"--log-level critical --workers {{workers}} --host {{host}} --port {{port}} {ASGI}",
}


def install() -> Path:
    """Install the servers that are not ours in a folder of the benchmark's, once; return the folder."""
    folder, requirements = local() / "bench", ROOT / "requirements" / "bench.txt"
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_bytes() != requirements.read_bytes():
        command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--upgrade"]
        command += ["--root-user-action=ignore", "--require-hashes", "--target", str(folder), "-r", str(requirements)]
        subprocess.run(command, check=True)  # noqa: S603 - the command is our own
        stamp.write_bytes(requirements.read_bytes())
    return folder


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, with all its processes."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def tree(self) -> list[int]:
        """Return the ids of its processes, the first one first."""
        found = [self.process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(OSError):
                    found += [int(child) for child in children.read_text().split()]
        return found

    def cpu(self) -> float:
        """Return the seconds of CPU that its processes have used so far."""
        return sum(sum(map(int, _stat(pid)[11:13])) for pid in self.tree()) / TICKS

    def memory(self) -> float:
        """Return the megabytes that its largest process, a worker, holds in RAM."""
        return max(int(_stat(pid)[21]) for pid in self.tree()) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which may hold spaces: the state is the first."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return ["0"] * 30


@contextmanager
def running(name: str, environment: Environment, workers: int, threads: int) -> Iterator[Server]:
    """Start one of the web servers with our application, yield it once it listens, end it."""

    def command(port: int) -> list[str]:
        words = CONTENDERS[name].format(host=HOST, port=port, workers=workers, threads=threads)
        return [sys.executable, "-m", *words.split()]

    with started(name, command, {**environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{install()}"}) as server:
        yield server


@contextmanager
def started(name: str, command: Callable[[int], list[str]], environment: Environment) -> Iterator[Server]:
    """Start a server on a port, yield it once it listens, end it. It inherits the processors this process may use."""
    with socket.create_server((HOST, 0)) as listener:
        port = int(listener.getsockname()[1])
    with subprocess.Popen(command(port), cwd=ROOT, env=environment) as process:  # noqa: S603 - our own
        try:
            server = Server(name, port, process)
            wait(server)
            yield server
        finally:
            end(process)


def wait(server: Server) -> None:
    """Wait until a server listens. Raises RuntimeError when it doesn't within half a minute."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, server.port)):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{server.name} does not listen.")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; after a while, make it."""
    process.terminate()
    try:
        process.wait(25)
    except subprocess.TimeoutExpired:
        process.kill()
