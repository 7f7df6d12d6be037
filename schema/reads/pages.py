"""The published form of a page: edges, page info and count."""

from typing import Any, Final, Generic, TypeVar

import strawberry

from schema.weights import cost

from .fetch import Page
from .keyset import Order, encode_cursor

NodeType = TypeVar("NodeType")


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
    node: NodeType = strawberry.field(description="The object.", directives=[cost(0)])


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    """A page of a list."""

    edges: list[Edge[NodeType]] = strawberry.field(description="The objects of the page, in the list's order.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list.", directives=[cost(0)])
    total_count: int = strawberry.field(
        description="How many objects the whole list has under its filters. Counted only when asked for."
    )


EMPTY: Final = Page([], has_next=False, has_previous=False)


def publish_page(order: Order, page: Page, count: int) -> Connection[Any]:
    """Return the connection that a page is."""
    edges = [Edge(cursor=encode_cursor(order, row), node=row) for row in page.rows]
    info = PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Connection(edges=edges, page_info=info, total_count=count)
