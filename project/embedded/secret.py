"""Secrets made on first use, for installations that were given none."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from project.embedded.errors import told_plainly
from project.embedded.places import local, own_folder

# People type the password; Django wants a signing key of 50 characters or more.
RANDOM_BYTES = {"demo-password": 12}
DEFAULT_BYTES = 48


def secret(name: str) -> str:
    """Return the secret in `.local/secrets/NAME`, made at random if it is not there yet.

    Raises EmbeddedError when the folder cannot be used.
    """
    folder = local() / "secrets"
    path = folder / name
    with told_plainly(local()):
        own_folder(local())
        own_folder(folder, 0o700)
        if not path.exists():
            _create(path)
        return path.read_text(encoding="ascii")


def _create(path: Path) -> None:
    """Write a draft whole, then link it to its name: of two processes at once, the first wins."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(RANDOM_BYTES.get(path.name, DEFAULT_BYTES)), "ascii")
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)
    draft.unlink()
