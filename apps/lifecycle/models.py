"""What every entity that people work on has."""

from typing import ClassVar

from django.apps import apps

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


def workflow_models() -> list[type[WorkflowEntity]]:
    """Return the models that have a machine, in the order of the installed apps."""
    return [model for model in apps.get_models() if issubclass(model, WorkflowEntity)]
