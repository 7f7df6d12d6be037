"""How entities live in the demo: the ways to each state, through the machines, and who takes which step when.

UPDATE is an edit: the supervisor assigns somebody to an order, a person checks out.
"""

from typing import Final

from apps.attendance.workflow import MACHINE as ATTENDANCE_MACHINE
from apps.attendance.workflow import AttendanceRecordStatus
from apps.helpdesk.workflow import MACHINE as TICKET_MACHINE
from apps.helpdesk.workflow import TicketStatus
from apps.tasks.workflow import MACHINE as TASK_MACHINE
from apps.tasks.workflow import TaskStatus
from apps.work_orders.workflow import MACHINE as ORDER_MACHINE
from apps.work_orders.workflow import WorkOrderStatus

from .lives import Turn, Workflow

HOLDS: Final = ("Waiting for spare part", "Area in use until Friday", "Waiting for permit", "Contractor delayed")
CANCELS: Final = (
    "Duplicate",
    "No longer needed, unit replaced",
    "Raised on the wrong asset",
    "Out of budget this year",
)
REJECTS: Final = ("Give more detail please", "Which one? There are two", "Already covered by the service contract")
REOPENS: Final = ("Fault came back after a day", "Still leaking", "Guard was not refitted")

ORDERS: Final = Workflow(
    ORDER_MACHINE,
    {
        "SUBMIT": Turn("author", 3),
        "APPROVE": Turn("boss", 20),
        "REJECT": Turn("boss", 24, REJECTS),
        "REVISE": Turn("author", 12),
        "UPDATE": Turn("boss", 8, sets="assignee_id"),
        "START": Turn("worker", 60),
        "HOLD": Turn("worker", 4, HOLDS),
        "RESUME": Turn("worker", 72),
        "COMPLETE": Turn("worker", 6),
        "REOPEN": Turn("boss", 30, REOPENS),
        "CLOSE": Turn("boss", 48),
        "CANCEL": Turn("boss", 96, CANCELS),
    },
    {
        WorkOrderStatus.DRAFT: ("", "", "", "", "SUBMIT REJECT REVISE"),
        WorkOrderStatus.SUBMITTED: ("SUBMIT", "SUBMIT", "SUBMIT REJECT REVISE SUBMIT"),
        WorkOrderStatus.APPROVED: ("SUBMIT APPROVE", "SUBMIT APPROVE UPDATE"),
        WorkOrderStatus.IN_PROGRESS: ("SUBMIT APPROVE UPDATE START", "SUBMIT APPROVE UPDATE START HOLD RESUME"),
        WorkOrderStatus.ON_HOLD: ("SUBMIT APPROVE UPDATE START HOLD",),
        WorkOrderStatus.COMPLETED: (
            "SUBMIT APPROVE UPDATE START COMPLETE",
            "SUBMIT APPROVE UPDATE START COMPLETE",
            "SUBMIT APPROVE UPDATE START HOLD RESUME COMPLETE",
            "SUBMIT APPROVE UPDATE START COMPLETE REOPEN COMPLETE",
        ),
        WorkOrderStatus.REJECTED: ("SUBMIT REJECT",),
        WorkOrderStatus.CLOSED: (
            "SUBMIT APPROVE UPDATE START COMPLETE CLOSE",
            "SUBMIT APPROVE UPDATE START COMPLETE CLOSE",
            "SUBMIT APPROVE UPDATE START HOLD RESUME COMPLETE CLOSE",
            "SUBMIT APPROVE UPDATE START COMPLETE REOPEN COMPLETE CLOSE",
        ),
        WorkOrderStatus.CANCELLED: (
            "CANCEL",
            "SUBMIT CANCEL",
            "SUBMIT APPROVE CANCEL",
            "SUBMIT APPROVE UPDATE START HOLD CANCEL",
        ),
    },
)
TASKS: Final = Workflow(
    TASK_MACHINE,
    {
        "ASSIGN": Turn("boss", 5, sets="assignee_id"),
        "START": Turn("worker", 20),
        "COMPLETE": Turn("worker", 2),
        "APPROVE": Turn("boss", 10),
        "REJECT": Turn("boss", 10, ("Torque values missing", "Not cleaned up", "Photo missing")),
        "CANCEL": Turn("boss", 24, CANCELS),
        "MISS": Turn("system", 200),
    },
    {
        TaskStatus.SCHEDULED: ("",),
        TaskStatus.ASSIGNED: ("ASSIGN",),
        TaskStatus.IN_PROGRESS: ("ASSIGN START", "ASSIGN START COMPLETE REJECT"),
        TaskStatus.COMPLETED: ("ASSIGN START COMPLETE", "ASSIGN START COMPLETE REJECT COMPLETE"),
        TaskStatus.APPROVED: ("ASSIGN START COMPLETE APPROVE",),
        TaskStatus.CANCELLED: ("CANCEL", "ASSIGN CANCEL"),
        TaskStatus.MISSED: ("MISS", "ASSIGN MISS"),
    },
)
TICKETS: Final = Workflow(
    TICKET_MACHINE,
    {
        "OPEN": Turn("worker", 2),
        "START": Turn("worker", 6),
        "HOLD": Turn("worker", 3, HOLDS),
        "RESUME": Turn("worker", 24),
        "RESOLVE": Turn(
            "worker", 5, ("Fixed on the spot", "Part replaced", "Reset and tested", "Cleaned, works again")
        ),
        "REOPEN": Turn("worker", 20, REOPENS),
        "CLOSE": Turn("boss", 40),
        "CANCEL": Turn("boss", 10, ("Duplicate", "Reported by mistake", "Not ours, passed on to the landlord")),
    },
    {
        TicketStatus.NEW: ("",),
        TicketStatus.OPEN: ("OPEN",),
        TicketStatus.IN_PROGRESS: ("OPEN START", "OPEN START HOLD RESUME"),
        TicketStatus.ON_HOLD: ("OPEN START HOLD",),
        TicketStatus.RESOLVED: ("OPEN START RESOLVE", "OPEN START RESOLVE REOPEN START RESOLVE"),
        TicketStatus.CLOSED: ("OPEN START RESOLVE CLOSE", "OPEN START HOLD RESUME RESOLVE CLOSE"),
        TicketStatus.CANCELLED: ("CANCEL", "OPEN CANCEL"),
    },
)
ATTENDANCE: Final = Workflow(
    ATTENDANCE_MACHINE,
    {
        "UPDATE": Turn("author", 8, sets="checked_out_at"),
        "APPROVE": Turn("boss", 24),
        "REJECT": Turn("boss", 24, ("Not on the rota", "Checked in from home", "Hours don't match the gate log")),
        "LOCK": Turn("admin", 96),
    },
    {
        AttendanceRecordStatus.PENDING: ("UPDATE", "UPDATE", "UPDATE", ""),
        AttendanceRecordStatus.APPROVED: ("UPDATE APPROVE", "UPDATE APPROVE", "UPDATE REJECT APPROVE"),
        AttendanceRecordStatus.REJECTED: ("UPDATE REJECT", "REJECT"),
        AttendanceRecordStatus.LOCKED: ("UPDATE APPROVE LOCK",),
    },
)
