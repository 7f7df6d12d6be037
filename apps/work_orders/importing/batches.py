"""Writes imported rows, a batch at a time, by statements whose number does not depend on the number of rows.

An order whose external id the tenant already has is left as it is: what people changed since must not be lost. The
first thing a batch does is to lock the tenant's count of orders. So two imports take turns, and can't wait for each
other in a circle. Each site, asset and order that a batch creates leaves its audit entry, by one statement a kind.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection, models, transaction
from django.utils import timezone
from psycopg import sql

from apps.accounts.records import differences
from apps.accounts.sequences import take_numbers
from apps.lifecycle.actors import SystemActor
from apps.lifecycle.signals import CREATE, Change
from apps.lifecycle.writing import announce
from apps.work_orders.models import WorkOrder

from .rows import Row

IMPORTER: Final = SystemActor("import_work_orders")
MANY: Final = 100
"""So many new assets at once change what the planner should know: a fresh table looks empty to it."""

TYPES: Final = ("int8", "text", "text", "text", "text", "text", "text", "timestamptz")
TABLES: Final = """
CREATE TEMPORARY TABLE import_row (line bigint, external_id text, site_code text, asset_code text, title text,
    description text, priority text, due_at timestamptz);
CREATE TEMPORARY TABLE import_seen (external_id text PRIMARY KEY, line bigint);
"""
"""The rows of the batch, and the external ids of all batches before: the file may have more than fit in memory."""

REMEMBER: Final = """
INSERT INTO import_seen (external_id, line)
SELECT DISTINCT ON (external_id) external_id, line FROM import_row ORDER BY external_id, line ON CONFLICT DO NOTHING
"""
REJECT_REPEATED: Final = """
DELETE FROM import_row r USING import_seen s WHERE s.external_id = r.external_id AND s.line <> r.line
RETURNING r.line, format('external_id %%s is already on line %%s', r.external_id, s.line)
"""
DROP_KNOWN: Final = """
DELETE FROM import_row r USING {order} o WHERE o.tenant_id = %(tenant)s AND o.external_id = r.external_id
"""
REJECT_ASSET_ELSEWHERE: Final = """
DELETE FROM import_row r USING {asset} a JOIN {site} s ON s.id = a.site_id
WHERE a.tenant_id = %(tenant)s AND a.code = r.asset_code AND s.code <> r.site_code
RETURNING r.line, format('asset %%s stands on site %%s, not on %%s', r.asset_code, s.code, r.site_code)
"""
REJECT_ASSET_IN_TWO_PLACES: Final = """
DELETE FROM import_row r USING (
    SELECT DISTINCT ON (asset_code) asset_code, site_code, line FROM import_row ORDER BY asset_code, line
) f WHERE f.asset_code = r.asset_code AND f.site_code <> r.site_code AND r.asset_code <> ''
RETURNING r.line,
    format('asset %%s stands on site %%s, says line %%s, not on %%s', r.asset_code, f.site_code, f.line, r.site_code)
"""
MISSING_SITES: Final = """
SELECT DISTINCT r.site_code FROM import_row r
LEFT JOIN {site} s ON s.tenant_id = %(tenant)s AND s.code = r.site_code WHERE s.id IS NULL ORDER BY r.site_code
"""
MISSING_ASSETS: Final = """
SELECT DISTINCT r.asset_code, s.id FROM import_row r
JOIN {site} s ON s.tenant_id = %(tenant)s AND s.code = r.site_code
LEFT JOIN {asset} a ON a.tenant_id = %(tenant)s AND a.code = r.asset_code
WHERE a.id IS NULL AND r.asset_code <> '' ORDER BY r.asset_code
"""
INSERT: Final = """
INSERT INTO {order} (tenant_id, version, created_at, updated_at, serial, external_id, title, description, status,
    priority, due_at, site_id, asset_id)
SELECT %(tenant)s, 1, now(), now(), %(first)s + row_number() OVER (ORDER BY r.line) - 1, r.external_id, r.title,
    r.description, %(status)s, r.priority, r.due_at, s.id, a.id
FROM import_row r
JOIN {site} s ON s.tenant_id = %(tenant)s AND s.code = r.site_code
LEFT JOIN {asset} a ON a.tenant_id = %(tenant)s AND a.code = r.asset_code
ORDER BY r.line ON CONFLICT (tenant_id, external_id) DO NOTHING
RETURNING id, version, serial, external_id, title, description, status, priority, due_at, site_id, asset_id
"""
RETURNED: Final = (
    "id", "version", "serial", "external_id", "title", "description", "status", "priority", "due_at", "site_id",
    "asset_id",
)  # fmt: skip


class Rejection(NamedTuple):
    """A row that was not imported: the line it starts on, and why."""

    line: int
    reason: str


@dataclass
class Outcome:
    """What became of rows."""

    imported: int = 0
    known: int = 0
    sites: int = 0
    assets: int = 0
    rejections: list[Rejection] = field(default_factory=list)


@contextmanager
def staging() -> Iterator[None]:
    """Keep the temporary tables that `write` needs; an external id is seen once from here to the end."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS import_row, import_seen")


