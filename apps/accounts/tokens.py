"""API tokens: made once, shown once, stored as a hash."""

import hashlib
import secrets
from datetime import timedelta
from functools import cache
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q
from django.utils import timezone

from .models import ApiToken, Tenant, User
from .prepared import prepared

Part = tuple[Any, list[str], slice]
"""A model, its columns, and where their values are in a row."""

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


def is_token(text: str) -> bool:
    """Tell whether a text looks like a token's."""
    return len(text) == LENGTH and text.startswith(PREFIX)


def find_token(text: str) -> ApiToken | None:
    """Return the valid token with this text, its user and tenant fetched along, or None.

    Each request asks this first, and building a query of the ORM would take longer than the rest of a quick one.
    """
    if not is_token(text):
        return None
    for row in prepared(_statement(), [digest(text), timezone.now()]):
        token, user, tenant = (
            model.from_db(DEFAULT_DB_ALIAS, columns, row[place]) for model, columns, place in _parts()
        )
        user.tenant, token.user = tenant, user
        found: ApiToken = token
        return found
    return None


@cache
def _parts() -> tuple[Part, ...]:
    parts, end = [], 0
    for model in (ApiToken, User, Tenant):
        columns = [field.attname for field in model._meta.concrete_fields]
        parts.append((model, columns, slice(end, end := end + len(columns))))
    return tuple(parts)


@cache
def _statement() -> str:
    tables = ("token", "owner", "tenant")
    columns = ", ".join(
        f'"{table}"."{column}"' for table, (_, columns, _) in zip(tables, _parts(), strict=True) for column in columns
    )
    token, owner, tenant = (
        f'"{model._meta.db_table}" "{table}"' for table, (model, *_) in zip(tables, _parts(), strict=True)
    )
    return (
        f"SELECT {columns} FROM {token} "  # noqa: S608 - names of ours
        f'JOIN {owner} ON "owner"."id" = "token"."user_id" '
        f'JOIN {tenant} ON "tenant"."id" = "owner"."tenant_id" '
        'WHERE "token"."digest" = $1 AND "token"."revoked_at" IS NULL AND "token"."expires_at" > $2 '
        'AND "owner"."is_active"'
    )


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
