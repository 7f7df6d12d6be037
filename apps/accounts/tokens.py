"""API tokens: made once, shown once, stored as a hash."""

import hashlib
import secrets
from datetime import datetime, timedelta
from functools import cache
from typing import Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q
from django.utils import timezone

from .models import ApiToken, User
from .prepared import prepared_first

PREFIX: Final = "wg_"
"""What every token starts with, so that scanners for leaked secrets can find one."""

RANDOM_BYTES: Final = 32
LENGTH: Final = len(PREFIX) + 43
"""Of a token's text, in characters: the prefix, and base64 of the random bytes."""

LIFETIME: Final = timedelta(days=90)
MAX_LIFETIME: Final = timedelta(days=3650)
LAST_USED_PRECISION: Final = timedelta(minutes=5)


class Bearer(NamedTuple):
    """Who sent a token, and what is noted of its use."""

    user: User
    token_id: int
    last_used_at: datetime | None


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


def is_token(text: str) -> bool:
    """Tell whether a text looks like a token's."""
    return len(text) == LENGTH and text.startswith(PREFIX)


def find_token(text: str) -> Bearer | None:
    """Return who bears the valid token with this text, or None.

    Each request asks this first, and building a query of the ORM would take longer than the rest of a quick one.
    """
    if not is_token(text):
        return None
    for token_id, last_used_at, *row in prepared_first(_statement(), [digest(text), timezone.now()]):
        return Bearer(User.from_db(DEFAULT_DB_ALIAS, _columns(), row), token_id, last_used_at)
    return None


@cache
def _columns() -> list[str]:
    return [field.attname for field in User._meta.concrete_fields]


@cache
def _statement() -> str:
    columns = ", ".join(f'bearer."{column}"' for column in _columns())
    return (
        f"SELECT token.id, token.last_used_at, {columns} FROM {ApiToken._meta.db_table} token "  # noqa: S608 - ours
        f"JOIN {User._meta.db_table} bearer ON bearer.id = token.user_id "
        "WHERE token.digest = $1 AND token.revoked_at IS NULL AND token.expires_at > $2 AND bearer.is_active"
    )


def note_use(bearer: Bearer) -> None:
    """Write down that a token was used, at most once in five minutes; this is no change of its version."""
    now = timezone.now()
    if bearer.last_used_at is None or bearer.last_used_at < now - LAST_USED_PRECISION:
        unused = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
        ApiToken.unscoped.filter(unused, pk=bearer.token_id).update(last_used_at=now)


def digest(text: str) -> str:
    """Return what is stored of a token.

    A fast hash suffices: the text holds 256 random bits, which nobody guesses (OWASP, Password Storage Cheat Sheet).
    """
    return hashlib.sha256(text.encode()).hexdigest()
