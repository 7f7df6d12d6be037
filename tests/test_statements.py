"""How many SQL statements each list takes: one, whatever is joined to it; one more for each list nested in it."""

import pytest
from django.db import models

from apps.accounts.models import Tenant, User
from apps.audit.models import AuditEntry
from schema.reads.global_id import encode_id
from tests import factories
from tests.graphql import OBJECTS, everything_of, lists_of, statements

pytestmark = pytest.mark.usefixtures("without_cost_limit")

ROOT_LISTS = lists_of(OBJECTS["Query"])
NESTED_LISTS = [(root, nested) for root, kind in ROOT_LISTS.items() for nested in lists_of(kind)]


@pytest.fixture
def furnished(demo: Tenant, technician: User) -> User:
    """Return a user of a tenant that has several rows of everything, all with their relations set."""
    for _ in range(3):
        furnish(demo, technician)
    return technician


def furnish(demo: Tenant, person: User) -> None:
    site = factories.site(demo)
    parent = factories.asset(demo, site=site)
    asset = factories.asset(demo, site=site, parent=parent)
    order = factories.work_order(demo, site=site, asset=asset, assignee=person, requested_by=person)
    task = factories.task(demo, work_order=order, asset=asset, assignee=person)
    ticket = factories.ticket(demo, work_order=order, site=site, asset=asset, assignee=person)
    record = factories.attendance_record(demo, person=person, site=site)
    for entity in (order, task, ticket, record):
        factories.audit_entry(entity, actor=person)


@pytest.mark.parametrize("name", ROOT_LISTS)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_list_is_one_statement_however_deep_its_relations(furnished: User, name: str, depth: int) -> None:
    document = (
        f"{{ {name} {{ edges {{ cursor node {everything_of(ROOT_LISTS[name], depth)} }} pageInfo {{ endCursor }} }} }}"
    )
    assert len(statements(furnished, document)) == 1


@pytest.mark.parametrize(("root", "nested"), NESTED_LISTS)
def test_a_nested_list_is_one_more_statement_for_any_number_of_parents(
    furnished: User, demo: Tenant, root: str, nested: str
) -> None:
    inner = everything_of(lists_of(ROOT_LISTS[root])[nested], 1)
    document = f"{{ {root} {{ edges {{ node {{ id {nested}(first: 2) {{ edges {{ cursor node {inner} }} }} }} }} }} }}"
    assert len(statements(furnished, document)) == 2
    furnish(demo, furnished)
    assert len(statements(furnished, document)) == 2


def test_two_aliases_of_a_nested_list_are_two_statements_for_any_number_of_parents(furnished: User) -> None:
    lists = "first: tasks(first: 1) { edges { node { id } } } last: tasks(last: 1) { edges { node { title } } }"
    assert len(statements(furnished, f"{{ workOrders {{ edges {{ node {{ id {lists} }} }} }} }}")) == 3


def test_a_fragment_under_aliases_of_one_row_is_fetched_once(furnished: User) -> None:
    aliases = " ".join(f"alias{place}: asset {{ ...Below }}" for place in range(5))
    pages = " ".join(f"alias{place}: edges {{ node {{ id {aliases} }} }}" for place in range(3))
    fragment = "fragment Below on Asset { tasks { edges { node { id } } } }"
    assert len(statements(furnished, f"{{ workOrders {{ {pages} }} }} {fragment}")) == 2


def test_what_entries_are_about_is_one_more_statement_a_type(furnished: User) -> None:
    entity = (
        "entity { __typename id ... on WorkOrder { title tasks { edges { node { id } } } } ... on Ticket { subject } }"
    )
    document = f"{{ auditLog {{ edges {{ node {{ a: {entity} b: entity {{ id }} }} }} }} }}"
    types = set(AuditEntry.unscoped.filter(tenant=furnished.tenant).values_list("entity_kind", flat=True))
    assert len(types) == 8
    assert len(statements(furnished, document)) == 1 + len(types) + 1 + len(types)


def test_lists_in_lists_are_one_statement_a_level(furnished: User) -> None:
    tasks = "tasks { edges { node { id assignee { name } } } }"
    orders = f"workOrders {{ edges {{ node {{ number {tasks} }} }} }}"
    document = f"{{ sites {{ edges {{ node {{ code assets {{ edges {{ node {{ code {orders} }} }} }} }} }} }} }}"
    assert len(statements(furnished, document)) == 4


def test_the_count_comes_with_the_page_and_only_when_asked_for(furnished: User) -> None:
    assert len(statements(furnished, "{ workOrders { totalCount } }")) == 1
    assert len(statements(furnished, "{ workOrders { totalCount edges { node { id } } } }")) == 1
    nested = "tasks { totalCount edges { node { id } } }"
    assert len(statements(furnished, f"{{ workOrders {{ edges {{ node {{ id {nested} }} }} }} }}")) == 2


def test_a_skipped_list_is_not_fetched(furnished: User) -> None:
    document = (
        "query ($no: Boolean!) { workOrders { edges { node { id"
        " tasks @skip(if: $no) { edges { node { id } } } ...More @include(if: $yes) } } } }"
        " fragment More on WorkOrder { tickets { edges { node { id } } } }"
    ).replace("($no: Boolean!)", "($no: Boolean!, $yes: Boolean = false)")
    assert len(statements(furnished, document, no=True)) == 1
    assert len(statements(furnished, document, no=False, yes=True)) == 3


def test_nodes_of_several_types_are_a_statement_a_type(furnished: User, demo: Tenant) -> None:
    rows: list[models.Model] = [factories.task(demo), factories.task(demo), factories.ticket(demo)]
    ids = [global_id(row) for row in rows]
    document = (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id"
        " ... on Task { title assignee { name } } ... on Ticket { subject site { name } } } }"
    )
    assert len(statements(furnished, document, ids=ids)) == 2


def test_me_costs_no_statement(furnished: User) -> None:
    assert statements(furnished, "{ me { id name email role tenant { id name } } }") == []


def global_id(row: models.Model) -> str:
    return encode_id(type(row).__name__, row.pk)
