"""Relay's `node` and `nodes`: any object by its global id."""

from typing import Annotated, Final

import strawberry

from schema.errors import BadRequestError

from .fields import Node
from .global_id import decode_id
from .lists import fetch_nodes
from .plan import Selections, details_of

MAX_NODES: Final = 100
Id = Annotated[strawberry.ID, strawberry.argument(description="The object's id.")]
Ids = Annotated[list[strawberry.ID], strawberry.argument(description=f"The objects' ids, {MAX_NODES} at most.")]


def node(info: strawberry.Info, id: Id) -> Node | None:  # noqa: A002 (Relay's name)
    """Return the object with this id, or null when there is none that the actor may see."""
    named, selections = decode_id(id), Selections.of(info._raw_info)
    return fetch_nodes(selections, [details_of(info._raw_info)], [named]).get(named)  # type: ignore[return-value]


def nodes(info: strawberry.Info, ids: Ids) -> list[Node | None]:
    """Return the objects with these ids in their order, null for each that the actor can't see."""
    if len(ids) > MAX_NODES:
        raise BadRequestError(f"Ask for {MAX_NODES} objects at most; this asks for {len(ids)}.")
    named, selections = [decode_id(text) for text in ids], Selections.of(info._raw_info)
    found = fetch_nodes(selections, [details_of(info._raw_info)], named)
    return [found.get(name) for name in named]  # type: ignore[misc]
