"""Pages whose rows are written as JSON at once: the same text, the same price, of the same values."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.prepared import prepared
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from schema.busy import Busy
from schema.compiler import memo
from schema.compiler.memo import Memo, ticks_of, time_of, times
from schema.json_text import JsonList, json_of
from schema.operation import answer_all
from schema.preparing import Answer, Asked
from tests import factories

FIELDS: Final = "cursor node { __typename id number title status version dueAt asset { code site { name } } }"
FLAT: Final = f"{{ workOrders {{ a: edges {{ {FIELDS} }} pageInfo {{ endCursor }} }} }}"
DEEP: Final = "{ workOrders { edges { node { title tasks { totalCount edges { node { title } } } } } } }"
TITLES: Final = ['"', "\\", "\\u0041 %b %s {0}", "\x01\t\n\x1f\x7f", "\u2028\u00e9\U0001f527", "</script>", "'"]
MOMENTS: Final = st.datetimes(timezones=st.just(UTC))


@pytest.fixture
def viewer(demo: Tenant) -> User:
    """Make work orders with titles that JSON has to escape; return who may see them."""
    asset = factories.asset(demo, name='Pump "7"')
    for place, title in enumerate(TITLES):
        order = factories.work_order(demo, title=title, asset=asset if place % 2 else None)
        factories.task(demo, work_order=order)
    return factories.user(demo, Role.VIEWER)


def answered(actor: User, document: str) -> Answer:
    with tenant_scope(actor.tenant_id):
        (answer,), _ = answer_all(actor, [Asked(document)], Busy())
    return answer


@pytest.mark.django_db
def test_rows_in_which_all_lies_are_json_already_and_the_same_as_the_executors(
    viewer: User, settings: Settings
) -> None:
    answer = answered(viewer, FLAT)
    assert answer.data is not None
    assert isinstance(answer.data["workOrders"]["a"], JsonList)
    settings.COMPILED_READS = False
    expected = answered(viewer, FLAT)
    assert json_of(answer.data) == json_of(expected.data)
    assert 0 < answer.actual == expected.actual < answer.requested


@pytest.mark.django_db
def test_a_page_below_rows_is_json_and_the_rows_above_it_are_not(viewer: User, settings: Settings) -> None:
    answer = answered(viewer, DEEP)
    assert answer.data is not None
    rows: Any = answer.data["workOrders"]["edges"]
    assert isinstance(rows, list)
    assert all(isinstance(row["node"]["tasks"]["edges"], JsonList) for row in rows)
    settings.COMPILED_READS = False
    expected = answered(viewer, DEEP)
    assert json_of(answer.data) == json_of(expected.data)
    assert answer.actual == expected.actual


@pytest.mark.django_db
@pytest.mark.parametrize("selected", ["", "cursor", "node { title @skip(if: true) }", "node @skip(if: true) { title }"])
def test_little_may_be_selected_of_rows(viewer: User, settings: Settings, selected: str) -> None:
    document = f"{{ workOrders {{ edges {{ __typename {selected} }} }} }}"
    answer = answered(viewer, document)
    settings.COMPILED_READS = False
    assert json_of(answer.data) == json_of(answered(viewer, document).data)


@pytest.mark.django_db
def test_an_empty_page_is_an_empty_list(demo: Tenant) -> None:
    answer = answered(factories.user(demo, Role.VIEWER), FLAT)
    assert orjson.loads(json_of(answer.data)) == {"workOrders": {"a": [], "pageInfo": {"endCursor": None}}}


@given(MOMENTS)
def test_times_are_told_as_orjson_tells_them(moment: datetime) -> None:
    ticks = ticks_of(moment)
    assert time_of(ticks) == moment
    assert orjson.dumps(times.made(ticks)) == times.as_json.made(ticks) == orjson.dumps(moment)


@pytest.mark.django_db
@given(MOMENTS)
def test_times_come_as_postgresql_counts_them_whether_statements_are_logged_or_not(moment: datetime) -> None:
    sql = "SELECT $1::timestamptz, $1::timestamptz, NULL::timestamptz"
    expected = [(moment, ticks_of(moment), None)]
    assert prepared(sql, [moment], {1, 2}) == expected
    with CaptureQueriesContext(connection):
        assert prepared(sql, [moment], {1, 2}) == expected
    assert prepared(sql, [moment]) == [(moment, moment, None)]


def test_so_many_values_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "MOST", 3)
    squares = Memo(lambda value: value * value)
    for value in (1, 2, 3):
        assert squares.get(value) is None
        assert squares.made(value) == squares.get(value) == value * value
    squares.made(4)
    assert [squares.get(value) for value in (1, 2, 3, 4)] == [None, None, None, 16]


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        json_of({"data": object()})
