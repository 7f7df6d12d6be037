"""What every entity that people work on has."""

import re
from typing import ClassVar

from django.apps import apps
from django.db import models

from apps.accounts.records import TenantOwned

from .machine import Machine


class Entity(TenantOwned):
    """A versioned row of a tenant that people create and edit."""

    class Meta(TenantOwned.Meta):
        """No table of its own."""

        abstract = True


class WorkflowEntity(Entity):
    """An entity whose status changes only by the transitions of its machine."""

    machine: ClassVar[Machine]
    status: str
    """Declared by each model as a column with the machine's states."""

    class Meta(Entity.Meta):
        """No table of its own."""

        abstract = True


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
        return f"{self.number_prefix}-{self.serial:06d}"

    @classmethod
    def serial_of(cls, number: str) -> int | None:
        """Return the count that a number shows, or None if it is no number of this kind of entity."""
        found = re.fullmatch(rf"{cls.number_prefix}-([0-9]{{6}}|[1-9][0-9]{{6,17}})", number, re.IGNORECASE)
        return int(found[1]) if found else None


def workflow_models() -> list[type[WorkflowEntity]]:
    """Return the models that have a machine, in the order of the installed apps."""
    return [model for model in apps.get_models() if issubclass(model, WorkflowEntity)]
