"""Lifecycle: how any entity changes."""

from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    """Register the lifecycle app and its checks."""

    name = "apps.lifecycle"
    label = "lifecycle"

    def ready(self) -> None:
        """Register the system checks that prove the state machines, and count what becomes of changes."""
        from . import checks, metrics  # noqa: F401, PLC0415 (models are not ready before)

        metrics.listen()
