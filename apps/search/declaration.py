"""What each entity contributes to the search, declared in its model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import models

NUMBER: Final = "number"
"""The text by which people call a numbered entity. It is found by its serial, which has an index of its own: a million
numbers would be a million words that occur once.
"""


@dataclass(frozen=True, slots=True)
class Searched:
    """The texts of an entity that are searched, by how much a word weighs there.

    `a` holds what the entity is called, `b` what it is told apart by, `c` what is told about it.
    """

    a: tuple[str, ...]
    b: tuple[str, ...] = ()
    c: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the texts, the weightiest first."""
        return (*self.a, *self.b, *self.c)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the texts are read from."""
        return tuple("serial" if name == NUMBER else name for name in self.names)


def searched_of(model: type[models.Model]) -> Searched | None:
    """Return what a model contributes, or None."""
    return getattr(model, "search", None)


def searched_models() -> dict[str, Any]:
    """Return the models that are searched, by their names."""
    return {model.__name__: model for model in apps.get_models() if searched_of(model)}


def numbered_models() -> dict[str, Any]:
    """Return the models whose numbers are searched, by their names."""
    return {kind: model for kind, model in searched_models().items() if NUMBER in model.search.a}


def texts_of(entity: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of whatever an entity contributes."""
    for name in entity.search.names:
        if text := getattr(entity, name):
            yield name, text
