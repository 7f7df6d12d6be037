"""How an operation would be answered: what of it is compiled, which statements it sends, what it costs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from graphql import GraphQLError, OperationType, get_named_type, is_abstract_type, is_object_type
from graphql.execution import ExecutionResult
from graphql.execution.collect_fields import FieldDetailsList

from apps.accounts.models import User

from .compiler.errors import NotCompiledError
from .compiler.operation import Compiler, root_of
from .compiler.plans import attempts
from .context import Context
from .errors import published
from .introspection import INTROSPECTION
from .operation import executor_of
from .preparing import Answer, Asked, Ready, prepare
from .reads.lists import node_type_of
from .reads.plan import TYPENAME, Selections
from .statements import Sent, gathered

OFF: Final = "off"
"""Nothing is compiled, as the settings have it."""

Reason = NotCompiledError | None
"""Why something is left to the executor; None for what is compiled."""


class RefusedOperationError(Exception):
    """Raised for what the server would not run, with what it would say."""


@dataclass(slots=True)
class Explanation:
    """What is known of how an operation is answered."""

    ready: Ready
    reasons: dict[str, Reason] = field(default_factory=dict)
    """By the keys of the root's fields."""
    nodes: dict[str, Reason] = field(default_factory=dict)
    """Of what is left to the executor: how the nodes in it are read, where there are some."""
    statements: list[tuple[str, Sent]] = field(default_factory=list)
    """Each with the key of the field that it is for; none where that can't be told, for the executor ran."""
    plans: list[Sequence[str]] = field(default_factory=list)
    """What PostgreSQL says of the statements, if it was asked."""
    errors: Sequence[GraphQLError] = ()
    actual: int | None = None
    """What it cost in the end; None if it did not run."""

    @property
    def left(self) -> list[str]:
        """The keys of the fields for which the executor has to answer, and with them the whole operation."""
        return [key for key, reason in self.reasons.items() if reason is not None]


def explain(actor: User, asked: Asked, *, analyze: bool = False) -> Explanation:
    """Run a query as an actor, whose tenant is in scope, and return how it was answered; nothing is drawn or counted.

    A mutation does not run. Raises RefusedOperationError.
    """
    ready = prepare(Context(actor), asked, reading=False)
    if isinstance(ready, Answer):
        raise RefusedOperationError("\n".join(_told(error) for error in ready.errors))
    ready.context.price = ready.price.total
    explanation = Explanation(ready)
    with _read_only():
        data = _attempted(explanation)
        if explanation.left and ready.operation.operation is OperationType.QUERY:
            data = _executed(explanation)
        if data is not None:
            explanation.actual = ready.price.total if explanation.errors else ready.price.spent(data)
        if analyze and not explanation.errors:
            explanation.plans = [sent.analyzed() for _, sent in explanation.statements]
    return explanation


@contextmanager
def _read_only() -> Iterator[None]:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        yield
        transaction.set_rollback(True)  # so that a transaction around this one may write again


def _attempted(explanation: Explanation) -> Mapping[str, Any] | None:
    """Compile and run each field by itself; return the data when all could be."""
    ready, data = explanation.ready, {}
    document = ready.document
    selections = Selections(document.schema, ready.operation, ready.variables, document.fragments)
    tried = attempts(selections, ready.variables, ready.context)
    if not settings.COMPILED_READS:
        explanation.reasons = dict.fromkeys(tried, NotCompiledError(OFF))
        return None
    for key, attempt in tried.items():
        explanation.reasons[key] = None
        try:
            with transaction.atomic(), gathered() as sent:
                data[key] = attempt()
        except NotCompiledError as reason:
            explanation.reasons[key] = reason
        else:
            explanation.statements += [(key, each) for each in sent]
    if explanation.left:
        explanation.statements, explanation.nodes = [], _nodes(explanation, selections.kept())
    return None if explanation.left else data


def _executed(explanation: Explanation) -> Mapping[str, Any]:
    """Let the executor answer; return the data."""
    after, settings.COMPILE_AFTER = settings.COMPILE_AFTER, 0
    try:
        with gathered() as sent:
            result = executor_of(explanation.ready).execute_operation()
    finally:
        settings.COMPILE_AFTER = after
    assert isinstance(result, ExecutionResult)
    explanation.statements = [("", each) for each in sent]
    explanation.errors = [published(error) for error in result.errors or ()]
    return result.data or {}


def _nodes(explanation: Explanation, selections: Selections) -> dict[str, Reason]:
    """Return how the nodes are read that the executor answers: those of a mutation, or of what a search finds."""
    root, groups = root_of(selections)
    compiler, found = Compiler(selections), {}
    for key in explanation.left:
        name = groups[key][0].node.name.value
        below = [] if name in INTROSPECTION else list(_abstract(selections, root.fields[name].type, groups[key]))
        if len(below) == 1:
            found[key] = _read(compiler, *below[0])
    return {key: reason for key, (any_node, reason) in found.items() if any_node}


def _abstract(selections: Selections, kind: Any, group: FieldDetailsList) -> Iterator[tuple[Any, FieldDetailsList]]:
    """Yield the selected unions and interfaces, with what is selected of them; what is below them is part of that."""
    kind = get_named_type(kind)
    if is_abstract_type(kind):
        yield kind, group
    elif is_object_type(kind):
        for _, below in selections.fields(kind, group):
            name = below[0].node.name.value
            if name != TYPENAME:
                yield from _abstract(selections, kind.fields[name].type, below)


def _read(compiler: Compiler, kind: Any, group: FieldDetailsList) -> tuple[bool, Reason]:
    schema = compiler.selections.schema
    names = [each.name for each in schema.get_possible_types(kind) if node_type_of(schema, each.name) is not None]
    try:
        for name in names:
            compiler.nodes_of(group).of(name)
    except NotCompiledError as reason:
        return True, reason
    return bool(names), None


def _told(error: GraphQLError) -> str:
    return f"{error.message} (line {error.locations[0].line})" if error.locations else error.message
