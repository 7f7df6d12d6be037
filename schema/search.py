"""The search across all entities."""

import struct
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

import strawberry
from graphql import GraphQLObjectType
from strawberry.utils.str_converters import to_camel_case

from apps.search import services
from apps.search.declaration import searched_models
from apps.search.services import MAX_PAGE, MAX_QUERY, Hit, Place, QueryRefusedError, Question, Results

from .compiler.answers import answered_nodes
from .context import Context
from .errors import BadRequestError
from .reads.arguments import DEFAULT_PAGE
from .reads.fields import Entity
from .reads.global_id import GlobalId
from .reads.lists import fetch_nodes
from .reads.pages import PageInfo
from .reads.plan import Selections, details_of
from .reads.render import rendered
from .weights import cost

CURSOR: Final = struct.Struct(">HI")
"""A place: the penalty, and the number of the document."""


def _kinds() -> dict[str, str]:
    """Return the names of the values of SearchKind (WORK_ORDER), and the models' names they stand for."""
    return {str(model._meta.verbose_name).replace(" ", "_").upper(): kind for kind, model in searched_models().items()}


if TYPE_CHECKING:
    SearchKind = Enum
else:
    SearchKind = Enum("SearchKind", _kinds())

strawberry.enum(SearchKind, description="A kind of object that the search finds.")
for _value in SearchKind.__strawberry_definition__.values:  # type: ignore[attr-defined]
    _value.description = f"{searched_models()[_value.value]._meta.verbose_name_plural.capitalize()}."


@strawberry.type(description="A part of a text.")
class HighlightFragment:
    """A part of a text."""

    text: str = strawberry.field(description="The part, as it was written.")
    match: bool = strawberry.field(description="It is what was found.")


@strawberry.type(description="A text in which something was found.")
class Highlight:
    """A text in which something was found."""

    field: str = strawberry.field(description="The name of the field that holds the text.")
    fragments: list[HighlightFragment] = strawberry.field(
        description="The text in parts, in their order; of a long one what surrounds the first match.",
        directives=[cost(0)],
    )


@strawberry.type(description="How many objects of a kind the query finds.")
class SearchFacet:
    """How many objects of a kind the query finds."""

    kind: SearchKind = strawberry.field(description="The kind.")
    count: int = strawberry.field(description="How many of them, whatever `kinds` are shown.")


@strawberry.type(description="An object that was found, and its place among the others.")
class SearchEdge:
    """An object that was found, and its place among the others."""

    cursor: str = strawberry.field(description="Its place: `after` it, the results go on behind it.")
    score: float = strawberry.field(
        description="How well it matches, from 0 to 1: 1 when each word is in its name as it was typed."
    )
    highlights: list[Highlight] = strawberry.field(
        description="What was found in which of its texts.", directives=[cost(0)]
    )
    node: Entity = strawberry.field(description="The object.", directives=[cost(0)])


@strawberry.type(description="A page of what a query finds.")
class SearchConnection:
    """A page of what a query finds."""

    found: strawberry.Private[list[SearchEdge]]
    page_info: PageInfo = strawberry.field(description="Where the page lies among the results.", directives=[cost(0)])
    total_count: int = strawberry.field(description="How many objects of these kinds the query finds.")
    did_you_mean: str | None = strawberry.field(
        description="The query as it was understood, when nothing was found by some of its words as they are spelt."
    )
    facets: list[SearchFacet] = strawberry.field(
        description="How many objects of each kind the query finds, the most first; kinds without any are left out.",
        directives=[cost(0)],
    )

    @strawberry.field(description="The best matches first; among equals the newest.")
    def edges(self, info: strawberry.Info) -> list[SearchEdge]:
        """Return the edges, in the form in which they are answered."""
        selections = Selections.of(info._raw_info)
        return rendered(selections, _type(selections, SearchEdge), details_of(info._raw_info), self.found)  # type: ignore[no-any-return]


