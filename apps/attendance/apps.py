"""Attendance: attendance records."""

from django.apps import AppConfig


class AttendanceConfig(AppConfig):
    """Register the attendance app."""

    name = "apps.attendance"
    label = "attendance"
