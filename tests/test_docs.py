"""The documents tell the truth of today."""

import io
import re
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
OPERATORS = (ROOT / "docs" / "operators.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]


def test_the_readme_shows_the_machines_as_they_are() -> None:
    printed = io.StringIO()
    call_command("workflows", format="markdown", stdout=printed)
    shown = README.split("<!-- machines -->")[1].split("<!-- end of machines -->")[0]
    assert shown.strip() == printed.getvalue().strip(), "paste `manage.py workflows --format markdown`"


def test_every_variable_that_settings_read_is_documented() -> None:
    read = set(re.findall(r"env\.\w+\(\s*\"(\w+)\"", (ROOT / "project" / "settings.py").read_text()))
    for module in (ROOT / "project").rglob("*.py"):
        read |= set(re.findall(r"os\.environ\.get\(\"([A-Z_]+)\"", module.read_text()))
    assert {name for name in read - {"MAKELEVEL"} if f"`{name}`" not in OPERATORS} == set()


def test_every_metric_is_documented_with_its_labels_and_no_other() -> None:
    declared, counted = {}, re.compile(r'\b(Counter|Gauge|Histogram)\(\s*"([a-z_]+)",\s*"[^"]*",?\s*(?:\[([^]]*)])?')
    for module in (path for layer in ("apps", "schema", "project") for path in (ROOT / layer).rglob("*.py")):
        for kind, name, labels in counted.findall(module.read_text()):
            ending = "_total" if kind == "Counter" and not name.endswith("_total") else ""
            declared[name + ending] = set(re.findall(r"\w+", labels))
    rows = OPERATORS.split("| metric | labels | counts |\n")[1].split("\n\n")[0].splitlines()[1:]
    told = [(cells[1], set(re.findall(r"`(\w+)`", cells[2]))) for cells in (row.split("|") for row in rows)]
    assert {name: labels for names, labels in told for name in re.findall(r"`(\w+)`", names)} == declared
    assert len(declared) > 20


def test_every_command_that_is_named_exists_and_ours_are_named() -> None:
    commands = get_commands()
    named = set(re.findall(r"manage\.py (\w+)", OPERATORS + README))
    assert named - set(commands) == set()
    ours = {name for name, app in commands.items() if str(app).startswith(("apps.", "project"))}
    assert ours - named == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
