"""The arguments of a selected field, and what of them is the same for all requests that one statement can serve."""

from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    Undefined,
    VariableNode,
    Visitor,
    is_non_null_type,
    visit,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues, get_argument_values

from schema.reads.filter_checks import checked_moment, checked_text
from schema.reads.plan import Selections
from schema.reads.traced import Bind, Trace

from .errors import INPUT, NotCompiledError


class Arguments:
    """The arguments of a field, as an operation gives them to it."""

    def __init__(self, selections: Selections, parent: GraphQLObjectType, group: FieldDetailsList) -> None:
        """Know the field."""
        self._selections, self._parent, self._node = selections, parent, group[0].node
        self._field = parent.fields[self._node.name.value]
        self._variables = _variables(self._field, self._node)

    def coerced(self, variables: VariableValues) -> dict[str, Any]:
        """Return them as GraphQL has them.

        Raises NotCompiledError when they make no sense: the executor says why.
        """
        if self._variables is not None:
            given = variables.coerced
            return {name: given[variable] for name, variable in self._variables.items() if variable in given}
        try:
            return get_argument_values(self._field, self._node, variables)
        except GraphQLError as error:
            raise NotCompiledError(INPUT, error.message) from error

    def converted(self, coerced: dict[str, Any]) -> dict[str, Any]:
        """Return coerced arguments as Strawberry's own types, as a resolver gets them."""
        return self._selections.converted(self._parent, self._node.name.value, coerced)

    def read(self, variables: VariableValues) -> dict[str, Any]:
        """Return them as a resolver gets them."""
        return self._constant if self._is_constant else self.converted(self.coerced(variables))

    @cached_property
    def _is_constant(self) -> bool:
        found = _Variables()
        visit(self._node, found)
        return not found.any

    @cached_property
    def _constant(self) -> dict[str, Any]:
        return self.converted(self.coerced(self._selections.variables))


def _variables(field: GraphQLField, node: FieldNode) -> Mapping[str, str] | None:
    """Return the variables that the arguments of a field are; None if more than looking them up can become of one."""
    given, found = {each.name.value: each.value for each in node.arguments or ()}, {}
    for name, argument in field.args.items():
        value = given.get(name)
        decides = is_non_null_type(argument.type) or argument.default_value is not Undefined or argument.default
        if decides or not isinstance(value, VariableNode | None):
            return None
        if value is not None:
            found[argument.out_name or name] = value.name.value
    return found


class _Variables(Visitor):
    """Finds out whether there are any variables in the arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.any = False

    def enter_selection_set(self, *_: Any) -> Any:
        """Look no further."""
        return self.SKIP

    def enter_variable(self, *_: Any) -> None:
        """Note one."""
        self.any = True


def shape_of(value: Any, values: list[Any]) -> Hashable:
    """Return what of an input a statement depends on, and add to the values what is bound in it.

    Texts and times are bound. What is chosen from few (an enum, a truth, null), which fields there are and how long
    lists are is part of the statement, and so is an empty text, which code may take for none.

    Raises BadRequestError for what no column can hold.
    """
    kind = type(value)
    if kind is str and value:
        values.append(checked_text(value))
        return str
    if kind is dict:
        return tuple((name, shape_of(each, values)) for name, each in value.items())
    if kind is list:
        return list, *(shape_of(each, values) for each in value)
    if kind is datetime:
        values.append(checked_moment(value))
        return datetime
    found: Hashable = value
    return found


def traced(value: Any, trace: Trace, places: Iterator[int]) -> Any:
    """Return an input with stand-ins for what is bound: the values at these places, as `shape_of` finds them."""
    kind = type(value)
    if (kind is str and value) or kind is datetime:
        return trace.stand_in(kind, Bind(next(places)))
    if kind is dict:
        return {name: traced(each, trace, places) for name, each in value.items()}
    return [traced(each, trace, places) for each in value] if kind is list else value
