"""What an operation selects of a model: its columns, the rows joined to it, and the lists nested in it.

A plan is found by reading the selected fields once, before anything is fetched. It knows fields by what they declare
(`fields`), so that it holds for every node type.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from django.db import models
from django.db.models.expressions import Combinable
from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, OperationDefinitionNode, get_named_type
from graphql.execution.collect_fields import FieldDetails, FieldDetailsList, FragmentDetails, collect_subfields
from graphql.execution.values import VariableValues, get_argument_values
from strawberry import Schema
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from .fields import ANNOTATIONS, COLUMNS, Column, NodeList, NodeReference, PageKey, page_key

TYPENAME: Final = "__typename"

ResolveInfo = GraphQLResolveInfo[Any]

Place = tuple[str, PageKey]
"""A selection and the path of the rows it is of. Under several aliases of a row, a fragment's list is one."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that the database computes for the rows at a path."""

    owner: str
    name: str
    expression: Callable[[str], Combinable]


@dataclass(frozen=True, slots=True)
class NestedList:
    """A selected list of the rows at a path."""

    owner: str
    key: PageKey
    field: NodeList
    parent: GraphQLObjectType
    details: FieldDetailsList

    @property
    def connection_type(self) -> GraphQLObjectType:
        """Return the type of the list's pages."""
        return field_type(self.parent, self.details[0].node.name.value)


@dataclass(frozen=True, slots=True)
class Reference:
    """A selected node of any type, named by columns of the rows at a path."""

    owner: str
    key: PageKey
    field: NodeReference
    details: FieldDetailsList


@dataclass(slots=True)
class Plan:
    """What to fetch of a model's rows, by lookup paths from it."""

    model: type[models.Model]
    columns: set[str] = field(default_factory=lambda: {"id"})
    joins: set[str] = field(default_factory=set)
    computed: dict[tuple[str, str], Computed] = field(default_factory=dict)
    lists: dict[Place, NestedList] = field(default_factory=dict)
    references: dict[Place, Reference] = field(default_factory=dict)

    def add_columns(self, paths: Iterable[str]) -> None:
        """Fetch the columns at these paths, and join the rows on the way to them."""
        for path in paths:
            self._add_column(path)

    def _add_column(self, path: str) -> None:
        self.columns.add(path)
        relations = path.split("__")[:-1]
        self.joins.update("__".join(relations[: depth + 1]) for depth in range(len(relations)))
        self.columns.update(self.joins)


@dataclass(frozen=True, slots=True)
class Selections:
    """The fields that an operation selects, with fragments and directives applied."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    variables: VariableValues
    fragments: dict[str, FragmentDetails]

    @classmethod
    def of(cls, info: ResolveInfo) -> "Selections":
        """Return the selections of the operation that is being executed."""
        fragments = {name: FragmentDetails(fragment) for name, fragment in info.fragments.items()}
        return cls(info.schema, info.operation, _variable_values(info), fragments)

    def kept(self) -> Self:
        """Return the same with the truths alone of the variables: what else a client sent is not to be kept for long.

        Nothing but truths decides, in directives, on what is selected.
        """
        truths = {name: value for name, value in self.variables.coerced.items() if isinstance(value, bool | None)}
        sources = {name: self.variables.sources[name] for name in truths if name in self.variables.sources}
        return replace(self, variables=VariableValues(sources, truths))

    def below(self, parent: GraphQLObjectType, details: FieldDetailsList) -> Iterator[tuple[str, FieldDetailsList]]:
        """Yield the name of each field selected below these, with its nodes; each alias by itself."""
        for _, group in self.fields(parent, details):
            yield group[0].node.name.value, group

    def fields(self, parent: GraphQLObjectType, details: FieldDetailsList) -> Iterable[tuple[str, FieldDetailsList]]:
        """Return the key of each field selected below these in the answer, with its nodes."""
        collected = collect_subfields(self.schema, self.fragments, self.variables, self.operation, parent, details)
        return collected.grouped_field_set.items()

    def arguments(self, parent: GraphQLObjectType, group: FieldDetailsList) -> dict[str, Any]:
        """Return the coerced arguments of a field, as its resolver would get them."""
        node = group[0].node
        coerced = get_argument_values(parent.fields[node.name.value], node, self.variables)
        return self.converted(parent, node.name.value, coerced)

    def converted(self, parent: GraphQLObjectType, name: str, coerced: dict[str, Any]) -> dict[str, Any]:
        """Return the coerced arguments of a field as Strawberry's own types."""
        schema: Schema = self.schema._strawberry_schema  # type: ignore[attr-defined]
        arguments = declaration(parent, name).arguments
        return convert_arguments(coerced, arguments, schema.schema_converter.scalar_registry, schema.config)

    def read(self, plan: Plan, node_type: GraphQLObjectType, details: FieldDetailsList, owner: str = "") -> None:
        """Add to the plan what is selected of the node at a path."""
        for name, group in self.below(node_type, details):
            if name != TYPENAME:
                self._read_field(plan, node_type, name, group, owner)

    def _read_field(
        self, plan: Plan, node_type: GraphQLObjectType, name: str, group: FieldDetailsList, owner: str
    ) -> None:
        declared = declaration(node_type, name)
        if isinstance(declared, NodeList):
            nested = NestedList(owner, page_key(item.node for item in group), declared, node_type, group)
            plan.lists[owner, nested.key] = nested
        elif isinstance(declared, NodeReference):
            reference = Reference(owner, page_key(item.node for item in group), declared, group)
            plan.references[owner, reference.key] = reference
            plan.add_columns([f"{owner}{declared.kind_column}", f"{owner}{declared.key_column}"])
        elif isinstance(declared, Column) and declared.is_relation:
            plan.add_columns([f"{owner}{declared.python_name}__id"])
            self.read(plan, field_type(node_type, name), group, f"{owner}{declared.python_name}__")
        else:
            _read_leaf(plan, declared, owner)


def details_of(info: ResolveInfo) -> FieldDetailsList:
    """Return the field that is being resolved."""
    return [FieldDetails(node, None) for node in info.field_nodes]


def field_type(parent: GraphQLObjectType, name: str) -> GraphQLObjectType:
    """Return the type of the objects that a field of a type brings, be it one or a list."""
    found = get_named_type(parent.fields[name].type)
    assert isinstance(found, GraphQLObjectType)
    return found


def declaration(node_type: GraphQLObjectType, name: str) -> StrawberryField:
    """Return how a field of a type was declared."""
    declared: StrawberryField = node_type.fields[name].extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    return declared


def _read_leaf(plan: Plan, declared: StrawberryField, owner: str) -> None:
    metadata: Mapping[Any, Any] = declared.metadata or {}
    columns = metadata.get(COLUMNS, (declared.python_name,) if isinstance(declared, Column) else ())
    plan.add_columns(f"{owner}{column}" for column in columns)
    for name, expression in metadata.get(ANNOTATIONS, {}).items():
        plan.computed[owner, name] = Computed(owner, name, expression)


def _variable_values(info: ResolveInfo) -> VariableValues:
    values = info.variable_values
    return values if isinstance(values, VariableValues) else VariableValues(sources={}, coerced=dict(values))
