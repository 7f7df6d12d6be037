"""Which database the operations of a request are run on."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from django.conf import settings
from graphql import OperationType
from graphql.execution import ExecutionResult

from apps.replica.marks import note_write
from apps.replica.reads import reader

Source = Callable[[Callable[[], ExecutionResult]], ExecutionResult]
"""Runs an operation; one that only reads may be run twice."""


def _run(operation: Callable[[], ExecutionResult]) -> ExecutionResult:
    return operation()


PRIMARY: Final = nullcontext[Source](_run)


class Writing(AbstractContextManager[Source]):
    """Is inside of the operations of a request that has a mutation: all are run on the primary, in their order."""

    def __init__(self, client: str) -> None:
        """Remember whose they are."""
        self._client = client

    def __enter__(self) -> Source:
        """Return what runs them."""
        return _run

    def __exit__(self, *_: object) -> None:
        """Note it, also of what was refused: that told the client how things stand on the primary."""
        note_write(self._client)


def source_of(client: str, kinds: Iterable[OperationType]) -> AbstractContextManager[Source]:
    """Return what runs a client's operations of these kinds: on the replica, if there is one and all of them read.

    Without one nothing looks at the kinds, for each request would have to pay for it.
    """
    if not settings.REPLICA_URL:
        return PRIMARY
    found = set(kinds)
    if found == {OperationType.QUERY}:
        return nullcontext(reader(client))
    return Writing(client) if found else PRIMARY
