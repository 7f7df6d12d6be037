"""A load over HTTP/1.1: so many clients, each with one connection, each asking again as soon as it is answered."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30
"""Seconds that a client waits for an answer."""

OK: Final = 200
FOUND: Final = 302


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as bytes, and the status of the right answer."""

    request: bytes
    status: int = OK


@dataclass(slots=True)
class Outcome:
    """What became of the requests: seconds for each answer, how many failed, how many got no answer."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0
    refused: int = 0
    elapsed: float = 0.0


def ask(path: str, *, token: str = "", body: bytes = b"", status: int = OK) -> Ask:
    """Return the request for a path: a POST of JSON where there is a body."""
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: {HOST}", "Accept: application/json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return Ask("\r\n".join([*lines, "", ""]).encode() + body, status)


def run(port: int, asked: Ask, clients: int, seconds: float) -> Outcome:
    """Ask for so many seconds, and return what became of it."""
    return asyncio.run(load(port, asked, clients, seconds))


async def load(port: int, asked: Ask, clients: int, seconds: float) -> Outcome:
    """Do the same, beside other things."""
    outcome, started = Outcome(), time.perf_counter()
    await asyncio.gather(*(_client(port, asked, started + seconds, outcome) for _ in range(clients)))
    outcome.elapsed = time.perf_counter() - started
    return outcome


async def _client(port: int, asked: Ask, end: float, outcome: Outcome) -> None:
    connection: Connection | None = None
    while time.perf_counter() < end:
        started = time.perf_counter()
        try:
            connection = connection or await Connection.open(port)
        except OSError:
            outcome.refused += 1
            return
        try:
            status = await connection.ask(asked.request)
        except (OSError, EOFError, TimeoutError):
            outcome.lost += 1
            connection.close()
            connection = None
            continue
        outcome.seconds.append(time.perf_counter() - started)
        outcome.wrong += status != asked.status
        if connection.ends:
            connection.close()
            connection = None
    if connection:
        connection.close()


@dataclass(slots=True)
class Connection:
    """A connection that is kept alive as long as the server likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ends: bool = False
    body: bytes = b""

    @classmethod
    async def open(cls, port: int) -> "Connection":
        """Connect. Raises OSError when nobody listens."""
        return cls(*await asyncio.open_connection(HOST, port, limit=1 << 20))

    async def ask(self, request: bytes) -> int:
        """Send a request and return the status; the body is kept. Raises OSError, EOFError or TimeoutError."""
        self.writer.write(request)
        return await asyncio.wait_for(self.answer(), PATIENCE)

    async def answer(self) -> int:
        """Read an answer and return its status; the body is kept. Raises OSError or EOFError."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        self.ends = b"\r\nconnection: close" in head or head.startswith(b"http/1.0")
        _, found, length = head.partition(b"\r\ncontent-length:")
        if found:
            self.body = await self.reader.readexactly(int(length.split(b"\r\n", 1)[0]))
        else:
            self.body = await self._chunks() if b"chunked" in head else await self.reader.read()
        return int(head.split(b" ", 2)[1])

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body

    def close(self) -> None:
        """Hang up."""
        self.writer.close()
