"""Completes a long list by plain functions, put together once for what is selected of its objects.

The executor takes some twenty steps for each field of each object. What a selection asks of the objects must be
attributes at any depth; where it asks for more (a resolver, a nested list of nodes), and whenever a value is not what
its type says, the list is left to the executor, which tells errors by their paths.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from graphql import (
    GraphQLObjectType,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from .fields import IdField
from .plan import TYPENAME, Selections, declaration

logger = logging.getLogger(__name__)

NULL: Final = "null where the schema has none"
RESULT: Final = 4
"""Which of the arguments of `complete_list_value` is the list."""

Render = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A list in the form in which it is answered."""

    items: Sequence[Any]


class NotRenderableError(Exception):
    """Raised when a selection asks for more than attributes."""


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Takes over rendered lists as they are."""

    def complete_list_value(self, *about: Any) -> Any:
        """Return the items of a rendered list, or complete one as usual."""
        result = about[RESULT]
        return result.items if type(result) is Rendered else super().complete_list_value(*about)


def rendered(selections: Selections, kind: GraphQLObjectType, details: FieldDetailsList, items: Sequence[Any]) -> Any:
    """Return a list of objects of a type with what is selected of them: rendered if that can be done, else as it is."""
    try:
        render = _object(selections, kind, details)
        return Rendered([render(item) for item in items])
    except NotRenderableError:
        return items
    except Exception:
        logger.exception("A list could not be rendered")
        return items


def _object(selections: Selections, kind: GraphQLObjectType, details: FieldDetailsList) -> Render:
    """Return what makes an object of a type the answer to a selection."""
    parts = [
        (key, _field(selections, kind, group[0].node.name.value, group))
        for key, group in selections.fields(kind, details)
    ]
    return lambda source: {key: render(source) for key, render in parts}


def _field(selections: Selections, kind: GraphQLObjectType, name: str, group: FieldDetailsList) -> Render:
    if name == TYPENAME:
        return lambda _: kind.name
    declared = declaration(kind, name)
    if not declared.is_basic_field:
        raise NotRenderableError
    read, complete = _reader(declared), _value(selections, kind.fields[name].type, group)
    return lambda source: complete(read(source))


def _reader(declared: Any) -> Render:
    if isinstance(declared, IdField):
        return lambda source: declared.get_result(source, None, [], {})
    return attrgetter(declared.python_name)


def _value(selections: Selections, kind: Any, group: FieldDetailsList) -> Render:
    """Return what makes a value the answer to a selection of a field of this type."""
    required = is_non_null_type(kind)
    kind = kind.of_type if required else kind
    if is_list_type(kind):
        item = _value(selections, kind.of_type, group)
        return _nullable(lambda values: [item(value) for value in values], required=required)
    if is_leaf_type(kind):
        return _leaf(kind, required=required)
    render = _Node(selections, group) if is_abstract_type(kind) else _object(selections, kind, group)
    return _nullable(render, required=required)


def _nullable(render: Render, *, required: bool) -> Render:
    def complete(value: Any) -> Any:
        if value is None and required:
            raise TypeError(NULL)
        return None if value is None else render(value)

    return complete


def _leaf(kind: Any, *, required: bool) -> Render:
    coerce, text = kind.coerce_output_value, kind.name in {"String", "ID"}

    def complete(value: Any) -> Any:
        if text and type(value) is str:
            return value
        coerced = None if value is None else coerce(value)
        if coerced is None and required:
            raise TypeError(NULL)
        return coerced

    return complete


class _Node:
    """Renders nodes of several types, each by what is selected of its own."""

    def __init__(self, selections: Selections, group: FieldDetailsList) -> None:
        self._selections, self._group = selections, group
        self._renders: dict[type, Render] = {}

    def __call__(self, source: Any) -> Any:
        render = self._renders.get(type(source))
        if render is None:
            kind = self._selections.info.schema.type_map[source._meta.object_name]
            assert isinstance(kind, GraphQLObjectType)
            render = self._renders[type(source)] = _object(self._selections, kind, self._group)
        return render(source)
