"""What a filter can ask of a column, and how filters become conditions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar, dataclass_transform

import strawberry
import strawberry_django
from django.db import models
from django.db.models import Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from strawberry import UNSET
from strawberry.types.base import get_object_definition
from strawberry_django.filters import process_filters

from apps.lifecycle.models import NumberedEntity
from schema.errors import BadRequestError

from .filter_checks import check_filter
from .global_id import decode_id
from .traced import converted

T = TypeVar("T")
Rows = QuerySet[Any]

NO_KEY = 0
"""A key that no row has, as they are counted from 1; unlike NULL it equals nothing even when negated."""


def _lookup(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


@strawberry.input(description="Conditions on a text. All that are given must hold.")
class TextLookup:
    """Conditions on a text column."""

    exact: str | None = _lookup("Is this text.")
    i_exact: str | None = _lookup("Is this text, in capitals or not.")
    in_list: list[str] | None = _lookup("Is one of these texts.")
    contains: str | None = _lookup("Contains this text.")
    i_contains: str | None = _lookup("Contains this text, in capitals or not.")
    starts_with: str | None = _lookup("Starts with this text.")
    i_starts_with: str | None = _lookup("Starts with this text, in capitals or not.")


@strawberry.input(description="Conditions on a text that no two objects share. All that are given must hold.")
class UniqueTextLookup(TextLookup):
    """Conditions on a text column whose values are unique in the tenant."""

    @strawberry_django.filter_field
    def filter(self, queryset: Rows, prefix: str) -> tuple[Rows, Q]:
        """Return the conditions; those on a relation's exact text go by the key of the one row that has it.

        With a join PostgreSQL can't know that it looks for one row's key, and may read a whole index for it.
        """
        owner, _, name = prefix.removesuffix("__").rpartition("__")
        rest: Any = replace(self, exact=UNSET) if owner and self.exact else self
        queryset, condition = process_filters(rest, queryset, None, prefix, skip_object_filter_method=True)
        if rest is self:
            return queryset, condition
        named = _model_at(queryset.model, prefix)._default_manager.filter(**{name: self.exact}).values("pk")
        return queryset, condition & Q(**{owner: Coalesce(Subquery(named[:1]), NO_KEY)})


@strawberry.input(description="Conditions on the number people use. All that are given must hold.")
class NumberLookup:
    """Conditions on the number of a `NumberedEntity`, which is stored as a count."""

    exact: str | None = _lookup("Is this number, in capitals or not.")
    in_list: list[str] | None = _lookup("Is one of these numbers.")

    @strawberry_django.filter_field
    def filter(self, queryset: Rows, prefix: str) -> tuple[Rows, Q]:
        """Return the condition on the count; what is no number is the number of nothing."""
        model, path = _model_at(queryset.model, prefix), prefix.removesuffix("number__") + "serial"
        assert issubclass(model, NumberedEntity)
        condition = Q()
        if isinstance(self.exact, str):
            condition &= Q(**{path: _serial(model, self.exact)})
        if isinstance(self.in_list, list):
            condition &= Q(**{f"{path}__in": [_serial(model, number) for number in self.in_list]})
        return queryset, condition


@strawberry.input(description="Conditions on a choice. All that are given must hold.")
class ChoiceLookup(Generic[T]):
    """Conditions on a column with an enumeration of values."""

    exact: T | None = _lookup("Is this value.")
    in_list: list[T] | None = _lookup("Is one of these values.")


@strawberry.input(description="A range of times, both ends included.")
class TimeRange:
    """A range of times."""

    start: datetime = strawberry.field(description="The earliest time.")
    end: datetime = strawberry.field(description="The latest time.")

    @strawberry_django.filter_field
    def filter(self, queryset: Rows, prefix: str) -> tuple[Rows, Q]:
        """Return the condition that the time lies in the range."""
        return queryset, Q(**{f"{prefix[:-2]}": (self.start, self.end)})


@strawberry.input(description="Conditions on a time. All that are given must hold. A time without a zone is UTC.")
class TimeLookup:
    """Conditions on a time."""

    exact: datetime | None = _lookup("Is this time.")
    gt: datetime | None = _lookup("Is later than this time.")
    gte: datetime | None = _lookup("Is this time or later.")
    lt: datetime | None = _lookup("Is earlier than this time.")
    lte: datetime | None = _lookup("Is this time or earlier.")
    range: TimeRange | None = _lookup("Lies between two times, or is one of them.")
    is_null: bool | None = _lookup("Is not set (true), or is set (false).")


@strawberry.input(description="Conditions on the id of an object. All that are given must hold.")
class IdLookup:
    """Conditions on a row's primary key, by its global id."""

    exact: strawberry.ID | None = _lookup("Is this object.")
    in_list: list[strawberry.ID] | None = _lookup("Is one of these objects.")
    is_null: bool | None = _lookup("There is no such object (true), or there is one (false).")

    @strawberry_django.filter_field
    def filter(self, queryset: Rows, prefix: str) -> tuple[Rows, Q]:
        """Return the condition on the key.

        Raises BadRequestError for the id of an object of another type.
        """
        type_name = _model_at(queryset.model, prefix).__name__
        path = prefix.removesuffix("__")
        condition = Q()
        if isinstance(self.exact, str):
            condition &= Q(**{path: _key(self.exact, type_name)})
        if isinstance(self.in_list, list):
            condition &= Q(**{f"{path}__in": [_key(text, type_name) for text in self.in_list]})
        if isinstance(self.is_null, bool):
            condition &= Q(**{f"{path}__isnull": self.is_null})
        return queryset, condition


@dataclass_transform(kw_only_default=True)
def filter_input(model: type[models.Model], description: str) -> Callable[[type], Any]:
    """Declare a filter with AND, OR and NOT, as strawberry-django has them.

    Its DISTINCT is left out: filters follow to-one relations only, so no row can come twice.
    """

    def declare(cls: type) -> Any:
        declared: Any = strawberry_django.filter_type(model, description=description)(cls)
        definition = get_object_definition(declared, strict=True)
        definition.fields = [field for field in definition.fields if field.name != "DISTINCT"]
        for field in definition.fields:
            field.description = COMBINATIONS.get(field.name, field.description)
        return declared

    return declare


COMBINATIONS = {
    "AND": "Both the conditions beside this and these must hold.",
    "OR": "Either these must hold, or else all the conditions beside this, NOT included.",
    "NOT": "These must not hold.",
    "id": "The object itself.",
}


def condition_of(filters: Any, rows: Rows) -> Q:
    """Return the condition that a filter input states.

    Raises BadRequestError for a value that no column can hold, and QueryTooComplexError for too many.
    """
    if not filters:
        return Q()
    check_filter(filters)
    _, condition = process_filters(filters, rows, None)
    return condition


def _model_at(model: Any, prefix: str) -> type[models.Model]:
    for name in prefix.split("__")[:-2]:
        model = model._meta.get_field(name).related_model
    return model  # type: ignore[no-any-return]


def _serial(model: type[NumberedEntity], number: str) -> int:
    return converted(number, lambda text: model.serial_of(text) or NO_KEY, int)


def _key(text: str, type_name: str) -> int:
    return converted(text, partial(_key_in, type_name), int)


def _key_in(type_name: str, text: str) -> int:
    named = decode_id(text)
    if named.type_name != type_name:
        raise BadRequestError(f"{text!r} names a {named.type_name}; this takes ids of the type {type_name}.")
    return named.key
