"""A mutation that is sent twice does its work once, and answers the same."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier, Lock
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from graphql import GraphQLUnionType, get_named_type

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.helpdesk.models import Ticket
from apps.lifecycle.idempotency import KEPT
from apps.lifecycle.models import IdempotencyKey
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.reads.global_id import encode_id
from schema.root import schema
from tests import factories
from tests.graphql import OBJECTS, data, everything_of, refusal
from tests.writing import fail, listening

Input = dict[str, Any]
KEY = "0b5f1a9e-retry"
WORKFLOWS = ("WorkOrder", "Task", "Ticket", "AttendanceRecord")
MODELS: dict[str, Any] = {model.__name__: model for model in (WorkOrder, Task, Ticket, AttendanceRecord, Site, Asset)}
TEXTS = {"WorkOrder": "title", "Task": "title", "Ticket": "subject", "AttendanceRecord": "note", "Site": "name"}
TEXTS |= {"Asset": "name"}
MUTATIONS = [
    *(f"create{kind}" for kind in MODELS if kind != "AttendanceRecord"),
    *(f"update{kind}" for kind in MODELS),
    *(f"transition{kind}" for kind in WORKFLOWS),
    *(f"bulkTransition{kind}s" for kind in WORKFLOWS),
    "checkIn",
    "checkOut",
]
every_mutation = pytest.mark.parametrize("name", MUTATIONS)
every_answer_with_an_entity = pytest.mark.parametrize("name", [name for name in MUTATIONS if "bulk" not in name])

MUTATION = OBJECTS["Mutation"]

ANY = "... on MutationError { errorCode message }"
INVALID = "... on ValidationFailed { problems { path message } }"
OTHER = """
    ... on VersionConflict {
        expectedVersion currentVersion safeToMerge current { __typename id version }
        changes { field before after changedAt changedBy { id name } }
    }
    ... on TransitionNotAllowed { currentStatus allowedActions }
"""
REPORT = f"""... on BulkTransitionReport {{
    operationId dryRun requested succeeded failed
    results {{ id ok status version error {{ __typename {ANY} {OTHER} }} }}
}}"""


def document(name: str) -> str:
    """Return an operation that selects all that the mutation can answer, the entity's own relations along."""
    union = get_named_type(MUTATION.fields[name].type)
    assert isinstance(union, GraphQLUnionType)
    members = {kind.name for kind in union.types}
    told = [f"... on {kind} {everything_of(OBJECTS[kind], 1)}" for kind in MODELS if kind in members]
    told += [REPORT] * ("BulkTransitionReport" in members) + [OTHER] * ("VersionConflict" in members)
    selected = " ".join(["__typename", ANY, INVALID, *told])
    return f"mutation($input: {MUTATION.fields[name].args['input'].type}) {{ {name}(input: $input) {{ {selected} }} }}"


def send(actor: User, name: str, values: Input, key: str | None = KEY) -> dict[str, Any]:
    sent = values if key is None else {**values, "idempotencyKey": key}
    answer: dict[str, Any] = data(actor, document(name), input=sent)[name]
    return answer


def done(answer: dict[str, Any]) -> bool:
    return "errorCode" not in answer


