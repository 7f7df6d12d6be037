"""Documents, variables and ids made to hurt: refused in words, at once, and nothing has happened."""

import time
from itertools import count
from typing import Any, Final

import pytest
from pytest_django import Settings

from apps.accounts.models import Tenant
from tests.attacks import Attack, Target, asked, bodies, documents, withstands

COMPLEX: Final = "422 QUERY_TOO_COMPLEX"
INVALID: Final = "422 BAD_REQUEST"
MALFORMED: Final = "400 BAD_REQUEST"
REFUSED: Final = "294 BAD_REQUEST"
"""The field is refused when it runs; beside it others may have been served."""

TOO_MUCH: Final = "294 QUERY_TOO_COMPLEX"
SERVED: Final = "200"

LIST: Final = "query($n: Int) { workOrders(first: $n) { edges { node { id } } } }"
NODE: Final = "query($id: ID!) { node(id: $id) { id } }"
COUNT: Final = "query($f: WorkOrderFilter) { workOrders(first: 1, filters: $f) { totalCount } }"
AFTER: Final = "query($x: String) { workOrders(after: $x) { edges { node { id } } } }"
BULK: Final = (
    "mutation($i: BulkTransitionWorkOrdersInput!) { bulkTransitionWorkOrders(input: $i) { __typename ... on "
    "BulkTransitionReport { failed results { error { message } } } ... on ValidationFailed { problems { message } } } }"
)


@pytest.fixture
def target(demo: Tenant, rival: Tenant, settings: Settings) -> Target:
    """Return an attacker and its prey, on a server that shows its schema to nobody, as in production."""
    settings.INTROSPECTION = settings.GRAPHIQL = False
    return Target.among(demo, rival)


def alias(count: int, what: str) -> str:
    return "{ " + " ".join(f"a{number}: {what}" for number in range(count)) + " }"


def doubled(levels: int, kind: str, leaf: str, inside: str = "{ me { ...F0 } }") -> str:
    """Return a document that spreads a leaf 2^levels times."""
    chain = "".join(f" fragment F{each} on {kind} {{ ...F{each + 1} ...F{each + 1} }}" for each in range(levels))
    return f"{inside}{chain} fragment F{levels} on {kind} {{ {leaf} }}"


def chained(levels: int) -> str:
    chain = "".join(f"fragment F{each} on Query{{...F{each + 1}}}" for each in range(levels))
    return f"{{...F0}}{chain}fragment F{levels} on Query{{me{{id}}}}"


def meshed(count: int, width: int) -> str:
    """Return fragments of which each spreads the next ones."""
    spread = {each: range(each + 1, min(count, each + 1 + width)) for each in range(count)}
    parts = (f"fragment F{each} on User{{id {' '.join(f'...F{n}' for n in more)}}}" for each, more in spread.items())
    return "{me{...F0}}" + "".join(parts)


def tree(depth: int, width: int) -> str:
    return "id" if not depth else " ".join(["parent{" + tree(depth - 1, width) + "}"] * width)


def nested(depth: int, *names: str, leaf: Any = None) -> Any:
    """Return a value in so many objects, each under the next of the names."""
    value = {} if leaf is None else leaf
    for level in range(depth):
        value = {names[level % len(names)]: value}
    return value


def ors(depth: int, each: dict[str, Any]) -> dict[str, Any]:
    """Return a filter with the same condition at each depth."""
    return {**each, "OR": ors(depth - 1, each)} if depth else each


