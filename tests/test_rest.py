"""Bulks of transitions by REST: what becomes of the items, and what the answer tells of each."""

import json
from typing import Any, Final
from uuid import UUID

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.lifecycle import services
from apps.lifecycle.actors import SystemActor
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from project.rest.resources import resources
from schema.reads.global_id import encode_id
from tests import factories
from tests.rest import TYPES, Json, Script, address, made, pointers, told
from tests.test_bulk import WAYS
from tests.writing import bulk, entries, everything, gid, item, many, move, nothing_changes, stored, target

EACH: Final = pytest.mark.parametrize("model", WAYS)


def send(script: Script, model: Any, items: list[Json], **given: Any) -> HttpResponse:
    """Send the model's way for items."""
    return script.bulk(model, items, WAYS[model].action, comment=WAYS[model].comment, **given)


def report_of(answer: HttpResponse, status: int) -> Json:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json"), answer.content
    report: Json = json.loads(answer.content)
    return report


def done(row: Any, status: str, version: int = 2) -> Json:
    return {"id": gid(row), "status": 200, "entity": {"status": status, "version": version}, "problem": None}


def held(row: Any) -> Json:
    return {"id": gid(row), "status": 424, "entity": {"status": row.status, "version": row.version}, "problem": None}


def statuses(report: Json) -> list[int]:
    return [result["status"] for result in report["results"]]


def test_every_entity_with_a_machine_has_its_address() -> None:
    assert {name: model.__name__ for name, model in resources().items()} == {
        "work-orders": "WorkOrder",
        "tasks": "Task",
        "tickets": "Ticket",
        "attendance": "AttendanceRecord",
    }


@EACH
def test_a_bulk_takes_all_through_and_the_audit_trail_knows_by_which_door(
    model: Any, demo: Tenant, script: Script
) -> None:
    way, rows = WAYS[model], [made(model, demo) for _ in range(3)]
    items = [target(row) for row in rows]
    answer = script.bulk(model, items, way.action.lower(), comment=way.comment, onError="reject_all")
    report = report_of(answer, 200)
    operation = report.pop("operationId")
    counts = {"dryRun": False, "requested": 3, "succeeded": 3, "failed": 0}
    assert report == {**counts, "results": [done(row, way.end) for row in rows]}
    for row in rows:
        (_, entry) = entries(row)
        assert (entry.action, entry.entity_version, entry.actor_id) == (way.action, 2, script.actor.pk)
        assert (entry.source, entry.correlation_id) == ("rest", answer["X-Correlation-ID"])
        assert (entry.comment, entry.operation_id) == (way.comment or "", UUID(operation))
    assert AuditEntry.unscoped.filter(operation_id=operation).count() == 3


@EACH
def test_with_skip_failed_each_item_has_its_status_and_its_problem(model: Any, demo: Tenant, script: Script) -> None:
    way = WAYS[model]
    first, wrong, last = made(model, demo), made(model, demo, way.wrong), made(model, demo)
    items = [target(first), target(wrong), {"id": "nonsense", "version": 1}, {**target(last), "version": 1.0}]
    before, trail = stored(wrong), len(entries(wrong))
    report = report_of(send(script, model, items, onError="SKIP_FAILED"), 207)
    assert (report["requested"], report["succeeded"], report["failed"]) == (4, 2, 2)
    assert statuses(report) == [200, 409, 404, 200]
    assert [report["results"][0], report["results"][3]] == [done(first, way.end), done(last, way.end)]
    refused, missing = report["results"][1:3]
    assert refused["entity"] == {"status": way.wrong, "version": 1}
    assert (refused["problem"]["type"], refused["problem"]["status"]) == (TYPES["TRANSITION_NOT_ALLOWED"], 409)
    assert (refused["problem"]["currentStatus"], refused["problem"]["code"]) == (way.wrong, "TRANSITION_NOT_ALLOWED")
    assert way.action not in refused["problem"]["allowedActions"]
    assert (missing["id"], missing["entity"], missing["problem"]["code"]) == ("nonsense", None, "NOT_FOUND")
    assert (stored(wrong), len(entries(wrong))) == (before, trail)


