"""`manage.py close_overdue`: close tasks that nobody started in time."""

from datetime import datetime

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.origin import command_scope
from apps.accounts.tenancy import tenant_scope
from apps.tasks.overdue import close_overdue


class Command(BaseCommand):
    """Take every task that was due and not started to MISSED, in every tenant."""

    help = """Take every task that was due and that nobody started to MISSED, in every tenant. Run it from a timer, say
every few minutes: what is closed already is left alone, and two runs at a time do no harm."""

    def handle(self, *_args: object, **_options: object) -> None:
        """Close them, a thousand at a time, and say how many there were."""
        now = timezone.now()
        with command_scope("close_overdue"):
            closed = sum(count for tenant in Tenant.unscoped.order_by("pk") for count in _closed_in(tenant, now))
        self.stdout.write(f"{closed:,} tasks closed as missed")


def _closed_in(tenant: Tenant, now: datetime) -> list[int]:
    with tenant_scope(tenant.pk):
        return list(close_overdue(now))
