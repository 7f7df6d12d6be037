"""Rules of the house that no linter holds."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = [path for name in ("apps", "schema", "project") for path in (ROOT / name).rglob("*.py")]
LONGEST_FUNCTION = 30

UNSCOPED = {"unscoped", "_base_manager"}

READS_ALL_TENANTS = {
    "apps/accounts/admin.py",  # an e-mail address is unique among all tenants
    "apps/accounts/adminsite/forms.py",  # an operator chooses the tenant; the form's own row, locked
    "apps/accounts/adminsite/records.py",  # the form's own row, locked
    "apps/accounts/authentication.py",  # before anybody is known, no tenant is in scope
    "apps/accounts/constraints.py",  # is what is referred to of the same tenant?
    "apps/accounts/models.py",
    "apps/accounts/tokens.py",
    "apps/accounts/records.py",  # declares it
    "apps/audit/models.py",
    "apps/audit/receivers.py",  # what a row that is being saved was before, by its key
    "apps/lifecycle/idempotency.py",  # an actor's own keys; the row that the actor's save came too late for
    "apps/lifecycle/models.py",  # declares it
    "apps/search/management/tenants.py",  # for commands
    "apps/search/rebuilding.py",  # the rows of the tenant whose index is built, in a command
    "schema/reads/fetch.py",  # keys of rows below rows that were found, by a key that can't leave the tenant
    "apps/work_orders/workflow.py",  # tasks of an order that was found, by a key that can't leave the tenant
}
"""The modules that may use managers which show the rows of all tenants, besides commands."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in CODE:
        name = path.relative_to(ROOT).as_posix()
        if "/migrations/" not in name:
            yield name, ast.parse(path.read_text())


def test_few_modules_can_reach_every_tenants_rows() -> None:
    reaching = {
        name
        for name, tree in modules()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in UNSCOPED)
        or (isinstance(node, ast.Name) and node.id in UNSCOPED)
    }
    commands = {name for name in reaching if "/management/commands/" in name or name.startswith("project/demo/")}
    assert reaching - commands == READS_ALL_TENANTS


@pytest.mark.parametrize(("name", "tree"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_functions_are_short(name: str, tree: ast.Module) -> None:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {function: length for function, length in lengths.items() if length > LONGEST_FUNCTION} == {}, name


def test_no_file_names_this_machine() -> None:
    forbidden = ["/" + "work/", "/" + "root/", "py" + "pi.org", "registry.npm" + "js"]
    tracked = [path for path in CODE if not path.name.startswith(".")]
    assert [path for path in tracked for word in forbidden if word in path.read_text()] == []
