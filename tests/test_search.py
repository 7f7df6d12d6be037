"""The search as clients ask for it, by their own document: what it finds, in which order, and what it tells of it."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Final

import pytest
from django.db import connection
from django.test import Client
from graphql import GraphQLObjectType, OperationDefinitionNode, get_named_type, parse
from graphql.language import print_ast
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.assets.models import Asset, Site
from apps.helpdesk.models import Ticket
from apps.search.merging import merge
from apps.search.models import Document
from apps.search.rebuilding import rebuild
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.errors import INTERNAL_MESSAGE
from schema.reads import render
from schema.reads.plan import declaration
from schema.reads.render import NotRenderableError, Rendered
from tests import factories
from tests.conftest import Ask
from tests.graphql import OBJECTS, Data, data, refusal, statements
from tests.test_schema import OPERATIONS
from tests.writing import MAKE, gid

pytestmark = pytest.mark.usefixtures("without_cost_limit")

SEARCH: Final = """
query Search($query: String!, $kinds: [SearchKind!], $first: Int, $after: String) {
  search(query: $query, kinds: $kinds, first: $first, after: $after) {
    totalCount
    didYouMean
    facets { kind count }
    edges {
      cursor
      score
      highlights { field fragments { text match } }
      node {
        __typename
        ... on WorkOrder { id number title workOrderStatus: status }
        ... on Task { id title taskStatus: status }
        ... on Ticket { id number subject ticketStatus: status }
        ... on Asset { id code name }
        ... on Site { id code name }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
KINDS: Final[dict[str, Any]] = {
    "WORK_ORDER": WorkOrder,
    "TASK": Task,
    "TICKET": Ticket,
    "ASSET": Asset,
    "SITE": Site,
}
LIKE_NOTHING: Final = "zirconium"
"""A word that no row has which the test has not given it."""


@pytest.fixture(autouse=True)
def as_often_as_one_likes(settings: Settings) -> None:
    settings.ENABLE_SEARCH_RATE_LIMITING = False


def search(actor: User, query: str, **given: Any) -> Data:
    """Search as the clients do."""
    found: Data = data(actor, SEARCH, query=query, **given)["search"]
    return found


def ids(found: Data) -> list[str]:
    return [edge["node"]["id"] for edge in found["edges"]]


def finds(actor: User, query: str, **given: Any) -> list[str]:
    """Return the ids of what a query finds, the best first, after making sure that the index says so as well when the
    documents are merged into it.
    """
    pending = search(actor, query, **given)
    merge(actor.tenant_id)
    merged = search(actor, query, **given)
    assert pending == merged
    assert merged["totalCount"] == len(merged["edges"])
    return ids(merged)


def findings(actor: User, queries: Iterable[str]) -> dict[str, list[str]]:
    """Return the ids of what each of the queries finds, after making sure that it is the same before and after the
    documents are merged into the index.
    """
    pending = {query: ids(search(actor, query)) for query in queries}
    merge(actor.tenant_id)
    assert {query: ids(search(actor, query)) for query in queries} == pending
    return pending


def titled(owner: Tenant, *titles: str) -> list[str]:
    """Make a work order of each title; return their ids."""
    return [gid(factories.work_order(owner, title=title)) for title in titles]


def numbered(owner: Tenant, *serials: int) -> list[str]:
    """Make a work order of each number; return their ids."""
    return [gid(factories.work_order(owner, serial=serial)) for serial in serials]


def wide(text: str) -> str:
    """Return a text in the letters that are as wide as Chinese ones."""
    return "".join(chr(ord(each) - ord("!") + ord("\N{FULLWIDTH EXCLAMATION MARK}")) for each in text)


def marked(highlight: Data) -> str:
    """Return the text of a highlight, in brackets what is marked."""
    parts: list[Data] = highlight["fragments"]
    return "".join(f"[{part['text']}]" if part["match"] else str(part["text"]) for part in parts)


def told(actor: User, query: str) -> dict[str, str]:
    """Return the highlights of the one object that a query finds, by field."""
    (edge,) = search(actor, query)["edges"]
    return {highlight["field"]: marked(highlight) for highlight in edge["highlights"]}


def copies(row: WorkOrder, count: int) -> None:
    """Write so many copies of a work order behind its back, and index them."""
    columns = [str(field.column) for field in WorkOrder._meta.concrete_fields if not field.generated]
    names = [name for name in columns if name not in {"id", "serial"}]
    table, held = WorkOrder._meta.db_table, ", ".join(names)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (serial, {held}) SELECT serial + place, {held} "  # noqa: S608 (names of columns)
            f"FROM {table}, generate_series(1, %s) AS place WHERE id = %s",
            [count, row.pk],
        )
    rebuild(row.tenant_id)


# The document


@pytest.mark.skipif(not OPERATIONS.is_dir(), reason="the clients' documents lie beside the project")
def test_this_is_the_document_that_clients_send() -> None:
    (sent,) = parse((OPERATIONS / "search.graphql").read_text()).definitions
    assert isinstance(sent, OperationDefinitionNode)
    assert print_ast(parse(SEARCH).definitions[0]) == print_ast(sent)


def test_a_search_tells_all_that_the_client_asks_for(demo: Tenant, technician: User) -> None:
    order = factories.work_order(demo, title="Replace Pump seal", description="The pump in the cellar")
    assert search(technician, "pump") == {
        "totalCount": 1,
        "didYouMean": None,
        "facets": [{"kind": "WORK_ORDER", "count": 1}],
        "edges": [
            {
                "cursor": search(technician, "pump")["pageInfo"]["endCursor"],
                "score": 1.0,
                "highlights": [
                    {
                        "field": "title",
                        "fragments": [
                            {"text": "Replace ", "match": False},
                            {"text": "Pump", "match": True},
                            {"text": " seal", "match": False},
                        ],
                    },
                    {
                        "field": "description",
                        "fragments": [
                            {"text": "The ", "match": False},
                            {"text": "pump", "match": True},
                            {"text": " in the cellar", "match": False},
                        ],
                    },
                ],
                "node": {
                    "__typename": "WorkOrder",
                    "id": gid(order),
                    "number": order.number,
                    "title": "Replace Pump seal",
                    "workOrderStatus": "DRAFT",
                },
            }
        ],
        "pageInfo": {"hasNextPage": False, "endCursor": search(technician, "pump")["edges"][0]["cursor"]},
    }


def test_over_http_a_search_is_answered_as_well(ask: Ask, demo: Tenant, technician: User) -> None:
    titled(demo, "Replace pump seal")
    assert ask(technician, SEARCH, query="pmup") == {"data": {"search": search(technician, "pmup")}}


def test_what_finds_nothing_is_an_empty_page(demo: Tenant, technician: User) -> None:
    titled(demo, "Replace pump seal")
    assert search(technician, LIKE_NOTHING) == {
        "totalCount": 0,
        "didYouMean": None,
        "facets": [],
        "edges": [],
        "pageInfo": {"hasNextPage": False, "endCursor": None},
    }


@pytest.mark.parametrize("role", Role)
def test_every_role_may_search(demo: Tenant, role: Role) -> None:
    found = titled(demo, "Replace pump seal")
    assert finds(factories.user(demo, role), "pump") == found


# Which words meet which


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [
        ("fan", "fan fane", "fna fun fa fanny"),
        ("flow", "flow flwo lfow glow flaw floww", "fow flk fwol lfwo flowww"),
        ("pump", "pump pmup upmp pumpp pummp dump pomp", "ppum dmup pumppp pm"),
        ("valve", "vlave valv alve valvee walve", "vlvae avlev vavel valvexx walvo"),
        ("bearing", "baering bearin gearing bearinng bearign", "baernig gaering beerinf"),
        ("bearings", "bearing baering gaerings earing", "baernigx gaerinsg aernig"),
        (
            "actuator",
            "acutator acutatro ectuater ctuato actuuattor actuatorxy actuat",
            "cautatro xctxatxr actuatorxyz ctuat",
        ),
        ("ctuato", "actuator ctuatox", "actuatorx ctautox"),
        ("compressor", "comprsesro xompressxr compressor ompresso", "komprezzor ompress pmoressorc"),
        ("thermostatically", "htermostaticalyl thermostatically thermstaticlly", "htermstaticalyl"),
    ],
)
def test_words_within_the_budget_are_found_and_those_one_edit_over_it_are_not(
    demo: Tenant, technician: User, word: str, near: str, far: str
) -> None:
    found = titled(demo, f"The {word} there")
    expected = {f"{query} there": found for query in near.split()}
    expected |= {f"{query} there": [] for query in far.split()}
    assert findings(technician, expected) == expected


def test_only_the_last_word_is_met_by_its_beginning(demo: Tenant, technician: User) -> None:
    (order,) = titled(demo, "Replace manometer")
    table = [
        ("replace mano", True),
        ("mano", True),
        ("ma", True),
        ("replace m", True),
        ("mano replace", False),
        ("ma replace", False),
        ("m replace", False),
        ("anometer", True),  # misspelt
        ("nometer mano", True),  # both
        ("meter", False),
        ("replace ano", False),
    ]
    expected = {query: [order] * found for query, found in table}
    assert findings(technician, expected) == expected


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Repairing pumps", "repair pump"),
        ("Repair pump", "repairing pumps"),
        ("Repaired bearings", "repairs bearing"),
        ("Leaking tap", "leaks tap"),
        ("Inspection of boilers", "inspections boiler"),
    ],
)
def test_words_are_met_by_their_stems(demo: Tenant, technician: User, title: str, query: str) -> None:
    found = titled(demo, title)
    assert finds(technician, query) == found


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Cafe machine", "café"),
        ("CAFÉ MACHINE", "cafe"),
        ("Cafe\u0301 machine", "CAFÉ"),
        (wide("Cafe") + " machine", "cafe"),
        ("Cafe machine", wide("cafe")),
        ("Straße gesperrt", "STRASSE"),
        ("Smørebrød kjøkken", "smorebrod"),
        ("Ærlig kjøkken", "aerlig"),
        ("ﬁlter broken", "filter"),
        ("İstanbul depot", "istanbul"),
        ("Ca\u00adfe machine", "cafe"),
        ("Cafe machine", "ca\u200bfe"),
        ("Cafe machine", "ca\x00fe"),
        ("ポンプ故障", "ﾎﾟﾝﾌﾟ故障"),
        ("Cafe machine", "  \t cafe\n\r "),
        ("Cafe_machine", "cafe machine"),
    ],
)
def test_case_accents_and_width_do_not_matter(demo: Tenant, technician: User, title: str, query: str) -> None:
    found = titled(demo, title)
    assert finds(technician, query) == found


