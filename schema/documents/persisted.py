"""Automatic persisted queries, by Apollo's protocol: a client sends a document's hash, and its text once.

Any document that has run may be kept, by its own hash, so what is kept is nobody's secret and nobody's choice. Redis
holds the texts for all processes; while it is away a client sends its text again.
"""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from re import compile as regex
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache

from apps.throttle.limits import Draw, LimitsUnavailableError, Window, take
from apps.throttle.metrics import Lookups
from apps.throttle.server import server
from schema.errors import BadRequestError

HASH: Final = regex("[0-9a-f]{64}")
VERSION: Final = 1
LOOKUPS: Final = Lookups("persisted_documents")
REGISTRATIONS: Final = Window("registrations", 500, 3600)
"""So many documents a client may register in an hour: each may take 16 KB of Redis for a week."""


def hash_sent(text: str | None, extensions: Mapping[str, Any] | None) -> str | None:
    """Return the hash that a request names its document by, or None.

    Raises BadRequestError for one that can't be a hash, or not the hash of the text that comes with it.
    """
    sent = (extensions or {}).get("persistedQuery")
    if sent is None:
        return None
    if not isinstance(sent, dict) or sent.get("version") != VERSION:
        raise BadRequestError('`persistedQuery` must be like {"version": 1, "sha256Hash": "..."}.')
    name = sent.get("sha256Hash")
    if not isinstance(name, str) or not HASH.fullmatch(name):
        raise BadRequestError("`sha256Hash` must have 64 hexadecimal digits in lower case.")
    if text is not None and sha256(text.encode()).hexdigest() != name:
        raise BadRequestError("`sha256Hash` is not the hash of `query`.")
    return name


def keep(text: str, name: str, client: str) -> None:
    """Keep a document that a client has run by its hash; more than it may register are sent whole each time."""
    with suppress(LimitsUnavailableError):
        if take(client, [Draw(REGISTRATIONS, 1)]).granted:
            _keep(text, name)


def _keep(text: str, name: str) -> None:
    server.attempt(lambda: cache.set(_key(name), text, settings.PERSISTED_QUERY_SECONDS), otherwise=None)


def kept(name: str) -> str | None:
    """Return the document with this hash, or None."""
    if not HASH.fullmatch(name):
        return None
    text: str | None = server.attempt(lambda: cache.get(_key(name)), otherwise=None)
    LOOKUPS.count(found=text is not None)
    return text


def _key(name: str) -> str:
    return f"persisted:{name}"
