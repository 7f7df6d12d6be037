"""Tasks."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from apps.accounts.constraints import SameTenant, contains_index, not_blank, one_of, required_in
from apps.accounts.fields import Reference
from apps.lifecycle.actors import TECHNICIAN
from apps.lifecycle.editing import WORKER, Editing, Fit
from apps.lifecycle.models import WorkflowEntity
from apps.search.declaration import Searched

from .workflow import MACHINE, OPEN, TaskStatus

DONE = [TaskStatus.COMPLETED, TaskStatus.APPROVED]


UNFINISHED = Fit(
    ~Q(status__in=["COMPLETED", "CLOSED", "CANCELLED"]),
    "Choose a work order that is still to be done: this one is completed, closed or cancelled.",
    held=True,
)


class Task(WorkflowEntity):
    """A step of a work order, or a job of its own, that one person does."""

    machine: ClassVar = MACHINE
    free_text = ("title", "description")
    search: ClassVar = Searched(a=("title",), c=("description",))
    editing: ClassVar = Editing(
        TECHNICIAN,
        ("title", "description", "work_order", "asset", "scheduled_at", "due_at"),
        fits={"assignee": WORKER, "work_order": UNFINISHED},
    )
    OPEN: ClassVar = OPEN
    """The states of a task that is still to be done."""

    title = models.CharField(max_length=200, help_text="What is to be done, in a line.")
    description = models.TextField(blank=True, help_text="What is to be done, in full.")
    status = models.CharField(
        max_length=20, choices=TaskStatus, default=TaskStatus.SCHEDULED, help_text="Where the task stands."
    )
    work_order = Reference(
        "work_orders.WorkOrder",
        null=True,
        blank=True,
        related_name="tasks",
        help_text="The work order that the task is a step of.",
    )
    asset = Reference(
        "assets.Asset", null=True, blank=True, related_name="tasks", help_text="What the task is done on."
    )
    assignee = Reference(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        related_name="assigned_tasks",
        help_text="Who is to do the task.",
    )
    scheduled_at = models.DateTimeField(null=True, blank=True, help_text="When the task is planned to start.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="By when the task is to be done.")
    completed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When the task was done.")

    class Meta:
        """Newest first; an index for each order and filter that lists are asked for."""

        ordering = ("-id",)
        constraints: ClassVar = [
            *WorkflowEntity.Meta.constraints,
            not_blank("title", "task_title_not_blank"),
            one_of("status", TaskStatus, "task_status_known"),
            required_in("assignee", [TaskStatus.ASSIGNED], "task_assignee_set"),
            required_in("completed_at", DONE, "task_completed_at_set"),
            SameTenant(field="work_order", name="task_work_order_tenant"),
            SameTenant(field="asset", name="task_asset_tenant"),
            SameTenant(field="assignee", name="task_assignee_tenant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "status", "due_at", "id"], name="task_status_due"),
            models.Index(fields=["tenant", "due_at", "id"], name="task_due"),
            models.Index(fields=["tenant", "scheduled_at", "id"], name="task_scheduled"),
            models.Index(fields=["tenant", "created_at", "id"], name="task_created"),
            models.Index(fields=["tenant", "updated_at", "id"], name="task_updated"),
            models.Index(fields=["work_order", "id"], name="task_work_order"),
            models.Index(fields=["asset", "id"], name="task_asset"),
            models.Index(fields=["assignee", "id"], name="task_assignee"),
            models.Index(fields=["assignee", "due_at", "id"], name="task_assignee_due"),
            contains_index("title", "task_title_contains"),
        ]

    def __str__(self) -> str:
        """Return the task's title."""
        return self.title
