"""SQL with places for values. None can be run that does not keep to the rows of one tenant."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from apps.accounts.prepared import Row, prepared
from apps.accounts.tenancy import tenant_scope
from schema.reads.fetch import Rows
from schema.reads.traced import Bind, Trace

from .errors import INPUT, NotCompiledError

if TYPE_CHECKING:
    from .layout import Layout

PLACES: Final = re.compile("(%[s%])")
LITERAL: Final = re.compile("[A-Za-z0-9_ %]*")
"""A text that may stand in a statement as it is. It comes from the code; what clients send is always bound."""


class Standard(Enum):
    """What is bound beside the values of a request."""

    TENANT = auto()
    NOW = auto()
    KEYS = auto()
    """The keys of the rows or of their owners, as PostgreSQL writes an array of them."""


Part = str | Bind | Standard
"""A part of a statement: SQL, or what is bound."""


@dataclass(frozen=True, slots=True)
class Sql:
    """SQL in parts."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, *parts: "Part | Sql") -> "Sql":
        """Join parts."""
        return cls(tuple(_flat(parts)))

    @property
    def is_scoped(self) -> bool:
        """Tell whether it binds the tenant."""
        return Standard.TENANT in self.parts


def _flat(parts: "Sequence[Part | Sql]") -> Iterator[Part]:
    for part in parts:
        if isinstance(part, Sql):
            yield from part.parts
        else:
            yield part


class UnscopedError(TypeError):
    """Raised when a statement would read rows of any tenant."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to select from, under an alias: of one tenant."""

    alias: str
    sql: Sql

    def __post_init__(self) -> None:
        """Raise UnscopedError if the rows are any tenant's."""
        if not self.sql.is_scoped:
            raise UnscopedError(f"the rows of {self.alias} may be of any tenant: {self.sql}")

    def named(self, columns: int) -> Sql:
        """Return the table as FROM has it, its columns called c0, c1 and so on."""
        return Sql.of("(", self.sql, f") AS {self.named_columns(self.alias, columns)}")

    @staticmethod
    def named_columns(alias: str, columns: int) -> str:
        """Return an alias and its columns' names."""
        return f"{alias}({', '.join(f'c{number}' for number in range(columns))})"


class Tracer:
    """Makes SQL of queries that are built with stand-ins, in the scope of a tenant that is one."""

    def __init__(self) -> None:
        """Have traced nothing yet."""
        self.trace = Trace()
        self._tenant = self.trace.stand_in(int, Standard.TENANT)
        self._begun = timezone.now()

    @property
    def scope(self) -> AbstractContextManager[None]:
        """Return the scope of the tenant that the stand-in stands for."""
        return tenant_scope(self._tenant)

    def key(self, part: Any) -> Any:
        """Return a key in whose place a part is to stand."""
        return self.trace.stand_in(int, part)

    def sql(self, rows: Rows) -> Sql:
        """Return the SQL of a query.

        Raises NotCompiledError when something that is neither bound nor plain would have to stand in it.
        """
        text, parameters = rows.query.sql_with_params()
        following = iter(parameters)
        pieces = PLACES.split(text)
        return Sql.of(*(self._part(next(following)) if each == "%s" else each.replace("%%", "%") for each in pieces))

    def _part(self, parameter: Any) -> Part:
        part = self.trace.part_of(parameter)
        if part is not None:
            found: Part = part
            return found
        if isinstance(parameter, datetime) and self._begun <= parameter <= timezone.now():
            return Standard.NOW
        if isinstance(parameter, bool | int):
            return str(parameter).upper()
        if isinstance(parameter, str) and LITERAL.fullmatch(parameter):
            return f"'{parameter}'"
        raise NotCompiledError(INPUT, f"{parameter!r} can't stand in a statement")


@dataclass(slots=True)
class Statement:
    """A statement that can be run: its text, and what is bound in place of $1, $2 and so on."""

    text: str
    binds: tuple[Bind | Standard, ...]
    ticks: Collection[int] = ()
    """The places of times that come in microseconds."""

    @classmethod
    def select(cls, layout: "Layout", tables: Sequence[Sql], order: Sequence[str]) -> "Statement":
        """Select the columns of a layout from tables that were joined."""
        parts: list[Part | Sql] = ["SELECT ", ", ".join(layout.selected), " FROM ", *tables]
        if order:
            parts.append(f" ORDER BY {', '.join(order)}")
        return cls.of(Sql.of(*parts), layout.ticks)

    @classmethod
    def of(cls, sql: Sql, ticks: Collection[int] = ()) -> "Statement":
        """Make one of SQL: what is bound gets its number.

        Raises UnscopedError if nothing keeps it to the rows of one tenant.
        """
        if not sql.is_scoped:
            raise UnscopedError(f"the statement may read rows of any tenant: {sql}")
        binds = tuple(dict.fromkeys(part for part in sql.parts if not isinstance(part, str)))
        numbers = {bind: f"${place + 1}" for place, bind in enumerate(binds)}
        return cls("".join(part if isinstance(part, str) else numbers[part] for part in sql.parts), binds, ticks)

    def run(self, given: "Given") -> list[Row]:
        """Run it, and return its rows."""
        return prepared(self.text, [given.of(bind) for bind in self.binds], self.ticks)


@dataclass(slots=True)
class Given:
    """What is bound for one request."""

    tenant: int
    values: Sequence[Any] = ()
    keys: Sequence[int] = ()

    def of(self, bind: Bind | Standard) -> Any:
        """Return the value of a bind."""
        if isinstance(bind, Bind):
            return bind.of(self.values)
        if bind is Standard.TENANT:
            return self.tenant
        return timezone.now() if bind is Standard.NOW else f"{{{','.join(map(str, self.keys))}}}"
