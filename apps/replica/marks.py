"""How far the primary's log was when a client had written: what a replica must have replayed before it is asked.

Redis keeps it, for all processes on all hosts. It is kept longer than a replica that is asked can be behind; so what
has gone is not missed.
"""

import logging
from math import ceil
from typing import Final

from django.conf import settings
from django.core.cache import cache
from django.db import Error

from apps.accounts.prepared import prepared
from apps.throttle.lines import lines
from apps.throttle.server import server

from .watch import watch

logger = logging.getLogger(__name__)

POSITION: Final = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
UNREACHED: Final = 2**53 - 1
"""Further than any log gets, which has written nine petabytes by then; the largest number that Lua tells exactly."""

KEEP: Final = """
local held = redis.call('GET', KEYS[1])
if held and tonumber(held) > tonumber(ARGV[1]) then
  return redis.call('EXPIRE', KEYS[1], ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
"""Of two that write at once the later position stays, whoever comes here first."""

SPARE: Final = 5
"""Seconds that a mark outlives the most a replica may be behind."""


def note_write(client: str) -> None:
    """Remember that a client may have written, up to the present end of the primary's log.

    To be called once that is committed, and before the client is told.
    """
    if not settings.REPLICA_URL:
        return
    position, seconds = _position(), ceil(settings.REPLICA_MAX_LAG_SECONDS) + SPARE
    noted = server.attempt(lambda: lines().ask("EVAL", KEEP, 1, _key(client), position, seconds), otherwise=None)
    if noted is None:
        watch().distrust(seconds)


def mark_of(client: str) -> int | None:
    """Return up to where a replica must have replayed the log for a client; None if that can't be known.

    0 is anywhere: the client has written nothing of late.
    """
    held = server.attempt(lambda: lines().ask("GET", _key(client)) or b"0", otherwise=None)
    return None if held is None else int(held)


def _position() -> int:
    try:
        ((position,),) = prepared(POSITION)
    except Error as error:
        # What was done is done, and its client is to be told; until this is forgotten it reads from the primary.
        logger.warning("The end of the primary's log can't be told. %s", error)
        return UNREACHED
    return int(position)


def _key(client: str) -> str:
    return str(cache.make_key(f"wrote:{client}"))
