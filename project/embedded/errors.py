"""What goes wrong with the embedded servers, in one line that says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


class EmbeddedError(Exception):
    """Tell in one line why an embedded server cannot be used, and what to do about it."""


@contextlib.contextmanager
def told_plainly(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses under `folder` into an EmbeddedError."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        message = (
            f"cannot write {where}: {error.strerror}. Make {folder} a folder you may write, "
            "or set WORKGRAPH_LOCAL to another."
        )
        raise EmbeddedError(message) from error
