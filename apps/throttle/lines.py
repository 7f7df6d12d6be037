"""Connections on which one may speak without waiting for the answer."""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeVar

from django.core.signals import setting_changed
from django_redis import get_redis_connection
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError

from apps.tracing.spans import note

R = TypeVar("R")

Argument = str | int
Command = tuple[Argument, ...]

MOST_OWED: Final = 64
"""So many replies a line may owe before they are read, and so many commands wait for a line."""


def packed(command: Command) -> bytes:
    """Return a command as Redis reads it: the client's own way, which copes with anything, takes four times as long."""
    words = [str(word).encode() for word in command]
    return b"*%d\r\n%b" % (len(words), b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]))


class Line:
    """Speak to Redis over a connection; replies may be owed on it."""

    def __init__(self, pool: ConnectionPool) -> None:
        """Connect as the pool does. The connection is none of the pool's, which would count it for ever."""
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._connection.connect()
        self._owed = 0

    def ask(self, command: Command) -> Any:
        """Send a command and return its reply."""
        self._send(command)
        self._read_owed()
        return self._connection.read_response()

    def tell(self, command: Command) -> None:
        """Send a command and leave its reply to be read later."""
        if self._owed >= MOST_OWED:
            self._read_owed()
        self._send(command)
        self._owed += 1

    def hang_up(self) -> None:
        """Disconnect."""
        self._connection.disconnect()

    def _send(self, command: Command) -> None:
        # A health check would read an owed reply as its own.
        self._connection.send_packed_command([packed(command)], check_health=False)

    def _read_owed(self) -> None:
        while self._owed:
            self._owed -= 1
            with suppress(NoScriptError):  # a script that was only told is not told again
                self._connection.read_response()


class Lines:
    """Keep the lines that nobody speaks on: who wants one takes the last that was used."""

    def __init__(self, pool: ConnectionPool) -> None:
        """Have none yet."""
        self._pool = pool
        self._idle: deque[Line] = deque()
        self._unsaid: deque[Command] = deque(maxlen=MOST_OWED)

    def ask(self, *command: Argument) -> Any:
        """Send a command and return its reply."""
        note(str(command[0]), db__operation__name=str(command[0]))
        if line := self._rested():
            with suppress(RedisConnectionError, ReadOnlyError):  # Redis has hung up, or been replaced, meanwhile
                return self._on(line, self._ask, command)
        return self._on(Line(self._pool), self._ask, command)

    def tell(self, *command: Argument) -> None:
        """Send a command and wait for nothing: without a line it goes along with the next that is asked."""
        note(str(command[0]), db__operation__name=str(command[0]))
        if line := self._rested():
            with suppress(RedisError):
                return self._on(line, Line.tell, command)
        return self._unsaid.append(command)

    def _rested(self) -> Line | None:
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _ask(self, line: Line, command: Command) -> Any:
        if self._unsaid:
            with suppress(IndexError):  # others speak too
                while True:
                    line.tell(self._unsaid.popleft())
        return line.ask(command)

    def _on(self, line: Line, say: Callable[[Line, Command], R], command: Command) -> R:
        try:
            answer = say(line, command)
        except BaseException:
            # Its replies are out of step; the others may lead to a server that is no more, or no more the primary.
            line.hang_up()
            self._idle.clear()
            raise
        self._idle.append(line)
        return answer


class Plain:
    """Speak through a client that has its own ways, as a cluster's has: whoever tells waits as well."""

    def __init__(self, client: Any) -> None:
        """Take the client's way."""
        self.ask = client.execute_command

    def tell(self, *command: Argument) -> None:
        """Send a command; a script that the server does not know is not told again."""
        with suppress(NoScriptError):
            self.ask(*command)


def of_settings(find: Callable[[], R]) -> Callable[[], R]:
    """Remember what a function finds by the settings, until they change, as they do in tests."""
    found = lru_cache(maxsize=1)(find)
    setting_changed.connect(lambda **_: found.cache_clear(), weak=False)
    os.register_at_fork(after_in_child=found.cache_clear)
    return found


@of_settings
def lines() -> Lines | Plain:
    """Return the lines to the Redis that the settings name now."""
    client = get_redis_connection("default")
    return _of_pool(client.connection_pool) if isinstance(client, Redis) else Plain(client)


_of_pool = lru_cache(maxsize=8)(Lines)
os.register_at_fork(after_in_child=_of_pool.cache_clear)
