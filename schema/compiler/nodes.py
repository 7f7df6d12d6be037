"""Nodes by their global ids: a statement for each type."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models
from graphql import GraphQLObjectType
from graphql.execution.collect_fields import FieldDetailsList

from apps.accounts.prepared import Row
from schema.reads.global_id import GlobalId
from schema.reads.lists import model_of, node_type_of

from .errors import GONE, NotCompiledError
from .layout import KEY, Layout
from .memo import ticks_of
from .rows import Below, shaped
from .run import Run
from .shape import ROW, RowExpression
from .statement import Given, Sql, Standard, Statement, Table, Tracer

if TYPE_CHECKING:
    from .operation import Compiler

Found = Mapping[GlobalId, Any]


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """A statement for nodes of one type, and what makes its rows the answer."""

    type_name: str
    statement: Statement
    below_rows: Below
    shape: Callable[..., Any]
    key: int
    held: Sequence[str] | None
    """The attributes of a row that was just written, if they have all that is selected."""

    def fetch(self, run: Run, keys: Iterable[int]) -> Found:
        """Return the nodes with these keys that there are."""
        rows = self.statement.run(Given(run.tenant, keys=tuple(keys)))
        return {
            GlobalId(self.type_name, row[self.key]): each for row, each in zip(rows, self._made(run, rows), strict=True)
        }

    def written(self, run: Run, row: models.Model) -> Any:
        """Return a row that was just written, as it is answered; None if it has gone since."""
        if self.held is None:
            return self.fetch(run, [row.pk]).get(GlobalId(self.type_name, row.pk))
        return self._made(run, [tuple(ticks_of(getattr(row, name)) for name in self.held)])[0]

    def _made(self, run: Run, rows: Sequence[Row]) -> list[Any]:
        made: list[Any] = self.shape(rows, *self.below_rows.fetch(run, rows), run.info)
        return made


class CompiledNodes:
    """What an operation selects of nodes of any type."""

    def __init__(self, compiler: "Compiler", details: FieldDetailsList) -> None:
        """Know what is selected; a type is compiled when there is one of it."""
        self._compiler, self._details = compiler, details
        self._types: dict[str, CompiledNode] = {}

    def named(self, run: Run, names: Iterable[GlobalId]) -> Found:
        """Return the nodes with these ids that there are, in the form in which they are answered."""
        keys: dict[str, list[int]] = defaultdict(list)
        for type_name, key in names:
            keys[type_name].append(key)
        found: dict[GlobalId, Any] = {}
        for type_name, wanted in keys.items():
            compiled = self.of(type_name)
            if compiled is not None:
                found.update(compiled.fetch(run, wanted))
        return found

    def of_row(self, run: Run, row: Any) -> Any:
        """Return a row as it is answered, read anew with what is selected of it."""
        name = GlobalId(row._meta.object_name, row.pk)
        found = self.named(run, [name])
        if name not in found:
            raise NotCompiledError(GONE, name.type_name)
        return found[name]

    def of(self, type_name: str) -> CompiledNode | None:
        """Return what fetches nodes of a type; None if there is no such type."""
        if type_name not in self._types:
            node_type = node_type_of(self._compiler.selections.schema, type_name)
            if node_type is None:
                return None
            self._types[type_name] = self._compiled(node_type)
        return self._types[type_name]

    def _compiled(self, node_type: GraphQLObjectType) -> CompiledNode:
        model, tracer = model_of(node_type), Tracer()
        layout = Layout(model)
        expression = RowExpression(self._compiler.selections, layout)
        source, key = expression.of_row(node_type, self._details), layout.column("", KEY)
        with tracer.scope:
            wanted = tracer.key(Sql.of("ANY(", Standard.KEYS, "::text::bigint[])"))
            rows = layout.rows(model._default_manager.filter(pk=wanted).order_by())
            tables = [Table("t0", tracer.sql(rows)).named(layout.width), *layout.joins(tracer)]
        return CompiledNode(
            node_type.name,
            Statement.select(layout, tables, ()),
            self._compiler.below(expression),
            shaped(expression, f"[{source} {ROW}]"),
            key,
            layout.held,
        )
