"""The project's own commands: demo data."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Register the project's commands."""

    name = "project"
    label = "project"
