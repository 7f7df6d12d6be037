"""The application as a worker process of granian runs it: `project.wsgi`, with a request's turn and a clean end.

A worker that is signalled twice hangs until granian's main process kills it: once by the terminal or the service
manager, which signal the whole group, and again by that main process. And a main process that is killed leaves its
workers behind, with the port. So here one thread takes all signals and hands on the first, and the kernel sends
one when the main process dies (Linux only).
"""

import os
import signal
import threading
import time

from project.embedded.processes import die_with_parent
from project.stopping import closing, take_leave

ENDINGS = {signal.SIGINT, signal.SIGTERM}
SERVER_PID = int(os.environ["SERVER_PID"])


def hand_on_first_signal() -> None:
    """Wait for the first signal to end, and call what granian has set to handle it in this worker."""
    received = signal.Signals(signal.sigwait(ENDINGS))
    while (handler := signal.getsignal(received)) == MAIN_HANDLERS[received]:
        if os.getppid() != SERVER_PID:
            os._exit(1)  # it was killed, and no request is in hand
        time.sleep(0.02)  # still starting: the handler is the one inherited from the main process
    orderly = received == signal.SIGTERM and os.getppid() == SERVER_PID  # neither Ctrl-C nor a killed main process
    take_leave(float(os.environ.get("DRAIN_SECONDS") or 0) if orderly else 0)
    if callable(handler):
        handler(received, None)


MAIN_HANDLERS = {sign: signal.getsignal(sign) for sign in ENDINGS}
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # to reload is for the main process to say
signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)  # every thread started from here on inherits this
threading.Thread(target=hand_on_first_signal, daemon=True).start()
die_with_parent(signal.SIGTERM, SERVER_PID)

from project import wsgi  # noqa: E402 - its threads are to inherit the mask
from project.gauges import gauges  # noqa: E402 - beside it
from project.intake import in_turn  # noqa: E402

application = closing(in_turn(wsgi.application, at_once=int(os.environ["AT_ONCE"])))
gauges.keep_sampling()

__all__ = ["application"]
