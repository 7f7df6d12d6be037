"""The detached process that owns one embedded server: `python -m` this NAME LOCK-DESCRIPTOR."""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from types import FrameType

from project.embedded import locks
from project.embedded.errors import EmbeddedError, told_plainly
from project.embedded.places import local
from project.embedded.postgres import Postgres
from project.embedded.processes import die_with_parent
from project.embedded.servers import Server
from project.embedded.state import Files, State
from project.embedded.valkey import Valkey

SERVERS: dict[str, type[Server]] = {kind.name: kind for kind in (Postgres, Valkey)}
GRACE = float(os.environ.get("WORKGRAPH_GRACE") or 5)  # seconds without a client
TICK = 0.1
START_SECONDS = 120
STOP_SECONDS = 30
REVIVALS = 5  # a server that dies more often needs a person
READY = "ready"


class Supervisor:
    """Runs one server for as long as it has clients."""

    def __init__(self, server: Server, lock: int) -> None:
        """Take charge of a server whose lock this process holds."""
        self.server = server
        self.lock = lock
        self.files = Files(server.name)
        self.asked_to_stop = False
        self.revivals = 0

    def ask_to_stop(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle a signal: let `run` return at its next tick."""
        self.asked_to_stop = True

    def start(self) -> None:
        """Start the server and wait until it answers. Raises EmbeddedError."""
        self.server.prepare()
        self.started = time.monotonic()
        log = self.files.open_log()
        self.log_start = os.lseek(log, 0, os.SEEK_END)
        self.process = subprocess.Popen(
            self.server.command(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[self.lock],  # so that the lock is free only when the last process is gone
            preexec_fn=partial(die_with_parent, self.server.stop_signal, os.getpid()),  # noqa: PLW1509 - one thread
            **self.server.account.process_options,
        )
        os.close(log)
        while not self.server.answers():
            if self.process.poll() is not None or self._age() > START_SECONDS:
                self.stop()
                raise EmbeddedError(self._complaint())
            time.sleep(0.03)

    def _age(self) -> float:
        return time.monotonic() - self.started

    def _complaint(self) -> str:
        """Return what the log says of a failed start."""
        with self.files.log.open(errors="replace") as log:
            log.seek(self.log_start)
            lines = [line.strip() for line in log if line.strip()] or ["no reason given"]
        fatal = [line for line in lines if "FATAL" in line or "PANIC" in line]
        reason = (fatal or lines)[-1]
        return f"{self.server.name} did not start (see {self.files.log}): {reason}"

    def run(self, state: int) -> None:
        """Keep the server up until it is told to stop, is unused, or its files are removed."""
        clients = locks.take(self.files.clients, locks.SHARED, START_SECONDS) or 0
        locks.release(clients)
        last_used = time.monotonic()
        while not self.asked_to_stop and self.files.still_says(state):
            if time.monotonic() - last_used > GRACE and locks.lock(clients):
                return  # and newcomers wait on that lock until this process is gone
            if locks.lock(clients):
                locks.release(clients)
            else:
                last_used = time.monotonic()
            self._revive()
            time.sleep(TICK)

    def _revive(self) -> None:
        """Start the server again if it died, but not for ever."""
        if self.process.poll() is None:
            return
        sys.stderr.write(f"{self.server.name} exited with {self.process.returncode}\n")
        self.revivals += 1
        if self.revivals > REVIVALS:
            raise EmbeddedError(self._complaint())
        time.sleep(1)  # its orphans need a moment to notice
        self.start()

    def stop(self) -> None:
        """Stop the server, ever less politely, and wait until it is gone."""
        for sign in (self.server.stop_signal, signal.SIGQUIT, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(sign)
                try:
                    self.process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    continue


def supervise(name: str, lock: int) -> None:
    """Run the server of that name; say READY, or in one line why not, on standard output."""
    with told_plainly(local()):
        supervisor = Supervisor(SERVERS[name].settle(), lock)
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, supervisor.ask_to_stop)
        supervisor.start()
        try:
            state = supervisor.files.write(State(supervisor.server.url, os.getpid()))
            _say(READY)
            supervisor.run(state)
        finally:
            supervisor.files.state.unlink(missing_ok=True)
            supervisor.stop()


def _say(line: str) -> None:
    """Answer the process that waits for this one, and let go of it."""
    os.write(sys.stdout.fileno(), line.encode())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def main() -> None:
    """Leave the starter's process tree, then supervise."""
    if os.fork():
        os._exit(0)
    name, lock = sys.argv[1:]
    os.set_inheritable(int(lock), False)
    try:
        supervise(name, int(lock))
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        _say(str(error))


if __name__ == "__main__":
    main()
