"""Servers that run for as long as somebody is inside of them."""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from project.embedded.processes import die_with_parent

PATIENCE = 60.0  # seconds


class NotStartedError(RuntimeError):
    """Raised when a server ended, or did not answer in time; names its log."""


class Process:
    """A server's process, which ends with the block, or with whoever started it."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        answers: Callable[[], bool],
        *,
        stop: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Remember how to start it, how it is asked whether it is ready, and how it is stopped."""
        self._command, self._log, self._answers, self._stop = command, log, answers, stop
        self._options = {"cwd": "/", "env": None if environment is None else {**os.environ, **environment}, **options}

    def start(self) -> Self:
        """Start it, and wait until it answers. Raises NotStartedError."""
        dying = partial(die_with_parent, self._stop, os.getpid())
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=dying,  # noqa: PLW1509 - it calls the kernel, and nothing else
                **self._options,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NotStartedError(f"{self._command[0]} did not start: see {self._log}.")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop it, and wait until it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(self._stop)
            self.process.wait(PATIENCE)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(holds: Callable[[], Any]) -> None:
    """Wait until it holds. Raises TimeoutError."""
    give_up = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError
        time.sleep(0.05)
