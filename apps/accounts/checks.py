"""What `manage.py check` proves about tenancy and personal data."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.db import models

from .constraints import SameTenant
from .records import Versioned

CLASSES = ("personal", "free_text", "public_text")
"""How a text column can be classified."""


@register("tenancy")
def check_references_stay_in_tenant(**_: Any) -> list[CheckMessage]:
    """Report every reference between tenants' rows that no SameTenant constraint holds (accounts.E001)."""
    owned = [model for model in apps.get_models() if _is_owned(model)]
    return [
        Error(
            f"{model.__name__}.{field.name} may point to another tenant's row.",
            hint=f"Add SameTenant(field={field.name!r}, ...) to its Meta.constraints.",
            obj=model,
            id="accounts.E001",
        )
        for model in owned
        for field in _loose_references(model, owned)
    ]


@register("privacy")
def check_texts_are_classified(**_: Any) -> list[CheckMessage]:
    """Report every text column of a record that is not classified once (accounts.E002), and every class of nothing."""
    records = [model for model in apps.get_models() if issubclass(model, Versioned)]
    return [error for model in records for error in _loose_texts(model)]


def _loose_texts(model: type[Versioned]) -> Iterator[Error]:
    named = [name for kind in CLASSES for name in getattr(model, kind)]
    hint = "Name it in one of `personal`, `free_text` and `public_text`."
    for field in model._meta.concrete_fields:
        is_text = isinstance(field, models.CharField | models.TextField) and not field.choices
        if (is_text or field.name in named) and named.count(field.name) != 1:
            what = f"{model.__name__}.{field.name} is classified {named.count(field.name)} times."
            yield Error(what, hint=hint, obj=model, id="accounts.E002")
    for name in {*named, *model.bookkeeping} - {field.name for field in model._meta.concrete_fields}:
        yield Error(
            f"{model.__name__} classifies {name}, which is no column.", hint=hint, obj=model, id="accounts.E003"
        )


def _is_owned(model: type[models.Model]) -> bool:
    return any(field.name == "tenant" for field in model._meta.get_fields())


def _loose_references(
    model: type[models.Model], owned: list[type[models.Model]]
) -> Iterator[models.ForeignKey[Any, Any]]:
    held = {constraint.field for constraint in model._meta.constraints if isinstance(constraint, SameTenant)}
    for field in model._meta.fields:
        if isinstance(field, models.ForeignKey) and field.related_model in owned and field.name not in held:
            yield field
