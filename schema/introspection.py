"""What introspection costs: a tenth of a point for each object of the schema that it answers, counted exactly.

What a list of the schema holds is known before it is asked, so nothing is assumed. Each selection is counted once for
each type of the schema, however deep types lead back to themselves.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_leaf_type
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.type.introspection import SchemaMetaFieldDef, TypeMetaFieldDef

INTROSPECTION: Final = {"__schema": SchemaMetaFieldDef, "__type": TypeMetaFieldDef}
POINTS: Final = 0.1
"""What an object of the schema costs: a fraction of a row, for it is in memory."""

Below = Callable[[Any, FieldDetailsList], GroupedFieldSet]


class Introspection:
    """Counts what introspection fields of one operation answer."""

    def __init__(self, schema: GraphQLSchema, below: Below) -> None:
        """Remember the schema, and how to collect what is selected below a field."""
        self._schema, self._below = schema, below
        self._known: dict[tuple[Any, ...], int] = {}

    def points(self, name: str, group: FieldDetailsList) -> float:
        """Return what `__schema`, or `__type` of the dearest type, costs."""
        kind: Any = get_named_type(INTROSPECTION[name].type)
        things = [self._schema] if name == "__schema" else self._schema.type_map.values()
        return POINTS * max(self._objects(kind, thing, group) for thing in things)

    def _objects(self, kind: GraphQLObjectType, thing: Any, group: FieldDetailsList) -> int:
        """Return how many objects a field answers that leads to one thing of the schema: itself, and those below."""
        # Fields and arguments come as a pair made anew, of a name and what lasts.
        named, lasting = thing if isinstance(thing, tuple) else ("", thing)
        place = (kind.name, named, id(lasting), *(id(each.node) for each in group))
        if place not in self._known:
            fields = self._below(kind, group).values()
            self._known[place] = 1 + sum(self._field(kind, thing, each) for each in fields)
        return self._known[place]

    def _field(self, kind: GraphQLObjectType, thing: Any, group: FieldDetailsList) -> int:
        field = kind.fields.get(group[0].node.name.value)
        inner: Any = field and get_named_type(field.type)
        if field is None or is_leaf_type(inner):
            return 0  # `__typename` has no declaration
        return sum(self._objects(inner, each, group) for each in self._things(field, thing))

    def _things(self, field: Any, thing: Any) -> Iterable[Any]:
        deprecated = {name: True for name in field.args if name == "includeDeprecated"}
        found = field.resolve(thing, _Info(self._schema), **deprecated)
        return [] if found is None else found if isinstance(found, Iterable) else [found]


class _Info:
    """What the resolvers of introspection need to know."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
