"""Accounts: tenants, users, API tokens; who is asking."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class AccountsConfig(AppConfig):
    """Register the accounts app and its checks."""

    name = "apps.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Register the system checks that prove the tenancy of every model, and what follows a login."""
        from . import checks  # noqa: F401, PLC0415 (checks register themselves on import)
        from .authentication import note_login  # noqa: PLC0415 (models are not ready before)

        user_logged_in.disconnect(dispatch_uid="update_last_login")
        user_logged_in.connect(note_login, dispatch_uid="note_login")
