"""Paging by keyset: right with NULL, ties, any mix of directions, and rows that come, go and change meanwhile."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Tenant, User
from apps.work_orders.models import WorkOrder
from schema.reads.arguments import MAX_PAGE
from tests import factories
from tests.graphql import Data, data, refusal, statements

pytestmark = pytest.mark.usefixtures("without_cost_limit")

PAGE = """query (
  $first: Int, $after: String, $last: Int, $before: String, $ordering: [WorkOrderOrder!], $filters: WorkOrderFilter
) {
  workOrders(first: $first, after: $after, last: $last, before: $before, ordering: $ordering, filters: $filters) {
    edges { cursor node { title } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""

DIRECTIONS = ["ASC", "ASC_NULLS_FIRST", "ASC_NULLS_LAST", "DESC", "DESC_NULLS_FIRST", "DESC_NULLS_LAST"]
COLUMNS = {"dueAt": "due_at", "startedAt": "started_at", "priority": "priority_rank", "number": "serial"}

days = st.one_of(st.none(), st.integers(0, 2))
rows = st.lists(st.tuples(days, days, st.sampled_from(["LOW", "MEDIUM", "HIGH", "CRITICAL"])), min_size=1, max_size=12)
orderings = st.lists(st.tuples(st.sampled_from(sorted(COLUMNS)), st.sampled_from(DIRECTIONS)), max_size=3)


def page(actor: User, **variables: Any) -> Data:
    found: Data = data(actor, PAGE, **variables)["workOrders"]
    return found


def titles(found: Data) -> list[str]:
    return [edge["node"]["title"] for edge in found["edges"]]


def pages_forward(actor: User, **variables: Any) -> Iterator[Data]:
    after = None
    while True:
        found = page(actor, after=after, **variables)
        yield found
        if not found["pageInfo"]["hasNextPage"]:
            return
        after = found["pageInfo"]["endCursor"]


def pages_backward(actor: User, size: int, **variables: Any) -> Iterator[Data]:
    before = None
    while True:
        found = page(actor, last=size, before=before, **variables)
        yield found
        if not found["pageInfo"]["hasPreviousPage"]:
            return
        before = found["pageInfo"]["startCursor"]


def make(demo: Tenant, drawn: list[tuple[int | None, int | None, str]]) -> list[WorkOrder]:
    return [
        factories.work_order(
            demo, title=f"order {place}", due_at=moment(due), started_at=moment(start), priority=priority
        )
        for place, (due, start, priority) in enumerate(drawn)
    ]


def moment(day: int | None) -> Any:
    return None if day is None else factories.NOON + timedelta(days=day)


def terms(ordering: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{column: direction} for column, direction in ordering]


def expected(orders: list[WorkOrder], ordering: list[tuple[str, str]]) -> list[str]:
    """Sort as SQL does: by the last term first, as Python's sort is stable."""
    descending = ordering[-1][1].startswith("DESC") if ordering else True
    found = sorted(orders, key=lambda order: order.pk, reverse=descending)
    for column, direction in reversed(ordering):
        name, down = COLUMNS[column], direction.startswith("DESC")
        nulls_first = "FIRST" in direction or (down and "LAST" not in direction)
        filled = [order for order in found if value(order, name) is not None]
        empty = [order for order in found if value(order, name) is None]
        filled.sort(key=lambda order, name=name: value(order, name), reverse=down)  # type: ignore[misc]
        found = empty + filled if nulls_first else filled + empty
    return [order.title for order in found]


def value(order: WorkOrder, name: str) -> Any:
    return (
        ["LOW", "MEDIUM", "HIGH", "CRITICAL"].index(order.priority) if name == "priority_rank" else getattr(order, name)
    )


def without_repeats(ordering: list[tuple[str, str]]) -> list[tuple[str, str]]:
    seen: dict[str, str] = {}
    for column, direction in ordering:
        seen.setdefault(column, direction)
    return list(seen.items())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=rows, ordering=orderings, size=st.integers(1, 5))
def test_pages_in_either_direction_make_up_the_sorted_list(
    technician: User, demo: Tenant, drawn: Any, ordering: list[tuple[str, str]], size: int
) -> None:
    ordering = without_repeats(ordering)
    with transaction.atomic():
        wanted = expected(make(demo, drawn), ordering)
        forward = [
            t for found in pages_forward(technician, first=size, ordering=terms(ordering)) for t in titles(found)
        ]
        backward = [titles(found) for found in pages_backward(technician, size, ordering=terms(ordering))]
        transaction.set_rollback(True)
    assert forward == wanted
    assert [title for found in reversed(backward) for title in found] == wanted


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=rows, others=rows, ordering=orderings, size=st.integers(1, 4), cut=st.integers(0, 11))
def test_rows_that_stay_come_once_and_in_order_while_others_come_and_go(
    technician: User, demo: Tenant, drawn: Any, others: Any, ordering: list[tuple[str, str]], size: int, cut: int
) -> None:
    ordering = without_repeats(ordering)
    with transaction.atomic():
        passing = make(demo, others)
        factories.force(WorkOrder.unscoped.filter(pk__in=[order.pk for order in passing]), title="passing")
        wanted = expected(make(demo, drawn), ordering)
        seen: list[str] = []
        for turn, found in enumerate(pages_forward(technician, first=size, ordering=terms(ordering))):
            seen += titles(found)
            factories.erase(WorkOrder.unscoped.filter(pk=passing[(turn + cut) % len(passing)].pk))
            new = [order.pk for order in make(demo, others[: turn % 2])]
            factories.force(WorkOrder.unscoped.filter(pk__in=new), title="passing")
        transaction.set_rollback(True)
    assert [title for title in seen if title != "passing"] == wanted


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=rows, ordering=orderings, start=st.integers(0, 11), stop=st.integers(0, 11), size=st.integers(0, 5))
def test_a_page_between_two_cursors_is_that_part_of_the_list(
    technician: User, demo: Tenant, drawn: Any, ordering: list[tuple[str, str]], start: int, stop: int, size: int
) -> None:
    ordering = without_repeats(ordering)
    with transaction.atomic():
        make(demo, drawn)
        whole = page(technician, first=MAX_PAGE, ordering=terms(ordering))["edges"]
        low, high = start % len(whole), stop % len(whole)
        bounds = {"after": whole[low]["cursor"], "before": whole[high]["cursor"], "ordering": terms(ordering)}
        front, back = page(technician, first=size, **bounds), page(technician, last=size, **bounds)
        transaction.set_rollback(True)
    between = [edge["node"]["title"] for edge in whole[low + 1 : high]]
    assert titles(front) == between[:size]
    assert titles(back) == between[len(between) - min(size, len(between)) :]


