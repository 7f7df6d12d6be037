"""The life of a work order: its states, what its transitions demand, and the table of them."""

from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.db import models
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.lookups import Exact

from apps.accounts.roles import Role
from apps.lifecycle.actors import ASSIGNEE, SUPERVISOR, TECHNICIAN, Actor
from apps.lifecycle.machine import REQUIRED, Machine, Transition
from apps.lifecycle.rules import clears, guard, sets, sets_once

if TYPE_CHECKING:
    from .models import WorkOrder


class WorkOrderStatus(models.TextChoices):
    """Where a work order stands."""

    DRAFT = "DRAFT", "Being written"
    SUBMITTED = "SUBMITTED", "Waiting for approval"
    APPROVED = "APPROVED", "Approved, not started"
    IN_PROGRESS = "IN_PROGRESS", "Being worked on"
    ON_HOLD = "ON_HOLD", "Work is interrupted"
    COMPLETED = "COMPLETED", "Work is done, to be closed or reopened"
    REJECTED = "REJECTED", "Refused, to be revised"
    CLOSED = "CLOSED", "Done and accepted"
    CANCELLED = "CANCELLED", "Will not be done"


S = WorkOrderStatus


def has_open_task(prefix: str = "") -> Exists:
    """Return whether a task of the order under this prefix is still to be done, if the order is being worked on.

    The order's own status is part of the condition, because only COMPLETE asks: PostgreSQL then looks for the tasks of
    no other row of a list.
    """
    tasks = apps.get_model("tasks", "Task")
    in_progress = Exact(OuterRef(f"{prefix}status"), Value(S.IN_PROGRESS.value))
    own = Q(work_order=OuterRef(f"{prefix}pk"), status__in=tasks.OPEN)
    return Exists(tasks.unscoped.filter(own, in_progress))


@guard("needs a site", "site_id")
def has_site(order: "WorkOrder", _actor: Actor) -> str | None:
    """Object to an order that names no site."""
    return None if order.site_id else "Choose a site first."


@guard("not one's own request, unless ADMIN", "requested_by_id")
def is_not_own_request(order: "WorkOrder", actor: Actor) -> str | None:
    """Object to people who approve what they asked for."""
    if actor.role == Role.ADMIN or order.requested_by_id != actor.pk:
        return None
    return "This is your own request: let another supervisor or an admin approve it."


@guard("needs an assignee", "assignee_id")
def has_assignee(order: "WorkOrder", _actor: Actor) -> str | None:
    """Object to work that nobody is to do."""
    return None if order.assignee_id else "Assign somebody first."


@guard("no open task left", has_open_task=has_open_task)
def has_no_open_task(order: "WorkOrder", _actor: Actor) -> str | None:
    """Object to an order whose tasks are not all done, missed or cancelled."""
    return "Complete or cancel its open tasks first." if order.has_open_task else None


# fmt: off
MACHINE: Final = Machine(S.DRAFT, final=(S.CLOSED, S.CANCELLED), transitions=(
    #          action      from                         to             who
    Transition("SUBMIT",   (S.DRAFT,),                  S.SUBMITTED,   TECHNICIAN, guards=(has_site,)),
    Transition("APPROVE",  (S.SUBMITTED,),              S.APPROVED,    SUPERVISOR, guards=(is_not_own_request,)),
    Transition("REJECT",   (S.SUBMITTED,),              S.REJECTED,    SUPERVISOR, comment=REQUIRED),
    Transition("REVISE",   (S.REJECTED,),               S.DRAFT,       TECHNICIAN),
    Transition("START",    (S.APPROVED,),               S.IN_PROGRESS, ASSIGNEE | SUPERVISOR,
               guards=(has_assignee,), effects=(sets_once("started_at"),)),
    Transition("HOLD",     (S.IN_PROGRESS,),            S.ON_HOLD,     ASSIGNEE | SUPERVISOR, comment=REQUIRED),
    Transition("RESUME",   (S.ON_HOLD,),                S.IN_PROGRESS, ASSIGNEE | SUPERVISOR),
    Transition("COMPLETE", (S.IN_PROGRESS,),            S.COMPLETED,   ASSIGNEE | SUPERVISOR,
               guards=(has_no_open_task,), effects=(sets("completed_at"),)),
    Transition("REOPEN",   (S.COMPLETED,),              S.IN_PROGRESS, SUPERVISOR, comment=REQUIRED,
               effects=(clears("completed_at"),)),
    Transition("CLOSE",    (S.COMPLETED,),              S.CLOSED,      SUPERVISOR, effects=(sets("closed_at"),)),
    Transition("CANCEL",   (S.DRAFT, S.SUBMITTED, S.APPROVED, S.ON_HOLD),
                                                        S.CANCELLED,   SUPERVISOR, comment=REQUIRED),
))
# fmt: on
