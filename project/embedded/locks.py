"""File locks that the kernel releases when their last holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX


def take(path: Path, kind: int = EXCLUSIVE, seconds: float = 0) -> int | None:
    """Lock the file and return its descriptor; None when others hold it all that time."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if lock(descriptor, kind, seconds):
        return descriptor
    os.close(descriptor)
    return None


def lock(descriptor: int, kind: int = EXCLUSIVE, seconds: float = 0) -> bool:
    """Lock an open file, trying for so many seconds; tell whether it worked."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def release(descriptor: int) -> None:
    """Unlock an open file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
