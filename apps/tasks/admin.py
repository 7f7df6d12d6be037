"""Tasks in the admin site."""

from django.contrib import admin

from apps.accounts.adminsite.lists import NameFilter, choice, code
from apps.lifecycle.admin import WorkflowAdmin

from .models import Task

STATUS = choice("status")


@admin.register(Task)
class TaskAdmin(WorkflowAdmin):
    """Steps of work orders, and jobs of their own; who does them is decided by the transition ASSIGN."""

    list_display = ("title", STATUS, "work_order", code("asset"), "assignee", "scheduled_at", "due_at")
    list_display_links = ("title",)
    list_select_related = ("work_order", "asset", "assignee")
    list_filter = (("status", NameFilter),)
    sortable_by = ("scheduled_at", "due_at")
    search_fields = ("title",)
    autocomplete_fields = ("work_order", "asset")
    shown_first = (STATUS, "assignee")
    shown_last = ("completed_at",)
    sections = (
        ("", ("title", "description")),
        ("What it belongs to", ("work_order", "asset")),
        ("When", ("scheduled_at", "due_at")),
    )
