"""How documents are read: once for each text, priced once for each reading of what decides, and only up to a size."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from graphql import GraphQLObjectType
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tenancy import tenant_scope
from schema.busy import Busy
from schema.documents import document
from schema.documents.document import CACHE_CHARACTERS, LEAST_CHARACTERS, MAX_ERRORS, MAX_PRICES, SIZING, Document, read
from schema.operation import answer_all
from schema.preparing import Asked
from schema.weights import weight_of
from tests.graphql import OBJECTS, execute, refusal
from tests.test_cost import GRAPHQL, NODES, VARIABLE

CACHE: Final[Any] = document._read.cache
Explain = Callable[..., int]
FIRST: Final = "query ($n: Int) { workOrders(first: $n) { edges { cursor } } }"


@pytest.fixture(autouse=True)
def nothing_read_yet() -> Iterator[None]:
    """Let no test profit from what another has read."""
    CACHE.clear()
    yield
    CACHE.clear()


@pytest.fixture
def explain(technician: User) -> Explain:
    """Return a function that returns what a document costs with these variables, as a client is told."""

    def explained(text: str, variables: dict[str, Any] | None = None, **about: Any) -> int:
        asked = Asked(text, variables=variables, extensions={"cost": "explain"}, **about)
        with tenant_scope(technician.tenant_id):
            (answer,), _ = answer_all(technician, [asked], Busy())
        assert (answer.errors, answer.ran) == ((), False)
        return answer.requested

    return explained


def found(text: str) -> Document:
    one = read(GRAPHQL, text)
    assert isinstance(one, Document)
    return one


# What decides on a price.


def all_fields() -> Iterator[tuple[GraphQLObjectType, str]]:
    return ((kind, name) for kind in OBJECTS.values() for name in kind.fields)


def test_the_arguments_that_size_lists_are_the_ones_whose_variables_decide() -> None:
    weights = [weight_of(kind, name) for kind, name in all_fields()]
    paths = [path for weight in weights for path in (*weight.slicing, *(path for path, _ in weight.items))]
    assert {path.partition(".")[0] for path in paths} == SIZING
    assert {path for path in paths if "." in path} == {"input.items"}, "a reading looks one level into an object"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("query ($n: Int, $a: String) { workOrders(first: $n, after: $a) { totalCount } }", ("n",)),
        ("query ($n: Int, $b: String) { workOrders(last: $n, before: $b) { totalCount } }", ("n",)),
        ("query ($f: WorkOrderFilter) { workOrders(filters: $f) { totalCount } }", ()),
        (
            'query ($b: Boolean!, $a: Boolean!) { me @skip(if: $b) { id @include(if: $a) } node(id: "x") { id } }',
            ("a", "b"),
        ),
        (NODES, ("ids",)),
        ("query ($a: ID!) { nodes(ids: [$a]) { id } }", ("a",)),
        ("query { ...F } fragment F on Query { sites(first: $n) { totalCount } }", None),
        ("query ($n: Int) { ...F } fragment F on Query { sites(first: $n) { totalCount } }", ("n",)),
        ("mutation ($input: CreateTaskInput!) { createTask(input: $input) { __typename } }", ("input",)),
        (
            """mutation ($t: String!, $d: DateTime) {
                createTask(input: {title: $t, dueAt: $d}) { __typename }
            }""",
            ("d", "t"),
        ),
    ],
)
def test_the_variables_that_decide_are_known(text: str, names: tuple[str, ...] | None) -> None:
    one = read(GRAPHQL, text)
    assert (one.deciding if isinstance(one, Document) else None) == names


BY_DOCUMENT: Final = {
    text: [(given, points) for one, given, points in VARIABLE if one == text] for text, _, _ in VARIABLE
}
FAILING: Final[dict[str, list[tuple[dict[str, Any], int]]]] = {
    'query ($q: String = "pump") { search(query: $q, first: 1000) { edges { cursor } } }': [
        ({"q": None}, 1010),
        ({}, 1010),
    ],
    "query ($o: WorkOrderOrder = {title: ASC}) { workOrders(first: 100, ordering: [$o]) { edges { cursor } } }": [
        ({"o": None}, 102),
        ({}, 102),
        ({"o": {"title": "DESC"}}, 102),
    ],
}
"""Variables that may be null by their type, where there must be a value: then the field brings an error."""


@pytest.mark.parametrize("text", [*BY_DOCUMENT, *FAILING])
@pytest.mark.parametrize("order", [1, -1])
def test_one_document_costs_what_its_variables_say_in_whatever_order_they_come(
    explain: Explain, text: str, order: int
) -> None:
    expected = (BY_DOCUMENT | FAILING)[text]
    for given, points in [*expected, *expected][::order]:
        assert explain(text, given) == points, given


@pytest.mark.parametrize("others", [[{}, {"a": "y"}], [{"a": "y"}, {}]])
def test_a_list_with_a_null_where_none_may_be_sets_no_price_for_one_without(
    explain: Explain, others: list[dict[str, Any]]
) -> None:
    nodes = 'query ($a: ID = "x") { nodes(ids: [$a, "b", "c"]) { id } }'
    bulk = """mutation ($a: ID = "x") {
        bulkTransitionTasks(input: {items: [{id: $a, version: 1}, {id: "b", version: 1}], action: START}) { __typename }
    }"""
    for given in ({"a": None}, *others):
        prices = explain(nodes, given), explain(bulk, given)
        assert given == {"a": None} or prices == (3, 12)


def test_operations_of_one_document_have_prices_of_their_own(explain: Explain) -> None:
    text = """
        query A($n: Int = 3) { workOrders(first: $n) { edges { cursor } } }
        query B($n: Int = 3) { workOrders(first: $n) { edges { node { site { id } } } } }
    """
    prices = [explain(text, given, operation_name=name) for _ in range(2) for name in "AB" for given in ({}, {"n": 5})]
    assert prices == [5, 7, 8, 12] * 2


# Once.


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return how often documents are parsed, validated and priced from now on."""
    counted: Counter[str] = Counter()

    def count(path: str) -> None:
        module, name = path.rsplit(".", 1)
        original = getattr(__import__(module, fromlist=[name]), name)

        def counting(*given: Any, **named: Any) -> Any:
            counted[name] += 1
            return original(*given, **named)

        monkeypatch.setattr(path, counting)

    for path in ("schema.documents.document.parse", "schema.documents.document.validate", "schema.preparing.price"):
        count(path)
    return counted


