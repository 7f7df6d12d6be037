"""The life of a task: its states, and the table of its transitions."""

from typing import Final

from django.db import models

from apps.lifecycle.actors import ASSIGNEE, SUPERVISOR, SYSTEM
from apps.lifecycle.machine import REQUIRED, Machine, Transition
from apps.lifecycle.rules import sets


class TaskStatus(models.TextChoices):
    """Where a task stands."""

    SCHEDULED = "SCHEDULED", "Planned, nobody assigned"
    ASSIGNED = "ASSIGNED", "Somebody is to do it"
    IN_PROGRESS = "IN_PROGRESS", "Being worked on"
    COMPLETED = "COMPLETED", "Done, waiting for approval"
    APPROVED = "APPROVED", "Done and accepted"
    CANCELLED = "CANCELLED", "Will not be done"
    MISSED = "MISSED", "Nobody started it in time"


S = TaskStatus

OPEN: Final = (S.SCHEDULED, S.ASSIGNED, S.IN_PROGRESS)
"""The states of a task that is still to be done; one that waits for approval is done."""

# fmt: off
MACHINE: Final = Machine(S.SCHEDULED, final=(S.APPROVED, S.CANCELLED, S.MISSED), transitions=(
    #          action      from                                      to             who
    Transition("ASSIGN",   (S.SCHEDULED, S.ASSIGNED),                S.ASSIGNED,    SUPERVISOR, takes=("assignee",)),
    Transition("START",    (S.ASSIGNED,),                            S.IN_PROGRESS, ASSIGNEE | SUPERVISOR),
    Transition("COMPLETE", (S.IN_PROGRESS,),                         S.COMPLETED,   ASSIGNEE | SUPERVISOR,
               effects=(sets("completed_at"),)),
    Transition("APPROVE",  (S.COMPLETED,),                           S.APPROVED,    SUPERVISOR),
    Transition("REJECT",   (S.COMPLETED,),                           S.IN_PROGRESS, SUPERVISOR, comment=REQUIRED,
               note="rework"),
    Transition("CANCEL",   (S.SCHEDULED, S.ASSIGNED, S.IN_PROGRESS), S.CANCELLED,   SUPERVISOR, comment=REQUIRED),
    Transition("MISS",     (S.SCHEDULED, S.ASSIGNED),                S.MISSED,      SYSTEM,
               note="overdue"),
))
# fmt: on
