"""How a request reaches Django in a worker: whole, in its turn, with few others beside it."""

import io
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from .gauges import gauges

Respond = Callable[..., Any]
Application = Callable[[dict[str, Any], Respond], Iterable[bytes]]

PROBES = {"/healthz", "/readyz", "/metrics"}  # of a server that is only busy, which must not be taken for dead
LONGEST_BODY = 1 << 20  # bytes; Django refuses a longer one by its declared length, unread


def in_turn(application: Application, at_once: int) -> Application:
    """Let so many requests at once into the application, each when its body is here.

    A client on a bad network may take seconds to send it: that holds a thread, of which there are plenty, and neither
    a turn nor a database connection. More requests at once would only share one interpreter, and all be late.
    """
    turns = Turns(at_once)
    gauges.waiting = lambda: turns.waiting

    def take(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        _receive(environ)
        if "*" in environ.get("CONTENT_TYPE", ""):
            # A parameter in RFC 2231's form: what we read has none, and Django can't refuse one that it can't decode.
            environ["CONTENT_TYPE"] = ""
        if environ.get("PATH_INFO") in PROBES:
            return application(environ, respond)
        with turns:
            return application(environ, respond)

    return take


def _receive(environ: dict[str, Any]) -> None:
    """Wait for the body; one that comes in chunks gets a length, without which Django reads none."""
    declared = environ.get("CONTENT_LENGTH") or "0"
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = environ["wsgi.input"].read(LONGEST_BODY + 1)
        environ["CONTENT_LENGTH"] = str(len(body))
    elif declared.isdecimal() and 0 < int(declared) <= LONGEST_BODY:
        body = environ["wsgi.input"].read(int(declared))
    else:
        return
    environ["wsgi.input"] = io.BytesIO(body)


class Turns:
    """So many turns at once; who waits longest is next, which a semaphore does not promise."""

    def __init__(self, at_once: int) -> None:
        """Start with all of them free."""
        self._free, self._waiting, self._mutex = at_once, deque[threading.Lock](), threading.Lock()

    def __enter__(self) -> None:
        """Wait for a turn."""
        with self._mutex:
            if self._free:
                self._free -= 1
                return
            signal = threading.Lock()
            signal.acquire()
            self._waiting.append(signal)
        signal.acquire()

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._waiting)

    def __exit__(self, *_: object) -> None:
        """Hand it on."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
