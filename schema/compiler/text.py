"""Rows as JSON at once.

Where nothing of them is looked at again, dicts would be made, written and freed for nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import orjson
from django.db.models import DateTimeField
from graphql import GraphQLObjectType, get_named_type, is_enum_type, is_leaf_type, is_non_null_type
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.types.field import StrawberryField

from schema.json_text import json_of, lasting_json_of
from schema.reads.fields import Column
from schema.reads.keyset import encode_json
from schema.reads.plan import TYPENAME, Selections, declaration, field_type
from schema.reads.render import names_of

from .memo import Memo, times
from .shape import RowExpression, is_plain

NULL: Final = b"null"
PLACE: Final = b"%b"


def is_flat(selections: Selections, kind: GraphQLObjectType, details: FieldDetailsList) -> bool:
    """Tell whether all that is selected of rows lies in them: what it costs depends on nothing below."""
    return all(_is_flat_field(selections, kind, group) for _, group in selections.fields(kind, details))


class RowText(RowExpression):
    """The source of the JSON of what is selected of a page's rows; its names and columns are the page's."""

    def __init__(self, page: RowExpression) -> None:
        """Start with nothing selected."""
        super().__init__(page.selections, page.layout)
        self.share(page)

    def of_fields(
        self, kind: GraphQLObjectType, details: FieldDetailsList, of_field: Callable[[FieldDetailsList], str]
    ) -> str:
        """Return the source of the JSON of an object, with each field that is selected of it."""
        keys, values = [], []
        for key, group in self.selections.fields(kind, details):
            keys.append(f'"{key}":%b'.encode())
            is_name = group[0].node.name.value == TYPENAME
            values.append(self.named(lasting_json_of(kind.name)) if is_name else of_field(group))
        return Filled.of(self, b"{%b}" % b",".join(keys), values)

    def of_ascii(self, source: str) -> str:
        """Return the source of the JSON of a text, given that of its bytes: nothing in it has to be escaped."""
        return Filled.of(self, b'"%b"', [source])

    def of_known(self, memo: Memo, source: str) -> str:
        """Return the source of the JSON of what is known of a value."""
        return super().of_known(memo.as_json, source)

    def nothing(self) -> str:
        """Return the source of null."""
        return self.named(NULL)

    def of_column(self, declared_type: Any, column: Any, source: str, group: FieldDetailsList) -> str:
        """Return the source of the JSON that a column is, given that of its value."""
        required = is_non_null_type(declared_type)
        kind = declared_type.of_type if required else declared_type
        if is_enum_type(kind):
            names = {value: lasting_json_of(name) for value, name in names_of(kind, nullable=not required).items()}
            return f"{self.named(names)}[{source}]"
        value = super().of_column(declared_type, column, source, group)
        is_known = isinstance(column, DateTimeField) and is_plain(kind, column)
        return value if is_known else f"{self.named(orjson.dumps)}({value})"

    def of_computed(
        self, kind: GraphQLObjectType, declared: StrawberryField, owner: str, group: FieldDetailsList
    ) -> str:
        """Return the source of the JSON of what a function makes of the row at a path."""
        return f"{self.named(json_of)}({super().of_computed(kind, declared, owner, group)})"


class Filled(str):
    """The source of a template that is filled with the bytes of values; one within another is part of that."""

    __slots__ = ("template", "values")
    template: bytes
    values: list[str]

    @classmethod
    def of(cls, expression: RowExpression, template: bytes, values: Sequence[str]) -> Self:
        """Put it together of a template with a place for each value, and of their sources."""
        pieces, flat = template.split(PLACE), list[str]()
        for place, value in enumerate(values):
            pieces[place] += value.template if isinstance(value, Filled) else PLACE
            flat += value.values if isinstance(value, Filled) else [value]
        whole = b"".join(pieces)
        made = cls(f"{expression.named(whole)} % ({''.join(f'{each}, ' for each in flat)})")
        made.template, made.values = whole, flat
        return made


def cursor_of(expression: RowExpression, mark: int, columns: Sequence[tuple[Any, str]]) -> str:
    """Return the source of the bytes of a cursor: an order's mark, and the columns with the sources of their values."""
    values = [_in_cursor(expression, column, source) for column, source in columns]
    json = Filled.of(expression, b"[%d%b]" % (mark, b",%b" * len(values)), values)
    return f"{expression.named(encode_json)}({json})"


def _in_cursor(expression: RowExpression, column: Any, source: str) -> str:
    if isinstance(column, DateTimeField):
        return RowExpression.of_known(expression, times.as_json, source)
    return f"{expression.named(orjson.dumps)}({source})"


def _is_flat_field(selections: Selections, kind: GraphQLObjectType, group: FieldDetailsList) -> bool:
    name = group[0].node.name.value
    if name == TYPENAME or is_leaf_type(get_named_type(kind.fields[name].type)):
        return True
    declared = declaration(kind, name)
    relation = isinstance(declared, Column) and declared.is_relation
    return relation and is_flat(selections, field_type(kind, name), group)