class Stage:
    """A tenant with a row of everything, and the input of each mutation that does something to them."""

    def __init__(self, owner: Tenant) -> None:
        self.owner = owner
        self.admin = factories.user(owner, Role.ADMIN)
        self.worker = factories.user(owner)
        self.site = factories.site(owner)
        self.asset = factories.asset(owner, site=self.site)
        self.order = factories.work_order(owner, site=self.site, asset=self.asset, requested_by=self.worker)
        self.task = factories.task(owner, work_order=self.order, asset=self.asset)
        self.ticket = factories.ticket(owner, site=self.site, assignee=self.worker)
        self.record = factories.attendance_record(owner, person=self.worker, site=self.site)
        self.rows: dict[str, Any] = {
            type(row).__name__: row for row in (self.order, self.task, self.ticket, self.record, self.site, self.asset)
        }

    def input(self, name: str) -> Input:
        """Return an input that the mutation accepts, once."""
        site, worker = encode_id("Site", self.site.pk), encode_id("User", self.worker.pk)
        given: dict[str, Input] = {
            "createWorkOrder": {"title": "Seal", "siteId": site, "dueAt": "2026-12-01T08:00:00.5+01:00"},
            "createTask": {"title": "Drain", "workOrderId": encode_id("WorkOrder", self.order.pk)},
            "createTicket": {"subject": "Flood", "requesterEmail": "kari@firm.example", "assigneeId": worker},
            "createSite": {"code": "NEW", "name": "Roof", "latitude": 59.1, "longitude": 10.123456789},
            "createAsset": {"code": "NEW", "name": "Pump", "siteId": site},
            "checkIn": {"siteId": site, "latitude": 59.911, "longitude": 10.751, "note": "By bus"},
            "checkOut": {**self.target("AttendanceRecord"), "note": "By train"},
        }
        kind = name.removeprefix("update").removeprefix("bulkTransition").removeprefix("transition")
        if name.startswith("update"):
            return {**self.target(kind), TEXTS[kind]: "Something else"}
        if name.startswith("transition"):
            return {**self.target(kind), **self.action(kind)}
        if name.startswith("bulk"):
            return {"items": [self.target(kind[:-1])], **self.action(kind[:-1]), "comment": "All"}
        return given[name]

    def target(self, kind: str) -> Input:
        return {"id": encode_id(kind, self.rows[kind].pk), "version": self.rows[kind].version}

    def action(self, kind: str) -> Input:
        return {
            "WorkOrder": {"action": "SUBMIT"},
            "Task": {"action": "ASSIGN", "assigneeId": encode_id("User", self.worker.pk)},
            "Ticket": {"action": "OPEN"},
            "AttendanceRecord": {"action": "APPROVE"},
        }[kind]

    def meanwhile(self) -> None:
        """Let somebody change a text of every entity, and delete none."""
        for model in MODELS.values():
            for row in model.unscoped.filter(tenant=self.owner):
                setattr(row, TEXTS[model.__name__], "Changed meanwhile")
                row.save()


@pytest.fixture
def stage(demo: Tenant) -> Stage:
    return Stage(demo)


def state() -> list[Any]:
    """Return all rows of entities with their versions, and how many entries and keys there are."""
    rows = [list(model.unscoped.order_by("pk").values()) for model in MODELS.values()]
    return [*rows, AuditEntry.unscoped.count(), IdempotencyKey.unscoped.count()]


def test_the_list_of_mutations_is_complete() -> None:
    assert sorted(MUTATIONS) == sorted(schema._schema.mutation_type.fields)  # type: ignore[union-attr]
    for name in MUTATIONS:
        given = get_named_type(MUTATION.fields[name].args["input"].type)
        assert "idempotencyKey" in given.fields, name


# The same key and the same input


@every_mutation
def test_a_repeat_answers_the_same_and_does_nothing(stage: Stage, name: str) -> None:
    values = stage.input(name)
    before = state()
    first = send(stage.admin, name, values)
    after = state()
    assert done(first), first
    assert (after[-2] - before[-2], after[-1] - before[-1]) == (1, 1)
    assert send(stage.admin, name, values) == first
    assert send(stage.admin, name, values) == first
    assert state() == after


@every_mutation
def test_a_repeat_answers_the_same_after_somebody_changed_everything_meanwhile(stage: Stage, name: str) -> None:
    values = stage.input(name)
    first = send(stage.admin, name, values)
    assert done(first), first
    own = _own(first)
    stage.meanwhile()
    after = state()
    assert _own(send(stage.admin, name, values)) == own
    assert state() == after


