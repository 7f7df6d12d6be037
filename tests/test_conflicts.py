"""An edit on top of an old version: what it is told, and when it may go through all the same."""

import tracemalloc
from datetime import datetime
from typing import Any, Final

import pytest
from django.db import connection

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle.actors import SystemActor
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories, samples
from tests.graphql import data
from tests.samples import FIELDS, fields, sent
from tests.test_transitions import take
from tests.writing import changes_of, entries, gid, in_state, move, mutate, refused, stored, target

DUE: Final = "2026-12-01T08:00:00+00:00"


@pytest.fixture
def ada(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN, name="Ada")


@pytest.fixture
def bob(demo: Tenant) -> User:
    return factories.user(demo, Role.SUPERVISOR, name="Bob")


@pytest.fixture
def order(demo: Tenant) -> WorkOrder:
    return factories.work_order(demo, title="Seal", description="On the roof")


def update(actor: User, row: Any, version: int, **given: Any) -> dict[str, Any]:
    return mutate(actor, f"update{type(row).__name__}", id=gid(row), version=version, **given)


def conflict(actor: User, row: Any, version: int, **given: Any) -> dict[str, Any]:
    """Hold that an edit is refused for its version and changes nothing, and return what is told."""
    answer = refused(actor, f"update{type(row).__name__}", id=gid(row), version=version, **given)
    assert (answer["__typename"], answer["errorCode"]) == ("VersionConflict", "VERSION_CONFLICT"), answer
    assert answer["expectedVersion"] == version
    assert answer["currentVersion"] == stored(row)["version"]
    assert answer["current"] == {
        "__typename": type(row).__name__,
        "id": gid(row),
        "version": stored(row)["version"],
    }
    return answer


