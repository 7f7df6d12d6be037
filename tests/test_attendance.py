"""People come and go: who may say so, when it was, and how far from the site they were."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.attendance.geofence import EARTH_RADIUS, distance_metres
from apps.attendance.models import AttendanceRecord
from apps.attendance.presence import check_in, check_out
from schema.reads.global_id import encode_id
from tests import factories
from tests.factories import NOON
from tests.writing import (
    changes_of,
    entries,
    gid,
    in_state,
    item,
    mutate,
    problems,
    refused,
    refuses,
    stored,
    target,
)

DEGREE = 111_195.1
"""A degree of a great circle in metres, to the decimetre: the Earth's mean radius times pi / 180."""


@pytest.fixture
def record(demo: Tenant, technician: User) -> AttendanceRecord:
    return factories.attendance_record(demo, person=technician, note="Early")


def come(actor: User, site: Any, **given: Any) -> dict[str, Any]:
    return mutate(actor, "checkIn", siteId=gid(site), **given)


# Coming.


def test_a_check_in_notes_who_came_where_and_when(demo: Tenant, technician: User) -> None:
    site, began = factories.site(demo), datetime.now(UTC)
    answer = come(technician, site, note="By the back door", latitude=59.91, longitude=10.75)
    record = AttendanceRecord.unscoped.get()
    after = stored(record)
    at = after["checked_in_at"]
    assert began <= at <= datetime.now(UTC)
    assert after == {
        **after,
        "tenant_id": demo.pk,
        "person_id": technician.pk,
        "site_id": site.pk,
        "status": "PENDING",
        "version": 1,
        "created_at": at,
        "checked_out_at": None,
        "check_in_latitude": 59.91,
        "check_in_longitude": 10.75,
        "distance_metres": 0.0,
        "within_geofence": True,
        "note": "By the back door",
    }
    assert (answer["id"], answer["person"]["id"], answer["site"]["id"]) == (gid(record), gid(technician), gid(site))
    assert (answer["version"], answer["withinGeofence"], answer["distanceMetres"]) == (1, True, 0.0)
    (entry,) = entries(record)
    assert (entry.action, entry.entity_version, entry.actor_id, entry.at) == ("CREATE", 1, technician.pk, at)
    told = changes_of(entry)
    assert (told["check_in_latitude"], told["check_in_longitude"]) == ((None, "[redacted]"), (None, "[redacted]"))
    assert (told["person"], told["note"]) == ((None, technician.pk), (None, "By the back door"))


@pytest.mark.parametrize("role", Role)
def test_whoever_works_checks_in_and_a_viewer_does_not(role: Role, demo: Tenant) -> None:
    actor, site = factories.user(demo, role), factories.site(demo)
    if role is not Role.VIEWER:
        assert come(actor, site)["person"]["id"] == gid(actor)
        return
    assert refused(actor, "checkIn", siteId=gid(site))["errorCode"] == "PERMISSION_DENIED"


@pytest.mark.parametrize(
    ("here", "there", "distance"),
    [
        ((1.0, 0.0), (0.0, 0.0), DEGREE),
        ((0.0, 0.0), (0.0, 1.0), DEGREE),
        ((-33.5, 20.0), (-34.5, 20.0), DEGREE),
        ((90.0, 0.0), (89.0, 123.4), DEGREE),
        ((0.0, 179.5), (0.0, -179.5), DEGREE),
        ((60.0, 0.0), (60.0, 1.0), 55_597.0),  # less than half a degree: the great circle bends north
        ((0.0, 0.0), (0.0, 90.0), 10_007_557.2),
        ((90.0, 0.0), (-90.0, 0.0), 20_015_114.4),
        ((0.0, 0.0), (0.0, 180.0), 20_015_114.4),
        ((59.91, 10.75), (59.91, 10.75), 0.0),
        ((0.001, 0.0), (0.0, 0.0), 111.2),
    ],
)
def test_the_distance_is_that_of_the_great_circle(
    demo: Tenant, technician: User, here: tuple[float, float], there: tuple[float, float], distance: float
) -> None:
    site = factories.site(demo, latitude=there[0], longitude=there[1])
    answer = come(technician, site, latitude=here[0], longitude=here[1])
    assert answer["distanceMetres"] == pytest.approx(distance, abs=0.11)
    assert answer["withinGeofence"] is (distance <= 200)