def test_a_text_is_parsed_validated_and_priced_once(technician: User, calls: Counter[str]) -> None:
    for _ in range(3):
        assert execute(technician, "{ me { id } }").errors == []
    assert calls == {"parse": 1, "validate": 1, "price": 1}


def test_it_is_priced_again_when_what_decides_is_another(explain: Explain, calls: Counter[str]) -> None:
    text = (
        "query ($n: Int, $a: String, $i: ID!) { node(id: $i) { id } workOrders(first: $n, after: $a) { totalCount } }"
    )
    for number in (None, 5, 6, 5):
        for after in ("x", "y", None):
            explain(text, {"n": number, "a": after, "i": f"{number}{after}"})
    assert calls == {"parse": 1, "validate": 1, "price": 3}


def test_a_list_decides_by_its_length_alone(explain: Explain, calls: Counter[str]) -> None:
    assert [explain(NODES, {"ids": [letter, "x"]}) for letter in "abc"] == [2, 2, 2]
    assert calls["price"] == 1


@pytest.mark.parametrize("text", ["{ me {", "{ nothing }", "{ me { id } } " + "#" * 20_000])
def test_what_is_wrong_with_a_text_is_found_once(technician: User, calls: Counter[str], text: str) -> None:
    told = [[error.message for error in execute(technician, text).errors] for _ in range(3)]
    assert told[0] == told[1] == told[2] != []
    assert max(calls.values(), default=0) <= 1


