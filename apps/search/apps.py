"""Search: found in spite of the spelling."""

from django.apps import AppConfig


class SearchConfig(AppConfig):
    """Register the search app, and have it listen."""

    name = "apps.search"
    label = "search"

    def ready(self) -> None:
        """Index every change from now on; register what `manage.py check` proves."""
        from . import checks, receivers  # noqa: F401, PLC0415 (models are not ready before)

        receivers.listen()
