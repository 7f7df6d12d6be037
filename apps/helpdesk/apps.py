"""Helpdesk: tickets."""

from django.apps import AppConfig


class HelpdeskConfig(AppConfig):
    """Register the helpdesk app."""

    name = "apps.helpdesk"
    label = "helpdesk"