def search(
    info: strawberry.Info[Context, None],
    query: Annotated[
        str,
        strawberry.argument(
            description=f"What to search for, 2 to {MAX_QUERY} characters. All its words must match: as they are, with "
            "other endings, as the beginning of a word (the last one), by what they stand for, or misspelt (one edit "
            "from 4 letters on, two from 8 on). Codes match as they are or by their beginning."
        ),
    ],
    kinds: Annotated[
        list[SearchKind] | None, strawberry.argument(description="What to search among; everything when left out.")
    ] = None,
    first: Annotated[
        int | None,
        strawberry.argument(description=f"How many to return, at most {MAX_PAGE}; {DEFAULT_PAGE} by default."),
    ] = None,
    after: Annotated[str | None, strawberry.argument(description="Return what follows this cursor.")] = None,
) -> SearchConnection:
    """Return a page of what a query finds among the actor's tenant's entities."""
    selected = _Selected(info)
    place, names = None if after is None else _place(after), tuple(sorted({kind.value for kind in kinds or ()}))
    try:
        question = Question(query, names, _size(first), place, selected.highlights)
        results = services.search(info.context.actor.tenant_id, question)
    except QueryRefusedError as error:
        raise BadRequestError(str(error)) from error
    return _published(results, selected.edges(results.hits), later=after is not None)


def _size(first: int | None) -> int:
    if first is not None and not 0 <= first <= MAX_PAGE:
        raise BadRequestError(f"A page has 0 to {MAX_PAGE} results, not {first}; page on with `after`.")
    return DEFAULT_PAGE if first is None else first


class _Selected:
    """What an operation selects of the results."""

    def __init__(self, info: strawberry.Info[Context, None]) -> None:
        selections, details = Selections.of(info._raw_info), details_of(info._raw_info)
        self._selections, self._context = selections, info.context
        connection, edge = (_type(selections, each) for each in (SearchConnection, SearchEdge))
        edges = [group for name, group in selections.below(connection, details) if name == "edges"]
        below = [pair for group in edges for pair in selections.below(edge, group)]
        self.highlights = any(name == "highlights" for name, _ in below)
        self._nodes = [group for name, group in below if name == "node"]

    def edges(self, hits: Sequence[Hit]) -> list[SearchEdge]:
        """Return the edges of hits; one whose entity has been deleted meanwhile is left out."""
        names = [GlobalId(hit.kind, hit.key) for hit in hits]
        if not self._nodes:
            return [_edge(hit, None) for hit in hits]
        found = self._found(names)
        return [_edge(hit, found[name]) for hit, name in zip(hits, names, strict=True) if name in found]

    def _found(self, names: Sequence[GlobalId]) -> Any:
        # Under an alias of its own something else may be selected of a node: then there are several forms of it.
        found = (
            answered_nodes(self._selections, self._context, self._nodes[0], names) if len(self._nodes) == 1 else None
        )
        return fetch_nodes(self._selections, self._nodes, names) if found is None else found


def _type(selections: Selections, declared: type) -> GraphQLObjectType:
    found = selections.schema.type_map[declared.__name__]
    assert isinstance(found, GraphQLObjectType)
    return found


def _published(results: Results, edges: list[SearchEdge], *, later: bool) -> SearchConnection:
    return SearchConnection(
        found=edges,
        page_info=PageInfo(
            has_next_page=results.has_next,
            has_previous_page=later,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        total_count=results.total,
        did_you_mean=results.did_you_mean,
        facets=[SearchFacet(kind=SearchKind(kind), count=count) for kind, count in results.facets],
    )


def _edge(hit: Hit, node: Any) -> SearchEdge:
    highlights = [Highlight(field=_field(each.field), fragments=each.fragments) for each in hit.highlights]  # type: ignore[arg-type]
    return SearchEdge(cursor=_cursor(hit.place), score=hit.score, highlights=highlights, node=node)


_field = cache(to_camel_case)


def _cursor(place: Place) -> str:
    return urlsafe_b64encode(CURSOR.pack(*place)).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        penalty, number = CURSOR.unpack(b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        if number:
            return penalty, number
    except (ValueError, struct.error):
        pass
    raise BadRequestError("This cursor is not of a search; use one that the same query returned.")
