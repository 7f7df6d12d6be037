"""The API reference: schema/schema.graphql as pages of Markdown."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_specified_scalar_type,
)
from graphql.language import DirectiveNode, print_ast
from graphql.pyutils import Undefined
from graphql.utilities import ast_from_value, value_from_ast_untyped

if TYPE_CHECKING:
    from sphinx.application import Sphinx

Described = GraphQLArgument | GraphQLField | GraphQLInputField

SDL: Final = Path(__file__).resolve().parent.parent.parent / "schema" / "schema.graphql"
MARK: Final = "<!-- reference -->"
"""Where a page of `docs/api` has its part of the schema."""


def page_of(kind: GraphQLNamedType) -> str:
    """Return the page of `docs/api` that holds a type; the empty text for one that GraphQL itself defines."""
    if kind.name.startswith("__") or is_specified_scalar_type(kind):
        return ""
    if kind.name in {"Query", "Mutation"}:
        return {"Query": "queries", "Mutation": "mutations"}[kind.name]
    return next(page for page, classes in PAGES.items() if isinstance(kind, classes))


PAGES: Final[dict[str, tuple[type[GraphQLNamedType], ...]]] = {
    "interfaces": (GraphQLInterfaceType, GraphQLUnionType),
    "objects": (GraphQLObjectType,),
    "inputs": (GraphQLInputObjectType,),
    "enums": (GraphQLEnumType,),
    "scalars": (GraphQLScalarType,),
}


def reference(schema: GraphQLSchema, page: str) -> str:
    """Return what a page of `docs/api` says of the schema, as Markdown."""
    kinds = sorted((kind for kind in schema.type_map.values() if page_of(kind) == page), key=lambda kind: kind.name)
    if page in {"queries", "mutations"}:
        return "\n".join(line for kind in kinds for line in _root_fields(kind))
    lines = (line for kind in kinds for line in (f"## {kind.name}", "", *_told(kind.description), *_body(schema, kind)))
    return "\n".join(lines)


def _root_fields(kind: Any) -> Iterator[str]:
    for name, field in sorted(kind.fields.items()):
        yield from (f"## {name}", "", *_told(field.description), f"Answers {_link(field.type)}.", "")
        yield from (*_told(_price(field)), *_arguments(field.args), "")


def _body(schema: GraphQLSchema, kind: GraphQLNamedType) -> Iterator[str]:
    if isinstance(kind, GraphQLUnionType):
        yield from _listing("One of", kind.types)
    if isinstance(kind, GraphQLEnumType):
        yield from _definitions((f"`{name}`", [value.description]) for name, value in kind.values.items())
    if isinstance(kind, GraphQLInterfaceType):
        yield from _listing("Implemented by", schema.get_possible_types(kind))
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        yield from _listing("Implements", kind.interfaces)
        yield from _definitions((_head(name, field), _field(field)) for name, field in kind.fields.items())
    if isinstance(kind, GraphQLInputObjectType):
        yield from _definitions((_head(name, field), _field(field)) for name, field in kind.fields.items())


def _head(name: str, field: Described) -> str:
    default = getattr(field, "default_value", Undefined)
    given = "" if default is Undefined else f" = `{print_ast(ast_from_value(default, field.type))}`"  # type: ignore[arg-type]
    return f"`{name}`: {_link(field.type)}{given}"


def _field(field: Any) -> list[str | None]:
    return [field.description, _price(field), *_arguments(getattr(field, "args", {}))]


def _arguments(arguments: dict[str, GraphQLArgument]) -> list[str]:
    return [f"- {_head(name, each)}. {_text(each.description)}" for name, each in arguments.items()]


def _definitions(entries: Iterable[tuple[str, Iterable[str | None]]]) -> Iterator[str]:
    """Yield a definition list; lines of a list within a definition stay together."""
    for term, texts in entries:
        told = [_text(text) for text in texts if text] or ["\u00a0"]
        yield from (term, f": {told[0]}")
        for before, line in pairwise(told):
            yield from (["  " + line] if before.startswith("- ") and line.startswith("- ") else ["", "  " + line])
        yield ""


def _price(field: Any) -> str | None:
    """Return in words what `@cost` and `@listSize` say of a field."""
    directives = {each.name.value: _values(each) for each in ((field.ast_node and field.ast_node.directives) or ())}
    told = []
    if "cost" in directives:
        told.append(f"Costs {directives['cost']['weight']}")
    if size := directives.get("listSize"):
        counted = " or ".join(f"`{name}`" for name in size.get("slicingArguments") or [])
        assumed = size.get("assumedSize")
        number = " or ".join(part for part in (counted, f"{assumed} items" if assumed is not None else "") if part)
        told.append(f"Counts as a list of {number}" if not counted or assumed is None else _sized(counted, assumed))
    return f"*{'. '.join(told)}.*" if told else None


def _sized(counted: str, assumed: int) -> str:
    return f"What a node costs counts {counted} times, {assumed} times when none is given"


def _values(directive: DirectiveNode) -> dict[str, Any]:
    return {argument.name.value: value_from_ast_untyped(argument.value) for argument in directive.arguments or ()}


def _listing(what: str, kinds: Iterable[GraphQLNamedType]) -> list[str]:
    links = ", ".join(_link(kind) for kind in sorted(kinds, key=lambda kind: kind.name))
    return [f"{what} {links}.", ""] if links else []


def _link(kind: Any) -> str:
    named = get_named_type(kind)
    page = page_of(named)
    shown = str(kind).replace("[", r"\[").replace("]", r"\]")
    return f"[{shown}]({page}.md#{named.name.lower()})" if page else f"`{kind}`"


def _told(text: str | None) -> list[str]:
    return [_text(text), ""] if text else []


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("<", r"\<")


def filler() -> Callable[["Sphinx", str, list[str]], None]:
    """Return the function that puts the schema where a page is marked."""
    schema = build_schema(SDL.read_text())

    def fill(_app: "Sphinx", docname: str, source: list[str]) -> None:
        if MARK in source[0]:
            source[0] = source[0].replace(MARK, reference(schema, docname.rpartition("/")[2]))

    return fill


def setup(app: "Sphinx") -> dict[str, bool]:
    """Have the pages filled as they are read, again whenever the schema has changed."""
    app.connect("source-read", filler())
    app.connect("env-before-read-docs", lambda _app, env, names: names.extend(_pages(env.found_docs, names)))
    return {"parallel_read_safe": True}


def _pages(found: Iterable[str], named: Iterable[str]) -> list[str]:
    return [name for name in found if name.startswith("api/") and name not in named]
