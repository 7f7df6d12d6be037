"""Releases: built in a folder, put in service once the database is migrated, each with static files of its own."""

# ruff: noqa: S603 - the scripts are ours
import fcntl
import http.client
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from django.core.management import call_command
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from project.embedded.places import ROOT
from tests.proxied import HOST, Front, free_ports, instances, proxied, required
from tests.test_deployment import get
from tests.test_import_work_orders import environment

STYLE: Final = Path("apps/accounts/static/accounts/page.css")
RELEASE: Final = ("apps", "project", "schema", "manage.py")
UNITS: Final = sorted((ROOT / "ops" / "systemd").glob("*.service"))
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a folder that has what a host has; programs that need a real one only say that they were called."""
    for folder in ("opt/static", "opt/releases", "etc", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    settings = environment().items() - os.environ.items()
    (tmp_path / "etc" / "workgraph.env").write_text(
        "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings)
    )
    program(tmp_path, "systemctl", "echo systemctl $* in $(basename $(readlink opt/current)) >> called")
    program(tmp_path, "curl", "exit 0")
    return tmp_path


def program(host: Path, name: str, does: str) -> None:
    file = host / "bin" / name
    file.write_text(f"#!/bin/sh\ncd {host}\n{does}\n")
    file.chmod(0o755)


def unpacked(host: Path, version: str, python: str = sys.prefix) -> Path:
    """Return the folder of a release as `git clone` leaves it, with scripts that stay in the folder of the test."""
    release = host / "opt" / "releases" / version
    shutil.copytree(ROOT / "ops", release / "ops")
    for script in (release / "ops").glob("*.sh"):
        text = script.read_text().replace("/opt/workgraph", f"{host}/opt").replace("/etc/workgraph", f"{host}/etc")
        script.write_text(text.replace("runuser -u workgraph -- ", ""))
    (release / ".venv").symlink_to(python)
    return release


def run(host: Path, script: Path) -> subprocess.CompletedProcess[str]:
    told = os.environ | {"PATH": f"{host}/bin:{os.environ['PATH']}", "SETTLE": "0"}
    return subprocess.run([str(script)], cwd=host, env=told, capture_output=True, text=True, check=False)


def built(host: Path, version: str, style: str) -> Path:
    """Return a release that was built, whose pages have a style of their own."""
    release = unpacked(host, version)
    for name in RELEASE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, release / name)
    (release / STYLE).write_text(style)
    program(host, "python3", "echo python3 $* >> called")
    done = run(host, release / "ops" / "build_release.sh")
    assert (done.returncode, done.stderr) == (0, "")
    return release


def with_python(host: Path, version: str, code: int) -> Path:
    """Return a release whose Python only notes what it is asked, and answers with an exit code."""
    (host / version / "bin").mkdir(parents=True)
    program(host, "python", f"echo {version}: $* >> called\nexit {code}")
    (host / "bin" / "python").rename(host / version / "bin" / "python")
    release = unpacked(host, version, str(host / version))
    (release / "staticfiles").mkdir()
    (release / "staticfiles" / ".built").touch()
    return release


def test_a_release_is_put_in_service_only_once_the_database_is_migrated(host: Path) -> None:
    first, second = with_python(host, "1.0", 0), with_python(host, "1.1", 1)
    assert run(host, first / "ops" / "put_in_service.sh").returncode == 0
    (host / "called").unlink()

    done = run(host, second / "ops" / "put_in_service.sh")
    assert (done.returncode, (host / "opt" / "current").resolve()) == (1, first)
    assert "systemctl start workgraph-migrate@1.1, on one host" in done.stderr
    assert (host / "called").read_text() == "1.1: manage.py migrate --check\n"


def test_a_release_that_was_not_built_to_the_end_is_not_put_in_service(host: Path) -> None:
    release = with_python(host, "1.0", 0)
    (release / "staticfiles" / ".built").unlink()
    done = run(host, release / "ops" / "put_in_service.sh")
    assert (done.returncode, (host / "opt" / "current").exists()) == (1, False)
    assert done.stderr == f"This release is not built: {release}/ops/build_release.sh\n"


def test_a_release_has_static_files_of_its_own_only(host: Path) -> None:
    release = with_python(host, "1.0", 0)
    with (host / "etc" / "workgraph.env").open("a") as settings:
        settings.write(f"STATIC_ROOT={host}/shared\n")
    done = run(host, release / "ops" / "build_release.sh")
    assert done.returncode == 1
    assert "Take STATIC_ROOT out of" in done.stderr
    assert not (host / "called").exists()


def test_one_at_a_time_puts_a_release_in_service(host: Path) -> None:
    script = with_python(host, "1.0", 0) / "ops" / "put_in_service.sh"
    other = os.open(host / "opt" / "releases", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    done = run(host, script)
    assert (done.returncode, done.stderr) == (1, "A release is being put in service on this host just now\n")
    assert not (host / "opt" / "current").exists()

    os.close(other)
    assert run(host, script).returncode == 0


def test_a_folder_in_place_of_the_link_is_not_taken_for_a_release_in_service(host: Path) -> None:
    script = with_python(host, "1.0", 0) / "ops" / "put_in_service.sh"
    (host / "opt" / "current").mkdir()
    assert run(host, script).returncode == 1
    assert (host / "called").read_text() == "1.0: manage.py migrate --check\n"


def test_what_starts_is_the_release_that_was_put_in_service_and_the_one_before_when_that_is_put_back(
    host: Path,
) -> None:
    releases = [with_python(host, version, 0) for version in ("1.0", "1.1")]
    for release in (*releases, releases[0]):
        assert run(host, release / "ops" / "put_in_service.sh").returncode == 0
        called = (host / "called").read_text().splitlines()
        restarts = [f"systemctl restart workgraph@{port} in {release.name}" for port in (8001, 8002)]
        assert called == [f"{release.name}: manage.py migrate --check", *restarts]
        (host / "called").unlink()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_only_the_migration_runs_a_release_that_is_not_in_service(unit: Path) -> None:
    folder = "releases/%i" if unit.name == "workgraph-migrate@.service" else "current"
    assert re.findall(r"^WorkingDirectory=(.*)$", unit.read_text(), re.MULTILINE) == [f"/opt/workgraph/{folder}"]


def test_the_code_of_before_serves_with_what_a_newer_release_has_migrated() -> None:
    newer = MigrationRecorder.Migration.objects.create(app="tasks", name="9999_of_the_next_release")
    try:
        call_command("migrate", check_unapplied=True, verbosity=0)
        assert Client().get("/readyz").status_code == 200
    finally:
        newer.delete()


def page(port: int) -> str:
    """Return the address of the style of a page of an instance."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/login/", headers={"Host": HOST, "X-Forwarded-Proto": "https"})
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer.partition('rel="stylesheet" href="')[2].partition('"')[0]


