"""Queries that read, and write nothing behind the audit trail's back."""

from collections.abc import Collection, Iterable
from typing import Any, NoReturn, TypeVar

from django.db import models

M_co = TypeVar("M_co", bound=models.Model, covariant=True)


class UnrecordedWriteError(TypeError):
    """Raised when a query would change rows without a check of their version and without an audit entry."""

    def __init__(self, model: type[models.Model], method: str) -> None:
        """Name what was tried and what to call instead."""
        super().__init__(
            f"{model.__name__} rows change one by one by `save()` or `delete()`, or many at once by "
            f"`apps.lifecycle.services` (create, edit, transition, transition_many). `{method}()` on a query would "
            "change them without a check of their version and without an audit entry."
        )


class GuardedQuerySet(models.QuerySet[M_co]):
    """Rows that change by `save()`, `delete()` and the services only, which check versions and leave audit entries.

    `update` remains for the columns that a model declares as `bookkeeping`: they are no part of its record.
    """

    def update(self, **columns: Any) -> int:
        """Write bookkeeping columns; return the number of rows.

        Raises UnrecordedWriteError for any other column.
        """
        bookkeeping: Collection[str] = getattr(self.model, "bookkeeping", ())
        if not set(columns) <= set(bookkeeping):
            self._refuse("update")
        return super().update(**columns)

    def delete(self) -> NoReturn:
        """Raise UnrecordedWriteError: delete rows one by one."""
        self._refuse("delete")

    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[M_co], *_args: Any, **_kwargs: Any) -> NoReturn:  # noqa: ARG002
        """Raise UnrecordedWriteError."""
        self._refuse("bulk_create")

    def bulk_update(self, objs: Iterable[M_co], *_args: Any, **_kwargs: Any) -> NoReturn:  # noqa: ARG002
        """Raise UnrecordedWriteError."""
        self._refuse("bulk_update")

    def _refuse(self, method: str) -> NoReturn:
        raise UnrecordedWriteError(self.model, method)


class GuardedManager(models.Manager[M_co]):
    """The rows of every tenant, guarded."""

    _queryset_class = GuardedQuerySet
