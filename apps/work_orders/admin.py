"""Work orders in the admin site."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.accounts.adminsite.lists import NameFilter, choice, code
from apps.lifecycle.admin import WorkflowAdmin

from .models import WorkOrder

STATUS = choice("status")
PRIORITY = choice("priority", ordering="priority_rank")


@admin.register(WorkOrder)
class WorkOrderAdmin(WorkflowAdmin):
    """Work to be approved, done and closed."""

    list_display = ("number", "title", STATUS, PRIORITY, code("site"), "assignee", "due_at")
    list_select_related = ("site", "assignee")
    list_filter = (("status", NameFilter), ("priority", NameFilter), "site")
    sortable_by = (PRIORITY, "due_at")
    search_fields = ("title",)
    search_help_text = "A number, or words of the title."
    autocomplete_fields = ("site", "asset", "assignee")
    shown_first = ("number", STATUS)
    shown_last = ("requested_by", "external_id", "started_at", "completed_at", "closed_at")
    sections = (
        ("", ("title", "description", "priority")),
        ("Where", ("site", "asset")),
        ("Who and when", ("assignee", "due_at")),
    )

    def save_model(self, request: HttpRequest, obj: WorkOrder, form: Any, change: bool) -> None:
        """Save the order; a new one is requested by whoever enters it, unless that is an operator from elsewhere."""
        if not change and form.acting.tenant_id == obj.tenant_id:
            obj.requested_by = form.acting
        super().save_model(request, obj, form, change)
