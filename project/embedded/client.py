"""How a process of the application joins the embedded servers, or starts them."""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from project.embedded import locks
from project.embedded.errors import EmbeddedError, told_plainly
from project.embedded.places import ROOT, local, own_folder
from project.embedded.state import Files

PATIENCE = 150  # seconds: a crash recovery may have a lot of WAL to replay
NAMES = ("postgres", "valkey")

_memberships: dict[str, int] = {}


def database_url() -> str:
    """Return the URL of this project's PostgreSQL, started if need be. Raises EmbeddedError."""
    return _join("postgres")


def redis_url() -> str:
    """Return the URL of this project's Valkey, started if need be. Raises EmbeddedError."""
    return _join("valkey")


def stop() -> None:
    """Stop this project's servers, whoever uses them, and wait until they have gone."""
    with told_plainly(local()):
        for name in NAMES:
            if local().is_dir():
                _stop(Files(name))


def keep_through_exec() -> None:
    """Let the program that replaces this process count as a client of the servers too."""
    for descriptor in _memberships.values():
        os.set_inheritable(descriptor, True)


def _join(name: str) -> str:
    files = Files(name)
    with told_plainly(local()):
        own_folder(local())
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            _become_member(files)
            if state := files.read():
                return state.url
            if descriptor := locks.take(files.lock):
                _start(files, descriptor)
            else:
                time.sleep(0.05)
    message = (
        f"{name} neither started nor stopped within {PATIENCE} s: see {files.log}, "
        "try `make stop`, or set DATABASE_URL and REDIS_URL."
    )
    raise EmbeddedError(message)


def _become_member(files: Files) -> None:
    """Hold the shared lock until this process dies, so that the server outlives it."""
    if files.name not in _memberships or not _current(files):
        descriptor = locks.take(files.clients, locks.SHARED, PATIENCE)
        if descriptor is None:
            message = f"{files.name} has been stopping for {PATIENCE} s: see {files.log}."
            raise EmbeddedError(message)
        _memberships[files.name] = descriptor


def _current(files: Files) -> bool:
    """Tell whether the lock held is on the file that is there now."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(files.clients.stat(), os.fstat(_memberships[files.name]))
    return False


def _start(files: Files, lock: int) -> None:
    """Start a supervisor that inherits the lock; return when its server is ready."""
    command = [sys.executable, "-m", "project.embedded.supervisor", files.name, str(lock)]
    log = files.open_log()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WORKGRAPH_LOCAL": str(local())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        pass_fds=[lock],
        start_new_session=True,
    )
    os.close(lock)
    os.close(log)
    answer = process.communicate()[0].decode().strip()
    if answer != "ready":
        message = answer or f"the supervisor of {files.name} failed: see {files.log}."
        raise EmbeddedError(message)


def _stop(files: Files) -> None:
    """Ask the supervisor to stop, again if it was just starting, until the lock is free."""
    deadline = time.monotonic() + PATIENCE
    while (descriptor := locks.take(files.lock, seconds=0.1)) is None:
        if time.monotonic() > deadline:
            message = f"{files.name} does not stop: see {files.log}."
            raise EmbeddedError(message)
        if state := files.read():
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.supervisor, signal.SIGTERM)
    os.close(descriptor)
