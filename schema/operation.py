"""The way of an operation: found, read, priced, paid, run, and what it did not spend given back.

A request may carry several. They are priced together and drawn at once, before any of them runs.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any, Final, NamedTuple, TypeGuard

from django.conf import settings
from graphql import GraphQLError, OperationDefinitionNode, OperationType
from graphql.execution import ExecutionResult, default_field_resolver, default_type_resolver
from graphql.execution.values import VariableValues, get_variable_values

from apps.accounts.models import User
from apps.tracing import spans

from .budget import Charge, OverBudgetError, charge, check_price
from .busy import Busy
from .compiler.plans import answered
from .context import Context
from .cost import LEAST, Line, Price, price
from .documents.document import Document, RefusedDocument
from .documents.finding import find
from .documents.persisted import keep
from .errors import (
    ForbiddenError,
    InvalidError,
    MethodError,
    QueryTooComplexError,
    RequestError,
    internal,
    published,
)
from .mutations import BULK
from .reads.render import Executor
from .root import schema
from .slow import Watch
from .sources import Source, source_of

SEARCH: Final = "search"
MAX_VARIABLE_ERRORS: Final = 50
"""So many errors of variables are told."""

NO_BULK: Final = (
    "Bulk mutations are turned off on this server, so nothing of this operation has run. "
    "Send a mutation `transition...` for each entity."
)
NO_OPERATION: Final = "Must provide an operation."
logger = logging.getLogger(__name__)
_prices: Final = Lock()


class Asked(NamedTuple):
    """An operation as a client asked for it."""

    query: str | None = None
    document_name: str | None = None
    """The document's id, or its hash."""
    operation_name: str | None = None
    variables: Mapping[str, Any] | None = None
    extensions: Mapping[str, Any] | None = None

    @property
    def explains(self) -> bool:
        """Whether the client wants to know the price, and nothing else."""
        return (self.extensions or {}).get("cost") == "explain"


@dataclass(slots=True)
class Answer:
    """What became of an operation: data when it ran, errors, and what it cost."""

    status: int = HTTPStatus.OK
    errors: Sequence[GraphQLError] = ()
    ran: bool = False
    data: dict[str, Any] | None = None
    requested: int = LEAST
    actual: int = LEAST
    breakdown: Sequence[Line] | None = None
    malformed: bool = False
    """It was no request at all, to which the draft has other statuses."""
    operation: str | None = None
    """Its name, as far as one is known."""

    def body(self, paid: Charge) -> dict[str, Any]:
        """Return the response, as GraphQL has it."""
        body: dict[str, Any] = {"data": self.data} if self.ran else {}
        if self.errors:
            body["errors"] = [error.formatted for error in self.errors]
        cost = paid.told(self.requested, self.actual, self.breakdown)
        if cost is not None:
            body["extensions"] = {"cost": cost}
        return body


