"""Assets: sites and the assets on them."""

from django.apps import AppConfig


class AssetsConfig(AppConfig):
    """Register the assets app."""

    name = "apps.assets"
    label = "assets"