FLOODS: Final = [
    *documents(
        COMPLEX,
        {
            "31 aliases": alias(31, "me { id }"),
            "31 aliases below": "{ me " + alias(31, "id") + " }",
            "aliases in fragments": "{ me { ...A ...B } } "
            + "".join(f"fragment {name} on User {alias(16, 'id').replace('a', name.lower())} " for name in "AB"),
            "51 fields of the root": "{" + " me{id}" * 51 + "}",
            "480 fields of the root": "{" + " me{id}" * 480 + "}",
            "13 levels": "{ assets { edges { node { " + "parent{" * 9 + "id" + "}" * 9 + " } } } }",
            "2,001 tokens": "{ me {" + " id" * 1_995 + "} }",
            "1,000 directives": "{ me { id" + " @include(if: true)" * 600 + " } }",
            "1,000 unknown directives": "{ me { id" + " @x" * 1_000 + " } }",
            "a byte too many": "{me{id}}" + "," * (16_384 - 7),
            "a byte too many in two-byte letters": "#" + "é" * 8_188 + "\n{me{id}}",
            "2^10 fields of the root": doubled(10, "Query", "me{id}", "{...F0}"),
            "2^150 fields of the root": doubled(150, "Query", "me{id}", "{...F0}"),
            "2^150 aliases": doubled(150, "User", "a:id"),
            "a chain of 300 fragments": chained(300),
            "490 equal objects": "{ me {" + " tenant{id}" * 490 + "} }",
            "480 equal objects in a list": "{ workOrders { edges { node {" + " site{id}" * 480 + "} } } }",
            "95 equal objects six deep": "{ workOrders { edges { node {"
            + "asset{parent{parent{parent{parent{parent{id}}}}}}" * 95
            + "} } } }",
        },
    ),
    *documents(
        INVALID,
        {
            "unknown directives": "{ me @x { id" + " @x" * 300 + " } }",
            "directives where none may be": "query @skip(if: true) { me { id } }",
            "a directive twice": "{ me @skip(if: false) @skip(if: false) { id } }",
            "a directive without its argument": "{ me @skip { id } }",
            "a directive on a fragment": "{ ...A } fragment A on Query @include(if: true) { me { id } }",
            "a circle of fragments": "{ ...A } fragment A on Query { ...B } fragment B on Query { me { id } ...A }",
            "a fragment in itself": "{ ...A } fragment A on Query { ...A }",
            "a circle below fields": "{ me { ...A } } fragment A on User { tenant { id } ...A }",
            "unused fragments": "{ me { id } }"
            + "".join(f" fragment F{n} on Query {{ me {{ id }} }}" for n in range(150)),
            "an unknown fragment": "{ ...A }",
            "a fragment twice": "{ ...A } fragment A on Query { me { id } } fragment A on Query { me { id } }",
            "a fragment on another type": "{ me { ...A } } fragment A on WorkOrder { id }",
            "fragments on no types": "{ me { ...A ...B } } fragment A on String { id } fragment B on Nope { id }",
            "fragments on inputs": "{ me { ... on WorkOrderFilter { id } } }",
            "fields that conflict": "{ workOrders { edges { node { "
            + " ".join(f"tasks(first: {n}) {{ totalCount }}" for n in range(40))
            + " } } } }",
            "unknown fields": "{ me { " + " ".join(f"emai{n}" for n in range(1_900)) + " } }",
            "unknown arguments": "{ workOrders(" + " ".join(f"firs{n}: 1" for n in range(400)) + ") { totalCount } }",
            "unknown types": "{ me { id } }" + "".join(f" fragment F{n} on Use{n} {{ id }}" for n in range(150)),
            "an unknown field of an input": "{ workOrders(filters: { titel: { exact: 1 } }) { totalCount } }",
            "an argument 400 times": "{ node(" + 'id: "a" ' * 400 + ") { id } }",
            "a variable 400 times": "query(" + "$a: Int " * 400 + ") { me { id } }",
            "450 unused variables": "query(" + " ".join(f"$a{n}: Int" for n in range(450)) + ") { me { id } }",
            "unknown variables": "{ workOrders(first: $n, after: $a) { totalCount } }",
            "a variable of no type": "query($a: Nope) { node(id: $a) { id } }",
            "250 operations of a name": " ".join(["query A { me { id } }"] * 200),
            "an operation among several": " ".join(f"query A{n} {{ me {{ id }} }}" for n in range(200)),
            "a name of 16,000 letters": "{ " + "a" * 16_000 + " }",
            "a subscription": "subscription { me { id } }",
            "a type": "type Query { me: Int } { me { id } }",
            "an extended type": "extend type Query { x: Int } { me { id } }",
            "an unknown enum value": "{ workOrders(filters: { status: { exact: DRAFTT } }) { totalCount } }",
            "no selection": "{ me }",
            "a number of 5,000 digits": "{ workOrders(first: " + "9" * 5_000 + ") { totalCount } }",
            "a selection of a leaf": "{ me { id { id } } }",
        },
    ),
    *documents(
        MALFORMED,
        {
            "400 objects deep": "{ a" + "{a" * 400 + "}" * 400 + " }",
            "300 inline fragments deep": "{" + "...{" * 600 + "me{id}" + "}" * 600 + "}",
            "900 lists deep": "{ node(id: " + "[" * 900 + "]" * 900 + ") { id } }",
            "300 inputs deep": "{ workOrders(filters: " + "{AND:" * 300 + "{}" + "}" * 300 + ") { totalCount } }",
            "a type 900 lists deep": "query($a: " + "[" * 900 + "Int" + "]" * 900 + ") { me { id } }",
            "a default 400 inputs deep": "query($a: X = " + "{a:" * 400 + "1" + "}" * 400 + ") { me { id } }",
            "half a document": "{ me { id }",
            "a comment alone": "#",
            "commas alone": "," * 16_000,
            "nothing": "",
            "an unending text": '{ node(id: "a) { id } }',
            "a bad escape": '{ node(id: "\\q") { id } }',
            "half a surrogate pair": '{ node(id: "\\ud800") { id } }',
            "the wrong half of one": '{ node(id: "\\u{dfff}") { id } }',
            "a character beyond Unicode": '{ node(id: "\\u{110000}") { id } }',
            "a character of many digits": '{ node(id: "\\u{' + "F" * 500 + '}") { id } }',
            "NUL in a document": "{ me { id } }\x00",
        },
    ),
    *documents(
        SERVED,
        {
            "30 aliases": alias(30, "me { id }"),
            "50 fields of the root": "{" + " me{id}" * 50 + "}",
            "2^150 equal fields": doubled(150, "User", "id"),
            "a chain of 40 fragments": chained(40),
            "a mesh of fragments": meshed(30, 6),
            "150 inline fragments deep": "{ " + "... on Query { " * 150 + "me { id }" + " }" * 150 + " }",
            "a tree of 2^4": "{ assets { edges { node { " + tree(4, 2) + " } } } }",
            "15 KB of commas": "," * 15_000 + "{ me { id } }",
            "15 KB of comment": "#" + "x" * 7_000 + "\n" * 8_000 + "{ me { id } }",
            "16 KB": "{me{id}}" + "," * (16_384 - 8),
            "16 KB in two-byte letters": "#" + "é" * 8_187 + "\n{me{id}}",
            "a byte order mark": "\ufeff{ me { id } }",
            "all skipped": "{ me @skip(if: true) { id } }",
        },
    ),
]

