"""Make `.venv` and install one requirements file in it: `python3 -I` this NAME.

It runs before anything is installed, so it uses the standard library alone, and no syntax that an old Python
cannot read: it must live to say that it is too old.
"""

# ruff: noqa: S603 - the commands are our own; nothing from outside reaches them
import sys

OLDEST = (3, 11)
if sys.version_info < OLDEST:
    sys.exit("workgraph: Python {}.{} or newer is needed (make PYTHON=/path/to/it).".format(*OLDEST))

import fcntl  # noqa: E402
import hashlib  # noqa: E402
import importlib.util  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main(name: str) -> None:
    """Bring `.venv` up to date with requirements/NAME.txt; do nothing when it is."""
    requirements = ROOT / "requirements" / f"{name}.txt"
    stamp = VENV / f"installed-{name}"
    fcntl.flock(os.open(ROOT, os.O_RDONLY), fcntl.LOCK_EX)  # two makes at once take turns
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == f"{python_version()} {digest}":
        return
    if not has_pip():
        make_venv()
    install(requirements)
    stamp.write_text(f"{python_version()} {digest}")


def python_version() -> str:
    """Return what Python `.venv` has; nothing if it has none that works, or one too old."""
    program = f"import sys; print(sys.version) if sys.version_info >= {OLDEST} else None"
    try:
        return subprocess.run([PYTHON, "-c", program], check=False, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def has_pip() -> bool:
    """Tell whether `.venv` is whole: an interrupted creation leaves one without pip."""
    return bool(python_version()) and not subprocess.run([PYTHON, "-c", "import pip"], check=False).returncode


def make_venv() -> None:
    """Make `.venv`, or complete the one that is there."""
    if importlib.util.find_spec("ensurepip") is None:
        sys.exit(
            f"workgraph: {sys.executable} cannot make virtual environments: install its venv package "
            "(apt install python3-venv on Debian and Ubuntu), or use another (make PYTHON=/path/to/it)."
        )
    say("Making .venv")
    made = subprocess.run([sys.executable, "-m", "venv", VENV], check=False, capture_output=True, text=True)
    if made.returncode:
        reason = (made.stderr.strip() or made.stdout.strip() or "no reason given").splitlines()[-1]
        sys.exit(f"workgraph: {VENV} could not be made: {reason}")


def install(requirements: Path) -> None:
    """Install exactly what the file names, each package checked against its hash.

    The file names every package that is needed, and `pip check` in CI proves it; pip is not to look for more: for
    `coverage[toml]` it would take a newer release than the one pinned as `coverage`, and refuse it for want of a hash.
    """
    say(f"Installing {requirements.relative_to(ROOT)} (a minute the first time)")
    command = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    command += ["--root-user-action=ignore", "--no-deps", "--require-hashes", "--requirement", str(requirements)]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"workgraph: pip could not install {requirements.relative_to(ROOT)}; its reason is above.")


def say(line: str) -> None:
    """Tell what takes its time."""
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except OSError as error:
        sys.exit(f"workgraph: {error.filename or VENV}: {error.strerror}")
