"""Attendance records."""

from typing import Any

from strawberry import UNSET, auto

from apps.attendance import models, presence
from apps.attendance.workflow import AttendanceRecordStatus

from .accounts import User, UserFilter, UserOrder
from .assets import Site, SiteFilter, SiteOrder
from .audit import history
from .enums import publish
from .inputs import KEY, TARGET, entered, item_of, make, optional, values_of
from .lifecycle import workflow_fields
from .mutations import mutation, update_mutation, workflow_mutations
from .reads.connection import connection
from .reads.fields import Entity, entity
from .reads.lookups import ChoiceLookup, IdLookup, TimeLookup, filter_input
from .reads.ordering import order_input
from .refusals import ERRORS, PermissionDenied, ValidationFailed

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
class AttendanceRecord(Entity):
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
    available_actions, actions = workflow_fields(models.AttendanceRecord)
    history = history(models.AttendanceRecord)


CHECK_IN = {
    **entered(models.AttendanceRecord, ("site",), required=True),
    "latitude": optional(float, "Where you are: degrees north, WGS 84."),
    "longitude": optional(float, "Where you are: degrees east, WGS 84."),
    **entered(models.AttendanceRecord, ("note",)),
    **KEY,
}
CHECK_OUT = {**TARGET, **entered(models.AttendanceRecord, ("note",)), **KEY}


def _check_in(actor: Any, given: Any) -> models.AttendanceRecord:
    position = [None if value is UNSET else value for value in (given.latitude, given.longitude)]
    values = values_of(models.AttendanceRecord, given, ("site", "note"))
    return presence.check_in(values, (position[0], position[1]), actor=actor)


def _check_out(actor: Any, given: Any) -> models.AttendanceRecord:
    values = values_of(models.AttendanceRecord, given, ("note",))
    return presence.check_out(item_of(models.AttendanceRecord, given), values, actor=actor)


lists = {
    "attendance_records": connection(
        "AttendanceRecord", "schema.attendance", description="The attendance records, newest first."
    ),
}
mutations = [
    mutation(
        "checkIn",
        "Note that you have come to a site, and how far from it you are.",
        make("CheckInInput", "Where you are.", CHECK_IN),
        _check_in,
        (AttendanceRecord, ValidationFailed, PermissionDenied),
    ),
    mutation(
        "checkOut",
        "Note that you have left a site.",
        make("CheckOutInput", "Which attendance record ends now.", CHECK_OUT),
        _check_out,
        (AttendanceRecord, *ERRORS),
    ),
    update_mutation(models.AttendanceRecord, AttendanceRecord),
    *workflow_mutations(models.AttendanceRecord, AttendanceRecord),
]
