"""Relay's `node` and `nodes`: any object by its global id, one statement for each type."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import strawberry
from django.db import models
from graphql import GraphQLObjectType, GraphQLResolveInfo

from schema.errors import BadRequestError

from .connection import fetch_lists, model_of
from .fetch import rows_of, settle
from .fields import Node
from .global_id import GlobalId, decode_id
from .plan import Plan, Selections

MAX_NODES: Final = 100

Found = dict[GlobalId, models.Model]


def node(info: strawberry.Info, id: strawberry.ID) -> Node | None:  # noqa: A002 (Relay's name)
    """Return the object with this id, or null when there is none that the actor may see."""
    named = decode_id(id)
    return _fetch(info._raw_info, [named]).get(named)  # type: ignore[return-value]


def nodes(info: strawberry.Info, ids: list[strawberry.ID]) -> list[Node | None]:
    """Return the objects with these ids in their order, null for each that the actor can't see."""
    if len(ids) > MAX_NODES:
        raise BadRequestError(f"Ask for {MAX_NODES} objects at most; this asks for {len(ids)}.")
    named = [decode_id(text) for text in ids]
    found = _fetch(info._raw_info, named)
    return [found.get(name) for name in named]  # type: ignore[misc]


def _fetch(info: GraphQLResolveInfo, named: Iterable[GlobalId]) -> Found:
    keys: dict[str, set[int]] = defaultdict(set)
    for type_name, key in named:
        keys[type_name].add(key)
    selections, found = Selections.of(info), Found()
    for type_name, wanted in keys.items():
        rows = _fetch_type(selections, _node_type(info, type_name), wanted)
        found |= {GlobalId(type_name, row.pk): row for row in rows}
    return found


def _node_type(info: GraphQLResolveInfo, type_name: str) -> GraphQLObjectType:
    interface: Any = info.schema.type_map[Node.__name__]
    node_type = info.schema.type_map.get(type_name)
    if not isinstance(node_type, GraphQLObjectType) or interface not in node_type.interfaces:
        raise BadRequestError(f"There are no objects of the type {type_name!r}; send an id that a query returned.")
    return node_type


def _fetch_type(selections: Selections, node_type: GraphQLObjectType, keys: set[int]) -> list[models.Model]:
    plan = Plan(model_of(node_type))
    selections.read(plan, node_type, selections.details())
    rows = settle(plan, rows_of(plan).filter(pk__in=keys))
    fetch_lists(selections, plan, rows)
    return rows
