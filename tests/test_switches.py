"""Each switch, on and off: its feature is gone, all the rest works, and whoever asks is told."""

import json
import logging
from datetime import timedelta
from io import StringIO
from typing import Any, Final

import pytest
from django.core import checks
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.assets.models import Site
from apps.attendance.models import AttendanceRecord
from apps.audit.log import logger as audit_logger
from apps.audit.models import AuditEntry
from apps.helpdesk.models import Ticket
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from project.switches import SWITCHES, announce
from tests import factories
from tests.graphql import OBJECTS, data, everything_of, execute, lists_of, refusal
from tests.machines import Model
from tests.test_settings import PRODUCTION, run
from tests.test_slow import Keeping
from tests.writing import entries, gid, in_state, mutate, nothing_changes, stored, target

VARIABLES: Final = [setting for setting, _ in SWITCHES.values()]
WAYS: Final[dict[Model, tuple[str, str]]] = {
    WorkOrder: ("COMPLETED", "CLOSE"),
    Task: ("COMPLETED", "APPROVE"),
    Ticket: ("NEW", "OPEN"),
    AttendanceRecord: ("PENDING", "APPROVE"),
}
EACH: Final = pytest.mark.parametrize("model", WAYS)
EITHER: Final = pytest.mark.parametrize("on", [True, False], ids=["on", "off"])


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


@pytest.fixture
def order(demo: Tenant) -> WorkOrder:
    return factories.work_order(demo, title="Seal", description="On the roof")


@pytest.fixture
def no_bulk(settings: Settings) -> None:
    settings.ENABLE_BULK_OPERATIONS = False


@pytest.fixture
def no_audit(settings: Settings) -> None:
    settings.ENABLE_AUDIT_SIGNALS = False


