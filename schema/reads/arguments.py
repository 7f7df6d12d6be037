"""The arguments of a list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import models
from django.db.models import Q
from strawberry_django.ordering import process_ordering

from schema.errors import BadRequestError

from .fetch import Listing, Window
from .keyset import Order, decode_cursor, order_of
from .lookups import condition_of

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 100
MAX_TERMS: Final = 8
"""How many terms an ordering may have."""


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The arguments of a list, as the client gave them."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None
    filters: Any = None
    ordering: Sequence[Any] | None = None

    def listing(self, model: type[models.Model], where: Q) -> Listing:
        """Return the list that is asked for, of the model's rows that fulfil a condition.

        Raises BadRequestError when the arguments make no sense.
        """
        rows = model._default_manager.all()
        order = order_of(model, self._terms(rows))
        return Listing(model, where & condition_of(self.filters, rows), order, self._window(model, order))

    def _terms(self, rows: Any) -> Sequence[Any]:
        ordering = self.ordering or []
        if len(ordering) > MAX_TERMS:
            raise BadRequestError(f"An ordering may have {MAX_TERMS} terms; this one has {len(ordering)}.")
        return list(process_ordering(type(ordering[0]), ordering, None, rows)[1]) if ordering else []

    def _window(self, model: type[models.Model], order: Order) -> Window:
        if self.first is not None and self.last is not None:
            raise BadRequestError("Ask for `first` or for `last`, not for both.")
        size = self.first if self.last is None else self.last
        if size is not None and not 0 <= size <= MAX_PAGE:
            raise BadRequestError(f"A page has 0 to {MAX_PAGE} objects, not {size}; page on with `after`.")
        return Window(
            DEFAULT_PAGE if size is None else size,
            backward=self.last is not None,
            after=None if self.after is None else decode_cursor(model, order, self.after),
            before=None if self.before is None else decode_cursor(model, order, self.before),
        )
