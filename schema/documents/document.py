"""A document as it was read: parsed, measured, validated, once for each text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any, Final

from cachetools import LRUCache, cached
from django.conf import settings
from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.execution.collect_fields import FragmentDetails
from graphql.validation.rules import overlapping_fields_can_be_merged

from schema.cost import Price
from schema.errors import BadRequestError, QueryTooComplexError, RequestError

from .limits import check_limits

MAX_ERRORS: Final = 20
"""So many errors of a document are told."""

CACHE_CHARACTERS: Final = 500_000
"""How much text of documents a process remembers. What is read in it takes 80 to 280 bytes for each character."""

LEAST_CHARACTERS: Final = 200
"""What a document counts for at least, however short: it is not the text that takes the room."""

overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 20_000
"""So many comparisons of fields a document may take; the library's own 500,000 are more than a second."""

MAX_PRICES: Final = 16
"""So many prices of a document are remembered."""

SIZING: Final = frozenset({"first", "last", "ids", "input"})
"""The arguments that say how long a list is (`schema.weights`); a test compares them with the schema."""

ABSENT: Final = object()


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A document that can run."""

    schema: GraphQLSchema
    text: str
    parsed: DocumentNode
    deciding: tuple[str, ...]
    """The variables that its price depends on."""
    switches: tuple[str, ...]
    """The variables in its directives: what is selected depends on them."""
    operations: Mapping[str | None, OperationDefinitionNode]
    """Its operations by their names; one that is alone also without."""
    fragments: dict[str, FragmentDetails]
    prices: "LRUCache[tuple[Any, ...], Price]" = field(default_factory=partial(LRUCache, MAX_PRICES))
    """What its operations cost, by what decides on it."""

    def readings(self, variables: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what its price depends on, as these coerced variables have it."""
        return tuple(_reading(variables.get(name, ABSENT)) for name in self.deciding)


@dataclass(frozen=True, slots=True, eq=False)
class RefusedDocument:
    """A document that can't run, all that is wrong with it, and the status of HTTP that says so."""

    text: str
    errors: Sequence[GraphQLError]
    status: HTTPStatus


def _room(found: Document | RefusedDocument) -> int:
    return LEAST_CHARACTERS + len(found.text)


def read(schema: GraphQLSchema, text: str) -> Document | RefusedDocument:
    """Return what a text is."""
    size = len(text.encode())
    if size > settings.MAX_DOCUMENT_BYTES:
        long = QueryTooComplexError(f"A document may have {settings.MAX_DOCUMENT_BYTES} bytes; this one has {size}.")
        return RefusedDocument("", [long], long.status)
    return _read(schema, text, settings.INTROSPECTION)


@cached(LRUCache(CACHE_CHARACTERS, getsizeof=_room), key=lambda _, *about: about, lock=Lock())
def _read(schema: GraphQLSchema, text: str, introspection: bool) -> Document | RefusedDocument:
    try:
        parsed = _parse(text)
        check_limits(parsed)
        errors = _errors(schema, parsed, introspection=introspection)
    except RequestError as error:
        return _refused(text, [error], error.status)
    except GraphQLSyntaxError as error:
        return _refused(text, [error], HTTPStatus.BAD_REQUEST)
    except RecursionError:
        deep = QueryTooComplexError("The document is nested too deep.")
        return _refused(text, [deep], deep.status)
    if errors:
        return _refused(text, errors, HTTPStatus.UNPROCESSABLE_ENTITY)
    return _document(schema, text, parsed)


def _document(schema: GraphQLSchema, text: str, parsed: DocumentNode) -> Document:
    operations = [each for each in parsed.definitions if isinstance(each, OperationDefinitionNode)]
    fragments = [each for each in parsed.definitions if isinstance(each, FragmentDefinitionNode)]
    deciding = _Deciding()
    visit(parsed, deciding)
    return Document(
        schema,
        text,
        parsed,
        tuple(sorted(deciding.names | deciding.switches)),
        tuple(sorted(deciding.switches)),
        {
            **({None: operations[0]} if len(operations) == 1 else {}),
            **{each.name.value: each for each in operations if each.name},
        },
        {each.name.value: FragmentDetails(each) for each in fragments},
    )


def _refused(text: str, errors: Sequence[GraphQLError], status: HTTPStatus) -> RefusedDocument:
    for error in errors:
        error.__traceback__ = error.__context__ = None  # they would keep all that was at hand where they were raised
    return RefusedDocument(text, errors, status)


def _parse(text: str) -> DocumentNode:
    try:
        return parse(text, max_tokens=settings.MAX_TOKENS)
    except GraphQLSyntaxError as error:
        if "tokens" in error.message:
            raise QueryTooComplexError(
                f"A document may have {settings.MAX_TOKENS} tokens; this one has more."
            ) from None
        raise


def _errors(schema: GraphQLSchema, parsed: DocumentNode, *, introspection: bool) -> list[GraphQLError]:
    rules = specified_rules if introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
    errors = validate(schema, parsed, rules, max_errors=MAX_ERRORS, hide_suggestions=not introspection)
    if any(error.message.endswith("Validation aborted.") for error in errors[:MAX_ERRORS]):
        return [QueryTooComplexError("The fields of the document meet in too many ways to be compared; ask in parts.")]
    if any(isinstance(error.original_error, ValueError) for error in errors):
        # Python reads no number of more than 4,300 digits.
        return [BadRequestError("A number in the document is too long to be read.")]
    return errors


class _Deciding(Visitor):
    """Collects the variables in directives and in the arguments that size lists."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.switches: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        """Take the variables of a directive: what it is about may be skipped."""
        for argument in node.arguments or ():
            self.switches |= _variables(argument)

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        """Take the variables of an argument that sizes a list."""
        if node.name.value in SIZING:
            self.names |= _variables(node)


def _variables(node: ArgumentNode) -> set[str]:
    variables = _Variables()
    visit(node, variables)
    return variables.names


class _Variables(Visitor):
    """Collects the names of variables."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        """Take its name."""
        self.names.add(node.name.value)


def _reading(value: Any) -> Any:
    """Return what of a value can decide on a price: a number, a truth, how long a list is, whether it is anything."""
    if isinstance(value, list):
        return "list", len(value)
    if isinstance(value, Mapping):
        return tuple((name, len(inner)) for name, inner in value.items() if isinstance(inner, list))
    return value if value is None or isinstance(value, int) or value is ABSENT else "something"
