"""Pages: the statement of one, and what becomes of its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from graphql import GraphQLObjectType
from graphql.execution.collect_fields import FieldDetailsList

from apps.accounts.prepared import Row
from apps.accounts.tenancy import tenant_column
from schema.json_text import JsonList
from schema.reads.fetch import Listing, rows_below
from schema.reads.keyset import SortKey, field_at, order_mark
from schema.reads.plan import field_type

from .layout import KEY, Layout
from .rows import Below, shaped
from .run import Run
from .shape import ROW, RowExpression
from .statement import Given, Sql, Standard, Statement, Table, Tracer
from .text import RowText, cursor_of, is_flat

if TYPE_CHECKING:
    from .lists import CompiledList

OWNERS: Final = Sql.of("unnest(", Standard.KEYS, "::text::bigint[]) WITH ORDINALITY AS owner(c0, c1)")
PAGE: Final = ", has_next, has_previous, count"
"""What the shape of a page gets beside what every shape does."""

FLAGS: Final = {"hasNextPage": "has_next", "hasPreviousPage": "has_previous"}
ENDS: Final = {"startCursor": 0, "endCursor": -1}


@dataclass(frozen=True, slots=True)
class CompiledPage:
    """A statement for pages of one shape, and what makes its rows the answer."""

    statement: Statement | None
    """None where nothing of the database is selected."""
    below_rows: Below
    shape: Callable[..., dict[str, Any]]
    key: int | None
    """Where a row's key lies, in a row that has one; others are there for their owner or for the count."""
    owner: int | None
    count: int | None
    size: int
    backward: bool
    after: bool
    before: bool
    """Which cursors there are: beyond them the list goes on."""

    def root(self, run: Run, given: Given) -> dict[str, Any]:
        """Return the page of a list that is below nothing."""
        return self._pages(run, {None: self._rows(given)})[None]

    def below(self, run: Run, given: Given) -> Mapping[int, dict[str, Any]]:
        """Return the page of each owner."""
        rows_of: dict[int, list[Row]] = {owner: [] for owner in given.keys}
        for row in self._rows(given):
            rows_of[row[self.owner or 0]].append(row)
        return self._pages(run, rows_of)

    def _rows(self, given: Given) -> list[Row]:
        return self.statement.run(given) if self.statement else []

    def _pages(self, run: Run, rows_of: dict[Any, list[Row]]) -> dict[Any, dict[str, Any]]:
        pages = {owner: self._shown(rows) for owner, rows in rows_of.items()}
        fetched = self.below_rows.fetch(run, [row for rows, *_ in pages.values() for row in rows])
        return {
            owner: self.shape(rows, *fetched, run.info, *about, self._count(rows_of[owner]))
            for owner, (rows, *about) in pages.items()
        }

    def _shown(self, rows: Sequence[Row]) -> tuple[Sequence[Row], bool, bool]:
        """Return the rows of a page, whether the list goes on after it, and whether before."""
        if self.key is None:
            return (), False, False
        if self.count is not None:
            rows = [row for row in rows if row[self.key] is not None]
        shown, more = rows[: self.size], len(rows) > self.size
        return (shown[::-1], self.before, more) if self.backward else (shown, more, self.after)

    def _count(self, rows: Sequence[Row]) -> Any:
        return None if self.count is None else rows[0][self.count]


