"""How a request's statements come to go over another connection, and when they don't."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from prometheus_client import REGISTRY
from pytest_django import Settings

from apps.accounts.deadline import Deadline, ran_out_of_time
from apps.accounts.models import Tenant, User
from apps.accounts.prepared import prepared
from apps.accounts.tenancy import all_tenants
from apps.accounts.tokens import issue_token
from apps.replica import marks
from apps.replica.marks import UNREACHED, mark_of, note_write
from apps.replica.reads import Instead
from apps.replica.watch import watch
from apps.throttle.lines import lines
from project.replica import writes_noted
from schema.budget import client_of
from schema.busy import Busy
from tests.buckets import closed_port, fresh_server, until, use

BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture
def other(transactional_db: None) -> Iterator[BaseDatabaseWrapper]:
    """Return another connection to the same database."""
    made: BaseDatabaseWrapper = connections.create_connection(DEFAULT_DB_ALIAS)
    yield made
    if made.connection:
        made.connection.close()  # the pool is not to hand on what it has learnt of deadlines
    made.close()


@pytest.fixture
def with_replica(settings: Settings, db: None) -> Iterator[None]:
    """Let there be a replica in the settings; nobody reads from it here."""
    settings.REPLICA_URL = "postgresql://nowhere/none"
    yield
    watch.cache_clear()


def asked_in_each_way() -> set[int]:
    """Return which processes of PostgreSQL answer the ORM, a cursor and a prepared statement."""
    with connection.cursor() as cursor:
        cursor.execute(BACKEND)
        by_cursor = cursor.fetchone()[0]
    with all_tenants():
        first: Any = Tenant.objects.raw("SELECT 1 AS id, pg_backend_pid() AS backend")[0]
    return {by_cursor, first.backend, prepared(BACKEND)[0][0]}


def test_all_ways_to_ask_go_over_the_connection_that_stands_in(other: BaseDatabaseWrapper) -> None:
    own = asked_in_each_way()
    with Instead(other):
        instead = asked_in_each_way()

    assert len(own) == len(instead) == 1
    assert own != instead
    assert asked_in_each_way() == own


def test_the_connection_is_given_back_after_a_failure(other: BaseDatabaseWrapper) -> None:
    own = asked_in_each_way()
    with pytest.raises(DatabaseError), Instead(other):
        prepared("SELECT 1 / 0")

    assert asked_in_each_way() == own
    assert other.execute_wrappers == []


def test_the_deadline_of_a_request_holds_there_too(other: BaseDatabaseWrapper) -> None:
    with Deadline(0.2), Instead(other), pytest.raises(DatabaseError) as stopped:
        prepared("SELECT pg_sleep(10)")

    assert ran_out_of_time(stopped.value)


def test_the_time_that_is_spent_there_is_owed(other: BaseDatabaseWrapper) -> None:
    busy = Busy()
    with busy.measured(), Instead(other):
        prepared("SELECT pg_sleep(0.1)")

    assert busy.milliseconds >= 100


# Marks


def test_who_has_written_is_marked_with_the_end_of_the_log(with_replica: None) -> None:
    client = uuid4().hex
    before = end_of_log()
    note_write(client)

    assert before <= kept(client) <= end_of_log()
    assert mark_of(client) == kept(client)


def test_whose_mark_is_not_there_may_have_written_up_to_now_and_is_marked_once(
    with_replica: None, other: BaseDatabaseWrapper
) -> None:
    client = uuid4().hex
    note_write(client)
    lost = kept(client)
    write_something(other)
    lines().ask("DEL", marks._key(client))
    before = end_of_log()
    mark = mark_of(client) or 0
    write_something(other)

    assert lost < before <= mark < end_of_log()
    assert mark_of(client) == mark


def test_a_write_whose_place_in_the_log_cannot_be_told_is_after_all_that_a_replica_can_hold(
    with_replica: None, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    client = uuid4().hex
    with monkeypatch.context() as patch:
        patch.setattr(marks, "POSITION", "SELECT pg_no_such_function()")
        note_write(client)

    assert mark_of(client) == UNREACHED


def test_later_writes_do_not_prolong_that(
    with_replica: None, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    client = uuid4().hex
    monkeypatch.setattr(marks, "SPARE", 1)
    with monkeypatch.context() as patch:
        patch.setattr(marks, "POSITION", "SELECT pg_no_such_function()")
        note_write(client)
    note_write(client)
    assert mark_of(client) == UNREACHED
    until(lambda: mark_of(client) != UNREACHED)

    assert 0 < (mark_of(client) or 0) <= end_of_log()


def end_of_log() -> int:
    return int(prepared(marks.POSITION)[0][0])


def write_something(other: BaseDatabaseWrapper) -> None:
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, 'test', 'written')")


def kept(client: str) -> int:
    """Return the mark that Redis holds; 0 is none."""
    return int(lines().ask("GET", marks._key(client)) or 0)


def test_while_redis_is_away_no_mark_can_be_known_or_left_and_the_replica_is_not_trusted(
    with_replica: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(settings, f"redis://127.0.0.1:{closed_port()}")
    monkeypatch.setattr(marks, "server", fresh_server(monkeypatch))
    watched = watch()
    watched._thread, watched._good_until = object(), float("inf")  # type: ignore[assignment]
    assert watched.is_good

    assert mark_of("anybody") is None
    assert watched.is_good
    note_write("anybody")
    assert not watched.is_good


@pytest.mark.parametrize(("method", "marked"), [("POST", True), ("GET", False), ("HEAD", False)])
def test_who_posts_to_a_page_is_marked(
    with_replica: None, technician: User, rf: Any, method: str, marked: bool
) -> None:
    request = rf.generic(method, "/admin/")
    request.user = technician
    writes_noted(lambda _: None)(request)  # type: ignore[arg-type, return-value]

    assert bool(kept(client_of(technician))) is marked


def test_without_a_replica_nothing_is_marked(technician: User) -> None:
    token, _ = issue_token(user=technician)
    body = json.dumps({"query": 'mutation { createWorkOrder(input: {title: "Mend"}) { __typename } }'})
    headers = {"Authorization": f"Bearer {token}"}
    answer = Client().post("/graphql", body, content_type="application/json", headers=headers)

    assert answer.json()["data"]["createWorkOrder"]["__typename"] == "WorkOrder"
    assert kept(client_of(technician)) == 0


def test_without_a_replica_nothing_tells_how_old_it_is() -> None:
    told = {family.name for family in REGISTRY.collect()}

    assert "replica_reads" in told
    assert "replica_lag_seconds" not in told
