"""How the lists and nodes of an operation are answered, from the root down: a few statements, then no more."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import models
from graphql import GraphQLObjectType, GraphQLSchema
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema.errors import BadRequestError

from .arguments import PageArguments
from .fetch import Page, among, at, count_nested_rows, count_rows, fetch_nested_pages, fetch_page, rows_of, settle
from .fields import REFERENCES, Node, NodeList, page_key
from .global_id import GlobalId
from .pages import EMPTY, Connection, publish_page
from .plan import NestedList, Plan, Reference, ResolveInfo, Selections, details_of, field_type

PAGES: Final = "_pages"
"""The attribute of a fetched row that holds the pages of the lists nested in it."""

Found = dict[GlobalId, models.Model]


@dataclass(slots=True)
class Selected:
    """What is selected of a connection."""

    plan: Plan
    rows: bool = False
    count: bool = False

    @classmethod
    def of(cls, selections: Selections, connection_type: GraphQLObjectType, details: FieldDetailsList) -> "Selected":
        """Read the selection of a connection, down to the nodes' fields."""
        edge_type = field_type(connection_type, "edges")
        node_type = field_type(edge_type, "node")
        selected = cls(Plan(model_of(node_type)))
        for name, group in selections.below(connection_type, details):
            selected.rows |= name in {"edges", "pageInfo"}
            selected.count |= name == "totalCount"
            for inner, nodes in selections.below(edge_type, group) if name == "edges" else ():
                if inner == "node":
                    selections.read(selected.plan, node_type, nodes)
        return selected


def resolve_list(root: Any, info: ResolveInfo, declared: NodeList, arguments: dict[str, Any]) -> Connection[Any]:
    """Return a page of a list; one nested in fetched rows was fetched with them."""
    selections = Selections.of(info)
    if declared.column is None:
        return _fetch_root(selections, info, declared, arguments)
    pages: dict[Any, Connection[Any]] = root.__dict__.setdefault(PAGES, {})
    key = page_key(info.field_nodes)
    if key not in pages:
        # The row came from elsewhere than a plan (the actor, say): its list is fetched for it alone.
        _fetch_nested(selections, NestedList("", key, declared, info.parent_type, details_of(info)), [root])
    return pages[key]


def fetch_nodes(selections: Selections, groups: Iterable[FieldDetailsList], named: Iterable[GlobalId]) -> Found:
    """Fetch nodes by their global ids, in one statement for each type; the ids of no row are left out.

    Each group selects something of them: under an alias of its own, when there are several.

    Raises BadRequestError for the name of a type that has no nodes.
    """
    keys: dict[str, set[int]] = defaultdict(set)
    for type_name, key in named:
        keys[type_name].add(key)
    found = Found()
    for type_name, wanted in keys.items():
        node_type = node_type_of(selections.schema, type_name)
        if node_type is None:
            raise BadRequestError(f"There are no objects of the type {type_name!r}; send an id that a query returned.")
        plan = Plan(model_of(node_type))
        for details in groups:
            selections.read(plan, node_type, details)
        rows = settle(plan, rows_of(plan).filter(among(wanted)))
        _fetch_below(selections, plan, rows)
        found |= {GlobalId(type_name, row.pk): row for row in rows}
    return found


def _fetch_root(
    selections: Selections, info: ResolveInfo, declared: NodeList, arguments: dict[str, Any]
) -> Connection[Any]:
    selected = Selected.of(selections, field_type(info.parent_type, info.field_name), details_of(info))
    listing, page = PageArguments(**arguments).listing(selected.plan.model, declared.where), EMPTY
    if selected.rows:
        selected.plan.add_columns(key.path for key in listing.order)
        page = fetch_page(selected.plan, listing)
        _fetch_below(selections, selected.plan, page.rows)
    return publish_page(listing.order, page, count_rows(listing) if selected.count else 0)


def _fetch_below(selections: Selections, plan: Plan, rows: Sequence[models.Model]) -> None:
    """Fetch what is selected below these rows, at any depth, and leave it with them."""
    for nested in plan.lists.values():
        if owners := _owners(rows, nested.owner):
            _fetch_nested(selections, nested, owners)
    for reference in plan.references.values():
        _fetch_references(selections, reference, _owners(rows, reference.owner))


def _fetch_nested(selections: Selections, nested: NestedList, owners: Sequence[models.Model]) -> None:
    column = nested.field.column
    assert column is not None
    selected = Selected.of(selections, nested.connection_type, nested.details)
    arguments = selections.arguments(nested.parent, nested.details)
    listing = PageArguments(**arguments).listing(selected.plan.model, nested.field.where)
    counts = count_nested_rows(listing, column, owners) if selected.count else {}
    pages: dict[int, Page] = {}
    if selected.rows:
        selected.plan.add_columns([column, *(key.path for key in listing.order)])
        pages = fetch_nested_pages(selected.plan, listing, column, owners)
        _fetch_below(selections, selected.plan, [row for page in pages.values() for row in page.rows])
    for owner in owners:
        published = publish_page(listing.order, pages.get(owner.pk, EMPTY), counts.get(owner.pk, 0))
        owner.__dict__.setdefault(PAGES, {})[nested.key] = published


def _fetch_references(selections: Selections, reference: Reference, owners: Sequence[models.Model]) -> None:
    kind, key = reference.field.kind_column, reference.field.key_column
    named = [GlobalId(getattr(owner, kind), getattr(owner, key)) for owner in owners]
    known = {name for name in named if node_type_of(selections.schema, name.type_name) is not None}
    found = fetch_nodes(selections, [reference.details], known)
    for owner, name in zip(owners, named, strict=True):
        owner.__dict__.setdefault(REFERENCES, {})[reference.key] = found.get(name)


def _owners(rows: Sequence[models.Model], path: str) -> list[models.Model]:
    return [owner for row in rows if (owner := at(row, path)) is not None]


def node_type_of(schema: GraphQLSchema, type_name: str) -> GraphQLObjectType | None:
    """Return the type of nodes with this name, if there is one."""
    interface: Any = schema.type_map[Node.__name__]
    node_type = schema.type_map.get(type_name)
    return node_type if isinstance(node_type, GraphQLObjectType) and interface in node_type.interfaces else None


def model_of(node_type: GraphQLObjectType) -> type[models.Model]:
    """Return the model of a type of nodes."""
    origin: Any = node_type.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].origin
    model: type[models.Model] = origin.__strawberry_django_definition__.model
    return model
