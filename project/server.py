"""The production server, in a process that knows nothing of Django: `python -m` this HOST PORT WORKERS AT_ONCE [DRAIN].

AT_ONCE is how many requests Django works on at once in each worker, DRAIN for how many seconds a worker that is told
to stop serves on (see project.stopping). docs/decisions/0003-web-server.md tells why so.
"""

import math
import os
import signal
import sys
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from project.folder import counting_together

LONGEST_REQUEST = 20  # seconds that a request in hand may take once the server is told to stop
LONGEST_HEADERS = 1 << 16  # bytes; what is read at once may come on top, twice as many are refused for sure
THREADS = 64  # of a worker, made as needed: clients that are slow to send hold one each (see project.intake)


def main(host: str, port: str, workers: str, at_once: str, drain: str = "0") -> None:
    """Serve until told to stop."""
    os.environ |= {"AT_ONCE": at_once, "DRAIN_SECONDS": drain, "SERVER_PID": str(os.getpid())}  # for the workers
    server = Granian(
        "project.worker:application",
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,  # a proxy speaks that; HTTP/2 in the clear is only more to attack
        workers=int(workers),
        http1_settings=HTTP1Settings(max_buffer_size=LONGEST_HEADERS),
        blocking_threads=THREADS,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=LONGEST_REQUEST + math.ceil(float(drain)),
        log_level=LogLevels.error,  # it warns of so many threads, and of killing workers that have just ended
    )
    if os.isatty(0):  # closing the terminal ends the server; elsewhere this signal has granian reload
        server.on_startup(partial(signal.signal, signal.SIGHUP, server.signal_handler_interrupt))
    with counting_together():
        server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
