"""The embedded servers: real ones, in folders of their own, used by real processes."""

# ruff: noqa: S603 - the commands are the tests' own
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import redis

from project.embedded.errors import EmbeddedError
from project.embedded.places import ROOT, SYSTEM_STATE, Account
from project.embedded.programs import Wheel
from project.embedded.state import State

CLIENT = """
import sys
from project import embedded
print(embedded.database_url(), embedded.redis_url(), flush=True)
sys.stdin.read()
"""


@dataclass
class Installation:
    """A `.local` folder, and the processes that use it."""

    local: Path
    clients: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "WORKGRAPH_LOCAL": str(self.local), "WORKGRAPH_GRACE": "1"}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "project.embedded", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )

    def complaint(self) -> str:
        """Fail to start, and return the one line that says why."""
        result = self.command("urls")
        assert result.returncode == 2
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        return line

    def launch(self) -> subprocess.Popen[str]:
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.clients.append(client)
        return client

    def join(self) -> tuple[str, str]:
        """Start a client that stays, and return the URLs it was given."""
        return urls(self.launch())

    def supervisor(self, name: str) -> int:
        return State(**json.loads((self.local / f"{name}.state").read_text())).supervisor

    def kill_clients(self) -> None:
        for client in self.clients:
            client.kill()
            client.communicate()
        self.clients.clear()


def urls(client: subprocess.Popen[str]) -> tuple[str, str]:
    assert client.stdout
    database, cache = client.stdout.readline().split()
    return database, cache


def ask(database: str, query: str = "SELECT pg_postmaster_start_time()::text") -> str:
    with psycopg.connect(database, autocommit=True) as session:
        row = session.execute(query.encode()).fetchone()
    return str(row[0]) if row else ""


def with_cache(url: str, *command: str) -> object:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*command)


def postmaster(installation: Installation) -> int:
    return int((installation.local / "postgres" / "postmaster.pid").read_text().split()[0])


def eventually(claim: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.05)
    return claim()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@contextmanager
