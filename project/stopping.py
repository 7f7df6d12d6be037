"""How a worker takes leave without losing a request that a proxy has sent it.

A proxy keeps connections open, and may send a request on one in the moment in which it is closed; or it may connect in
the moment in which the listening socket is, with the request in a queue that nobody reads any more. A POST that went
out can't be sent again elsewhere: it may have been carried out. So a worker that is told to stop says so for a while
(`/readyz` answers 503, and every answer closes its connection), then lets in no more connections, reads what has come
in by then, and only then stops.
"""

import ctypes
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

Respond = Callable[..., Any]
Application = Callable[[dict[str, Any], Respond], Iterable[bytes]]

STOPPING: Final = threading.Event()
"""Set once this process has been told to stop."""

HANDOVER: Final = 0.5
"""Seconds in which what the kernel took in before the door was shut is read."""

SO_ATTACH_FILTER: Final = 26  # of Linux; Python's socket module names it nowhere
NO_SYN: Final = (  # classic BPF, over the TCP header
    (0x30, 0, 0, 13),  # load the byte of the flags
    (0x45, 0, 1, 0x02),  # is SYN among them?
    (0x06, 0, 0, 0),  # drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # or take it
)


def closing(application: Application) -> Application:
    """Let each answer close its connection once the process has been told to stop."""

    def answer(environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *told: Any) -> Any:
            return respond(status, [*headers, ("Connection", "close")] if STOPPING.is_set() else headers, *told)

        return application(environ, start)

    return answer


def take_leave(seconds: float) -> None:
    """Serve on for so many seconds and say that this is the end, then let nobody in any more."""
    STOPPING.set()
    if seconds:
        time.sleep(seconds)
        shut_doors()
        time.sleep(HANDOVER)


def shut_doors() -> None:
    """Take no more connections, but those on whose way the kernel is (Linux; elsewhere this does nothing).

    A client that comes now repeats its SYN a second later, and is refused then, as nothing listens any more: whoever
    is refused may go elsewhere. Closing the listening socket at once would reset connections that nobody had accepted.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in NO_SYN))
    with suppress(OSError):
        for listener in _listeners():
            filtering = struct.pack("HP", len(NO_SYN), ctypes.addressof(program))
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filtering)


def _listeners() -> Iterator[socket.socket]:
    """Yield the TCP sockets on which this process listens, of which granian tells nothing."""
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as found:
            if found.family != socket.AF_UNIX and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                yield found
