"""How a password becomes a user."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from .models import User


class EmailBackend(ModelBackend):
    """Log people in by e-mail address and password; runs before any tenant is in scope."""

    def get_user(self, user_id: Any) -> User | None:
        """Return the active user of a session, the tenant fetched along."""
        user = User.unscoped.select_related("tenant").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
