"""Lifecycle: how any entity changes."""

from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    """Register the lifecycle app."""

    name = "apps.lifecycle"
    label = "lifecycle"
