"""What there is to know of a server: how it is set up, run, asked and stopped."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from project.embedded import locks, places
from project.embedded.places import Account
from project.embedded.programs import Wheel

PATIENCE = 30  # seconds


@dataclass(frozen=True)
class Server(ABC):
    """One server of this project, in the places settled for it."""

    name: ClassVar[str]
    wheel: ClassVar[Wheel]
    stop_signal: ClassVar[signal.Signals]

    account: Account
    program: Path
    data: Path
    sockets: Path

    @classmethod
    def settle(cls) -> Self:
        """Find the user, the program and the folders for this server. Raises EmbeddedError."""
        # One at a time: they make the same user and the same folders.
        descriptor = locks.take(places.local() / "settle.lock", seconds=PATIENCE)
        try:
            account = places.server_account()
            program = cls.wheel.locate(account)
            return cls(account, program, places.home(account) / cls.name, places.sockets(account))
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder, or check the one that is there. Raises EmbeddedError."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Tell whether the server is ready, having made in it what the application expects."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Return the URL for the application."""
