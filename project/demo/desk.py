"""The tickets and attendance records of a demo organisation, oldest first."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import cos, degrees, radians, sin
from typing import Any, Final
from zoneinfo import ZoneInfo

from apps.accounts.roles import Role
from apps.attendance.geofence import EARTH_RADIUS, distance_metres
from apps.attendance.workflow import AttendanceRecordStatus
from apps.helpdesk.deadlines import deadlines
from apps.helpdesk.workflow import TicketStatus
from apps.lifecycle.actors import Actor
from apps.lifecycle.priority import Priority

from .lives import Life, deal, deal_by_age
from .plan import Cast, Person, Plan
from .titles import fill
from .words import COMPLAINTS, FIRST_NAMES, LAST_NAMES, PLACES_IN_HOUSE
from .work import PRIORITIES, another, description
from .workflows import ATTENDANCE, TICKETS

Row = dict[str, Any]
SPAN: Final = timedelta(days=120)
STATES: Final = {
    TicketStatus.NEW: (1, 11),
    TicketStatus.OPEN: (2, 10),
    TicketStatus.IN_PROGRESS: (2, 12),
    TicketStatus.ON_HOLD: (2, 4),
    TicketStatus.RESOLVED: (5, 9),
    TicketStatus.CLOSED: (35, 2),
    TicketStatus.CANCELLED: (3, 2),
}
"""Fiftieths of the older and of the newer half."""

RAISED_AN_ORDER, KNOWN_ASSET, TAKEN = 0.25, 0.5, 0.6
DAYS: Final = 30
PAID_DAYS: Final = 14
"""Records older than this have been handed to payroll, or refused."""

PAID: Final = {AttendanceRecordStatus.LOCKED: 8, AttendanceRecordStatus.APPROVED: 1, AttendanceRecordStatus.REJECTED: 1}
UNPAID: Final = {
    AttendanceRecordStatus.PENDING: 5,
    AttendanceRecordStatus.APPROVED: 4,
    AttendanceRecordStatus.REJECTED: 1,
}
NO_POSITION, ELSEWHERE = 0.1, 0.06


def tickets(plan: Plan, cast: Cast, orders: Sequence[tuple[int, Life]]) -> list[Life]:
    """Return the lives of the tickets, without serial; a quarter of them raised one of these orders."""
    rng = plan.chance("tickets")
    count = plan.sizes.tickets
    states, priorities = deal_by_age(STATES, count, rng), deal(PRIORITIES, rng)
    raised = [(pk, order) for pk, order in orders if order.start > plan.now - SPAN]
    lives = []
    for index, status in enumerate(states):
        created = plan.now - SPAN * ((count - index - rng.random() / 2) / count)
        place: Row = _place(cast, rng)
        if raised and rng.random() < RAISED_AN_ORDER:
            pk, order = rng.choice(raised)
            created = min(created, order.start - timedelta(hours=1))
            place = {"site_id": order.entity.site_id, "asset_id": order.entity.asset_id, "work_order_id": pk}
        first = {**place, **_ticket(index, plan, created, next(priorities), rng)}
        lives.append(TICKETS.live(first, status, _desk(cast, rng), (created, plan.now), rng))
    return sorted(lives, key=lambda life: life.start)


def attendance_records(plan: Plan, cast: Cast) -> list[Life]:
    """Return the lives of the attendance records: nobody checks in twice on a day."""
    rng = plan.chance("attendance")
    workers = cast.of(Role.TECHNICIAN, Role.SUPERVISOR)
    paid, unpaid = deal(PAID, rng), deal(UNPAID, rng)
    count = plan.sizes.attendance_records
    days = max(DAYS, -(-count // len(workers)))
    lives = [
        _record(
            plan,
            cast,
            person,
            (plan.now - timedelta(days=back)).date(),
            next(paid if back > PAID_DAYS else unpaid),
            rng,
        )
        for back in range(days, 0, -1)
        for person in rng.sample(workers, back * count // days - (back - 1) * count // days)
    ]
    return sorted(lives, key=lambda life: life.start)


def _ticket(index: int, plan: Plan, created: datetime, priority: Priority, rng: random.Random) -> Row:
    category, complaint = rng.choice(COMPLAINTS)
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    return {
        "subject": complaint.format(place=fill(rng.choice(PLACES_IN_HOUSE), rng)),
        "description": description(rng),
        "priority": priority.value,
        "category": category,
        "requester_name": f"{first} {last}",
        "requester_email": f"{first}.{last}@tenants.{plan.slug}.example".lower(),
        "requester_phone": f"+44 20 7946 {index % 1000:04d}",  # never given to a subscriber
        "assignee_id": None,
        **deadlines(priority, created)._asdict(),
        "resolved_at": None,
    }


def _place(cast: Cast, rng: random.Random) -> Row:
    spot = rng.choice(cast.spots)
    return {
        "site_id": spot.site_id,
        "asset_id": spot.pk if rng.random() < KNOWN_ASSET else None,
        "work_order_id": None,
    }


def _desk(cast: Cast, rng: random.Random) -> dict[str, Actor]:
    technicians = cast.of(Role.TECHNICIAN)
    boss = rng.choice(cast.of(Role.SUPERVISOR, Role.ADMIN))
    return {"author": rng.choice(technicians), "worker": rng.choice(technicians), "boss": boss}


def _record(
    plan: Plan, cast: Cast, person: Person, day: date, status: AttendanceRecordStatus, rng: random.Random
) -> Life:
    site = cast.sites[cast.people.index(person) % len(cast.sites)]
    start = _morning(day, site["timezone"], rng)
    first = {
        "person_id": person.pk,
        "site_id": site["id"],
        "checked_in_at": start,
        "checked_out_at": None,
        "note": rng.choice(("", "", "", "Forgot the badge", "Early shift", "Called out at night")),
        **_position(site, rng),
    }
    boss = another(cast.of(Role.SUPERVISOR, Role.ADMIN), person, rng)
    admin = rng.choice(cast.of(Role.ADMIN))
    roles: dict[str, Actor] = {"author": person, "boss": boss, "admin": admin}
    return ATTENDANCE.live(first, status, roles, (start, plan.now), rng)


def _morning(day: date, timezone: str, rng: random.Random) -> datetime:
    local = datetime.combine(day, datetime.min.time(), ZoneInfo(timezone))
    return (local + timedelta(seconds=int(3600 * (5.5 + 3.5 * rng.random())))).astimezone(UTC)


def _position(site: Row, rng: random.Random) -> Row:
    if rng.random() < NO_POSITION:
        return dict.fromkeys(("check_in_latitude", "check_in_longitude", "distance_metres", "within_geofence"))
    radius = site["geofence_radius"]
    away = radius * (1.5 + 20 * rng.random() if rng.random() < ELSEWHERE else 0.6 * rng.random())
    bearing = radians(360 * rng.random())
    north, east = degrees(away * cos(bearing) / EARTH_RADIUS), degrees(away * sin(bearing) / EARTH_RADIUS)
    here = site["latitude"], site["longitude"]
    there = round(here[0] + north, 6), round(here[1] + east / cos(radians(here[0])), 6)
    distance = round(distance_metres(here, there), 1)
    return {
        "check_in_latitude": there[0],
        "check_in_longitude": there[1],
        "distance_metres": distance,
        "within_geofence": distance <= radius,
    }
