"""How long a request may keep PostgreSQL busy."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus

STEPS: Final = 10
"""A deadline is told to PostgreSQL in tenths, so that a slow request tells it ten times at most, not each time."""

MILLISECONDS: Final = 1000


class DeadlineExceededError(OperationalError):
    """Raised instead of sending a statement when the request's time is up.

    It is one of Django's database errors, so that transactions around it end as after any other.
    """


def ran_out_of_time(error: BaseException) -> bool:
    """Tell whether an error comes from a deadline, be it ours or PostgreSQL's, which cancels the statement."""
    return isinstance(error, DeadlineExceededError | QueryCanceled) or isinstance(error.__cause__, QueryCanceled)


@dataclass(slots=True)
class Timeout:
    """What is known of a connection's `statement_timeout`, in milliseconds; -1 is whatever it may be."""

    session: int = -1
    local: int = -1
    scope: object = None
    """Where `local` holds: the list of what is to be done on commit, which Django replaces whenever it connects,
    commits, or rolls back, also to a savepoint."""

    def within(self, connection: Any) -> int:
        """Return what holds for the next statement."""
        if not connection.in_atomic_block:
            self.scope = None
        if self.scope is None:
            return self.session
        return self.local if self.scope is connection.run_on_commit else -1


_timeouts: Final[WeakKeyDictionary[Any, Timeout]] = WeakKeyDictionary()


class Deadline:
    """Wraps the statements of a request: each may take the time that is left for all.

    The timeout is PostgreSQL's own, so that it holds for locks that are waited for and for statements that go past
    Django too. It is a setting of the connection, which the pool keeps: a request whose statements are quick finds it
    as the one before left it, and pays nothing.
    """

    def __init__(self, seconds: float) -> None:
        """Let time run."""
        self._step = seconds / STEPS
        self._end = monotonic() + seconds
        self._tell_again_at = 0.0
        self._told_in: object = None

    def __enter__(self) -> None:
        """Wrap the statements that the thread's connection to the database is given."""
        self._wrappers = connections[DEFAULT_DB_ALIAS].execute_wrappers
        self._wrappers.append(self)

    def __exit__(self, *_: object) -> None:
        """Wrap no more."""
        self._wrappers.remove(self)

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Run a statement.

        Raises DeadlineExceededError when no time is left.
        """
        connection = context["connection"]
        if monotonic() >= self._tell_again_at or connection.run_on_commit is not self._told_in:
            self._tell(connection)
        return execute(sql, params, many, context)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return monotonic() >= self._end

    def _tell(self, connection: Any) -> None:
        steps = math.ceil((self._end - monotonic()) / self._step)
        if steps <= 0:
            raise DeadlineExceededError("The request's time is up.")
        if _limit(connection, math.ceil(round(steps * self._step * MILLISECONDS, 3))):
            self._tell_again_at = self._end - (steps - 1) * self._step
            self._told_in = connection.run_on_commit


def time_is_up() -> bool:
    """Tell whether the thread has a deadline that is over."""
    return any(each.is_over for each in connections[DEFAULT_DB_ALIAS].execute_wrappers if isinstance(each, Deadline))


def _limit(connection: Any, milliseconds: int) -> bool:
    """Let each of the following statements of a connection take so long; tell whether that can be told now."""
    raw = connection.connection
    known = _timeouts.get(raw)
    if known is None:
        known = _timeouts[raw] = Timeout()
    if known.within(connection) == milliseconds:
        return True
    if raw.pgconn.transaction_status == TransactionStatus.INERROR:
        return False  # a failed transaction takes nothing but its rollback, which takes no time
    local = "LOCAL " * connection.in_atomic_block  # what a session learns in a transaction, a rollback has it forget
    with connection.wrap_database_errors:
        raw.execute(f"SET {local}statement_timeout = {milliseconds}")
    if local:
        known.local, known.scope = milliseconds, connection.run_on_commit
    else:
        known.session = milliseconds
    return True
