"""The life of an attendance record: its states, what its transitions demand, and the table of them."""

from typing import TYPE_CHECKING, Final

from django.db import models

from apps.lifecycle.actors import ADMIN, SUPERVISOR, Actor
from apps.lifecycle.machine import REQUIRED, Machine, Transition
from apps.lifecycle.rules import guard

if TYPE_CHECKING:
    from .models import AttendanceRecord


class AttendanceRecordStatus(models.TextChoices):
    """Where an attendance record stands."""

    PENDING = "PENDING", "Waiting for approval"
    APPROVED = "APPROVED", "Accepted"
    REJECTED = "REJECTED", "Refused"
    LOCKED = "LOCKED", "Handed to payroll"


S = AttendanceRecordStatus


@guard("not one's own record", "person_id")
def is_not_own_record(record: "AttendanceRecord", actor: Actor) -> str | None:
    """Object to people who approve their own hours, whatever their role."""
    return None if record.person_id != actor.pk else "This is your own record: let somebody else approve it."


@guard("needs checkedOutAt", "checked_out_at")
def is_checked_out(record: "AttendanceRecord", _actor: Actor) -> str | None:
    """Object to a record without an end: payroll can't count its hours."""
    return None if record.checked_out_at else "Check the person out first."


# fmt: off
MACHINE: Final = Machine(S.PENDING, final=(S.LOCKED,), transitions=(
    #          action     from                     to          who
    Transition("APPROVE", (S.PENDING, S.REJECTED), S.APPROVED, SUPERVISOR, guards=(is_not_own_record,)),
    Transition("REJECT",  (S.PENDING, S.APPROVED), S.REJECTED, SUPERVISOR, comment=REQUIRED),
    Transition("LOCK",    (S.APPROVED,),           S.LOCKED,   ADMIN,      guards=(is_checked_out,), note="payroll"),
))
# fmt: on
