"""Lists that stay quick on a million rows."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin import ChoicesFieldListFilter
from django.core.paginator import Paginator
from django.db import models
from django.utils.html import format_html
from django.utils.safestring import SafeString

COUNTED_AT_MOST: Final = 10_000


class AtLeast(int):
    """A count that was stopped, and says so when printed: 10,000+."""

    def __str__(self) -> str:
        """Return the number with a plus."""
        return f"{int(self):,}+"


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a query that is counted no further than COUNTED_AT_MOST, so that neither count nor OFFSET is long."""

    @cached_property
    def count(self) -> int:
        """Return how many rows there are; AtLeast(COUNTED_AT_MOST) when there are more."""
        rows: Any = self.object_list
        found: int = rows.order_by()[: COUNTED_AT_MOST + 1].count()
        return found if found <= COUNTED_AT_MOST else AtLeast(COUNTED_AT_MOST)


class NameFilter(ChoicesFieldListFilter):
    """A filter whose choices are called what the API calls them."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Return the choices under their names."""
        names = {label: spoken(value) for value, label in self.field.flatchoices}
        for choice in super().choices(changelist):
            yield {**choice, "display": names.get(choice["display"], choice["display"])}


def spoken(name: str) -> str:
    """Return an enum value as people read it: IN_PROGRESS is "In progress"."""
    return name.replace("_", " ").capitalize()


def choice(field: str, *, ordering: str | None = None) -> Any:
    """Return a column that shows the name of a field's choice, with its meaning as a tooltip."""

    @admin.display(description=field.replace("_", " "), ordering=ordering)
    def column(row: models.Model) -> SafeString:
        meaning = getattr(row, f"get_{field}_display")()
        return format_html('<span title="{}">{}</span>', meaning, spoken(getattr(row, field)))

    column.__name__ = f"{field}_name"
    return column


def code(field: str) -> Any:
    """Return a column that shows the code of a referenced site or asset, with its name as a tooltip."""

    @admin.display(description=field, empty_value="-")
    def column(row: models.Model) -> SafeString | None:
        target = getattr(row, field)
        return target and format_html('<span title="{}">{}</span>', target.name, target.code)

    column.__name__ = f"{field}_code"
    return column
