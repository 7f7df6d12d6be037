"""Attendance records in the admin site."""

from django.contrib import admin

from apps.accounts.adminsite.lists import NameFilter, choice, code
from apps.lifecycle.admin import WorkflowAdmin

from .models import AttendanceRecord

STATUS = choice("status")


@admin.register(AttendanceRecord)
class AttendanceRecordAdmin(WorkflowAdmin):
    """Who was where; the measured position is evidence, and is not edited."""

    list_display = ("person", code("site"), STATUS, "checked_in_at", "checked_out_at", "within_geofence")
    list_select_related = ("person", "site")
    list_filter = (("status", NameFilter), "site")
    sortable_by = ("checked_in_at",)
    search_fields = ("person__name", "site__code")
    autocomplete_fields = ("person", "site")
    fixed = ("person", "site")
    shown_first = (STATUS,)
    shown_last = ("check_in_latitude", "check_in_longitude", "distance_metres", "within_geofence")
    sections = (
        ("", ("person", "site")),
        ("When", ("checked_in_at", "checked_out_at", "note")),
    )
