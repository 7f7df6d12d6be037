"""The life of a ticket: its states, and the table of its transitions."""

from typing import Final

from django.db import models

from apps.lifecycle.actors import SUPERVISOR, TECHNICIAN
from apps.lifecycle.machine import REQUIRED, Machine, Transition
from apps.lifecycle.rules import Effect, clears, sets


class TicketStatus(models.TextChoices):
    """Where a ticket stands."""

    NEW = "NEW", "Nobody has looked at it"
    OPEN = "OPEN", "Accepted, not started"
    IN_PROGRESS = "IN_PROGRESS", "Being worked on"
    ON_HOLD = "ON_HOLD", "Work is interrupted"
    RESOLVED = "RESOLVED", "Solved, to be closed or reopened"
    CLOSED = "CLOSED", "Solved and accepted"
    CANCELLED = "CANCELLED", "Will not be dealt with"


S = TicketStatus

takes_it_if_unassigned: Final = Effect(
    "takes it if unassigned", "assignee_id", lambda ticket, actor, _at: ticket.assignee_id or actor.pk
)

# fmt: off
MACHINE: Final = Machine(S.NEW, final=(S.CLOSED, S.CANCELLED), transitions=(
    #          action     from                          to             who
    Transition("OPEN",    (S.NEW,),                     S.OPEN,        TECHNICIAN),
    Transition("START",   (S.OPEN,),                    S.IN_PROGRESS, TECHNICIAN, effects=(takes_it_if_unassigned,)),
    Transition("HOLD",    (S.IN_PROGRESS,),             S.ON_HOLD,     TECHNICIAN, comment=REQUIRED),
    Transition("RESUME",  (S.ON_HOLD,),                 S.IN_PROGRESS, TECHNICIAN),
    Transition("RESOLVE", (S.IN_PROGRESS,),             S.RESOLVED,    TECHNICIAN, comment=REQUIRED,
               effects=(sets("resolved_at"),)),
    Transition("REOPEN",  (S.RESOLVED,),                S.OPEN,        TECHNICIAN, comment=REQUIRED,
               effects=(clears("resolved_at"),)),
    Transition("CLOSE",   (S.RESOLVED,),                S.CLOSED,      SUPERVISOR),
    Transition("CANCEL",  (S.NEW, S.OPEN, S.ON_HOLD),   S.CANCELLED,   SUPERVISOR, comment=REQUIRED),
))
# fmt: on
