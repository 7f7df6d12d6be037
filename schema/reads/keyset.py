"""Keyset pagination: a page begins after the values of the row it follows, not after a count of rows.

An order is a list of `SortKey`s that ends with the primary key, so that no two rows are equal. "After these values" is
a union of ranges, each of which equates a prefix of the keys and bounds the next one; each range can be read from the
index of the order, at any depth, which one condition with OR could not: PostgreSQL would read all rows before it.
NULL has its place in the order like any value.
"""

from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Self
from zlib import crc32

import orjson
from django.db import models
from django.db.models import F, OrderBy, Q

from schema.errors import BadRequestError

from .global_id import MAX_KEY

Values = Sequence[Any]

URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True)
class SortKey:
    """One column of an order: the lookup path to it, its direction, and where NULL stands."""

    path: str
    descending: bool = False
    nulls_first: bool = False
    nullable: bool = False

    def reversed(self) -> Self:
        """Return the same column in the opposite direction."""
        return replace(self, descending=not self.descending, nulls_first=not self.nulls_first)

    def order_by(self) -> OrderBy:
        """Return the ORDER BY term; it names the place of NULL only where that isn't the index's own."""
        odd = self.nullable and self.nulls_first != self.descending
        first, last = odd and self.nulls_first, odd and not self.nulls_first
        return OrderBy(F(self.path), descending=self.descending, nulls_first=first or None, nulls_last=last or None)

    def equals(self, value: Any) -> Q:
        """Return the condition that the column holds this value."""
        return Q(**{f"{self.path}__isnull": True}) if value is None else Q(**{self.path: value})

    def follows(self, value: Any) -> list[Q]:
        """Return the ranges of the column that come after this value."""
        null, filled = Q(**{f"{self.path}__isnull": True}), Q(**{f"{self.path}__isnull": False})
        if value is None:
            return [filled] if self.nulls_first else []
        beyond = Q(**{f"{self.path}__{'lt' if self.descending else 'gt'}": value})
        return [beyond, null] if self.nullable and not self.nulls_first else [beyond]


Order = tuple[SortKey, ...]


def order_of(model: type[models.Model], terms: Iterable[Any]) -> Order:
    """Return the order these ORDER BY terms mean, or the model's own, made total by the primary key.

    The key follows the direction of the last term, so that an index over both can be read either way.
    """
    keys: dict[str, SortKey] = {}
    for term in list(terms) or list(model._meta.ordering or ()):
        key = _sort_key(model, term)
        keys.setdefault(key.path, key)
    if "id" not in keys:
        last = list(keys.values())[-1]
        keys["id"] = SortKey("id", descending=last.descending, nulls_first=last.descending)
    return tuple(keys.values())


def reverse(order: Order) -> Order:
    """Return the order read from its end."""
    return tuple(key.reversed() for key in order)


def ranges_after(order: Order, values: Values) -> list[Q]:
    """Return the disjoint ranges of rows that follow the row with these values, the nearest first."""
    found: list[Q] = []
    for place in reversed(range(len(order))):
        equal = [key.equals(value) for key, value in zip(order[:place], values[:place], strict=True)]
        found += [Q(*equal, beyond) for beyond in order[place].follows(values[place])]
    return found


def encode_cursor(order: Order, row: models.Model) -> str:
    """Return the cursor of a fetched row: a mark of the order it is good for, and the values of its keys."""
    return encode_values(order_mark(type(row), order), *(_value(row, key.path) for key in order))


def encode_values(*mark_and_values: Any) -> str:
    """Return the cursor that holds an order's mark and these values."""
    return encode_json(orjson.dumps(mark_and_values)).decode()


def encode_json(mark_and_values: bytes) -> bytes:
    """Return the cursor that holds an order's mark and values, given them as JSON."""
    return b2a_base64(mark_and_values, newline=False).translate(URL_SAFE, b"=")


def decode_cursor(model: type[models.Model], order: Order, cursor: str) -> Values:
    """Return the values a cursor holds.

    Raises BadRequestError when the cursor was not made by this list in this order.
    """
    try:
        mark, *values = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if mark == order_mark(model, order) and len(values) == len(order):
            return [_from_json(model, key, value) for key, value in zip(order, values, strict=True)]
    except (ValueError, TypeError, OverflowError):
        pass
    raise BadRequestError("This cursor is not of this list in this order; use one that the same query returned.")


@lru_cache(maxsize=256)
def order_mark(model: type[models.Model], order: Order) -> int:
    """Return by what a list's cursors of one order are told from others."""
    return crc32(f"{model.__name__}:{order}".encode())


def _sort_key(model: type[models.Model], term: Any) -> SortKey:
    if isinstance(term, str):
        path, descending, nulls_first = term.removeprefix("-"), term.startswith("-"), None
    else:
        path, descending, nulls_first = term.expression.name, term.descending, _nulls_first(term)
    default = descending if nulls_first is None else nulls_first
    return SortKey(path, descending=descending, nulls_first=default, nullable=_nullable(model, path))


def _nulls_first(term: OrderBy) -> bool | None:
    if term.nulls_first:
        return True
    return False if term.nulls_last else None


def _nullable(model: type[models.Model], path: str) -> bool:
    nullable, owner = False, model
    for name in path.split("__"):
        field: Any = owner._meta.get_field(name)
        nullable = nullable or (field.null and not isinstance(field, models.GeneratedField))
        owner = field.related_model
    return nullable


def field_at(model: type[models.Model], path: str) -> Any:
    """Return the column at a path; of a generated one, what it is generated as."""
    *relations, name = path.split("__")
    for relation in relations:
        model = model._meta.get_field(relation).related_model  # type: ignore[assignment]
    field: Any = model._meta.get_field(name)
    return field.output_field if isinstance(field, models.GeneratedField) else field


def _value(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name, None)
    return row


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("NUL")
    return value


def _integer(value: int) -> int:
    if not -MAX_KEY <= value <= MAX_KEY:
        raise ValueError("not a bigint")
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)


PARSERS: Final[tuple[tuple[type, type, Callable[[Any], Any]], ...]] = (
    (models.DateTimeField, str, _moment),
    (models.CharField, str, _text),
    (models.IntegerField, int, _integer),
)
"""How the value of a cursor becomes a column's value: the column's class, its type in JSON, and the parser."""


def _from_json(model: type[models.Model], key: SortKey, value: Any) -> Any:
    if value is None and key.nullable:
        return None
    field = field_at(model, key.path)
    for column, json_type, parse in PARSERS:
        if isinstance(field, column) and type(value) is json_type:
            return parse(value)
    raise TypeError(f"{field} can't hold {value!r}")
