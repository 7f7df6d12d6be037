"""Whether the replica is there, and how old what it holds can be.

Once in a while the primary is asked where its log ends, then the replica how far it has replayed it. Once it has
reached a position that the primary told at some time, what it holds is not older than that time. So no two clocks are
compared; a primary on which nothing happens is not taken for a replica that is behind; and a replica that has lost its
primary, or is told to pause, is noticed.
"""

import logging
import os
from collections import deque
from functools import lru_cache
from math import ceil, inf
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections

from .metrics import lag

logger = logging.getLogger(__name__)

REPLICA: Final = "replica"
"""Django's name of the database."""

WHICH: Final = """
(SELECT (system_identifier, oid)::text FROM pg_control_system(), pg_database WHERE datname = current_database())
"""
"""What a database and its copies on replicas have in common, and no other database of any installation has."""

END: Final = f"SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint, {WHICH}"
REPLAYED: Final = f"""
SELECT CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0)::bigint END, {WHICH}
"""

LONGEST_PAUSE: Final = 1.0
LOOKS: Final = 4
"""So many times it is looked at while it may fall behind as far as it may."""


class Watch:
    """Looks at the replica again and again, in a thread of its own, from the first time that it is asked on."""

    def __init__(self, most: float) -> None:
        """Let it be so many seconds behind; trust in nothing yet."""
        self._most, self._pause = most, min(LONGEST_PAUSE, most / LOOKS)
        self._ends = deque[tuple[float, int]](maxlen=ceil(most / self._pause) + LOOKS)
        self._held_at = -inf
        self._good_until, self._distrusted_until = 0.0, 0.0
        self._was_good: bool | None = None
        self._starting, self._wake = Lock(), Event()
        self._thread: Thread | None = None

    @property
    def is_good(self) -> bool:
        """Whether the replica may be asked."""
        if self._thread is None:
            self._start()
        return self._distrusted_until < monotonic() < self._good_until

    def doubt(self) -> None:
        """Ask it no more until it has been looked at again, which is done at once."""
        self._good_until = 0.0
        self._wake.set()

    def distrust(self, seconds: float) -> None:
        """Ask it no more for so long: somebody's mark could not be left."""
        self._distrusted_until = monotonic() + seconds

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="replica-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._look()
            self._wake.wait(self._pause)
            self._wake.clear()

    def _look(self) -> None:
        """Find out how old what it holds can be."""
        try:
            began, (end, primary) = monotonic(), _asked(DEFAULT_DB_ALIAS, END)
            replayed, replica = _asked(REPLICA, REPLAYED)
        except Error as error:
            connections[REPLICA].close()
            return self._note(f"can't be reached: {' '.join(str(error).split())}")
        finally:
            connections[DEFAULT_DB_ALIAS].close()  # the pool has few of them
        if replayed is None or replica != primary:
            return self._note("is none of this primary's" if replayed else "is none: it is not in recovery")
        self._ends.append((began, end))
        while self._ends and self._ends[0][1] <= replayed:
            self._held_at = self._ends.popleft()[0]
        age = monotonic() - self._held_at
        lag().set(age)
        self._note("" if age < self._most else f"is more than {self._most:g} s behind")
        self._good_until = self._held_at + self._most
        return None

    def _note(self, wrong: str) -> None:
        """Say what is wrong when that begins, and when it ends."""
        if wrong:
            self._good_until = 0.0
        is_good = not wrong
        if not is_good and self._was_good is not False:
            logger.warning("Reads go to the primary: the replica %s.", wrong)
        elif is_good and self._was_good is False:
            logger.warning("Reads go to the replica again.")
        self._was_good = is_good


def _asked(alias: str, statement: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


@lru_cache(maxsize=1)
def watch() -> Watch:
    """Return the one that watches the replica that the settings name."""
    return Watch(settings.REPLICA_MAX_LAG_SECONDS)


os.register_at_fork(after_in_child=watch.cache_clear)