@EACH
def test_with_reject_all_a_conflict_tells_what_changed_and_changes_nothing(
    model: Any, demo: Tenant, boss: User, script: Script
) -> None:
    way = WAYS[model]
    moved, never, good = made(model, demo), made(model, demo), made(model, demo)
    move(boss, moved, way.action, comment=way.comment)
    with nothing_changes():
        answer = send(script, model, [target(moved), {**target(never), "version": 9}, target(good)])
    body = told(answer, 409, "VERSION_CONFLICT")
    assert body["detail"].startswith("2 of 3 items refused, so that none was changed")
    assert (body["requested"], body["succeeded"], body["failed"]) == (3, 0, 2)
    assert statuses(body) == [409, 409, 424]
    assert body["results"][2] == held(good)
    problem = body["results"][0]["problem"]
    assert (problem["expectedVersion"], problem["currentVersion"]) == (1, 2)
    (change,) = problem["changes"]
    assert change.pop("changedAt").startswith("20")
    who = {"id": gid(boss), "name": boss.name}
    assert change == {"field": "status", "before": way.start, "after": way.end, "changedBy": who}
    assert body["results"][1]["problem"]["changes"] == []


def test_a_conflict_with_a_command_names_nobody(demo: Tenant, script: Script) -> None:
    task = made(Task, demo, "ASSIGNED")
    with tenant_scope(demo.pk):
        services.transition(Task, item(task), "MISS", actor=SystemActor("close_overdue"))
    body = told(script.bulk(Task, [target(task)], "START"), 409, "VERSION_CONFLICT")
    (change,) = body["results"][0]["problem"]["changes"]
    assert (change["before"], change["after"], change["changedBy"]) == ("ASSIGNED", "MISSED", None)


@EACH
def test_with_reject_all_what_stands_against_a_transition_is_told(model: Any, demo: Tenant, script: Script) -> None:
    good, wrong = made(model, demo), made(model, demo, WAYS[model].wrong)
    with nothing_changes():
        body = told(send(script, model, [target(good), target(wrong)]), 409, "TRANSITION_NOT_ALLOWED")
    assert [result["problem"] and result["problem"]["code"] for result in body["results"]] == [
        None,
        "TRANSITION_NOT_ALLOWED",
    ]


@EACH
def test_items_that_are_refused_for_different_reasons_are_a_conflict(model: Any, demo: Tenant, script: Script) -> None:
    items = [{"id": "", "version": 1}, target(made(model, demo, WAYS[model].wrong))]
    with nothing_changes():
        body = told(send(script, model, items), 409, "ITEMS_REFUSED")
    assert statuses(body) == [404, 409]


@EACH
def test_a_viewer_is_forbidden(model: Any, demo: Tenant) -> None:
    viewer, row = Script(factories.user(demo, Role.VIEWER)), made(model, demo)
    with nothing_changes():
        body = told(send(viewer, model, [target(row)]), 403, "PERMISSION_DENIED")
    assert statuses(body) == [403]
    assert statuses(report_of(send(viewer, model, [target(row)], onError="SKIP_FAILED"), 207)) == [403]


@EACH
def test_anothers_tenants_row_is_told_like_one_that_never_was(
    model: Any, demo: Tenant, rival: Tenant, script: Script
) -> None:
    foreign = made(model, rival)
    bodies = []
    for sent in (target(foreign), {"id": encode_id(model.__name__, 2**40), "version": 1}):
        with nothing_changes():
            body = told(send(script, model, [sent]), 404, "NOT_FOUND")
        assert body["results"][0].pop("id") == sent["id"]
        bodies.append({name: value for name, value in body.items() if name not in {"correlationId", "operationId"}})
    assert bodies[0] == bodies[1]


