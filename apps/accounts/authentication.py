"""How a password becomes a user."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.utils import timezone

from .models import User


class EmailBackend(ModelBackend):
    """Log people in by e-mail address and password; runs before any tenant is in scope.

    Django's own `authenticate` is left as it is: it hashes the password for an unknown address too, so that the time
    an answer takes tells nobody which addresses exist.
    """

    def get_user(self, user_id: Any) -> User | None:
        """Return the active user of a session, the tenant fetched along."""
        user = User.unscoped.select_related("tenant").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None


def note_login(*, user: User, **_: Any) -> None:
    """Write down when a user logged in.

    In place of Django's receiver, which saves the user: logging in is no change of the record, and must neither raise
    its version nor fail because somebody edits it at that moment.
    """
    User.unscoped.filter(pk=user.pk).update(last_login=timezone.now())
