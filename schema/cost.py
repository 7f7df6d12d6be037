"""What an operation costs: priced before it runs, counted again by what it has brought.

The price is what execution could bring at most: the same fields, fragments, aliases and directives (collected by
graphql-core itself, with the coerced variables), each list as long as its arguments allow, each interface and union
as the dearest of its types. What was spent is the same sum with the lists as long as they came.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues, get_argument_values

from .introspection import INTROSPECTION, Introspection
from .json_text import JsonList
from .reads.plan import TYPENAME
from .weights import Weight, weight_of

LEAST: Final = 1
"""What the cheapest operation costs, and one that does not run: nothing is for nothing."""

MOST: Final = 2**31 - 1
"""The largest price that is told; it is a GraphQL Int."""

MAX_LINES: Final = 1000
"""How many lines a breakdown has at most; the last one then sums up the others."""


class Line(NamedTuple):
    """What the fields at a path cost."""

    path: str
    cost: int


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """A selected field: what it costs once, how often it can be there, and what is below it."""

    key: str
    once: int
    times: int | None
    """How many items its list can have; None if it is no sized list."""
    branches: tuple[tuple["Priced", ...], ...]
    """What is below it, for each type that it can be of."""
    below: int
    total: int
    varies: bool
    """Whether a list is below, or it is one: what it costs then depends on what comes."""

    @classmethod
    def of(cls, key: str, once: int, times: int | None, branches: tuple[tuple["Priced", ...], ...]) -> "Priced":
        """Sum up what is below a field."""
        below = max((_total(branch) for branch in branches), default=0)
        varies = times is not None or any(each.varies for branch in branches for each in branch)
        return cls(key, once, times, branches, below, (1 if times is None else times) * (once + below), varies)

    def spent(self, value: Any) -> int:
        """Return what the field has cost, given what it has brought; never more than its price."""
        if not self.varies:
            return self.total
        if self.times is None:
            return self.once + self._spent_below(value)
        return min(self.total, self._spent_list(value) if isinstance(value, list | JsonList) else 0)

    def _spent_list(self, items: list[Any] | JsonList) -> int:
        if isinstance(items, JsonList) or not any(each.varies for branch in self.branches for each in branch):
            return len(items) * (self.once + self.below)
        return sum(self.once + self._spent_below(item) for item in items)

    def _spent_below(self, value: Any) -> int:
        if isinstance(value, list):
            return max(map(self._spent_below, value), default=0)  # it counts once
        if not isinstance(value, Mapping):
            return 0
        # Of what type the value is, is not known: it counts as the dearest, by the lists that are in it.
        return max((spent(branch, value) for branch in self.branches), default=0)

    def dearest(self) -> tuple["Priced", ...]:
        """Return what is below the dearest of the types that it can be of."""
        return max(self.branches, key=_total, default=())


@dataclass(frozen=True, slots=True)
class Price:
    """What an operation costs at most."""

    fields: tuple[Priced, ...]
    names: tuple[str, ...]
    """The names of the fields of the root, one for each time that it is asked for."""
    total: int

    def spent(self, data: Mapping[str, Any] | None) -> int:
        """Return what the operation has cost, given its data."""
        return min(self.total, max(LEAST, spent(self.fields, data or {})))

    def breakdown(self) -> list[Line]:
        """Return what the price consists of, line by line; the lines add up to it, unless it is the largest told."""
        lines: list[Line] = []
        for line in _lines(self.fields, "", 1):
            if len(lines) == MAX_LINES:
                break
            lines.append(line)
        rest = self.total - sum(line.cost for line in lines)
        return [*lines, Line("", rest)] if rest > 0 else lines


def price(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: dict[str, FragmentDetails],
    variables: VariableValues,
) -> Price:
    """Return what a valid operation costs with these coerced variables."""
    root = schema.get_root_type(operation.operation)
    assert root is not None
    grouped = collect_fields(schema, fragments, variables, root, operation).grouped_field_set
    fields = _Pricing(schema, operation, fragments, variables).fields(root, grouped)
    names = tuple(group[0].node.name.value for group in grouped.values())
    return Price(fields, names, min(MOST, max(LEAST, _total(fields))))


def spent(fields: Iterable[Priced], data: Mapping[str, Any]) -> int:
    """Return what fields have cost, given the object they are of."""
    return sum(each.spent(data.get(each.key)) for each in fields)


class _Pricing:
    """Prices the fields of one operation; each once, however often fragments and aliases lead to it."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDetails],
        variables: VariableValues,
    ) -> None:
        self._schema, self._operation, self._fragments, self._variables = schema, operation, fragments, variables
        self._known: dict[tuple[Any, ...], Priced | None] = {}

    def fields(
        self, parent: GraphQLObjectType, grouped: GroupedFieldSet, sized: Mapping[str, int | None] | None = None
    ) -> tuple[Priced, ...]:
        """Return the fields of an object that cost something; for lists that the field above sizes, their sizes."""
        priced = (self._field(parent, key, group, sized or {}) for key, group in grouped.items())
        return tuple(each for each in priced if each is not None)

    def _field(
        self, parent: GraphQLObjectType, key: str, group: FieldDetailsList, sized: Mapping[str, int | None]
    ) -> Priced | None:
        name = group[0].node.name.value
        if name == TYPENAME:
            return None
        if name in INTROSPECTION:
            points = Introspection(self._schema, self._below).points(name, group)
            return Priced.of(key, ceil(points), None, ())
        place = (parent.name, key, sized.get(name), *(id(each.node) for each in group))
        if place not in self._known:
            priced = self._declared(parent, key, group, sized)
            self._known[place] = priced if priced.total or priced.varies else None
        return self._known[place]

    def _declared(
        self, parent: GraphQLObjectType, key: str, group: FieldDetailsList, sized: Mapping[str, int | None]
    ) -> Priced:
        name = group[0].node.name.value
        weight, kind = weight_of(parent, name), get_named_type(parent.fields[name].type)
        arguments = self._arguments(weight, parent, group)
        size, once = weight.size(arguments), weight.once(arguments)
        if is_leaf_type(kind):
            return Priced.of(key, once, None, ())
        below = dict.fromkeys(weight.sized_fields, size)
        types = self._schema.get_possible_types(kind) if is_abstract_type(kind) else [kind]
        branches = tuple(dict.fromkeys(self.fields(each, self._below(each, group), below) for each in types))
        return Priced.of(key, once, sized.get(name) if weight.sized_fields or size is None else size, branches)

    def _below(self, kind: Any, group: FieldDetailsList) -> GroupedFieldSet:
        return collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, kind, group
        ).grouped_field_set

    def _arguments(self, weight: Weight, parent: GraphQLObjectType, group: FieldDetailsList) -> Mapping[str, Any]:
        if not weight.reads:
            return {}
        field, node = parent.fields[group[0].node.name.value], group[0].node
        # Only what sizes is read: nothing else can decide on the price, not even by making no sense.
        sizing = GraphQLField(field.type, args={name: field.args[name] for name in weight.reads})
        try:
            return get_argument_values(sizing, node, self._variables)
        except GraphQLError:
            return {}  # execution meets the same error, and the field brings nothing


def _total(fields: Iterable[Priced]) -> int:
    return sum(each.total for each in fields)


def _lines(fields: Iterable[Priced], path: str, times: int) -> Iterator[Line]:
    for each in fields:
        here, count = f"{path}{each.key}", times * (1 if each.times is None else each.times)
        if each.once * count:
            yield Line(here, min(MOST, each.once * count))
        if count:
            yield from _lines(each.dearest(), f"{here}.", count)