INTROSPECTION: Final = documents(
    INVALID,
    {
        "the schema": "{ __schema { types { name } } }",
        "a type by its name": '{ __type(name: "WorkOrder") { fields { name } } }',
        "30 types": alias(30, '__type(name: "WorkOrder") { fields { name } }'),
        "types in types": "{ __schema { types" + "{fields{type" * 9 + "{name}" + "}}" * 9 + " } }",
        "the schema in a fragment": "{ ...A } fragment A on Query { s: __schema { queryType { name } } }",
        "a misspelt field": "{ workOrder { totalCount } }",
        "a misspelt argument": "{ workOrders(frist: 1) { totalCount } }",
        "a misspelt type": "{ me { ... on Usr { id } } }",
        "a misspelt value": "{ workOrders(filters: { status: { exact: DRAF } }) { totalCount } }",
        "a misspelt input": 'mutation { createSite(input: { cod: "a", name: "b" }) { __typename } }',
    },
)

DEEP: Final = [
    asked("filters 200 deep", TOO_MUCH, COUNT, f=nested(200, "AND", "OR", "NOT")),
    asked("filters 60 deep", TOO_MUCH, COUNT, f=nested(60, "AND", leaf={"title": {"exact": "a"}})),
    asked("lists 200 deep", INVALID, NODE, id=nested(200, "a")),
    asked("50,000 texts", TOO_MUCH, COUNT, f={"title": {"inList": ["a"] * 50_000}}),
    asked("a list of 1,000 in each OR", TOO_MUCH, COUNT, f=ors(30, {"title": {"inList": ["a"] * 1_000}})),
    asked("a relation 30 deep", SERVED, COUNT, f={"asset": nested(30, "parent", leaf={"name": {"iContains": "a"}})}),
    *bodies(
        MALFORMED,
        {
            "variables 10,000 deep": b'{"query":"{me{id}}","variables":{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}}",
            "objects 10,000 deep": b'{"query":"{me{id}}","variables":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001,
            "arrays 10,000 deep": b"[" * 10_000,
        },
    ),
]

NO_INT: Final[tuple[Any, ...]] = (2**31, -(2**31) - 1, 2**63, 10**30, 1.5, "5", True, [1], {})
SIZES: Final[tuple[Any, ...]] = (0, 1.0, None, 100)
NUMBERS: Final = [
    *(asked(f"first {size}", REFUSED, LIST, n=size) for size in (-1, 101, -(2**31))),
    *(asked(f"first {size}", COMPLEX, LIST, n=size) for size in (5_000, 2**31 - 1)),
    *(asked(f"first {size!r}", SERVED, LIST, n=size) for size in SIZES),
    *(asked(f"first {value!r}", INVALID, LIST, n=value) for value in NO_INT),
    *(
        asked(f"version {value!r}", INVALID, BULK, i={"items": [{"id": "@order@", "version": value}], "action": "HOLD"})
        for value in (*NO_INT, None)
    ),
    *documents(
        REFUSED,
        {
            "last -5": "{ workOrders(last: -5) { edges { node { id } } } }",
            "first and last": "{ workOrders(first: 1, last: 1) { edges { node { id } } } }",
            "first -1 of a search": '{ search(query: "pump", first: -1) { totalCount } }',
            "first below": "{ workOrders { edges { node { tasks(first: -2147483648) { edges { node { id } } } } } } }",
            "101 ids": '{ nodes(ids: ["a"' + ', "a"' * 100 + "]) { id } }",
            "two terms in one": "{ workOrders(ordering: [{ title: ASC, number: ASC }]) { totalCount } }",
            "nine terms of an order": "{ workOrders(ordering: ["
            + "{title: ASC} " * 9
            + "]) { edges { node { id } } } }",
        },
    ),
    *documents(
        INVALID,
        {
            "first 1e400": "{ workOrders(first: 1e400) { totalCount } }",
            "first 10^400": "{ workOrders(first: 1" + "0" * 400 + ") { totalCount } }",
        },
    ),
    asked(
        "5,000,000,000 points",
        COMPLEX,
        "{ workOrders(first: 2147483647) { edges { node { tasks { edges { node {"
        " history { edges { node { id } } } } } } } } } }",
    ),
    asked("50,000 ids", COMPLEX, "query($i: [ID!]!) { nodes(ids: $i) { id } }", i=["@user@"] * 50_000),
]

