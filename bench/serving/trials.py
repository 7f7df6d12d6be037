"""What servers stumble over: a crowd, clients that dawdle, a stop under load, heads and bodies too large."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from .contenders import CONTENDERS, Server, running
from .load import HOST, PATIENCE, Ask, Connection, load
from .scratch import Environment

CROWD: Final = 50
PAUSE: Final = 1.0
"""Seconds after which a trial goes on."""

LONGEST_WAIT: Final = 5.0
LARGE_HEAD: Final = 1 << 20
LARGE_BODY: Final = 64 << 20
PIECE: Final = bytes(1 << 16)


@dataclass(frozen=True, slots=True)
class Trial:
    """A server that runs, a request that it should answer, and how many threads a worker of it has."""

    server: Server
    asked: Ask
    threads: int


def main(environment: Environment, asked: Ask, threads: int) -> None:
    """Print what became of each server in each trial."""
    for name in CONTENDERS:
        for what, trial in TRIALS.items():
            with running(name, environment, 1, threads) as server:
                found = asyncio.run(_warm(trial, Trial(server, asked, threads)))
            print(f"{name:17} {what:25} {found}", flush=True)


async def _warm(action: Callable[[Trial], Awaitable[str]], trial: Trial) -> str:
    """Try a server once it has answered a little: gunicorn listens before its workers are ready."""
    await load(trial.server.port, trial.asked, trial.threads, PAUSE)
    return await action(trial)


async def crowd(trial: Trial) -> str:
    """Ask with more clients than there are threads and connections to the database."""
    outcome = await load(trial.server.port, trial.asked, CROWD, 3 * PAUSE)
    failed = outcome.wrong + outcome.lost + outcome.refused
    return f"{len(outcome.seconds)} answers, {failed} failures, longest {max(outcome.seconds):.2f} s"


async def half_a_head(trial: Trial) -> str:
    """Send half a head from more clients than there are threads, and ask from another."""
    return await _dawdle(trial, trial.asked.request[:60])


async def half_a_body(trial: Trial) -> str:
    """Send half a body from more clients than there are threads, and ask from another."""
    return await _dawdle(trial, trial.asked.request[:-20])


async def _dawdle(trial: Trial, part: bytes) -> str:
    dawdlers = [await Connection.open(trial.server.port) for _ in range(trial.threads + 1)]
    for dawdler in dawdlers:
        dawdler.writer.write(part)
    await asyncio.sleep(PAUSE)
    found = await _within(LONGEST_WAIT, lambda: _another(trial))
    for dawdler in dawdlers:
        dawdler.close()
    return f"another is {found}"


async def _another(trial: Trial) -> str:
    started = time.perf_counter()
    status = await (await Connection.open(trial.server.port)).ask(trial.asked.request)
    return f"answered {status} after {time.perf_counter() - started:.2f} s"


async def large_head(trial: Trial) -> str:
    """Send a head that ought to be refused."""
    padding = b"\r\nX-Large: " + b"x" * LARGE_HEAD
    connection = await Connection.open(trial.server.port)
    connection.writer.write(trial.asked.request.replace(b"\r\n", padding + b"\r\n", 1))
    return await _within(PATIENCE, lambda: _status(connection))


async def large_body(trial: Trial) -> str:
    """Send a body that ought to be refused without being kept."""
    before = trial.server.memory()
    connection = await Connection.open(trial.server.port)
    lines = ["POST /graphql HTTP/1.1", f"Host: {HOST}", "Content-Type: application/json"]
    head, _, _ = trial.asked.request.partition(b"\r\n\r\n")
    credentials = next(line for line in head.decode().splitlines() if line.startswith("Authorization"))
    lines += [credentials, f"Content-Length: {LARGE_BODY}", "", ""]
    connection.writer.write("\r\n".join(lines).encode())
    found = await _within(PATIENCE, lambda: _pour(connection))
    return f"{found}, {trial.server.memory() - before:.0f} MB more"


async def _pour(connection: Connection) -> str:
    answer, sent = asyncio.create_task(_status(connection)), 0
    try:
        while sent < LARGE_BODY and not answer.done():
            connection.writer.write(PIECE)
            await connection.writer.drain()
            await asyncio.sleep(0)
            sent += len(PIECE)
    except OSError:
        pass
    return f"{await answer} after {sent >> 20} MB"


async def _status(connection: Connection) -> str:
    try:
        return str(await connection.answer())
    except (OSError, EOFError):
        return "hung up"


async def stop(trial: Trial) -> str:
    """Stop the server under a load: what was sent ought to be answered."""
    loading = asyncio.create_task(load(trial.server.port, trial.asked, 8, 2 * PAUSE))
    await asyncio.sleep(PAUSE)
    trial.server.process.terminate()
    started = time.perf_counter()
    await asyncio.to_thread(trial.server.process.wait)
    ended = time.perf_counter() - started
    outcome = await loading
    return f"{len(outcome.seconds)} answers, {outcome.lost} lost, {outcome.wrong} wrong, ended after {ended:.2f} s"


async def _within(seconds: float, action: Callable[[], Awaitable[str]]) -> str:
    try:
        return await asyncio.wait_for(action(), seconds)
    except TimeoutError:
        return f"unanswered after {seconds:.0f} s"


TRIALS: Final = {
    f"{CROWD} clients at once": crowd,
    "clients with half a head": half_a_head,
    "clients with half a body": half_a_body,
    "a head of 1 MB": large_head,
    "a body of 64 MB": large_body,
    "a stop under load": stop,
}