def forget(row: Any, *versions: int) -> None:
    """Take the entries of some versions out of the trail, as time does."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL workgraph.audit_retention = 'on'")
        sql = "DELETE FROM audit_auditentry WHERE entity_kind = %s AND entity_id = %s AND entity_version = ANY(%s)"
        cursor.execute(sql, [type(row).__name__, row.pk, list(versions)])
        cursor.execute("SET LOCAL workgraph.audit_retention = 'off'")


def by(person: User) -> dict[str, str]:
    return {"id": gid(person), "name": person.name}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_stale_edit_is_told_what_changed_by_whom_and_when(kind: Any, demo: Tenant, ada: User) -> None:
    row = samples.row(kind, demo)
    name = next(name for name in fields(kind) if name not in {"priority", "latitude", "longitude"})
    old, new = samples.value(name, kind, demo), samples.value(name, kind, demo, other=True)
    update(ada, row, 1, **{name: sent(new)})
    at = stored(row)["updated_at"]
    answer = conflict(ada, row, 1, **{name: sent(old)})
    (change,) = answer["changes"]
    assert datetime.fromisoformat(change.pop("changedAt")) == at
    expected = {"before": samples.told(name, old), "after": samples.told(name, new)}
    assert change == {"field": name, **expected, "changedBy": by(ada)}
    assert answer["safeToMerge"] is False


def test_several_changes_of_a_field_are_told_as_one_by_the_last_who_made_one(
    order: WorkOrder, ada: User, bob: User
) -> None:
    update(ada, order, 1, title="Pump", description="In the cellar")
    update(bob, order, 2, title="Valve")
    answer = conflict(ada, order, 1, title="Mine")
    told = {change["field"]: (change["before"], change["after"], change["changedBy"]) for change in answer["changes"]}
    assert told == {
        "title": ("Seal", "Valve", by(bob)),
        "description": ("On the roof", "In the cellar", by(ada)),
    }
    ats = {change["field"]: datetime.fromisoformat(change["changedAt"]) for change in answer["changes"]}
    assert ats == {"description": entries(order)[1].at, "title": entries(order)[2].at}


def test_only_what_came_after_the_version_that_was_seen_is_told(order: WorkOrder, ada: User) -> None:
    update(ada, order, 1, title="Pump")
    update(ada, order, 2, description="In the cellar")
    assert [change["field"] for change in conflict(ada, order, 2, title="Mine")["changes"]] == ["description"]


def test_a_relation_is_told_by_the_ids_of_what_it_led_to(demo: Tenant, order: WorkOrder, ada: User, bob: User) -> None:
    site = factories.site(demo)
    update(ada, order, 1, siteId=gid(site), assigneeId=gid(bob), dueAt=DUE, priority="HIGH")
    told = {change["field"]: (change["before"], change["after"]) for change in conflict(bob, order, 1)["changes"]}
    assert told == {
        "site": (None, gid(site)),
        "assignee": (None, gid(bob)),
        "dueAt": (None, "2026-12-01T08:00:00Z"),
        "priority": ("MEDIUM", "HIGH"),
    }


def test_personal_data_is_not_told(demo: Tenant, ada: User) -> None:
    ticket = factories.ticket(demo, requester_name="Eve", requester_email="eve@example.org")
    update(ada, ticket, 1, requesterName="Eva", requesterEmail=None)
    told = {change["field"]: (change["before"], change["after"]) for change in conflict(ada, ticket, 1)["changes"]}
    assert told == {"requesterName": ("[redacted]", "[redacted]"), "requesterEmail": ("[redacted]", None)}


def test_what_a_command_changed_was_changed_by_nobody(demo: Tenant, ada: User, technician: User) -> None:
    task = in_state(Task, demo, "ASSIGNED", assignee=technician)
    take(task, "MISS", SystemActor("close_overdue"))
    (change,) = refused(ada, "transitionTask", **target(task), action="START")["changes"]
    assert (change["field"], change["after"], change["changedBy"]) == ("status", "MISSED", None)


def test_what_was_saved_by_the_orm_is_told_too(order: WorkOrder, ada: User) -> None:
    fresh = WorkOrder.unscoped.get(pk=order.pk)
    fresh.title = "By a shell"
    fresh.save()
    (change,) = conflict(ada, order, 1, title="Mine")["changes"]
    assert (change["before"], change["after"], change["changedBy"]) == ("Seal", "By a shell", None)


@pytest.mark.parametrize("version", [-1, 0, 2, 2**31 - 1])
def test_a_version_that_never_was_is_a_conflict_that_nothing_merges(order: WorkOrder, ada: User, version: int) -> None:
    for on_conflict in ("FAIL", "MERGE"):
        answer = conflict(ada, order, version, externalId="X-1", onConflict=on_conflict)
        assert answer["safeToMerge"] is False


def test_a_version_far_below_costs_no_memory(order: WorkOrder, ada: User) -> None:
    conflict(ada, order, -1, externalId="X-1")
    tracemalloc.start()
    try:
        conflict(ada, order, -2_000_000, externalId="X-1")  # the lowest, -2**31, would take this process down
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


# When it is safe to merge.


def test_an_edit_of_other_fields_is_safe_to_merge(order: WorkOrder, ada: User) -> None:
    update(ada, order, 1, title="Pump")
    assert conflict(ada, order, 1, description="Mine")["safeToMerge"] is True
    assert conflict(ada, order, 1, description="Mine", priority="LOW")["safeToMerge"] is True
    assert conflict(ada, order, 1, description="Mine", title="Mine")["safeToMerge"] is False
    assert conflict(ada, order, 1, title=None)["safeToMerge"] is False
    assert conflict(ada, order, 1)["safeToMerge"] is True


def test_an_edit_that_is_safe_to_merge_goes_through_when_asked_to(order: WorkOrder, ada: User, bob: User) -> None:
    update(ada, order, 1, title="Pump", priority="HIGH")
    before = stored(order)
    answer = update(bob, order, 1, description="Mine", onConflict="MERGE", comment="Merged")
    after = stored(order)
    assert (answer["title"], answer["description"], answer["version"]) == ("Pump", "Mine", 3)
    assert after == {**before, "description": "Mine", "version": 3, "updated_at": after["updated_at"]}
    entry = entries(order)[-1]
    assert (entry.entity_version, entry.actor_id, entry.comment, len(entries(order))) == (3, bob.pk, "Merged", 3)
    assert changes_of(entry) == {"description": ("On the roof", "Mine")}


def test_an_edit_of_a_field_that_changed_is_not_merged(order: WorkOrder, ada: User, bob: User) -> None:
    update(ada, order, 1, title="Pump")
    for title in ("Mine", "Pump", "Seal"):
        answer = conflict(bob, order, 1, title=title, description="More", onConflict="MERGE")
        assert answer["safeToMerge"] is False


def test_a_field_that_was_changed_and_changed_back_is_not_merged(order: WorkOrder, ada: User, bob: User) -> None:
    update(ada, order, 1, title="Pump")
    update(ada, order, 2, title="Seal")
    assert conflict(bob, order, 1, title="Mine", onConflict="MERGE")["safeToMerge"] is False
    assert update(bob, order, 1, description="Mine", onConflict="MERGE")["version"] == 4


def test_merging_on_top_of_the_present_version_is_an_edit_like_any_other(order: WorkOrder, ada: User) -> None:
    assert update(ada, order, 1, title="Pump", onConflict="MERGE")["version"] == 2
    assert update(ada, order, 1, description="Mine", onConflict="MERGE")["version"] == 3
    assert len(entries(order)) == 3


def test_an_edit_is_merged_over_many_versions(order: WorkOrder, ada: User) -> None:
    for version in range(1, 6):
        update(ada, order, version, title=f"Title {version}")
    assert update(ada, order, 1, description="Mine", onConflict="MERGE")["version"] == 7


def test_an_edit_is_merged_with_a_transition(demo: Tenant, ada: User, technician: User) -> None:
    order = in_state(WorkOrder, demo, "SUBMITTED", assignee=technician)
    move(ada, order, "APPROVE")
    answer = update(technician, order, 1, title="Mine", onConflict="MERGE")
    assert (answer["title"], answer["status"], answer["version"]) == ("Mine", "APPROVED", 3)


def test_a_merge_does_not_reach_what_has_become_final(demo: Tenant, ada: User) -> None:
    order = in_state(WorkOrder, demo, "COMPLETED")
    move(ada, order, "CLOSE")
    answer = refused(ada, "updateWorkOrder", **target(order), title="Mine", onConflict="MERGE")
    assert (answer["errorCode"], answer["currentStatus"]) == ("TRANSITION_NOT_ALLOWED", "CLOSED")


def test_a_merge_of_nothing_new_changes_nothing(order: WorkOrder, ada: User) -> None:
    update(ada, order, 1, title="Pump")
    before, trail = stored(order), len(entries(order))
    assert update(ada, order, 1, description="On the roof", onConflict="MERGE")["version"] == 2
    assert (stored(order), len(entries(order))) == (before, trail)


def test_a_merged_priority_does_not_undo_other_promises(demo: Tenant, ada: User) -> None:
    ticket = factories.ticket(demo)
    update(ada, ticket, 1, subject="Fire")
    assert update(ada, ticket, 1, priority="CRITICAL", onConflict="MERGE")["version"] == 3
    conflict(ada, ticket, 1, priority="LOW", onConflict="MERGE")


@pytest.mark.parametrize("missing", [(2,), (3,), (2, 3)], ids=str)
def test_an_edit_is_not_safe_to_merge_when_the_trail_is_incomplete(
    order: WorkOrder, ada: User, missing: tuple[int, ...]
) -> None:
    update(ada, order, 1, title="Pump")
    update(ada, order, 2, priority="HIGH")
    assert conflict(ada, order, 1, description="Mine")["safeToMerge"] is True
    forget(order, *missing)
    answer = conflict(ada, order, 1, description="Mine", onConflict="MERGE")
    assert answer["safeToMerge"] is False
    known = {2: "title", 3: "priority"}
    assert [change["field"] for change in answer["changes"]] == [known[v] for v in known if v not in missing]


def test_what_was_forgotten_before_the_version_that_was_seen_does_not_matter(order: WorkOrder, ada: User) -> None:
    update(ada, order, 1, title="Pump")
    update(ada, order, 2, priority="HIGH")
    forget(order, 1, 2)
    assert update(ada, order, 2, description="Mine", onConflict="MERGE")["version"] == 4


def test_a_version_that_was_written_behind_the_trail_is_not_merged(order: WorkOrder, ada: User) -> None:
    factories.force(WorkOrder.unscoped.filter(pk=order.pk), version=2, title="Behind")
    answer = conflict(ada, order, 1, description="Mine", onConflict="MERGE")
    assert (answer["safeToMerge"], answer["changes"]) == (False, [])


def test_another_tenants_entries_do_not_complete_a_trail(
    demo: Tenant, rival: Tenant, order: WorkOrder, ada: User
) -> None:
    factories.force(WorkOrder.unscoped.filter(pk=order.pk), version=2)
    changes = [{"field": "title", "before": "Seal", "after": "Theirs"}]
    factories.audit_entry(order, tenant_id=rival.pk, entity_version=2, changes=changes)
    answer = conflict(ada, order, 1, description="Mine", onConflict="MERGE")
    assert (answer["safeToMerge"], answer["changes"]) == (False, [])


# What is selected of a conflict.


def test_the_current_entity_is_read_with_whatever_is_selected_of_it(demo: Tenant, ada: User, bob: User) -> None:
    order = in_state(WorkOrder, demo, "IN_PROGRESS", assignee=bob, site=factories.site(demo, name="Quay"))
    factories.task(demo, work_order=order, title="Drain")
    update(ada, order, 1, title="Pump")
    document = (
        "mutation($input: UpdateWorkOrderInput!) { updateWorkOrder(input: $input) { ... on VersionConflict {"
        " a: current { ... on WorkOrder { title status site { name } assignee { name } availableActions"
        " tasks { totalCount edges { node { title } } } history(first: 1) { edges { node { action } } } } }"
        " b: current { version } changes { changedBy { role tenant { slug } } } } } }"
    )
    answer = data(bob, document, input={"id": gid(order), "version": 1, "title": "Mine"})["updateWorkOrder"]
    assert answer == {
        "a": {
            "title": "Pump",
            "status": "IN_PROGRESS",
            "site": {"name": "Quay"},
            "assignee": {"name": "Bob"},
            "availableActions": ["HOLD"],
            "tasks": {"totalCount": 1, "edges": [{"node": {"title": "Drain"}}]},
            "history": {"edges": [{"node": {"action": "UPDATE"}}]},
        },
        "b": {"version": 2},
        "changes": [{"changedBy": {"role": "ADMIN", "tenant": {"slug": demo.slug}}}],
    }


@pytest.mark.parametrize("kind", [Task, Ticket, AttendanceRecord])
def test_a_stale_transition_is_not_safe_to_merge_with_another(kind: Any, demo: Tenant, ada: User, bob: User) -> None:
    action, status = {Task: ("START", "ASSIGNED"), Ticket: ("OPEN", "NEW"), AttendanceRecord: ("APPROVE", "PENDING")}[
        kind
    ]
    row = in_state(kind, demo, status, **({} if kind is AttendanceRecord else {"assignee": bob}))
    move(ada, row, action)
    answer = refused(ada, f"transition{kind.__name__}", **target(row), action=action)
    assert (answer["errorCode"], answer["safeToMerge"]) == ("VERSION_CONFLICT", False)
