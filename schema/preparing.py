"""What becomes of an operation before it runs: found, read, priced, and judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from threading import Lock
from typing import Any, Final, NamedTuple

from django.conf import settings
from graphql import GraphQLError, OperationDefinitionNode, OperationType
from graphql.execution.values import VariableValues, get_variable_values

from .budget import Charge, check_price
from .context import Context
from .cost import LEAST, Line, Price, price
from .documents.document import Document, RefusedDocument
from .documents.finding import find
from .errors import ForbiddenError, InvalidError, MethodError, QueryTooComplexError, RequestError, published
from .mutations import BULK
from .root import schema

MAX_VARIABLE_ERRORS: Final = 50
"""So many errors of variables are told."""

NO_BULK: Final = (
    "Bulk mutations are turned off on this server, so nothing of this operation has run. "
    "Send a mutation `transition...` for each entity."
)
NO_OPERATION: Final = "Must provide an operation."
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
    stopped: bool = False
    """Some of it ran out of time."""

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
