"""How urgent a piece of work is."""

from typing import Final

from django.db import models
from django.db.models import Case, GeneratedField, SmallIntegerField, Value, When


class Priority(models.TextChoices):
    """How urgent a piece of work is, from the least to the most urgent."""

    LOW = "LOW", "Whenever it suits"
    MEDIUM = "MEDIUM", "In the normal course of work"
    HIGH = "HIGH", "Soon: it hinders people"
    CRITICAL = "CRITICAL", "At once: danger, or a site at a standstill"


URGENCY: Final = "How urgent it is, from LOW to CRITICAL."


def priority_rank() -> GeneratedField:
    """Return the column that sorts priorities by urgency, which their names do not: 0 for LOW, 3 for CRITICAL."""
    ranks = [When(priority=priority, then=Value(rank)) for rank, priority in enumerate(Priority.values)]
    return GeneratedField(expression=Case(*ranks), output_field=SmallIntegerField(), db_persist=True, help_text=URGENCY)
