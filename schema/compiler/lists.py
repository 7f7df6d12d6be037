"""Lists of nodes: one statement for a page, or for the pages of all owners, for each shape of the arguments."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache
from django.core.exceptions import EmptyResultSet
from django.db import models as db
from graphql import GraphQLObjectType
from graphql.execution.collect_fields import FieldDetailsList

from schema.errors import RequestError
from schema.reads.arguments import PageArguments
from schema.reads.fetch import Listing
from schema.reads.fields import NodeList
from schema.reads.keyset import Order, Values, decode_cursor, field_at
from schema.reads.lists import model_of
from schema.reads.plan import declaration, field_type
from schema.reads.traced import Bind

from .arguments import Arguments, shape_of, traced
from .errors import INPUT, NotCompiledError
from .pages import CompiledPage, PageCompiler
from .run import Run
from .statement import Given, Tracer

if TYPE_CHECKING:
    from .operation import Compiler

MOST_STATEMENTS: Final = 16
"""So many statements of a list are kept: arguments of one shape share one."""

KINDS: Final = ((db.DateTimeField, datetime), (db.CharField, str), (db.IntegerField, int))
"""Of what kind the values of an order's columns are, as `schema.reads.keyset` reads them from cursors."""


class CompiledList:
    """A list as an operation selects it."""

    def __init__(self, compiler: "Compiler", parent: GraphQLObjectType, details: FieldDetailsList) -> None:
        """Know what is selected; statements are made when they are needed."""
        name = details[0].node.name.value
        declared, kind = declaration(parent, name), field_type(parent, name)
        assert isinstance(declared, NodeList)
        self.compiler, self.declared, self.kind, self.details = compiler, declared, kind, details
        self.node_type = field_type(field_type(kind, "edges"), "node")
        self.model = model_of(self.node_type)
        self._arguments = Arguments(compiler.selections, parent, details)
        self._pages: LRUCache[Hashable, CompiledPage | str] = LRUCache(MOST_STATEMENTS)
        self._orders: LRUCache[Hashable, Order] = LRUCache(MOST_STATEMENTS)
        self._lock = Lock()

    def root(self, run: Run) -> dict[str, Any]:
        """Return the page of a list that is below nothing."""
        page, values = self._page(run)
        return page.root(run, Given(run.tenant, values))

    def below(self, run: Run, owners: Sequence[int]) -> Mapping[int, dict[str, Any]]:
        """Return the page of each owner."""
        if not owners:
            return {}
        page, values = self._page(run)
        return page.below(run, Given(run.tenant, values, owners))

    def _page(self, run: Run) -> tuple[CompiledPage, list[Any]]:
        """Return what serves the arguments of a run, and what is bound in it.

        Raises NotCompiledError for arguments that the executor has to judge.
        """
        try:
            return self._page_for(self._arguments.coerced(run.variables))
        except RequestError as error:
            raise NotCompiledError(INPUT, error.message) from error

    def _page_for(self, given: dict[str, Any]) -> tuple[CompiledPage, list[Any]]:
        values: list[Any] = []
        shape = given.get("first"), given.get("last"), shape_of(given.get("filters"), values)
        ordering = shape_of(given.get("ordering"), [])
        cursors = [self._cursor(given, ordering, name, values) for name in ("after", "before")]
        key = *shape, ordering, *cursors
        with self._lock:
            page = self._pages.get(key)
        if page is None:
            page = self._compiled_or_why_not(given, cursors)
            with self._lock:
                self._pages[key] = page
        if isinstance(page, str):
            raise NotCompiledError(page)
        return page, values

    def _compiled_or_why_not(self, given: dict[str, Any], cursors: Sequence[Any]) -> CompiledPage | str:
        # It is made of stand-ins: what becomes of it does not depend on the values.
        try:
            return self._compiled(given, cursors)
        except (RequestError, EmptyResultSet):
            return INPUT
        except NotCompiledError as error:
            return error.reason

    def _cursor(self, given: dict[str, Any], ordering: Hashable, name: str, values: list[Any]) -> Hashable:
        """Add the values of a cursor to those that are bound; return which of them are there at all."""
        if given.get(name) is None:
            return None
        found = decode_cursor(self.model, self._order(given, ordering), given[name])
        values += (value for value in found if value is not None)
        return tuple(value is None for value in found)

    def _order(self, given: dict[str, Any], ordering: Hashable) -> Order:
        with self._lock:
            order = self._orders.get(ordering)
        if order is None:
            order = self._listing(Tracer(), {"ordering": given.get("ordering")}).order
            with self._lock:
                self._orders[ordering] = order
        return order

    def _listing(self, tracer: Tracer, given: dict[str, Any]) -> Listing:
        with tracer.scope:
            arguments = PageArguments(**self._arguments.converted(given))
            return arguments.listing(self.model, self.declared.where)

    def _compiled(self, given: dict[str, Any], cursors: Sequence[Any]) -> CompiledPage:
        tracer, places = Tracer(), count()
        filters = traced(given.get("filters"), tracer.trace, places)
        rest = {name: value for name, value in given.items() if name in {"first", "last", "ordering"}}
        listing = self._listing(tracer, {**rest, "filters": filters})
        bounds = [self._bound(tracer, listing.order, absent, places) for absent in cursors]
        listing = replace(listing, window=replace(listing.window, after=bounds[0], before=bounds[1]))
        made = PageCompiler(self, tracer, listing).made()
        if tracer.trace.met != set(range(next(places))):
            raise NotCompiledError(INPUT, "a value of the filter decides on more than what is bound")
        return made

    def _bound(self, tracer: Tracer, order: Order, absent: Any, places: Iterator[int]) -> Values | None:
        """Return stand-ins for the values of a cursor; None for those that are not there."""
        if absent is None:
            return None
        fields = [field_at(self.model, key.path) for key in order]
        return [
            None if is_absent else _stand_in(tracer, field, Bind(next(places)))
            for field, is_absent in zip(fields, absent, strict=True)
        ]


def _stand_in(tracer: Tracer, field: Any, bind: Bind) -> Any:
    kind = next(kind for column, kind in KINDS if isinstance(field, column))
    return tracer.trace.stand_in(kind, bind, small=isinstance(field, db.SmallIntegerField))
