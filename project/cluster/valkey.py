"""A cluster of Valkey: three primaries that share the slots, and a replica of the first."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from project.cluster.processes import PATIENCE, Process, free_port, until
from project.embedded.places import own_folder
from project.embedded.valkey import Valkey

SLOTS = 16384
PRIMARIES = 3
NODE_TIMEOUT = 1000  # milliseconds after which a node is taken for gone


class Node:
    """A server of the cluster."""

    def __init__(self, folder: Path) -> None:
        """Place it in a folder."""
        settled = Valkey.settle()
        own_folder(folder, 0o700, settled.account)
        self.port, self.bus = free_port(), free_port()
        self.client: Any = Redis(port=self.port, socket_timeout=PATIENCE)
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": folder,
            "save": "",
            "cluster-enabled": "yes",
            "cluster-port": self.bus,
            "cluster-node-timeout": NODE_TIMEOUT,
            "repl-diskless-sync-delay": 0,
        }
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        log = folder.with_suffix(".log")
        self.process = Process([str(settled.program), *words], log, self._answers, **settled.account.process_options)

    @property
    def place(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def says(self, section: str, line: str) -> bool:
        """Tell whether it says so of itself; not while it is away."""
        try:
            told = self.client.execute_command(*section.split())
        except RedisError:
            return False
        if isinstance(told, dict):
            return line in {f"{name}:{value}" for name, value in told.items()}
        return line in told.decode().splitlines()


class Cluster:
    """The nodes, which run inside of its block."""

    def __init__(self, folder: Path) -> None:
        """Place them in a folder."""
        own_folder(folder, 0o711, Valkey.settle().account)
        self.nodes = [Node(folder / f"node-{number}") for number in range(PRIMARIES + 1)]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """Return the URL for the application, which names some of them."""
        return f"redis+cluster://{','.join(each.place for each in self.nodes[:2])}"

    def __enter__(self) -> Self:
        """Start them, and make them one."""
        for node in self.nodes:
            self._stack.enter_context(node.process)
            self._stack.callback(node.client.close)
        self._share()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop them."""
        self._stack.close()

    def _share(self) -> None:
        first, *others = self.nodes
        primaries, replica = self.nodes[:PRIMARIES], self.nodes[PRIMARIES]
        for number, node in enumerate(primaries):
            slots = number * SLOTS // PRIMARIES, (number + 1) * SLOTS // PRIMARIES - 1
            node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
        for node in others:
            first.client.execute_command("CLUSTER MEET", "127.0.0.1", node.port, node.bus)
        for node in self.nodes:
            until(lambda: node.says("CLUSTER INFO", f"cluster_known_nodes:{len(self.nodes)}"))  # noqa: B023
            until(lambda: node.says("CLUSTER INFO", "cluster_state:ok"))  # noqa: B023
        replica.client.execute_command("CLUSTER REPLICATE", first.client.execute_command("CLUSTER MYID"))
        until(lambda: replica.says("INFO replication", "master_link_status:up"))
