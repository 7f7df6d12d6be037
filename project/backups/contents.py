"""What a database holds, told so that two of them can be compared."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TypedDict, TypeGuard

from psycopg import Connection, sql

Session = Connection[Any]

TABLES: Final = """
SELECT relname, EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id' AND attnum > 0)
FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY relname
"""
# The sum of 60 bits of each row's hash is the same in whatever order the rows lie.
ROWS: Final = sql.SQL(
    "SELECT {owner}, count(*), sum(('x' || left(md5(entry::text), 15))::bit(60)::bigint)::text"
    " FROM {table} AS entry GROUP BY 1 ORDER BY 1"
)
NEWEST: Final = "SELECT id, at FROM audit_auditentry ORDER BY id DESC LIMIT 1"


class Rows(TypedDict):
    """The rows of a table: of one tenant, or all of them where they belong to none."""

    table: str
    tenant: int | None
    rows: int
    digest: str


class Contents(TypedDict):
    """What a database holds."""

    tables: list[Rows]
    newest_audit_entry: dict[str, Any] | None


def contents_of(session: Session) -> Contents:
    """Read everything once; in a transaction of its own, what it tells is of one moment."""
    session.execute("SET LOCAL timezone = 'UTC'")
    found = session.execute(TABLES).fetchall()
    newest = session.execute(NEWEST).fetchone()
    return {
        "tables": [rows for table, owned in found for rows in _rows(session, table, owned)],
        "newest_audit_entry": {"id": newest[0], "at": newest[1].isoformat()} if newest else None,
    }


def _rows(session: Session, table: str, owned: bool) -> Iterator[Rows]:
    owner = sql.Identifier("tenant_id") if owned else sql.SQL("NULL::bigint")
    for tenant, rows, digest in session.execute(ROWS.format(owner=owner, table=sql.Identifier("public", table))):
        yield {"table": table, "tenant": tenant, "rows": rows, "digest": digest}


def are_contents(told: object) -> TypeGuard[Contents]:
    """Tell whether something that was read from a file has the shape of contents."""
    match told:
        case {"tables": [*tables], "newest_audit_entry": None | {"id": int(), "at": str()}}:
            return all(map(_are_rows, tables))
    return False


def _are_rows(told: object) -> bool:
    match told:
        case {"table": str(), "tenant": int() | None, "rows": int(), "digest": str()}:
            return True
    return False


def told(contents: Contents) -> Iterator[str]:
    """Yield in words how many rows each table has, of how many tenants, and which audit entry is the newest."""
    for table, group in groupby(contents["tables"], key=itemgetter("table")):
        counted = [*group]
        owners = "" if counted[0]["tenant"] is None else f" (tenants: {len(counted)})"
        yield f"{sum(rows['rows'] for rows in counted):>12,} {table}{owners}"
    if newest := contents["newest_audit_entry"]:
        yield f"newest audit entry: {newest['id']} of {newest['at']}"


def differences(expected: Contents, found: Contents) -> Iterator[str]:
    """Yield in words what a database lacks, has besides, or has otherwise."""
    theirs, ours = ({(rows["table"], rows["tenant"]): rows for rows in each["tables"]} for each in (expected, found))
    for table, tenant in sorted(theirs.keys() | ours.keys(), key=str):
        of = f"{table} of tenant {tenant}" if tenant else table
        then, now = theirs.get((table, tenant)), ours.get((table, tenant))
        counts = [rows["rows"] if rows else 0 for rows in (then, now)]
        if counts[0] != counts[1]:
            yield f"{of}: {counts[1]:,} rows, where there were {counts[0]:,}"
        elif then != now:
            yield f"{of}: other contents in {counts[0]:,} rows"
    if expected["newest_audit_entry"] != found["newest_audit_entry"]:
        yield f"newest audit entry: {found['newest_audit_entry']}, where it was {expected['newest_audit_entry']}"
