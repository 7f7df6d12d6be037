"""A primary, and a replica that follows it."""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

import psycopg

from project.cluster.processes import Process, until
from project.embedded.places import own_folder
from project.embedded.postgres import ADMINISTRATOR, PORT, SETTINGS, Postgres

SMALL = {
    **SETTINGS,
    "max_connections": "50",
    "shared_buffers": "32MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "replica",
    "max_wal_senders": "4",
}


@dataclass(frozen=True)
class Primary(Postgres):
    """A PostgreSQL whose log can be followed; it keeps nothing of the project's own."""

    settings = SMALL

    @classmethod
    def inside(cls, folder: Path) -> Self:
        """Place it in a folder, which the servers' user owns."""
        settled = Postgres.settle()
        own_folder(folder, 0o711, settled.account)
        # Short: the kernel holds some 100 bytes for a socket's path.
        name = sha256(bytes(folder)).hexdigest()[:8]
        sockets = own_folder(settled.sockets / name, 0o700, settled.account)
        return cls(settled.account, settled.program, folder / "data", sockets)

    def process(self) -> Process:
        """Make its data folder; return what runs it."""
        self.prepare()
        return Process(
            self.command(),
            self.data.with_name("log"),
            self.answers,
            stop=signal.Signals(signal.SIGINT),
            **self.account.process_options,
        )

    def session(self) -> psycopg.Connection:
        """Connect as the administrator, to the application's database."""
        return psycopg.connect(self._url(ADMINISTRATOR, "workgraph"), autocommit=True)


@contextmanager
def replicated(folder: Path) -> Iterator[tuple[Primary, Replica, Process]]:
    """Run a primary and its replica in a folder, which goes in the end; yield them, and the process of the replica."""
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        primary = Primary.inside(folder / "a")
        replica = Replica.of(primary, folder / "b")
        for each in (primary, replica):
            stack.callback(shutil.rmtree, each.sockets)
        stack.enter_context(primary.process())
        process = stack.enter_context(replica.process())
        yield primary, replica, process


@dataclass(frozen=True)
class Replica(Primary):
    """A PostgreSQL that begins as a copy of the primary, and follows it."""

    primary: Primary | None = None

    @classmethod
    def of(cls, primary: Primary, folder: Path) -> Self:
        """Place the primary's replica in a folder."""
        place = Primary.inside(folder)
        return cls(place.account, place.program, place.data, place.sockets, primary)

    def prepare(self) -> None:
        """Copy the primary's data folder, by the protocol of replication."""
        assert self.primary is not None
        if self.data.exists():
            return
        source = ["--host", str(self.primary.sockets), "--port", str(PORT), "--username", ADMINISTRATOR]
        copied = ["--pgdata", str(self.data), "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"]
        subprocess.run(
            [str(self.program.with_name("pg_basebackup")), *source, *copied],
            cwd="/",
            check=True,
            capture_output=True,
            **self.account.process_options,
        )

    def catch_up(self) -> None:
        """Wait until it holds all that the primary has written by now."""
        assert self.primary is not None
        with self.primary.session() as primary, self.session() as session:
            end = primary.execute("SELECT pg_current_wal_lsn()::text").fetchone()
            until(lambda: session.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", end).fetchone() == (True,))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it take no more of what the primary writes inside, once it has all that there is."""
        self.catch_up()
        with self.session() as session:
            session.execute("SELECT pg_wal_replay_pause()")
            until(lambda: session.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() == ("paused",))
        try:
            yield
        finally:
            with self.session() as session:
                session.execute("SELECT pg_wal_replay_resume()")
            self.catch_up()

    def answers(self) -> bool:
        """Tell whether it takes reads."""
        try:
            with self.session():
                return True
        except psycopg.OperationalError:
            return False
