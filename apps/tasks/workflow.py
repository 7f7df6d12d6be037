"""The life of a task."""

from django.db import models


class TaskStatus(models.TextChoices):
    """Where a task stands."""

    SCHEDULED = "SCHEDULED", "Planned, nobody assigned"
    ASSIGNED = "ASSIGNED", "Somebody is to do it"
    IN_PROGRESS = "IN_PROGRESS", "Being worked on"
    COMPLETED = "COMPLETED", "Done, waiting for approval"
    APPROVED = "APPROVED", "Done and accepted"
    CANCELLED = "CANCELLED", "Will not be done"
    MISSED = "MISSED", "Nobody started it in time"
