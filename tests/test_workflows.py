"""What `manage.py check` proves of the state machines, and what `manage.py workflows` prints."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.core import checks
from django.core.management import call_command

from apps.lifecycle.actors import SUPERVISOR
from apps.lifecycle.checks import check_machine
from apps.lifecycle.machine import Machine, Transition
from apps.lifecycle.models import workflow_models
from apps.lifecycle.rules import guard, sets
from apps.tasks.models import Task
from apps.tasks.workflow import TaskStatus
from apps.work_orders.models import WorkOrder
from apps.work_orders.workflow import WorkOrderStatus as S
from tests.machines import FINAL, STATES, rows

SOUND = WorkOrder.machine


def ways(**changes: Transition | None) -> tuple[Transition, ...]:
    """Return the work order's transitions with some replaced, added or left out, by action."""
    named = {way.action: way for way in SOUND.transitions} | changes
    return tuple(way for way in named.values() if way)


def way(action: str) -> Transition:
    return next(each for each in SOUND.transitions if each.action == action)


def found(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    monkeypatch.setattr(WorkOrder, "machine", machine)
    return [(str(error.id), str(error.msg)) for error in checks.run_checks(tags=["lifecycle"])]


def test_the_declared_machines_are_sound() -> None:
    assert checks.run_checks(tags=["lifecycle"]) == []


guards_a_ghost = guard("needs a ghost", "ghost_id")(lambda _entity, _actor: None)
guards_an_object = guard("needs a site", "site")(lambda _entity, _actor: None)


@pytest.mark.parametrize(
    ("broken", "errors"),
    [
        (
            replace(SOUND, transitions=ways(REJECT=None)),
            [("E001", "WorkOrder never gets into REJECTED.")],
        ),
        (
            replace(SOUND, transitions=ways(START=None)),
            [
                (("E001"), f"WorkOrder never gets into {state}.")
                for state in ("IN_PROGRESS", "ON_HOLD", "COMPLETED", "CLOSED")
            ],
        ),
        (
            replace(SOUND, transitions=ways(REVISE=None)),
            [("E002", "WorkOrder never gets out of REJECTED.")],
        ),
        (
            replace(SOUND, final=(S.CLOSED, S.CANCELLED, S.REJECTED)),
            [("E003", "WorkOrder gets out of REJECTED, which is final.")],
        ),
        (
            replace(SOUND, transitions=ways(REVISE=replace(way("REVISE"), to_state=TaskStatus.SCHEDULED))),
            [("E004", "WorkOrder has the state SCHEDULED in REVISE.")],
        ),
        (
            replace(SOUND, transitions=ways(REVISE=replace(way("REVISE"), from_states=("REJECTD",)))),  # type: ignore[arg-type]
            [("E004", "WorkOrder has the state REJECTD in REVISE.")],
        ),
        (
            replace(SOUND, final=(S.CLOSED, TaskStatus.CANCELLED)),
            [("E004", "WorkOrder has the state CANCELLED in `final`.")],
        ),
        (
            replace(SOUND, transitions=(*SOUND.transitions, Transition("REVISE", (S.REJECTED,), S.DRAFT, SUPERVISOR))),
            [("E005", "WorkOrder has REVISE from REJECTED twice.")],
        ),
        (
            replace(SOUND, initial=S.SUBMITTED),
            [("E006", "WorkOrder starts in DRAFT, its machine in SUBMITTED.")],
        ),
        (
            replace(SOUND, transitions=ways(SUBMIT=replace(way("SUBMIT"), guards=(guards_a_ghost,)))),
            [("E007", "WorkOrder has no column ghost_id, which its machine names.")],
        ),
        (
            replace(SOUND, transitions=ways(SUBMIT=replace(way("SUBMIT"), guards=(guards_an_object,)))),
            [("E007", "WorkOrder has no column site, which its machine names.")],
        ),
        (
            replace(SOUND, transitions=ways(SUBMIT=replace(way("SUBMIT"), effects=(sets("submitted_at"),)))),
            [("E007", "WorkOrder has no column submitted_at, which its machine names.")],
        ),
        (
            replace(SOUND, transitions=ways(SUBMIT=replace(way("SUBMIT"), takes=("title",)))),
            [("E007", "WorkOrder has no relation title, which its machine takes.")],
        ),
        (Task.machine, [("E008", "WorkOrder has no status of the machine's states.")]),
        (None, [("E009", "WorkOrder has no state machine.")]),
    ],
)
def test_check_finds_what_is_unsound(
    broken: Any, errors: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(broken, monkeypatch) == [(f"lifecycle.{number}", message) for number, message in errors]


def test_a_found_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkOrder, "machine", replace(SOUND, transitions=ways(REVISE=None)))
    (error,) = check_machine(WorkOrder)
    assert (error.hint, error.obj) == ("Add a transition from it, or declare it final.", WorkOrder)


def test_the_entities_with_a_machine_are_the_four_of_the_tables() -> None:
    assert set(workflow_models()) == set(STATES)


def test_workflows_prints_each_machine_as_a_markdown_table(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("workflows", format="markdown")
    printed = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if line[:1] == "|"]
    actions = [line[0] for line in cells if line[0] not in {"action", "---"}]
    written = [row.action + "*" * row.comment for model in workflow_models() for row in rows(model).values()]
    assert actions == written
    assert [
        "START",
        "APPROVED",
        "IN_PROGRESS",
        "assignee, SUPERVISOR",
        "needs an assignee; sets startedAt once",
    ] in cells
    assert "**Attendance record** PENDING (initial), APPROVED, REJECTED, LOCKED (final)" in printed


def test_workflows_prints_columns_when_no_format_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("workflows")
    *_, record = capsys.readouterr().out.split("\n\n")
    assert record.splitlines() == [
        "Attendance record: PENDING (initial), APPROVED, REJECTED, LOCKED (final)",
        "  action   from               to        who         also",
        "  APPROVE  PENDING, REJECTED  APPROVED  SUPERVISOR  not one's own record",
        "  REJECT*  PENDING, APPROVED  REJECTED  SUPERVISOR",
        "  LOCK     APPROVED           LOCKED    ADMIN       payroll; needs checkedOutAt",
    ]


def test_workflows_prints_a_mermaid_diagram_of_each_machine(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("workflows", format="mermaid")
    fences = re.findall(r"```mermaid\n(.*?)```", capsys.readouterr().out, re.DOTALL)
    assert fences == [model.machine.diagram() for model in workflow_models()]
    assert [fence.count("--> [*]") for fence in fences] == [len(FINAL[model].split()) for model in workflow_models()]
