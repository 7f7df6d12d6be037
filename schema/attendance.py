"""Attendance records."""

from strawberry import auto

from apps.attendance import models
from apps.attendance.workflow import AttendanceRecordStatus

from .accounts import User, UserFilter, UserOrder
from .assets import Site, SiteFilter, SiteOrder
from .audit import history
from .enums import publish
from .lifecycle import workflow_fields
from .reads.fields import Node, entity
from .reads.lookups import ChoiceLookup, IdLookup, TimeLookup, filter_input
from .reads.ordering import order_input

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


@order_input(models.AttendanceRecord)
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
    available_actions, actions = workflow_fields(models.AttendanceRecord)
    history = history(models.AttendanceRecord)
