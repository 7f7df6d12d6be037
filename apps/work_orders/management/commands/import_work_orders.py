"""`manage.py import_work_orders FILE.csv --tenant SLUG`."""

import csv
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.progress import Progress

from apps.accounts.models import Tenant
from apps.accounts.origin import command_scope
from apps.accounts.tenancy import all_tenants, tenant_scope
from apps.lifecycle.progress import progress
from apps.work_orders.importing.batches import Outcome, Rejection, staging, write
from apps.work_orders.importing.rows import InvalidRowError, Row, judge, limits
from apps.work_orders.importing.table import FileError, Record, Table

BATCH: Final = 5_000
SOME_REJECTED, NOT_IMPORTED, INTERRUPTED = 1, 2, 130
"""Exit codes: rows were rejected and the others imported; the file or the tenant can't be used; Ctrl-C."""


class Command(BaseCommand):
    """Import work orders from a CSV file."""

    help = """Import work orders from a CSV file (UTF-8, with a header, columns in any order) as drafts. Needed are the
columns external_id, site_code, asset_code (which may be empty) and title; description, priority (MEDIUM if empty) and
due_at (ISO 8601; UTC unless it names an offset; a date is its first moment) may be there; others are ignored. Sites and
assets that the tenant has not are created under their codes. A row whose external_id the tenant has already is left as
it is, so the same file can be imported again; it counts as already there. A row that can't be imported is named with
its line and the reason, and the others are imported. Exit code: 0, or 1 when rows were rejected, or 2 when the file or
the tenant can't be used."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument("file", help="the CSV file; - reads standard input")
        parser.add_argument("--tenant", required=True, metavar="SLUG", help="whose work orders they become")
        parser.add_argument(
            "--rejects", type=Path, metavar="FILE", help="write the rejected rows here, as CSV with line and reason"
        )

    def handle(self, *, file: str, tenant: str, rejects: Path | None, **_: object) -> None:
        """Import the file; raise CommandError when a row was rejected, or nothing could be imported."""
        tenant_id, total = _tenant_id(tenant), Total()
        try:
            with _opened(file) as source, _written(rejects, file) as sink, progress() as bar:
                self._import(Table(source, _advancing(bar, file)), tenant_id, total, bar, sink)
        except FileError as error:
            raise CommandError(str(error), returncode=NOT_IMPORTED) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run it again to import the rest.", returncode=INTERRUPTED) from None
        finally:
            if total.started:
                self.stdout.write(str(total))
        if total.rejected:
            raise CommandError(f"Rows rejected: {total.rejected:,}; see above.", returncode=SOME_REJECTED)

    def _import(self, table: Table, tenant_id: int, total: "Total", bar: Progress, sink: Any) -> None:
        total.started = time.monotonic()
        if table.ignored:
            self._say(bar, f"Ignored columns: {', '.join(table.ignored)}")
        keep = csv.writer(sink) if sink else None
        if keep:
            keep.writerow([*table.header, "line", "reason"])
        longest, records = limits(), iter(table)
        with command_scope("import_work_orders"), tenant_scope(tenant_id), staging():
            while batch := list(islice(records, BATCH)):
                outcome = _import_batch(tenant_id, table, batch, longest)
                total.add(len(batch), outcome)
                cells = {record.line: record.cells for record in batch}
                for line, reason in sorted(outcome.rejections):
                    self._say(bar, f"line {line}: {reason}")
                    if keep:
                        keep.writerow([*_filled(cells[line], len(table.header)), line, reason])

    def _say(self, bar: Progress, text: str) -> None:
        text = text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
        if bar.disable:
            self.stderr.write(text)
        else:
            bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


class Total:
    """What became of the rows of the batches so far."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.started = 0.0
        self.read = self.rejected = 0
        self._sum = Outcome()

    def add(self, read: int, outcome: Outcome) -> None:
        """Count a batch."""
        self.read += read
        self.rejected += len(outcome.rejections)
        for name in ("imported", "known", "sites", "assets"):
            setattr(self._sum, name, getattr(self._sum, name) + getattr(outcome, name))

    def __str__(self) -> str:
        """Return the summary."""
        sums = self._sum
        return (
            f"{self.read:,} rows read: {sums.imported:,} imported, {sums.known:,} already there, "
            f"{self.rejected:,} rejected; {sums.sites:,} sites and {sums.assets:,} assets created; "
            f"{time.monotonic() - self.started:.1f} s"
        )


def _import_batch(tenant_id: int, table: Table, batch: list[Record], longest: dict[str, int]) -> Outcome:
    rows: list[Row] = []
    rejections: list[Rejection] = []
    for record in batch:
        try:
            rows.append(_row(table, record, longest))
        except InvalidRowError as error:
            rejections.append(Rejection(record.line, str(error)))
    outcome = write(tenant_id, rows)
    outcome.rejections += rejections
    return outcome


def _row(table: Table, record: Record, longest: dict[str, int]) -> Row:
    if record.reason:
        raise InvalidRowError(record.reason)
    return judge(record.line, table.values(record), longest)


def _tenant_id(slug: str) -> int:
    with all_tenants():
        tenant = Tenant.objects.filter(slug=slug).first()
        if tenant:
            return tenant.pk
        slugs = ", ".join(Tenant.objects.order_by("slug").values_list("slug", flat=True)[:20])
    raise CommandError(f"There is no tenant {slug}. There are: {slugs or 'none yet'}.", returncode=NOT_IMPORTED)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with _told_plainly(name):
        file = Path(name).open("rb")  # noqa: SIM115 (closed below, where other errors are not this file's)
    with file:
        yield file


@contextmanager
def _written(path: Path | None, source: str) -> Iterator[Any]:
    if path is None:
        yield None
        return
    if source != "-" and path.exists() and path.samefile(source):
        raise CommandError("The rejected rows can't be written over the file itself.", returncode=NOT_IMPORTED)
    with _told_plainly(str(path)):
        file = path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
    with file:
        yield file


@contextmanager
def _told_plainly(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.", returncode=NOT_IMPORTED) from None


def _advancing(bar: Progress, name: str) -> Any:
    size = None if name == "-" else Path(name).stat().st_size or None
    task = bar.add_task("work orders", total=size)
    return lambda count: bar.advance(task, count)


def _filled(cells: list[str], width: int) -> list[str]:
    return [*cells, *[""] * width][:width]
