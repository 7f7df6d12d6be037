"""Tasks: tasks."""

from django.apps import AppConfig


class TasksConfig(AppConfig):
    """Register the tasks app."""

    name = "apps.tasks"
    label = "tasks"