@EACH
def test_a_dry_run_is_told_as_what_it_would_be_and_changes_nothing(model: Any, demo: Tenant, script: Script) -> None:
    good, wrong = made(model, demo), made(model, demo, WAYS[model].wrong)
    with nothing_changes():
        report = report_of(send(script, model, [target(good)], dryRun=True), 200)
        body = told(send(script, model, [target(good), target(wrong)], dryRun=True), 409, "TRANSITION_NOT_ALLOWED")
        some = report_of(send(script, model, [target(good), target(wrong)], dryRun=True, onError="SKIP_FAILED"), 207)
    assert (report["dryRun"], report["results"]) == (True, [done(good, good.status, 1)])
    assert (body["dryRun"], statuses(body)) == (True, [424, 409])
    assert (some["dryRun"], statuses(some)) == (True, [200, 409])


def test_tasks_are_assigned(demo: Tenant, script: Script) -> None:
    worker, task = factories.user(demo), made(Task, demo, "SCHEDULED", assignee=None)
    report_of(script.bulk(Task, [target(task)], "ASSIGN", assigneeId=gid(worker)), 200)
    assert (stored(task)["assignee_id"], stored(task)["status"]) == (worker.pk, "ASSIGNED")
    with nothing_changes():
        missing = told(script.bulk(Task, [{**target(task), "version": 2}], "ASSIGN"), 422, "VALIDATION_FAILED")
        other = told(script.bulk(WorkOrder, [], "START", assigneeId=gid(worker)), 422, "VALIDATION_FAILED")
    assert pointers(missing) == ["#/assigneeId"]
    assert pointers(other) == ["#/items", "#/assigneeId"]


@pytest.mark.parametrize("kept", ["1b9d6bcd-key", '"1b9d6bcd-key"', '"1b9d6bcd-key"; a=1'])
def test_a_retry_with_its_key_does_nothing_and_answers_the_same(demo: Tenant, script: Script, kept: str) -> None:
    order = made(WorkOrder, demo)
    body = {"action": "APPROVE", "items": [target(order)]}
    first = script.send(WorkOrder, body, Idempotency_Key=kept)
    with nothing_changes():
        again = script.send(WorkOrder, body, Idempotency_Key=kept)
        other = script.send(WorkOrder, {**body, "comment": "Another"}, Idempotency_Key=kept)
        elsewhere = script.send(Task, body, Idempotency_Key=kept)
    assert (first.status_code, first.content) == (200, again.content)
    assert pointers(told(other, 422, "VALIDATION_FAILED")) == ["Idempotency-Key"]
    assert pointers(told(elsewhere, 422, "VALIDATION_FAILED"))[-1] == "Idempotency-Key"


def test_a_key_is_the_same_by_either_door(demo: Tenant, boss: User, script: Script) -> None:
    first, second = made(WorkOrder, demo), made(WorkOrder, demo)
    items = [target(first)]
    report = report_of(script.send(WorkOrder, {"action": "APPROVE", "items": items}, Idempotency_Key="of-both"), 200)
    with nothing_changes():
        assert bulk(boss, WorkOrder, items, "APPROVE", idempotencyKey="of-both")["operationId"] == report["operationId"]
    answer = bulk(boss, WorkOrder, [target(second)], "APPROVE", idempotencyKey="of-graphql")
    sent = {"action": "APPROVE", "items": [target(second)]}
    with nothing_changes():
        report = report_of(script.send(WorkOrder, sent, Idempotency_Key="of-graphql"), 200)
    assert report["operationId"] == answer["operationId"]


@pytest.mark.parametrize("key", ['"without an end', '"a"b"', "", '""', "x" * 201, "tab\there", '"\\n"'])
def test_a_key_that_is_none_is_refused(demo: Tenant, script: Script, key: str) -> None:
    body = {"action": "APPROVE", "items": [target(made(WorkOrder, demo))]}
    with nothing_changes():
        answer = told(script.send(WorkOrder, body, Idempotency_Key=key), 422, "VALIDATION_FAILED")
    assert pointers(answer) == ["Idempotency-Key"]


