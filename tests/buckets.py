"""Limits and their keys, time that passes at a test's word, and Valkeys of the tests' own, which may come to harm."""

# ruff: noqa: S603 - the commands are the tests' own
import math
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

import pytest
from django_redis import get_redis_connection
from pytest_django import Settings
from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError

from apps.throttle import limits, memory
from apps.throttle.limits import Draw, Limit, Taken, take
from apps.throttle.server import Server
from project.embedded.places import server_account
from project.embedded.valkey import Valkey as Embedded

AWAY: Final = "Redis is away; going on without it."
BACK: Final = "Redis is back."
PATIENCE: Final = 10

Later = Callable[[str, float], None]
"""What lets so many seconds pass for the limits of a client."""


def wanting(client: str, *wanted: tuple[Limit, int]) -> Taken:
    return take(client, [Draw(*each) for each in wanted])


def draws(limit: Limit, client: str, wanted: int = 1) -> bool:
    """Draw; tell whether it was granted."""
    return wanting(client, (limit, wanted)).granted


def left(limit: Limit, client: str) -> int:
    return wanting(client, (limit, 0)).standings[0].remaining


def held(name: str) -> list[bytes]:
    """Return the keys in Redis that have a client or a limit of this name."""
    found: set[bytes] = set(get_redis_connection("default").scan_iter(f"*{name}*", count=10_000))
    return sorted(found)  # a scan may meet a key twice


def age(client: str, seconds: float) -> None:
    """Let time pass for the keys of a client, by making them older; it goes back when it is less than none."""
    server: Any = get_redis_connection("default")
    for key in held(client):
        lives = server.pttl(key) - round(seconds * 1000)
        text = (
            (server.get(key) or b"").decode()
            if server.type(key) == b"string"
            else ",".join(map(bytes.decode, server.lrange(key, 0, -1)))
        )
        older = re.sub(r"\d+(?=,|$)", lambda found: str(int(found[0]) - round(seconds * 1_000_000)), text)
        with server.pipeline() as pipe:
            pipe.delete(key)
            if lives > 0:
                pipe.set(key, older) if "@" in older else pipe.rpush(key, *older.split(","))
                pipe.pexpire(key, lives)
            pipe.execute()


def in_memory(patch: pytest.MonkeyPatch) -> Later:
    """Let Redis be away, and the process's clock stand still; return what lets time pass."""
    server, now = fresh_server(patch), [time.monotonic_ns()]
    server._away, server._try_again_at = True, math.inf
    patch.setattr(memory, "time", SimpleNamespace(monotonic_ns=lambda: now[0]))

    def later(_client: str, seconds: float) -> None:
        now[0] += round(seconds * 1_000_000_000)

    return later


def fresh_server(patch: pytest.MonkeyPatch, rest: float = 60) -> Server:
    """Let nothing be known of Redis yet; after a failure it is asked again after so many seconds."""
    server = Server()
    patch.setattr("apps.throttle.server.REST", rest)
    patch.setattr(limits, "server", server)
    patch.setattr(memory, "_clients", type(memory._clients)())
    return server


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def use(settings: Settings, url: str, **options: Any) -> None:
    """Let the application use another Redis, which it is patient with for half a second."""
    default = settings.CACHES["default"]
    options = {**default["OPTIONS"], "SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5, **options}
    settings.CACHES = {"default": {**default, "LOCATION": url, "OPTIONS": options}}


class Valkey:
    """A Valkey of a test's own, in a folder of its own."""

    program: Final = Embedded.wheel.locate(server_account())

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.port = folder, closed_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.ask: Any = Redis.from_url(self.url, socket_timeout=PATIENCE)
        self.start(*options)

    def start(self, *options: str) -> None:
        """Start it, with nothing that it held before unless the options say so."""
        listen = ("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.folder / "socket"))
        keep = ("--save", "", "--dir", str(self.folder), "--repl-diskless-sync-delay", "0")
        self.process = subprocess.Popen([self.program, *listen, *keep, *options], stdout=subprocess.DEVNULL)
        until(lambda: answers(self.ask))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.ask.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def sentinel(folder: Path, primary: Valkey) -> Iterator[int]:
    """Let a sentinel watch over a primary, and its replica take over when it dies; return the sentinel's port."""
    port, file = closed_port(), folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 200\n"
    )
    with subprocess.Popen([Valkey.program, file, "--sentinel"], stdout=subprocess.DEVNULL) as process:
        try:
            with Redis(port=port, socket_timeout=PATIENCE) as asked:
                until(lambda: answers(asked) and asked.execute_command("SENTINEL", "REPLICAS", "main"))
            yield port
        finally:
            process.kill()


def answers(server: Any) -> bool:
    """Tell whether a server listens, even if it can't do anything yet."""
    try:
        return bool(server.ping())
    except (BusyLoadingError, AuthenticationError):
        return True
    except RedisError:
        return False


class ClusterFactory:
    """Connect django-redis to a cluster."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Take the options as they come."""

    def connect(self, url: str) -> RedisCluster:
        return RedisCluster.from_url(url)


def until(holds: Callable[[], Any]) -> None:
    """Wait until it holds."""
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up, "in vain"
        time.sleep(0.01)
