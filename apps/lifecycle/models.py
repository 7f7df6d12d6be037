"""What every entity that people work on has."""

import re
from collections.abc import Collection
from typing import Any, ClassVar

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils import timezone

from apps.accounts.constraints import SameTenant
from apps.accounts.fields import Reference
from apps.accounts.records import TenantOwned

from .actors import Actor
from .editing import Editing
from .machine import Machine


class Entity(TenantOwned):
    """A versioned row of a tenant that people create and edit."""

    editing: ClassVar[Editing]

    class Meta(TenantOwned.Meta):
        """No table of its own."""

        abstract = True

    def begin(self, actor: Actor) -> None:
        """Set what follows from who creates it; in memory, before it is written."""

    def settle(self, changed: Collection[str]) -> None:
        """Set what follows from other fields when these have changed; in memory, before they are written."""


class StatusChangedError(TypeError):
    """Raised when a row is saved with another status than it was read with."""

    def __init__(self, model: type[models.Model]) -> None:
        """Say what changes a status."""
        super().__init__(
            f"The status of a {model._meta.verbose_name} changes by `apps.lifecycle.services.transition` only, which "
            "asks the machine whether it may. `save()` would not."
        )


class WorkflowEntity(Entity):
    """An entity whose status changes only by the transitions of its machine."""

    machine: ClassVar[Machine]
    rest_name: ClassVar[str] = ""
    """What its addresses in the REST API call all of them together; if empty, its plural."""

    status: str
    """Declared by each model as a column with the machine's states."""

    class Meta(Entity.Meta):
        """No table of its own."""

        abstract = True

    def save(self, **options: Any) -> None:
        """Save the row as `Versioned.save` does.

        Raises StatusChangedError for another status than the row was read with.
        """
        saved = options.get("update_fields")
        if not self._state.adding and (saved is None or "status" in saved) and self.changes({"status"}):
            raise StatusChangedError(type(self))
        super().save(**options)

    @property
    def is_final(self) -> bool:
        """Tell whether the entity is in a state that nothing leads out of: nothing of it changes any more."""
        return any(state.final and state.name == self.status for state in self.machine.states)


class NumberedEntity(WorkflowEntity):
    """A workflow entity that people call by a number, like WO-000123; stored is the tenant's count of them."""

    number_prefix: ClassVar[str]
    number_kind: ClassVar[str]
    """The sequence the numbers are taken from (`accounts.sequences`)."""

    serial = models.BigIntegerField(editable=False, help_text="The tenant's own count, shown in `number`.")

    class Meta(WorkflowEntity.Meta):
        """No table of its own."""

        abstract = True

    @property
    def number(self) -> str:
        """Return the number people use."""
        return f"{self.number_prefix}-{str(self.serial).zfill(6)}"  # half the time of `:06d`

    @classmethod
    def serial_of(cls, number: str) -> int | None:
        """Return the count that a number shows, or None if it is no number of this kind of entity."""
        found = re.fullmatch(rf"{cls.number_prefix}-([0-9]{{6}}|[1-9][0-9]{{6,17}})", number, re.IGNORECASE)
        return int(found[1]) if found else None


def entity_models() -> list[type[Entity]]:
    """Return the models that people edit, in the order of the installed apps."""
    return [model for model in apps.get_models() if issubclass(model, Entity)]


def workflow_models() -> list[type[WorkflowEntity]]:
    """Return the models that have a machine, in the order of the installed apps."""
    return [model for model in apps.get_models() if issubclass(model, WorkflowEntity)]


class IdempotencyKey(models.Model):
    """What a mutation with this key did, so that a retry answers the same and does nothing.

    The row is written in the transaction of the work. So it is there exactly if the work is, and a second request with
    the same key waits for the first.
    """

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", models.CASCADE, db_index=False, related_name="+")
    user = Reference(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the operation and its input, in hex.")
    outcome = models.JSONField(null=True, help_text="What the mutation did.")
    created_at = models.DateTimeField(default=timezone.now)

    unscoped = models.Manager["IdempotencyKey"]()

    class Meta:
        """A key is its user's own."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotencykey_unique"),
            SameTenant(field="user", name="idempotencykey_user_tenant"),
        ]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="idempotencykey_age")]

    def __str__(self) -> str:
        """Return the key."""
        return self.key
