"""The files beside the data by which the processes of one server find each other."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from project.embedded import locks
from project.embedded.places import local

LONGEST_LOG = 10 << 20


@dataclass(frozen=True)
class State:
    """What a supervisor tells of its server once it is ready."""

    url: str
    supervisor: int


@dataclass(frozen=True)
class Files:
    """The files of one server, by its name."""

    name: str

    def _path(self, kind: str) -> Path:
        return local() / f"{self.name}.{kind}"

    @property
    def lock(self) -> Path:
        """Held while anything of this server lives."""
        return self._path("lock")

    @property
    def clients(self) -> Path:
        """Held, shared, by every process that uses the server."""
        return self._path("clients")

    @property
    def state(self) -> Path:
        """Written, and locked, by the supervisor of a server that is ready."""
        return self._path("state")

    @property
    def log(self) -> Path:
        """What the server and its supervisor have to say."""
        return self._path("log")

    def open_log(self) -> int:
        """Open the log for writing at its end; a long one is set aside, for one generation."""
        if self.log.exists() and self.log.stat().st_size > LONGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.old"))
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def read(self) -> State | None:
        """Return the state of the running server; None when there is none, or it is starting."""
        try:
            descriptor = os.open(self.state, os.O_RDWR)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, encoding="utf-8") as file:
            if locks.lock(descriptor, locks.SHARED):
                return None  # its author is gone
            return State(**json.load(file))

    def write(self, state: State) -> int:
        """Publish the state and return the descriptor that proves its author alive."""
        draft = self.state.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
        locks.lock(descriptor)
        os.write(descriptor, json.dumps(asdict(state)).encode())
        draft.replace(self.state)
        return descriptor

    def still_says(self, descriptor: int) -> bool:
        """Tell whether the published state is still the one of this descriptor."""
        try:
            return os.path.samestat(self.state.stat(), os.fstat(descriptor))
        except OSError:
            return False