def test_nested_lists_page_by_cursor_for_each_parent(technician: User, demo: Tenant) -> None:
    orders = [factories.work_order(demo) for _ in range(2)]
    for order in orders:
        for due in (2, None, 1, 1):
            factories.task(demo, work_order=order, title=f"{due}", due_at=moment(due))
    document = """query ($after: String) { workOrders { edges { node {
      tasks(first: 2, after: $after, ordering: [{dueAt: ASC}]) {
        totalCount edges { cursor node { title } } pageInfo { hasNextPage }
      }
    } } } }"""
    first = [edge["node"]["tasks"] for edge in data(technician, document)["workOrders"]["edges"]]
    assert [titles(found) for found in first] == [["1", "1"], ["1", "1"]]
    assert all(found["pageInfo"]["hasNextPage"] and found["totalCount"] == 4 for found in first)
    # The cursor of the later order's second task stands behind all tasks of equal date and smaller id: those of both.
    later = data(technician, document, after=first[0]["edges"][1]["cursor"])["workOrders"]["edges"]
    assert [titles(edge["node"]["tasks"]) for edge in later] == [["2", "None"], ["2", "None"]]


def test_an_order_follows_relations(technician: User, demo: Tenant) -> None:
    for code in ("B", "A", None):
        asset = factories.asset(demo, code=code) if code else None
        factories.work_order(demo, title=f"on {code}", asset=asset)
    ordering = [{"asset": {"code": "ASC"}}]
    assert [t for found in pages_forward(technician, first=1, ordering=ordering) for t in titles(found)] == [
        "on A",
        "on B",
        "on None",
    ]


def test_a_page_has_50_rows_unless_told_otherwise(technician: User, demo: Tenant) -> None:
    for _ in range(51):
        factories.work_order(demo)
    assert len(page(technician)["edges"]) == 50
    assert len(page(technician, first=None, last=None)["edges"]) == 50
    assert len(page(technician, first=MAX_PAGE)["edges"]) == 51
    assert page(technician, first=0)["edges"] == []


