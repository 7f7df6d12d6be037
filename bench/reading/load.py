"""A load that costs little itself: so many clients in one loop, each sending its next request once it is answered.

bench/serving/load.py knows how servers misbehave; this one only has to outrun them on half a processor.
"""

import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson

from bench.serving.load import HOST, Outcome

PATIENCE: Final = 30
"""Seconds that a client waits for an answer."""

LENGTH: Final = b"\ncontent-length:"
PIECE: Final = 1 << 18

Right = Callable[[bytes], bool]
"""Whether an answer, head and body, is the right one."""


def load(port: int, requests: Iterator[bytes], right: Right, clients: int, seconds: float) -> Outcome:
    """Send requests for so many seconds, or until there are no more, and return what became of them."""
    outcome, poll = Outcome(), select.epoll()
    started = time.perf_counter()
    waiting = [Client(port) for _ in range(clients)]
    asking = {client.socket.fileno(): client for client in waiting if client.ask(requests)}
    for each in asking:
        poll.register(each, select.EPOLLIN)
    while asking:
        ready = poll.poll(PATIENCE)
        for each, _ in ready:
            if not _heard(asking[each], right, outcome):
                continue
            if time.perf_counter() > started + seconds or not asking[each].ask(requests):
                poll.unregister(each)
                del asking[each]
        if not ready:
            outcome.lost += len(asking)
            break
    outcome.elapsed = time.perf_counter() - started
    for client in waiting:
        client.socket.close()
    poll.close()
    return outcome


def answers(port: int, requests: Iterable[bytes]) -> list[Any]:
    """Return what a server answers to some requests, one by one, as JSON."""
    bodies: list[Any] = []

    def keep(answer: bytes) -> bool:
        bodies.append(orjson.loads(answer.partition(b"\r\n\r\n")[2]))
        return True

    load(port, iter(requests), keep, 1, PATIENCE)
    return bodies


def _heard(client: "Client", right: Right, outcome: Outcome) -> bool:
    """Take in what has come; tell whether the client has its answer. Raises ConnectionError when it never will."""
    if not client.receive():
        return False
    outcome.seconds.append(time.perf_counter() - client.started)
    outcome.wrong += not right(client.answer)
    return True


class Client:
    """A connection that is kept alive, with at most one request in hand."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.started = 0.0
        self.answer = b""
        self._length = 0

    def ask(self, requests: Iterator[bytes]) -> bool:
        """Send the next request; tell whether there was one."""
        request = next(requests, None)
        if request is None:
            return False
        self.answer, self._length, self.started = b"", 0, time.perf_counter()
        self.socket.sendall(request)
        return True

    def receive(self) -> bool:
        """Take in what has come; tell whether the answer is whole."""
        piece = self.socket.recv(PIECE)
        if not piece:
            raise ConnectionError("A server hung up.")
        self.answer += piece
        if not self._length:
            self._length = whole(self.answer)
        return 0 < self._length <= len(self.answer)


def whole(answer: bytes) -> int:
    """Return how long an answer that has begun will be with its head; 0 while that is not known."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    length = answer[:end].lower().partition(LENGTH)[2].split(b"\r\n", 1)[0]
    if not length:
        raise ConnectionError("A server tells no length.")
    return end + 4 + int(length)
