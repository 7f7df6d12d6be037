"""Choices of the models as GraphQL enums, labels as their descriptions."""

from typing import TypeVar

import strawberry
from django.db import models
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition

C = TypeVar("C", bound=type[models.TextChoices])


def publish(choices: C) -> C:
    """Make a GraphQL enum of choices: names as stored, described by their labels; published once, it stays the same."""
    if has_enum_definition(choices):
        return choices
    strawberry.enum(choices, description=choices.__doc__)
    definition: StrawberryEnumDefinition = choices.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = f"{choices[value.name].label}."
    return choices
