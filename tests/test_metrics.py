"""What is counted: each metric moves by just what was done, and by nothing that was rolled back."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from apps.accounts.deadline import Deadline
from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.accounts.tokens import issue_token
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.lifecycle.errors import PermissionDeniedError
from apps.search.services import Question, search
from apps.tasks.models import Task
from apps.throttle.server import Server
from apps.work_orders.models import WorkOrder
from schema import metrics
from schema.documents import persisted
from schema.documents.persisted import _keep, kept
from schema.metrics import Names
from tests import factories
from tests.buckets import Valkey, use
from tests.counts import Moves, moves
from tests.graphql import execute, refusal
from tests.writing import bulk, fail, in_state, item, listening, many, move, mutate, target

DOMAIN: Final = (
    "bulk_operation_total",
    "bulk_operation_success_total",
    "state_transition_total",
    "state_transition_error_total",
    "concurrency_conflict_total",
    "audit_log_writes_total",
    "audit_log_write_failures_total",
)
CACHES: Final = ("redis_cache_requests_total", "redis_cache_hits_total")
REQUESTS: Final = "graphql_request_duration_seconds_count"
Commits = DjangoCaptureOnCommitCallbacks


@pytest.fixture
def commits(django_capture_on_commit_callbacks: Commits) -> Callable[[], Any]:
    """Return what does, at its end, what is to be done after the commit."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_a_transition_counts_once_it_is_committed(boss: User, commits: Any) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    with moves(*DOMAIN) as moved, commits():
        with moves(*DOMAIN) as before_commit:
            move(boss, ticket, "OPEN")
        assert before_commit == {}
    assert moved == {"state_transition_total Ticket OPEN": 1, "audit_log_writes_total": 1}


def test_a_transition_that_is_rolled_back_counts_as_none(boss: User, commits: Any) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    with moves(*DOMAIN) as moved, commits(), tenant_scope(boss.tenant_id), transaction.atomic():
        services.transition(Ticket, item(ticket), "OPEN", actor=boss)
        transaction.set_rollback(True)
    assert moved == {}


@pytest.mark.parametrize("action", ["START", "CLOSE"])
def test_a_refused_transition_counts_by_its_code(boss: User, commits: Any, action: str) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    with moves(*DOMAIN) as moved, commits():
        assert move(boss, ticket, action)["errorCode"] == "TRANSITION_NOT_ALLOWED"
    assert moved == {"state_transition_error_total Ticket TRANSITION_NOT_ALLOWED": 1}


def test_a_transition_that_fails_by_a_fault_of_ours_counts_as_internal(boss: User, commits: Any) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    with (
        moves(*DOMAIN) as moved,
        commits(),
        listening(fail),
        tenant_scope(boss.tenant_id),
        pytest.raises(ZeroDivisionError),
        transaction.atomic(),
    ):
        services.transition(Ticket, item(ticket), "OPEN", actor=boss)
    assert moved == {"state_transition_error_total Ticket INTERNAL": 1}