def test_the_distance_agrees_with_a_published_one() -> None:
    # Nashville (BNA) to Los Angeles (LAX), as Rosetta Code's task on the haversine formula has it, for R = 6,372.8 km.
    found = distance_metres((36.12, -86.67), (33.94, -118.40))
    assert found * 6_372_800 / EARTH_RADIUS == pytest.approx(2_887_259.95, abs=0.01)


@pytest.mark.parametrize(("radius", "within"), [(111, False), (112, True)])
def test_the_geofence_is_the_sites_own(demo: Tenant, technician: User, radius: int, within: bool) -> None:
    site = factories.site(demo, latitude=0.0, longitude=0.0, geofence_radius=radius)
    answer = come(technician, site, latitude=0.001, longitude=0.0)
    assert (answer["distanceMetres"], answer["withinGeofence"]) == (111.2, within)


@pytest.mark.parametrize("given", [{}, {"latitude": None, "longitude": None}], ids=["absent", "null"])
def test_without_a_position_there_is_no_distance(demo: Tenant, technician: User, given: dict[str, None]) -> None:
    answer = come(technician, factories.site(demo), **given)
    assert (answer["distanceMetres"], answer["withinGeofence"], answer["checkInLatitude"]) == (None, None, None)


def test_without_a_position_of_the_site_the_persons_own_is_kept(demo: Tenant, technician: User) -> None:
    site = factories.site(demo, latitude=None, longitude=None)
    answer = come(technician, site, latitude=0.0, longitude=0.0)
    assert (answer["checkInLatitude"], answer["checkInLongitude"]) == (0.0, 0.0)
    assert (answer["distanceMetres"], answer["withinGeofence"]) == (None, None)


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"latitude": 59.9}, ["longitude"]),
        ({"longitude": 10.7}, ["latitude"]),
        ({"latitude": 59.9, "longitude": None}, ["longitude"]),
        ({"latitude": 90.1, "longitude": 10.7}, ["latitude"]),
        ({"latitude": -90.1, "longitude": -180.1}, ["latitude", "longitude"]),
        ({"note": "A NUL \0"}, ["note"]),
        ({"note": "Half \udfff"}, ["note"]),
    ],
)
def test_a_check_in_that_makes_no_sense_is_refused(
    demo: Tenant, technician: User, given: dict[str, Any], paths: list[str]
) -> None:
    assert problems(refused(technician, "checkIn", siteId=gid(factories.site(demo)), **given)) == paths


@pytest.mark.parametrize("position", [(float("nan"), 0.0), (0.0, float("inf"))])
def test_a_position_that_is_no_number_is_refused(demo: Tenant, technician: User, position: tuple[float, float]) -> None:
    site = factories.site(demo)
    with refuses(demo, "latitude" if position[1] == 0 else "longitude"):
        check_in({"site": site.pk}, position, actor=technician)


@pytest.mark.parametrize("where", ["foreign", "unknown", "an asset", "garbage"])
def test_people_come_to_a_site_of_their_tenant_only(demo: Tenant, rival: Tenant, technician: User, where: str) -> None:
    site = factories.site(rival if where == "foreign" else demo)
    ids = {"foreign": gid(site), "unknown": encode_id("Site", 2**62), "an asset": encode_id("Asset", site.pk)}
    assert problems(refused(technician, "checkIn", siteId=ids.get(where, "garbage"))) == ["siteId"]


def test_a_check_in_without_a_site_is_refused_by_the_service(demo: Tenant, technician: User) -> None:
    with refuses(demo, "site_id"):
        check_in({}, (None, None), actor=technician)


# Leaving.


def test_a_check_out_notes_when_the_person_left(record: AttendanceRecord, technician: User) -> None:
    before, began = stored(record), datetime.now(UTC)
    answer = mutate(technician, "checkOut", **target(record))
    after = stored(record)
    at = after["checked_out_at"]
    assert began <= at <= datetime.now(UTC)
    assert after == {**before, "checked_out_at": at, "version": 2, "updated_at": after["updated_at"]}
    assert (answer["id"], answer["status"], answer["version"]) == (gid(record), "PENDING", 2)
    assert datetime.fromisoformat(answer["checkedOutAt"]) == at
    (_, entry) = entries(record)
    assert (entry.action, entry.entity_version, entry.actor_id) == ("UPDATE", 2, technician.pk)
    assert changes_of(entry) == {"checked_out_at": (None, at.isoformat().replace("+00:00", "Z"))}


