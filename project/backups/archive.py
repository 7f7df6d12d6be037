"""A backup: PostgreSQL's own dump, and beside it what it holds and its checksum."""

# ruff: noqa: S603 - the programs are PostgreSQL's, and no shell reads what they are given
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any, Final

import psycopg
from django.db import connection
from psycopg import IsolationLevel, conninfo, sql

from .contents import Contents, Session, are_contents, contents_of, differences

PREFIX: Final = "workgraph-"
DUMP: Final = ".dump"
TOLD: Final = ".json"
DRAFT: Final = ".part"
A_DAY: Final = 86_400
CUT_OFF: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user"


class BackupError(Exception):
    """Tell why a backup can't be made, or what is wrong with one."""


@contextmanager
def stopping_in_order() -> Iterator[None]:
    """Let what is told to stop (SIGTERM) clean up behind itself: half a backup or a copy to rehearse is nobody's."""

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def make(folder: Path) -> Path:
    """Write a backup of the database of the settings and return its path.

    What it holds is read in the very snapshot that is dumped. Until it is whole it has another name. Only its owner
    can read it. Raises BackupError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / f"{PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}{DUMP}"
    draft = final.with_suffix(DRAFT)
    draft.touch(0o600)
    try:
        with session(_ours()) as reading:
            reading.isolation_level, reading.read_only = IsolationLevel.REPEATABLE_READ, True
            snapshot = reading.execute("SELECT pg_export_snapshot()").fetchone()
            assert snapshot
            _run("pg_dump", f"--snapshot={snapshot[0]}", "--format=custom", f"--file={draft}", f"--dbname={_ours()}")
            contents = contents_of(reading)
        told = {"sha256": _checksum(draft), "made": datetime.now(UTC).isoformat(), "contents": contents}
        _write(final.with_suffix(TOLD), json.dumps(told, indent=1))
        draft.rename(final)
    finally:
        draft.unlink(missing_ok=True)
    return final


def all_in(folder: Path) -> list[Path]:
    """Return the backups in a folder, the oldest first."""
    return sorted(folder.glob(f"{PREFIX}*{DUMP}"))


def drop_old(folder: Path, keep: int) -> int:
    """Delete all backups but the newest ones; return how many went."""
    old = all_in(folder)[:-keep]
    for backup in old:
        backup.unlink()
        backup.with_suffix(TOLD).unlink(missing_ok=True)
    for left in _left_over(folder):
        left.unlink(missing_ok=True)
    return len(old)


def _left_over(folder: Path) -> list[Path]:
    """Return what backups that were killed have left, once no other can be at work on it."""
    drafts = folder.glob(f"{PREFIX}*{DRAFT}")
    lone = (told for told in folder.glob(f"{PREFIX}*{TOLD}") if not told.with_suffix(DUMP).exists())
    return [each for each in (*drafts, *lone) if time() - each.stat().st_mtime > A_DAY]


def restore(backup: Path, database: str) -> Contents:
    """Load a backup into a new database of the same server, and compare what is there with what was; return that.

    Raises BackupError: the file is damaged, there is such a database, or it holds something else; then it is dropped.
    """
    contents = _checked(backup)
    with session(_ours(), autocommit=True) as ruling:
        try:
            ruling.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(database)))
        except psycopg.Error as error:
            raise BackupError(f"The database {database} can't be made: {_line(error)}.") from error
        try:
            _fill(backup, database, contents)
        except BaseException:
            drop(database)
            raise
    return contents


def drop(database: str) -> None:
    """Drop a database that was made here; whoever is still connected to it as we are is cut off."""
    with session(_ours(), autocommit=True) as ruling:
        ruling.execute(CUT_OFF, [database])
        # Not WITH (FORCE): it is refused while autovacuum is at work there, which DROP alone stops and waits for.
        ruling.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(database)))


def _checked(backup: Path) -> Contents:
    """Return what a backup should hold, once its file is known to be as it was."""
    described = backup.with_suffix(TOLD)
    try:
        told, found = json.loads(described.read_bytes()), _checksum(backup)
    except OSError as error:
        raise BackupError(f"{backup} can't be read: {_line(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise BackupError(f"{described} is damaged: {_line(error)}.") from error
    match told:
        case {"sha256": str(expected), "contents": contents} if are_contents(contents):
            if found != expected:
                raise BackupError(f"{backup} is damaged: its checksum is not the one that was written down.")
            return contents
    raise BackupError(f"{described} is damaged: it does not say what the backup holds.")


def _fill(backup: Path, database: str, contents: Contents) -> None:
    target = conninfo.make_conninfo(_ours(), dbname=database)
    _run("pg_restore", "--exit-on-error", "--no-owner", "--no-privileges", f"--dbname={target}", str(backup))
    with session(target) as reading:
        found = [*differences(contents, contents_of(reading))]
    if found:
        raise BackupError(f"{backup} does not hold what was there:\n" + "\n".join(found))


def _ours() -> str:
    """Return how to reach the database of the settings, without the password: programs show what they are given."""
    given: dict[str, Any] = connection.get_connection_params()
    return conninfo.make_conninfo(**{name: given[name] for name in KNOWN & given.keys()})


KNOWN: Final = {"host", "port", "user", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"}


@contextmanager
def session(target: str, **options: Any) -> Iterator[Session]:
    """Connect, for commands only: a request's time limit does not hold here. Raises BackupError."""
    password = connection.settings_dict["PASSWORD"] or None
    try:
        connected: Session = psycopg.connect(target, password=password, **options)
    except psycopg.OperationalError as error:
        raise BackupError(f"PostgreSQL can't be reached: {_line(error)}.") from error
    with connected:
        try:
            yield connected
        except psycopg.Error as error:
            raise BackupError(f"PostgreSQL has failed: {_line(error)}.") from error


def _run(program: str, *arguments: str) -> None:
    password = connection.settings_dict["PASSWORD"]
    environment = os.environ | ({"PGPASSWORD": password} if password else {})
    try:
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BackupError(f"There is no {program}: install PostgreSQL's client programs.") from error
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
        raise BackupError(f"{program} failed: {' '.join(reason[:3])}")


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _write(file: Path, text: str) -> None:
    file.touch(0o600)
    file.write_text(text)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