def write(tenant_id: int, rows: Sequence[Row]) -> Outcome:
    """Import the rows that the tenant has not yet, in one transaction, with the sites and assets they name."""
    with transaction.atomic():
        take_numbers(tenant_id=tenant_id, kind=WorkOrder.number_kind, count=0)
        return _Batch(tenant_id).write(rows)


class _Batch:
    def __init__(self, tenant_id: int) -> None:
        self._tenant_id = tenant_id
        self._outcome = Outcome()

    def write(self, rows: Sequence[Row]) -> Outcome:
        self._stage(rows)
        self._run(REMEMBER)
        self._reject(REJECT_REPEATED)
        self._outcome.known = self._run(DROP_KNOWN)
        self._reject(REJECT_ASSET_ELSEWHERE)
        self._reject(REJECT_ASSET_IN_TWO_PLACES)
        self._outcome.sites = self._create_sites()
        self._outcome.assets = self._create_assets()
        # Somebody may have created one of the assets elsewhere since the first look.
        self._reject(REJECT_ASSET_ELSEWHERE)
        self._outcome.imported = self._insert()
        return self._outcome

    def _stage(self, rows: Sequence[Row]) -> None:
        self._run("TRUNCATE import_row")
        with connection.cursor() as cursor, cursor.copy("COPY import_row FROM STDIN (FORMAT BINARY)") as out:
            out.set_types(TYPES)
            for row in rows:
                out.write_row(row)
        self._run("ANALYZE import_row")

    def _create_sites(self) -> int:
        return self._create("site", [{"code": code, "name": code} for (code,) in self._ask(MISSING_SITES)])

    def _create_assets(self) -> int:
        missing = [{"code": code, "name": code, "site_id": site} for code, site in self._ask(MISSING_ASSETS)]
        created = self._create("asset", missing)
        if created >= MANY:
            self._run("ANALYZE {asset}")
        return created

    def _create(self, relation: str, missing: list[dict[str, Any]]) -> int:
        """Create rows of what an order refers to; one whose code somebody has taken meanwhile is left out."""
        model, at = _model(relation), timezone.now()
        rows = [model(tenant_id=self._tenant_id, created_at=at, **columns) for columns in missing]
        models.QuerySet(model).bulk_create(rows, ignore_conflicts=True)
        created = list(model.objects.filter(code__in=[row.code for row in rows], created_at=at).order_by("id"))
        self._record([(row, vars(row)) for row in created], at)
        return len(created)

    def _insert(self) -> int:
        ((count,),) = self._ask("SELECT count(*) FROM import_row")
        if not count:
            return 0
        first = take_numbers(tenant_id=self._tenant_id, kind=WorkOrder.number_kind, count=count).start
        inserted = self._ask(INSERT, first=first, status=WorkOrder.machine.initial.value)
        columns = [dict(zip(RETURNED, values, strict=True)) for values in inserted]
        self._record([(WorkOrder(tenant_id=self._tenant_id, **each), each) for each in columns], timezone.now())
        return len(inserted)

    def _record(self, created: list[tuple[Any, dict[str, Any]]], at: datetime) -> None:
        changes = [Change(row, CREATE, differences(type(row), {}, columns)) for row, columns in created]
        if changes:
            announce(changes, actor=IMPORTER, at=at)

    def _reject(self, statement: str) -> None:
        self._outcome.rejections += [Rejection(line, reason) for line, reason in self._ask(statement)]

    def _ask(self, statement: str, **values: int | str) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(_named(statement), {"tenant": self._tenant_id, **values})
            return list(cursor.fetchall())

    def _run(self, statement: str, **values: int | str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(_named(statement), {"tenant": self._tenant_id, **values})
            return int(cursor.rowcount)


def _model(relation: str) -> Any:
    return WorkOrder._meta.get_field(relation).related_model


def _named(statement: str) -> sql.Composed:
    tables = {"order": WorkOrder, "site": _model("site"), "asset": _model("asset")}
    return sql.SQL(statement).format(**{name: sql.Identifier(model._meta.db_table) for name, model in tables.items()})
