"""Rows for tests: every function makes one valid row of the given tenant; keyword arguments override."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.db import models

from apps.accounts.models import ApiToken, Tenant, User
from apps.accounts.roles import Role
from apps.accounts.sequences import take_numbers
from apps.accounts.tokens import find_token
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.helpdesk.models import Ticket
from apps.lifecycle.models import Entity
from apps.search.models import Synonym
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
_counter = count(1)


def tenant(slug: str | None = None, **fields: Any) -> Tenant:
    slug = slug or f"tenant-{next(_counter)}"
    return Tenant.unscoped.create(**{"slug": slug, "name": slug.title(), **fields})


def user(owner: Tenant, role: Role = Role.TECHNICIAN, **fields: Any) -> User:
    email = f"{role.lower()}-{next(_counter)}@{owner.slug}.example"
    return User.objects.create_user(
        **{"email": email, "name": f"{role.title()} {owner.name}", "role": role, "tenant": owner, **fields}
    )


def site(owner: Tenant, **fields: Any) -> Site:
    code = f"SITE-{next(_counter)}"
    position = {"latitude": 59.91, "longitude": 10.75}
    return Site.unscoped.create(**{"tenant": owner, "code": code, "name": f"Site {code}", **position, **fields})


def asset(owner: Tenant, **fields: Any) -> Asset:
    code = f"AS{next(_counter)}"
    place = fields.pop("site", None) or site(owner)
    return Asset.unscoped.create(**{"tenant": owner, "code": code, "name": f"Asset {code}", "site": place, **fields})


def synonym(owner: Tenant, **fields: Any) -> Synonym:
    number = next(_counter)
    return Synonym.unscoped.create(**{"tenant": owner, "term": f"vlv{number}", "meaning": "valve", **fields})


def work_order(owner: Tenant, **fields: Any) -> WorkOrder:
    return WorkOrder.unscoped.create(
        **{"tenant": owner, "serial": _serial(owner, WorkOrder.number_kind), "title": "Replace pump seal", **fields}
    )


def task(owner: Tenant, **fields: Any) -> Task:
    return Task.unscoped.create(**{"tenant": owner, "title": "Drain the pump", **fields})


def ticket(owner: Tenant, **fields: Any) -> Ticket:
    due = {"response_due_at": NOON + timedelta(days=1), "resolution_due_at": NOON + timedelta(days=3)}
    return Ticket.unscoped.create(
        **{
            "tenant": owner,
            "serial": _serial(owner, Ticket.number_kind),
            "subject": "Water on the floor",
            **due,
            **fields,
        }
    )


def attendance_record(owner: Tenant, **fields: Any) -> AttendanceRecord:
    fields["person"] = fields.get("person") or user(owner)
    fields["site"] = fields.get("site") or site(owner)
    return AttendanceRecord.unscoped.create(**{"tenant": owner, "checked_in_at": NOON, **fields})


def audit_entry(entity: Entity, **fields: Any) -> AuditEntry:
    named = {"entity_kind": type(entity).__name__, "entity_id": entity.pk, "entity_version": entity.version}
    return AuditEntry.unscoped.create(
        **{"tenant_id": entity.tenant_id, "action": "CREATE", "source": "graphql", **named, **fields}
    )


def stored_token(text: str) -> ApiToken:
    """Return the row of the token with this text, which must be valid."""
    found = find_token(text)
    assert found is not None
    return ApiToken.unscoped.get(pk=found.token_id)


def force(rows: models.QuerySet[Any], **columns: Any) -> int:
    """Write columns behind the guards, for a test that needs an odd state; return the number of rows."""
    return models.QuerySet.update(rows, **columns)


def erase(rows: models.QuerySet[Any]) -> None:
    """Delete rows behind the guard of queries."""
    models.QuerySet.delete(rows)


def _serial(owner: Tenant, kind: str) -> int:
    return take_numbers(tenant_id=owner.pk, kind=kind)[0]
