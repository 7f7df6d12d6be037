"""`manage.py prune_idempotency_keys`: forget keys that no longer bind anybody."""

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.lifecycle.idempotency import KEPT
from apps.lifecycle.models import IdempotencyKey


class Command(BaseCommand):
    """Delete the idempotency keys that are older than 24 hours."""

    help = "Delete the idempotency keys that are older than 24 hours: a retry with one of them counts as a new request."

    def handle(self, *_args: object, **_options: object) -> None:
        """Delete them, and say how many there were."""
        deleted, _ = IdempotencyKey.unscoped.filter(created_at__lt=timezone.now() - KEPT).delete()
        self.stdout.write(f"{deleted:,} keys deleted")
