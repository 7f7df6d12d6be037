"""Results in Redis, under keys that a commit makes unreachable.

A key names the state of the index that the results were read from, which never comes back. It is read from the database
with every search, so that whoever comes after a commit asks for another key; nothing has to be told to Redis, and
nothing that fails to reach it can leave stale rows. One process computes what many ask for at once; the others wait for
it, though not for long. When Redis is away, everybody computes.
"""

import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final
from uuid import uuid4

import orjson
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from apps.throttle.server import server

from .metrics import LOOKUPS

LOCKED_FOR: Final = 10
"""After so many seconds whoever computes is taken for dead."""

PATIENCE: Final = 2.0
"""After so many seconds whoever waits computes as well: waiting holds a connection."""

POLL: Final = 0.02
"""Seconds between two looks whether the other has finished."""

FORMAT: Final = 1
"""To be raised with each change of the code, or of the built-in synonyms, that gives other answers."""

Payload = Any
"""What JSON can hold."""


def key_of(tenant_id: int, state: str, question: Payload) -> str:
    """Return the key of a question's answer in a state of a tenant's index."""
    digest = blake2b(orjson.dumps([FORMAT, state, question]), digest_size=24).hexdigest()
    return f"search:{tenant_id}:{digest}"


def remembered(key: str, compute: Callable[[], tuple[str, Payload]]) -> tuple[Payload, bool]:
    """Return what is remembered under a key, and True; or compute it, and False.

    What computes it tells under which key to remember it besides.
    """
    if connection.in_atomic_block:
        return compute()[1], False  # what is seen here may never be committed
    payload, found = _found(key, compute)
    LOOKUPS.count(found=found)
    return payload, found


def _found(key: str, compute: Callable[[], tuple[str, Payload]]) -> tuple[Payload, bool]:
    give_up = time.monotonic() + PATIENCE
    while True:
        if (held := _get(key)) is not None:
            return held, True
        token = uuid4().hex
        if server.attempt(lambda: cache.add(_lock(key), token, LOCKED_FOR), otherwise=True):  # noqa: B023
            return _computed(key, compute, token)
        if time.monotonic() > give_up:
            return compute()[1], False
        time.sleep(POLL)


def _computed(key: str, compute: Callable[[], tuple[str, Payload]], token: str) -> tuple[Payload, bool]:
    try:
        if (held := _get(key)) is not None:
            return held, True  # the other finished between the look and the lock
        computed_key, payload = compute()
        # Under the key that the others wait for as well: what it holds then is newer than its state, never older.
        texts = dict.fromkeys((key, computed_key), orjson.dumps(payload))
        server.attempt(lambda: cache.set_many(texts, settings.SEARCH_CACHE_SECONDS), otherwise=None)
        return payload, False
    finally:
        server.attempt(lambda: _unlock(key, token), otherwise=None)


def _get(key: str) -> Payload:
    text = server.attempt(lambda: cache.get(key), otherwise=None)
    return None if text is None else orjson.loads(text)


def _unlock(key: str, token: str) -> None:
    if cache.get(_lock(key)) == token:
        cache.delete(_lock(key))


def _lock(key: str) -> str:
    return f"{key}:lock"
