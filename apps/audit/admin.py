"""The audit trail in the admin site: to be read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.accounts.adminsite.lists import NameFilter, choice
from apps.accounts.adminsite.records import ListAdmin

from .models import AuditEntry

SOURCE = choice("source")


@admin.register(AuditEntry)
class AuditEntryAdmin(ListAdmin):
    """Who changed what; nobody adds, changes or deletes an entry here."""

    list_display = ("at", "who", "action", "entity_kind", "entity_id", SOURCE)
    list_select_related = ("actor",)
    list_filter = (("source", NameFilter),)
    sortable_by = ("at",)
    search_fields = ("entity_id",)
    search_help_text = "The entity's number in the database."
    fields = (
        "at", "actor", "command", "action", "entity_kind", "entity_id", "entity_version", "change_list", "comment",
        "correlation_id", "operation_id", SOURCE,
    )  # fmt: skip
    readonly_fields = ("change_list", SOURCE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: entries are written by the changes themselves."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: what happened has happened."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: entries go when their time is up, by `prune_audit`."""
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the entries of the entity with this number."""
        if not search_term:
            return queryset, False
        number = search_term.strip()
        return (queryset.filter(entity_id=number) if number.isdecimal() else queryset.none()), False

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        """Return the name of the person, or of the command."""
        return entry.actor.name if entry.actor else entry.command

    @admin.display(description="changes")
    def change_list(self, entry: AuditEntry) -> SafeString:
        """Return the changes as a table."""
        rows = ((change["field"], change["before"], change["after"]) for change in entry.changes)
        body = format_html_join("", "<tr><th>{}</th><td>{}</td><td>{}</td></tr>", rows)
        return format_html("<table><tr><th>Field</th><th>Before</th><th>After</th></tr>{}</table>", body)
