"""Whose rows a query may see, decided in one place.

Every tenant's rows lie in the same tables. Whatever serves a user runs inside `tenant_scope`, and the default manager
of every model that a tenant owns (`TenantManager`) adds the tenant's predicate to each query. Outside any scope that
manager raises, so that a forgotten scope is an error and never a leak. References between rows can't leave the
tenant either: the database holds them by a foreign key over (tenant, id), see `constraints.SameTenant`.
"""

from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Final, TypeVar

from django.db import models

from .guarded import GuardedManager
from .scopes import Held

M_co = TypeVar("M_co", bound=models.Model, covariant=True)

ALL_TENANTS: Final = 0
"""The scope of code that serves no user: commands, migrations, the operator's admin site."""

_scope: ContextVar[int | None] = ContextVar("tenant_scope", default=None)


class TenantNotChosenError(RuntimeError):
    """Raised when rows of a tenant are asked for and no tenant was chosen."""

    def __init__(self, model: type[models.Model]) -> None:
        """Name the model that was asked for and the two ways to choose."""
        super().__init__(
            f"{model.__name__}.objects was used outside any tenant. Wrap the code in `with tenant_scope(tenant.pk):`, "
            "or in `with all_tenants():` if it serves no user."
        )


def tenant_scope(tenant_id: int) -> AbstractContextManager[None]:
    """Let queries see the rows of this tenant only."""
    return Held(_scope, tenant_id)


def all_tenants() -> AbstractContextManager[None]:
    """Let queries see the rows of every tenant; for code that serves no user."""
    return tenant_scope(ALL_TENANTS)


def current_tenant(model: type[models.Model]) -> int:
    """Return the id of the tenant in scope, or ALL_TENANTS.

    Raises TenantNotChosenError outside any scope.
    """
    scope = _scope.get()
    if scope is None:
        raise TenantNotChosenError(model)
    return scope


class TenantManager(GuardedManager[M_co]):
    """The manager that shows the rows of the tenant in scope and no other."""

    def __init__(self, column: str = "tenant_id") -> None:
        """Remember which column holds the tenant's id."""
        super().__init__()
        self.column = column

    def get_queryset(self) -> models.QuerySet[M_co]:
        """Return the rows of the tenant in scope.

        Raises TenantNotChosenError outside any scope.
        """
        scope = current_tenant(self.model)
        rows: models.QuerySet[M_co] = super().get_queryset()
        return rows if scope == ALL_TENANTS else rows.filter(**{self.column: scope})


def tenant_column(model: type[models.Model]) -> str:
    """Return which column of a tenant's rows holds the tenant's id."""
    manager = model._default_manager
    assert isinstance(manager, TenantManager), f"{model.__name__} is nobody's"
    return manager.column
