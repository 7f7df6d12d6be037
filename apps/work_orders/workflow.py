"""The life of a work order."""

from django.db import models


class WorkOrderStatus(models.TextChoices):
    """Where a work order stands."""

    DRAFT = "DRAFT", "Being written"
    SUBMITTED = "SUBMITTED", "Waiting for approval"
    APPROVED = "APPROVED", "Approved, not started"
    IN_PROGRESS = "IN_PROGRESS", "Being worked on"
    ON_HOLD = "ON_HOLD", "Work is interrupted"
    COMPLETED = "COMPLETED", "Work is done, to be closed or reopened"
    REJECTED = "REJECTED", "Refused, to be revised"
    CLOSED = "CLOSED", "Done and accepted"
    CANCELLED = "CANCELLED", "Will not be done"
