"""How long a request keeps us busy: the CPU time of its thread, and the time that the database works for it."""

from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, connections


class Busy:
    """Measures the time that is spent inside `measured`, which is not entered twice at once."""

    def __init__(self) -> None:
        """Have measured nothing yet."""
        self._in_database = self._cpu = self._started = 0.0
        self._connection = connections[DEFAULT_DB_ALIAS]  # to look it up each time would cost more than to measure

    @property
    def milliseconds(self) -> float:
        """How long it was."""
        return (self._in_database + self._cpu) * 1000

    def measured(self) -> Self:
        """Measure what happens inside."""
        return self

    def __enter__(self) -> None:
        """Begin to measure."""
        self._connection.execute_wrappers.append(self._execute)
        self._started = thread_time()

    def __exit__(self, *_: object) -> None:
        """Measure no longer."""
        self._cpu += thread_time() - self._started
        self._connection.execute_wrappers.remove(self._execute)

    def _execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        started = perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self._in_database += perf_counter() - started
