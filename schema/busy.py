"""How long a request keeps us busy: the CPU time of its thread, and the time that the database works for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, thread_time
from typing import Any

from django.db import connection


class Busy:
    """Measures the time that is spent inside `measured`."""

    def __init__(self) -> None:
        """Have measured nothing yet."""
        self._in_database = self._cpu = 0.0

    @property
    def milliseconds(self) -> int:
        """How long it was."""
        return round((self._in_database + self._cpu) * 1000)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure what happens inside."""
        started = thread_time()
        try:
            with connection.execute_wrapper(self._execute):
                yield
        finally:
            self._cpu += thread_time() - started

    def _execute(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        started = perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self._in_database += perf_counter() - started
