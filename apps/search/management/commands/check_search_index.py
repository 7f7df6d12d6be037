"""`manage.py check_search_index`."""

from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import Tenant
from apps.lifecycle.progress import progress
from apps.search.management.tenants import chosen_tenants
from apps.search.rebuilding import Drift, count_entities, drift

SHOWN: Final = 10
"""How many of each kind of drift are named."""


class Command(BaseCommand):
    """Find out whether the search index says what the entities say."""

    help = """Compare the search index with the entities, of one organisation or of all, and name what differs. Nothing
is changed; rebuild_search_index mends. Exit code: 0, or 1 when something differs."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument("--tenant", metavar="SLUG", help="of this organisation only")

    def handle(self, *, tenant: str | None, **_: Any) -> None:
        """Compare; raise CommandError when something differs."""
        drifted = [each.slug for each in chosen_tenants(tenant) if self._has_drifted(each)]
        if drifted:
            raise CommandError(f"The index has drifted: {', '.join(drifted)}. Run rebuild_search_index.")

    def _has_drifted(self, tenant: Tenant) -> bool:
        total = count_entities(tenant.pk)
        with progress() as bar:
            task = bar.add_task(tenant.slug, total=total)
            found = drift(tenant.pk, lambda count: bar.advance(task, count))
        self.stdout.write(f"{tenant.slug}: {total:,} entities; {_summary(found)}")
        return any(found)


def _summary(found: Drift) -> str:
    if not any(found):
        return "the index is true"
    documents = ", ".join(f"{kind} {key}" for kind, key in found.documents[:SHOWN])
    entries = ", ".join(f"{place.word} ({place.weight}, {place.chunk})" for place in found.entries[:SHOWN])
    return (
        f"{len(found.documents):,} documents differ [{documents}], {len(found.entries):,} postings differ [{entries}]"
    )