@EACH
def test_a_thousand_take_as_many_statements_as_by_graphql(
    model: Any, demo: Tenant, script: Script, technician: User
) -> None:
    person = {} if model is AttendanceRecord else {"assignee": technician}
    way, name = WAYS[model], f"bulkTransition{model.__name__}s"
    document = f"mutation($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{ __typename }} }}"
    counts: dict[str, int] = {}
    for path in (address(model), "/graphql"):
        items = [target(row) for row in many(model, demo, 1000, status=way.start, **person)]
        given = {"items": items, "action": way.action, "comment": way.comment}
        body = {"query": document, "variables": {"input": given}} if path == "/graphql" else given
        with CaptureQueriesContext(connection) as captured:
            answer = script.client.post(path, json.dumps(body), content_type="application/json", headers=script.headers)
        assert answer.status_code == 200
        counts[path] = len(captured)
    assert AuditEntry.unscoped.filter(action=way.action).count() == 2000
    assert len(set(counts.values())) == 1, counts


@pytest.fixture
def stage(demo: Tenant, rival: Tenant) -> list[Json]:
    """Return items of all sorts: good ones, stale ones, in the wrong state, of others, of nobody."""
    rows = [made(WorkOrder, demo, status) for status in ("SUBMITTED", "SUBMITTED", "DRAFT", "IN_PROGRESS", "CLOSED")]
    rows += [made(WorkOrder, rival, "SUBMITTED"), made(Task, demo)]
    ids = [*map(gid, rows), "", "é", encode_id("WorkOrder", 2**62), encode_id("WorkOrder", 2**63)]
    return [{"id": each, "version": version} for each in ids for version in (1, 2)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_both_doors_do_the_same(data: st.DataObject, stage: list[Json], demo: Tenant, boss: User) -> None:
    """Hold that REST and GraphQL judge random inputs alike; in dry runs, so that each finds what the other found."""
    actor = data.draw(st.sampled_from([boss, factories.user(demo, Role.VIEWER)]), "actor")
    items = data.draw(st.lists(st.sampled_from(stage), min_size=1, max_size=4), "items")  # none are not read on by REST
    given: Json = {
        "action": data.draw(st.sampled_from(WorkOrder.machine.action_names), "action"),
        "onError": data.draw(st.sampled_from(["REJECT_ALL", "SKIP_FAILED"]), "on error"),
        "comment": data.draw(st.sampled_from([None, "", "Why", "x" * 10_001]), "comment"),
        "dryRun": True,
    }
    before = everything()
    answer = Script(actor).send(WorkOrder, {"items": items, **given})
    report = bulk(actor, WorkOrder, items, given.pop("action"), **given)
    after = everything()
    assert {name: rows for name, rows in after.items() if name in {"WorkOrder", "Task"}} == {
        name: rows for name, rows in before.items() if name in {"WorkOrder", "Task"}
    }
    body = json.loads(answer.content)
    if "problems" in report:
        assert answer.status_code == 422
        assert pointers(body) == [f"#/{each['path'].replace('.', '/')}" for each in report["problems"]]
        assert [each["detail"] for each in body["errors"]] == [each["message"] for each in report["problems"]]
        return
    assert [body[name] for name in ("requested", "succeeded", "failed")] == [
        report[name] for name in ("requested", "succeeded", "failed")
    ]
    for by_rest, by_graphql in zip(body["results"], report["results"], strict=True):
        assert _compared(by_rest) == {**by_graphql, "error": (by_graphql["error"] or {}).get("errorCode")}


def _compared(result: Json) -> Json:
    """Return what GraphQL tells of an item, but for what it alone tells."""
    entity, problem = result["entity"] or {"status": None, "version": None}, result["problem"]
    return {"id": result["id"], "ok": result["status"] == 200, **entity, "error": (problem or {}).get("code")}