def test_all_words_must_match_in_any_order_and_text(demo: Tenant, technician: User) -> None:
    order = gid(factories.work_order(demo, title="Replace pump seal", description="On the roof"))
    factories.work_order(demo, title="Paint tank", description="In a cellar")
    table = [
        ("replace pump seal", True),
        ("seal replace", True),
        ("seal seal", True),
        ("replace tank", False),
        ("tank pump", False),
        ("replace pump seal roof", True),
        ("roof cellar", False),
        ("zirconium pump", False),
        ("the pump", True),
    ]
    expected = {query: [order] * found for query, found in table}
    assert findings(technician, expected) == expected


def test_nothing_is_an_operator(demo: Tenant, technician: User) -> None:
    pump, _ = titled(demo, "Replace pump seal", "Paint tank")
    marks = ("%%pump", "_pump", "pump%", "'pump'", '"pump"', "pump*", "pump:*", "pump & !", "(pump", "\\pump")
    words = ("pump OR tank", "pump | tank", "-tank pump", "pump AND tank", "pump NOT tank")
    expected = {query: [pump] for query in marks} | {query: [] for query in words}
    assert findings(technician, expected) == expected


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("A/C broken", "ac"),
        ("A/C broken", "a/c"),
        ("A/C broken", "A-C"),
        ("A/C broken", "a c"),
        ("AC broken", "a/c"),
        ("O-RING worn", "oring"),
        ("O-RING worn", "o ring"),
        ("ORING worn", "o-ring"),
        ("O-RING worn", "orign"),
        ("QUOTE/REPAIR", "repair"),
        ("QUOTE/REPAIR", "quote repair"),
        ("air conditioner broken", "a/c"),
        ("VLV stuck", "valve"),
        ("valve stuck", "vlv"),
    ],
)
def test_parts_are_met_together_and_apart_and_words_by_what_they_stand_for(
    demo: Tenant, technician: User, title: str, query: str
) -> None:
    found = titled(demo, title)
    assert finds(technician, query) == found


# Codes


def test_a_number_is_found_as_it_is_with_or_without_its_zeros(demo: Tenant, technician: User) -> None:
    numbered(demo, 1230000, 124, 132, 12300, 1, 23)
    (order,) = numbered(demo, 123)
    queries = [
        "WO-000123",
        "WO-123",
        "wo000123",
        "wo123",
        "WO 000123",
        "wo 123",
        "WO_000123",
        "WO-0123",
        "000123",
        "123",
        wide("WO-000123"),
        "wo-000123 pump",
        "pump wo-123",
        "replace 123",
    ]
    for _ in range(2):
        firsts = {query: ids(search(technician, query))[0] for query in queries}
        assert firsts == dict.fromkeys(queries, order)
        merge(demo.pk)


def test_numbers_are_met_by_their_beginning_and_never_by_resemblance(demo: Tenant, technician: User) -> None:
    serials = (10234, 10243, 10239, 102345, 102340)
    made = dict(zip(serials, numbered(demo, *serials), strict=True))
    table: list[tuple[str, list[int]]] = [
        ("WO-10234", [10234, 102345, 102340]),
        ("WO-010234", [10234]),
        ("WO-01023", [10234, 10239]),
        ("WO-0102", [10234, 10243, 10239]),
        ("WO-102345", [102345]),
        ("WO-10243", [10243]),
        ("WO-10324", []),
        ("WO-1234", []),
        ("WO-123456789012345678901234567890", []),
        ("T-10234", []),
        ("WX-10234", []),
        ("OW-10234", []),
    ]
    found = {query: sorted(each) for query, each in findings(technician, [query for query, _ in table]).items()}
    assert found == {query: sorted(made[serial] for serial in each) for query, each in table}
    assert ids(search(technician, "WO-10234")) == [made[10234], made[102340], made[102345]]


def test_a_number_is_met_by_its_beginning_anywhere_in_the_query(demo: Tenant, technician: User) -> None:
    orders = numbered(demo, 10234, 10243)
    assert finds(technician, "wo-01023 pump") == orders[:1]
    assert finds(technician, "pump wo-01023") == orders[:1]


