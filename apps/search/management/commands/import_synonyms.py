"""`manage.py import_synonyms FILE.csv --tenant SLUG`."""

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from apps.accounts.models import Tenant
from apps.accounts.origin import command_scope
from apps.accounts.tenancy import tenant_scope
from apps.search.management.tenants import chosen_tenants
from apps.search.models import Synonym
from apps.search.synonyms import phrase

NEEDED: Final = ("term", "meaning")
LARGEST: Final = 10 << 20
"""In bytes. A file beyond it holds no synonyms."""

SOME_REJECTED, NOT_IMPORTED, INTERRUPTED = 1, 2, 130
"""Exit codes: rows were rejected and the others imported; the file or the tenant can't be used; Ctrl-C."""

NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
"""What PostgreSQL takes for no text: NUL, and the lone surrogates that stand for bytes that are no UTF-8."""

LOCK: Final = "LOCK TABLE search_synonym IN SHARE ROW EXCLUSIVE MODE"
"""Whoever else would write synonyms waits for the end of the import; searches don't."""


class Row(NamedTuple):
    """A row of the file: the line it starts on, counted from 1, and what it says; or why it can't be read."""

    line: int
    term: str
    meaning: str
    reason: str = ""


class Command(BaseCommand):
    """Import synonyms from a CSV file."""

    help = """Import synonyms from a CSV file (UTF-8, with a header). Needed are the columns term and meaning, in any
order; others are ignored. An empty meaning switches the built-in meanings of the term off. A row that says, word for
word, what the tenant's synonyms say already counts as known and is left out, so the same file can be imported again. A
row that can't be imported is named with its line and the reason, and the others are imported, all at once. Exit code:
0, or 1 when rows were rejected, or 2 when the file or the tenant can't be used."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument("file", help="the CSV file; - reads standard input")
        parser.add_argument("--tenant", required=True, metavar="SLUG", help="whose synonyms they become")

    def handle(self, *, file: str, tenant: str, **_: object) -> None:
        """Import the file; raise CommandError when a row was rejected, or nothing could be imported."""
        owner = _tenant(tenant)
        try:
            rows = self._rows(_text(file))
            with command_scope("import_synonyms"), tenant_scope(owner.pk), transaction.atomic():
                total = self._import(owner, rows)
        except KeyboardInterrupt:
            raise CommandError("Stopped. Nothing was added.", returncode=INTERRUPTED) from None
        self.stdout.write(f"{total['added']:,} added, {total['known']:,} known, {total['rejected']:,} rejected")
        if total["rejected"]:
            raise CommandError(f"Rows rejected: {total['rejected']:,}; see above.", returncode=SOME_REJECTED)

    def _rows(self, text: str) -> Iterator[Row]:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = _names(reader)
        if ignored := [name for name in names if name and name not in NEEDED]:
            self.stderr.write(f"Ignored columns: {', '.join(ignored)}")
        return _read(reader, names)

    def _import(self, owner: Tenant, rows: Iterable[Row]) -> Counter[str]:
        with connection.cursor() as cursor:
            cursor.execute(LOCK)
        known = {_words(each) for each in Synonym.objects.all()}
        total: Counter[str] = Counter()
        for row in rows:
            synonym = Synonym(tenant=owner, term=row.term, meaning=row.meaning)
            words = _words(synonym)
            if reason := row.reason or _fault(synonym):
                self.stderr.write(f"line {row.line}: {reason}")
                total["rejected"] += 1
            elif words in known:
                total["known"] += 1
            else:
                synonym.save()
                known.add(words)
                total["added"] += 1
        return total


def _tenant(slug: str) -> Tenant:
    try:
        (tenant,) = chosen_tenants(slug)
    except CommandError as error:
        raise CommandError(str(error), returncode=NOT_IMPORTED) from None
    return tenant


def _text(name: str) -> str:
    """Return what the file says; bytes that are no UTF-8 stand in it as lone surrogates."""
    try:
        if name == "-":
            content = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(LARGEST + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.", returncode=NOT_IMPORTED) from None
    if len(content) > LARGEST:
        raise CommandError(f"{name} is larger than {LARGEST:,} bytes. Is it the right file?", returncode=NOT_IMPORTED)
    return content.decode("utf-8-sig", errors="surrogateescape")


def _names(reader: Iterator[list[str]]) -> list[str]:
    """Return the names of the columns."""
    try:
        names = [name.strip().lower() for name in next(reader, [])]
    except csv.Error as error:
        message = f"Line 1: the header can't be read ({error}). Is this a CSV file?"
        raise CommandError(message, returncode=NOT_IMPORTED) from None
    if any(names.count(name) != 1 for name in NEEDED):
        message = "Line 1: the header must name the columns term and meaning, once each, in UTF-8, separated by commas."
        raise CommandError(message, returncode=NOT_IMPORTED)
    return names


def _read(reader: Any, names: list[str]) -> Iterator[Row]:
    """Yield the rows that hold anything."""
    places = [names.index(name) for name in NEEDED]
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, "", "", f"it can't be read as CSV ({error})")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if max(places) < len(cells) <= len(names):
            term, meaning = (" ".join(cells[place].split()) for place in places)
            yield Row(line, term, meaning)
        else:  # one value too many would cost a meaning its end, one too few switch a built-in one off
            found = f"there are {len(cells)} values under {len(names)} columns"
            yield Row(line, "", "", f"{found}; put values with commas in quotes")


def _fault(synonym: Synonym) -> str:
    """Return why something can't be a synonym; nothing if it can."""
    if NO_TEXT.search(synonym.term + synonym.meaning):
        return "it is not UTF-8, or holds a NUL character; save the file as UTF-8"
    try:
        synonym.full_clean(exclude=["tenant"], validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        return " ".join(f"{name}: {' '.join(messages)}" for name, messages in error.message_dict.items())
    return ""


def _words(synonym: Synonym) -> tuple[tuple[str, ...], ...]:
    """Return what a synonym says to the search."""
    return phrase(synonym.term), phrase(synonym.meaning)
