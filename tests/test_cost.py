"""What operations cost: every rule by an exact number, and all of them once more by what the published SDL says."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from math import ceil
from typing import Any, Final, NamedTuple

import pytest
from graphql import (
    ConstDirectiveNode,
    DirectiveNode,
    DocumentNode,
    FieldDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    ObjectTypeDefinitionNode,
    OperationDefinitionNode,
    SelectionSetNode,
    TypeNode,
    Undefined,
    UnionTypeDefinitionNode,
    execute_sync,
    get_introspection_query,
    parse,
    validate,
    value_from_ast_untyped,
)
from graphql.execution import Executor

from apps.accounts.models import User
from schema.cost import MAX_LINES, MOST, Line, Price, price
from schema.graphiql import example_operations
from schema.root import schema
from tests.graphql import execute
from tests.test_client_operations import DEFINITIONS, whole
from tests.test_schema import OPERATIONS, SDL

GRAPHQL: Final = schema._schema


def built(document: str, variables: Mapping[str, Any], name: str | None = None) -> Executor[Any]:
    """Return an operation, ready to run."""
    made = Executor.build(GRAPHQL, parse(document), raw_variable_values=dict(variables), operation_name=name)
    assert isinstance(made, Executor), made
    return made


def priced(document: str, variables: Mapping[str, Any] | None = None) -> Price:
    """Return the price of an operation that is taken for valid."""
    made = built(document, variables or {})
    return price(GRAPHQL, made.operation, made.fragments, made.variable_values)


def total(document: str, **variables: Any) -> int:
    return priced(document, variables).total


# The rules, one by one.

PAGE: Final = "edges { cursor }"
FIRST: Final = "query ($n: Int) { workOrders(first: $n) { edges { cursor } } }"
SEVEN: Final = "query ($n: Int = 7) { workOrders(first: $n) { edges { cursor } } }"
NODES: Final = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"

OBJECTS: Final = {
    "{ me { id name role } }": 1,
    "{ me { tenant { id } } }": 2,
    "{ rateLimit { cost remaining } }": 1,
    "{ workflow(kind: TASK) { kind diagram } }": 1,
    "{ workflow(kind: TASK) { states { name } transitions { action from roles } } }": 3,
    '{ node(id: "x") { id } }': 1,
    '{ node(id: "x") { ... on WorkOrder { availableActions } } }': 1,
    '{ node(id: "x") { ... on WorkOrder { actions { action } } } }': 12,
    '{ node(id: "x") { ... on Task { actions(includeBlocked: true) { action } } } }': 8,
    '{ node(id: "x") { ... on Ticket { actions(includeBlocked: false) { action } } } }': 9,
    '{ node(id: "x") { ... on AttendanceRecord { actions { allowed reason } } } }': 4,
    '{ node(id: "x") { ... on AuditEntry { changes { field before after } entity { id } } } }': 3,
    "{ __typename }": 1,
    "{ me { __typename } }": 1,
    "mutation { __typename }": 1,
}
CONNECTIONS: Final = {
    "{ workOrders { totalCount } }": 2,
    "{ workOrders { pageInfo { hasNextPage endCursor } totalCount } }": 2,
    "{ workOrders { edges { cursor } } }": 52,
    "{ workOrders { edges { node { id title } } } }": 52,
    "{ workOrders(first: 10) { edges { cursor node { id } } } }": 12,
    "{ workOrders(last: 10) { edges { node { id } } } }": 12,
    "{ workOrders(first: 0) { edges { node { id } } } }": 2,
    "{ workOrders(first: -5) { edges { node { id } } } }": 2,
    "{ workOrders(first: null) { edges { node { id } } } }": 52,
    "{ workOrders(first: null, last: 7) { edges { node { id } } } }": 9,
    "{ workOrders(first: 10, last: 20) { edges { node { id } } } }": 22,
    "{ workOrders(first: 20, last: 10) { edges { node { id } } } }": 22,
    "{ workOrders(first: -20, last: -10) { edges { node { id } } } }": 2,
    "{ workOrders(first: 100) { edges { node { site { id } asset { id site { id } } } } } }": 402,
    "{ workOrders(first: 10) { a: edges { cursor } b: edges { cursor } } }": 22,
    "{ workOrders(first: 10) { edges { cursor } edges { node { site { id } } } } }": 22,
    "{ workOrders(first: 3) { edges { a: node { site { id } } b: node { site { id } } } } }": 11,
    "{ workOrders(first: 10) { edges { node { tasks(first: 5) { edges { node { assignee { id } } } } } } } }": 132,
    "{ assets(first: 2) { edges { node { children { edges { cursor } } } } } }": 108,
    "{ workOrders(first: 100) { edges { node { tasks(first: 0) { totalCount edges { node { id } } } } } } }": 302,
    "{ workOrders(first: 0) { edges { node { tasks(first: 100) { edges { cursor } } } } } }": 2,
    "{ me { assignedTasks(last: 4) { edges { node { history(first: 3) { edges { cursor } } } } } } }": 27,
    "{ a: workOrders(first: 1) { edges { cursor } } b: workOrders(first: 2) { edges { cursor } } }": 7,
}
SEARCHES: Final = {
    '{ search(query: "pump") { totalCount didYouMean } }': 10,
    '{ search(query: "pump") { pageInfo { endCursor } facets { kind count } } }': 10,
    '{ search(query: "pump") { edges { cursor score } } }': 60,
    '{ search(query: "pump", first: null) { edges { node { id } } } }': 60,
    '{ search(query: "pump", first: 1000) { edges { highlights { field fragments { text } } node { id } } } }': 1010,
    '{ search(query: "pump", first: 10) { edges { node { ... on Task { asset { id } } ... on Site { id } } } } }': 30,
    """{ search(query: "pump", first: 10) { edges { node {
        ... on WorkOrder { site { id } assignee { id } } ... on Ticket { requesterName site { id } }
    } } } }""": 40,
    '{ a: search(query: "pump") { totalCount } b: search(query: "pump") { totalCount } }': 20,
}
LISTS_OF_NODES: Final = {
    "{ nodes(ids: []) { id } }": 1,
    '{ nodes(ids: ["a", "b", "c"]) { id } }': 3,
    '{ nodes(ids: "a") { id } }': 1,
    "{ nodes(ids: 7) { id } }": 1,
    '{ nodes(ids: ["a", "b"]) { ... on WorkOrder { tasks(first: 3) { edges { cursor } } } } }': 12,
}
SELECTIONS: Final = {
    "{ me { id } me { tenant { id } } me { tenant { name } } }": 2,
    "{ a: me { id } b: me { id } c: me { tenant { id } } }": 4,
    "{ ...F ...F } fragment F on Query { me { id } }": 1,
    "{ ...F me { tenant { id } } } fragment F on Query { me { id } }": 2,
    "{ ...A } fragment A on Query { ...B x: me { ...C } } fragment B on Query { me { ...C } }"
    " fragment C on User { tenant { id } }": 4,
    "{ ... { me { id } } ... on Query { me { id } } }": 1,
    "{ a: workOrders(first: 3) { ...E } b: workOrders(first: 5) { ...E } c: workOrders { ...E } }"
    " fragment E on WorkOrderConnection { edges { node { site { id } } } }": 122,
    """{ node(id: "x") {
        ... on WorkOrder { asset { id } } ... on Task { asset { id } workOrder { id } } ... on Entity { version }
    } }""": 3,
    '{ node(id: "x") { ... on Entity { ... on Site { assets(first: 1) { edges { cursor } } } } } }': 4,
    '{ node(id: "x") { ... on Node { ... on Entity { ...F } } } } fragment F on Task { asset { id site { id } } }': 3,
    """{ node(id: "x") {
        ... on Task { ...Asset assignee { id } } ... on Ticket { asset { site { id } } } ... on Asset { parent { id } }
    } } fragment Asset on Task { asset { id site { id } } }""": 4,
}
SKIPPED: Final = {
    "{ me { id } a: me @skip(if: true) { id } }": 1,
    "{ me { id } a: me @skip(if: false) { id } }": 2,
    "{ me { id } a: me @include(if: false) { id } }": 1,
    "{ me { id } a: me @include(if: true) { id } }": 2,
    "{ me { id } a: me @include(if: true) @skip(if: true) { id } }": 1,
    "{ me @skip(if: true) { id } }": 1,
    "{ me { id } ...F @skip(if: true) } fragment F on Query { a: me { id } }": 1,
    "{ me { id } ...F @include(if: true) } fragment F on Query { a: me { id } }": 2,
    "{ me { id } ... @include(if: false) { a: me { id } } }": 1,
    "{ workOrders(first: 9) { edges @skip(if: true) { cursor } totalCount } }": 2,
    "{ workOrders(first: 9) { edges { node { id site @include(if: false) { id } } } } }": 11,
}
LITERAL: Final = OBJECTS | CONNECTIONS | SEARCHES | LISTS_OF_NODES | SELECTIONS | SKIPPED

SKIP: Final = "query ($b: Boolean!) { me { id } a: me @skip(if: $b) { id } }"
INCLUDE: Final = "query ($b: Boolean = true) { me { id } ... @include(if: $b) { a: me { tenant { id } } } }"
TEXT: Final = 'query ($n: Int = 5) { search(query: "pump", first: $n) { edges { node { id } } } }'
CREATE: Final = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { ... on Task { workOrder { id } } } }"
TWICE: Final = """mutation ($i: CreateTaskInput!) {
    a: createTask(input: $i) { __typename } b: createTask(input: $i) { __typename }
}"""
SITE: Final = (
    'mutation { createSite(input: {code: "a", name: "b"}) { __typename ... on ValidationFailed { message } } }'
)
BULK: Final = "mutation ($input: BulkTransitionTasksInput!) { bulkTransitionTasks(input: $input) { %s } }"
ITEMS: Final = """mutation ($items: [VersionedId!]!) {
    bulkTransitionTasks(input: {items: $items, action: START}) { __typename }
}"""
ITEM: Final = """mutation ($id: ID!, $item: VersionedId!) {
    bulkTransitionTasks(input: {items: [{id: $id, version: 1}, $item, {id: "b", version: 2}], action: START}) {
        ... on BulkTransitionReport { succeeded results { id } }
    }
}"""
REPORT: Final = (
    "... on BulkTransitionReport { results { ok error { message ... on VersionConflict { current { id } } } } }"
)


def items(count: int) -> list[dict[str, Any]]:
    return [{"id": f"t{number}", "version": number} for number in range(count)]


def bulk(count: int) -> dict[str, Any]:
    return {"input": {"items": items(count), "action": "START"}}


VARIABLE: Final[list[tuple[str, dict[str, Any], int]]] = [
    (FIRST, {}, 52),
    (FIRST, {"n": None}, 52),
    (FIRST, {"n": 10}, 12),
    (FIRST, {"n": 100}, 102),
    (SEVEN, {}, 9),
    (SEVEN, {"n": None}, 52),
    (SEVEN, {"n": 3}, 5),
    (TEXT, {}, 15),
    (TEXT, {"n": None}, 60),
    (TEXT, {"n": 1000}, 1010),
    (NODES, {"ids": []}, 1),
    (NODES, {"ids": ["a"] * 40}, 40),
    (NODES, {"ids": "a"}, 1),
    ("query ($a: ID!) { nodes(ids: [$a, $a, 7]) { id } }", {"a": "x"}, 3),
    ('query ($ids: [ID!]! = ["a", "b"]) { nodes(ids: $ids) { id } }', {}, 2),
    (SKIP, {"b": True}, 1),
    (SKIP, {"b": False}, 2),
    (INCLUDE, {}, 3),
    (INCLUDE, {"b": True}, 3),
    (INCLUDE, {"b": False}, 1),
    (CREATE, {"input": {"title": "Drain"}}, 11),
    (TWICE, {"i": {"title": "x"}}, 20),
    (SITE, {}, 10),
    (BULK % "__typename", bulk(0), 10),
    (BULK % "__typename", bulk(1), 11),
    (BULK % "__typename", bulk(1000), 1010),
    (BULK % "... on BulkTransitionReport { succeeded results { id ok } }", bulk(7), 17),
    (BULK % REPORT, bulk(7), 24),
    (BULK % "... on ValidationFailed { problems { path } }", bulk(7), 18),
    (BULK % "__typename", {"input": {"items": {"id": "a", "version": 1}, "action": "START"}}, 11),
    (ITEMS, {"items": items(3)}, 13),
    (ITEMS, {"items": items(1)[0]}, 11),
    (ITEM, {"id": "a", "item": items(1)[0]}, 13),
]


@pytest.mark.parametrize(("document", "points"), LITERAL.items())
def test_an_operation_costs_what_the_rules_say(document: str, points: int) -> None:
    assert validate(GRAPHQL, parse(document)) == []
    assert total(document) == points


@pytest.mark.parametrize(("document", "variables", "points"), VARIABLE)
def test_variables_and_their_defaults_decide(document: str, variables: dict[str, Any], points: int) -> None:
    assert validate(GRAPHQL, parse(document)) == []
    assert total(document, **variables) == points


def test_of_several_operations_the_one_that_runs_is_priced() -> None:
    document = "query A { me { id } } query B { workOrders(first: 5) { edges { cursor } } }"
    for name, points in (("A", 1), ("B", 7)):
        made = built(document, {}, name)
        assert price(GRAPHQL, made.operation, made.fragments, made.variable_values).total == points


def test_a_price_is_never_more_than_graphql_can_tell() -> None:
    assert total("{ workOrders(first: 2147483645) { edges { cursor } } }") == MOST
    assert total("{ workOrders(first: 2147483644) { edges { cursor } } }") == MOST - 1
    assert total("{ workOrders(first: 2147483647) { edges { node { site { id } } } } }") == MOST


def test_fragments_in_fragments_make_no_work_of_what_is_the_same() -> None:
    levels = [
        f"fragment F{level} on Asset {{ a: parent {{ ...F{level + 1} }} b: parent {{ ...F{level + 1} }} }}"
        for level in range(40)
    ]
    document = " ".join(['{ node(id: "x") { ...F0 } }', *levels, "fragment F40 on Asset { id }"])
    assert total(document) == MOST


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ("{ me { id } a: me { id } rateLimit { cost } }", ["me", "me", "rateLimit"]),
        ('{ a: search(query: "x") { totalCount } ...F } fragment F on Query { search(query: "y") { totalCount } }', []),
        ('{ me { id } search(query: "x") @skip(if: true) { totalCount } }', ["me"]),
    ],
)
def test_a_price_names_the_fields_of_the_root(document: str, names: list[str]) -> None:
    assert [*priced(document).names] == (names or ["search", "search"])


# The documents of our clients, at their largest page.

LIMIT: Final = 5000
HUNDRED: Final = {"first": 100}
CLIENTS: Final[dict[str, tuple[dict[str, Any], int]]] = {
    "AttendanceList": (HUNDRED, 302),
    "CheckIn": ({"input": {"siteId": "x"}}, 11),
    "CheckOut": ({"input": {"id": "x", "version": 1}}, 11),
    "TransitionAttendanceRecord": ({"input": {"id": "x", "version": 1, "action": "APPROVE"}}, 11),
    "BulkTransitionAttendanceRecords": ({"input": {"items": items(1000), "action": "APPROVE"}}, 2010),
    "Me": ({}, 2),
    "RateLimit": ({}, 1),
    "Refetch": ({"id": "x"}, 1),
    "RefetchMany": ({"ids": ["x"] * 100}, 100),
    "AssetList": (HUNDRED, 202),
    "SiteList": (HUNDRED, 102),
    "PeopleList": (HUNDRED, 102),
    "Workflow": ({"kind": "WORK_ORDER"}, 3),
    "AuditLog": (HUNDRED, 402),
    "Search": ({"query": "pump", "first": 1000}, 1010),
    "TaskList": (HUNDRED, 402),
    "CreateTask": ({"input": {"title": "x"}}, 10),
    "TransitionTask": ({"input": {"id": "x", "version": 1, "action": "START"}}, 11),
    "BulkTransitionTasks": ({"input": {"items": items(1000), "action": "START"}}, 2010),
    "TicketList": (HUNDRED, 302),
    "CreateTicket": ({"input": {"subject": "x"}}, 11),
    "UpdateTicket": ({"input": {"id": "x", "version": 1}}, 11),
    "TransitionTicket": ({"input": {"id": "x", "version": 1, "action": "OPEN"}}, 11),
    "BulkTransitionTickets": ({"input": {"items": items(1000), "action": "OPEN"}}, 2010),
    "WorkOrderList": (HUNDRED, 402),
    "WorkOrderPageWithCount": (HUNDRED, 102),
    "WorkOrderDetail": ({"id": "x"}, 119),
    "CreateWorkOrder": ({"input": {"title": "x"}}, 13),
    "UpdateWorkOrder": ({"input": {"id": "x", "version": 1}}, 13),
    "TransitionWorkOrder": ({"input": {"id": "x", "version": 1, "action": "START"}}, 11),
    "BulkTransitionWorkOrders": ({"input": {"items": items(1000), "action": "START"}}, 2010),
}
"""The variables of each, and what it costs."""


def client_documents() -> dict[str, str]:
    """Return the documents of our clients, each with the fragments that it needs, by the names of their operations."""
    operations = [each for each in DEFINITIONS if isinstance(each, OperationDefinitionNode)]
    return {each.name.value: whole(each) for each in operations if each.name}


@pytest.mark.skipif(not OPERATIONS.is_dir(), reason="the clients' documents lie beside the project")
def test_each_document_of_our_clients_can_be_paid_at_its_largest_page() -> None:
    documents = client_documents()
    assert sorted(documents) == sorted(CLIENTS)
    prices = {name: total(document, **CLIENTS[name][0]) for name, document in documents.items()}
    assert prices == {name: points for name, (_, points) in CLIENTS.items()}
    assert max(prices.values()) < LIMIT


@pytest.mark.parametrize("example", example_operations(), ids=lambda example: example.name)
def test_each_example_in_graphiql_can_be_paid(example: Any) -> None:
    points = {
        "Me": 2, "DueFirst": 42, "NextPage": 7, "Sites": 167, "Tasks": 36, "Workflow": 3, "CreateWorkOrder": 21,
        "Search": 20, "Budget": 8,
    }  # fmt: skip
    assert total(example.query, **(example.variables or {})) == points[example.name]


# What came of it.

LISTS: Final = """query ($ids: [ID!]!) {
    workOrders(first: 10) { edges { node { site { id } tasks(first: 5) { edges { node { assignee { id } } } } } } }
    nodes(ids: $ids) { id ... on Asset { children(first: 3) { edges { cursor } } } }
    me { tenant { id } }
}"""
TASK: Final = {"node": {"assignee": None}}


def orders(*tasks: int) -> dict[str, Any]:
    edges = [{"node": {"site": None, "tasks": {"edges": [TASK] * count}}} for count in tasks]
    return {"edges": edges}


@pytest.mark.parametrize(
    ("data", "points"),
    [
        ({"workOrders": orders(5, 5), "nodes": [None] * 4, "me": {}}, (2 + 2 * (2 + 2 + 5 * 2)) + 4 + 2),
        ({"workOrders": orders(), "nodes": [], "me": {}}, 2 + 0 + 2),
        ({"workOrders": orders(0, 1, 0), "nodes": [{"id": "a"}], "me": {}}, (2 + 4 + (4 + 2) + 4) + (1 + 2) + 2),
        ({"workOrders": orders(1), "nodes": [{"children": {"edges": [{}] * 3}}, {}], "me": {}}, (2 + 6) + 6 + 3 + 2),
        ({"workOrders": None, "nodes": None, "me": {}}, 2 + 0 + 2),
        ({}, 2 + 0 + 2),
        (None, 2 + 0 + 2),
    ],
)
def test_what_was_spent_counts_the_lists_as_they_came(data: dict[str, Any] | None, points: int) -> None:
    asked = priced(LISTS, {"ids": ["a", "b", "c", "d"]})
    assert asked.total == 2 + 10 * (2 + 2 + 5 * 2) + 4 * (1 + 2 + 3) + 2
    assert asked.spent(data) == points


@pytest.mark.parametrize(
    ("document", "data", "points"),
    [
        ("{ __typename }", {"__typename": "Query"}, 1),
        ("{ workOrders(first: 3) { edges { cursor } } }", {"workOrders": {"edges": [{}] * 99}}, 5),
        ("{ workOrders(first: 3) { edges { node { id } } totalCount } }", {"workOrders": {"edges": [{}]}}, 3),
        ('{ search(query: "x") { edges { node { id } } } }', {"search": {"edges": [{}] * 4}}, 14),
        (
            """{ node(id: "x") {
                ... on Task { history(first: 9) { edges { cursor } } } ... on Site { assets(first: 9) { totalCount } }
            } }""",
            {"node": {"history": {"edges": [{}, {}]}}},
            5,
        ),
        (BULK % REPORT, {"bulkTransitionTasks": {"results": [{}] * 2}}, 10 + 7 + 2),
        (BULK % REPORT, {"bulkTransitionTasks": {"message": "no"}}, 10 + 7),
        (BULK % REPORT, None, 10 + 7),
    ],
)
def test_what_was_spent_is_at_least_a_point_and_at_most_the_price(
    document: str, data: dict[str, Any] | None, points: int
) -> None:
    assert priced(document, bulk(7) if "Bulk" in document else {}).spent(data) == points


def test_of_a_list_that_counts_once_the_dearest_item_counts() -> None:
    (owner,) = priced("{ me { assignedTasks(first: 9) { edges { cursor } } } }").fields
    assert owner.spent([{"assignedTasks": {"edges": [{}] * count}} for count in (1, 4, 2)]) == 1 + 2 + 4
    assert owner.spent([]) == 1


# Line by line.


def test_a_breakdown_tells_where_the_points_go() -> None:
    document = """{
        mine: me { tenant { id } }
        workOrders(first: 10) { edges { node { title site { id } tasks(first: 5) { edges { cursor } } } } }
        node(id: "x") { ... on Task { asset { id } } ... on Ticket { a: asset { id } site { id } } }
    }"""
    assert priced(document).breakdown() == [
        Line("mine", 1),
        Line("mine.tenant", 1),
        Line("workOrders", 2),
        Line("workOrders.edges", 10),
        Line("workOrders.edges.node.site", 10),
        Line("workOrders.edges.node.tasks", 20),
        Line("workOrders.edges.node.tasks.edges", 50),
        Line("node", 1),
        Line("node.a", 1),
        Line("node.site", 1),
    ]


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        ("{ __typename }", [("", 1)]),
        ("{ workOrders(first: 0) { edges { node { site { id } } } } }", [("workOrders", 2)]),
        ("{ nodes(ids: []) { id } }", [("", 1)]),
    ],
)
def test_what_costs_nothing_by_itself_has_a_line_of_its_own(document: str, lines: list[tuple[str, int]]) -> None:
    assert priced(document).breakdown() == lines


@pytest.mark.parametrize(("fields", "rest"), [(MAX_LINES, []), (MAX_LINES + 1, [1]), (MAX_LINES + 25, [25])])
def test_a_long_breakdown_ends_with_a_sum(fields: int, rest: list[int]) -> None:
    document = "{ " + " ".join(f"a{number}: me {{ id }}" for number in range(fields)) + " }"
    lines = priced(document).breakdown()
    assert lines[:MAX_LINES] == [Line(f"a{number}", 1) for number in range(MAX_LINES)]
    assert lines[MAX_LINES:] == [Line("", points) for points in rest]


# Introspection.


def objects_in(value: Any) -> int:
    """Return how many objects an answer holds."""
    if isinstance(value, list):
        return sum(map(objects_in, value))
    return 1 + sum(map(objects_in, value.values())) if isinstance(value, dict) else 0


@pytest.mark.parametrize(
    "document",
    [
        get_introspection_query(),
        get_introspection_query(descriptions=False, type_depth=2),
        get_introspection_query(
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
            one_of=True,
        ),
        "{ __schema { types { name } } }",
        "{ a: __schema { __typename queryType { name } directives { args { type { name } } } } }",
        "{ __schema { types { ...T possibleTypes { ...T } } } } fragment T on __Type { name x: fields { name } }",
        "{ __schema { types { kind interfaces { name } enumValues { name } inputFields { defaultValue } } } }",
        "{ __schema { subscriptionType { name } mutationType { fields { args { name } } } } }",
    ],
)
def test_introspection_costs_a_tenth_of_a_point_for_each_object(technician: User, document: str) -> None:
    answer = execute(technician, document)
    assert answer.errors == []
    assert answer.requested == answer.actual == ceil(objects_in(list((answer.data or {}).values())) / 10)


def test_introspection_of_one_type_costs_what_the_dearest_type_does() -> None:
    document = '{ __type(name: "Site") { fields { name args { name } } } }'
    most = max(
        1 + len(fields) + sum(len(field.args) for field in fields.values())
        for fields in (getattr(kind, "fields", {}) for kind in GRAPHQL.type_map.values())
        if not any(not hasattr(field, "args") for field in fields.values())
    )
    assert total(document) == ceil(most / 10)


def test_each_time_that_the_schema_is_asked_for_costs() -> None:
    document = "{ a: __schema { queryType { name } } b: __schema { queryType { name } } me { id } }"
    assert total(document) == 3
    assert total("{ __schema @skip(if: true) { queryType { name } } me { id } }") == 1


def test_introspection_in_circles_is_counted_right_and_in_no_time() -> None:
    circle = "interfaces { possibleTypes { %s } }"
    document = f"{{ __schema {{ types {{ {circle % 'fields { type { ofType { name } } }'} }} }} }}"
    answer = execute_sync(GRAPHQL, parse(document)).data
    assert priced(document).total == ceil(objects_in([*(answer or {}).values()]) / 10) > 100
    for _ in range(30):
        circle %= "interfaces { possibleTypes { %s } }"
    assert total(f"{{ __schema {{ types {{ {circle % 'name'} }} }} }}") == MOST


# The same once more, in the plainest way, by what the SDL says.


class Declared(NamedTuple):
    """What the SDL says of a field."""

    kind: str
    points: int
    slicing: tuple[str, ...]
    assumed: int | None
    sized: tuple[str, ...]
    items: tuple[tuple[str, int], ...]
    lists: frozenset[str]
    """The paths in its arguments where a list is."""


def said(node: Any, name: str) -> dict[str, Any] | None:
    """Return the arguments of a directive."""
    found: Iterable[DirectiveNode | ConstDirectiveNode] = (
        each for each in node.directives or () if each.name.value == name
    )
    return next(
        ({each.name.value: value_from_ast_untyped(each.value) for each in one.arguments or ()} for one in found), None
    )


def named(kind: TypeNode) -> str:
    return kind.name.value if isinstance(kind, NamedTypeNode) else named(kind.type)  # type: ignore[attr-defined]


def is_list(kind: TypeNode) -> bool:
    return isinstance(kind, ListTypeNode) or (not isinstance(kind, NamedTypeNode) and is_list(kind.type))  # type: ignore[attr-defined]


class Published:
    """The SDL, read as a client reads it."""

    def __init__(self, text: str) -> None:
        definitions: Any = parse(text).definitions
        self.types: dict[str, Any] = {each.name.value: each for each in definitions}
        self.fields = {
            kind: {each.name.value: self._declared(each) for each in node.fields or ()}
            for kind, node in self.types.items()
            if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode)
        }

    def members(self, kind: str) -> list[str]:
        """Return the object types that a value of a type can be of."""
        node = self.types.get(kind)
        if isinstance(node, UnionTypeDefinitionNode):
            return [each.name.value for each in node.types or ()]
        if isinstance(node, InterfaceTypeDefinitionNode):
            return [
                name
                for name, other in self.types.items()
                if isinstance(other, ObjectTypeDefinitionNode)
                and kind in [each.name.value for each in other.interfaces or ()]
            ]
        return [kind]

    def is_composite(self, kind: str) -> bool:
        return isinstance(
            self.types.get(kind), ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode | UnionTypeDefinitionNode
        )

    def _declared(self, field: FieldDefinitionNode) -> Declared:
        size, paths = said(field, "listSize") or {}, dict(self._paths(field))
        weights = {path: said(node, "cost") for path, node in paths.items()}
        return Declared(
            kind=named(field.type),
            points=int((said(field, "cost") or {"weight": self.is_composite(named(field.type))})["weight"]),
            slicing=tuple(size.get("slicingArguments") or ()),
            assumed=size.get("assumedSize"),
            sized=tuple(size.get("sizedFields") or ()),
            items=tuple((path, int(weight["weight"])) for path, weight in weights.items() if weight),
            lists=frozenset(path for path, node in paths.items() if is_list(node.type)),
        )

    def _paths(self, field: FieldDefinitionNode) -> Iterator[tuple[str, Any]]:
        for argument in field.arguments or ():
            yield argument.name.value, argument
            kind = self.types.get(named(argument.type))
            if isinstance(kind, InputObjectTypeDefinitionNode):
                yield from ((f"{argument.name.value}.{each.name.value}", each) for each in kind.fields or ())


@cache
def published() -> Published:
    return Published(SDL.read_text())


Groups = dict[str, list[FieldNode]]


class Plain:
    """An operation, to be priced and counted by the SDL."""

    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self.sdl = published()
        self.fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        (operation,) = (each for each in document.definitions if isinstance(each, OperationDefinitionNode))
        defaults = {
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value is not None
        }
        self.variables = {**defaults, **variables}
        self.root = operation.operation.value.title()
        self.groups = self.selected([operation.selection_set], self.root)

    def price(self) -> int:
        return min(MOST, max(1, self.price_of(self.groups, self.root, {})))

    def price_of(self, groups: Groups, parent: str, sizes: Mapping[str, int | None]) -> int:
        """Return what the fields of an object cost, each list as long as it may become."""
        points = 0
        for nodes in groups.values():
            name = nodes[0].name.value
            if name == "__typename":
                continue
            declared = self.sdl.fields[parent][name]
            size, once = self.size(declared, nodes[0]), self.once(declared, nodes[0])
            below = max(
                self.price_of(self.below(nodes, kind), kind, dict.fromkeys(declared.sized, size))
                for kind in self.sdl.members(declared.kind)
            )
            times = sizes.get(name) if declared.sized or size is None else size
            points += (once + below) * (1 if times is None else times)
        return points

    def brought(self, data: Mapping[str, Any]) -> int:
        """Return what an answer is worth, of which each object tells its type."""
        return self.brought_of(self.groups, self.root, data, frozenset())

    def brought_of(self, groups: Groups, parent: str, data: Mapping[str, Any], sized: frozenset[str]) -> int:
        points = 0
        for key, nodes in groups.items():
            declared = self.sdl.fields[parent].get(nodes[0].name.value)
            value = data.get(key)
            if declared is None or value is None or not self.sdl.is_composite(declared.kind):
                continue
            found = [each for each in (value if isinstance(value, list) else [value]) if each is not None]
            worth = [self.worth(declared, nodes, each) for each in found]
            counted = declared.assumed is not None or declared.slicing or nodes[0].name.value in sized
            points += sum(worth) if counted or not isinstance(value, list) else max(worth, default=0)
        return points

    def worth(self, declared: Declared, nodes: list[FieldNode], item: Mapping[str, Any]) -> int:
        kind = item["__typename"]
        below = self.brought_of(self.below(nodes, kind), kind, item, frozenset(declared.sized))
        return self.once(declared, nodes[0]) + below

    def below(self, nodes: list[FieldNode], kind: str) -> Groups:
        return self.selected([each.selection_set for each in nodes if each.selection_set], kind)

    def selected(self, sets: Iterable[SelectionSetNode], kind: str) -> Groups:
        """Return the fields that are selected of an object of a type, by their keys."""
        groups: Groups = {}
        for selection in (each for one in sets for each in one.selections if self.is_included(each)):
            if isinstance(selection, FieldNode):
                key = (selection.alias or selection.name).value
                groups.setdefault(key, []).append(selection)
                continue
            inner: Any = (
                self.fragments[selection.name.value] if isinstance(selection, FragmentSpreadNode) else selection
            )
            if inner.type_condition is None or kind in self.sdl.members(inner.type_condition.name.value):
                for key, nodes in self.selected([inner.selection_set], kind).items():
                    groups.setdefault(key, []).extend(nodes)
        return groups

    def is_included(self, node: Any) -> bool:
        skip, include = self.directive(node, "skip"), self.directive(node, "include")
        return not (skip or {}).get("if", False) and bool((include or {}).get("if", True))

    def directive(self, node: Any, name: str) -> dict[str, Any] | None:
        for each in node.directives or ():
            if each.name.value == name:
                return {
                    one.name.value: value_from_ast_untyped(one.value, self.variables) for one in each.arguments or ()
                }
        return None

    def size(self, declared: Declared, node: FieldNode) -> int | None:
        sizes = [self.size_at(declared, node, path) for path in declared.slicing]
        known = [size for size in sizes if size is not None]
        return max(0, *known) if known else declared.assumed

    def once(self, declared: Declared, node: FieldNode) -> int:
        return declared.points + sum(
            points * (self.size_at(declared, node, path) or 0) for path, points in declared.items
        )

    def size_at(self, declared: Declared, node: FieldNode, path: str) -> int | None:
        value: Any = {
            each.name.value: value_from_ast_untyped(each.value, self.variables) for each in node.arguments or ()
        }
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is None or value is Undefined:
            return None
        if path in declared.lists:
            return len(value) if isinstance(value, list) else 1
        return int(value)


def plain(document: str, variables: Mapping[str, Any]) -> int:
    return Plain(parse(document), variables).price()


@pytest.mark.parametrize(
    ("document", "variables"),
    [*((document, {}) for document in LITERAL), *((document, variables) for document, variables, _ in VARIABLE)],
)
def test_the_sdl_states_every_weight(document: str, variables: dict[str, Any]) -> None:
    assert plain(document, variables) == total(document, **variables)


@pytest.mark.skipif(not OPERATIONS.is_dir(), reason="the clients' documents lie beside the project")
def test_a_client_can_compute_what_its_documents_cost() -> None:
    documents = client_documents()
    prices = {name: plain(document, CLIENTS[name][0]) for name, document in documents.items()}
    assert prices == {name: total(document, **CLIENTS[name][0]) for name, document in documents.items()}


def leads_to_a_long_list(kind: str, seen: frozenset[str] = frozenset()) -> bool:
    """Tell whether a list whose length counts lies below a type."""
    sdl = published()
    if kind in seen or not sdl.is_composite(kind):
        return False
    fields = [field for member in sdl.members(kind) for field in sdl.fields[member].values()]
    return any(
        field.assumed is not None or field.slicing or leads_to_a_long_list(field.kind, seen | {kind})
        for field in fields
    )


def test_no_list_that_counts_once_leads_to_one_whose_length_counts() -> None:
    sdl = published()
    sized = {name for fields in sdl.fields.values() for field in fields.values() for name in field.sized}
    assert sized == {"edges", "results"}
    lists = [
        (f"{kind}.{field.name.value}", named(field.type))
        for kind in sdl.fields
        for field in sdl.types[kind].fields
        if is_list(field.type) and said(field, "listSize") is None and field.name.value not in sized
    ]
    assert len(lists) > len(sized)
    assert [path for path, kind in lists if leads_to_a_long_list(kind)] == []