def test_work_orders_and_tickets_have_numbers_of_their_own(demo: Tenant, technician: User) -> None:
    order, ticket = gid(factories.work_order(demo, serial=123)), gid(factories.ticket(demo, serial=123))
    assert finds(technician, "WO-123") == [order]
    assert finds(technician, "T-123") == [ticket]
    assert finds(technician, "000123") == [ticket, order]


def test_codes_of_assets_are_met_exactly_or_by_their_beginning(demo: Tenant, technician: User) -> None:
    site = factories.site(demo, code="HERE", name="Here")
    codes = ("PH639", "PH638", "AHU-03", "AHU-30", "AHU-003")
    made = {code: gid(factories.asset(demo, site=site, code=code, name="Boiler")) for code in codes}
    table: list[tuple[str, list[str]]] = [
        ("PH639", ["PH639"]),
        ("ph639", ["PH639"]),
        ("PH63", ["PH639", "PH638"]),
        ("PH63 boiler", ["PH639", "PH638"]),
        ("PH693", []),
        ("PH6390", []),
        ("P639", []),
        ("HP639", []),
        ("H639", []),
        ("639", ["PH639"]),
        ("PHX639", []),
        ("AHU-3", ["AHU-03", "AHU-30", "AHU-003"]),
        ("AHU-03", ["AHU-03", "AHU-003"]),
        ("ahu3", ["AHU-03", "AHU-30", "AHU-003"]),
        ("ahu 3", ["AHU-03", "AHU-30", "AHU-003"]),
        ("AHU-4", []),
        ("AUH-3", []),
        ("AHU-003", ["AHU-03", "AHU-003"]),
    ]
    found = {query: sorted(each) for query, each in findings(technician, [query for query, _ in table]).items()}
    assert found == {query: sorted(made[code] for code in each) for query, each in table}


def test_the_code_as_it_is_comes_before_those_that_begin_so(demo: Tenant, technician: User) -> None:
    site = factories.site(demo, code="HERE", name="Here")
    made = [gid(factories.asset(demo, site=site, code=code, name="Boiler")) for code in ("AHU-03", "AHU-30", "AHU-31")]
    assert finds(technician, "AHU-3") == [made[0], made[2], made[1]]


# What of each kind is searched


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        (WorkOrder, "title"),
        (WorkOrder, "description"),
        (Task, "title"),
        (Task, "description"),
        (Ticket, "subject"),
        (Ticket, "category"),
        (Ticket, "description"),
        (Asset, "code"),
        (Asset, "name"),
        (Asset, "category"),
        (Site, "code"),
        (Site, "name"),
    ],
)
def test_a_kind_is_found_by_each_of_its_texts(demo: Tenant, technician: User, kind: Any, column: str) -> None:
    MAKE[kind](demo)
    row = MAKE[kind](demo, **{column: "The Zirconium one"})
    assert finds(technician, "zircoinum") == [gid(row)]
    (edge,) = search(technician, LIKE_NOTHING)["edges"]
    assert edge["node"]["__typename"] == kind.__name__
    (highlight,) = edge["highlights"]
    assert (highlight["field"], marked(highlight)) == (column, "The [Zirconium] one")


@pytest.mark.parametrize("kind", [WorkOrder, Ticket])
def test_a_kind_with_numbers_is_found_by_them(demo: Tenant, technician: User, kind: Any) -> None:
    row = MAKE[kind](demo, serial=4711)
    assert finds(technician, row.number) == [gid(row)]
    assert told(technician, row.number) == {"number": f"[{row.number}]"}


@pytest.mark.parametrize(
    "given",
    [
        {"requester_name": "Zirconium Smith"},
        {"requester_email": "zirconium@zirconium.example"},
        {"requester_phone": "zirconium 5550199"},
    ],
)
def test_nothing_is_found_by_what_is_personal(demo: Tenant, technician: User, given: dict[str, str]) -> None:
    factories.ticket(demo, **given)
    factories.work_order(demo, assignee=factories.user(demo, name="Zirconium", email="zirconium@example.org"))
    for query in (LIKE_NOTHING, "zirconium smith", "zirconium@zirconium.example", "5550199", "smith"):
        assert finds(technician, query) == []


@pytest.mark.parametrize("column", ["external_id"])
def test_what_is_no_text_of_people_is_not_searched(demo: Tenant, technician: User, column: str) -> None:
    factories.work_order(demo, **{column: LIKE_NOTHING})
    assert finds(technician, LIKE_NOTHING) == []


def test_attendance_is_not_searched(demo: Tenant, technician: User) -> None:
    factories.attendance_record(demo, note=LIKE_NOTHING)
    assert finds(technician, LIKE_NOTHING) == []


# The order


def test_the_nearer_a_word_the_better(demo: Tenant, technician: User) -> None:
    factories.synonym(demo, term="grsg", meaning="lubricate")
    # As it is, its beginning, its stem, one edit, a synonym, two edits.
    made = titled(demo, "lubricate", "lubricatextra", "lubrication", "lubricote", "grsg", "lubrikote")
    assert finds(technician, "lubricate") == made
    scores = [edge["score"] for edge in search(technician, "lubricate")["edges"]]
    assert scores[0] == 1
    assert all(better > worse > 0 for better, worse in pairwise(scores))


def test_a_title_counts_more_than_a_category_and_that_more_than_a_description(demo: Tenant, technician: User) -> None:
    made = [gid(factories.ticket(demo, **{column: LIKE_NOTHING})) for column in ("subject", "category", "description")]
    assert finds(technician, LIKE_NOTHING) == made
    assert [edge["score"] for edge in search(technician, LIKE_NOTHING)["edges"]] == [1.0, 0.9, 0.8]


def test_a_word_in_several_texts_counts_where_it_weighs_most(demo: Tenant, technician: User) -> None:
    rows = [factories.work_order(demo, title="Gauge", description="x " * 9 + "gauge")]
    rows.append(factories.work_order(demo, title="Paint", description="gauge gauge"))
    assert finds(technician, "gauge") == [gid(row) for row in rows]


def test_equals_come_newest_first_of_whatever_kind(demo: Tenant, technician: User) -> None:
    site = factories.site(demo)
    makers: list[Callable[..., Any]] = [
        lambda: factories.work_order(demo, title="Gauge"),
        lambda: factories.task(demo, title="Gauge"),
        lambda: factories.asset(demo, site=site, name="Gauge"),
        lambda: factories.ticket(demo, subject="Gauge"),
        lambda: factories.work_order(demo, title="Gauge"),
        lambda: factories.site(demo, name="Gauge"),
    ]
    made = [gid(make()) for make in makers]
    assert finds(technician, "gauge") == made[::-1]


def test_a_score_is_what_is_left_on_average_and_never_rises(demo: Tenant, technician: User) -> None:
    titled(demo, "pump seal", "pumps seal", "pumps seals", "pomp saal", "seal of a pump", "pomp pump saal seal")
    factories.work_order(demo, title="pump", description="seal")
    factories.work_order(demo, title="paint", description="pomp saal")
    edges = search(technician, "pump seal")["edges"]
    scores = {(edge["node"]["title"]): edge["score"] for edge in edges}
    assert [edge["score"] for edge in edges] == sorted(scores.values(), reverse=True)
    assert (len(edges), scores["pump seal"], scores["seal of a pump"], scores["pomp pump saal seal"]) == (8, 1, 1, 1)
    assert scores["pump"] == pytest.approx((1 + 0.8) / 2)
    assert scores["paint"] == pytest.approx(scores["pomp saal"] * 0.8, abs=0.01)
    # The first is met by its stem, the second by its stem or as the beginning of the last word.
    one, two = 1 - scores["pumps seal"], 1 - scores["pumps seals"]
    assert 0 < one < two < 1