def test_an_empty_list_has_no_cursors(technician: User) -> None:
    assert page(technician, first=5)["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": None,
        "endCursor": None,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first": 101}, "0 to 100"),
        ({"first": -1}, "0 to 100"),
        ({"last": 1000}, "0 to 100"),
        ({"first": 1_000}, "0 to 100"),
        ({"first": 1, "last": 1}, "not for both"),
        ({"after": "nonsense"}, "cursor"),
        ({"after": ""}, "cursor"),
        ({"before": "bnVsbA"}, "cursor"),
        ({"after": "é"}, "cursor"),
        ({"after": "W10"}, "cursor"),
        ({"ordering": [{"title": "ASC"}] * 9}, "8 terms"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(technician: User, arguments: dict[str, Any], message: str) -> None:
    code, told = refusal(technician, PAGE, **arguments)
    assert code == "BAD_REQUEST"
    assert message in told


def test_a_cursor_of_another_order_or_list_is_refused(technician: User, demo: Tenant) -> None:
    factories.work_order(demo)
    factories.task(demo)
    cursor = page(technician, ordering=[{"dueAt": "ASC"}])["pageInfo"]["endCursor"]
    other = data(technician, "{ tasks { pageInfo { endCursor } } }")["tasks"]["pageInfo"]["endCursor"]
    assert refusal(technician, PAGE, after=cursor)[0] == "BAD_REQUEST"
    assert refusal(technician, PAGE, after=cursor, ordering=[{"dueAt": "DESC"}])[0] == "BAD_REQUEST"
    assert refusal(technician, PAGE, after=other)[0] == "BAD_REQUEST"


@given(
    text=st.one_of(
        st.text(max_size=60),
        st.binary(max_size=60).map(lambda raw: urlsafe_b64encode(raw).decode()),
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_forged_cursor_is_refused_or_is_a_place_in_the_list(technician: User, text: str) -> None:
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert refusal(technician, PAGE, after=text)[0] == "BAD_REQUEST"


def mark_of(actor: User, column: str) -> int:
    cursor = page(actor, ordering=[{column: "ASC"}])["pageInfo"]["endCursor"]
    mark: int = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))[0]
    return mark


def forged(*values: Any) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize(
    ("due", "key"),
    [
        ("2026-01-01T00:00:00", 1),
        ("2026-01-01", 1),
        ("0001-01-01T00:00:00+20:00", 1),
        ("x", 1),
        (7, 1),
        (True, 1),
        (None, None),
        (None, 2**63),
        (None, "1"),
        (None, 1.0),
        (["2026-01-01T00:00:00Z"], 1),
    ],
)
def test_a_cursor_with_values_no_row_can_have_is_refused(technician: User, demo: Tenant, due: Any, key: Any) -> None:
    factories.work_order(demo)
    cursor = forged(mark_of(technician, "dueAt"), due, key)
    assert refusal(technician, PAGE, after=cursor, ordering=[{"dueAt": "ASC"}])[0] == "BAD_REQUEST"


@pytest.mark.parametrize("due", ["2026-01-01T00:00:00+20:00", "2026-01-01T00:00:00+00:00:30.5", None])
def test_a_cursor_with_odd_values_is_a_place_in_the_list(technician: User, demo: Tenant, due: Any) -> None:
    factories.work_order(demo)
    cursor = forged(mark_of(technician, "dueAt"), due, -5)
    assert len(page(technician, after=cursor, ordering=[{"dueAt": "ASC"}])["edges"]) == 1


def test_a_text_of_a_cursor_may_not_hold_nul(technician: User, demo: Tenant) -> None:
    factories.work_order(demo)
    cursor = forged(mark_of(technician, "title"), "a\0", 1)
    assert refusal(technician, PAGE, after=cursor, ordering=[{"title": "ASC"}])[0] == "BAD_REQUEST"


def test_a_deep_page_reads_no_row_before_it(technician: User, demo: Tenant) -> None:
    make(demo, [(1, None, "LOW")] * 3)
    cursor = page(technician, first=2, ordering=[{"dueAt": "ASC"}])["pageInfo"]["endCursor"]
    (sql,) = statements(technician, PAGE, first=2, after=cursor, ordering=[{"dueAt": "ASC"}])
    assert "OFFSET" not in sql
    assert " OR " not in sql