def open_folder() -> Iterator[Path]:
    """A short path that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="wg-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@contextmanager
def installed(local: Path) -> Iterator[Installation]:
    installation = Installation(local)
    try:
        yield installation
    finally:
        installation.kill_clients()
        installation.command("stop")


@pytest.fixture
def installation(folder: Path) -> Iterator[Installation]:
    with installed(folder / "local") as installation:
        yield installation


@pytest.fixture(scope="module")
def running() -> Iterator[Installation]:
    """An installation with servers that no test disturbs."""
    with open_folder() as path, installed(path / "local") as installation:
        installation.join()
        yield installation


def test_a_second_process_joins_the_servers_of_the_first(running: Installation) -> None:
    first = running.join()
    started = ask(first[0])

    assert running.join() == first
    assert ask(first[0]) == started
    assert with_cache(first[1], "PING") is True


def test_the_database_is_utf8_sorted_by_code_point_owned_by_a_plain_role(running: Installation) -> None:
    database, _ = running.join()

    assert ask(database, "SELECT string_agg(w, '' ORDER BY w) FROM unnest('{ä,b,B,a}'::text[]) w") == "Babä"
    assert ask(database, "SELECT lower('ÄÖ')") == "äö"
    assert ask(database, "SHOW server_encoding") == "UTF8"
    assert ask(database, "SHOW timezone") == "UTC"
    assert ask(database, "SHOW synchronous_commit") == "on"
    assert ask(database, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "False"
    assert ask(database, "SELECT rolcreatedb FROM pg_roles WHERE rolname = current_user") == "True"


def test_servers_listen_in_a_private_folder_and_on_no_port(running: Installation) -> None:
    database, cache = running.join()

    assert stat.S_IMODE((running.local / "run").stat().st_mode) == 0o700
    assert ask(database, "SHOW listen_addresses") == ""
    assert with_cache(cache, "CONFIG GET", "port") == {"port": "0"}


def test_processes_that_start_at_once_share_one_server(installation: Installation) -> None:
    clients = [installation.launch() for _ in range(4)]
    found = {urls(client) for client in clients}

    assert len(found) == 1
    log = (installation.local / "postgres.log").read_text()
    assert log.count("database system is ready to accept connections") == 1


def test_the_terminal_that_starts_the_servers_does_not_own_them(running: Installation) -> None:
    for pid in (running.supervisor("postgres"), running.supervisor("valkey"), postmaster(running)):
        assert os.getsid(pid) != os.getsid(0)


def test_servers_stop_soon_after_their_last_client_was_killed(installation: Installation) -> None:
    installation.join()
    pids = [installation.supervisor("postgres"), installation.supervisor("valkey"), postmaster(installation)]
    installation.kill_clients()

    assert eventually(lambda: all(map(is_gone, pids)))
    assert not (installation.local / "postgres" / "postmaster.pid").exists()
    assert "database system is shut down" in (installation.local / "postgres.log").read_text()


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_finds_the_data(installation: Installation) -> None:
    database, cache = installation.join()
    with psycopg.connect(database) as session:
        session.execute("CREATE TABLE kept (n) AS VALUES (42)")
    with_cache(cache, "SET", "kept", "42")
    server = postmaster(installation)
    os.kill(installation.supervisor("postgres"), signal.SIGKILL)
    os.kill(installation.supervisor("valkey"), signal.SIGKILL)

    database, cache = installation.join()
    assert ask(database, "SELECT n FROM kept") == "42"
    assert with_cache(cache, "GET", "kept") == "42"
    assert is_gone(server)


def test_a_killed_server_is_started_again_for_its_clients(installation: Installation) -> None:
    database, _ = installation.join()
    started = ask(database)
    os.kill(postmaster(installation), signal.SIGKILL)

    def is_back() -> bool:
        try:
            return ask(database) != started
        except psycopg.OperationalError:
            return False

    assert eventually(is_back)


def test_stop_stops_servers_in_use(installation: Installation) -> None:
    installation.join()
    pids = [postmaster(installation), installation.supervisor("valkey")]

    assert installation.command("stop").returncode == 0
    assert all(map(is_gone, pids))


def test_servers_stop_when_their_folder_is_removed(installation: Installation) -> None:
    installation.join()
    pids = [installation.supervisor("postgres"), installation.supervisor("valkey"), postmaster(installation)]
    shutil.rmtree(installation.local)

    assert eventually(lambda: all(map(is_gone, pids)))


def test_the_process_file_of_a_dead_server_does_not_stop_the_next(installation: Installation) -> None:
    installation.command("urls")
    installation.command("stop")
    data = installation.local / "postgres"
    owner = data.stat()
    # The number now belongs to another process: this one.
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1700000000\n5432\n\n\n  1234  5678\n")
    os.chown(data / "postmaster.pid", owner.st_uid, owner.st_gid)

    assert installation.command("urls").returncode == 0


def test_data_of_another_major_version_are_refused_and_kept(installation: Installation) -> None:
    data = installation.local / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")

    line = installation.complaint()
    assert f"{data} was made by PostgreSQL 16, and the installed one is 18" in line
    assert "to keep the data" in line
    assert "to discard" in line
    assert (data / "PG_VERSION").read_text() == "16\n"


def test_a_server_that_cannot_start_is_told_with_its_log_and_reason(installation: Installation) -> None:
    installation.command("urls")
    installation.command("stop")
    (installation.local / "postgres" / "global" / "pg_control").unlink()

    line = installation.complaint()
    assert str(installation.local / "postgres.log") in line
    assert "could not open file" in line or "could not find the database system" in line


def test_a_folder_that_cannot_be_written_is_told_in_a_line(installation: Installation) -> None:
    installation.local.write_text("a file, not a folder")

    line = installation.complaint()
    assert line.startswith(f"cannot write {installation.local}: ")
    assert "WORKGRAPH_LOCAL" in line


@pytest.mark.parametrize("name", ["far " + "x" * 120, "comma, 'quote'"])
def test_sockets_move_to_a_private_short_folder_when_the_path_does_not_fit(folder: Path, name: str) -> None:
    with installed(folder / name) as installation:
        database, cache = installation.join()
        sockets = Path(unquote(urlsplit(cache).path)).parent

        assert ask(database, "SELECT 1") == "1"
        assert with_cache(cache, "PING") is True
        assert len(str(sockets)) < 80
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    shutil.rmtree(sockets)


def test_no_existing_folder_is_opened_up(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    project = private / "project"
    project.mkdir(mode=0o750)
    before = [path.stat().st_mode for path in (private, project)]
    home = project / "local" / "home"
    with installed(project / "local") as installation:
        database, _ = installation.join()

        assert ask(database, "SELECT 1") == "1"
        assert [path.stat().st_mode for path in (private, project)] == before
        assert home.is_symlink() == (os.geteuid() == 0)
    if home.is_symlink():
        assert home.resolve().parent == SYSTEM_STATE
        shutil.rmtree(home.resolve())


def test_a_wheel_that_is_missing_is_named(tmp_path: Path) -> None:
    wheel = Wheel("embedded-thing", "no_such_package", "bin/*")

    with pytest.raises(EmbeddedError, match=r"embedded-thing is not installed: install requirements/local.txt"):
        wheel.locate(Account(os.geteuid(), os.getegid()))


def test_a_secret_is_made_once_and_readable_by_its_owner_alone(installation: Installation) -> None:
    program = "from project.embedded import secret; print(secret('secret-key'), secret('demo-password'))"
    command = [sys.executable, "-c", program]
    made = [
        subprocess.run(command, cwd=ROOT, env=installation.environment, check=True, capture_output=True).stdout
        for _ in range(2)
    ]
    key, password = made[0].decode().split()

    assert made[0] == made[1]
    assert len(key) >= 50
    assert 12 <= len(password) < 20
    assert stat.S_IMODE((installation.local / "secrets" / "secret-key").stat().st_mode) == 0o600
