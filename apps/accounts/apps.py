"""Accounts: tenants, users, API tokens; who is asking."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Register the accounts app and its checks."""

    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Register the system checks that prove the tenancy of every model."""
        from . import checks  # noqa: F401, PLC0415 (checks register themselves on import)
