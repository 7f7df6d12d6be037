"""The four state machines against product.md's tables."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle.actors import SystemActor
from apps.lifecycle.machine import Machine, Refusal
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests.factories import NOON
from tests.machines import FINAL, ME, ROLES, SOMEBODY, STATES, Model, Person, entity, judge, rows


def every_case() -> Iterator[Any]:
    for model, states in STATES.items():
        for status in states.split():
            for action in rows(model):
                for role in ROLES:
                    for assigned in (False, True) if model is not AttendanceRecord else (False,):
                        case = f"{model.__name__}-{status}-{action}-{role}{'-assigned' * assigned}"
                        yield pytest.param(model, status, action, role, assigned, id=case)


@pytest.mark.parametrize(("model", "status", "action", "role", "assigned"), list(every_case()))
def test_an_actor_may_do_what_the_table_says_and_nothing_else(
    model: Model, status: str, action: str, role: str, assigned: bool
) -> None:
    row = rows(model)[action]
    thing = entity(model, status, **({"assignee_id": ME} if assigned else {}))
    verdict = judge(thing, action, role)

    refusal = None
    if status not in row.from_states:
        refusal = Refusal.WRONG_STATE
    elif not row.lets(role, assigned=assigned):
        refusal = Refusal.NOT_PERMITTED
    assert (verdict.refusal, verdict.requires_comment) == (refusal, row.comment)
    assert verdict.allowed is (verdict.reason is None) is (refusal is None)
    assert (action in thing.machine.available(thing, Person(ME, role))) is (refusal is None)
    assert thing.machine.next_state(action, status) == (row.to_state if status in row.from_states else None)


@pytest.mark.parametrize("model", STATES)
def test_a_machine_has_the_states_and_actions_of_its_table_in_its_order(model: Any) -> None:
    machine: Machine = model.machine
    names = STATES[model].split()
    assert [state.name for state in machine.states] == names
    assert [state.name for state in machine.states if state.initial] == names[:1]
    assert [state.name for state in machine.states if state.final] == FINAL[model].split()
    assert list(machine.action_names) == list(rows(model))


@pytest.mark.parametrize("model", STATES)
@pytest.mark.parametrize("role", ["VIEWER", "SYSTEM"])
def test_a_viewer_and_a_command_find_nothing_to_do_but_for_missed_tasks(model: Any, role: str) -> None:
    actor = SystemActor("close_overdue") if role == "SYSTEM" else Person(ME, role)
    found = {status: model.machine.available(entity(model, status), actor) for status in STATES[model].split()}
    missed = ["SCHEDULED", "ASSIGNED"] if (model, role) == (Task, "SYSTEM") else []
    assert {status: actions for status, actions in found.items() if actions} == {status: ["MISS"] for status in missed}


def test_the_roles_that_may_are_those_of_the_table() -> None:
    for model in STATES:
        for way in model.machine.transitions:
            roles = {role[0] for role in ROLES if role in way.who.roles}
            assert roles == {who for who in rows(model)[way.action].who if who in "TSA"}
            assert way.who.assignee is ("T?" in rows(model)[way.action].who)


def test_a_viewer_may_do_nothing_even_when_assigned() -> None:
    order = entity(WorkOrder, "APPROVED", assignee_id=ME)
    assert judge(order, "START", "VIEWER").reason == "Only the assigned technician or a supervisor may start."


def test_the_refusals_come_in_order_of_action_state_role_and_guards() -> None:
    draft = entity(WorkOrder, "DRAFT", site_id=None)
    asked = [("FIRE", "VIEWER"), ("APPROVE", "VIEWER"), ("SUBMIT", "VIEWER"), ("SUBMIT", "TECHNICIAN")]
    assert [judge(draft, action, role).refusal for action, role in asked] == list(Refusal)


def test_an_action_from_one_of_several_states_leads_to_its_one_state() -> None:
    assert Task.machine.next_state("CANCEL", "IN_PROGRESS") == "CANCELLED"
    assert Task.machine.next_state("CANCEL", "MISSED") is None
    assert Task.machine.next_state("FIRE", "MISSED") is None


PEOPLE = st.sampled_from([None, ME, SOMEBODY])
FIELDS: Final[dict[Model, dict[str, st.SearchStrategy[Any]]]] = {
    WorkOrder: {"site_id": st.sampled_from([None, 1]), "requested_by_id": PEOPLE, "assignee_id": PEOPLE},
    Task: {"assignee_id": PEOPLE},
    Ticket: {"assignee_id": PEOPLE},
    AttendanceRecord: {"person_id": st.sampled_from([ME, SOMEBODY]), "checked_out_at": st.sampled_from([None, NOON])},
}


@st.composite
def things(draw: st.DrawFn) -> Any:
    """Draw an entity in any state, with whatever its guards ask about."""
    model = draw(st.sampled_from(list(STATES)))
    fields = {name: draw(values) for name, values in FIELDS[model].items()}
    status = draw(st.sampled_from(STATES[model].split()))
    return entity(model, status, has_open_task=draw(st.booleans()), **fields)


@given(thing=things(), role=st.sampled_from(ROLES))
def test_the_available_actions_are_exactly_the_allowed_of_all_actions(thing: Any, role: str) -> None:
    machine: Machine = thing.machine
    actor = Person(ME, role)
    verdicts = machine.actions(thing, actor, include_blocked=True)
    assert [verdict.action for verdict in verdicts] == list(machine.action_names)
    assert machine.available(thing, actor) == [verdict.action for verdict in verdicts if verdict.allowed]
    assert machine.actions(thing, actor) == [verdict for verdict in verdicts if verdict.allowed]
    assert all(verdict.allowed or (verdict.reason or "").endswith(".") for verdict in verdicts)


def test_a_machine_names_what_a_list_must_fetch() -> None:
    assert {model.__name__: (set(model.machine.columns), set(model.machine.annotations)) for model in STATES} == {
        "WorkOrder": ({"status", "assignee_id", "site_id", "requested_by_id"}, {"has_open_task"}),
        "Task": ({"status", "assignee_id"}, set()),
        "Ticket": ({"status"}, set()),
        "AttendanceRecord": ({"status", "person_id", "checked_out_at"}, set()),
    }


def test_a_machine_names_the_columns_that_its_effects_write() -> None:
    assert {model.__name__: model.machine.written for model in STATES} == {
        "WorkOrder": ("started_at", "completed_at", "closed_at"),
        "Task": ("completed_at",),
        "Ticket": ("assignee_id", "resolved_at"),
        "AttendanceRecord": (),
    }


@pytest.mark.parametrize("model", STATES)
def test_a_diagram_draws_each_row_of_the_table_and_no_other(model: Any) -> None:
    head, *lines = model.machine.diagram().splitlines()
    arrows = [re.fullmatch(r"    (\[\*\]|\w+) --> (\[\*\]|\w+)(?:: (\w+))?", line) for line in lines]
    drawn = {arrow.groups() for arrow in arrows if arrow}
    moves = {(start, row.to_state, row.action) for row in rows(model).values() for start in row.from_states}
    begin = ("[*]", STATES[model].split()[0], None)
    assert head == "stateDiagram-v2"
    assert drawn == moves | {begin} | {(state, "[*]", None) for state in FINAL[model].split()}
    assert len(lines) == len(drawn)