def test_a_change_leaves_a_row_in_its_place_among_equals(demo: Tenant, technician: User) -> None:
    orders = [factories.work_order(demo, title="Gauge") for _ in range(3)]
    merge(demo.pk)
    orders[0].description = "Something else"
    orders[0].save()
    assert finds(technician, "gauge") == [gid(order) for order in orders[::-1]]


# Highlights


@pytest.mark.parametrize(
    ("title", "query", "expected"),
    [
        ("Replace Pump", "pump", "Replace [Pump]"),
        ("Replace Pump", "pmup", "Replace [Pump]"),
        ("Replace Pump", "replace pu", "[Replace] [Pump]"),
        ("Replace Pump", "rep", "[Replace] Pump"),
        ("Replace Pump", "p", ""),
        ("Pump, the PUMP; pumps!", "pump", "[Pump], the [PUMP]; [pumps]!"),
        ("Two bearings", "bearing", "Two [bearings]"),
        ("VLV stuck", "valve", "[VLV] stuck"),
        ("The air conditioner", "a/c", "The [air] [conditioner]"),
        ("The Café crème", "creme", "The Café [crème]"),
        ("The Cafe\u0301 shut", "cafe", "The [Cafe\u0301] shut"),
        ("The " + wide("PUMP"), "pump", "The [" + wide("PUMP") + "]"),
        ("The A/C unit", "ac", "The [A/C] unit"),
        ("The A/C unit", "a/c", "The [A/C] unit"),
        ("An O-RING.", "oring", "An [O-RING]."),
        ("An O-RING.", "orings", "An [O-RING]."),
        ("Straße gesperrt", "strasse", "[Straße] gesperrt"),
        ("QUOTE/REPAIR", "repair", "QUOTE/[REPAIR]"),
        ("<strong>Pump</strong> & more", "pump", "<strong>[Pump]</strong> & more"),
        ("See PH639.", "ph63", "See [PH639]."),
        ("Pump", "pump", "[Pump]"),
        ("😀 Pump 😀", "pump", "😀 [Pump] 😀"),
    ],
)
def test_what_was_found_is_marked_as_it_was_written(
    demo: Tenant, technician: User, title: str, query: str, expected: str
) -> None:
    factories.work_order(demo, title=title)
    if not expected:
        assert refusal(technician, SEARCH, query=query)[0] == "BAD_REQUEST"
        return
    assert told(technician, query) == {"title": expected}
    merge(demo.pk)
    assert told(technician, query) == {"title": expected}


def test_fragments_join_to_the_text_and_none_is_empty(demo: Tenant, technician: User) -> None:
    title, description = "Pump (pump) and pumps", "A pmup, a Pump\n and\ta pump-house. "
    factories.work_order(demo, title=title, description=description)
    (edge,) = search(technician, "pump")["edges"]
    texts = {each["field"]: [part["text"] for part in each["fragments"]] for each in edge["highlights"]}
    assert {field: "".join(parts) for field, parts in texts.items()} == {"title": title, "description": description}
    assert all(all(parts) for parts in texts.values())
    for highlight in edge["highlights"]:
        matches = [part["match"] for part in highlight["fragments"]]
        assert all(matches[at] or matches[at + 1] for at in range(len(matches) - 1))


@pytest.mark.parametrize("before", [0, 5, 50, 500])
@pytest.mark.parametrize("after", [0, 5, 50, 500])
def test_of_a_long_text_what_surrounds_the_first_match_is_shown(
    demo: Tenant, technician: User, before: int, after: int
) -> None:
    text = " ".join(["before"] * before + ["Zirconium"] + ["after"] * after)
    factories.work_order(demo, description=text)
    (edge,) = search(technician, LIKE_NOTHING)["edges"]
    (highlight,) = edge["highlights"]
    shown = "".join(part["text"] for part in highlight["fragments"])
    inside = shown.removeprefix("…").removesuffix("…")
    assert inside in text
    assert len(inside) <= 200
    if len(text) <= 200:
        assert shown == text
    else:
        assert len(inside) >= 150
        assert shown.startswith("…") == (not text.startswith(inside))
        assert shown.endswith("…") == (not text.endswith(inside))
        assert set(inside.split()) <= {"before", "Zirconium", "after"}, "words are whole"
    assert [part["text"] for part in highlight["fragments"] if part["match"]] == ["Zirconium"]


def test_of_a_long_text_all_matches_in_the_part_that_is_shown_are_marked(demo: Tenant, technician: User) -> None:
    factories.work_order(demo, description="filler " * 100 + "pump one pump two " + "filler " * 100 + "pump")
    (edge,) = search(technician, "pump")["edges"]
    marks = {each["field"]: sum(part["match"] for part in each["fragments"]) for each in edge["highlights"]}
    assert marks == {"title": 1, "description": 2}


def test_a_number_is_marked_only_where_it_was_found(demo: Tenant, technician: User) -> None:
    factories.work_order(demo, serial=1234, title="Pump of 12 mm")
    assert told(technician, "pump 12") == {"title": "[Pump] of [12] mm"}


# Did you mean


def test_corrected_words_are_told_and_the_others_left_as_typed(demo: Tenant, technician: User) -> None:
    titled(demo, "Replace Pump", "The Valve", "An O-RING")
    table: list[tuple[str, str | None]] = [
        ("replace pmup", "replace pump"),
        ("Replace PMUP", "Replace pump"),
        ("  replace,   pmup! ", "replace, pump!"),
        ("relpace pmup", "replace pump"),
        ("pmup replace", "pump replace"),
        (wide("REPLACE") + " pmup", "REPLACE pump"),
        ("replaces pmup", "replaces pump"),
        ("pmup repl", "pump repl"),
        ("vlave", "valve"),
        ("o-rign", "oring"),
        ("replace pump", None),
        ("REPLACING PUMPS", None),
        ("replace pu", None),
        ("vlv", None),
        ("replace", None),
        ("zirconium", None),
        ("zirconium pmup", None),
        ("replace zirconium", None),
    ]
    for _ in range(2):
        assert [(query, search(technician, query)["didYouMean"]) for query, _ in table] == table
        merge(demo.pk)


def test_a_word_that_is_misspelt_twice_is_corrected_twice(demo: Tenant, technician: User) -> None:
    titled(demo, "Replace Pump")
    assert search(technician, "pmup, pmup, replace")["didYouMean"] == "pump, pump, replace"
    assert search(technician, "pmup replace pmup")["didYouMean"] == "pump replace pump"


def test_of_several_corrections_the_nearest_and_then_the_most_frequent_is_told(demo: Tenant, technician: User) -> None:
    titled(demo, "actuator", "actuators actuatorr", "actuatxxr", "actuatxxr", "actuatxxr")
    assert search(technician, "actuatxr")["didYouMean"] == "actuatxxr"
    titled(demo, "pump", "pump", "romp", "pimp")
    assert search(technician, "pomp")["didYouMean"] == "pump"


