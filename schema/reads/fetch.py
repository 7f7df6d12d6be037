"""From a plan to rows: one statement for a page whatever is joined to it, one more for each list nested in it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import BigIntegerField, BooleanField, Count, F, Func, OuterRef, Q, QuerySet

from .keyset import Order, Values, ranges_after, reverse
from .plan import Plan

Rows = QuerySet[Any]
KEYS: Final = ArrayField(BigIntegerField())


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a list a page shows: so many, from one end, within the bounds."""

    size: int
    backward: bool = False
    after: Values | None = None
    before: Values | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page, and whether the list goes on beyond its two ends."""

    rows: Sequence[models.Model]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of a model's rows: the condition they fulfil, their order, and the window of a page."""

    model: type[models.Model]
    condition: Q
    order: Order
    window: Window

    @property
    def direction(self) -> Order:
        """Return the order in which the page's rows are read."""
        return reverse(self.order) if self.window.backward else self.order

    def page(self, rows: Sequence[models.Model]) -> Page:
        """Return the page of rows that were read in its direction, of which there is one too many if there are more."""
        window = self.window
        kept, more = list(rows[: window.size]), len(rows) > window.size
        if window.backward:
            return Page(kept[::-1], has_next=window.before is not None, has_previous=more)
        return Page(kept, has_next=more, has_previous=window.after is not None)

    def keys(self, **owner: Any) -> Func | ArraySubquery:
        """Return the SQL array of the primary keys of the page's rows and the one after, by ranges of the index."""
        near, far = (self.window.after, self.window.before)[:: -1 if self.window.backward else 1]
        rows: Rows = self.model._default_manager.filter(self.condition, **owner)
        if far is not None:
            rows = rows.filter(_any_of(ranges_after(reverse(self.direction), far)))
        ranges = [Q()] if near is None else ranges_after(self.direction, near)
        terms = [key.order_by() for key in self.direction]
        arrays = [
            ArraySubquery(rows.filter(bounds).order_by(*terms).values("pk")[: self.window.size + 1])
            for bounds in ranges
        ]
        return (
            arrays[0]
            if len(arrays) == 1
            else Func(*arrays, template="(%(expressions)s)", arg_joiner=" || ", output_field=KEYS)
        )


def fetch_page(plan: Plan, listing: Listing) -> Page:
    """Fetch a page of a list, in one statement."""
    # The page's keys come from an index; joining only then spares joining rows that the page does not show.
    chosen = Func(
        F("pk"), listing.keys(), template="%(expressions)s)", arg_joiner=" = ANY(", output_field=BooleanField()
    )
    rows = rows_of(plan).filter(chosen).order_by(*(key.order_by() for key in listing.direction))
    return listing.page(settle(plan, rows[: listing.window.size + 1]))


def fetch_nested_pages(plan: Plan, listing: Listing, column: str, owners: Sequence[models.Model]) -> dict[int, Page]:
    """Fetch a page of the list of each owner, in one statement for all of them; the column holds the owner's key."""
    keys = Func(listing.keys(**{column: OuterRef("pk")}), function="unnest", output_field=BigIntegerField())
    chosen = type(owners[0])._default_manager.filter(pk__in={owner.pk for owner in owners}).values(chosen_key=keys)
    rows = rows_of(plan).filter(pk__in=chosen).order_by(*(key.order_by() for key in listing.direction))
    by_owner: dict[int, list[models.Model]] = defaultdict(list)
    for row in settle(plan, rows):
        by_owner[getattr(row, column)].append(row)
    return {owner.pk: listing.page(by_owner[owner.pk]) for owner in owners}


def count_rows(listing: Listing) -> int:
    """Count the rows of a list."""
    return listing.model._default_manager.filter(listing.condition).count()


def count_nested_rows(listing: Listing, column: str, owners: Iterable[models.Model]) -> dict[int, int]:
    """Count the rows of the list of each owner, in one statement; an owner without rows is left out."""
    rows = listing.model._default_manager.filter(listing.condition, **{f"{column}__in": {o.pk for o in owners}})
    return dict(rows.order_by().values(column).annotate(rows=Count("pk")).values_list(column, "rows"))


def rows_of(plan: Plan) -> Rows:
    """Return the query of a plan: its columns, joins and computed values, for the tenant in scope."""
    rows: Rows = plan.model._default_manager.only(*plan.columns)
    if plan.joins:
        rows = rows.select_related(*plan.joins)
    return rows.annotate(
        **{_alias(place): computed.expression(computed.owner) for place, computed in enumerate(plan.computed.values())}
    )


def settle(plan: Plan, rows: Iterable[models.Model]) -> list[models.Model]:
    """Run the query, and hand each computed value to the row it belongs to."""
    found = list(rows)
    for place, computed in enumerate(plan.computed.values()):
        for row in found:
            owner = at(row, computed.owner)
            if owner is not None:
                setattr(owner, computed.name, getattr(row, _alias(place)))
    return found


def at(row: Any, owner: str) -> Any:
    """Return the row at a path of to-one relations, or None where one is empty."""
    for name in owner.split("__")[:-1]:
        row = None if row is None else getattr(row, name)
    return row


def _alias(place: int) -> str:
    return f"computed_{place}"


def _any_of(conditions: Iterable[Q]) -> Q:
    found = Q(pk__in=[])
    for condition in conditions:
        found |= condition
    return found