def _own(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without the fields of what the entity refers to, which are theirs."""
    reduced = {name: value.get("id") if isinstance(value, dict) else value for name, value in answer.items()}
    assert "id" in reduced or "results" in reduced
    return reduced


@pytest.mark.parametrize("name", ["updateWorkOrder", "transitionWorkOrder", "createWorkOrder"])
def test_a_repeat_shows_the_relations_as_the_first_left_them(stage: Stage, demo: Tenant, name: str) -> None:
    values = stage.input(name)
    first = send(stage.admin, name, values)
    order = WorkOrder.unscoped.latest("pk")
    order.site, order.asset, order.assignee = factories.site(demo), factories.asset(demo), stage.worker
    order.save()
    again = send(stage.admin, name, values)
    assert (again["site"], again["asset"], again["assignee"]) == (first["site"], first["asset"], first["assignee"])


def test_a_repeat_shows_a_relation_that_was_emptied_meanwhile(stage: Stage) -> None:
    values = stage.input("updateWorkOrder")
    first = send(stage.admin, "updateWorkOrder", values)
    order = WorkOrder.unscoped.get()
    order.site = order.asset = None
    order.save()
    again = send(stage.admin, "updateWorkOrder", values)
    assert first["site"] is not None
    assert (again["site"], again["asset"]) == (first["site"], first["asset"])


def test_a_repeat_offers_the_actions_of_the_state_as_the_first_left_it(stage: Stage) -> None:
    values = stage.input("transitionWorkOrder")
    first = send(stage.admin, "transitionWorkOrder", values)
    approve = {**stage.target("WorkOrder"), "version": 2, "action": "APPROVE"}
    assert done(send(stage.admin, "transitionWorkOrder", approve, None))
    again = send(stage.admin, "transitionWorkOrder", values)
    assert again["availableActions"] == first["availableActions"] == ["APPROVE", "REJECT", "CANCEL"]
    assert (again["status"], again["version"]) == ("SUBMITTED", 2)


@pytest.mark.parametrize("kind", ["Site", "Asset"])
def test_a_repeat_answers_the_same_after_the_entity_was_deleted(stage: Stage, kind: str) -> None:
    values = stage.input(f"create{kind}")
    first = send(stage.admin, f"create{kind}", values)
    MODELS[kind].unscoped.get(code="NEW").delete()
    assert send(stage.admin, f"create{kind}", values) == first
    assert not MODELS[kind].unscoped.filter(code="NEW").exists()


def test_without_a_key_the_work_is_done_each_time(stage: Stage) -> None:
    for key in (None, None):
        assert done(send(stage.admin, "createTask", stage.input("createTask"), key))
    assert done(data(stage.admin, 'mutation { createTask(input: {title: "A", idempotencyKey: null}) { __typename } }'))
    assert (Task.unscoped.count(), IdempotencyKey.unscoped.count()) == (4, 0)


def test_two_fields_of_one_operation_with_one_key_do_the_work_once(stage: Stage) -> None:
    create = 'createTask(input: {title: "A", idempotencyKey: "k"}) { ... on Task { id version } }'
    answer = data(stage.admin, f"mutation {{ first: {create} second: {create} }}")
    assert answer["first"] == answer["second"]
    assert Task.unscoped.count() == 2


def test_a_repeat_may_select_other_fields(stage: Stage) -> None:
    create = 'mutation { createTask(input: {title: "A", idempotencyKey: "k"}) { ... on Task { %s } } }'
    created = data(stage.admin, create % "id")["createTask"]
    assert data(stage.admin, create % "id title version assignee { id }")["createTask"] == {
        **created,
        "title": "A",
        "version": 1,
        "assignee": None,
    }


def test_the_same_input_may_be_written_otherwise(stage: Stage) -> None:
    values = '{dueAt: "2026-12-01T08:00:00Z", idempotencyKey: "k", title: "A"}'
    written = f"mutation {{ createTask(input: {values}) {{ ... on Task {{ id }} }} }}"
    first = data(stage.admin, written)["createTask"]
    again = send(stage.admin, "createTask", {"title": "A", "dueAt": "2026-12-01T08:00:00+00:00"}, "k")
    assert again["id"] == first["id"]
    assert Task.unscoped.count() == 2


def test_a_dry_run_changes_nothing_and_its_repeat_answers_the_same(stage: Stage) -> None:
    values = stage.input("bulkTransitionWorkOrders") | {"dryRun": True}
    before = state()
    first, again = (send(stage.admin, "bulkTransitionWorkOrders", values) for _ in range(2))
    assert (first["dryRun"], first["succeeded"]) == (True, 1)
    assert again == first
    assert (state()[:-1], state()[-1]) == (before[:-1], 1)
    real = send(stage.admin, "bulkTransitionWorkOrders", stage.input("bulkTransitionWorkOrders"))
    assert real["problems"][0]["path"] == "idempotencyKey"


def mixed(stage: Stage, owner: Tenant) -> Input:
    """Return the input of a bulk of which one item goes through, and the others are refused in every way there is."""
    stale = factories.work_order(owner, site=stage.site)
    stale.title, stale.description = "Changed", "Ring kari@firm.example"
    stale.assignee = stage.worker
    stale.save()
    siteless, done_already = factories.work_order(owner), factories.work_order(owner, status="APPROVED")
    keys = [(stage.order.pk, 1), (stale.pk, 1), (stale.pk + 5000, 1), (siteless.pk, 1), (done_already.pk, 1)]
    items = [{"id": encode_id("WorkOrder", pk), "version": version} for pk, version in keys]
    return {"items": items, "action": "SUBMIT", "onError": "SKIP_FAILED"}


def test_a_report_with_refusals_of_every_kind_is_repeated_as_it_was(stage: Stage, demo: Tenant) -> None:
    values = mixed(stage, demo)
    first = send(stage.admin, "bulkTransitionWorkOrders", values)
    assert [result["ok"] for result in first["results"]] == [True, False, False, False, False]
    assert [result["error"] and result["error"]["__typename"] for result in first["results"]] == [
        None,
        "VersionConflict",
        "NotFound",
        "TransitionNotAllowed",
        "TransitionNotAllowed",
    ]
    assert len(first["results"][1]["error"]["changes"]) == 3
    after = state()
    assert send(stage.admin, "bulkTransitionWorkOrders", values) == first
    assert state() == after


def test_a_report_is_repeated_as_it_was_after_somebody_changed_everything(stage: Stage, demo: Tenant) -> None:
    values = mixed(stage, demo)
    first = send(stage.admin, "bulkTransitionWorkOrders", values)
    stage.meanwhile()
    again = send(stage.admin, "bulkTransitionWorkOrders", values)
    for report in (first, again):
        report["results"][1]["error"].pop("current")  # "the entity now", which is what it says
    assert again == first


def test_a_permission_denied_within_a_report_is_repeated(stage: Stage, demo: Tenant) -> None:
    mine = factories.work_order(demo, status="APPROVED", assignee=stage.worker)
    others = factories.work_order(demo, status="APPROVED", assignee=stage.admin)
    items = [{"id": encode_id("WorkOrder", order.pk), "version": 1} for order in (mine, others)]
    values = {"items": items, "action": "START", "onError": "SKIP_FAILED"}
    first = send(stage.worker, "bulkTransitionWorkOrders", values)
    assert [result["error"] and result["error"]["errorCode"] for result in first["results"]] == [
        None,
        "PERMISSION_DENIED",
    ]
    assert send(stage.worker, "bulkTransitionWorkOrders", values) == first


# The same key and something else


def refused_for_its_key(answer: dict[str, Any]) -> bool:
    return (answer["errorCode"], [problem["path"] for problem in answer.get("problems", [])]) == (
        "VALIDATION_FAILED",
        ["idempotencyKey"],
    )


@every_mutation
def test_a_key_that_came_with_another_operation_is_refused(stage: Stage, name: str) -> None:
    other = "createTask" if name != "createTask" else "createSite"
    assert done(send(stage.admin, other, stage.input(other)))
    before = state()
    assert refused_for_its_key(send(stage.admin, name, stage.input(name)))
    assert state() == before


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("createWorkOrder", {"title": "Another"}),
        ("createWorkOrder", {"description": "More"}),
        ("createWorkOrder", {"description": None}),
        ("createWorkOrder", {"dueAt": None}),
        ("updateWorkOrder", {"version": 2}),
        ("updateWorkOrder", {"comment": "Why"}),
        ("updateWorkOrder", {"onConflict": "MERGE"}),
        ("transitionWorkOrder", {"action": "CANCEL", "comment": "No"}),
        ("bulkTransitionWorkOrders", {"items": []}),
        ("bulkTransitionWorkOrders", {"dryRun": True}),
        ("bulkTransitionWorkOrders", {"onError": "SKIP_FAILED"}),
        ("checkIn", {"latitude": 59.9111}),
    ],
)
def test_a_key_that_came_with_other_input_is_refused(stage: Stage, name: str, other: Input) -> None:
    values = stage.input(name)
    first = send(stage.admin, name, values)
    before = state()
    assert refused_for_its_key(send(stage.admin, name, {**values, **other}))
    assert state() == before
    assert send(stage.admin, name, values) == first


@pytest.mark.parametrize("key", ["", "k" * 201, "a\nb", "a\tb", "\x00", "a\x7f", "\u200bk", "\u2028"])
@pytest.mark.parametrize("name", ["createTask", "updateWorkOrder", "bulkTransitionTasks", "checkIn"])
def test_a_key_that_is_none_is_refused(stage: Stage, name: str, key: str) -> None:
    before = state()
    assert refused_for_its_key(send(stage.admin, name, stage.input(name), key))
    assert state() == before


@pytest.mark.parametrize("key", ["k", "k" * 200, "ключ 1", "'; DROP TABLE--", "%s", "🔑"])
def test_any_printable_text_is_a_key(stage: Stage, key: str) -> None:
    first = send(stage.admin, "createTask", stage.input("createTask"), key)
    assert send(stage.admin, "createTask", stage.input("createTask"), key) == first
    assert IdempotencyKey.unscoped.get().key == key


def test_keys_differ_by_case_and_blanks(stage: Stage) -> None:
    for key in ("k", "K", " k", "k "):
        assert done(send(stage.admin, "createTask", stage.input("createTask"), key))
    assert (Task.unscoped.count(), IdempotencyKey.unscoped.count()) == (5, 4)


def test_a_key_is_its_users_own(stage: Stage, demo: Tenant, rival: Tenant) -> None:
    colleague, stranger = factories.user(demo, Role.ADMIN), factories.user(rival, Role.ADMIN)
    answers = [send(user, "createTask", {"title": "A"}) for user in (stage.admin, colleague, stranger)]
    assert len({answer["id"] for answer in answers}) == 3
    assert done(send(colleague, "createSite", {"code": "S", "name": "Roof"}, "other"))
    owners = IdempotencyKey.unscoped.filter(key=KEY).order_by("pk").values_list("user_id", "tenant_id")
    assert list(owners) == [(user.pk, user.tenant_id) for user in (stage.admin, colleague, stranger)]
    assert [send(user, "createTask", {"title": "A"}) for user in (stage.admin, colleague, stranger)] == answers


# Refused and failed first tries


def test_a_refused_try_leaves_no_key_and_the_corrected_one_goes_through(stage: Stage) -> None:
    stage.order.save()
    values = {"id": encode_id("WorkOrder", stage.order.pk), "title": "Mine"}
    refused = send(stage.admin, "updateWorkOrder", {**values, "version": 1})
    assert (refused["__typename"], IdempotencyKey.unscoped.count()) == ("VersionConflict", 0)
    answer = send(stage.admin, "updateWorkOrder", {**values, "version": 2})
    assert (answer["title"], answer["version"]) == ("Mine", 3)
    assert send(stage.admin, "updateWorkOrder", {**values, "version": 2}) == answer


@pytest.mark.parametrize(
    ("name", "wrong", "code"),
    [
        ("createWorkOrder", {"title": ""}, "VALIDATION_FAILED"),
        ("createSite", {"latitude": 91.0}, "VALIDATION_FAILED"),
        ("updateTask", {"id": encode_id("Task", 99_999_999)}, "NOT_FOUND"),
        ("updateTicket", {"version": 7}, "VERSION_CONFLICT"),
        ("transitionWorkOrder", {"action": "APPROVE"}, "TRANSITION_NOT_ALLOWED"),
        ("transitionTask", {"assigneeId": None}, "VALIDATION_FAILED"),
        ("bulkTransitionTasks", {"items": []}, "VALIDATION_FAILED"),
        ("checkIn", {"latitude": None}, "VALIDATION_FAILED"),
        ("checkOut", {"version": 9}, "VERSION_CONFLICT"),
    ],
)
def test_no_refusal_of_any_kind_takes_the_key(stage: Stage, name: str, wrong: Input, code: str) -> None:
    before, values = state(), stage.input(name)
    assert send(stage.admin, name, {**values, **wrong})["errorCode"] == code
    assert state() == before
    assert done(send(stage.admin, name, values))
    assert state()[-1] == 1


def test_a_denied_try_leaves_no_key(stage: Stage, demo: Tenant) -> None:
    viewer = factories.user(demo, Role.VIEWER)
    assert send(viewer, "createTask", {"title": "A"})["errorCode"] == "PERMISSION_DENIED"
    assert IdempotencyKey.unscoped.count() == 0
    viewer.role = Role.TECHNICIAN
    viewer.save()
    assert done(send(viewer, "createTask", {"title": "A"}))


def test_a_bulk_that_was_held_back_leaves_no_key(stage: Stage, demo: Tenant) -> None:
    siteless = factories.work_order(demo)
    items = [{"id": encode_id("WorkOrder", order.pk), "version": 1} for order in (stage.order, siteless)]
    held_back = send(stage.admin, "bulkTransitionWorkOrders", {"items": items, "action": "SUBMIT"})
    assert (held_back["succeeded"], held_back["failed"]) == (0, 1)
    assert IdempotencyKey.unscoped.count() == 0
    siteless.site = stage.site
    siteless.save()
    items[1]["version"] = 2
    corrected = send(stage.admin, "bulkTransitionWorkOrders", {"items": items, "action": "SUBMIT"})
    assert corrected["succeeded"] == 2


@every_mutation
def test_a_failure_in_the_middle_undoes_all_and_the_retry_works(stage: Stage, name: str) -> None:
    values = stage.input(name)
    before = state()
    with listening(fail):
        code, _ = refusal(stage.admin, document(name), input={**values, "idempotencyKey": KEY})
    assert code == "INTERNAL"
    assert state() == before
    answer = send(stage.admin, name, values)
    assert done(answer)
    assert send(stage.admin, name, values) == answer
    assert state()[-2] - before[-2] == 1


# For a day


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets the time; freezegun's own kind of datetime is one that orjson does not write."""
    return lambda at: monkeypatch.setattr(timezone, "now", lambda: datetime.fromisoformat(at))


def test_a_key_is_remembered_for_a_day(stage: Stage, clock: Callable[[str], None]) -> None:
    assert timedelta(hours=24) == KEPT
    clock("2026-11-02T12:00:00+00:00")
    first = send(stage.admin, "createTask", {"title": "A"})
    clock("2026-11-03T11:59:59+00:00")
    assert send(stage.admin, "createTask", {"title": "A"}) == first
    assert refused_for_its_key(send(stage.admin, "createTask", {"title": "B"}))
    clock("2026-11-03T12:00:01+00:00")
    second = send(stage.admin, "createTask", {"title": "A"})
    assert second["id"] != first["id"]
    assert send(stage.admin, "createTask", {"title": "A"}) == second
    clock("2026-11-04T12:00:00+00:00")
    assert send(stage.admin, "createTask", {"title": "A"}) == second
    clock("2026-11-04T12:00:02+00:00")
    assert send(stage.admin, "createTask", {"title": "B"})["title"] == "B"
    assert (Task.unscoped.count(), IdempotencyKey.unscoped.count()) == (4, 1)


def test_an_expired_key_whose_retry_is_refused_is_left_as_it_was(stage: Stage, clock: Callable[[str], None]) -> None:
    clock("2026-11-02T12:00:00+00:00")
    send(stage.admin, "createTask", {"title": "A"})
    before = list(IdempotencyKey.unscoped.values())
    clock("2026-11-04T12:00:00+00:00")
    assert send(stage.admin, "createTask", {"title": ""})["errorCode"] == "VALIDATION_FAILED"
    assert list(IdempotencyKey.unscoped.values()) == before


# At the same time


def together(count: int, work: Callable[[], Any]) -> list[Any]:
    """Do the work in as many threads at the same time, each with a connection of its own."""
    barrier = Barrier(count)

    def run(_: int) -> Any:
        try:
            barrier.wait(timeout=20)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["createWorkOrder", "updateWorkOrder", "transitionWorkOrder", "bulkTransitionTasks"])
