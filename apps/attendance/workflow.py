"""The life of an attendance record."""

from django.db import models


class AttendanceRecordStatus(models.TextChoices):
    """Where an attendance record stands."""

    PENDING = "PENDING", "Waiting for approval"
    APPROVED = "APPROVED", "Accepted"
    REJECTED = "REJECTED", "Refused"
    LOCKED = "LOCKED", "Handed to payroll"
