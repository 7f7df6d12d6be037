"""What is compiled answers as the executor does, with fewer statements, for one tenant only."""

import logging
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.work_orders.models import WorkOrder
from schema.compiler import plans
from schema.compiler.errors import NotCompiledError
from schema.compiler.kept import Kept
from schema.compiler.lists import CompiledList
from schema.compiler.metrics import READS
from schema.compiler.operation import CompiledOperation
from schema.compiler.statement import Sql, Statement, Table, Tracer, UnscopedError
from schema.json_text import json_of
from schema.reads.global_id import encode_id
from schema.reads.plan import Selections
from tests import factories
from tests.graphql import data, execute, statements

ROW = """id number title status priority version dueAt createdAt updatedAt
    asset { id code name site { id name } } assignee { id name }"""
PAGE = f"edges {{ cursor node {{ {ROW} }} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}"
FILTERED = "query ($f: WorkOrderFilter) { workOrders(filters: $f) { totalCount edges { node { title } } } }"

COMPILED: list[tuple[str, dict[str, Any]]] = [
    (f"{{ workOrders(first: 3) {{ {PAGE} }} }}", {}),
    (f"{{ workOrders(last: 2, ordering: [{{dueAt: DESC}}, {{title: ASC}}]) {{ {PAGE} }} }}", {}),
    (f"{{ workOrders(first: 3, ordering: [{{site: {{code: DESC_NULLS_LAST}}}}]) {{ {PAGE} }} }}", {}),
    ("{ workOrders(first: 2) { totalCount edges { node { id availableActions } } } }", {}),
    ("{ workOrders { totalCount } }", {}),
    ("{ workOrders(first: 0) { totalCount __typename edges { cursor } } }", {}),
    ("{ workOrders { __typename edges { __typename } } }", {}),
    (
        "{ workOrders(first: 3) { edges { node { actions(includeBlocked: true) { action allowed reason } } } } }",
        {},
    ),
    (
        """{ workOrders(first: 4) { edges { node { id tasks(first: 1) { totalCount pageInfo { hasNextPage }
           edges { cursor node { title assignee { name } workOrder { id } } } } } } } }""",
        {},
    ),
    (
        """{ workOrders { edges { node { history(first: 2) { edges { node { at action
           changes { field before after } entity { __typename id ... on WorkOrder { title } } } } } } } } }""",
        {},
    ),
    ("{ auditLog(first: 5) { edges { node { source operationId actor { name } entity { id } } } } }", {}),
    (
        "{ tickets(filters: {slaBreached: false}) { edges { node { slaBreached workOrder { availableActions } } } } }",
        {},
    ),
    ("{ sites { edges { node { latitude longitude assets(first: 2) { edges { node { code } } } } } } }", {}),
    ("{ me { id name tenant { id } } }", {}),
    ("{ me { assignedWorkOrders(first: 2) { edges { node { id } } } } }", {}),
    ("{ workflow(kind: WORK_ORDER) { kind states { name initial final } transitions { action from to } } }", {}),
    (FILTERED, {"f": {"title": {"iContains": "PUMP"}, "status": {"inList": ["DRAFT", "APPROVED"]}}}),
    (FILTERED, {"f": {"title": {"contains": "50%_\\"}}}),
    (FILTERED, {"f": {"title": {"startsWith": "pump 1"}, "OR": {"title": {"exact": "odd 50%_\\ 'title'"}}}}),
    (FILTERED, {"f": {"NOT": {"site": {"code": {"exact": "no such"}}}}}),
    (FILTERED, {"f": {"number": {"inList": ["wo-000001", "nonsense"]}, "dueAt": {"isNull": True}}}),
    (FILTERED, {"f": {"title": {"exact": ""}}}),
    (FILTERED, {"f": {"title": {"iContains": ""}, "NOT": {"title": {"startsWith": ""}}}}),
    (
        """query ($no: Boolean!, $n: Int = 2) {
             workOrders(first: $n) { edges { node { id title @skip(if: $no) ...F } } } }
           fragment F on WorkOrder { again: id title asset { code } }""",
        {"no": True},
    ),
]


