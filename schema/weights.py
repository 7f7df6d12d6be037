"""What each field weighs: declared on the field as `@cost` and `@listSize`, read by the price and by clients.

The directives are those of IBM's GraphQL Cost Directives specification. Without `@cost` a field of an object,
interface or union weighs 1, one of a scalar or enum 0. A list without `@listSize` counts once: it is a value that comes
with its owner.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import strawberry
from graphql import GraphQLInputObjectType, GraphQLObjectType, get_named_type, is_leaf_type
from strawberry import UNSET
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema_directive import Location

MUTATION: Final = 10
SEARCH: Final = 10
CONNECTION: Final = 2


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="cost",
    description="What a field costs, in points, each time it is answered; on an input field: for each item of its "
    "list. A field without it costs 1 if it is an object, interface or union, 0 if it is a scalar or enum.",
)
class Cost:
    """What a field costs."""

    weight: str = strawberry.directive_field(name="weight")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="listSize",
    description="How many items a list is taken to have: what the largest of the slicing arguments says (a number, or "
    "a list with so many items), else the assumed size. With `sizedFields` it is the lists of these fields below. "
    "A list without this directive counts once.",
)
class ListSize:
    """How many items a list is taken to have."""

    assumed_size: int | None = strawberry.directive_field(name="assumedSize", default=UNSET)
    slicing_arguments: list[str] | None = strawberry.directive_field(name="slicingArguments", default=UNSET)
    sized_fields: list[str] | None = strawberry.directive_field(name="sizedFields", default=UNSET)
    # The specification's default is true: that one of the slicing arguments must be given.
    require_one_slicing_argument: bool = strawberry.directive_field(name="requireOneSlicingArgument", default=False)


def cost(points: int) -> Cost:
    """Return the directive that makes a field cost so many points."""
    return Cost(weight=str(points))


def paged(page: int, *slicing: str, weight: int = CONNECTION) -> list[object]:
    """Return the directives of a connection: how many nodes a page has by default, and which arguments say how many."""
    size = ListSize(assumed_size=page, slicing_arguments=list(slicing), sized_fields=["edges"])
    return [cost(weight), size]


class Weight(NamedTuple):
    """What a field weighs, and how its lists are sized."""

    points: int
    slicing: tuple[str, ...] = ()
    assumed: int | None = None
    sized_fields: tuple[str, ...] = ()
    items: tuple[tuple[str, int], ...] = ()
    """Lists in its arguments of which each item costs something: where, and how much."""

    def size(self, arguments: Mapping[str, Any]) -> int | None:
        """Return how many items the field's list has by its arguments; None if it is no sized list."""
        sizes = [size for path in self.slicing if (size := _size(arguments, path)) is not None]
        return max(0, *sizes) if sizes else self.assumed

    def once(self, arguments: Mapping[str, Any]) -> int:
        """Return what the field costs with these arguments, without what is below it."""
        return self.points + sum(points * (_size(arguments, path) or 0) for path, points in self.items)

    @property
    def reads(self) -> frozenset[str]:
        """The names of the arguments that matter."""
        return frozenset(path.partition(".")[0] for path in (*self.slicing, *(path for path, _ in self.items)))


def _size(arguments: Mapping[str, Any], path: str) -> int | None:
    value: Any = arguments
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return len(value) if isinstance(value, list) else value


@cache
def weight_of(parent: GraphQLObjectType, name: str) -> Weight:
    """Return what a field of a type weighs."""
    field = parent.fields[name]
    declared = _directives(field)
    points, size = _of(declared, Cost), _of(declared, ListSize)
    own = int(not is_leaf_type(get_named_type(field.type))) if points is None else int(points.weight)
    items = tuple(_items(field.args.items()))
    if size is None:
        return Weight(own, items=items)
    assumed = size.assumed_size if size.assumed_size is not UNSET else None
    return Weight(own, tuple(size.slicing_arguments or ()), assumed, tuple(size.sized_fields or ()), items)


def _items(arguments: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, int]]:
    for name, argument in arguments:
        kind = get_named_type(argument.type)
        if isinstance(kind, GraphQLInputObjectType):
            for inner, field in kind.fields.items():
                points = _of(_directives(field), Cost)
                if points is not None:
                    yield f"{name}.{inner}", int(points.weight)


def _directives(thing: Any) -> Iterable[object]:
    declared = thing.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return getattr(declared, "directives", None) or ()


def _of(directives: Iterable[object], kind: type[Any]) -> Any:
    return next((each for each in directives if isinstance(each, kind)), None)
