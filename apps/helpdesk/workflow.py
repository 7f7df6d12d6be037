"""The life of a ticket."""

from django.db import models


class TicketStatus(models.TextChoices):
    """Where a ticket stands."""

    NEW = "NEW", "Nobody has looked at it"
    OPEN = "OPEN", "Accepted, not started"
    IN_PROGRESS = "IN_PROGRESS", "Being worked on"
    ON_HOLD = "ON_HOLD", "Work is interrupted"
    RESOLVED = "RESOLVED", "Solved, to be closed or reopened"
    CLOSED = "CLOSED", "Solved and accepted"
    CANCELLED = "CANCELLED", "Will not be dealt with"