REPORTS: Final = [
    *(asked(name, SERVED, BULK, i={"items": items, "action": "SUBMIT", "onError": "SKIP_FAILED"}) for name, items in {
        "no items": [], "1,001 items": [{"id": "@order@", "version": 1}] * 1_001,
        "1,000 times one item": [{"id": "@order@", "version": 1}] * 1_000,
        "items of another tenant": [{"id": "@rival_order@", "version": 1}],
        "items of another type": [{"id": "@site@", "version": 1}, {"id": "@rival_site@", "version": 1}],
        "1,000 items of nothing": [{"id": f"x{n}", "version": -n} for n in range(1_000)],
        "stale items": [{"id": "@order@", "version": 2**31 - 1}]}.items()),
    asked("5,001 items", COMPLEX, BULK, i={"items": [{"id": "@order@", "version": 1}] * 5_001, "action": "SUBMIT"}),
    asked("no item", INVALID, BULK, i={"items": [None], "action": "SUBMIT"}),
]  # fmt: skip


@pytest.mark.parametrize("attack", [*FLOODS, *INTROSPECTION, *DEEP, *NUMBERS, *REPORTS], ids=str)
def test_a_document_made_to_hurt_is_told_so_and_nothing_happens(target: Target, attack: Attack) -> None:
    withstands(target, attack)


WORST: Final = {
    "equal fields": "{ me {" + " id" * 1_900 + "} }",
    "equal objects": "{ me {" + " tenant{id}" * 490 + "} }",
    "equal lists": "{ workOrders { edges { node {" + " tasks(first:1){totalCount}" * 190 + "} } } }",
    "equal objects five deep": "{ assets{edges{node{" + "parent{parent{parent{parent{parent{id}}}}}" * 120 + "}}}}",
    "a tree of 2^7": "{ assets { edges { node { " + tree(7, 2) + " } } } }",
    "a tree of 4^4": "{ assets { edges { node { " + tree(4, 4) + " } } } }",
    "a mesh of fragments": meshed(140, 3),
    "fragments side by side": "{ me {" + "".join(f" ...F{n}" for n in range(180)) + "} }"
    + "".join(f" fragment F{n} on User{{id name}}" for n in range(180)),
    "a chain of fragments": chained(200),
    "spreads to the power of 40": "{assets{edges{node{...F0}}}} fragment F8 on Asset{id}"
    + "".join(f"fragment F{n} on Asset{{{f'parent{{...F{n + 1}}}' * 40}}}" for n in range(8)),
    "misspelt fields": "{ me { " + " ".join(f"emai{n}" for n in range(1_900)) + " } }",
    "misspelt inputs": "{workOrders(filters:{" + " ".join(f"title{n}:1" for n in range(490)) + "}){totalCount}}",
    "arguments that differ": "{ workOrders { edges { node { "
    + " ".join(f"tasks(first: {n}) {{ totalCount }}" for n in range(180)) + " } } } }",
}  # fmt: skip


HARMLESS: Final = f"{{ workOrders(filters: {{ title: {{ inList: {['a'] * 1_800!r} }} }}) {{ totalCount }} }}".replace(
    "'", '"'
)
"""A document as long as those, of which each part is looked at by itself."""

UNREAD: Final = count()
"""Makes each document another text, which the server has not read yet."""


@pytest.mark.parametrize("name", WORST)
def test_no_document_takes_far_more_of_the_processor_than_a_harmless_one_of_its_length(
    target: Target, name: str
) -> None:
    assert seconds_for(target, WORST[name]) < 25 * seconds_for(target, HARMLESS)


def seconds_for(target: Target, document: str) -> float:
    """Return how long the processor works on a document that it has not read, the better of two times."""
    found = []
    for _ in range(2):
        started = time.process_time()
        target.send(Attack("", "", {"query": f"{document} #{next(UNREAD)}", "extensions": {"cost": "explain"}}))
        found.append(time.process_time() - started)
    return min(found)