def bulk_of(model: Model, *rows: Any, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return a document that takes rows through the model's way, and its variables."""
    name = f"bulkTransition{model.__name__}s"
    document = f"mutation($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{ __typename }} }}"
    return document, {"input": {"items": [target(row) for row in rows], "action": WAYS[model][1], **more}}


def row_of(model: Model, owner: Tenant) -> Any:
    person = {"person": factories.user(owner)} if model is AttendanceRecord else {}
    return in_state(model, owner, WAYS[model][0], **person)


def update(actor: User, row: Any, version: int, **given: Any) -> dict[str, Any]:
    return mutate(actor, f"update{type(row).__name__}", id=gid(row), version=version, **given)


@EACH
@pytest.mark.parametrize("dry_run", [False, True])
def test_without_bulk_operations_a_bulk_is_refused_and_changes_nothing(
    demo: Tenant, boss: User, model: Model, dry_run: bool, settings: Settings
) -> None:
    document, variables = bulk_of(model, row_of(model, demo), dryRun=dry_run)
    settings.ENABLE_BULK_OPERATIONS = False
    with nothing_changes():
        code, message = refusal(boss, document, **variables)
    assert code == "BAD_REQUEST"
    assert message.endswith("Send a mutation `transition...` for each entity.")
    settings.ENABLE_BULK_OPERATIONS = True
    assert "BulkTransitionReport" in json.dumps(data(boss, document, **variables))


@pytest.mark.parametrize(
    "bulk",
    ["bulkTransitionWorkOrders(input: $many) { __typename }", "...Hidden", "... on Mutation { ...Hidden }"],
)
def test_what_stands_beside_a_refused_bulk_does_not_run_either(
    no_bulk: None, order: WorkOrder, boss: User, bulk: str
) -> None:
    document = (
        "mutation($one: TransitionWorkOrderInput!, $many: BulkTransitionWorkOrdersInput!)"
        f" {{ transitionWorkOrder(input: $one) {{ __typename }} {bulk} }}"
        " fragment Hidden on Mutation { renamed: bulkTransitionWorkOrders(input: $many) { __typename } }"
    )
    document = document if "Hidden" in bulk else document.partition(" fragment")[0]
    one = {**target(order), "action": "CANCEL", "comment": "Not needed"}
    many = {"items": [target(order)], "action": "CANCEL", "comment": "Not needed"}
    with nothing_changes():
        assert refusal(boss, document, one=one, many=many)[0] == "BAD_REQUEST"


def test_a_bulk_that_is_skipped_is_no_bulk(no_bulk: None, order: WorkOrder, boss: User) -> None:
    document = (
        "mutation($many: BulkTransitionWorkOrdersInput!, $bulk: Boolean!)"
        " { __typename bulkTransitionWorkOrders(input: $many) @include(if: $bulk) { __typename } }"
    )
    many = {"items": [target(order)], "action": "CLOSE"}
    assert data(boss, document, many=many, bulk=False) == {"__typename": "Mutation"}
    assert refusal(boss, document, many=many, bulk=True)[0] == "BAD_REQUEST"


def test_over_http_a_refused_bulk_is_403_without_data_and_costs_nothing(
    no_bulk: None, order: WorkOrder, boss: User, client: Client
) -> None:
    document, variables = bulk_of(WorkOrder, order)
    answer = client.post(
        "/graphql",
        json.dumps({"query": document, "variables": variables}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {issue_token(user=boss)[0]}", "Accept": "application/graphql-response+json"},
    )
    body = answer.json()
    assert (answer.status_code, "data" in body) == (403, False)
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_REQUEST"]


@EACH
def test_without_bulk_operations_single_transitions_go_on(
    no_bulk: None, demo: Tenant, boss: User, model: Model
) -> None:
    row = row_of(model, demo)
    answer = mutate(boss, f"transition{model.__name__}", **target(row), action=WAYS[model][1])
    assert (answer["__typename"], stored(row)["version"]) == (model.__name__, row.version + 1)


def test_without_bulk_operations_overdue_tasks_are_closed(no_bulk: None, demo: Tenant) -> None:
    late = timezone.now() - timedelta(days=2)
    tasks = [factories.task(demo, status="SCHEDULED", scheduled_at=late, due_at=late) for _ in range(3)]
    call_command("close_overdue", stdout=StringIO())
    assert [stored(task)["status"] for task in tasks] == ["MISSED"] * 3


@EITHER
def test_changes_are_recorded_or_not_by_whatever_way_they_are_made(
    on: bool, demo: Tenant, boss: User, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    settings.ENABLE_AUDIT_SIGNALS = on
    lines: list[logging.LogRecord] = []
    handler = Keeping(lines)
    audit_logger.addHandler(handler)
    before = AuditEntry.unscoped.count()
    capture: DjangoCaptureOnCommitCallbacks = django_capture_on_commit_callbacks
    try:
        with capture(execute=True):
            order = factories.work_order(demo, status="DRAFT", site=None)
            update(boss, order, 1, title="Seal of the pump")
            tasks = [row_of(Task, demo) for _ in range(2)]
            document, variables = bulk_of(Task, *tasks)
            data(boss, document, **variables)
            asset_site = factories.site(demo)
            asset_site.name = "By hand"
            asset_site.save()
            asset_site.delete()
    finally:
        audit_logger.removeHandler(handler)
    written = AuditEntry.unscoped.count() - before
    logged = sum(record.getMessage().count("\n") + 1 for record in lines)
    assert (written, logged) == ((9, 9) if on else (0, 0))
    assert (stored(order)["version"], stored(order)["title"]) == (2, "Seal of the pump")
    assert [stored(task)["status"] for task in tasks] == ["APPROVED", "APPROVED"]
    assert not Site.unscoped.filter(pk=asset_site.pk or 0).exists()


def test_without_audit_earlier_history_stays_readable(order: WorkOrder, boss: User, settings: Settings) -> None:
    update(boss, order, 1, title="Seal of the pump")
    settings.ENABLE_AUDIT_SIGNALS = False
    update(boss, order, 2, title="Seal of the motor")
    document = (
        "query($id: ID!) { node(id: $id) { ... on WorkOrder"
        " { version title history(first: 10) { edges { node { action entityVersion } } } } } }"
    )
    shown = data(boss, document, id=gid(order))["node"]
    assert (shown["version"], shown["title"]) == (3, "Seal of the motor")
    told = {(edge["node"]["action"], edge["node"]["entityVersion"]) for edge in shown["history"]["edges"]}
    assert told == {("CREATE", 1), ("UPDATE", 2)}


@pytest.mark.parametrize("recorded", [(True, False), (False, True), (False, False)], ids=["end", "start", "all"])
@EITHER
def test_a_merge_is_not_safe_where_history_is_missing(
    on: bool, recorded: tuple[bool, bool], order: WorkOrder, boss: User, settings: Settings
) -> None:
    for version, kept in enumerate(recorded, 1):
        settings.ENABLE_AUDIT_SIGNALS = kept
        update(boss, order, version, title=f"Title {version}")
    settings.ENABLE_AUDIT_SIGNALS = on
    with nothing_changes():
        told = update(boss, order, 1, description="In the cellar", onConflict="MERGE")
    assert (told["__typename"], told["safeToMerge"]) == ("VersionConflict", False)
    assert (told["expectedVersion"], told["currentVersion"]) == (1, 3)
    assert "Not all that changed is on record" in told["message"]
    assert len(told["changes"]) == any(recorded)


def test_a_merge_is_safe_where_all_history_is_there_and_its_own_change_is_a_gap(
    order: WorkOrder, boss: User, settings: Settings
) -> None:
    update(boss, order, 1, title="Seal of the pump")
    settings.ENABLE_AUDIT_SIGNALS = False
    merged = update(boss, order, 1, description="In the cellar", onConflict="MERGE")
    assert (merged["__typename"], stored(order)["version"]) == ("WorkOrder", 3)
    again = update(boss, order, 2, priority="HIGH", onConflict="MERGE")
    assert (again["__typename"], again["safeToMerge"], again["changes"]) == ("VersionConflict", False, [])


def test_a_stale_bulk_is_told_of_the_gap(order: WorkOrder, boss: User, no_audit: None) -> None:
    update(boss, order, 1, title="Seal of the pump")
    answer = mutate(
        boss,
        "bulkTransitionWorkOrders",
        items=[{"id": gid(order), "version": 1}],
        action="CANCEL",
        comment="Not needed",
        onError="SKIP_FAILED",
    )
    (result,) = answer["results"]
    assert (result["error"]["errorCode"], result["error"]["safeToMerge"]) == ("VERSION_CONFLICT", False)
    assert stored(order)["version"] == 2


def test_without_audit_a_repeated_request_is_done_once(no_audit: None, order: WorkOrder, boss: User) -> None:
    first, second = (update(boss, order, 1, title="Seal of the pump", idempotencyKey="key-1") for _ in range(2))
    assert first == second
    assert (stored(order)["version"], len(entries(order))) == (2, 0)


def test_without_audit_old_entries_are_pruned(order: WorkOrder, boss: User, settings: Settings) -> None:
    old = AuditEntry.unscoped.create(
        tenant=order.tenant,
        at=timezone.now() - timedelta(days=400),
        command="test",
        action="UPDATE",
        entity_kind="WorkOrder",
        entity_id=order.pk,
        entity_version=1,
        source="command",
    )
    settings.ENABLE_AUDIT_SIGNALS = False
    call_command("prune_audit", stdout=StringIO())
    assert not AuditEntry.unscoped.filter(pk=old.pk).exists()


@EITHER
def test_the_system_check_warns_while_changes_are_not_recorded(on: bool, settings: Settings) -> None:
    settings.ENABLE_AUDIT_SIGNALS = on
    found = [message.id for message in checks.run_checks(tags=["audit"])]
    assert found == ([] if on else ["audit.W001"])


@pytest.mark.django_db
@pytest.mark.parametrize("name", SWITCHES)
def test_whoever_asks_is_told_what_is_off(
    name: str, settings: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    setting, without = SWITCHES[name]
    setattr(settings, setting, False)
    announce()
    shown = {each: REGISTRY.get_sample_value("feature_enabled", {"feature": each}) for each in SWITCHES}
    assert shown == {each: float(each != name) for each in SWITCHES}
    assert [record.getMessage() for record in caplog.records] == [f"Turned off: {setting} ({without})"]
    assert caplog.records[0].levelno == logging.WARNING
    answer = client.get("/readyz")
    assert answer.json()["switches"] == {each: "off" if each == name else "on" for each in SWITCHES}
    assert answer.status_code == 200
    setattr(settings, setting, True)
    caplog.clear()
    announce()
    assert REGISTRY.get_sample_value("feature_enabled", {"feature": name}) == 1
    assert caplog.records == []


def test_a_worker_says_what_is_off_in_one_line_when_it_starts() -> None:
    off = dict.fromkeys(VARIABLES, "0")
    started = run("-c", "import warnings; warnings.simplefilter('ignore'); import project.wsgi", **PRODUCTION | off)
    assert started.returncode == 0, started.stderr
    (line,) = [line for line in started.stderr.splitlines() if "Turned off" in line]
    assert "WARNING" in line
    assert all(name in line for name in VARIABLES)


@pytest.mark.parametrize("name", lists_of(OBJECTS["Query"]))
def test_with_all_switches_off_lists_answer_the_same(
    name: str, demo: Tenant, boss: User, settings: Settings, without_cost_limit: None
) -> None:
    for model in WAYS:
        row_of(model, demo)
    kind = lists_of(OBJECTS["Query"])[name]
    document = f"{{ {name}(first: 5) {{ edges {{ cursor node {everything_of(kind, 1)} }} }} }}"
    shown = data(boss, document)
    for variable in VARIABLES:
        setattr(settings, variable, False)
    assert data(boss, document) == shown


def test_with_all_switches_off_work_orders_live_and_are_found(demo: Tenant, boss: User, settings: Settings) -> None:
    for variable in VARIABLES:
        setattr(settings, variable, False)
    site = factories.site(demo)
    made = mutate(boss, "createWorkOrder", title="Chiller leaking", siteId=gid(site), assigneeId=gid(boss))
    for version, action in enumerate(["SUBMIT", "APPROVE", "START", "COMPLETE", "CLOSE"], 1):
        moved = mutate(boss, "transitionWorkOrder", id=made["id"], version=version, action=action)
        assert moved["__typename"] == "WorkOrder", moved
    assert (WorkOrder.unscoped.get().status, AuditEntry.unscoped.filter(entity_kind="WorkOrder").count()) == (
        "CLOSED",
        0,
    )
    answer = execute(
        boss, '{ search(query: "chiler", first: 5) { edges { node { __typename } } } rateLimit { limit } }'
    )
    assert not answer.errors, answer.errors
    assert answer.data is not None
    assert (len(answer.data["search"]["edges"]), answer.data["rateLimit"]) == (1, None)
