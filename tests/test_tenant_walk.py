"""A stranger walks the whole schema: no list, node, filter, order, count or cursor tells of another tenant."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from graphql import GraphQLObjectType, get_named_type

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import all_tenants
from apps.audit.models import AuditEntry
from schema.reads.global_id import encode_id
from schema.root import schema
from tests import factories
from tests.graphql import OBJECTS, data, everything_of, lists_of

pytestmark = pytest.mark.usefixtures("without_cost_limit")

SECRET = "OnlyDemoMayReadThis"
ROOT_LISTS = lists_of(OBJECTS["Query"])
NODE_TYPES = [name for name, kind in OBJECTS.items() if any(interface.name == "Node" for interface in kind.interfaces)]


@pytest.fixture
def secrets(demo: Tenant) -> dict[str, models.Model]:
    """Return a row of each type that belongs to demo, each text in it marked."""
    factories.force(Tenant.unscoped.filter(pk=demo.pk), name=SECRET)
    person = factories.user(demo, Role.ADMIN, name=SECRET, phone=SECRET)
    site = factories.site(demo, name=SECRET, code=SECRET)
    parent = factories.asset(demo, name=SECRET, site=site)
    asset = factories.asset(demo, name=SECRET, code=SECRET, category=SECRET, site=site, parent=parent)
    order = factories.work_order(
        demo, title=SECRET, description=SECRET, external_id=SECRET, site=site, asset=asset, assignee=person
    )
    task = factories.task(demo, title=SECRET, description=SECRET, work_order=order, asset=asset, assignee=person)
    ticket = factories.ticket(
        demo, subject=SECRET, requester_name=SECRET, site=site, asset=asset, assignee=person, work_order=order
    )
    attendance = factories.attendance_record(demo, person=person, site=site, note=SECRET)
    entry = AuditEntry.unscoped.create(
        tenant=demo,
        actor=person,
        action="CREATE",
        entity_kind="WorkOrder",
        entity_id=order.pk,
        entity_version=1,
        comment=SECRET,
        source="graphql",
    )
    rows = [demo, person, site, asset, order, task, ticket, attendance, entry]
    return {type(row).__name__: row for row in rows}


@pytest.fixture
def stranger(rival: Tenant) -> User:
    """Return an admin of another tenant, which has a row of its own of each kind."""
    admin = factories.user(rival, Role.ADMIN)
    order = factories.work_order(rival, asset=factories.asset(rival), assignee=admin)
    factories.task(rival, work_order=order)
    factories.ticket(rival, work_order=order)
    factories.attendance_record(rival, person=admin)
    return admin


def test_the_walk_meets_every_type(secrets: dict[str, models.Model]) -> None:
    assert set(NODE_TYPES) == set(secrets)


def test_demo_itself_reads_its_secrets(secrets: dict[str, models.Model]) -> None:
    owner = secrets["User"]
    assert isinstance(owner, User)
    for name, kind in ROOT_LISTS.items():
        document = f"{{ {name} {{ totalCount edges {{ node {everything_of(kind, 2)} }} }} }}"
        assert SECRET in json.dumps(data(owner, document)), name


@pytest.mark.parametrize("name", ROOT_LISTS)
def test_no_list_shows_or_counts_a_row_of_another(secrets: dict[str, models.Model], stranger: User, name: str) -> None:
    kind = ROOT_LISTS[name]
    document = f"{{ {name} {{ totalCount edges {{ cursor node {walk(kind)} }} }} }}"
    found = data(stranger, document)[name]
    assert_nothing_of(secrets, found)
    model = type(secrets[kind.name])
    with all_tenants():
        assert found["totalCount"] == model._default_manager.filter(tenant=stranger.tenant_id).count()


@pytest.mark.parametrize("type_name", NODE_TYPES)
def test_no_id_of_another_opens_a_node(secrets: dict[str, models.Model], stranger: User, type_name: str) -> None:
    ids = [encode_id(type_name, secrets[type_name].pk)]
    document = f"query ($ids: [ID!]!, $id: ID!) {{ node(id: $id) {{ ... on {type_name} {walk(OBJECTS[type_name])} }}"
    document += f" nodes(ids: $ids) {{ ... on {type_name} {everything_of(OBJECTS[type_name], 2)} }} }}"
    assert data(stranger, document, ids=ids, id=ids[0]) == {"node": None, "nodes": [None]}


@pytest.mark.parametrize("name", ROOT_LISTS)
def test_no_filter_finds_a_row_of_another(secrets: dict[str, models.Model], stranger: User, name: str) -> None:
    given = f"query ($filters: {ROOT_LISTS[name].name}Filter)"
    document = f"{given} {{ {name}(filters: $filters) {{ totalCount edges {{ node {{ id }} }} }} }}"
    for filters in probing_filters(ROOT_LISTS[name], secrets, depth=2):
        found = data(stranger, document, filters=filters)[name]
        assert found == {"totalCount": 0, "edges": []}, filters


@pytest.mark.parametrize("name", ROOT_LISTS)
def test_no_cursor_of_another_leads_to_their_rows(secrets: dict[str, models.Model], stranger: User, name: str) -> None:
    owner = secrets["User"]
    assert isinstance(owner, User)
    cursor = data(owner, f"{{ {name} {{ edges {{ cursor }} }} }}")[name]["edges"][0]["cursor"]
    for argument in ("after", "before"):
        told = f"edges {{ node {everything_of(ROOT_LISTS[name], 1)} }}"
        document = f"{{ {name}({argument}: {json.dumps(cursor)}) {{ {told} }} }}"
        assert_nothing_of(secrets, data(stranger, document))


@pytest.mark.parametrize("name", ROOT_LISTS)
def test_no_order_shows_a_row_of_another(secrets: dict[str, models.Model], stranger: User, name: str) -> None:
    kind = ROOT_LISTS[name]
    given = f"query ($ordering: [{kind.name}Order!])"
    document = f"{given} {{ {name}(ordering: $ordering) {{ edges {{ cursor node {everything_of(kind, 1)} }} }} }}"
    order: Any = OBJECTS["Query"].fields[name].args["ordering"].type
    for term, field in get_named_type(order).fields.items():
        inner = get_named_type(field.type)
        value: Any = "ASC" if inner.name == "Ordering" else {next(iter(inner.fields)): "ASC"}
        assert_nothing_of(secrets, data(stranger, document, ordering=[{term: value}]))


def walk(kind: GraphQLObjectType) -> str:
    """Return a selection of all of a type and of the lists in it."""
    lists = [
        f"{name} {{ totalCount edges {{ node {everything_of(nested, 1)} }} }}"
        for name, nested in lists_of(kind).items()
    ]
    return everything_of(kind, 2).removesuffix("}") + " ".join(lists) + " }"


def assert_nothing_of(secrets: dict[str, models.Model], found: Any) -> None:
    told = json.dumps(found)
    assert SECRET not in told
    for name, row in secrets.items():
        assert json.dumps(encode_id(name, row.pk)) not in told


def probing_filters(kind: GraphQLObjectType, secrets: dict[str, models.Model], depth: int) -> Iterator[dict[str, Any]]:
    """Yield filters that rows of demo fulfil, and that would tell of them: by id and by text, also of relations."""
    for name, field in filter_fields(f"{kind.name}Filter"):
        if name == "id":
            yield {"id": {"exact": encode_id(kind.name, secrets[kind.name].pk)}}
        elif field.name in {"TextLookup", "UniqueTextLookup"} and name not in {
            "command",
            "correlationId",
            "action",
            "email",
        }:
            yield {name: {"iContains": SECRET[:12]}}
        elif field.name == "ID" and name == "entity":
            yield {name: encode_id("WorkOrder", secrets["WorkOrder"].pk)}
        elif field.name.endswith("Filter") and depth and name not in {"AND", "OR", "NOT"}:
            target = OBJECTS[field.name.removesuffix("Filter")]
            yield from ({name: inner} for inner in probing_filters(target, secrets, depth - 1))
    yield {"AND": {"id": {"inList": [encode_id(kind.name, secrets[kind.name].pk)]}}}


def filter_fields(name: str) -> list[tuple[str, Any]]:
    kind: Any = schema._schema.type_map[name]
    return [(field, get_named_type(declared.type)) for field, declared in kind.fields.items()]


def test_an_entry_that_names_anothers_row_does_not_open_it(secrets: dict[str, models.Model], stranger: User) -> None:
    AuditEntry.unscoped.create(
        tenant=stranger.tenant,
        actor=stranger,
        action="CREATE",
        entity_kind="WorkOrder",
        entity_id=secrets["WorkOrder"].pk,
        entity_version=1,
        source="graphql",
    )
    document = "query ($f: AuditEntryFilter) { auditLog(filters: $f) { edges { node { action entity { id } } } } }"
    named = {"entity": encode_id("WorkOrder", secrets["WorkOrder"].pk)}
    (edge,) = data(stranger, document, f=named)["auditLog"]["edges"]
    assert edge["node"] == {"action": "CREATE", "entity": None}