@pytest.fixture
def people(demo: Tenant, settings: Settings) -> dict[Role, User]:
    """Furnish a tenant: rows with and without what may be missing; return its people."""
    settings.ENABLE_COST_LIMIT = False
    people = {role: factories.user(demo, role) for role in Role}
    asset = factories.asset(demo, site=factories.site(demo))
    for number in range(4):
        own = number % 2 == 1
        order = factories.work_order(
            demo,
            title=f"pump {number}",
            site=asset.site if own else None,
            asset=asset if own else None,
            assignee=people[Role.TECHNICIAN] if own else None,
        )
        factories.task(demo, work_order=order, assignee=people[Role.TECHNICIAN])
        factories.task(demo, work_order=order)
        factories.ticket(demo, work_order=order)
        factories.audit_entry(order)
    factories.work_order(demo, title="odd 50%_\\ 'title'")
    return people


def counted(outcome: str) -> float:
    return float(READS.labels(outcome)._value.get())


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN])
@pytest.mark.parametrize(("document", "variables"), COMPILED)
def test_what_is_compiled_answers_byte_for_byte_as_the_executor(
    people: dict[Role, User], settings: Settings, document: str, variables: dict[str, Any], role: Role
) -> None:
    settings.COMPILED_READS = False
    expected = execute(people[role], document, **variables)
    settings.COMPILED_READS, before = True, counted("compiled")
    for _ in range(2):  # made, and found again
        answer = execute(people[role], document, **variables)
        assert json_of(answer.data) == json_of(expected.data)
        assert (answer.errors, answer.requested, answer.actual) == ([], expected.requested, expected.actual)
    assert counted("compiled") == before + 2
    assert not expected.errors


def test_pages_follow_each_other_as_the_executors_do(people: dict[Role, User], settings: Settings) -> None:
    document = f"query ($a: String) {{ workOrders(first: 2, after: $a, ordering: [{{dueAt: ASC}}]) {{ {PAGE} }} }}"
    cursor: str | None = None
    for _ in range(3):
        settings.COMPILED_READS = True
        page = data(people[Role.VIEWER], document, a=cursor)
        settings.COMPILED_READS = False
        assert page == data(people[Role.VIEWER], document, a=cursor)
        cursor = page["workOrders"]["pageInfo"]["endCursor"]
    assert page["workOrders"]["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("document", "variables"),
    [
        ('{ workOrders(after: "nonsense") { totalCount edges { cursor } } }', {}),
        ("{ workOrders(first: 101) { edges { cursor } } }", {}),
        ("{ workOrders(first: 1, last: 1) { edges { cursor } } }", {}),
        (FILTERED, {"f": {"id": {"exact": encode_id("Task", 1)}}}),
        (FILTERED, {"f": {"title": {"exact": "\0"}}}),
        ('{ node(id: "nonsense") { id } }', {}),
        ("query ($id: ID!) { nodes(ids: [$id]) { id } }", {"id": encode_id("Nothing", 1)}),
        ("{ workOrders { edges { node { tasks(first: 101) { edges { cursor } } } } } }", {}),
        ("query ($v: Boolean = true) { me { id @include(if: $v) } }", {"v": None}),
        ("{ __schema { queryType { name } } }", {}),
        ('{ search(query: "pump") { totalCount } }', {}),
        (FILTERED, {"f": {"title": {"inList": []}}}),
    ],
)
def test_what_is_left_to_the_executor_is_answered_by_it(
    people: dict[Role, User], settings: Settings, document: str, variables: dict[str, Any]
) -> None:
    settings.COMPILED_READS, settings.ENABLE_SEARCH_RATE_LIMITING = False, False
    expected = execute(people[Role.VIEWER], document, **variables)
    settings.COMPILED_READS, before = True, counted("compiled")
    answer = execute(people[Role.VIEWER], document, **variables)
    assert (answer.data, [each.formatted for each in answer.errors], answer.status) == (
        expected.data,
        [each.formatted for each in expected.errors],
        expected.status,
    )
    assert counted("compiled") == before


def test_a_document_is_compiled_when_it_has_come_often_enough(people: dict[Role, User], settings: Settings) -> None:
    settings.COMPILE_AFTER = 2
    document, before = "{ sites { edges { node { id code name } } } }", (counted("new"), counted("compiled"))
    for _ in range(4):
        execute(people[Role.VIEWER], document)
    assert (counted("new"), counted("compiled")) == (before[0] + 2, before[1] + 2)


