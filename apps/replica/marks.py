"""How far the primary's log was when a client had written: what a replica must have replayed before it is asked.

Redis keeps it, for all processes on all hosts. It may lose it at any time, by a restart, a flush or an eviction: whose
mark is not there may have written up to now, and is marked anew.
"""

import logging
from typing import Final

from django.conf import settings
from django.core.cache import cache
from django.db import Error

from apps.accounts.prepared import prepared
from apps.throttle.lines import lines
from apps.throttle.server import server

from .watch import watch

logger = logging.getLogger(__name__)

POSITION: Final = """
SELECT (CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
        ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint
"""
"""What is committed is flushed, unless that is turned off; what reads add to the log waits long for it."""
UNREACHED: Final = 2**53 - 1
"""Further than any log gets, which has written nine petabytes by then; the largest number that Lua tells exactly."""

KEEP: Final = """
local held = redis.call('GET', KEYS[1])
if not held or tonumber(held) <= tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
end
return 1
"""
"""Of two that write at once the later position stays, whoever comes here first, and goes when its own time is over."""

KEPT: Final = 600
"""Seconds. Whoever comes later than that is marked anew, which costs a statement on the primary."""

SPARE: Final = 5
"""Seconds that a worker waits beyond the most a replica may be behind."""


def note_write(client: str) -> None:
    """Remember that a client may have written, up to the present end of the primary's log.

    To be called once that is committed, and before the client is told.
    """
    if settings.REPLICA_URL:
        _marked(client)


def mark_of(client: str) -> int | None:
    """Return up to where a replica must have replayed the log for a client; None if that can't be known."""
    held = server.attempt(lambda: lines().ask("GET", _key(client)) or b"", otherwise=None)
    if held is None:
        return None
    return int(held) if held else _marked(client)


def _marked(client: str) -> int:
    """Leave a client's mark, and return it."""
    position = _position()
    # What can't be told is asked of the next who comes; until then it must outlive the marks of who asked before.
    seconds = SPARE if position == UNREACHED else KEPT
    noted = server.attempt(lambda: lines().ask("EVAL", KEEP, 1, _key(client), position, seconds), otherwise=None)
    if noted is None:
        watch().distrust(settings.REPLICA_MAX_LAG_SECONDS + SPARE)
    return position


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
