"""Bulks of transitions by REST."""

import json
from typing import Any, Final
from uuid import UUID

import pytest

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.audit.models import AuditEntry
from project.rest.resources import resources
from tests import factories
from tests.rest import Script
from tests.test_bulk import WAYS
from tests.writing import entries, gid, in_state, stored, target

EACH: Final = pytest.mark.parametrize("model", WAYS)


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.SUPERVISOR)


@pytest.fixture
def script(boss: User) -> Script:
    return Script(boss)


def make(model: Any, status: str, owner: Tenant) -> Any:
    person = "person" if model.__name__ == "AttendanceRecord" else "assignee"
    return in_state(model, owner, status, **{person: factories.user(owner)})


def test_every_entity_with_a_machine_has_its_address() -> None:
    assert {name: model.__name__ for name, model in resources().items()} == {
        "work-orders": "WorkOrder",
        "tasks": "Task",
        "tickets": "Ticket",
        "attendance": "AttendanceRecord",
    }


@EACH
def test_a_bulk_takes_all_through(model: Any, demo: Tenant, script: Script) -> None:
    way = WAYS[model]
    rows = [make(model, way.start, demo) for _ in range(3)]
    answer = script.bulk(model, [target(row) for row in rows], way.action.lower(), comment=way.comment)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json"), answer.content
    report = json.loads(answer.content)
    operation = report.pop("operationId")
    result = {"status": 200, "entity": {"status": way.end, "version": 2}, "problem": None}
    assert report == {
        "dryRun": False,
        "requested": 3,
        "succeeded": 3,
        "failed": 0,
        "results": [{"id": gid(row), **result} for row in rows],
    }
    for row in rows:
        (_, entry) = entries(row)
        assert (entry.action, entry.entity_version, entry.actor_id) == (way.action, 2, script.actor.pk)
        assert (entry.source, entry.correlation_id) == ("rest", answer["X-Correlation-ID"])
        assert (entry.comment, entry.operation_id) == (way.comment or "", UUID(operation))
        assert stored(row)["status"] == way.end
    assert AuditEntry.unscoped.filter(operation_id=operation).count() == 3
