"""Helpdesk tickets."""

from collections.abc import Collection
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.constraints import SameTenant, contains_index, not_blank, one_of, required_in
from apps.accounts.fields import Reference
from apps.lifecycle.actors import SUPERVISOR, TECHNICIAN
from apps.lifecycle.editing import WORKER, Editing
from apps.lifecycle.models import NumberedEntity
from apps.lifecycle.priority import Priority, priority_rank
from apps.search.declaration import Searched

from .deadlines import deadlines
from .workflow import MACHINE, TicketStatus

SOLVED = [TicketStatus.RESOLVED, TicketStatus.CLOSED]


class Ticket(NumberedEntity):
    """What somebody reported, and by when they were promised an answer."""

    machine: ClassVar = MACHINE
    personal = ("requester_name", "requester_email", "requester_phone")
    free_text = ("subject", "description", "category")
    search: ClassVar = Searched(a=("number", "subject"), b=("category",), c=("description",))
    editing: ClassVar = Editing(
        TECHNICIAN,
        (
            "subject",
            "description",
            "priority",
            "category",
            "requester_name",
            "requester_email",
            "requester_phone",
            "site",
            "asset",
            "assignee",
            "work_order",
        ),
        only={"assignee": SUPERVISOR},
        fits={"assignee": WORKER},
    )
    number_prefix, number_kind = "T", "ticket"

    subject = models.CharField(max_length=200, help_text="What is the matter, in a line.")
    description = models.TextField(blank=True, help_text="What is the matter, in full.")
    status = models.CharField(
        max_length=20, choices=TicketStatus, default=TicketStatus.NEW, help_text="Where the ticket stands."
    )
    priority = models.CharField(max_length=20, choices=Priority, default=Priority.MEDIUM, help_text="How urgent it is.")
    priority_rank = priority_rank()
    category = models.CharField(max_length=100, blank=True, help_text="What kind of matter it is.")
    requester_name = models.CharField(max_length=200, blank=True, help_text="Who reported it.")
    requester_email = models.EmailField(blank=True, help_text="The reporter's e-mail address.")
    requester_phone = models.CharField(max_length=40, blank=True, help_text="The reporter's telephone number.")
    site = Reference("assets.Site", null=True, blank=True, related_name="tickets", help_text="Where the matter is.")
    asset = Reference(
        "assets.Asset", null=True, blank=True, related_name="tickets", help_text="What the matter is with."
    )
    assignee = Reference(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        related_name="assigned_tickets",
        help_text="Who deals with the ticket.",
    )
    work_order = Reference(
        "work_orders.WorkOrder",
        null=True,
        blank=True,
        related_name="tickets",
        help_text="The order that was raised from the ticket.",
    )
    response_due_at = models.DateTimeField(editable=False, help_text="By when somebody must have looked at it.")
    resolution_due_at = models.DateTimeField(editable=False, help_text="By when it must be solved.")
    resolved_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When it was solved.")

    class Meta:
        """Newest first; an index for each order and filter that lists are asked for."""

        ordering = ("-id",)
        constraints: ClassVar = [
            *NumberedEntity.Meta.constraints,
            models.UniqueConstraint(fields=["tenant", "serial"], name="ticket_serial_unique"),
            not_blank("subject", "ticket_subject_not_blank"),
            one_of("status", TicketStatus, "ticket_status_known"),
            one_of("priority", Priority, "ticket_priority_known"),
            required_in("resolved_at", SOLVED, "ticket_resolved_at_set"),
            SameTenant(field="site", name="ticket_site_tenant"),
            SameTenant(field="asset", name="ticket_asset_tenant"),
            SameTenant(field="assignee", name="ticket_assignee_tenant"),
            SameTenant(field="work_order", name="ticket_work_order_tenant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "status", "resolution_due_at", "id"], name="ticket_status_due"),
            models.Index(fields=["tenant", "resolution_due_at", "id"], name="ticket_resolution_due"),
            models.Index(fields=["tenant", "response_due_at", "id"], name="ticket_response_due"),
            models.Index(fields=["tenant", "created_at", "id"], name="ticket_created"),
            models.Index(fields=["tenant", "updated_at", "id"], name="ticket_updated"),
            models.Index(fields=["tenant", "-priority_rank", "resolution_due_at", "id"], name="ticket_dispatch"),
            models.Index(fields=["site", "id"], name="ticket_site"),
            models.Index(fields=["asset", "id"], name="ticket_asset"),
            models.Index(fields=["work_order", "id"], name="ticket_work_order"),
            models.Index(fields=["assignee", "id"], name="ticket_assignee"),
            contains_index("subject", "ticket_subject_contains"),
        ]

    def __str__(self) -> str:
        """Return the ticket's number and subject."""
        return f"{self.number} {self.subject}"

    def settle(self, changed: Collection[str]) -> None:
        """Promise an answer and a solution, counted from when the matter was reported."""
        if "priority" in changed or self.response_due_at is None:
            self.response_due_at, self.resolution_due_at = deadlines(self.priority, self.created_at)

    @property
    def sla_breached(self) -> bool:
        """Tell whether a promised time has passed: unanswered past the response, or unsolved past the resolution."""
        now = timezone.now()
        if self.status == TicketStatus.CANCELLED:
            return False
        unanswered = self.status == TicketStatus.NEW and now > self.response_due_at
        return unanswered or (self.resolved_at or now) > self.resolution_due_at


def breaches_sla(now: datetime, prefix: str = "") -> Q:
    """Return the condition that `Ticket.sla_breached` states, for a query."""
    solved_late = Q(**{f"{prefix}resolved_at__gt": models.F(f"{prefix}resolution_due_at")})
    unsolved = Q(**{f"{prefix}resolved_at__isnull": True, f"{prefix}resolution_due_at__lt": now})
    unanswered = Q(**{f"{prefix}status": TicketStatus.NEW, f"{prefix}response_due_at__lt": now})
    return (solved_late | unsolved | unanswered) & ~Q(**{f"{prefix}status": TicketStatus.CANCELLED})