class PageCompiler:
    """Compiles pages of a list whose arguments have one shape."""

    def __init__(self, compiled: "CompiledList", tracer: Tracer, listing: Listing) -> None:
        """Know the list, and which page of it is asked for."""
        self._list, self._tracer, self._listing = compiled, tracer, listing
        self._layout = Layout(compiled.model)
        self._expression = RowExpression(compiled.compiler.selections, self._layout)
        self._shows_rows = self._counts = False
        self._column = compiled.declared.column

    def made(self) -> CompiledPage:
        """Return what was compiled."""
        source = self._expression.of_fields(self._list.kind, self._list.details, self._of_connection_field)
        key = self._layout.column("", KEY) if self._shows_rows else None
        owner = self._layout.expression("owner.c0") if self._column else None
        count = self._layout.expression("total.c0") if self._counts else None
        window = self._listing.window
        return CompiledPage(
            statement=self._statement() if self._shows_rows or self._counts else None,
            below_rows=self._list.compiler.below(self._expression),
            shape=shaped(self._expression, source, PAGE),
            key=key,
            owner=owner,
            count=count,
            size=window.size,
            backward=window.backward,
            after=window.after is not None,
            before=window.before is not None,
        )

    def _of_connection_field(self, group: FieldDetailsList) -> str:
        name = group[0].node.name.value
        if name == "totalCount":
            self._counts = True
            return "count"
        self._shows_rows = True
        kind = field_type(self._list.kind, name)
        if name == "edges":
            return self._edges(kind, group)
        return self._expression.of_fields(kind, group, self._of_info_field)

    def _edges(self, kind: GraphQLObjectType, details: FieldDetailsList) -> str:
        selections, node = self._expression.selections, self._list.node_type
        if all(is_flat(selections, node, group) for name, group in selections.below(kind, details) if name == "node"):
            rows = RowText(self._expression)
            text = rows.of_fields(kind, details, partial(self._of_edge_field, rows))
            return f"{rows.named(JsonList)}([{text} {ROW}])"
        return f"[{self._expression.of_fields(kind, details, partial(self._of_edge_field, self._expression))} {ROW}]"

    def _of_edge_field(self, rows: RowExpression, group: FieldDetailsList) -> str:
        if group[0].node.name.value == "cursor":
            return rows.of_ascii(self._cursor("v{}"))
        return rows.of_row(self._list.node_type, group)

    def _of_info_field(self, group: FieldDetailsList) -> str:
        name = group[0].node.name.value
        if name in FLAGS:
            return FLAGS[name]
        cursor = self._expression.of_ascii(self._cursor(f"rows[{ENDS[name]}][{{}}]"))
        return f"({cursor} if rows else None)"

    def _cursor(self, value: str) -> str:
        """Return the source of the bytes of a cursor, given that of a value at a place."""
        model, order = self._list.model, self._listing.order
        columns = [(field_at(model, key.path), value.format(self._layout.at(key.path))) for key in order]
        return cursor_of(self._expression, order_mark(model, order), columns)

    def _statement(self) -> Statement:
        tables: list[Sql] = [OWNERS] if self._column else []
        with self._tracer.scope:
            if self._counts:
                tables.append(Sql.of(" CROSS JOIN LATERAL " * bool(tables), self._total()))
            if self._shows_rows:
                join, on = (" LEFT JOIN LATERAL ", " ON TRUE") if self._counts else (" CROSS JOIN LATERAL ", "")
                page = self._page()
                tables.append(Sql.of(join, page, on) if tables else page)
                tables += self._layout.joins(self._tracer)
        places = ["owner.c1"] if self._column else []
        order = [*places, *(self._term("t0", each) for each in self._listing.direction)] if self._shows_rows else []
        return Statement.select(self._layout, tables, order)

    def _total(self) -> Sql:
        rows = self._list.model._default_manager.filter(self._listing.condition)
        if self._column:
            rows = rows.filter(**{self._column: self._tracer.key("owner.c0")})
        counted = self._tracer.sql(rows.order_by().values_list(KEY))
        return Table("total", Sql.of("SELECT count(*) FROM (", counted, ") AS counted")).named(1)

    def _page(self) -> Sql:
        for key in self._listing.order:
            self._layout.reference(key.path)
        rows, model = self._list.model._default_manager.all(), self._list.model
        if self._column:
            rows = rows_below(model, self._column, self._tracer.key("owner.c0"))
        tenant = self._layout.reference(tenant_column(model))
        ranges = [self._tracer.sql(self._layout.rows(each)) for each in self._listing.ranges(rows)]
        page = ranges[0] if len(ranges) == 1 else self._front(ranges)
        if not page.is_scoped:
            # A reference holds the rows in the tenant. So this drops none, but no statement is to rely on that.
            named = Table.named_columns("t0", self._layout.width)
            page = Sql.of("SELECT * FROM (", page, f") AS {named} WHERE {tenant} = ", Standard.TENANT)
        return Table("t0", page).named(self._layout.width)

    def _front(self, ranges: Sequence[Sql]) -> Sql:
        """Return the front of ranges that follow each other."""
        united = [Sql.of(" UNION ALL " * bool(place), "(", each, ")") for place, each in enumerate(ranges)]
        terms = ", ".join(self._term("u", each) for each in self._listing.direction)
        named = Table.named_columns("u", self._layout.width)
        return Sql.of(
            "SELECT * FROM (", *united, f") AS {named} ORDER BY {terms} LIMIT {self._listing.window.size + 1}"
        )

    def _term(self, alias: str, key: SortKey) -> str:
        reference, term = self._layout.reference(key.path).replace("t0.", f"{alias}."), key.order_by()
        nulls = " NULLS FIRST" * bool(term.nulls_first) + " NULLS LAST" * bool(term.nulls_last)
        return f"{reference} {'DESC' if key.descending else 'ASC'}{nulls}"
