"""How lists can be ordered."""

from collections.abc import Callable
from typing import Any, dataclass_transform

import strawberry_django
from django.db import models
from strawberry.types.base import get_object_definition
from strawberry_django.ordering import Ordering

DIRECTIONS = {
    "ASC": "The smallest or earliest first, what is not set last.",
    "ASC_NULLS_FIRST": "The smallest or earliest first, what is not set before it.",
    "ASC_NULLS_LAST": "The smallest or earliest first, what is not set last.",
    "DESC": "The greatest or latest first, what is not set before it.",
    "DESC_NULLS_FIRST": "The greatest or latest first, what is not set before it.",
    "DESC_NULLS_LAST": "The greatest or latest first, what is not set last.",
}


@dataclass_transform(kw_only_default=True)
def order_input(model: type[models.Model]) -> Callable[[type], Any]:
    """Declare the terms by which a model's lists can be ordered; they are described by the columns' help texts."""

    def declare(cls: type) -> Any:
        description = f"A term of an order of {model._meta.verbose_name_plural}: one column, or one of a relation."
        declared: Any = strawberry_django.order_type(model, description=description)(cls)
        for field in get_object_definition(declared, strict=True).fields:
            field.description = _description(model, field.python_name)
        return declared

    return declare


def _description(model: type[models.Model], name: str) -> str:
    column: Any = model._meta.get_field(name)
    alphabetical = " Alphabetically, by the value's name." if column.choices else ""
    return f"{column.help_text}{alphabetical}"


def _describe_directions() -> None:
    definition: Any = Ordering.__strawberry_definition__  # type: ignore[attr-defined]
    definition.description = "A direction, and where it puts what is not set."
    for value in definition.values:
        value.description = DIRECTIONS[value.name]


_describe_directions()