@pytest.mark.parametrize(("given", "note"), [({}, "Early"), ({"note": None}, ""), ({"note": "Late"}, "Late")], ids=str)
def test_a_check_out_leaves_clears_or_writes_the_note(
    record: AttendanceRecord, technician: User, given: dict[str, Any], note: str
) -> None:
    assert mutate(technician, "checkOut", **target(record), **given)["note"] == note
    assert stored(record)["note"] == note


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.ADMIN])
def test_a_supervisor_checks_others_out(demo: Tenant, record: AttendanceRecord, role: Role) -> None:
    actor = factories.user(demo, role)
    assert mutate(actor, "checkOut", **target(record))["version"] == 2
    assert entries(record)[-1].actor_id == actor.pk


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TECHNICIAN])
def test_nobody_else_checks_others_out(demo: Tenant, record: AttendanceRecord, role: Role) -> None:
    answer = refused(factories.user(demo, role), "checkOut", **target(record))
    assert (answer["__typename"], answer["errorCode"]) == ("PermissionDenied", "PERMISSION_DENIED")


def test_who_has_become_a_viewer_does_not_even_check_themselves_out(demo: Tenant) -> None:
    viewer = factories.user(demo, Role.VIEWER)
    record = factories.attendance_record(demo, person=viewer)
    assert refused(viewer, "checkOut", **target(record))["errorCode"] == "PERMISSION_DENIED"


def test_nobody_leaves_twice(record: AttendanceRecord, technician: User, boss: User) -> None:
    mutate(technician, "checkOut", **target(record))
    conflict = refused(technician, "checkOut", **target(record))
    assert (conflict["errorCode"], conflict["currentVersion"], conflict["safeToMerge"]) == (
        "VERSION_CONFLICT",
        2,
        False,
    )
    for actor in (technician, boss):
        again = refused(actor, "checkOut", id=gid(record), version=2)
        assert problems(again) == ["id"]


def test_a_stale_check_out_is_told_what_changed(record: AttendanceRecord, technician: User, boss: User) -> None:
    mutate(boss, "updateAttendanceRecord", **target(record), note="Seen")
    answer = refused(technician, "checkOut", **target(record))
    (change,) = answer["changes"]
    assert (change["field"], change["before"], change["after"]) == ("note", "Early", "Seen")
    assert answer["safeToMerge"] is True
    assert refused(technician, "checkOut", **target(record), note="Mine")["safeToMerge"] is False


@pytest.mark.parametrize("status", ["PENDING", "APPROVED", "REJECTED"])
def test_people_leave_whatever_was_thought_of_their_coming(demo: Tenant, technician: User, status: str) -> None:
    record = in_state(AttendanceRecord, demo, status, person=technician)
    assert mutate(technician, "checkOut", **target(record))["status"] == status


def test_what_went_to_payroll_stays(demo: Tenant, technician: User) -> None:
    record = in_state(AttendanceRecord, demo, "LOCKED", person=technician, checked_out_at=NOON)
    answer = refused(technician, "checkOut", **target(record))
    assert (answer["errorCode"], answer["currentStatus"]) == ("TRANSITION_NOT_ALLOWED", "LOCKED")


def test_whoever_came_in_the_future_leaves_at_that_very_moment(demo: Tenant, technician: User) -> None:
    later = timezone.now() + timedelta(minutes=5)
    record = factories.attendance_record(demo, person=technician, checked_in_at=later)
    mutate(technician, "checkOut", **target(record))
    assert stored(record)["checked_out_at"] == later


@pytest.mark.parametrize("which", ["foreign", "unknown", "a task", "garbage"])
def test_what_is_not_there_can_not_be_checked_out(demo: Tenant, rival: Tenant, boss: User, which: str) -> None:
    record = factories.attendance_record(rival if which == "foreign" else demo)
    ids = {
        "foreign": gid(record),
        "unknown": encode_id("AttendanceRecord", 2**62),
        "a task": encode_id("Task", record.pk),
    }
    answer = refused(boss, "checkOut", id=ids.get(which, "garbage"), version=1)
    assert (answer["__typename"], answer["errorCode"]) == ("NotFound", "NOT_FOUND")


@pytest.mark.parametrize("note", ["A NUL \0", "Half \ud800"], ids=["nul", "half"])
def test_a_note_that_can_not_be_stored_is_refused(record: AttendanceRecord, technician: User, note: str) -> None:
    assert problems(refused(technician, "checkOut", **target(record), note=note)) == ["note"]
    with refuses(record.tenant, "note"):
        check_out(item(record), {"note": note}, actor=technician)
