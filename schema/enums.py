"""Choices of the models as GraphQL enums, labels as their descriptions."""

from typing import Any, TypeVar

import strawberry
from django.db import models
from strawberry.types.enum import has_enum_definition

C = TypeVar("C", bound=type[models.TextChoices])


_published: dict[tuple[str, ...], Any] = {}


def enum_of(field: "models.Field[Any, Any]") -> Any:
    """Return the GraphQL enum of a column with choices; the choices have been published."""
    return _published[tuple(str(value) for value, _ in field.flatchoices)]


def publish(choices: C) -> C:
    """Make a GraphQL enum of choices: names as stored, described by their labels; published once, it stays the same."""
    enum: Any = choices
    if not has_enum_definition(enum):
        strawberry.enum(enum, description=choices.__doc__)
        for value in enum.__strawberry_definition__.values:
            value.description = f"{choices[value.name].label}."
    _published[tuple(str(value) for value in choices)] = choices
    return choices
