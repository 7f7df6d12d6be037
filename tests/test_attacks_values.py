"""Texts, ids and cursors that are forged, broken or another's: refused in words or of nothing, and nothing is told."""

import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

import pytest
from graphql import GraphQLInputObjectType, Undefined, get_named_type
from pytest_django import Settings

from apps.accounts.models import Tenant
from schema.reads.global_id import encode_id
from tests import factories
from tests.attacks import Attack, Target, asked, withstands
from tests.graphql import OBJECTS

REFUSED: Final = "294 BAD_REQUEST"
SERVED: Final = "200"
NODE: Final = "query($x: ID!) { node(id: $x) { id } }"
NODES: Final = "query($x: [ID!]!) { nodes(ids: $x) { id } }"
AFTER: Final = "query($x: String) { workOrders(after: $x) { edges { node { id } } } }"
SEARCH_AFTER: Final = 'query($x: String) { search(query: "pump", after: $x) { edges { node { id } } } }'

TEXTS: Final = {
    "NUL": "\x00",
    "NUL inside": "a\x00b",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85",
    "directions": "\u202eabc\u202c\u2066",
    "no character": "\ufffe\uffff\U0010ffff",
    "SQL": "'; DROP TABLE work_orders_workorder; --",
    "patterns": "%_\\%_",
    "percents": "%s %(a)s %% {0} {a} $1",
    "a backslash": "\\",
    "30,000 letters": "a" * 30_000,
    "200,000 marks": "a\u0301" * 100_000,
    "ligatures": "ﷺ" * 1_000,
    "nothing": "",
    "a blank": " ",
}
TOLD_OF_TEXTS: Final = f"200|{REFUSED}|422 BAD_REQUEST"
"""A text may be one that nothing has, or one that makes no sense; a time or a number is none."""

READS: Final = {
    "an id": NODE,
    "ids": "query($x: ID!) { nodes(ids: [$x]) { id } }",
    "a query": "query($x: String!) { search(query: $x) { totalCount } }",
    "a cursor": AFTER,
    "a cursor of a search": SEARCH_AFTER,
    "lookups of a text": "query($x: String!) { workOrders(filters: { title: { exact: $x, iExact: $x, inList: [$x], "
    "contains: $x, iContains: $x, startsWith: $x, iStartsWith: $x } }) { totalCount } }",
    "a relation's text": "query($x: String!) { workOrders(filters: { site: { code: { exact: $x } } }) { totalCount } }",
    "a number": "query($x: String!) { workOrders(filters: { number: { exact: $x, inList: [$x] } }) { totalCount } }",
    "a time": "query($x: DateTime!) { workOrders(filters: { dueAt: { gt: $x } }) { totalCount } }",
    "an id in a filter": "query($x: ID!) { workOrders(filters: { id: { inList: [$x] } }) { totalCount } }",
    "an entity": "query($x: ID!) { auditLog(filters: { entity: $x }) { totalCount } }",
    "a bulk": "query($x: ID!) { auditLog(filters: { operationId: $x }) { totalCount } }",
    "a type": "query($x: String!) { __type(name: $x) { name } }",
}
MUTATIONS: Final = OBJECTS["Mutation"].fields


@pytest.fixture
def target(demo: Tenant, rival: Tenant, settings: Settings) -> Target:
    """Return an attacker and its prey, on a server that shows its schema to nobody."""
    settings.INTROSPECTION = settings.GRAPHIQL = False
    return Target.among(demo, rival)


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def cursor(*values: Any) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize("place", READS)
def test_any_text_is_answered_or_refused_wherever_it_is_sent(target: Target, place: str) -> None:
    for name, text in TEXTS.items():
        attack = asked(name, TOLD_OF_TEXTS, READS[place], x=text)
        withstands(target, attack)


@pytest.mark.parametrize("name", MUTATIONS)
def test_no_mutation_fails_over_a_text_that_is_nonsense_for_an_id(target: Target, name: str) -> None:
    kind: Any = get_named_type(MUTATIONS[name].args["input"].type)
    document = f"mutation($i: {kind.name}!) {{ {name}(input: $i) {{ __typename }} }}"
    for text in ("NUL", "no character", "SQL", "30,000 letters"):
        answer = withstands(target, asked(name, SERVED, document, i=filled(kind, TEXTS[text])))
        (payload,) = answer.json()["data"].values()
        assert payload["__typename"] in {"ValidationFailed", "NotFound", "BulkTransitionReport"}


def filled(kind: GraphQLInputObjectType, text: str) -> dict[str, Any]:
    """Return an input with the text for each text and each id, and something for all that is required."""
    given: dict[str, Any] = {}
    for name, declared in kind.fields.items():
        inner: Any = get_named_type(declared.type)
        if isinstance(inner, GraphQLInputObjectType):
            given[name] = [filled(inner, text)]
        elif inner.name in {"String", "ID"}:
            given[name] = text
        elif str(declared.type).endswith("!") and declared.default is None and declared.default_value is Undefined:
            given[name] = 1 if inner.name == "Int" else next(iter(getattr(inner, "values", {"": None})))
    return given


