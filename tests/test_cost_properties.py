"""What holds for the price of any operation: random ones, made of the SDL, some of them run against a few rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from random import Random
from typing import Any, Final

import pytest
from graphql import (
    REMOVE,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NonNullTypeNode,
    Visitor,
    parse,
    print_ast,
    strip_ignored_characters,
    validate,
    visit,
)
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from schema.reads.global_id import encode_id
from tests import factories
from tests.graphql import execute
from tests.test_cost import GRAPHQL, Plain, plain, priced, published
from tests.writing import gid

BOUNDED: Final = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
chances: Final = st.randoms(use_true_random=True)

CONDITIONS: Final = {
    "Node": ["Node", "Entity", "WorkOrder", "Task", "Ticket", "Asset", "Site", "User", "AuditEntry", "Tenant"],
    "Entity": ["Node", "Entity", "WorkOrder", "Task", "Ticket", "Asset", "Site", "AttendanceRecord"],
    "MutationError": ["MutationError", "ValidationFailed", "VersionConflict", "TransitionNotAllowed", "NotFound"],
}
"""The types that are tried in fragments on an interface."""


@dataclass
class Made:
    """An operation made at random, valid by the SDL."""

    document: str
    variables: dict[str, Any]
    numbers: list[str]
    """The names of the variables that hold page sizes."""


@dataclass
class Maker:
    """Makes an operation at random; each selection tells its type."""

    chance: Random
    ids: list[str]
    declared: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=dict)
    """The names of the fragments, by the types that they are on."""
    count: int = 0

    def make(self, root: str = "Query") -> Made:
        body = self.selection(root, depth=5)
        head = f"({', '.join(self.declared)})" if self.declared else ""
        text = f"{root.lower()} Made{head} {body} {' '.join(self.fragments)}"
        return Made(text, self.variables, self.numbers)

    def odds(self, percent: int) -> bool:
        return self.chance.randrange(100) < percent

    def fresh(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def selection(self, kind: str, depth: int) -> str:
        parts = ["__typename", *(self.part(kind, depth) for _ in range(self.chance.choice([1, 1, 2])))]
        if self.odds(15):
            parts.append(self.chance.choice(parts))  # the same once more costs nothing more
        return f"{{ {' '.join(parts)} }}"

    def part(self, kind: str, depth: int) -> str:
        if self.odds(25) or not self.choices(kind, depth):
            return self.fragment(kind, depth)
        return self.of_field(kind, self.chance.choice(self.choices(kind, depth)), depth)

    def choices(self, kind: str, depth: int) -> list[str]:
        sdl = published()
        fields = sdl.fields.get(kind, {})
        composite = [name for name, each in fields.items() if depth and sdl.is_composite(each.kind)]
        return composite or [name for name in fields if name in {"id", "cursor"}]

    def fragment(self, kind: str, depth: int) -> str:
        members = published().members(kind)
        condition = self.chance.choice(CONDITIONS.get(kind, members))
        if condition in self.named and self.odds(30):
            return f"...{self.chance.choice(self.named[condition])}{self.directive()}"
        body = self.selection(condition, depth - 1) if depth else "{ __typename }"
        if self.odds(50):
            return f"... on {condition}{self.directive()} {body}"
        name = self.fresh("F")
        self.fragments.append(f"fragment {name} on {condition} {body}")
        self.named.setdefault(condition, []).append(name)
        return " ".join([f"...{name}{self.directive()}"] * self.chance.choice([1, 1, 2]))

    def of_field(self, kind: str, name: str, depth: int) -> str:
        declared = published().fields[kind][name]
        body = self.selection(declared.kind, depth - 1) if published().is_composite(declared.kind) else ""
        key = "" if name == "id" else f"{self.fresh('k')}: "
        return f"{key}{name}{self.arguments(kind, name)}{self.directive()} {body}"

    def directive(self) -> str:
        if not self.odds(15):
            return ""
        known = self.chance.choice(["true", "false"])
        value = self.variable("Boolean", [True, False]) if self.odds(33) else known
        return f" @{self.chance.choice(['skip', 'include'])}(if: {value})"

    def variable(self, kind: str, values: list[Any]) -> str:
        """Return a variable with a value, or a default, or both."""
        name, value = self.fresh("v"), self.chance.choice(values)
        required = kind != "Int" and self.odds(50)
        self.declared.append(f"${name}: {kind}!" if required else f"${name}: {kind} = {dumps(values[0])}")
        if required or self.odds(70):
            self.variables[name] = value
        if kind == "Int" and isinstance(self.variables.get(name), int):
            self.numbers.append(name)
        return f"${name}"

    def arguments(self, kind: str, name: str) -> str:
        node = next(each for each in published().types[kind].fields if each.name.value == name)
        given = {each.name.value: self.argument(each.name.value, each.type) for each in node.arguments or ()}
        shown = ", ".join(f"{key}: {value}" for key, value in given.items() if value is not None)
        return f"({shown})" if shown else ""

    def argument(self, name: str, kind: Any) -> str | None:
        if name in {"first", "last"}:
            return self.size() if self.odds(60 if name == "first" else 10) else None
        if not isinstance(kind, NonNullTypeNode) or name == "includeBlocked":
            return None
        texts = {"query": '"pump"', "id": dumps(self.chance.choice(self.ids)), "kind": "TASK"}
        if name == "ids":
            some = self.chance.sample(self.ids, self.chance.randint(0, 3))
            return self.variable("[ID!]", [[], some]) if self.odds(50) else dumps(some)
        return texts[name] if name in texts else self.input_of(kind)

    def size(self) -> str:
        size = self.chance.choice([0, 1, 2, 3, 5])
        known = self.chance.choice([str(size), "null"])
        return self.variable("Int", [size, None, 4]) if self.odds(60) else known

    def input_of(self, kind: Any) -> str:
        """Return a literal of an input type, with the fields that must be given and, at random, a list."""
        sdl, name = published(), named_of(kind)
        fields = getattr(sdl.types.get(name), "fields", None)
        if fields is None:
            values = getattr(sdl.types.get(name), "values", None)
            texts = {"ID": '"x"', "String": '"x"', "Int": "1", "Boolean": "true"}
            return str(values[0].name.value) if values else texts.get(name, '"2026-11-02T12:00:00Z"')
        needed = [each for each in fields if isinstance(each.type, NonNullTypeNode) and each.default_value is None]
        return "{ " + ", ".join(f"{each.name.value}: {self.value_of(each)}" for each in needed) + " }"

    def value_of(self, node: Any) -> str:
        if node.name.value != "items":
            return self.input_of(node.type)
        return "[" + ", ".join([self.input_of(node.type)] * self.chance.randint(0, 4)) + "]"


def named_of(kind: Any) -> str:
    return str(kind.name.value) if hasattr(kind, "name") else named_of(kind.type)


def made(chance: Random, root: str = "Query", ids: list[str] | None = None) -> Made:
    return Maker(chance, ids or ["a", "b", "c"]).make(root)


@given(chance=chances, root=st.sampled_from(["Query", "Query", "Mutation"]))
@BOUNDED
def test_any_operation_costs_what_the_sdl_says(chance: Random, root: str) -> None:
    one = made(chance, root)
    found = priced(one.document, one.variables)
    assert found.total == plain(one.document, one.variables) >= 1
    assert sum(line.cost for line in found.breakdown()) == found.total
    assert found.total >= found.spent(None) >= 1


class Inlining(Visitor):
    """Puts each fragment where it is spread."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        super().__init__()
        self.fragments = fragments

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> InlineFragmentNode:
        fragment = self.fragments[node.name.value]
        return InlineFragmentNode(
            type_condition=fragment.type_condition, directives=node.directives, selection_set=fragment.selection_set
        )

    def enter_fragment_definition(self, *_: Any) -> Any:
        return REMOVE


