"""What `manage.py check` proves about what is searched."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.db import models

from .declaration import NUMBER, Searched, searched_models


@register("search")
def check_searched(**_: Any) -> list[CheckMessage]:
    """Report every text that is searched and is no text column (search.E001), or holds personal data (search.E002)."""
    return [error for model in searched_models().values() for error in _wrong_texts(model)]


def _wrong_texts(model: Any) -> Iterator[Error]:
    declared: Searched = model.search
    columns = {field.name: field for field in model._meta.concrete_fields}
    for name, source in zip(declared.names, declared.columns, strict=True):
        column = columns.get(source)
        if column is None or not (name == NUMBER or isinstance(column, models.CharField | models.TextField)):
            hint = "Name text columns."
            yield Error(f"{model.__name__}.{name} is searched and is no text.", hint=hint, obj=model, id="search.E001")
        if name in model.personal:
            what = f"{model.__name__}.{name} is searched and holds personal data."
            hint = "Take it out of the model's `search`: what is found by a name tells who it is about."
            yield Error(what, hint=hint, obj=model, id="search.E002")
