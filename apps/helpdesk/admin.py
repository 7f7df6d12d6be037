"""Tickets in the admin site."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from apps.accounts.adminsite.lists import NameFilter, choice, code
from apps.lifecycle.admin import WorkflowAdmin

from .models import Ticket

STATUS = choice("status")
PRIORITY = choice("priority", ordering="priority_rank")


@admin.register(Ticket)
class TicketAdmin(WorkflowAdmin):
    """What people reported."""

    list_display = (
        "number",
        "subject",
        STATUS,
        PRIORITY,
        code("site"),
        "assignee",
        "response_due_at",
        "resolution_due_at",
    )
    list_select_related = ("site", "assignee")
    list_filter = (("status", NameFilter), ("priority", NameFilter), "site")
    sortable_by = (PRIORITY, "response_due_at", "resolution_due_at")
    search_fields = ("subject",)
    search_help_text = "A number, or words of the subject."
    autocomplete_fields = ("site", "asset", "assignee", "work_order")
    shown_first = ("number", STATUS)
    shown_last = ("response_due_at", "resolution_due_at", "resolved_at")
    sections = (
        ("", ("subject", "description", "priority", "category")),
        ("Reported by", ("requester_name", "requester_email", "requester_phone")),
        ("Where", ("site", "asset")),
        ("What is done", ("assignee", "work_order")),
    )

    def save_model(self, request: HttpRequest, obj: Ticket, form: Any, change: bool) -> None:
        """Save the ticket; its deadlines follow from its priority, counted from when it was reported."""
        obj.settle(form.changed_data)
        super().save_model(request, obj, form, change)
