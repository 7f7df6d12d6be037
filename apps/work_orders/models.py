"""Work orders."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps.accounts.constraints import SameTenant, contains_index, not_blank, one_of, required_in
from apps.accounts.fields import Reference
from apps.lifecycle.actors import SUPERVISOR, TECHNICIAN, Actor
from apps.lifecycle.editing import WORKER, Editing
from apps.lifecycle.models import NumberedEntity
from apps.lifecycle.priority import Priority, priority_rank
from apps.search.declaration import Searched

from .workflow import MACHINE, WorkOrderStatus

STARTED = [WorkOrderStatus.IN_PROGRESS, WorkOrderStatus.ON_HOLD, WorkOrderStatus.COMPLETED, WorkOrderStatus.CLOSED]


class WorkOrder(NumberedEntity):
    """A piece of work to be approved, done and closed."""

    machine: ClassVar = MACHINE
    free_text, public_text = ("title", "description"), ("external_id",)
    search: ClassVar = Searched(a=("number", "title"), c=("description",))
    editing: ClassVar = Editing(
        TECHNICIAN,
        ("title", "description", "priority", "site", "asset", "assignee", "due_at", "external_id"),
        only={"assignee": SUPERVISOR},
        fits={"assignee": WORKER},
    )
    number_prefix, number_kind = "WO", "work_order"
    has_open_task: bool
    """Computed by the queries that fetch the machine's annotations."""

    title = models.CharField(max_length=200, help_text="What is to be done, in a line.")
    description = models.TextField(blank=True, help_text="What is to be done, in full.")
    status = models.CharField(
        max_length=20, choices=WorkOrderStatus, default=WorkOrderStatus.DRAFT, help_text="Where the work order stands."
    )
    priority = models.CharField(max_length=20, choices=Priority, default=Priority.MEDIUM, help_text="How urgent it is.")
    priority_rank = priority_rank()
    site = Reference(
        "assets.Site", null=True, blank=True, related_name="work_orders", help_text="Where the work is to be done."
    )
    asset = Reference(
        "assets.Asset", null=True, blank=True, related_name="work_orders", help_text="What the work is to be done on."
    )
    assignee = Reference(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        related_name="assigned_work_orders",
        help_text="Who is to do the work.",
    )
    requested_by = Reference(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        related_name="requested_work_orders",
        help_text="Who asked for the work; empty for orders that were imported.",
    )
    due_at = models.DateTimeField(null=True, blank=True, help_text="By when the work is to be done.")
    started_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the work was first started."
    )
    completed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When the work was done.")
    closed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When the work was accepted.")
    external_id = models.CharField(  # noqa: DJ001 (orders without one must not equal each other)
        max_length=100, null=True, blank=True, help_text="The id in the system it came from."
    )

    class Meta:
        """Newest first; an index for each order and filter that lists are asked for."""

        ordering = ("-id",)
        constraints: ClassVar = [
            *NumberedEntity.Meta.constraints,
            models.UniqueConstraint(fields=["tenant", "serial"], name="workorder_serial_unique"),
            models.UniqueConstraint(fields=["tenant", "external_id"], name="workorder_external_id_unique"),
            not_blank("title", "workorder_title_not_blank"),
            one_of("status", WorkOrderStatus, "workorder_status_known"),
            one_of("priority", Priority, "workorder_priority_known"),
            required_in("started_at", STARTED, "workorder_started_at_set"),
            required_in("completed_at", STARTED[2:], "workorder_completed_at_set"),
            required_in("closed_at", STARTED[3:], "workorder_closed_at_set"),
            SameTenant(field="site", name="workorder_site_tenant"),
            SameTenant(field="asset", name="workorder_asset_tenant"),
            SameTenant(field="assignee", name="workorder_assignee_tenant"),
            SameTenant(field="requested_by", name="workorder_requester_tenant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "status", "due_at", "id"], name="workorder_status_due"),
            models.Index(fields=["tenant", "status", "id"], name="workorder_status"),
            models.Index(fields=["tenant", "due_at", "id"], name="workorder_due"),
            models.Index(fields=["tenant", "created_at", "id"], name="workorder_created"),
            models.Index(fields=["tenant", "updated_at", "id"], name="workorder_updated"),
            models.Index(fields=["tenant", "-priority_rank", "due_at", "id"], name="workorder_dispatch"),
            models.Index(fields=["site", "id"], name="workorder_site"),
            models.Index(fields=["site", "due_at", "id"], name="workorder_site_due"),
            models.Index(fields=["asset", "id"], name="workorder_asset"),
            models.Index(fields=["asset", "due_at", "id"], name="workorder_asset_due"),
            models.Index(fields=["assignee", "id"], name="workorder_assignee"),
            models.Index(fields=["assignee", "due_at", "id"], name="workorder_assignee_due"),
            models.Index(fields=["requested_by", "id"], name="workorder_requested_by"),
            contains_index("title", "workorder_title_contains"),
        ]

    def __str__(self) -> str:
        """Return the order's number and title."""
        return f"{self.number} {self.title}"

    def begin(self, actor: Actor) -> None:
        """Let whoever creates the order be the one who asked for the work."""
        self.requested_by_id = actor.pk
