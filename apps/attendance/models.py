"""Attendance records."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from apps.accounts.constraints import SameTenant, on_earth, one_of, required_in
from apps.accounts.fields import Reference
from apps.lifecycle.actors import SUPERVISOR
from apps.lifecycle.editing import Editing
from apps.lifecycle.models import WorkflowEntity

from .workflow import MACHINE, AttendanceRecordStatus


class AttendanceRecord(WorkflowEntity):
    """When a person was at a site, and from how far away they said so."""

    machine: ClassVar = MACHINE
    rest_name: ClassVar = "attendance"
    editing: ClassVar = Editing(SUPERVISOR, ("checked_in_at", "checked_out_at", "note"))
    personal, free_text = ("check_in_latitude", "check_in_longitude"), ("note",)

    person = Reference(settings.AUTH_USER_MODEL, related_name="attendance_records", help_text="Who was there.")
    site = Reference("assets.Site", related_name="attendance_records", help_text="Where the person was.")
    status = models.CharField(
        max_length=20,
        choices=AttendanceRecordStatus,
        default=AttendanceRecordStatus.PENDING,
        help_text="Where the record stands.",
    )
    checked_in_at = models.DateTimeField(help_text="When the person came.")
    checked_out_at = models.DateTimeField(null=True, blank=True, help_text="When the person left.")
    check_in_latitude = models.FloatField(
        null=True, blank=True, help_text="Where the person checked in: degrees north, WGS 84."
    )
    check_in_longitude = models.FloatField(
        null=True, blank=True, help_text="Where the person checked in: degrees east, WGS 84."
    )
    distance_metres = models.FloatField(
        null=True, blank=True, editable=False, help_text="From the site, in metres; empty when a position is missing."
    )
    within_geofence = models.BooleanField(
        null=True,
        blank=True,
        editable=False,
        help_text="Whether the check-in was within the site's radius; empty when a position is missing.",
    )
    note = models.TextField(blank=True, help_text="What is to be said about it.")

    class Meta:
        """Newest first; an index for each order and filter that lists are asked for."""

        ordering = ("-id",)
        constraints: ClassVar = [
            *WorkflowEntity.Meta.constraints,
            one_of("status", AttendanceRecordStatus, "attendance_status_known"),
            required_in("checked_out_at", [AttendanceRecordStatus.LOCKED], "attendance_checked_out_set"),
            models.CheckConstraint(
                condition=Q(checked_out_at__isnull=True) | Q(checked_out_at__gte=F("checked_in_at")),
                name="attendance_out_after_in",
                violation_error_message="People leave after they came: the check-out lies before the check-in.",
            ),
            on_earth("check_in_latitude", "check_in_longitude", "attendance_position_on_earth"),
            models.CheckConstraint(
                condition=Q(distance_metres__isnull=True) | Q(distance_metres__gte=0),
                name="attendance_distance_positive",
            ),
            SameTenant(field="person", name="attendance_person_tenant"),
            SameTenant(field="site", name="attendance_site_tenant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "status", "checked_in_at", "id"], name="attendance_status"),
            models.Index(fields=["tenant", "checked_in_at", "id"], name="attendance_checked_in"),
            models.Index(fields=["tenant", "created_at", "id"], name="attendance_created"),
            models.Index(fields=["tenant", "updated_at", "id"], name="attendance_updated"),
            models.Index(fields=["person", "id"], name="attendance_person"),
            models.Index(fields=["person", "checked_in_at", "id"], name="attendance_person_time"),
            models.Index(fields=["site", "id"], name="attendance_site"),
            models.Index(fields=["site", "checked_in_at", "id"], name="attendance_site_time"),
        ]

    def __str__(self) -> str:
        """Return who was where, and when."""
        return f"{self.person} at {self.site} on {self.checked_in_at:%Y-%m-%d}"
