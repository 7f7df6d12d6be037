"""API tokens: made once, shown once, stored as a hash."""

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from .models import ApiToken, User

PREFIX: Final = "wg_"
"""What every token starts with, so that scanners for leaked secrets can find one."""

RANDOM_BYTES: Final = 32
LENGTH: Final = len(PREFIX) + 43
"""Of a token's text, in characters: the prefix, and base64 of the random bytes."""

LIFETIME: Final = timedelta(days=90)
MAX_LIFETIME: Final = timedelta(days=3650)
LAST_USED_PRECISION: Final = timedelta(minutes=5)


def issue_token(*, user: User, name: str = "", lifetime: timedelta = LIFETIME) -> tuple[str, ApiToken]:
    """Make a token for the user and return its text, which is kept nowhere, with its row."""
    token = ApiToken(tenant_id=user.tenant_id, user=user, name=name)
    text = make_text(token, lifetime=lifetime)
    token.save()
    return text, token


def make_text(token: ApiToken, *, lifetime: timedelta = LIFETIME) -> str:
    """Make the text of a token that is about to be saved, leave its hash and its end in the row, and return it."""
    text = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    token.digest, token.expires_at = digest(text), timezone.now() + lifetime
    return text


def revoke_token(token: ApiToken) -> None:
    """Make a token useless from now on; the first revocation's time stays.

    Raises RecordModifiedError when the token was changed after it was read.
    """
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save()


def find_token(text: str) -> ApiToken | None:
    """Return the valid token with this text, its user and tenant fetched along, or None."""
    if not text.startswith(PREFIX) or len(text) != LENGTH:
        return None
    tokens = ApiToken.unscoped.select_related("user__tenant")
    return tokens.filter(
        digest=digest(text), revoked_at__isnull=True, expires_at__gt=timezone.now(), user__is_active=True
    ).first()


def note_use(token: ApiToken) -> None:
    """Write down that a token was used, at most once in five minutes; this is no change of its version."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at < now - LAST_USED_PRECISION:
        unused = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
        ApiToken.unscoped.filter(unused, pk=token.pk).update(last_used_at=now)


def digest(text: str) -> str:
    """Return what is stored of a token.

    A fast hash suffices: the text holds 256 random bits, which nobody guesses (OWASP, Password Storage Cheat Sheet).
    """
    return hashlib.sha256(text.encode()).hexdigest()