class InvalidOperationError(Exception):
    """Raised when there is no such operation, or its variables don't fit it."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        """Remember what is wrong."""
        super().__init__(errors)
        self.errors = errors


@dataclass(slots=True)
class Ready:
    """An operation that can run."""

    asked: Asked
    document: Document
    operation: OperationDefinitionNode
    variables: VariableValues
    context: Context
    price: Price


def answer_all(
    actor: User, asked: Sequence[Asked | RequestError], busy: Busy, *, reading: bool = False
) -> tuple[list[Answer], Charge]:
    """Return what becomes of the operations of a request, in their order, and what they have drawn.

    In place of an operation there may be why there is none; to find that out costs something too. What is measured in
    `busy` is owed. With `reading` nothing runs but queries. Raises OverBudgetError when they cost more than the actor
    has: then nothing has run.
    """
    context = Context(actor)
    with busy.measured():
        prepared = [_named(prepare(context, each, reading=reading), each) for each in asked]
    ready = [each for each in prepared if isinstance(each, Ready)]
    points = sum(_drawn(each) for each in prepared)
    try:
        paid = charge(actor, points, sum(each.price.names.count(SEARCH) for each in ready))
    except OverBudgetError as error:
        error.charge.settle(0, busy.milliseconds)  # to find out what it costs has taken its time
        raise
    if len(ready) == 1 and spans.is_followed():
        spans.note(_title(ready[0]))
    kinds = (each.operation.operation for each in prepared if isinstance(each, Ready))
    with busy.measured(), source_of(paid.client, kinds) as source:
        answers = [each if isinstance(each, Answer) else _run(each, paid, source) for each in prepared]
    paid.settle(sum(each.actual for each in answers), busy.milliseconds)
    return answers, paid


def _named(prepared: Ready | Answer, asked: Asked | RequestError) -> Ready | Answer:
    """Name what is told instead of an operation as the client did, who may have named nothing that there is."""
    if isinstance(prepared, Answer) and isinstance(asked, Asked):
        prepared.operation = asked.operation_name or None
    return prepared


def _drawn(prepared: Ready | Answer) -> int:
    return prepared.price.total if isinstance(prepared, Ready) else prepared.actual


def prepare(context: Context, asked: Asked | RequestError, *, reading: bool) -> Ready | Answer:
    """Read and price an operation; return what can run, or what is told instead."""
    if isinstance(asked, RequestError):
        return Answer(asked.status, [asked], malformed=True)
    try:
        document = find(schema._schema, asked.query, asked.document_name)
        if isinstance(document, RefusedDocument):
            return Answer(document.status, [published(error) for error in document.errors])
        operation, variables = _chosen(document, asked)
        if reading and operation.operation is not OperationType.QUERY:
            raise MethodError("Send a mutation by POST.")
        found = _price(document, operation, variables)
    except InvalidOperationError as refused:
        return Answer(InvalidError.status, [published(error) for error in refused.errors])
    except RequestError as error:
        return Answer(error.status, [error])
    except RecursionError:
        deep = QueryTooComplexError("The operation is nested too deep.")
        return Answer(deep.status, [deep])
    # Each operation has a context of its own, for each has a price.
    return _judged(Ready(asked, document, operation, variables, replace(context), found))


def _chosen(document: Document, asked: Asked) -> tuple[OperationDefinitionNode, VariableValues]:
    """Return the operation that is asked for, and its coerced variables. Raises InvalidOperationError."""
    name = asked.operation_name or None
    operation = document.operations.get(name)
    if operation is None:
        raise InvalidOperationError([GraphQLError(_unknown(document, name))])
    variables = get_variable_values(
        document.schema,
        operation.variable_definitions or (),
        asked.variables or {},  # type: ignore[arg-type]
        max_errors=MAX_VARIABLE_ERRORS,
        hide_suggestions=not settings.INTROSPECTION,
    )
    if isinstance(variables, list):
        raise InvalidOperationError(variables)
    return operation, variables


def _unknown(document: Document, name: str | None) -> str:
    if name is not None:
        return f"Unknown operation named '{name}'."
    return "Must provide operation name if query contains multiple operations." if document.operations else NO_OPERATION


def executor_of(ready: Ready) -> Executor:
    """Return what executes an operation field by field."""
    document = ready.document
    return Executor(
        document.schema,
        {name: each.definition for name, each in document.fragments.items()},
        document.fragments,
        None,
        ready.context,
        ready.operation,
        ready.variables,
        default_field_resolver,
        default_type_resolver,
        default_field_resolver,
        is_awaitable=_never,
        is_async_iterable=_never,
        hide_suggestions=not settings.INTROSPECTION,
    )


def _never(_: object) -> TypeGuard[Any]:
    return False  # all resolvers are synchronous


def _price(document: Document, operation: OperationDefinitionNode, variables: VariableValues) -> Price:
    key = operation.name and operation.name.value, *document.readings(variables.coerced)
    with _prices:
        found = document.prices.get(key)
    if found is None:
        try:
            found = price(document.schema, operation, document.fragments, variables)
        except GraphQLError as error:
            # A directive was given null by a variable that has a default, which validation lets pass.
            raise InvalidOperationError([error]) from error
        with _prices:
            document.prices[key] = found
    return found


def _judged(ready: Ready) -> Ready | Answer:
    """Return an operation that may run, or what is told instead."""
    total = ready.price.total
    if ready.asked.explains:
        return Answer(requested=total, actual=0, breakdown=ready.price.breakdown())
    if not settings.ENABLE_BULK_OPERATIONS and any(name.startswith(BULK) for name in ready.price.names):
        return Answer(ForbiddenError.status, [ForbiddenError(NO_BULK)], requested=total)
    try:
        check_price(total)
    except QueryTooComplexError as error:
        return Answer(error.status, [error], requested=total)
    return ready


def _run(ready: Ready, paid: Charge, source: Source) -> Answer:
    watch = Watch()
    with spans.span("operation"):
        answer = _outcome(ready, paid, source)
        answer.operation = ready.operation.name.value if ready.operation.name else None
        if spans.is_followed():
            spans.note(_title(ready), workgraph__requested=answer.requested, workgraph__actual=answer.actual)
    if watch.is_slow:
        watch.tell(ready, answer)
    return answer


def _title(ready: Ready) -> str:
    name = f" {ready.operation.name.value}" if ready.operation.name else ""
    return f"{ready.operation.operation.value}{name}"[: spans.MOST_NAME]


def _outcome(ready: Ready, paid: Charge, source: Source) -> Answer:
    total = ready.price.total
    ready.context.price, ready.context.charge = total, paid
    if ready.asked.query is not None and ready.asked.document_name is not None:
        keep(ready.asked.query, ready.asked.document_name, paid.client)
    try:
        result = source(partial(_result, ready))
    except Exception:
        # What ran before it in a batch has run, and its client must know.
        logger.exception("An operation failed outside any resolver")
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, [internal()], requested=total, actual=total)
    errors = [published(error) for error in result.errors or ()]
    # An error empties what lies around it, which has been fetched all the same.
    actual = total if errors else ready.price.spent(result.data)
    return Answer(errors=errors, ran=True, data=result.data, requested=total, actual=actual)


def _result(ready: Ready) -> ExecutionResult:
    data = answered(ready.document, ready.operation, ready.variables, ready.context)
    spans.note(workgraph__plan="executor" if data is None else "compiled")
    if data is not None:
        return ExecutionResult(data, None)
    result = executor_of(ready).execute_operation()
    assert isinstance(result, ExecutionResult)
    return result
