"""The fields that people enter, by entity, written out by hand, with two values to try for each."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models

from apps.accounts.models import Tenant
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle.models import Entity
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.factories import NOON
from tests.writing import MAKE, gid

Kind = type[Entity]

# Fields that null clears; then the fields that are never empty, with * what must be given when the entity is made.
FIELDS: Final[dict[Kind, tuple[str, str]]] = {
    WorkOrder: ("description siteId assetId assigneeId dueAt externalId", "title* priority"),
    Task: ("description workOrderId assetId scheduledAt dueAt", "title*"),
    Ticket: (
        "description category requesterName requesterEmail requesterPhone siteId assetId assigneeId workOrderId",
        "subject* priority",
    ),
    AttendanceRecord: ("checkedOutAt note", "checkedInAt"),
    Site: ("latitude longitude", "code* name* timezone geofenceRadius"),
    Asset: ("category parentId", "code* name* siteId* status"),
}
LONGEST: Final[dict[Kind, dict[str, int]]] = {
    WorkOrder: {"title": 200, "externalId": 100},
    Task: {"title": 200},
    Ticket: {"subject": 200, "category": 100, "requesterName": 200, "requesterPhone": 40},
    Site: {"code": 40, "name": 200},
    Asset: {"code": 40, "name": 200, "category": 100},
}
"""How many characters a text may have."""

CREATED: Final = tuple(kind for kind in FIELDS if kind is not AttendanceRecord)
PERSONAL: Final = {"requesterName", "requesterEmail", "requesterPhone"}


def clearable(kind: Kind) -> list[str]:
    return FIELDS[kind][0].split()


def never_empty(kind: Kind) -> list[str]:
    return FIELDS[kind][1].replace("*", "").split()


def fields(kind: Kind) -> list[str]:
    return [*never_empty(kind), *clearable(kind)]


def must_be_given(kind: Kind) -> list[str]:
    return [name[:-1] for name in FIELDS[kind][1].split() if name.endswith("*")]


def texts(kind: Kind) -> list[str]:
    """Return the fields that hold a text which people write."""
    names = "title description subject category requesterName requesterEmail requesterPhone externalId code name note"
    return [name for name in fields(kind) if name in [*names.split(), "timezone"]]


def column(name: str) -> str:
    """Return the column of a field of an input: work_order_id of workOrderId."""
    return re.sub("([A-Z])", r"_\1", name).lower()


def field(name: str) -> str:
    """Return the field that an audit entry names."""
    return column(name).removesuffix("_id") if name != "externalId" else "external_id"


def sent(value: Any) -> Any:
    """Return a value as clients send it."""
    if isinstance(value, models.Model):
        return gid(value)
    return value.isoformat() if isinstance(value, datetime) else value


def held(value: Any) -> Any:
    """Return a value as its column holds it."""
    return value.pk if isinstance(value, models.Model) else value


def told(name: str, value: Any) -> Any:
    """Return a value as the audit trail holds it."""
    if value in {None, ""}:
        return None
    if name in PERSONAL:
        return "[redacted]"
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else held(value)


def values(kind: Kind, owner: Tenant, *, other: bool = False) -> dict[str, Any]:
    """Return a value for each field of an entity, or for each another one."""
    return {name: value(name, kind, owner, other=other) for name in fields(kind)}


def value(name: str, kind: Kind, owner: Tenant, *, other: bool = False) -> Any:
    """Return a value for a field, or another one."""
    rows: dict[str, Kind] = {"siteId": Site, "assetId": Asset, "parentId": Asset, "workOrderId": WorkOrder}
    if name in rows:
        return MAKE[rows[name]](owner)
    if name == "assigneeId":
        return factories.user(owner)
    times = {"checkedOutAt": NOON + timedelta(hours=8), "checkedInAt": NOON}
    if name.endswith("At"):
        return times.get(name, NOON + timedelta(days=7)) + timedelta(minutes=10) * other
    pairs: dict[str, tuple[Any, Any]] = {
        "priority": ("LOW", "CRITICAL"),
        "status": ("DOWN", "RETIRED"),
        "requesterEmail": ("ada@example.org", "bob@example.org"),
        "timezone": ("Europe/Oslo", "Asia/Kolkata"),
        "latitude": (-33.5, 60.25),
        "longitude": (-179.75, 11.0),
        "geofenceRadius": (1, 5000),
    }
    return pairs.get(name, (f"A {name} ø", f"Another {name}"))[other]


def row(kind: Kind, owner: Tenant, **given: Any) -> Any:
    """Return a new row that has a value in every field."""
    columns = {column(name): held(each) for name, each in {**values(kind, owner), **given}.items()}
    if kind is Asset:
        columns["site"] = Site.unscoped.get(pk=columns.pop("site_id"))
    return MAKE[kind](owner, **columns)