def sleep_in_the_database(**_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")


def sleep_between_statements(**_: Any) -> None:
    time.sleep(0.6)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("late", [sleep_in_the_database, sleep_between_statements])
def test_a_transition_that_takes_too_long_counts_by_the_code_that_its_client_is_told(
    boss: User, late: Callable[..., None]
) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    document = "mutation($input: TransitionTicketInput!) { transitionTicket(input: $input) { __typename } }"
    with moves(*DOMAIN) as moved, listening(late), Deadline(0.5):
        code, _ = refusal(boss, document, input={**target(ticket), "action": "OPEN"})
    connection.close()  # which keeps its last timeout
    assert code == "QUERY_TOO_COMPLEX"
    assert moved == {"state_transition_error_total Ticket QUERY_TOO_COMPLEX": 1}


def test_a_stale_transition_counts_as_a_conflict(boss: User, commits: Any) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    with moves(*DOMAIN) as moved, commits():
        stale = {**target(ticket), "version": ticket.version + 1}
        assert mutate(boss, "transitionTicket", **stale, action="OPEN")["errorCode"] == "VERSION_CONFLICT"
    assert moved == {
        "state_transition_error_total Ticket VERSION_CONFLICT": 1,
        "concurrency_conflict_total Ticket no": 1,
    }


def test_a_conflict_counts_as_refused_or_as_merged(boss: User, commits: Any) -> None:
    ticket = factories.ticket(boss.tenant)
    seen = target(ticket)
    with moves(*DOMAIN) as moved, commits():
        mutate(boss, "updateTicket", **seen, subject="Water")
        mutate(boss, "updateTicket", **seen, description="Much of it")
        mutate(boss, "updateTicket", **seen, description="Much of it", onConflict="MERGE")
    assert moved == {
        "concurrency_conflict_total Ticket no": 1,
        "concurrency_conflict_total Ticket merge": 1,
        "audit_log_writes_total": 2,
    }


def test_a_refused_edit_is_no_failed_transition(demo: Tenant, commits: Any) -> None:
    viewer, order = factories.user(demo, Role.VIEWER), factories.work_order(demo)
    with moves(*DOMAIN) as moved, commits():
        assert mutate(viewer, "updateWorkOrder", **target(order), title="New")["errorCode"] == "PERMISSION_DENIED"
    assert moved == {}


def test_a_bulk_counts_once_and_its_items_each(boss: User, commits: Any) -> None:
    tasks = many(Task, boss.tenant, 5, status="ASSIGNED", assignee=boss)
    with moves(*DOMAIN) as moved, commits():
        assert bulk(boss, Task, [target(task) for task in tasks], "START")["succeeded"] == 5
    assert moved == {
        "bulk_operation_total": 1,
        "bulk_operation_success_total": 1,
        "state_transition_total Task START": 5,
        "audit_log_writes_total": 5,
    }


def two_that_can_start_and_three_that_can_not(boss: User) -> list[Task]:
    assigned = many(Task, boss.tenant, 2, status="ASSIGNED", assignee=boss)
    return [*assigned, *many(Task, boss.tenant, 3, status="SCHEDULED")]


@pytest.mark.parametrize(
    ("on_error", "done"),
    [
        ("REJECT_ALL", {}),
        (
            "SKIP_FAILED",
            {
                "bulk_operation_success_total": 1,
                "state_transition_total Task START": 2,
                "audit_log_writes_total": 2,
            },
        ),
    ],
)
def test_a_bulk_with_refusals_succeeds_if_anything_went_through(
    boss: User, commits: Any, on_error: str, done: Moves
) -> None:
    tasks = [
        *many(Task, boss.tenant, 2, status="ASSIGNED", assignee=boss),
        *many(Task, boss.tenant, 3, status="SCHEDULED"),
    ]
    with moves(*DOMAIN) as moved, commits():
        assert bulk(boss, Task, [target(task) for task in tasks], "START", onError=on_error)["failed"] == 3
    assert moved == {
        "bulk_operation_total": 1,
        "state_transition_error_total Task TRANSITION_NOT_ALLOWED": 3,
        **done,
    }


def test_a_bulk_that_makes_no_sense_has_failed(boss: User, commits: Any) -> None:
    with moves(*DOMAIN) as moved, commits():
        assert bulk(boss, Task, [], "START")["errorCode"] == "VALIDATION_FAILED"
    assert moved == {"bulk_operation_total": 1, "state_transition_error_total Task VALIDATION_FAILED": 1}


def test_a_dry_run_counts_as_nothing(boss: User, commits: Any) -> None:
    tasks = [
        *many(Task, boss.tenant, 2, status="ASSIGNED", assignee=boss),
        *many(Task, boss.tenant, 3, status="SCHEDULED"),
    ]
    with moves(*DOMAIN) as moved, commits():
        bulk(boss, Task, [target(task) for task in tasks], "START", dryRun=True)
    assert moved == {}


def test_audit_entries_that_can_not_be_written_count_at_once(boss: User, commits: Any) -> None:
    tasks = many(Task, boss.tenant, 3, status="ASSIGNED", assignee=boss)
    with connection.cursor() as cursor:  # within the test's transaction
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_auditentry ADD CONSTRAINT never CHECK (action <> 'START') NOT VALID")
    with (
        moves(*DOMAIN) as moved,
        commits(),
        tenant_scope(boss.tenant_id),
        pytest.raises(IntegrityError, match="never"),
        transaction.atomic(),
    ):
        services.transition_many(Task, [item(task) for task in tasks], "START", actor=boss)
    assert moved == {
        "bulk_operation_total": 1,
        "state_transition_error_total Task INTERNAL": 1,
        "audit_log_write_failures_total": 3,
    }


def test_creating_counts_its_audit_entry_only(boss: User, commits: Any) -> None:
    with moves(*DOMAIN) as moved, commits(), tenant_scope(boss.tenant_id):
        services.create(WorkOrder, {"title": "Oil the door"}, actor=boss)
        with pytest.raises(PermissionDeniedError):
            services.create(WorkOrder, {"title": "No"}, actor=factories.user(boss.tenant, Role.VIEWER))
    assert moved == {"audit_log_writes_total": 2}  # the viewer's own among them


@pytest.mark.django_db(transaction=True)
def test_searches_count_by_whether_redis_had_the_answer() -> None:
    owner = factories.tenant()
    factories.work_order(owner, title="Grease the conveyor")
    names = (*CACHES, "search_duration_seconds_count")
    with moves(*names) as first, tenant_scope(owner.pk):
        search(owner.pk, Question("conveyor", (), 10))
    with moves(*names) as again, tenant_scope(owner.pk):
        search(owner.pk, Question("conveyor", (), 10))
        search(owner.pk, Question("conveyor", (), 10))
    assert first == {"redis_cache_requests_total search": 1, "search_duration_seconds_count false": 1}
    assert again == {
        "redis_cache_requests_total search": 2,
        "redis_cache_hits_total search": 2,
        "search_duration_seconds_count true": 2,
    }


def test_persisted_documents_count_as_looks_into_a_cache() -> None:
    name = "5f" * 32
    with moves(*CACHES) as moved:
        assert kept(name) is None
        _keep("{ me { id } }", name)
        assert kept(name) == "{ me { id } }"
        assert kept("no hash") is None  # nobody looks
    assert moved == {
        "redis_cache_requests_total persisted_documents": 2,
        "redis_cache_hits_total persisted_documents": 1,
    }


@pytest.fixture
def valkey(tmp_path: Path, settings: Settings) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        use(settings, server.url)
        yield server


def test_a_limit_that_is_met_counts_by_its_name(boss: User, valkey: Valkey, settings: Settings) -> None:
    with moves("rate_limit_hits_total") as moved:
        for _ in range(21):
            execute(boss, '{ search(query: "pump", first: 1) { totalCount } }')
    assert moved == {"rate_limit_hits_total search": 1}


def post(user: User, body: Any) -> Any:
    token, _ = issue_token(user=user)
    headers = {"Authorization": f"Bearer {token}"}
    return Client().post("/graphql", json.dumps(body), content_type="application/json", headers=headers)


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no operation yet; of those to come, two."""
    monkeypatch.setattr(metrics, "NAMES", Names(2))


def test_requests_count_by_operation_and_outcome(technician: User, no_names: None) -> None:
    with moves(REQUESTS) as moved:
        post(technician, {"query": "query Mine { me { id } }"})
        post(technician, {"query": "query Mine { me { id } }", "operationName": "Mine"})
        post(technician, {"query": "{ me { id } }"})
        post(technician, {"query": "{ nothing }"})
        post(technician, {"query": "query Mine { nothing }", "operationName": "Mine"})
        post(technician, [{"query": "{ me { id } }"}, {"query": "{ nothing }"}])
        post(technician, "neither an operation nor a batch")
        post(technician, {"query": '{ node(id: "nonsense") { id } }'})
    assert moved == {
        f"{REQUESTS} Mine ok": 2,
        f"{REQUESTS} Mine refused": 1,
        f"{REQUESTS} anonymous ok": 1,
        f"{REQUESTS} anonymous refused": 2,
        f"{REQUESTS} anonymous errors": 1,
        f"{REQUESTS} batch refused": 1,
    }


def test_requests_of_who_has_no_points_left_count_as_limited(technician: User, valkey: Valkey, no_names: None) -> None:
    with moves(REQUESTS) as moved:
        for _ in range(21):
            found = 'query Find { search(query: "ab", first: 1) { totalCount } }'
            post(technician, {"query": found, "operationName": "Find"})
    assert moved == {f"{REQUESTS} Find ok": 20, f"{REQUESTS} Find limited": 1}


def test_a_request_that_fails_outside_any_operation_counts_as_failed(
    technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("schema.http.protocol.answer_all", broken)
    with moves(REQUESTS) as moved:
        assert post(technician, {"query": "{ me { id } }"}).status_code == 500
    assert moved == {f"{REQUESTS} anonymous failed": 1}


def test_a_request_whose_resolver_fails_counts_as_failed(technician: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("schema.operation.answered", broken)
    with moves(REQUESTS) as moved:
        post(technician, {"query": "{ me { id } }"})
    assert moved == {f"{REQUESTS} anonymous failed": 1}


def test_clients_can_not_make_up_as_many_names_as_they_like(technician: User, no_names: None) -> None:
    with moves(REQUESTS) as moved:
        for name in ("Nothing", "A", "B", "C", "D", "A"):
            field = "nothing" if name == "Nothing" else "me { id }"
            post(technician, {"query": f"query {name} {{ {field} }}", "operationName": name})
    assert moved == {
        f"{REQUESTS} other refused": 1,
        f"{REQUESTS} A ok": 2,
        f"{REQUESTS} B ok": 1,
        f"{REQUESTS} other ok": 2,
    }


def test_a_name_that_is_too_long_is_none() -> None:
    assert Names(5).label("n" * 65, ran=True) == "other"


def test_the_names_of_registered_documents_are_told_apart(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "mine.graphql").write_text("query Registered { me { id } }")
    settings.TRUSTED_DOCUMENTS_PATH = [str(tmp_path)]
    assert Names(0).label("Registered", ran=False) == "Registered"
    assert Names(0).label("Other", ran=True) == "other"


def test_a_call_of_redis_that_is_away_counts_as_an_error(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted, "server", Server())  # which knows nothing yet
    valkey.kill()
    with moves("redis_connection_errors_total", *CACHES) as moved:
        assert kept("5f" * 32) is None
    assert moved == {"redis_connection_errors_total": 1, "redis_cache_requests_total persisted_documents": 1}