def test_a_word_that_finds_nothing_beside_the_others_is_corrected(demo: Tenant, technician: User) -> None:
    found = titled(demo, "Replace pump", "Paint pomp")
    assert finds(technician, "replace pomp") == found[:1]
    assert search(technician, "replace pomp")["didYouMean"] == "replace pump"
    assert search(technician, "paint pomp")["didYouMean"] is None


def test_what_is_meant_finds_what_was_found(demo: Tenant, technician: User) -> None:
    titled(demo, "Replace pump", "Replace pumps", "Compressor and pump")
    found = search(technician, "relpace pmup")
    again = search(technician, found["didYouMean"])
    assert set(ids(found)) < set(ids(again))  # with other endings, too
    assert again["didYouMean"] is None


# Facets and kinds


@pytest.fixture
def assorted(demo: Tenant) -> dict[str, list[str]]:
    """Return the ids of what is called a gauge, by kind, the newest first."""
    site = factories.site(demo, code="HERE")
    made: dict[str, list[Any]] = {
        "SITE": [factories.site(demo, name="Gauge works")],
        "WORK_ORDER": [factories.work_order(demo, title="Gauge") for _ in range(4)],
        "TASK": [factories.task(demo, title="Gauge") for _ in range(3)],
        "ASSET": [factories.asset(demo, site=site, name="Gauge") for _ in range(2)],
        "TICKET": [],
    }
    factories.ticket(demo)
    return {kind: [gid(row) for row in rows[::-1]] for kind, rows in made.items()}


Assorted = dict[str, list[str]]
FACETS: Final[list[dict[str, Any]]] = [
    {"kind": "WORK_ORDER", "count": 4},
    {"kind": "TASK", "count": 3},
    {"kind": "ASSET", "count": 2},
    {"kind": "SITE", "count": 1},
]


@pytest.mark.parametrize("kinds", [None, [], list(KINDS), ["TASK"], ["TICKET"], ["SITE", "ASSET"], ["TASK", "TASK"]])
def test_kinds_filter_the_results_and_not_the_facets(
    technician: User, assorted: Assorted, kinds: list[str] | None
) -> None:
    found = search(technician, "gauge", kinds=kinds)
    expected = {each for kind in kinds or KINDS for each in assorted[kind]}
    assert found["facets"] == FACETS
    assert set(ids(found)) == expected
    assert found["totalCount"] == len(found["edges"]) == len(expected)
    merge(technician.tenant_id)
    assert search(technician, "gauge", kinds=kinds) == found


def test_without_kinds_the_total_is_the_sum_of_the_facets(technician: User, assorted: Assorted) -> None:
    found = search(technician, "guage")
    assert found["totalCount"] == sum(each["count"] for each in found["facets"]) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_left_alone_by_the_filter_of_its_name(demo: Tenant, technician: User, kind: str) -> None:
    texts = {"WORK_ORDER": "title", "TASK": "title", "TICKET": "subject", "ASSET": "name", "SITE": "name"}
    rows = {each: MAKE[model](demo, **{texts[each]: "Gauge"}) for each, model in KINDS.items()}
    assert finds(technician, "gauge", kinds=[kind]) == [gid(rows[kind])]


def test_an_unknown_kind_is_refused(technician: User) -> None:
    code, message = refusal(technician, SEARCH, query="gauge", kinds=["PERSON"])
    assert code == "BAD_REQUEST"
    assert "PERSON" in message


# Pages


def test_a_page_may_be_empty(technician: User, assorted: Assorted) -> None:
    found = search(technician, "gauge", first=0)
    assert (found["totalCount"], found["facets"], found["edges"]) == (10, FACETS, [])
    assert found["pageInfo"] == {"hasNextPage": True, "endCursor": None}


def test_a_page_has_50_results_and_1000_at_most(demo: Tenant, technician: User) -> None:
    copies(factories.work_order(demo, title="Gauge", serial=1), 1000)
    sizes: list[tuple[dict[str, Any], int]] = [({}, 50), ({"first": None}, 50), ({"first": 1000}, 1000)]
    for given, size in sizes:
        found = search(technician, "gauge", **given)
        assert len(found["edges"]) == len(set(ids(found))) == size
        assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (1001, True)
    after = search(technician, "gauge", first=1000)["pageInfo"]["endCursor"]
    assert len(search(technician, "gauge", first=1000, after=after)["edges"]) == 1


@pytest.mark.parametrize("first", [1001, -1, 2**31 - 1, -(2**31)])
def test_a_page_of_another_size_is_refused(technician: User, first: int) -> None:
    message = f"A page has 0 to 1000 results, not {first}; page on with `after`."
    assert refusal(technician, SEARCH, query="gauge", first=first) == ("BAD_REQUEST", message)


def pages(actor: User, query: str, first: int, between: Callable[[], object] = lambda: None) -> Iterator[Data]:
    """Yield the pages of a search, doing something between each two."""
    after = None
    while True:
        page = search(actor, query, first=first, after=after)
        yield page
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
        between()


@pytest.fixture
def graded(demo: Tenant) -> int:
    """Make work orders that a search for a gauge finds with several scores, several with each; return how many."""
    titles = ["gauge", "gauges", "guage", "gauger", "gage"] * 4
    titled(demo, *titles)
    for _ in range(3):
        factories.work_order(demo, description="gauge")
    return len(titles) + 3


@pytest.mark.parametrize("merged", [False, True])
def test_cursors_walk_all_results_once_in_their_order(
    demo: Tenant, technician: User, graded: int, *, merged: bool
) -> None:
    if merged:
        merge(demo.pk)
    whole = search(technician, "gauge")
    assert len(set(ids(whole))) == graded
    told_of_all = (graded, [{"kind": "WORK_ORDER", "count": graded}])
    for first in (1, 4, 5, graded - 1, graded, graded + 1):
        walked = list(pages(technician, "gauge", first))
        assert [edge for page in walked for edge in page["edges"]] == whole["edges"]
        assert [len(page["edges"]) for page in walked[:-1]] == [first] * (len(walked) - 1)
        assert all((page["totalCount"], page["facets"]) == told_of_all for page in walked)


def test_rows_that_come_and_go_meanwhile_move_no_other(demo: Tenant, technician: User, graded: int) -> None:
    before = ids(search(technician, "gauge"))
    gone: list[str] = []

    def meddle() -> None:
        titled(demo, "gauge", "guage", "gauges")
        merge(demo.pk)
        last = WorkOrder.unscoped.filter(tenant=demo, description="gauge").order_by("id").first()
        if last and not gone:
            gone.append(gid(last))
            last.delete()

    walked = [each for page in pages(technician, "gauge", 2, meddle) for each in ids(page)]
    assert len(walked) == len(set(walked))
    assert [each for each in walked if each in before] == [each for each in before if each not in gone]


def test_a_cursor_goes_on_behind_a_row_that_is_gone(demo: Tenant, technician: User, graded: int) -> None:
    whole = ids(search(technician, "gauge"))
    after = search(technician, "gauge", first=5)["pageInfo"]["endCursor"]
    WorkOrder.unscoped.get(tenant=demo, pk=_key(whole[4])).delete()
    assert ids(search(technician, "gauge", after=after)) == whole[5:]


def _key(global_id: str) -> int:
    return next(row.pk for row in WorkOrder.unscoped.all() if gid(row) == global_id)


def test_after_the_last_there_is_nothing(technician: User, assorted: Assorted) -> None:
    last = search(technician, "gauge")["pageInfo"]["endCursor"]
    found = search(technician, "gauge", after=last)
    assert (found["edges"], found["totalCount"], found["facets"]) == ([], 10, FACETS)
    assert found["pageInfo"] == {"hasNextPage": False, "endCursor": None}