def test_ten_at_a_time_do_the_work_once_and_answer_the_same(name: str) -> None:
    stage = Stage(factories.tenant())
    values, before = stage.input(name), state()
    answers = together(10, lambda: json.dumps(send(stage.admin, name, values)))
    assert len(set(answers)) == 1
    assert done(json.loads(answers[0]))
    after = state()
    assert (after[-2] - before[-2], after[-1]) == (1, 1)
    assert WorkOrder.unscoped.count() == 1 + (name == "createWorkOrder")
    changed = Task if "Task" in name else WorkOrder
    assert changed.unscoped.latest("pk").version == (1 if "create" in name else 2)


@pytest.mark.django_db(transaction=True)
def test_when_the_first_of_ten_fails_the_next_does_the_work() -> None:
    stage, lock, calls = Stage(factories.tenant()), Lock(), iter(range(1000))

    def fail_once(**_: Any) -> None:
        with lock:
            if next(calls) == 0:
                raise ZeroDivisionError("This receiver fails the first time.")

    def work() -> str:
        try:
            return json.dumps(send(stage.admin, "createTask", {"title": "A"}))
        except AssertionError:
            return "failed"

    with listening(fail_once):
        answers = together(10, work)
    assert answers.count("failed") == 1
    assert len(set(answers)) == 2
    assert (Task.unscoped.count(), IdempotencyKey.unscoped.count()) == (2, 1)
    assert AuditEntry.unscoped.filter(entity_kind="Task").count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_ten_with_other_input_at_a_time_one_does_its_work() -> None:
    stage, numbers, lock = Stage(factories.tenant()), iter(range(1000)), Lock()

    def work() -> dict[str, Any]:
        with lock:
            number = next(numbers)
        return send(stage.admin, "createTask", {"title": f"Task {number}"})

    answers = together(10, work)
    assert [done(answer) for answer in answers].count(True) == 1
    assert all(done(answer) or refused_for_its_key(answer) for answer in answers)
    assert (Task.unscoped.count(), IdempotencyKey.unscoped.count()) == (2, 1)
