"""The page on adding an entity, followed to the letter in a copy of the project and in a database of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection

from project.backups import archive

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "adding-an-entity.md"
RUFF: Final = Path(sys.prefix) / "bin" / "ruff"
PARTS: Final = ("apps", "project", "schema", "tests", "manage.py", "pyproject.toml")
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Step(NamedTuple):
    """A block of the page, and the sentence above it that says what to do with it."""

    before: str
    language: str
    text: str


def steps() -> list[Step]:
    page = PAGE.read_text()
    return [Step(page[: found.start()].rstrip().splitlines()[-1], *found.groups()) for found in BLOCK.finditer(page)]


def named(pattern: str, sentence: str) -> str | None:
    found = re.findall(pattern, sentence)
    return found[-1] if found else None


class Newcomer:
    """Somebody who does what the page says, and nothing else."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment, self.path = folder, environment, ""
        self.said: list[str] = []

    def follow(self, step: Step) -> None:
        self.path = named(r"[Ii]n `([^`]+)`", step.before) or self.path
        if step.language == "sh":
            self.run(step.text)
        elif line := named(r"below `([^`]+)`", step.before):
            self.change(line, f"{line}\n{step.text.rstrip()}")
        elif line := named(r"In place of `([^`]+)`", step.before):
            self.change(line, step.text.rstrip())
        else:
            (self.folder / self.path).write_text(step.text)

    def change(self, line: str, text: str) -> None:
        """Change the one place where a line stands."""
        file = self.folder / self.path
        assert file.read_text().splitlines().count(line) == 1, f"{self.path} has no line {line!r}"
        file.write_text(file.read_text().replace(f"{line}\n", f"{text}\n"))

    def run(self, commands: str) -> None:
        ran = subprocess.run(  # noqa: S603 - the commands are our own page's
            ["/bin/sh", "-ec", commands],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{commands}\n{ran.stdout}\n{ran.stderr}"
        self.said.append(ran.stdout)


@pytest.fixture
def database(db: None) -> Iterator[str]:
    """Make a database for the copy, which is to have another table; return its URL."""
    name, at = f"newcomer_{uuid4().hex[:12]}", connection.settings_dict
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    who = f"{quote(at['USER'])}:{quote(at['PASSWORD'], safe='')}"
    yield f"postgresql://{who}@{quote(at['HOST'], safe='')}:{at['PORT']}/{name}"
    for each in (name, f"test_{name}"):
        archive.drop(each)


@pytest.fixture
def newcomer(tmp_path: Path, database: str) -> Newcomer:
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / part)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "DJANGO"))}
    redis = str(settings.CACHES["default"]["LOCATION"])
    given = {"DATABASE_URL": database, "REDIS_URL": redis, "SECRET_KEY": "newcomer" * 8, "ALLOWED_HOSTS": "testserver"}
    return Newcomer(tmp_path, {**kept, **given, "HTTPS": "0", "AUDIT_LOG": ""})


def test_who_follows_the_page_has_an_entity_with_mutations_history_and_search(newcomer: Newcomer) -> None:
    for step in steps():
        newcomer.follow(step)

    done = "\n".join(newcomer.said)
    assert "inspections/migrations/0001_initial.py" in done
    assert "System check identified no issues" in done
    assert "Applying inspections.0001_initial... OK" in done
    assert "3 passed" in done
    assert "type Inspection implements Entity & Node" in (newcomer.folder / "schema" / "schema.graphql").read_text()
    newcomer.run(".venv/bin/python manage.py makemigrations --check --dry-run")


@pytest.mark.skipif(not RUFF.exists(), reason="ruff and import-linter come with `make lint`")
def test_what_the_page_writes_passes_the_linters(newcomer: Newcomer) -> None:
    for step in steps():
        if step.language != "sh" or step.text.startswith("mkdir"):
            newcomer.follow(step)

    newcomer.run(".venv/bin/ruff check apps schema tests && .venv/bin/ruff format --check apps schema tests")
    newcomer.run(".venv/bin/lint-imports")
