"""Processes that end with the one that started them."""

import ctypes
import os
import signal
import sys

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent(sign: signal.Signals, parent: int | None = None) -> None:
    """Have the kernel send this process that signal when its parent dies (Linux only).

    Give the parent's process id where it may have died already.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, sign.value)
        if parent is not None and os.getppid() != parent:
            os._exit(1)