def test_who_may_see_the_schema_and_who_may_not_read_a_text_differently(
    technician: User, calls: Counter[str], settings: Settings
) -> None:
    text = "{ __schema { queryType { name } } }"
    for seen in (True, False, True, False):
        settings.INTROSPECTION = seen
        answer = execute(technician, text)
        assert (answer.status, answer.ran) == ((200, True) if seen else (422, False))
    assert calls["parse"] == 2


# No more than so much is remembered.


def test_so_many_prices_of_a_document_are_remembered(explain: Explain, calls: Counter[str]) -> None:
    prices = [explain(FIRST, {"n": number}) for number in range(MAX_PRICES + 10)]
    assert prices == [2 + number for number in range(MAX_PRICES + 10)]
    assert len(found(FIRST).prices) == MAX_PRICES == 16
    assert explain(FIRST, {"n": 0}) == 2
    assert calls["price"] == MAX_PRICES + 11


def padded(text: str, size: int) -> str:
    """Return a text made so many bytes long by a comment."""
    return f"{text} #{'x' * (size - len(text) - 2)}"


def test_so_much_text_is_remembered() -> None:
    kept = CACHE
    for number in range(40):
        found(padded(f"{{ a{number}: me {{ id }} }}", 16_000))
    room = 16_000 + LEAST_CHARACTERS
    assert (kept.currsize, len(kept)) == (CACHE_CHARACTERS // room * room, CACHE_CHARACTERS // room) == (486_000, 30)
    found("{ me { id } }")
    assert kept.currsize == 486_000 + len("{ me { id } }") + LEAST_CHARACTERS


def test_a_text_that_is_too_long_pushes_nothing_out(technician: User) -> None:
    found("{ me { id } }")
    assert refusal(technician, "#" * 490_000)[0] == "QUERY_TOO_COMPLEX"
    assert len(CACHE) == 1


# How large a document may be.


def listed(count: int) -> str:
    """Return a document of so many tokens."""
    return "{ nodes(ids: [" + '"a" ' * (count - 12) + "]) { id } }"


def deep(levels: int) -> str:
    """Return a document of so many levels of fields."""
    inner = "id"
    for _ in range(levels - 2):
        inner = f"parent {{ {inner} }}"
    return f'{{ node(id: "x") {{ ... on Asset {{ {inner} }} }} }}'


def deep_by_fragments(levels: int) -> str:
    chain = [f"fragment F{level} on Asset {{ parent {{ ...F{level + 1} }} }}" for level in range(levels - 2)]
    last = f"fragment F{levels - 2} on Asset {{ id }}"
    return " ".join(['{ node(id: "x") { ...F0 } }', *chain, last])


def renamed(count: int) -> str:
    """Return a document of so many aliases, on two levels."""
    inner = " ".join(f"b{number}: name" for number in range(count - 10))
    return "{ " + " ".join(f"a{number}: rateLimit {{ cost }}" for number in range(10)) + f" me {{ {inner} }} }}"


def renamed_by_fragments(count: int) -> str:
    spreads = "...F " * (count // 10)
    rest = " ".join(f"b{number}: id" for number in range(count % 10))
    names = " ".join(f"a{number}: name" for number in range(10))
    return f"{{ me {{ {spreads} {rest} id }} }} fragment F on User {{ {names} }}"


def wide(count: int) -> str:
    """Return a document of so many fields of the root, some of them skipped, some the same."""
    return "{ me { id } rateLimit @skip(if: true) { cost } " + "__typename " * (count - 2) + "}"


def wide_by_fragments(count: int) -> str:
    rest = "__typename " * (count - 2 * 20)
    return "{ ...F ... on Query { ...F } " + rest + "} fragment F on Query { " + "__typename " * 20 + "}"


LIMITS: Final[list[tuple[str, int, Callable[[int], str], str]]] = [
    ("MAX_DOCUMENT_BYTES", 16_384, lambda size: padded("{ me { id } }", size), "have 16384 bytes; this one has 16385."),
    (
        "MAX_DOCUMENT_BYTES",
        16_384,
        lambda size: "{ me { id } } #" + "ø" * ((size - 15) // 2) + "x" * ((size - 15) % 2),
        "have 16384 bytes; this one has 16385.",
    ),
    ("MAX_TOKENS", 2000, listed, "have 2000 tokens; this one has more."),
    ("MAX_DEPTH", 12, deep, "have 12 levels of fields; this one has 13. Ask in parts."),
    ("MAX_DEPTH", 12, deep_by_fragments, "have 12 levels of fields; this one has 13. Ask in parts."),
    ("MAX_ALIASES", 30, renamed, "have 30 aliases; this one has 31. Ask in parts."),
    ("MAX_ALIASES", 30, renamed_by_fragments, "have 30 aliases; this one has 31. Ask in parts."),
    ("MAX_ROOT_FIELDS", 50, wide, "have 50 fields of the root; this one has 51. Ask in parts."),
    ("MAX_ROOT_FIELDS", 50, wide_by_fragments, "have 50 fields of the root; this one has 51. Ask in parts."),
]


@pytest.mark.parametrize(("name", "most", "make", "message"), LIMITS)
def test_up_to_a_limit_a_document_runs_and_beyond_it_does_not(
    technician: User, settings: Settings, name: str, most: int, make: Callable[[int], str], message: str
) -> None:
    assert getattr(settings, name) == most
    assert execute(technician, make(most)).ran
    answer = execute(technician, make(most + 1))
    (error,) = answer.errors
    assert (answer.status, answer.ran, answer.requested, answer.actual) == (422, False, 1, 1)
    assert error.extensions == {"code": "QUERY_TOO_COMPLEX"}
    assert error.message.endswith(message)


@pytest.mark.parametrize(
    ("name", "most", "make"), [(name, 45 if make is wide_by_fragments else 25, make) for name, _, make, _ in LIMITS]
)
def test_the_settings_say_how_large_a_document_may_be(
    technician: User, settings: Settings, name: str, most: int, make: Callable[[int], str]
) -> None:
    if name == "MAX_DEPTH":
        most = 5
    setattr(settings, name, most)
    assert execute(technician, make(most)).ran
    code, message = refusal(technician, make(most + 1))
    assert (code, str(most) in message) == ("QUERY_TOO_COMPLEX", True)


def test_each_operation_of_a_document_is_measured_by_itself(technician: User) -> None:
    one, other = renamed(30)[1:], renamed(30)[1:]
    both = f"query A {{ {one} query B {{ {other}"
    assert isinstance(read(GRAPHQL, both), Document)
    assert not isinstance(read(GRAPHQL, f"query A {{ {one} query C {renamed(31)}"), Document)


def test_introspection_is_one_level_deep_however_deep_it_leads(technician: User) -> None:
    types = "type { " + "ofType { " * 12 + "name" + " }" * 13
    assert execute(technician, f"{{ __schema {{ types {{ fields {{ {types} }} }} }} }}").errors == []
    aliases = " ".join(f"a{number}: name" for number in range(31))
    assert refusal(technician, f"{{ __schema {{ types {{ {aliases} }} }} }}")[0] == "QUERY_TOO_COMPLEX"


def test_fragments_that_double_each_other_are_measured_in_no_time(technician: User) -> None:
    chain = [f"fragment F{level} on User {{ ...F{level + 1} ...F{level + 1} }}" for level in range(100)]
    text = " ".join(["{ me { ...F0 } }", *chain, "fragment F100 on User { a: name }"])
    assert refusal(technician, text) == (
        "QUERY_TOO_COMPLEX",
        "An operation may have 30 aliases; this one has 1000000. Ask in parts.",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ ...F } fragment F on Query { me { id } ...F }", "Cannot spread fragment 'F' within itself."),
        ("{ me { ...G } }", "Unknown fragment 'G'."),
        ("subscription { me { id } }", "The subscription operation is not supported by the schema."),
        (f"{{ workOrders(first: {'9' * 5000}) {{ totalCount }} }}", "A number in the document is too long to be read."),
    ],
)
def test_what_can_not_be_measured_is_refused_by_validation(technician: User, text: str, message: str) -> None:
    assert refusal(technician, text) == ("BAD_REQUEST", message)
    assert execute(technician, text).status == 422


@pytest.mark.parametrize(
    "text",
    [
        "{ me " * 900 + "{ id " + "}" * 901,
        "{ nodes(ids: " + "[" * 950 + "]" * 950 + ") { id } }",
        "{ workOrders(filters: " + "{ AND: " * 480 + "{}" + "}" * 480 + ") { totalCount } }",
    ],
)
def test_what_is_nested_deeper_than_can_be_parsed_is_refused(technician: User, text: str) -> None:
    assert refusal(technician, text) == (
        "BAD_REQUEST",
        "Syntax Error: Document is nested too deeply. Parsing aborted.",
    )
    assert execute(technician, text).status == 400


def test_variables_that_are_nested_deeper_than_can_be_read_are_refused(technician: User) -> None:
    filters: dict[str, Any] = {}
    for _ in range(900):
        filters = {"AND": filters}
    answer = execute(technician, "query ($f: WorkOrderFilter) { workOrders(filters: $f) { totalCount } }", f=filters)
    assert [(error.extensions or {})["code"] for error in answer.errors] == ["BAD_REQUEST"]
    assert (answer.status, answer.ran) == (422, False)


def test_where_much_is_allowed_what_is_nested_too_deep_is_refused(technician: User, settings: Settings) -> None:
    settings.MAX_DEPTH, settings.MAX_TOKENS, settings.MAX_DOCUMENT_BYTES = 1000, 20_000, 100_000
    told = [refusal(technician, deep(levels))[1] for levels in range(100, 300, 10)]
    assert told.count("The operation is nested too deep.") > 1
    chain = " ".join(f"fragment F{level} on User {{ ...F{level + 1} }}" for level in range(800))
    text = f"{{ me {{ ...F0 }} }} {chain} fragment F800 on User {{ id }}"
    assert refusal(technician, text) == ("QUERY_TOO_COMPLEX", "The document is nested too deep.")
    assert execute(technician, text).status == 422


def test_of_many_errors_the_first_are_told(technician: User) -> None:
    answer = execute(technician, "{ " + " ".join(f"nothing{number}" for number in range(40)) + " }")
    messages = [error.message for error in answer.errors]
    assert len(messages) == MAX_ERRORS + 1
    assert messages[-1].startswith("Too many validation errors")
    assert {(error.extensions or {})["code"] for error in answer.errors} == {"BAD_REQUEST"}


def meeting(count: int) -> str:
    """Return a document in which each of so many fragments meets each other."""
    spreads = " ".join(f"...F{number}" for number in range(count))
    fragments = " ".join(f"fragment F{number} on User {{ id name role }}" for number in range(count))
    return f"{{ me {{ {spreads} }} }} {fragments}"


def test_fields_that_meet_in_too_many_ways_are_not_compared(technician: User) -> None:
    assert execute(technician, meeting(30)).errors == []
    assert refusal(technician, meeting(160)) == (
        "QUERY_TOO_COMPLEX",
        "The fields of the document meet in too many ways to be compared; ask in parts.",
    )


def test_what_a_refusal_keeps_holds_no_traceback() -> None:
    for text in ("{", "{ nothing }", listed(2001), deep(13)):
        one: Any = read(GRAPHQL, text)
        assert [(error.__traceback__, error.__context__) for error in one.errors] == [(None, None)]
