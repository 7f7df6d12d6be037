"""The servers' programs inside their wheels."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from project.embedded import places
from project.embedded.errors import EmbeddedError
from project.embedded.places import Account


@dataclass(frozen=True)
class Wheel:
    """A wheel that holds a server: its folder in site-packages, and a pattern for the program."""

    distribution: str
    package: str
    program: str

    def locate(self, account: Account) -> Path:
        """Return a server program that `account` can run. Raises EmbeddedError."""
        program = self._find(self._installed_in())
        if not account.process_options or account.succeeds([str(program), "--version"]):
            return program
        copy = self._find(self._copied())
        if not account.succeeds([str(copy), "--version"]):
            message = f"user {account.uid} cannot run {copy}: set DATABASE_URL and REDIS_URL."
            raise EmbeddedError(message)
        return copy

    def _installed_in(self) -> Path:
        # The package is found, not imported: its Python is not needed, and slow.
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            message = (
                f"{self.distribution} is not installed: install requirements/local.txt, "
                "or set DATABASE_URL and REDIS_URL."
            )
            raise EmbeddedError(message)
        return Path(spec.origin).parent.parent

    def _find(self, site_packages: Path) -> Path:
        found = sorted((site_packages / self.package).glob(self.program))
        if not found:
            message = (
                f"{self.distribution} has no server for this machine in {site_packages}: "
                "set DATABASE_URL and REDIS_URL."
            )
            raise EmbeddedError(message)
        return found[0]

    def _copied(self) -> Path:
        """Copy the wheel's files to where every user can run them, once for each version."""
        version = importlib.metadata.version(self.distribution)
        copy = places.system_folder(f"{self.distribution}-{version}")
        if not copy.exists():
            draft = Path(tempfile.mkdtemp(dir=copy.parent))
            # auditwheel keeps shared libraries in PACKAGE.libs, beside the package.
            for folder in self._installed_in().glob(f"{self.package}*"):
                if folder.suffix in {"", ".libs"} and folder.is_dir():
                    shutil.copytree(folder, draft / folder.name)
            _open_to_all(draft)
            try:
                draft.rename(copy)
            except OSError:  # another process was first
                shutil.rmtree(draft)
        return copy


def _open_to_all(tree: Path) -> None:
    """Let everyone read and run the copies."""
    for path in [tree, *tree.rglob("*")]:
        runs = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if runs else 0o644)
