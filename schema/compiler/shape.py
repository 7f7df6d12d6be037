"""Python that makes rows the answer: one expression for all that is selected of a row and of what is joined to it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField
from graphql import GraphQLObjectType, is_enum_type, is_non_null_type
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.types.field import StrawberryField

from schema.reads.fields import (
    ANNOTATIONS,
    COLUMNS,
    TIMELESS,
    Column,
    IdField,
    NodeList,
    NodeReference,
    PageKey,
    page_key,
)
from schema.reads.plan import Selections, declaration, field_type
from schema.reads.render import Expression, refuse

from .arguments import Arguments
from .errors import RESOLVER, NotCompiledError
from .layout import KEY, Layout
from .memo import Memo, computed, ids, time_of, times

ROW: Final = "ROW"
"""Stands in the source for the variables of a row, which are known when all of it is written."""

PLAIN: Final = {
    "String": ("CharField", "EmailField", "SlugField", "TextField"),
    "Int": ("SmallIntegerField", "IntegerField", "BigIntegerField"),
    "Boolean": ("BooleanField",),
    "DateTime": ("DateTimeField",),
}
"""The columns whose values are answers of a type as they are; a time's form is the serialiser's, the same as ours."""

LARGEST_INT: Final = 2**31


class RowExpression(Expression):
    """The source of what is selected of rows, and what has to be known for it."""

    def __init__(self, selections: Selections, layout: Layout) -> None:
        """Start with nothing selected."""
        super().__init__(selections)
        self.layout = layout
        self.lists: dict[tuple[int, PageKey], tuple[GraphQLObjectType, FieldDetailsList]] = {}
        """The lists below: by where the key of their owner lies, and what is selected of them."""
        self.references: dict[tuple[int, int, PageKey], FieldDetailsList] = {}
        self.given: list[Arguments] = []
        self._entities: dict[str, dict[str, str]] = {}

    def of_row(self, kind: GraphQLObjectType, details: FieldDetailsList, owner: str = "") -> str:
        """Return the source of what is selected of the node at a path."""
        return self.of_fields(kind, details, partial(self._of_row_field, kind, owner))

    def share(self, other: "RowExpression") -> None:
        """Be part of the same source as another expression."""
        self.names, self._numbers = other.names, other._numbers
        self.given, self._entities = other.given, other._entities

    def of_ascii(self, source: str) -> str:
        """Return the source of the answer that a text is, given that of its bytes: nothing in it has to be escaped."""
        return f"{source}.decode()"

    def finished(self, source: str) -> str:
        """Return the source with the variables of a row in their places."""
        variables = "".join(f"v{place}, " for place in range(len(self.layout.selected)))
        made = (f"for {self._variable(owner)} in ({self._blank(owner)},) " for owner in self._entities)
        known = (f" for {self._variable(owner)}.__dict__ in ({self._known(owner)},)" for owner in self._entities)
        return source.replace(ROW, f"{''.join(made)}for ({variables}) in rows{''.join(known)}")

    def _blank(self, owner: str) -> str:
        """Return the source of a row that stands for each of a page's in turn: to make one takes longer."""
        model = self.named(self.layout.model_at(owner))
        return f"{model}.__new__({model})"

    def _known(self, owner: str) -> str:
        """Return the source of what a row knows, and nothing else, for the functions of the model that read no more."""
        values = (f"{self.named(name)}: {value}" for name, value in self._entities[owner].items())
        return f"{{{', '.join(values)}}}"

    def _variable(self, owner: str) -> str:
        return f"r{list(self._entities).index(owner)}"

    def _of_row_field(self, kind: GraphQLObjectType, owner: str, group: FieldDetailsList) -> str:
        name = group[0].node.name.value
        declared = declaration(kind, name)
        if declared.extensions or declared.permission_classes:
            raise NotCompiledError(RESOLVER, f"{kind.name}.{name}")
        if isinstance(declared, IdField):
            return self.of_known(ids(kind.name), f"v{self.layout.column(owner, KEY)}")
        if isinstance(declared, NodeList):
            key = self.layout.column(owner, KEY), page_key(each.node for each in group)
            self.lists.setdefault(key, (kind, group))
            return f"lists[{list(self.lists).index(key)}][v{key[0]}]"
        if isinstance(declared, NodeReference):
            return self._of_reference(declared, owner, group)
        if isinstance(declared, Column) and declared.is_relation:
            return self._of_relation(kind, declared, owner, group)
        return self._of_leaf(kind, declared, owner, group)

    def _of_reference(self, declared: NodeReference, owner: str, group: FieldDetailsList) -> str:
        kind, key = (self.layout.column(owner, name) for name in (declared.kind_column, declared.key_column))
        place = kind, key, page_key(each.node for each in group)
        self.references.setdefault(place, group)
        return f"references[{list(self.references).index(place)}].get((v{kind}, v{key}))"

    def _of_relation(
        self, kind: GraphQLObjectType, declared: StrawberryField, owner: str, group: FieldDetailsList
    ) -> str:
        name, below = group[0].node.name.value, f"{owner}{declared.python_name}__"
        target = field_type(kind, name)
        absent = f"{self.named(refuse)}()" if is_non_null_type(kind.fields[name].type) else self.nothing()
        return f"({absent} if v{self.layout.column(below, KEY)} is None else {self.of_row(target, group, below)})"

    def _of_leaf(self, kind: GraphQLObjectType, declared: StrawberryField, owner: str, group: FieldDetailsList) -> str:
        column, declared_type = self._column(declared, owner), kind.fields[group[0].node.name.value].type
        if column is not None:
            return self.of_column(declared_type, column, f"v{self.layout.column(owner, column.name)}", group)
        metadata: Mapping[Any, Any] = declared.metadata or {}
        if metadata.get(TIMELESS):
            return self._of_timeless(declared, owner, *metadata[COLUMNS])
        return self.of_computed(kind, declared, owner, group)

    def of_computed(
        self, kind: GraphQLObjectType, declared: StrawberryField, owner: str, group: FieldDetailsList
    ) -> str:
        """Return the source of what a function makes of the row at a path."""
        declared_type, entity = kind.fields[group[0].node.name.value].type, self._entity(declared, owner)
        if declared.is_basic_field:
            return self.of_value(declared_type, group, f"{entity}.{declared.python_name}")
        self.given.append(Arguments(self.selections, kind, group))
        call = self.named(resolver_of(declared))
        return self.of_value(declared_type, group, f"{call}({entity}, info, given[{len(self.given) - 1}])")

    def nothing(self) -> str:
        """Return the source of the answer that null is."""
        return "None"

    def of_known(self, memo: Memo, source: str) -> str:
        """Return the source of what is known of a value."""
        return f"({self.named(memo.get)}({source}) or {self.named(memo.made)}({source}))"

    def _of_timeless(self, declared: StrawberryField, owner: str, name: str) -> str:
        column: Any = self.layout.model_at(owner)._meta.get_field(name)
        memo = computed(self.layout.model_at(owner), column.attname, declared.python_name)
        return self.of_known(memo, f"v{self.layout.column(owner, name)}")

    def _column(self, declared: StrawberryField, owner: str) -> Any:
        """Return the column that a field is, or None."""
        metadata: Mapping[Any, Any] = declared.metadata or {}
        if not declared.is_basic_field or COLUMNS in metadata:
            return None
        try:
            field: Any = self.layout.model_at(owner)._meta.get_field(declared.python_name)
        except FieldDoesNotExist:
            return None
        return field if field.concrete else None

    def of_column(self, declared_type: Any, column: Any, source: str, group: FieldDetailsList) -> str:
        """Return the source of the answer that a column is, given that of its value."""
        required = is_non_null_type(declared_type)
        kind = declared_type.of_type if required else declared_type
        is_time = isinstance(column, DateTimeField)
        if is_enum_type(kind) or not is_plain(kind, column):
            return self.of_value(declared_type, group, self._time(source) if is_time else source)
        if column.get_internal_type() == "BigIntegerField":
            if column.null:
                return self.of_value(declared_type, group, source)
            return f"({source} if -{LARGEST_INT} <= {source} < {LARGEST_INT} else {self.named(refuse)}())"
        value = self.of_known(times, source) if is_time else source
        return f"({self.named(refuse)}() if {source} is None else {value})" if required and column.null else value

    def _entity(self, declared: StrawberryField, owner: str) -> str:
        """Return the variable of the row that a field is a pure function of; it has what the function reads."""
        metadata: Mapping[Any, Any] = declared.metadata or {}
        values = self._entities.setdefault(owner, {})
        for name in (KEY, *metadata.get(COLUMNS, (declared.python_name,))):
            column: Any = self.layout.model_at(owner)._meta.get_field(name)
            value = f"v{self.layout.column(owner, name)}"
            values[column.attname] = self._time(value) if isinstance(column, DateTimeField) else value
        for name, expression in metadata.get(ANNOTATIONS, {}).items():
            values[name] = f"v{self.layout.computed(owner, name, expression)}"
        return self._variable(owner)

    def _time(self, ticks: str) -> str:
        return f"{self.named(time_of)}({ticks})"


def is_plain(kind: Any, column: Any) -> bool:
    """Tell whether the values of a column are answers of a type as they are."""
    return column.get_internal_type() in PLAIN.get(kind.name, ())


def resolver_of(declared: StrawberryField) -> Callable[[Any, Any, Mapping[str, Any]], Any]:
    """Return what calls a field's resolver with a source, what is known of the request, and arguments."""
    resolver = declared.base_resolver
    assert resolver is not None
    function: Callable[..., Any] = resolver.wrapped_func  # type: ignore[assignment]
    takes_self = resolver.self_parameter is not None
    sources = [each.name for each in (resolver.parent_parameter, resolver.root_parameter) if each]
    about = resolver.info_parameter.name if resolver.info_parameter else None

    def call(source: Any, info: Any, given: Mapping[str, Any]) -> Any:
        named = dict.fromkeys(sources, source)
        if about is not None:
            named[about] = info
        return function(source, **named, **given) if takes_self else function(**named, **given)

    return call
