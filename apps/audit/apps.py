"""Audit: who changed what."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Register the audit app, and have it listen."""

    name = "apps.audit"
    label = "audit"

    def ready(self) -> None:
        """Record every change from now on, and answer who asks for earlier ones."""
        from apps.accounts.trail import keep_trail  # noqa: PLC0415 (models are not ready before)

        from . import receivers, trail  # noqa: PLC0415

        receivers.listen()
        keep_trail(trail)
