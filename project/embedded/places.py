"""Where the embedded servers keep their data, programs and sockets, and as whom they run.

An ordinary user's servers run as that user, with everything under `.local/`.

PostgreSQL refuses to run as root. Started by root, both servers run as the system user
`workgraph-embedded`, made when first needed, or as whoever owns the data already. That user
needs to reach its data and programs; where the project or the virtual environment lies in a
private folder (below /root, say) it cannot, and no permission of an existing folder is ever
widened for it. Then the data live in a folder of its own below /var/lib/workgraph, to which
`.local/home` is a symbolic link, and the programs are copied there.
"""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.embedded.errors import EmbeddedError

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_STATE = Path("/var/lib/workgraph")
SYSTEM_USER = "workgraph-embedded"
# The kernel holds 108 bytes for a socket's path (104 on macOS), the file's name included.
LONGEST_SOCKET_FOLDER = 80
SOCKET_FOLDER_MARKS = set(",\"'")


@dataclass(frozen=True)
class Account:
    """A user that servers run as."""

    uid: int
    gid: int

    @property
    def process_options(self) -> dict[str, Any]:
        """Return what `subprocess` needs to start a process as this user."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, folder: Path) -> bool:
        """Tell by trial whether this user may enter the folder."""
        return self.succeeds(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])

    def succeeds(self, command: list[str]) -> bool:
        """Run a command as this user, from a folder that all can enter; tell whether it works."""
        try:
            return not subprocess.run(
                command, cwd="/", check=False, capture_output=True, **self.process_options
            ).returncode
        except (OSError, subprocess.SubprocessError):
            return False


def local() -> Path:
    """Return the folder of everything that is kept: WORKGRAPH_LOCAL, else `.local/`."""
    return Path(os.environ.get("WORKGRAPH_LOCAL") or ROOT / ".local").absolute()


def own_folder(path: Path, mode: int = 0o711, account: Account | None = None) -> Path:
    """Make a folder with exactly this mode and owner; leave one that exists as it is."""
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise
        return path
    path.chmod(mode)
    if account:
        os.chown(path, account.uid, account.gid)
    return path


def server_account() -> Account:
    """Return the user that servers run as: whoever works here, but never root."""
    if os.geteuid():
        return Account(os.geteuid(), os.getegid())
    if (run := local() / "run").is_dir() and (owner := run.stat()).st_uid:
        return Account(owner.st_uid, owner.st_gid)  # their data are theirs: keep it so
    return _system_account()


def _system_account() -> Account:
    """Return the dedicated system user, made if this machine has none."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", SYSTEM_USER]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    for _ in range(20):  # useradd refuses while another process changes the users
        try:
            user = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            Account(0, 0).succeeds(command)
            time.sleep(0.1)
        else:
            return Account(user.pw_uid, user.pw_gid)
    message = (
        "PostgreSQL does not run as root and useradd could not make a system user: "
        "work as an ordinary user, or set DATABASE_URL and REDIS_URL."
    )
    raise EmbeddedError(message)


def home(account: Account) -> Path:
    """Return the folder of the servers' data: `.local/`, unless `account` cannot get there."""
    link = local() / "home"
    if link.is_symlink() and _belongs_here(link):
        return link.resolve()
    if not account.process_options or account.reaches(local()):
        return local()
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=_system_state()))
    folder.chmod(0o711)
    (folder / "origin").write_text(str(link), encoding="utf-8")
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return folder


def _belongs_here(link: Path) -> bool:
    """Tell whether the link is the data's own, or else a copy of the project brought it along."""
    origin = link / "origin"
    if not origin.exists():
        return False
    first = Path(origin.read_text(encoding="utf-8"))
    if first != link and first.is_symlink() and first.resolve() == link.resolve():
        return False
    origin.write_text(str(link), encoding="utf-8")
    return True


def _system_state() -> Path:
    """Return the folder of data and programs that cannot lie in the project."""
    own_folder(SYSTEM_STATE.parent.parent, 0o755)
    own_folder(SYSTEM_STATE.parent, 0o755)
    folder = own_folder(SYSTEM_STATE)
    if folder.lstat().st_uid:
        raise EmbeddedError(f"{folder} does not belong to root: remove it, or set DATABASE_URL and REDIS_URL.")
    return folder


def system_folder(name: str) -> Path:
    """Return where programs are copied that the system user cannot reach."""
    return _system_state() / name


def sockets(account: Account) -> Path:
    """Return the private folder of the sockets: by the data, unless its path is too long."""
    folder = home(account) / "run"
    name = os.fsencode(folder)
    if len(name) > LONGEST_SOCKET_FOLDER or SOCKET_FOLDER_MARKS & set(str(folder)):
        digest = hashlib.sha256(name).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"workgraph-{account.uid}-{digest}"
    own_folder(folder, 0o700, account)
    found = folder.lstat()
    if found.st_uid != account.uid or found.st_mode & 0o077 or folder.is_symlink():
        raise EmbeddedError(f"{folder} is not private to user {account.uid}: remove it and try again.")
    return folder
