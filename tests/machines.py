"""product.md's four state machines, written out by hand, and entities and actors to try them with."""

from typing import Any, Final, NamedTuple

from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle.machine import Verdict
from apps.lifecycle.models import WorkflowEntity
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests.factories import NOON

ME, SOMEBODY = 7, 8
ROLES = ("VIEWER", "TECHNICIAN", "SUPERVISOR", "ADMIN")

Model = type[WorkflowEntity]

STATES: Final[dict[Model, str]] = {
    WorkOrder: "DRAFT SUBMITTED APPROVED IN_PROGRESS ON_HOLD COMPLETED REJECTED CLOSED CANCELLED",
    Task: "SCHEDULED ASSIGNED IN_PROGRESS COMPLETED APPROVED CANCELLED MISSED",
    Ticket: "NEW OPEN IN_PROGRESS ON_HOLD RESOLVED CLOSED CANCELLED",
    AttendanceRecord: "PENDING APPROVED REJECTED LOCKED",
}
FINAL: Final[dict[Model, str]] = {
    WorkOrder: "CLOSED CANCELLED",
    Task: "APPROVED CANCELLED MISSED",
    Ticket: "CLOSED CANCELLED",
    AttendanceRecord: "LOCKED",
}

# action (* = a comment is required) | from | to | who may, of VIEWER TECHNICIAN SUPERVISOR ADMIN
# In "who", T? is a technician who is the assignee: -T?SA = the assigned technician, supervisors and admins.
TABLES: Final[dict[Model, str]] = {
    WorkOrder: """
        SUBMIT   | DRAFT                              | SUBMITTED   | T S A
        APPROVE  | SUBMITTED                          | APPROVED    | S A
        REJECT*  | SUBMITTED                          | REJECTED    | S A
        REVISE   | REJECTED                           | DRAFT       | T S A
        START    | APPROVED                           | IN_PROGRESS | T? S A
        HOLD*    | IN_PROGRESS                        | ON_HOLD     | T? S A
        RESUME   | ON_HOLD                            | IN_PROGRESS | T? S A
        COMPLETE | IN_PROGRESS                        | COMPLETED   | T? S A
        REOPEN*  | COMPLETED                          | IN_PROGRESS | S A
        CLOSE    | COMPLETED                          | CLOSED      | S A
        CANCEL*  | DRAFT SUBMITTED APPROVED ON_HOLD   | CANCELLED   | S A
    """,
    Task: """
        ASSIGN   | SCHEDULED ASSIGNED                 | ASSIGNED    | S A
        START    | ASSIGNED                           | IN_PROGRESS | T? S A
        COMPLETE | IN_PROGRESS                        | COMPLETED   | T? S A
        APPROVE  | COMPLETED                          | APPROVED    | S A
        REJECT*  | COMPLETED                          | IN_PROGRESS | S A
        CANCEL*  | SCHEDULED ASSIGNED IN_PROGRESS     | CANCELLED   | S A
        MISS     | SCHEDULED ASSIGNED                 | MISSED      | system
    """,
    Ticket: """
        OPEN     | NEW                                | OPEN        | T S A
        START    | OPEN                               | IN_PROGRESS | T S A
        HOLD*    | IN_PROGRESS                        | ON_HOLD     | T S A
        RESUME   | ON_HOLD                            | IN_PROGRESS | T S A
        RESOLVE* | IN_PROGRESS                        | RESOLVED    | T S A
        REOPEN*  | RESOLVED                           | OPEN        | T S A
        CLOSE    | RESOLVED                           | CLOSED      | S A
        CANCEL*  | NEW OPEN ON_HOLD                   | CANCELLED   | S A
    """,
    AttendanceRecord: """
        APPROVE  | PENDING REJECTED                   | APPROVED    | S A
        REJECT*  | PENDING APPROVED                   | REJECTED    | S A
        LOCK     | APPROVED                           | LOCKED      | A
    """,
}


class Row(NamedTuple):
    """One row of a table above."""

    action: str
    comment: bool
    from_states: list[str]
    to_state: str
    who: list[str]

    def lets(self, role: str, *, assigned: bool) -> bool:
        return role[0] in self.who or (assigned and f"{role[0]}?" in self.who)


class Person(NamedTuple):
    """An actor."""

    pk: int
    role: str


def rows(model: Model) -> dict[str, Row]:
    cells = [[cell.strip() for cell in line.split("|")] for line in TABLES[model].strip().splitlines()]
    found = [Row(a.rstrip("*"), a.endswith("*"), start.split(), end, who.split()) for a, start, end, who in cells]
    return {row.action: row for row in found}


def entity(model: Any, status: str, **fields: Any) -> Any:
    """Return a row that satisfies every guard, when ME asks."""
    ready: dict[Model, dict[str, Any]] = {
        WorkOrder: {"site_id": 1, "requested_by_id": SOMEBODY, "assignee_id": SOMEBODY},
        Task: {"assignee_id": SOMEBODY},
        Ticket: {"assignee_id": SOMEBODY},
        AttendanceRecord: {"person_id": SOMEBODY, "checked_out_at": NOON},
    }
    open_task = fields.pop("has_open_task", False)
    made = model(status=status, **{**ready[model], **fields})
    made.has_open_task = open_task
    return made


def judge(thing: Any, action: str, role: str = "ADMIN", pk: int = ME) -> Verdict:
    verdict: Verdict = thing.machine.judge(thing, action, Person(pk, role))
    return verdict
