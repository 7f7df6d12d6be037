"""The SQL statements that are sent while something runs, to be read by people."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from psycopg import RawCursor

from apps.accounts.prepared import prepared

ANALYZE: Final = "EXPLAIN (ANALYZE, BUFFERS) "
PLACES: Final = re.compile(r"%(?:\((\w+)\))?([s%])")
TOKENS: Final = re.compile(
    r"""'[^']*' | "[^"]*" | [()] |
    \s+ (?=(?P<clause>FROM|WHERE|(?:GROUP|ORDER)\ BY|UNION|(?:LEFT|INNER|CROSS)\ (?:OUTER\ )?JOIN|LIMIT)\b) |
    \s+""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement as it was sent: its places are `$1`, or those of the driver."""

    sql: str
    params: Any
    numbered: bool

    @property
    def text(self) -> str:
        """The statement with its places numbered, a clause a line."""
        return _in_lines(self.sql if self.numbered or self.params is None else _numbered(self.sql))

    @property
    def bound(self) -> int:
        """How many values it binds."""
        return len(self.params or ())

    def analyzed(self) -> list[str]:
        """Run a statement that reads again, and return PostgreSQL's plan of it with what it took, by lines."""
        if not self.sql.lstrip(" (\n").startswith(("SELECT", "WITH")):
            return []
        if self.numbered:
            return [line for (line,) in prepared(ANALYZE + self.sql, self.params)]
        with connection.cursor() as cursor:
            cursor.execute(ANALYZE + self.sql, self.params)
            return [line for (line,) in cursor.fetchall()]


@contextmanager
def gathered() -> Iterator[list[Sent]]:
    """Gather what is sent inside, in its order."""
    found: list[Sent] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        cursor = context["cursor"]
        numbered = cursor is None or isinstance(getattr(cursor, "cursor", None), RawCursor)
        found.append(Sent(sql, params, numbered))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield found


def _numbered(sql: str) -> str:
    """Return a statement whose places are `%s` or named with numbered ones; one name is one number."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        name, kind = found.groups()
        if kind == "%":
            return "%"
        if name is None or name not in names:
            names.append(name or "")
            return f"${len(names)}"
        return f"${names.index(name) + 1}"

    return PLACES.sub(place, sql)


def _in_lines(sql: str) -> str:
    depth = 0

    def broken(found: re.Match[str]) -> str:
        nonlocal depth
        met = found[0]
        depth += {"(": 1, ")": -1}.get(met, 0)
        if not met.isspace():
            return met
        return "\n" + "  " * depth if found["clause"] else " "

    return TOKENS.sub(broken, sql.strip())