IDS: Final = {
    REFUSED: {
        "nothing": "",
        "a word": "WorkOrder:1",
        "a negative key": coded("WorkOrder:-1"),
        "a signed key": coded("WorkOrder:+1"),
        "a key of 400 digits": coded("WorkOrder:" + "9" * 400),
        "a key beyond bigint": coded("WorkOrder:9999999999999999999"),
        "a key that is none": coded("WorkOrder:1e3"),
        "a blank before the key": coded("WorkOrder: 1"),
        "digits of another script": coded("WorkOrder:١٢"),
        "a key with underscores": coded("WorkOrder:1_000"),
        "an unknown type": coded("Nope:1"),
        "a type without nodes": coded("Query:1"),
        "an input": coded("WorkOrderFilter:1"),
        "a model that is no node": coded("ApiToken:1"),
        "a dunder": coded("__class__:1"),
        "no type": coded(":1"),
        "blanks in Base64": " " + coded("WorkOrder:1"),
        "half of Base64": coded("WorkOrder:1")[:-1],
        "letters of no Base64": "é" * 16,
        "100,000 characters": "A" * 100_000,
    },
    SERVED: {
        "another tenant's row": "@rival_order@",
        "another tenant's site": "@rival_site@",
        "another tenant's person": "@rival_user@",
        "no row": coded("WorkOrder:999999999"),
        "the last key": coded(f"WorkOrder:{2**63 - 1}"),
        "key 0": coded("WorkOrder:0"),
    },
}


@pytest.mark.parametrize(
    "attack",
    [asked(name, expected, NODE, x=text) for expected, texts in IDS.items() for name, text in texts.items()]
    + [asked(f"{name} of two", expected, NODES, x=["@order@", text]) for expected, texts in IDS.items()
       for name, text in texts.items()],
    ids=str,
)  # fmt: skip
def test_a_forged_id_opens_nothing(target: Target, attack: Attack) -> None:
    answer = withstands(target, attack)
    data = answer.json()["data"]
    if attack.told == SERVED:
        assert data in ({"node": None}, {"nodes": [{"id": target.ids["order"]}, None]})
    else:
        assert data in ({"node": None}, None)


CURSORS: Final = {
    "nothing": "",
    "no Base64": "é~",
    "half a cursor": "@cursor@"[:5],
    "100,000 characters": "A" * 100_000,
    "deep": urlsafe_b64encode(b"[" * 5_000).decode(),
    "no list": cursor(1)[:-2],
    "no values": cursor(),
    "another mark": cursor(1, 1, 1),
    "an object": urlsafe_b64encode(b'{"a": 1}').decode(),
    "a number beyond all": urlsafe_b64encode(b"[1, 1e999]").decode(),
    "half a surrogate pair": urlsafe_b64encode(b'[1, "\\ud800"]').decode(),
    "an id": "@order@",
}


@pytest.mark.parametrize("document", [AFTER, SEARCH_AFTER], ids=["list", "search"])
@pytest.mark.parametrize("name", CURSORS)
def test_a_forged_cursor_is_refused(target: Target, name: str, document: str) -> None:
    withstands(target, asked(name, REFUSED, document, x=CURSORS[name]))


@pytest.mark.parametrize(
    ("made_by", "sent_to"),
    [
        ("tasks", "workOrders"),
        ("workOrders(ordering: [{ title: ASC }])", "workOrders"),
        ("workOrders", "workOrders(ordering: [{ title: ASC }]"),
        ("sites", "assets"),
        ("workOrders", 'search(query: "pump"'),
    ],
)
def test_a_cursor_of_another_list_is_refused(target: Target, made_by: str, sent_to: str) -> None:
    made = target.send(asked("cursor", SERVED, f"{{ {made_by} {{ edges {{ cursor }} }} }}")).json()["data"]
    ((edge, *_),) = [found["edges"] for found in made.values()]
    given = f"{sent_to}, " if "(" in sent_to else f"{sent_to}("
    document = f"{{ {given}after: {json.dumps(edge['cursor'])}) {{ edges {{ node {{ id }} }} }} }}"
    withstands(target, asked("cursor", REFUSED, document))


@pytest.mark.parametrize("name", ["title", "id", "bigint"])
def test_a_cursor_may_not_carry_values_that_no_column_holds(target: Target, name: str) -> None:
    made = target.send(asked("cursor", SERVED, "{ workOrders { edges { cursor } } }")).json()["data"]
    text = made["workOrders"]["edges"][0]["cursor"]
    mark, *values = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    forged = cursor(mark, *({"title": "a\x00", "id": [1], "bigint": 2**70}[name] for _ in values))
    withstands(target, asked("cursor", REFUSED, AFTER, x=forged))


def test_a_filter_by_anothers_id_finds_nothing(target: Target) -> None:
    document = "query($x: ID!) { workOrders(filters: { site: { id: { exact: $x } } }) { totalCount } }"
    answer = withstands(target, asked("site", SERVED, document, x="@rival_site@"))
    assert answer.json()["data"] == {"workOrders": {"totalCount": 0}}


@pytest.mark.parametrize("kind", ["Site", "Asset", "User"])
def test_anothers_row_is_as_if_there_were_none_for_a_mutation(target: Target, rival: Tenant, kind: str) -> None:
    field = {"Site": "siteId", "Asset": "assetId", "User": "assigneeId"}[kind]
    theirs = {"Site": "@rival_site@", "Asset": encode_id("Asset", factories.asset(rival).pk), "User": "@rival_user@"}
    document = "mutation($i: CreateWorkOrderInput!) { createWorkOrder(input: $i) { ... on ValidationFailed { problems "
    document += "{ path message } } } }"
    answers = [
        withstands(target, asked(field, SERVED, document, i={"title": "a", field: text})).json()["data"]
        for text in (theirs[kind], coded(f"{kind}:99999"))
    ]
    assert answers[0] == answers[1]
    assert answers[0]["createWorkOrder"]["problems"][0]["path"] == field
