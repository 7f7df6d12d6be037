"""Relay connections: the types, the field that declares one, and how a page becomes edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import strawberry
from django.db import models
from graphql import GraphQLObjectType, get_named_type
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry import UNSET
from strawberry.types.fields.resolver import StrawberryResolver
from strawberry_django.ordering import process_ordering

from schema.errors import BadRequestError

from .fetch import Listing, Page, Window, at, count_nested_rows, count_rows, fetch_nested_pages, fetch_page
from .fields import NodeList
from .keyset import Order, decode_cursor, encode_cursor, order_of
from .lookups import condition_of
from .plan import NestedList, PageKey, Plan, Selections, page_key

NodeType = TypeVar("NodeType")

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 100
MAX_TERMS: Final = 8
"""How many terms an ordering may have."""

PAGES: Final = "_pages"
"""The attribute of a fetched row that holds the pages of the lists nested in it."""


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool = strawberry.field(description="More follows after this page.")
    has_previous_page: bool = strawberry.field(
        description="Something precedes this page. When paging forward: the page was asked for by `after`."
    )
    start_cursor: str | None = strawberry.field(description="The first edge's cursor; null when the page is empty.")
    end_cursor: str | None = strawberry.field(description="The last edge's cursor; null when the page is empty.")


@strawberry.type(description="An object and its place in a list.")
class Edge(Generic[NodeType]):
    """An object and its place in a list."""

    cursor: str = strawberry.field(description="The object's place: `after` it, the list goes on behind the object.")
    node: NodeType = strawberry.field(description="The object.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    """A page of a list."""

    edges: list[Edge[NodeType]] = strawberry.field(description="The objects of the page, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.")
    total_count: int = strawberry.field(
        description="How many objects the whole list has under its filters. Counted only when asked for."
    )


ARGUMENTS: Final = {
    "first": (int, f"How many to return from the front, at most {MAX_PAGE}; {DEFAULT_PAGE} when neither end is named."),
    "after": (str, "Return what follows this cursor."),
    "last": (int, f"How many to return from the back, at most {MAX_PAGE}; not together with `first`."),
    "before": (str, "Return what precedes this cursor."),
}


def connection(node: str, module: str, *, description: str, column: str | None = None) -> Any:
    """Declare a list of nodes; below another node, name the column that holds that node's key."""

    def resolve(
        root: Any,
        info: Any,
        first: int | None = UNSET,
        after: str | None = UNSET,
        last: int | None = UNSET,
        before: str | None = UNSET,
        filters: Any = UNSET,
        ordering: Any = UNSET,
    ) -> Any:
        given = {"first": first, "after": after, "last": last, "before": before, "filters": filters, "ordering": ordering}
        return _resolve(root, info, declared, {name: value for name, value in given.items() if value is not UNSET})

    resolve.__annotations__ = _annotations(node, strawberry.lazy(module))
    declared = NodeList(description=description, base_resolver=StrawberryResolver(resolve))
    declared.column = column
    return declared


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The arguments of a list, as the client gave them."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None
    filters: Any = None
    ordering: Sequence[Any] | None = None

    def listing(self, model: type[models.Model]) -> Listing:
        """Return the list that is asked for.

        Raises BadRequestError when the arguments make no sense.
        """
        rows = model._default_manager.all()
        order = order_of(model, self._terms(rows))
        return Listing(model, condition_of(self.filters, rows), order, self._window(model, order))

    def _terms(self, rows: Any) -> Sequence[Any]:
        ordering = self.ordering or []
        if len(ordering) > MAX_TERMS:
            raise BadRequestError(f"An ordering may have {MAX_TERMS} terms; this one has {len(ordering)}.")
        return process_ordering(type(ordering[0]), ordering, None, rows)[1] if ordering else []  # type: ignore[return-value]

    def _window(self, model: type[models.Model], order: Order) -> Window:
        if self.first is not None and self.last is not None:
            raise BadRequestError("Ask for `first` or for `last`, not for both.")
        size = self.first if self.last is None else self.last
        if size is not None and not 0 <= size <= MAX_PAGE:
            raise BadRequestError(f"A page has 0 to {MAX_PAGE} objects, not {size}; page on with `after`.")
        return Window(
            DEFAULT_PAGE if size is None else size,
            backward=self.last is not None,
            after=None if self.after is None else decode_cursor(model, order, self.after),
            before=None if self.before is None else decode_cursor(model, order, self.before),
        )


