"""Compiled operations: what answers each field of the root."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from graphql import GraphQLObjectType, OperationType, get_named_type
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet, collect_fields
from graphql.execution.values import VariableValues

from schema.context import Context
from schema.errors import RequestError
from schema.introspection import INTROSPECTION as INTROSPECTION_FIELDS
from schema.reads.fields import NodeList, PageKey, page_key
from schema.reads.global_id import decode_id
from schema.reads.lists import node_type_of
from schema.reads.node import MAX_NODES, node, nodes
from schema.reads.plan import TYPENAME, Selections, declaration
from schema.reads.render import Expression, NotRenderableError

from .arguments import Arguments
from .errors import INPUT, INTROSPECTION, MUTATION, RESOLVER, NotCompiledError
from .lists import CompiledList
from .nodes import CompiledNodes
from .rows import Below
from .run import Run
from .shape import RowExpression, resolver_of

Answer = Callable[[Run], Any]
"""What answers a field of the root."""


class Compiler:
    """Compiles what an operation selects, each part once."""

    def __init__(self, selections: Selections) -> None:
        """Start with nothing compiled."""
        self.selections = selections
        self._lists: dict[tuple[str, PageKey], CompiledList] = {}
        self._nodes: dict[PageKey, CompiledNodes] = {}

    def list_of(self, parent: GraphQLObjectType, group: FieldDetailsList) -> CompiledList:
        """Return what reads a selected list."""
        key = parent.name, page_key(each.node for each in group)
        if key not in self._lists:
            self._lists[key] = CompiledList(self, parent, group)
        return self._lists[key]

    def nodes_of(self, group: FieldDetailsList) -> CompiledNodes:
        """Return what reads selected nodes of any type."""
        key = page_key(each.node for each in group)
        if key not in self._nodes:
            self._nodes[key] = CompiledNodes(self, group)
        return self._nodes[key]

    def below(self, expression: RowExpression) -> Below:
        """Return what reads all that is selected below rows."""
        return Below(
            [(place, self.list_of(kind, group)) for (place, _), (kind, group) in expression.lists.items()],
            [(kind, key, self.nodes_of(group)) for (kind, key, _), group in expression.references.items()],
            expression.given,
        )

    def field(self, root: GraphQLObjectType, group: FieldDetailsList) -> Answer:
        """Return what answers a field of the root.

        Raises NotCompiledError.
        """
        name = group[0].node.name.value
        if name == TYPENAME:
            return lambda _: root.name
        if name in INTROSPECTION_FIELDS:
            raise NotCompiledError(INTROSPECTION)
        declared = declaration(root, name)
        if isinstance(declared, NodeList):
            return self.list_of(root, group).root
        arguments = Arguments(self.selections, root, group)
        resolver = declared.base_resolver.wrapped_func if declared.base_resolver else None
        if resolver is node:
            return lambda run: self._node(group, run, arguments.coerced(run.variables)["id"])
        if resolver is nodes:
            return lambda run: self._all(group, run, arguments.coerced(run.variables)["ids"])
        return self._resolved(root, group, arguments)

    def _node(self, group: FieldDetailsList, run: Run, text: str) -> Any:
        return self._named(group, run, [text])[0]

    def _all(self, group: FieldDetailsList, run: Run, texts: list[str]) -> list[Any]:
        if len(texts) > MAX_NODES:
            raise NotCompiledError(INPUT, "too many ids")
        return self._named(group, run, texts)

    def _named(self, group: FieldDetailsList, run: Run, texts: list[str]) -> list[Any]:
        try:
            names = [decode_id(text) for text in texts]
        except RequestError as error:
            raise NotCompiledError(INPUT, error.message) from error
        compiled = self.nodes_of(group)
        if any(compiled.of(name.type_name) is None for name in names):
            raise NotCompiledError(INPUT, "an id of no type")
        found = compiled.named(run, dict.fromkeys(names))
        return [found.get(name) for name in names]

    def _resolved(self, root: GraphQLObjectType, group: FieldDetailsList, arguments: Arguments) -> Answer:
        """Return what has a field resolved, and reads of what it brings the attributes, or the node anew."""
        name = group[0].node.name.value
        resolve, kind = resolver_of(declaration(root, name)), root.fields[name].type
        shape = self._attributes(kind, group)
        if shape is None and node_type_of(self.selections.schema, get_named_type(kind).name) is not None:
            shape = self.nodes_of(group).of_row
        if shape is None:
            raise NotCompiledError(RESOLVER, name)
        return lambda run: shape(run, resolve(None, run.info, arguments.read(run.variables)))

    def _attributes(self, kind: Any, group: FieldDetailsList) -> Callable[[Run, Any], Any] | None:
        """Return what answers with attributes of an object, if nothing else is selected of it."""
        expression = Expression(self.selections)
        with suppress(NotRenderableError):
            return expression.function("run, source", expression.of_value(kind, group, "source"))
        return None


def root_of(selections: Selections) -> tuple[GraphQLObjectType, GroupedFieldSet]:
    """Return the type of an operation's root, and what is selected of it by the keys of the answer."""
    schema, operation = selections.schema, selections.operation
    root = schema.get_root_type(operation.operation)
    assert root is not None
    return root, collect_fields(schema, selections.fragments, selections.variables, root, operation).grouped_field_set


class CompiledOperation:
    """An operation that was compiled whole."""

    def __init__(self, selections: Selections) -> None:
        """Compile it.

        Raises NotCompiledError when some of it can't be.
        """
        if selections.operation.operation is not OperationType.QUERY:
            raise NotCompiledError(MUTATION)
        compiler, (root, collected) = Compiler(selections), root_of(selections)
        self._fields = [(key, compiler.field(root, group)) for key, group in collected.items()]

    def answer(self, context: Context, tenant: int, variables: VariableValues) -> dict[str, Any]:
        """Return the data.

        Raises NotCompiledError where the executor has to answer.
        """
        run = Run(context, tenant, variables)
        return {key: answer(run) for key, answer in self._fields}
