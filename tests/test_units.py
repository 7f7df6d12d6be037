"""What operators are given: units that systemd understands, settings that exist, scripts that parse."""

# ruff: noqa: S603 - the commands are the tests' own
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from django.core.management import get_commands

from project.embedded.places import ROOT
from tests.test_settings import manage

OPS: Final = ROOT / "ops"
UNITS: Final = sorted((OPS / "systemd").iterdir())
ENVIRONMENTS: Final = sorted((OPS / "environment").glob("*.env"))
HARDENED: Final = ["NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "PrivateTmp=yes"]
GUIDES: Final = [ROOT / "docs" / name for name in ("deployment.md", "troubleshooting.md")]
SERVICES: Final = [unit for unit in UNITS if unit.suffix == ".service"]


def variables(text: str) -> dict[str, str]:
    """Return what systemd reads in an environment file."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def named(path: Path) -> str:
    return path.name


ANALYZE: Final = shutil.which("systemd-analyze") or ""


@pytest.mark.skipif(not ANALYZE, reason="there is no systemd-analyze (package systemd)")
def test_systemd_understands_all_units(tmp_path: Path) -> None:
    release = tmp_path / "release"
    (release / ".venv" / "bin").mkdir(parents=True)
    for unit in UNITS:
        text = re.sub(r"/opt/workgraph/(current|releases/%i)", str(release), unit.read_text())
        (tmp_path / unit.name.replace("@.", "@8001.")).write_text(text)
    units = [str(tmp_path / unit.name.replace("@.", "@8001.")) for unit in UNITS]
    verified = subprocess.run(
        [ANALYZE, "verify", "--man=no", "--recursive-errors=no", *units],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in verified.stderr.splitlines() if "workgraph" in line]
    assert (verified.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", SERVICES, ids=named)
def test_a_service_runs_as_a_user_of_its_own_without_privileges(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert [line for line in ["User=workgraph", "Group=workgraph", *HARDENED] if line not in lines] == []


@pytest.mark.parametrize("unit", SERVICES, ids=named)
def test_a_service_runs_commands_that_exist(unit: Path) -> None:
    called = set(re.findall(r"manage\.py (\w+)", unit.read_text()))
    assert called - get_commands().keys() == set()


def test_each_timer_has_its_service() -> None:
    timers = {unit.stem for unit in UNITS if unit.suffix == ".timer"}
    assert timers
    assert timers - {unit.stem for unit in SERVICES} == set()


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_a_guide_names_units_and_scripts_that_exist(guide: Path) -> None:
    text = guide.read_text()
    calls = re.findall(r"systemctl (?:start|stop|enable --now|is-failed|status) ([^`#&\n]*)", text)
    words = [word.strip('"') for call in calls for word in call.split()]
    units = {re.sub(r"@.*", "@", word) for word in words if word.startswith("workgraph")}
    units |= {re.sub(r"@.*", "@", unit) for unit in re.findall(r"journalctl -u '?(workgraph[\w@-]*)", text)}
    known = {unit.name for unit in UNITS} | {unit.stem for unit in SERVICES}
    assert units
    assert units - known == set()
    scripts = set(re.findall(r"ops/(\w+\.sh)", text))
    assert scripts
    assert scripts - {script.name for script in OPS.glob("*.sh")} == set()


@pytest.mark.parametrize("guide", GUIDES, ids=named)
def test_what_a_guide_has_one_type_is_a_shells_language(guide: Path) -> None:
    blocks = re.findall(r"^ *```sh\n(.*?)```", guide.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        parsed = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)  # noqa: S607
        assert parsed.stderr == "", block


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=named)
def test_an_example_of_an_environment_sets_what_is_read(file: Path) -> None:
    settings = (ROOT / "project" / "settings.py").read_text() + (ROOT / "project" / "serve.py").read_text()
    read = set(re.findall(r"(?:env\.\w+|os\.environ\.get)\(\s*\"(\w+)\"", settings))
    assert variables(file.read_text()).keys() - read == set()


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=named)
def test_a_shell_reads_in_an_example_what_systemd_does(file: Path, tmp_path: Path) -> None:
    told = ["sh", "-c", 'set -a; . "$1"; env -0', "sh", str(tmp_path / file.name)]
    filled = tmp_path / file.name
    filled.write_text(file.read_text().replace(":CHANGE-ME@", ':$1`id`\\"@'))
    shell = subprocess.run(told, env={}, capture_output=True, text=True, check=True)
    read = dict(line.split("=", 1) for line in shell.stdout.rstrip("\0").split("\0"))
    given = variables(filled.read_text())
    assert {name: read.get(name) for name in given} == given


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=named)
def test_the_server_refuses_what_was_left_to_be_filled_in(file: Path) -> None:
    given = variables(file.read_text())
    unfilled = [name for name, value in given.items() if "CHANGE-ME" in value]
    assert unfilled == ["SECRET_KEY", "DATABASE_URL", "REDIS_URL", "METRICS_TOKEN"]
    for name in unfilled:
        filled = {each: value.replace("CHANGE-ME", "x" * 60) for each, value in given.items() if each != name}
        refused = manage("check", **filled, **{name: given[name]})
        assert refused.returncode == 1
        assert f'"{name}" invalid: ["It is still the example\'s: put in your own."]' in refused.stderr


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=named)
def test_an_example_that_was_filled_in_is_fit_for_production(file: Path, tmp_path: Path) -> None:
    given = {
        name: value.replace("CHANGE-ME", "kA3!8sPq0ZtXv7LmYw2E" * 4)
        for name, value in variables(file.read_text()).items()
    }
    given |= {"STATIC_ROOT": str(tmp_path), "LOG_LEVEL": "INFO"}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **given)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", sorted(OPS.glob("*.sh")), ids=named)
def test_a_script_parses(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0  # noqa: S607 - bash of the path
    if shellcheck := shutil.which("shellcheck"):
        assert subprocess.run([shellcheck, str(script)], check=False).returncode == 0