def test_what_fails_is_logged_and_left_to_the_executor_from_then_on(
    people: dict[Role, User], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    document = "{ assets { edges { node { id code } } } }"
    expected = data(people[Role.VIEWER], document)
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr("schema.compiler.pages.CompiledPage._pages", lambda *_: 1 / 0)
        assert data(people[Role.VIEWER], document) == expected
    assert "the executor answers this operation from now on" in caplog.text
    before = counted("failed")
    assert data(people[Role.VIEWER], document) == expected
    assert counted("failed") == before + 1


def test_plans_are_kept_for_so_many_operations_only(people: dict[Role, User], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_plans", Kept(20))
    for number in range(30):
        execute(people[Role.VIEWER], f"{{ alias{number}: __typename }}")
    assert len(plans._plans) == 20


def test_documents_that_come_once_drive_out_no_plan(
    people: dict[Role, User], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(plans, "_plans", Kept(20))
    settings.COMPILE_AFTER, document = 1, "{ sites { edges { node { id } } } }"
    for _ in range(2):
        execute(people[Role.VIEWER], document)
    for number in range(30):
        execute(people[Role.VIEWER], f"{{ alias{number}: __typename }}")
    before = counted("compiled")
    execute(people[Role.VIEWER], document)
    assert (counted("compiled"), len(plans._plans)) == (before + 1, 1)


def test_what_can_not_be_compiled_is_tried_once(people: dict[Role, User], monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    compiled = CompiledList._compiled

    def counting(self: CompiledList, *about: Any) -> Any:
        tried.append(1)
        return compiled(self, *about)

    monkeypatch.setattr(CompiledList, "_compiled", counting)
    for _ in range(3):
        answer = data(people[Role.VIEWER], "{ tasks(filters: {title: {inList: []}}) { totalCount } }")
        assert answer == {"tasks": {"totalCount": 0}}
    assert len(tried) == 1


def test_values_of_variables_are_not_kept_with_a_plan(
    people: dict[Role, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Selections] = []
    start = CompiledOperation.__init__

    def noting(self: CompiledOperation, selections: Selections) -> None:
        made.append(selections)
        start(self, selections)

    monkeypatch.setattr(CompiledOperation, "__init__", noting)
    document = """query ($q: String!, $yes: Boolean!) {
        workOrders(filters: {title: {exact: $q}}) { edges { node { id title @include(if: $yes) } } } }"""
    assert data(people[Role.VIEWER], document, q="pump 1", yes=True)["workOrders"]["edges"][0]["node"]["title"]
    assert [selections.variables.coerced for selections in made] == [{"yes": True}]


def test_each_table_of_a_statement_is_kept_to_the_tenant(people: dict[Role, User]) -> None:
    document = """{ workOrders { totalCount edges { node { title asset { code site { name } } assignee { name }
        tasks { totalCount edges { node { title } } } history { edges { node { at } } } } } } }"""
    sent = statements(people[Role.VIEWER], document)
    assert len(sent) == 3
    for sql in sent:
        tables = re.findall(r'FROM "(\w+)"', sql)
        assert tables
        unheld = [table for table in tables if f'"{table}"."tenant_id" = $' not in sql]
        # The rows of a reference are held in the tenant by the database, and again by the statement.
        assert all(table == "tasks_task" and re.search(r"WHERE t0\.c\d+ = \$", sql) for table in unheld)


def test_rows_of_another_tenant_are_not_there(people: dict[Role, User], rival: Tenant) -> None:
    foreign = factories.work_order(rival)
    document = "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } workOrders { totalCount } }"
    answer = data(people[Role.ADMIN], document, id=encode_id("WorkOrder", foreign.pk))
    assert answer == {"node": None, "nodes": [None], "workOrders": {"totalCount": 5}}


def test_no_statement_can_be_made_of_rows_of_any_tenant() -> None:
    with pytest.raises(UnscopedError):
        Table("t0", Sql.of("SELECT 1"))
    with pytest.raises(UnscopedError):
        Statement.of(Sql.of("SELECT 1"))


@pytest.mark.parametrize("text", ["it's", "a;b", "$1", "ä", "a\\"])
def test_no_text_stands_in_a_statement_that_is_not_plain(demo: Tenant, text: str) -> None:
    tracer = Tracer()
    with tracer.scope, pytest.raises(NotCompiledError):
        tracer.sql(WorkOrder.objects.filter(title=text).values_list("id"))


def test_one_statement_serves_all_values_of_arguments_of_one_shape(people: dict[Role, User]) -> None:
    document = "query ($q: String!) { workOrders(filters: {title: {exact: $q}}) { edges { node { title } } } }"
    with CaptureQueriesContext(connection) as captured:
        found = [data(people[Role.VIEWER], document, q=text)["workOrders"]["edges"] for text in ("pump 0", "pump 1")]
    assert [edges[0]["node"]["title"] for edges in found] == ["pump 0", "pump 1"]
    assert len({query["sql"] for query in captured.captured_queries}) == 1