@dataclass(slots=True)
class Selected:
    """What is selected of a connection."""

    plan: Plan
    rows: bool = False
    count: bool = False

    @classmethod
    def of(cls, selections: Selections, connection_type: GraphQLObjectType, details: FieldDetailsList) -> "Selected":
        """Read the selection of a connection, down to the nodes' fields."""
        edge_type = named(connection_type, "edges")
        node_type = named(edge_type, "node")
        selected = cls(Plan(model_of(node_type)))
        for name, group in selections.below(connection_type, details):
            selected.rows |= name in {"edges", "pageInfo"}
            selected.count |= name == "totalCount"
            for inner, nodes in selections.below(edge_type, group) if name == "edges" else ():
                if inner == "node":
                    selections.read(selected.plan, node_type, nodes)
        return selected


def named(parent: GraphQLObjectType, name: str) -> GraphQLObjectType:
    """Return the object type of a field, whatever lists and non-nulls are around it."""
    found = get_named_type(parent.fields[name].type)
    assert isinstance(found, GraphQLObjectType)
    return found


def model_of(node_type: GraphQLObjectType) -> type[models.Model]:
    """Return the model of a node type."""
    origin: Any = node_type.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].origin
    model: type[models.Model] = origin.__strawberry_django_definition__.model
    return model


def fetch_lists(selections: Selections, plan: Plan, rows: Sequence[models.Model]) -> None:
    """Fetch the lists nested in these rows, at any depth, and leave each page with its row."""
    for nested in plan.lists:
        owners = [owner for row in rows if (owner := at(row, nested.owner)) is not None]
        if owners:
            _fetch_list(selections, nested, owners)


def _fetch_list(selections: Selections, nested: NestedList, owners: Sequence[models.Model]) -> None:
    selected = Selected.of(selections, nested.connection_type, nested.details)
    listing, column = PageArguments(**nested.arguments).listing(selected.plan.model), nested.field.column
    counts = count_nested_rows(listing, column, owners) if selected.count else {}
    pages: dict[int, Page] = {}
    if selected.rows:
        _add_order(selected.plan, listing.order)
        pages = fetch_nested_pages(selected.plan, listing, column, owners)
        fetch_lists(selections, selected.plan, [row for page in pages.values() for row in page.rows])
    for owner in owners:
        published = _publish(listing.order, pages.get(owner.pk, EMPTY), counts.get(owner.pk, 0))
        owner.__dict__.setdefault(PAGES, {})[nested.key] = published


def _resolve(root: Any, info: strawberry.Info, declared: NodeList, arguments: dict[str, Any]) -> Connection[Any]:
    raw = info._raw_info
    if declared.column is not None:
        return _nested(root, Selections.of(raw), declared, arguments)
    selections = Selections.of(raw)
    connection_type = get_named_type(raw.return_type)
    assert isinstance(connection_type, GraphQLObjectType)
    selected = Selected.of(selections, connection_type, selections.details())
    listing, page = PageArguments(**arguments).listing(selected.plan.model), EMPTY
    if selected.rows:
        _add_order(selected.plan, listing.order)
        page = fetch_page(selected.plan, listing)
        fetch_lists(selections, selected.plan, page.rows)
    return _publish(listing.order, page, count_rows(listing) if selected.count else 0)


def _nested(root: Any, selections: Selections, declared: NodeList, arguments: dict[str, Any]) -> Connection[Any]:
    pages: dict[PageKey, Connection[Any]] = root.__dict__.get(PAGES, {})
    key = page_key(selections.info.field_nodes)
    if key not in pages:
        # The parent came from elsewhere than a plan (the actor, say): its list is fetched for it alone.
        connection_type = get_named_type(selections.info.return_type)
        assert isinstance(connection_type, GraphQLObjectType)
        nested = NestedList("", key, declared, arguments, selections.details(), connection_type)
        _fetch_list(selections, nested, [root])
        pages = root.__dict__[PAGES]
    return pages[key]


def _add_order(plan: Plan, order: Order) -> None:
    for key in order:
        plan.add_column(key.path)


def _publish(order: Order, page: Page, count: int) -> Connection[Any]:
    edges = [Edge(cursor=encode_cursor(order, row), node=row) for row in page.rows]
    info = PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Connection(edges=edges, page_info=info, total_count=count)


def _annotations(node: str, lazy: Any) -> dict[str, Any]:
    annotations: dict[str, Any] = {"root": strawberry.Parent[Any], "info": strawberry.Info}
    for name, (kind, description) in ARGUMENTS.items():
        annotations[name] = Annotated[kind | None, strawberry.argument(description=description)]
    filters, order = Annotated[f"{node}Filter", lazy], Annotated[f"{node}Order", lazy]
    annotations["filters"] = Annotated[filters | None, strawberry.argument(description="Which objects to list.")]
    annotations["ordering"] = Annotated[
        list[order] | None,  # type: ignore[valid-type]
        strawberry.argument(description="In which order; the first term counts most. The id decides between equals."),
    ]
    return annotations | {"return": Connection[Annotated[node, lazy]]}  # type: ignore[valid-type]


EMPTY: Final = Page([], has_next=False, has_previous=False)
