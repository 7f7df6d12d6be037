"""What the REST API is about: the entities that have a machine, by what addresses call them."""

from functools import cache

from apps.lifecycle.models import WorkflowEntity, workflow_models

Model = type[WorkflowEntity]


@cache
def resources() -> dict[str, Model]:
    """Return the entities by the part of an address that names them: `work-orders`."""
    return {name_of(model): model for model in workflow_models()}


def name_of(model: Model) -> str:
    """Return what addresses call the entities of a model."""
    return model.rest_name or str(model._meta.verbose_name_plural).replace(" ", "-")