def inlined(document: str) -> str:
    while "..." in document and "fragment " in document:
        parsed = parse(document)
        fragments = {each.name.value: each for each in parsed.definitions if isinstance(each, FragmentDefinitionNode)}
        document = print_ast(visit(parsed, Inlining(fragments)))
    return document


@given(chance=chances)
@BOUNDED
def test_how_an_operation_is_written_does_not_change_its_price(chance: Random) -> None:
    one = made(chance)
    texts = [
        one.document,
        strip_ignored_characters(one.document),
        print_ast(parse(one.document)),
        inlined(one.document),
    ]
    assert "fragment " not in texts[-1]
    assert len({priced(text, one.variables).total for text in texts}) == 1


@given(chance=chances, more=st.integers(1, 50))
@BOUNDED
def test_a_longer_page_is_never_cheaper(chance: Random, more: int) -> None:
    one = made(chance)
    before = priced(one.document, one.variables).total
    for name in one.numbers:
        longer = {**one.variables, name: one.variables[name] + more}
        assert priced(one.document, longer).total >= before


def test_the_operations_made_at_random_are_of_all_kinds() -> None:
    some = [made(Random(seed)) for seed in range(150)]  # noqa: S311 (a seed is the example)
    assert [error for one in some[:30] for error in validate(GRAPHQL, parse(one.document))] == []
    texts = " ".join(one.document for one in some)
    for part in ("@skip", "@include", "fragment ", "... on ", "last: ", "first: $", "first: null", "search(", "nodes("):
        assert texts.count(part) > 5, part
    assert sum(bool(one.numbers) for one in some) > 20
    assert len({priced(one.document, one.variables).total for one in some}) > 30


