"""People come and go: the services that write attendance records."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from apps.accounts.constraints import MAX_LATITUDE, MAX_LONGITUDE
from apps.accounts.models import User
from apps.accounts.tenancy import current_tenant
from apps.lifecycle.actors import SUPERVISOR, TECHNICIAN
from apps.lifecycle.errors import PermissionDeniedError, Problem, ValidationFailedError
from apps.lifecycle.services import amend, require
from apps.lifecycle.transitions import Item
from apps.lifecycle.validation import enter
from apps.lifecycle.writing import insert

from .geofence import Position, distance_metres
from .models import AttendanceRecord

Measured = tuple[float | None, float | None]
"""A position as a device tells it: degrees north and east, or what it did not tell."""

HIGHEST: Final = {"latitude": MAX_LATITUDE, "longitude": MAX_LONGITUDE}


@transaction.atomic(savepoint=False)
def check_in(values: Mapping[str, Any], position: Measured, *, actor: User) -> AttendanceRecord:
    """Note that the actor has come to a site, and how far from it they are, if both positions are known.

    Raises PermissionDeniedError and ValidationFailedError.
    """
    at = timezone.now()
    record = AttendanceRecord(tenant_id=current_tenant(AttendanceRecord), created_at=at, person_id=actor.pk)
    require(TECHNICIAN, record, actor, "check in")
    if problems := _wrong_position(position):
        raise ValidationFailedError(problems)
    enter(record, {"site": None, **values})
    record.checked_in_at = at
    record.check_in_latitude, record.check_in_longitude = position
    _measure(record)
    insert(record, actor=actor, at=at)
    return record


def check_out(item: Item, values: Mapping[str, Any], *, actor: User) -> AttendanceRecord:
    """Note that a person has left: by themselves, or by a supervisor. Raises every kind of refusal."""

    def permit(record: AttendanceRecord) -> None:
        require(TECHNICIAN, record, actor, "check out")
        if record.person_id != actor.pk and actor.role not in SUPERVISOR.roles:
            raise PermissionDeniedError("Only the person or a supervisor may check out.")

    def leave(record: AttendanceRecord) -> None:
        if record.checked_out_at is not None:
            raise ValidationFailedError.of("id", f"Checked out already, at {record.checked_out_at.isoformat()}.")
        enter(record, values)
        record.checked_out_at = max(timezone.now(), record.checked_in_at)

    fields = ("checked_out_at", *values)
    return amend(AttendanceRecord, item, leave, permit=permit, actor=actor, fields=fields)


def _wrong_position(position: Measured) -> list[Problem]:
    given = dict(zip(HIGHEST, position, strict=True))
    if None in position and position != (None, None):
        missing = next(name for name, value in given.items() if value is None)
        return [Problem(missing, "Send both latitude and longitude, or neither.")]
    return [
        Problem(name, f"A {name} lies between -{HIGHEST[name]:g} and {HIGHEST[name]:g} degrees.")
        for name, value in given.items()
        if value is not None and not -HIGHEST[name] <= value <= HIGHEST[name]
    ]


def _measure(record: AttendanceRecord) -> None:
    here = _position(record.check_in_latitude, record.check_in_longitude)
    there = _position(record.site.latitude, record.site.longitude)
    if here and there:
        record.distance_metres = round(distance_metres(here, there), 1)
        record.within_geofence = record.distance_metres <= record.site.geofence_radius


def _position(north: float | None, east: float | None) -> Position | None:
    return None if north is None or east is None else (north, east)