def styled(front: Front, port: int) -> tuple[bytes, str | None]:
    """Return the style that a browser finds for a page of an instance, and for how long it keeps it."""
    answer, body = get(front, page(port))
    assert answer.status == 200
    return body, answer.headers["Cache-Control"]


def test_while_two_releases_serve_each_page_has_the_style_of_its_own(host: Path, tmp_path: Path) -> None:
    required()
    styles = ["body { color: red }", "body { color: blue }"]
    before, after = [built(host, version, style) for version, style in zip(("1.0", "1.1"), styles, strict=True)]
    first, second = free_ports(2)
    (tmp_path / "nginx").mkdir()
    for_good = "public, max-age=31536000, immutable"
    with (
        instances([first], before),
        instances([second], after),
        proxied(tmp_path / "nginx", (first, second), host / "opt" / "static") as front,
    ):
        assert [styled(front, port) for port in (first, second)] == [(style.encode(), for_good) for style in styles]


def test_a_release_is_built_again_without_touching_what_browsers_read(host: Path) -> None:
    release = built(host, "1.0", "body { color: red }")
    style = next((host / "opt" / "static" / "accounts").glob("page.*.css"))
    there = style.stat()
    assert run(host, release / "ops" / "build_release.sh").returncode == 0
    assert (style.stat().st_ino, style.stat().st_mtime_ns) == (there.st_ino, there.st_mtime_ns)
    assert (host / "called").read_text().splitlines() == ["python3 -I project/environment.py base"] * 2


def test_a_copy_that_broke_off_is_made_anew(host: Path) -> None:
    release, static = built(host, "1.0", "body { color: red }"), host / "opt" / "static"
    shutil.rmtree(static)
    static.mkdir()
    # A disk that is full, once: no file can have more than 4 KB.
    once = f"[ -e {host}/full ] || {{ touch {host}/full; ulimit -f 8; }}"
    program(host, "cp", f'cd "$OLDPWD"\n{once}\nexec {shutil.which("cp")} "$@"')
    assert run(host, release / "ops" / "build_release.sh").returncode != 0
    assert not (release / "staticfiles" / ".built").exists()
    assert run(host, release / "ops" / "build_release.sh").returncode == 0

    found, told = (
        {
            file.relative_to(folder): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file() and file.name != ".built"
        }
        for folder in (static, release / "staticfiles")
    )
    assert found == told
    assert not [*static.glob(".copies.*")]


def test_a_release_without_what_graphiql_needs_is_not_built(host: Path) -> None:
    release = unpacked(host, "1.0")
    with (host / "etc" / "workgraph.env").open("a") as settings:
        settings.write("GRAPHIQL=1\n")
    program(host, "python3", "echo python3 $* >> called\n[ $3 = base ]")
    assert run(host, release / "ops" / "build_release.sh").returncode == 1
    assert (host / "called").read_text().splitlines()[-1] == "python3 -I project/environment.py local"