def test_pages_tell_what_lies_around_them(technician: User, assorted: Assorted) -> None:
    document = """query($after: String) { search(query: "gauge", first: 4, after: $after) {
      edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    seen, after = [], None
    for _ in range(3):
        page = data(technician, document, after=after)["search"]
        after = page["pageInfo"]["endCursor"]
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert after == page["edges"][-1]["cursor"]
        seen.append((page["pageInfo"]["hasPreviousPage"], page["pageInfo"]["hasNextPage"], len(page["edges"])))
    assert seen == [(False, True, 4), (True, True, 4), (True, False, 2)]


@pytest.mark.parametrize(
    "cursor", ["", "x", "garbage", "AAAAAAAA", "é", "=" * 8, "A" * 9, "A" * 5000, "😀", "AAAA-AAA!"]
)
def test_what_is_no_cursor_is_refused(technician: User, cursor: str) -> None:
    message = "This cursor is not of a search; use one that the same query returned."
    assert refusal(technician, SEARCH, query="gauge", after=cursor) == ("BAD_REQUEST", message)


def test_a_cursor_of_a_list_is_none_of_a_search(demo: Tenant, technician: User) -> None:
    factories.work_order(demo)
    document = "{ workOrders(ordering: [{title: ASC}]) { edges { cursor } } }"
    cursor = data(technician, document)["workOrders"]["edges"][0]["cursor"]
    assert refusal(technician, SEARCH, query="gauge", after=cursor)[0] == "BAD_REQUEST"


# What is no query


@pytest.mark.parametrize(
    "query",
    ["", " ", "\t\n", "a", " a ", "7", "%%", "__", "--", "'", '""', "\x00\x01", "\u200b\u200b", "😀😀", "a.", "é"],
)
def test_a_query_without_two_letters_is_refused(technician: User, query: str) -> None:
    message = "Type 2 letters or digits at least."
    assert refusal(technician, SEARCH, query=query) == ("BAD_REQUEST", message)


@pytest.mark.parametrize("query", ["ab", "a b", "a1", "12", "ñu", "%a_b%", "дом"])
def test_a_query_with_two_letters_is_served(technician: User, query: str) -> None:
    assert search(technician, query)["edges"] == []


def test_a_query_has_200_characters_at_most(demo: Tenant, technician: User) -> None:
    found = titled(demo, "Gauge")
    assert ids(search(technician, "gauge".ljust(200))) == found
    assert ids(search(technician, ("gauge " * 34)[:199])) == found
    assert ids(search(technician, "a b " * 50)) == []
    for query in ("gauge".ljust(201), "é" * 201, " " * 201):
        message = "A query may have 200 characters; this one has 201."
        assert refusal(technician, SEARCH, query=query) == ("BAD_REQUEST", message)


@pytest.mark.parametrize(
    "query", ["ab " * 66, "x" * 200, "1 2 " * 50, "a/b/" * 50, "9" * 200, "pumpe " * 33, "é" * 200]
)
def test_odd_queries_of_the_greatest_length_are_served(demo: Tenant, technician: User, query: str) -> None:
    titled(demo, "Gauge")
    assert search(technician, query)["totalCount"] == 0


def test_a_query_must_be_given(technician: User) -> None:
    assert refusal(technician, "{ search { totalCount } }")[0] == "BAD_REQUEST"
    assert refusal(technician, "{ search(query: null) { totalCount } }")[0] == "BAD_REQUEST"


@pytest.mark.django_db
def test_nobody_searches_without_logging_in() -> None:
    answer = Client().post(
        "/graphql", {"query": SEARCH, "variables": {"query": "gauge"}}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]) == (401, {"code": "UNAUTHENTICATED"})


# What is changed and deleted


def test_what_is_written_is_found_at_once_also_where_results_are_cached(demo: Tenant, technician: User) -> None:
    assert ids(search(technician, "gauge")) == []
    (first,) = titled(demo, "Gauge")
    assert ids(search(technician, "gauge")) == [first]
    order = factories.work_order(demo, title="Paint")
    merge(demo.pk)
    order.title = "Gauge"
    order.save()
    assert ids(search(technician, "gauge")) == [gid(order), first]
    merge(demo.pk)
    order.title = "Paint"
    order.save()
    assert ids(search(technician, "gauge")) == [first]
    assert ids(search(technician, "paint")) == [gid(order)]


@pytest.mark.parametrize("merged", [False, True])
def test_what_is_deleted_is_found_no_more(demo: Tenant, technician: User, *, merged: bool) -> None:
    kept, lost = factories.work_order(demo, title="Gauge"), factories.work_order(demo, title="Gauge")
    if merged:
        merge(demo.pk)
    assert ids(search(technician, "gauge")) == [gid(lost), gid(kept)]
    lost.delete()
    assert finds(technician, "gauge") == [gid(kept)]


def test_an_index_that_is_rebuilt_answers_as_before(demo: Tenant, technician: User, graded: int) -> None:
    before = search(technician, "gauge")
    Document._base_manager.filter(tenant=demo).update(words=["a:nonsense"])
    rebuild(demo.pk)
    assert ids(search(technician, "gauge")) == ids(before)


# How it may be asked for


NAMED: Final = """
query Named($query: String!, $no: Boolean = false, $yes: Boolean = true) {
  __typename
  best: search(query: $query, first: 1) { ...Page }
  all: search(query: $query) {
    ...Page
    again: edges { place: cursor found: node { key: id ...Titles } }
    edges @skip(if: $yes) { cursor }
    facets @include(if: $no) { more: count }
  }
}
fragment Page on SearchConnection {
  __typename
  total: totalCount
  facets { __typename number: count kind }
  edges {
    __typename
    ... on SearchEdge { node { ...Titles ... on Entity { version } ... on Node { id } } }
    highlights @include(if: $yes) { __typename field fragments { __typename text match } }
    score @skip(if: $no)
    left: score @include(if: $no)
  }
  pageInfo { __typename }
}
fragment Titles on Entity {
  __typename
  ... on WorkOrder { title site { __typename code } }
  ... on Site @include(if: $yes) { name }
  ... on Task @skip(if: $yes) { title }
}
"""


def test_aliases_fragments_and_directives_are_answered(demo: Tenant, technician: User) -> None:
    site = factories.site(demo, code="HERE", name="Gauge works")
    task = factories.task(demo, title="Gauge")
    order = factories.work_order(demo, title="Gauge", site=site)
    found = data(technician, NAMED, query="gauge")
    fragment = {"__typename": "HighlightFragment", "match": True}
    edges = [
        {
            "__typename": "SearchEdge",
            "node": {
                "__typename": "WorkOrder",
                "title": "Gauge",
                "site": {"__typename": "Site", "code": "HERE"},
                "version": 1,
                "id": gid(order),
            },
            "highlights": [{"__typename": "Highlight", "field": "title", "fragments": [{**fragment, "text": "Gauge"}]}],
            "score": 1.0,
        },
        {
            "__typename": "SearchEdge",
            "node": {"__typename": "Task", "version": 1, "id": gid(task)},
            "highlights": [{"__typename": "Highlight", "field": "title", "fragments": [{**fragment, "text": "Gauge"}]}],
            "score": 1.0,
        },
        {
            "__typename": "SearchEdge",
            "node": {"__typename": "Site", "name": "Gauge works", "version": 1, "id": gid(site)},
            "highlights": [
                {
                    "__typename": "Highlight",
                    "field": "name",
                    "fragments": [
                        {**fragment, "text": "Gauge"},
                        {"__typename": "HighlightFragment", "text": " works", "match": False},
                    ],
                }
            ],
            "score": 1.0,
        },
    ]
    facets = [{"__typename": "SearchFacet", "number": 1, "kind": kind} for kind in ("SITE", "WORK_ORDER", "TASK")]
    page = {
        "__typename": "SearchConnection",
        "total": 3,
        "pageInfo": {"__typename": "PageInfo"},
    }
    again = found["all"].pop("again")
    assert found["__typename"] == "Query"
    for each in found["best"], found["all"]:
        assert sorted(each.pop("facets"), key=str) == sorted(facets, key=str)
    assert found["best"] == {**page, "edges": edges[:1]}
    assert found["all"] == {**page, "edges": edges}
    assert [each["found"].pop("key") for each in again] == [gid(row) for row in (order, task, site)]
    assert [each["found"] for each in again] == [
        {"__typename": "WorkOrder", "title": "Gauge", "site": {"__typename": "Site", "code": "HERE"}},
        {"__typename": "Task"},
        {"__typename": "Site", "name": "Gauge works"},
    ]


def test_the_same_field_selected_twice_is_answered_once_and_whole(demo: Tenant, technician: User) -> None:
    order = factories.work_order(demo, title="Gauge")
    document = """{
      search(query: "gauge") { edges { node { id } } }
      search(query: "gauge") { edges { score node { version ... on WorkOrder { title } } } totalCount }
    }"""
    node = {"id": gid(order), "version": 1, "title": "Gauge"}
    assert data(technician, document) == {"search": {"edges": [{"node": node, "score": 1.0}], "totalCount": 1}}


def test_several_searches_in_one_document_are_answered_each(demo: Tenant, technician: User) -> None:
    titled(demo, "Gauge", "Pump")
    document = '{ one: search(query: "gauge") { ...T } two: search(query: "pump") { ...T } }'
    fragment = " fragment T on SearchConnection { edges { node { ... on WorkOrder { title } } } }"
    found = data(technician, document + fragment)
    titles = {name: [edge["node"]["title"] for edge in each["edges"]] for name, each in found.items()}
    assert titles == {"one": ["Gauge"], "two": ["Pump"]}


def test_lists_and_actions_below_a_node_are_answered(demo: Tenant) -> None:
    supervisor = factories.user(demo, Role.SUPERVISOR)
    site = factories.site(demo, name="Gauge works")
    order = factories.work_order(demo, title="Gauge", site=site)
    tasks = [factories.task(demo, title=title, work_order=order) for title in ("Drain", "Fill")]
    document = """query($first: Int) { search(query: "gauge") { edges { score node { __typename
      ... on WorkOrder {
        tasks { totalCount edges { node { title workOrder { number } } } }
        newest: tasks(first: $first) { edges { node { id } } }
        availableActions actions(includeBlocked: true) { action allowed }
      }
      ... on Site { workOrders { edges { node { title } } } } } } } }"""
    first, second = data(supervisor, document, first=1)["search"]["edges"]
    actions = first["node"].pop("actions")
    assert first["node"] == {
        "__typename": "WorkOrder",
        "tasks": {
            "totalCount": 2,
            "edges": [{"node": {"title": title, "workOrder": {"number": order.number}}} for title in ("Fill", "Drain")],
        },
        "newest": {"edges": [{"node": {"id": gid(tasks[1])}}]},
        "availableActions": ["SUBMIT", "CANCEL"],
    }
    assert [each["action"] for each in actions if each["allowed"]] == ["SUBMIT", "CANCEL"]
    assert second["node"] == {"__typename": "Site", "workOrders": {"edges": [{"node": {"title": "Gauge"}}]}}


# Rendered or not


def attributes_of(kind: GraphQLObjectType, depth: int) -> str:
    """Return a selection of all of a type that the fast way can answer."""
    selected = ["__typename"]
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if not declaration(kind, name).is_basic_field:
            continue
        if not isinstance(inner, GraphQLObjectType):
            selected.append(name)
        elif depth:
            selected.append(f"{name} {attributes_of(inner, depth - 1)}")
    return "{ " + " ".join(selected) + " }"


def whole_document(kind: str, node: str) -> str:
    return f"""query($query: String!) {{ search(query: $query, kinds: [{kind}]) {{
      edges {{ __typename cursor score highlights {{ __typename field fragments {{ __typename text match }} }}
      node {{ __typename ... on {KINDS[kind].__name__} {node} }} }} }} }}"""


@pytest.fixture
def renderings(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that tells, after each search, whether its edges were rendered."""
    seen: list[bool] = []
    original = render.rendered

    def spy(*given: Any) -> Any:
        answer = original(*given)
        seen.append(isinstance(answer, Rendered))
        return answer

    monkeypatch.setattr("schema.search.rendered", spy)
    return seen


