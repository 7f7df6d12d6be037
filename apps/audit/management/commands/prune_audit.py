"""`manage.py prune_audit`: delete audit entries whose time is up."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.audit.models import AuditEntry
from apps.audit.retention import prune
from apps.lifecycle.progress import progress


class Command(BaseCommand):
    """Delete audit entries that are older than they need to be."""

    help = """Delete audit entries that are older than so many days, in every tenant or in one. Nothing else can delete
them. A conflict with a version from before is then told without what changed."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what may be chosen."""
        days = settings.AUDIT_RETENTION_DAYS
        parser.add_argument("--days", type=int, default=days, metavar="N", help="how old (%(default)s)")
        parser.add_argument("--tenant", metavar="SLUG", help="only this tenant's")
        parser.add_argument("--dry-run", action="store_true", help="count, and delete nothing")

    def handle(self, *_args: object, **options: Any) -> None:
        """Delete them, and say how many there were."""
        if options["days"] < 1:
            raise CommandError(f"--days is {options['days']}: choose 1 or more.")
        before = timezone.now() - timedelta(days=options["days"])
        tenants = Tenant.unscoped.filter(**({"slug": options["tenant"]} if options["tenant"] else {})).order_by("pk")
        if options["tenant"] and not tenants:
            raise CommandError(f"There is no tenant {options['tenant']}.")
        old = AuditEntry.unscoped.filter(tenant__in=[tenant.pk for tenant in tenants], at__lt=before)
        total = old.count()
        if not options["dry_run"]:
            with progress() as bar:
                task = bar.add_task("audit entries", total=total)
                total = 0
                for count in (count for tenant in tenants for count in prune(tenant.pk, before)):
                    total += count
                    bar.advance(task, count)
        verb = "would be deleted" if options["dry_run"] else "deleted"
        self.stdout.write(f"{total:,} audit entries from before {before:%Y-%m-%d %H:%M} UTC {verb}")
