"""`manage.py rebuild_search_index`."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from apps.accounts.models import Tenant
from apps.lifecycle.progress import progress
from apps.search.management.tenants import chosen_tenants
from apps.search.rebuilding import count_entities, is_built, rebuild


class Command(BaseCommand):
    """Build the search index anew."""

    help = """Build the search index anew from the entities, of one organisation or of all. People may go on working and
searching meanwhile. With --missing, only of organisations that have no index yet: after the update that brought the
search, or after a restore without it."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument("--tenant", metavar="SLUG", help="of this organisation only")
        parser.add_argument("--missing", action="store_true", help="only where there is no index yet")

    def handle(self, *, tenant: str | None, missing: bool, **_: Any) -> None:
        """Rebuild, and say of whom and how much."""
        for each in chosen_tenants(tenant):
            if not (missing and is_built(each.pk)):
                self._rebuild(each)

    def _rebuild(self, tenant: Tenant) -> None:
        started, total = time.monotonic(), count_entities(tenant.pk)
        with progress() as bar:
            task = bar.add_task(tenant.slug, total=total)
            rebuild(tenant.pk, lambda count: bar.advance(task, count))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE search_document, search_word, search_posting")
        self.stdout.write(f"{tenant.slug}: {total:,} entities; {time.monotonic() - started:.1f} s")
