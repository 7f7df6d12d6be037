"""Attendance records."""

import strawberry_django
from strawberry import auto

from apps.attendance import models
from apps.attendance.workflow import AttendanceRecordStatus

from .accounts import User, UserFilter, UserOrder
from .assets import Site, SiteFilter, SiteOrder
from .enums import publish
from .reads.fields import Node, entity
from .reads.lookups import ChoiceLookup, IdLookup, TimeLookup, filter_input

publish(AttendanceRecordStatus)


@filter_input(models.AttendanceRecord, "Which attendance records to list.")
class AttendanceRecordFilter:
    id: IdLookup | None
    status: ChoiceLookup[AttendanceRecordStatus] | None
    person: UserFilter | None
    site: SiteFilter | None
    within_geofence: bool | None
    checked_in_at: TimeLookup | None
    checked_out_at: TimeLookup | None
    created_at: TimeLookup | None
    updated_at: TimeLookup | None


@strawberry_django.order_type(models.AttendanceRecord, description="A term of an order of attendance records.")
class AttendanceRecordOrder:
    status: auto
    checked_in_at: auto
    checked_out_at: auto
    created_at: auto
    updated_at: auto
    person: UserOrder | None
    site: SiteOrder | None


@entity(models.AttendanceRecord)
class AttendanceRecord(Node):
    person: User
    site: Site
    status: AttendanceRecordStatus
    checked_in_at: auto
    checked_out_at: auto
    check_in_latitude: auto
    check_in_longitude: auto
    distance_metres: auto
    within_geofence: bool | None
    note: auto
    version: int
    created_at: auto
    updated_at: auto