@pytest.fixture
def furnished(demo: Tenant, technician: User) -> User:
    """Return a user of a tenant that has two rows of each kind: one with every field set, one with none."""
    site = factories.site(demo, name="Gauge works")
    parent = factories.asset(demo, site=site, name="Gauge", category="Gauge")
    asset = factories.asset(demo, site=site, parent=parent, name="Gauge")
    order = factories.work_order(
        demo,
        title="Gauge",
        description="A gauge\nof <b>brass</b>",
        site=site,
        asset=asset,
        assignee=technician,
        requested_by=technician,
        due_at=factories.NOON,
    )
    factories.task(demo, title="Gauge", work_order=order, asset=asset, assignee=technician, due_at=factories.NOON)
    given = {"requester_name": "Ada", "requester_email": "ada@example.org", "category": "gauge"}
    factories.ticket(demo, subject="Gauge", work_order=order, site=site, asset=asset, assignee=technician, **given)
    factories.work_order(demo, title="Gauge")
    factories.task(demo, title="Gauge")
    factories.ticket(demo, subject="Gauge")
    factories.site(demo, name="Gauge", latitude=None, longitude=None)
    return technician


@pytest.mark.parametrize("kind", KINDS)
def test_rendered_and_unrendered_answers_are_equal_to_the_last_byte(
    ask: Ask,
    furnished: User,
    renderings: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    document = whole_document(kind, attributes_of(OBJECTS[KINDS[kind].__name__], 2))
    fast, coerced = ask(furnished, document, query="gauge"), data(furnished, document, query="gauge")
    with monkeypatch.context() as patch:
        patch.setattr("schema.reads.render.render_of", refuse)
        slow = ask(furnished, document, query="gauge")
        assert data(furnished, document, query="gauge") == coerced
    assert renderings == [True, True, False, False]
    assert json.dumps(fast) == json.dumps(slow)
    assert len(fast["data"]["search"]["edges"]) == 2


def refuse(*_: Any) -> Any:
    raise NotRenderableError


@pytest.mark.parametrize("query", ["gauge", "guage", "ga", "gauges"])
def test_the_clients_document_is_rendered_and_equal_to_what_the_executor_answers(
    ask: Ask, furnished: User, renderings: list[bool], monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    answers = [ask(furnished, SEARCH, query=query), ask(furnished, NAMED, query=query)]
    with monkeypatch.context() as patch:
        patch.setattr("schema.reads.render.render_of", refuse)
        answers += [ask(furnished, SEARCH, query=query), ask(furnished, NAMED, query=query)]
    assert renderings == [True] * 4 + [False] * 4
    assert json.dumps(answers[0]) == json.dumps(answers[2])
    assert json.dumps(answers[1]) == json.dumps(answers[3])
    assert len(answers[0]["data"]["search"]["edges"]) == 10


def test_what_can_not_be_rendered_is_left_to_the_executor_whole(
    furnished: User, renderings: list[bool], caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    settings.COMPILED_READS = False
    document = whole_document("WORK_ORDER", "{ title availableActions }")
    (_, edge) = data(furnished, document, query="gauge")["search"]["edges"]
    assert edge["node"] == {"__typename": "WorkOrder", "title": "Gauge", "availableActions": ["SUBMIT"]}
    assert renderings == [False]
    assert caplog.records == []


@pytest.mark.parametrize(("model", "name", "selected"), [(WorkOrder, "number", ""), (Asset, "site", "{ code }")])
def test_a_value_that_is_not_of_its_type_is_told_by_its_path(
    ask: Ask,
    demo: Tenant,
    technician: User,
    renderings: list[bool],
    monkeypatch: pytest.MonkeyPatch,
    model: Any,
    name: str,
    selected: str,
    settings: Settings,
) -> None:
    settings.COMPILED_READS = False
    text = {WorkOrder: "title", Asset: "name"}[model]
    MAKE[model](demo, **{text: "Gauge"})
    document = (
        f'{{ search(query: "gauge") {{ edges {{ node {{ ... on {model.__name__} {{ {name} {selected} }} }} }} }} }}'
    )
    monkeypatch.setattr(model, name, None)
    answer = ask(technician, document)
    (error,) = answer["errors"]
    assert (error["path"], error["message"]) == (["search", "edges", 0, "node", name], INTERNAL_MESSAGE)
    assert (answer["data"], renderings) == (None, [False])


# How many statements, and what is remembered


def index_of(owner: Tenant) -> None:
    """Bring what is pending into the index, so that a search reads as much as it can."""
    assert merge(owner.pk)


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("gauge", 0),
        ("guage", 0),
        ("ga", 0),
        ("gauge gauges guage gauge", 0),
        ("vlv gauge", 0),
        ("WO-4711", 2),
        ("T-4711", 2),
        ("4711", 4),
    ],
)
def test_a_page_takes_the_same_statements_however_many_it_finds(
    demo: Tenant, technician: User, query: str, more: int
) -> None:
    order = factories.work_order(demo, title="Gauge vlv", description="A gauge", serial=4711)
    factories.ticket(demo, subject="Gauge vlv", serial=4711)
    index_of(demo)
    few = statements(technician, SEARCH, query=query, first=1000)
    kinds = len(search(technician, query, first=1000)["facets"])
    # The state, the pending, the candidates, the postings, the documents; for each kind the texts and the nodes.
    assert len(few) == 5 + 1 + more + 2 * kinds
    copies(order, 300)
    assert len(statements(technician, SEARCH, query=query, first=1000)) == len(few)


def test_what_finds_nothing_takes_no_statement_for_entities(demo: Tenant, technician: User) -> None:
    titled(demo, "Gauge")
    tables = [model._meta.db_table for model in KINDS.values()]
    told_of = [sql for sql in statements(technician, SEARCH, query=LIKE_NOTHING) if any(name in sql for name in tables)]
    assert told_of == []


def test_nodes_and_highlights_are_read_only_when_they_are_asked_for(demo: Tenant, technician: User) -> None:
    titled(demo, "Gauge")
    document = "query($q: String!) { search(query: $q) { totalCount edges { score %s } } }"
    counts = [
        sum(WorkOrder._meta.db_table in sql for sql in statements(technician, document.replace("%s", more), q="gauge"))
        for more in ("", "node { id }", "highlights { field }", "highlights { field } node { id }")
    ]
    assert counts == [0, 1, 1, 2]


def test_lists_below_nodes_are_a_statement_each(demo: Tenant, technician: User) -> None:
    document = "query($q: String!) { search(query: $q) { edges { node { __typename ... on WorkOrder { %s } } } } }"
    lists = "tasks { edges { node { title } } } tickets { edges { node { subject } } }"
    for _ in range(2):
        factories.task(demo, work_order=factories.work_order(demo, title="Gauge"))
        plain = statements(technician, document.replace("%s", "title"), q="gauge")
        assert len(statements(technician, document.replace("%s", lists), q="gauge")) == len(plain) + 2


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_remembered_is_one_statement_and_one_for_each_kind_of_it() -> None:
    demo = factories.tenant()
    technician = factories.user(demo)
    order = factories.work_order(demo, title="Gauge")
    factories.task(demo, title="Gauge")
    for rows in (2, 302):
        first = search(technician, "gauge", first=1000)
        assert len(first["edges"]) == rows
        assert len(statements(technician, SEARCH, query="gauge", first=1000)) == 1 + 2
        assert search(technician, "gauge", first=1000) == first
        if rows == 2:
            copies(order, 300)


@pytest.mark.django_db(transaction=True)
def test_whatever_is_committed_is_seen_by_the_next_search() -> None:
    demo = factories.tenant()
    technician, query = factories.user(demo), "vlvx"
    assert search(technician, query)["totalCount"] == 0
    order = factories.work_order(demo, title="Gauge")
    factories.synonym(demo, term=query, meaning="gauge")
    assert ids(search(technician, query)) == [gid(order)]
    order.title = "GAUGE, gauge"
    order.save()
    (edge,) = search(technician, query)["edges"]
    assert [marked(each) for each in edge["highlights"]] == ["[GAUGE], [gauge]"]
    order.title = "Paint"
    order.save()
    assert search(technician, query)["totalCount"] == 0
    order.title = "Gauge"
    order.save()
    merge(demo.pk)
    assert ids(search(technician, query)) == [gid(order)]
    order.delete()
    assert search(technician, query)["totalCount"] == 0
    merge(demo.pk)
    assert search(technician, query)["totalCount"] == 0
    factories.task(demo, title="Gauge")
    assert search(technician, query)["totalCount"] == 1


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_deleted_behind_a_remembered_page_is_left_out() -> None:
    demo = factories.tenant()
    technician = factories.user(demo)
    kept, lost = factories.work_order(demo, title="Gauge"), factories.work_order(demo, title="Gauge")
    found = search(technician, "gauge")
    assert ids(found) == [gid(lost), gid(kept)]
    factories.erase(WorkOrder.unscoped.filter(pk=lost.pk))
    assert search(technician, "gauge")["edges"] == found["edges"][1:]


def test_a_misspelt_word_that_nobody_wrote_is_met_by_what_the_right_one_stands_for(
    demo: Tenant, technician: User
) -> None:
    (lift,) = titled(demo, "Lift stuck")
    assert finds(technician, "elevatr stuck") == [lift]
    found = search(technician, "elevatr stuck")
    assert found["didYouMean"] == "elevator stuck"
    assert found["edges"][0]["score"] < search(technician, "elevator stuck")["edges"][0]["score"] < 1


def test_a_short_term_with_punctuation_is_no_beginning(demo: Tenant, technician: User) -> None:
    cooler, _ = titled(demo, "A/C leaks", "Accumulator leaks")
    assert finds(technician, "a/c") == [cooler]
    assert len(finds(technician, "ac")) == 2
