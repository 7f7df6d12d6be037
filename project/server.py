"""The production server, in a process that knows nothing of Django: `python -m` this HOST PORT WORKERS THREADS."""

import os
import signal
import sys
from functools import partial

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

LONGEST_REQUEST = 20  # seconds that a request in hand may take once the server is told to stop


def main(host: str, port: str, workers: str, threads: str) -> None:
    """Serve until told to stop."""
    server = Granian(
        "project.worker:application",
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        workers=int(workers),
        blocking_threads=int(threads),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=LONGEST_REQUEST,
        log_level=LogLevels.warning,
    )
    if os.isatty(0):  # closing the terminal ends the server; elsewhere this signal has granian reload
        server.on_startup(partial(signal.signal, signal.SIGHUP, server.signal_handler_interrupt))
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