@pytest.fixture
def ids(demo: Tenant, technician: User) -> list[str]:
    """Return the ids of some rows that lead to each other, and one of no row."""
    site = factories.site(demo, name="Pump house")
    asset = factories.asset(demo, site=site, name="Pump")
    parts = [factories.asset(demo, site=site, parent=asset, name="Pump part") for _ in range(2)]
    orders = [factories.work_order(demo, title="Pump", site=site, asset=asset, assignee=technician) for _ in range(4)]
    tasks = [factories.task(demo, title="Pump", work_order=order, assignee=technician) for order in orders[:3]]
    ticket = factories.ticket(demo, subject="Pump", asset=asset, site=site, work_order=orders[0])
    record = factories.attendance_record(demo, person=technician, site=site)
    entry = factories.audit_entry(orders[0], actor=technician)
    return [gid(each) for each in (site, asset, *parts, *orders, *tasks, ticket, record, technician, entry)] + [
        encode_id("Task", 10**9)
    ]


@pytest.fixture
def unlimited(settings: Settings) -> None:
    settings.ENABLE_COST_LIMIT = False
    settings.ENABLE_SEARCH_RATE_LIMITING = False
    settings.MAX_ROOT_FIELDS = settings.MAX_ALIASES = settings.MAX_DEPTH = settings.MAX_TOKENS = (
        settings.MAX_DOCUMENT_BYTES
    ) = 100_000


def test_what_an_operation_brings_is_within_what_was_spent_and_that_within_its_price(
    technician: User, ids: list[str], unlimited: None
) -> None:
    worth: list[tuple[int, int, int]] = []

    @given(chance=chances, root=st.sampled_from(["Query", "Query", "Query", "Mutation"]))
    @BOUNDED
    def holds(chance: Random, root: str) -> None:
        one = made(chance, root, ids)
        answer = execute(technician, one.document, **one.variables)
        brought = Plain(parse(one.document), one.variables).brought(answer.data or {})
        note(f"{one}\n{answer.data}\n{answer.errors}\n{answer.requested} {answer.actual} {brought}")
        assert answer.requested == priced(one.document, one.variables).total
        assert answer.requested >= answer.actual >= brought
        worth.append((answer.requested, answer.actual, brought))

    holds()
    assert sum(brought > 5 for _, _, brought in worth) > 30, "the rows were hardly read"
    assert sum(actual < requested for requested, actual, _ in worth) > 20, "no list came back short"
    assert sum(actual == brought for _, actual, brought in worth) > 40, "what was spent is hardly ever exact"
