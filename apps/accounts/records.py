"""What every row has: version and times, and an owner."""

from typing import Any, ClassVar

from concurrency.fields import AutoIncVersionField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from .tenancy import TenantManager


class Versioned(models.Model):
    """A row that people edit: its version starts at 1 and rises by 1 with each change."""

    id = models.BigAutoField(primary_key=True)
    version = AutoIncVersionField(help_text="Starts at 1 and rises by 1 with each change.")
    created_at = models.DateTimeField(
        default=timezone.now, db_default=Now(), editable=False, help_text="When it was created."
    )
    updated_at = models.DateTimeField(
        auto_now=True, db_default=Now(), editable=False, help_text="When it was last changed."
    )

    class Meta:
        """No table of its own."""

        abstract = True


class TenantOwned(Versioned):
    """A row that belongs to one tenant, and that only this tenant's users see."""

    tenant = models.ForeignKey("accounts.Tenant", models.PROTECT, db_index=False, related_name="+", editable=False)

    objects = TenantManager[Any]()
    unscoped = models.Manager[Any]()
    """Every tenant's rows; `test_architecture` names the few modules that may use it."""

    class Meta:
        """The target of `constraints.SameTenant`, and the index of the default order."""

        abstract = True
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "id"], name="%(class)s_tenant_id"),
        ]
