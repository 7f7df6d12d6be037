"""From a plan to rows: one statement for a page whatever is joined to it, one more for each list nested in it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import BigIntegerField, BooleanField, Count, F, Func, OrderBy, OuterRef, Q, QuerySet, Value

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

    @property
    def terms(self) -> list[OrderBy]:
        """Return the ORDER BY terms of the direction."""
        return [key.order_by() for key in self.direction]

    def page(self, rows: Sequence[models.Model]) -> Page:
        """Return the page of rows that were read in its direction, of which there is one too many if there are more."""
        window = self.window
        kept, more = list(rows[: window.size]), len(rows) > window.size
        if window.backward:
            return Page(kept[::-1], has_next=window.before is not None, has_previous=more)
        return Page(kept, has_next=more, has_previous=window.after is not None)

    def ranges(self, rows: Rows) -> list[Rows]:
        """Return the ranges of rows that the page's are the front of, and the one after; each as long as the page."""
        near, far = (self.window.after, self.window.before)[:: -1 if self.window.backward else 1]
        rows = rows.filter(self.condition)
        if far is not None:
            rows = rows.filter(_any_of(ranges_after(reverse(self.direction), far)))
        found = [Q()] if near is None else ranges_after(self.direction, near)
        rows, size = rows.order_by(*self.terms), self.window.size + 1
        return [rows.filter(bounds)[:size] for bounds in found]

    def keys(self, rows: Rows) -> Func:
        """Return the SQL array of the primary keys of the page's rows and the one after, by ranges of the index."""
        size, arrays = self.window.size + 1, [ArraySubquery(each.values("pk")) for each in self.ranges(rows)]
        # The ranges follow each other, so the page is the front of their concatenation.
        return Func(*arrays, template=f"((%(expressions)s)::bigint[])[1:{size}]", arg_joiner=" || ", output_field=KEYS)


def fetch_page(plan: Plan, listing: Listing) -> Page:
    """Fetch a page of a list, in one statement."""
    # The page's keys come from an index; joining only then spares joining rows that the page does not show.
    keys = listing.keys(listing.model._default_manager.all())
    return listing.page(settle(plan, rows_of(plan).filter(_among(keys)).order_by(*listing.terms)))


def among(keys: Iterable[int]) -> Func:
    """Return the condition that a row has one of these keys: one array, where `pk__in` would send them one by one."""
    return _among(Value(list(keys), output_field=KEYS))


def _among(keys: Func | Value) -> Func:
    return Func(F("pk"), keys, template="%(expressions)s)", arg_joiner=" = ANY(", output_field=BooleanField())


def fetch_nested_pages(plan: Plan, listing: Listing, column: str, owners: Sequence[models.Model]) -> dict[int, Page]:
    """Fetch a page of the list of each owner, in one statement for all of them; the column holds the owner's key."""
    keys = Func(
        listing.keys(rows_below(listing.model, column, OuterRef("pk"))),
        function="unnest",
        output_field=BigIntegerField(),
    )
    owner_model = owners[0]._meta.model  # the actor of a session is a lazy object, whose type is no model
    chosen = owner_model._default_manager.filter(pk__in={owner.pk for owner in owners}).values(chosen_key=keys)
    by_owner: dict[int, list[models.Model]] = defaultdict(list)
    for row in settle(plan, rows_of(plan).filter(pk__in=chosen).order_by(*listing.terms)):
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
    aliases = {_alias(place): wanted.expression(wanted.owner) for place, wanted in enumerate(plan.computed.values())}
    found: Rows = rows.annotate(**aliases)
    return found


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


def rows_below(model: type[models.Model], column: str, owner: Any) -> Rows:
    """Return the rows whose column holds the key of an owner.

    Without the tenant's predicate where the column is a reference, which can't leave the tenant: with it PostgreSQL
    may read an order's index over the whole tenant, in search of an owner's rows that may not exist. The statement
    that fetches the rows by these keys has the predicate in any case.
    """
    held = isinstance(model._meta.get_field(column), models.ForeignKey)
    rows: Rows = (model._base_manager if held else model._default_manager).all()
    return rows.filter(**{column: owner})
