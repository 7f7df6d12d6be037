"""Lifecycle: how any entity changes."""

from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    """Register the lifecycle app and its checks."""

    name = "apps.lifecycle"
    label = "lifecycle"

    def ready(self) -> None:
        """Register the system checks that prove the state machines."""
        from . import checks  # noqa: F401, PLC0415 (checks register themselves on import)
