"""Completes a long list by one expression, put together once for what is selected of its objects.

The executor takes some twenty steps for each field of each object. What a selection asks of the objects must be
attributes at any depth; where it asks for more (a resolver, a nested list of nodes), and whenever a value is not what
its type says, the list is left to the executor, which tells errors by their paths. The expression is Python source made
of the schema's own attribute names and of numbered names for everything else: nothing that a client wrote is in it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import count
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLObjectType,
    is_abstract_type,
    is_enum_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from .fields import IdField
from .global_id import encode_id
from .plan import TYPENAME, Selections, declaration

logger = logging.getLogger(__name__)

RESULT: Final = 4
"""Which of the arguments of the executor's methods is the value that they complete."""

PLAIN: Final = {"String": "str", "ID": "str", "Boolean": "bool"}
"""Leaf types whose values, if they are of this Python type, are answers as they are."""

Render = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A list or an object in the form in which it is answered."""

    answer: Any


class NotRenderableError(Exception):
    """Raised when a selection asks for more than attributes, or nests too deep."""


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Takes over what is rendered as it is."""

    def complete_list_value(self, *about: Any) -> Any:
        """Return a rendered list, or complete one as usual."""
        result = about[RESULT]
        return result.answer if type(result) is Rendered else super().complete_list_value(*about)

    def complete_abstract_value(self, *about: Any) -> Any:
        """Return a rendered object of an interface or a union, or complete one as usual."""
        result = about[RESULT]
        return result.answer if type(result) is Rendered else super().complete_abstract_value(*about)

    def complete_object_value(self, *about: Any) -> Any:
        """Return a rendered object, or complete one as usual."""
        result = about[RESULT]
        return result.answer if type(result) is Rendered else super().complete_object_value(*about)


def rendered(selections: Selections, kind: GraphQLObjectType, details: FieldDetailsList, items: Sequence[Any]) -> Any:
    """Return a list of objects of a type with what is selected of them: rendered if that can be done, else as it is."""
    try:
        render = render_of(selections, kind, details)
        return Rendered([render(item) for item in items])
    except NotRenderableError:
        return items
    except Exception:
        logger.exception("A list could not be rendered")
        return items


def render_of(selections: Selections, kind: GraphQLObjectType, details: FieldDetailsList) -> Render:
    """Return what makes an object of a type the answer to a selection.

    Raises NotRenderableError when the selection asks for more than attributes, or nests too deep.
    """
    expression = Expression(selections)
    return expression.function("source", expression.of_object(kind, details, "source"))


class Expression:
    """Python source that makes values answers, and what the names in it stand for."""

    def __init__(self, selections: Selections) -> None:
        """Start with nothing written."""
        self.selections, self._numbers = selections, count()
        self.names: dict[str, Any] = {"__builtins__": {}, "type": type, "str": str, "bool": bool}

    def of_object(self, kind: GraphQLObjectType, details: FieldDetailsList, source: str) -> str:
        """Return the source of a dict with what is selected of the object that another source stands for."""
        return self.of_fields(kind, details, lambda group: self._of_field(kind, group, source))

    def of_fields(
        self, kind: GraphQLObjectType, details: FieldDetailsList, of_field: Callable[[FieldDetailsList], str]
    ) -> str:
        """Return the source of a dict with a value for each field that is selected of an object."""
        fields = self.selections.fields(kind, details)
        parts = (f"{self.named(key)}: {self._or_type_name(kind, group, of_field)}" for key, group in fields)
        return f"{{{', '.join(parts)}}}"

    def _or_type_name(
        self, kind: GraphQLObjectType, group: FieldDetailsList, of_field: Callable[[FieldDetailsList], str]
    ) -> str:
        return self.named(kind.name) if group[0].node.name.value == TYPENAME else of_field(group)

    def _of_field(self, kind: GraphQLObjectType, group: FieldDetailsList, source: str) -> str:
        name = group[0].node.name.value
        declared = declaration(kind, name)
        if not declared.is_basic_field:
            raise NotRenderableError
        if isinstance(declared, IdField):
            return f"{self.named(_encode_id)}({source})"
        return self.of_value(kind.fields[name].type, group, f"{source}.{declared.python_name}")

    def of_value(self, kind: Any, group: FieldDetailsList, source: str) -> str:
        """Return the source of the answer that a value of a type is."""
        required = is_non_null_type(kind)
        kind, value = kind.of_type if required else kind, f"value{next(self._numbers)}"
        if is_enum_type(kind):
            return f"{self.named(names_of(kind, nullable=not required))}[{source}]"
        if is_leaf_type(kind):
            coerce = self.named(_required(kind) if required else _optional(kind))
            plain = PLAIN.get(kind.name, "None")
            return f"({value} if type({value} := {source}) is {plain} else {coerce}({value}))"
        present = self._of_present(kind, group, value)
        absent = f"{self.named(refuse)}()" if required else "None"
        return f"({absent} if ({value} := {source}) is None else {present})"

    def _of_present(self, kind: Any, group: FieldDetailsList, value: str) -> str:
        if is_list_type(kind):
            item = f"item{next(self._numbers)}"
            return f"[{self.of_value(kind.of_type, group, item)} for {item} in {value}]"
        if is_abstract_type(kind):
            return f"{self.named(_Node(self.selections, group))}({value})"
        return self.of_object(kind, group, value)

    def function(self, parameters: str, source: str) -> Callable[..., Any]:
        """Return the function of a source.

        Raises NotRenderableError when it nests deeper than Python reads.
        """
        try:
            made: Callable[..., Any] = eval(f"lambda {parameters}: {source}", self.names)  # noqa: S307 (source of our own)
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise NotRenderableError from error
        return made

    def named(self, thing: Any) -> str:
        """Return the name under which the source refers to a thing."""
        name = f"name{next(self._numbers)}"
        self.names[name] = thing
        return name


def _encode_id(row: Any) -> str:
    return encode_id(row._meta.object_name, row.pk)


def refuse() -> None:
    """Raise TypeError for a value that its type does not have."""
    raise TypeError("a value that its type does not have")


def _required(kind: Any) -> Render:
    coerce: Render = kind.coerce_output_value

    def complete(value: Any) -> Any:
        coerced = None if value is None else coerce(value)
        return refuse() if coerced is None else coerced

    return complete


def _optional(kind: Any) -> Render:
    coerce: Render = kind.coerce_output_value
    return lambda value: None if value is None else coerce(value)


@cache
def names_of(kind: GraphQLEnumType, *, nullable: bool) -> dict[Any, str | None]:
    """Return the names of an enum's values, by what stands for them in Python and in the database."""
    members = {value.value: name for name, value in kind.values.items()}
    stored = {member.value: name for member, name in members.items() if isinstance(member, Enum)}
    return {**members, **stored, **({None: None} if nullable else {})}


class _Node:
    """Renders nodes of several types, each by what is selected of its own."""

    def __init__(self, selections: Selections, group: FieldDetailsList) -> None:
        self._selections, self._group = selections, group
        self._renders: dict[type, Render] = {}

    def __call__(self, source: Any) -> Any:
        if type(source) is Rendered:
            return source.answer
        render = self._renders.get(type(source))
        if render is None:
            kind = self._selections.schema.type_map[source._meta.object_name]
            assert isinstance(kind, GraphQLObjectType)
            render = self._renders[type(source)] = render_of(self._selections, kind, self._group)
        return render(source)
