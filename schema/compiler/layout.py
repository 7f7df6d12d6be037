"""Which columns a statement reads, and where in its rows they lie.

A row has a variable for each column: v0, v1 and so on, in the order in which the answer's shape asks for them. The
columns of the rows themselves come from t0; those of a to-one relation from a table of their own, joined to the page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import models
from django.db.models import JSONField
from django.db.models.expressions import Combinable

from schema.reads.fetch import Rows
from schema.reads.keyset import field_at

from .errors import RESOLVER, NotCompiledError
from .statement import Sql, Table, Tracer

KEY: Final = "id"

KEPT_AS_WRITTEN: Final = {
    "BigAutoField",
    "BigIntegerField",
    "BooleanField",
    "CharField",
    "DateTimeField",
    "ForeignKey",
    "IntegerField",
    "PositiveIntegerField",
    "PositiveSmallIntegerField",
    "SmallIntegerField",
    "TextField",
}
"""The kinds of columns that hold a value as it was written; others may round it."""


@dataclass(slots=True)
class Source:
    """The table that holds the rows at a path of to-one relations."""

    alias: str
    model: type[models.Model]
    link: str = ""
    """The column that holds the key of the joined row; none of the rows themselves."""
    columns: list[str] = field(default_factory=list)

    def reference(self, column: str) -> str:
        """Return how a column is referred to; it is read from now on."""
        if column not in self.columns:
            self.columns.append(column)
        return f"{self.alias}.c{self.columns.index(column)}"


class Layout:
    """The columns that have been asked for."""

    def __init__(self, model: type[models.Model]) -> None:
        """Start with none."""
        self._sources = {"": Source("t0", model)}
        self._places: dict[str, int] = {}
        self.ticks: set[int] = set()
        """The places of columns that hold times: those come in microseconds (`memo.time_of`)."""
        self._computed: dict[str, Combinable] = {}
        self._aliases: dict[tuple[str, str], str] = {}

    def column(self, owner: str, name: str) -> int:
        """Return the place of a column of the rows at a path, as Django names the column."""
        source = self._source(owner)
        column = field_at(source.model, name)
        _check_plain(column)
        return self._place_of(column, source.reference(name))

    def at(self, path: str) -> int:
        """Return the place of the column at a path that is part of the order, read with the rows themselves."""
        rows = self._sources[""]
        return self._place_of(field_at(rows.model, path), rows.reference(path))

    def computed(self, owner: str, name: str, expression: Callable[[str], Combinable]) -> int:
        """Return the place of a value that the database computes for the rows at a path."""
        alias = self._aliases.setdefault((owner, name), f"computed_{len(self._aliases)}")
        self._computed[alias] = expression(owner)
        return self._place(self._sources[""].reference(alias))

    def expression(self, sql: str) -> int:
        """Return the place of something else that the statement selects."""
        return self._place(sql)

    def model_at(self, owner: str) -> type[models.Model]:
        """Return the model of the rows at a path."""
        return self._source(owner).model

    def reference(self, path: str) -> str:
        """Return how a column of the rows themselves is referred to."""
        return self._sources[""].reference(path)

    @property
    def selected(self) -> Sequence[str]:
        """Return what is selected, in the order of the places."""
        return list(self._places)

    def rows(self, rows: Rows) -> Rows:
        """Return a query of the rows themselves, with the columns that are read of them."""
        found: Rows = rows.annotate(**self._computed).values_list(*self._sources[""].columns)
        return found

    @property
    def held(self) -> Sequence[str] | None:
        """Return the attributes of a written row that have what is selected, by the places; None if they don't."""
        rows = self._sources[""]
        names = [name for name in rows.columns if name not in self._computed]
        fields: dict[str, Any] = {rows.reference(name): rows.model._meta.get_field(name) for name in names}
        if not fields.keys() >= self._places.keys():
            return None
        found = [fields[place] for place in self._places]
        as_written = all(each.get_internal_type() in KEPT_AS_WRITTEN and not each.generated for each in found)
        return [each.attname for each in found] if as_written else None

    @property
    def width(self) -> int:
        """Return how many columns are read of the rows themselves."""
        return len(self._sources[""].columns)

    def joins(self, tracer: Tracer) -> list[Sql]:
        """Return the tables of the relations, each joined to the rows that are there: a look-up for each of them."""
        return [_joined(source, tracer) for source in list(self._sources.values())[1:]]

    def _source(self, owner: str) -> Source:
        if owner not in self._sources:
            above, _, name = owner.removesuffix("__").rpartition("__")
            parent = self._source(f"{above}__" if above else "")
            model: Any = parent.model._meta.get_field(name).related_model
            source = Source(f"t{len(self._sources)}", model, parent.reference(name))
            self._sources[owner] = source
        return self._sources[owner]

    def _place_of(self, column: Any, reference: str) -> int:
        place = self._place(reference)
        if isinstance(column, models.DateTimeField):
            self.ticks.add(place)
        return place

    def _place(self, reference: str) -> int:
        return self._places.setdefault(reference, len(self._places))


def _joined(source: Source, tracer: Tracer) -> Sql:
    rows = source.model._default_manager.filter(pk=tracer.key(source.link)).order_by().values_list(*source.columns)
    # OFFSET 0 keeps PostgreSQL from joining thousands by hash where fifty are looked up.
    table = Table(source.alias, Sql.of(tracer.sql(rows), " OFFSET 0"))
    return Sql.of(" LEFT JOIN LATERAL ", table.named(len(source.columns)), " ON TRUE")


def _check_plain(column: Any) -> None:
    """Raise NotCompiledError for a column whose values Django makes something else of than PostgreSQL sends."""
    if hasattr(column, "from_db_value") and not isinstance(column, JSONField):
        raise NotCompiledError(RESOLVER, str(column))
