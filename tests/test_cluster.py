"""Several machines on one: what the command starts holds what it promises, and leaves nothing behind."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

from project.cluster.checks import CHECKS
from project.embedded.places import ROOT
from project.embedded.postgres import Postgres


def test_all_that_must_hold_across_hosts_holds_and_nothing_is_left_behind() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "project.cluster"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )

    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith(("ok", "FAIL"))] == [
        f"ok    {each.__name__.replace('_', ' ')}" for each in CHECKS
    ]
    sockets = [Path(unquote(found)) for found in re.findall("postgresql://workgraph@(.*?):", done.stdout)]
    assert [each.exists() for each in sockets] == [False, False]
    assert list(Postgres.settle().data.parent.glob("cluster-[0-9]*")) == []


def test_a_word_that_the_command_does_not_know_is_told_in_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "project.cluster", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "python -m project.cluster" in done.stderr


def test_the_page_on_scaling_shows_each_check() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text()

    assert re.findall(r"^ok    (.*?):", page, re.MULTILINE) == [each.__name__.replace("_", " ") for each in CHECKS]
