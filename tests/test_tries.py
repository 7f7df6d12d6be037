"""A change that PostgreSQL ends for a deadlock is made again, and counts once: as what its client is told at last."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final

import psycopg
import pytest
from django.db import connection

from apps.accounts.models import User
from apps.helpdesk.models import Ticket
from project.backups import archive
from tests.counts import Moves, moves
from tests.graphql import refusal
from tests.pooling import forget_connections
from tests.test_metrics import DOMAIN
from tests.writing import bulk, in_state, move, nothing_changes, target

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE: Final = 30.0
"""How many seconds a thread is waited for."""


@pytest.fixture(autouse=True)
def as_long_as_it_takes() -> None:
    """Give the test connections that know of no time limit."""
    forget_connections()


class Rival(Thread):
    """Somebody who holds the trail, and wants a ticket as soon as its writer waits for the trail."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(daemon=True)
        self._key, self._writer = ticket.pk, connection.connection.info.backend_pid
        self.holds = Event()
        self.start()

    def run(self) -> None:
        with archive.session(archive._ours()) as own:
            own.execute("LOCK TABLE audit_auditentry IN EXCLUSIVE MODE")
            self.holds.set()
            self._await_writer(own)
            own.execute("SELECT FROM helpdesk_ticket WHERE id = %s FOR UPDATE", [self._key])
            own.rollback()

    def _await_writer(self, own: psycopg.Connection[Any]) -> None:
        asked, end = "SELECT FROM pg_locks WHERE pid = %s AND NOT granted", time.monotonic() + PATIENCE
        while not own.execute(asked, [self._writer]).fetchall() and time.monotonic() < end:
            time.sleep(0.01)
        # PostgreSQL lets each wait for a second before it looks for a circle, and ends who finds one: the writer.
        time.sleep(0.5)


@contextmanager
def deadlocks(times: int, ticket: Ticket) -> Iterator[None]:
    """Let so many tries to record a change of a ticket end in a deadlock, a real one."""
    rivals: list[Rival] = []

    def meet(execute: Callable[..., Any], sql: Any, *rest: Any) -> Any:
        if "INSERT INTO audit_auditentry" not in sql or len(rivals) == times:
            return execute(sql, *rest)
        rivals.append(Rival(ticket))
        assert rivals[-1].holds.wait(PATIENCE)
        try:
            return execute(sql, *rest)
        finally:
            rivals[-1].join(PATIENCE)  # who gets the ticket now, and must be done with it before the next try

    with connection.execute_wrapper(meet):
        yield
    assert [rival.is_alive() for rival in rivals] == [False] * times


def test_a_transition_that_went_through_in_the_end_has_not_failed(boss: User) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    with moves(*DOMAIN) as moved, deadlocks(1, ticket):
        assert move(boss, ticket, "OPEN")["status"] == "OPEN"
    assert moved == {"state_transition_total Ticket OPEN": 1, "audit_log_writes_total": 1}


def test_a_bulk_that_went_through_in_the_end_was_tried_once(boss: User) -> None:
    tickets = [in_state(Ticket, boss.tenant, "NEW") for _ in range(2)]
    with moves(*DOMAIN) as moved, deadlocks(1, tickets[0]):
        assert bulk(boss, Ticket, [target(ticket) for ticket in tickets], "OPEN")["succeeded"] == 2
    assert moved == {
        "bulk_operation_total": 1,
        "bulk_operation_success_total": 1,
        "state_transition_total Ticket OPEN": 2,
        "audit_log_writes_total": 2,
    }


SINGLE: Final = "mutation($input: TransitionTicketInput!) { transitionTicket(input: $input) { __typename } }"
MANY: Final = "mutation($input: BulkTransitionTicketsInput!) { bulkTransitionTickets(input: $input) { __typename } }"


@pytest.mark.parametrize(
    ("document", "tried"), [(SINGLE, {}), (MANY, {"bulk_operation_total": 1})], ids=["transition", "bulk"]
)
def test_what_fails_at_the_last_try_has_failed_once(boss: User, document: str, tried: Moves) -> None:
    ticket = in_state(Ticket, boss.tenant, "NEW")
    given = {"items": [target(ticket)]} if document is MANY else target(ticket)
    with moves(*DOMAIN) as moved, nothing_changes(), deadlocks(3, ticket):
        assert refusal(boss, document, input={**given, "action": "OPEN"})[0] == "INTERNAL"
    assert moved == {**tried, "state_transition_error_total Ticket INTERNAL": 1, "audit_log_write_failures_total": 1}
