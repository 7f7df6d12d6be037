"""What `manage.py check` proves about tenancy."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.db import models

from .constraints import SameTenant


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


def _is_owned(model: type[models.Model]) -> bool:
    return any(field.name == "tenant" for field in model._meta.get_fields())


def _loose_references(
    model: type[models.Model], owned: list[type[models.Model]]
) -> Iterator[models.ForeignKey[Any, Any]]:
    held = {constraint.field for constraint in model._meta.constraints if isinstance(constraint, SameTenant)}
    for field in model._meta.fields:
        if isinstance(field, models.ForeignKey) and field.related_model in owned and field.name not in held:
            yield field
