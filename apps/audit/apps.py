"""Audit: who changed what."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Register the audit app, and have it listen."""

    name = "apps.audit"
    label = "audit"

    def ready(self) -> None:
        """Register the system checks, record every change from now on, and answer who asks for earlier ones."""
        from apps.accounts.trail import keep_trail  # noqa: PLC0415 (models are not ready before)

        from . import checks, receivers, trail  # noqa: F401, PLC0415 (checks register themselves on import)

        receivers.listen()
        keep_trail(trail)
