"""The audit trail."""

from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.constraints import SameTenant, one_of
from apps.accounts.fields import Reference
from apps.accounts.origin import AuditSource
from apps.accounts.tenancy import TenantManager


class AppendOnlyError(TypeError):
    """Raised when an entry of the audit trail would be changed or deleted."""

    def __init__(self) -> None:
        """Say what removes entries."""
        super().__init__("Entries of the audit trail are never changed; `manage.py prune_audit` removes old ones.")


class AppendOnlyQuerySet(models.QuerySet["AuditEntry"]):
    """Entries that stay as they were written; PostgreSQL holds it by a trigger."""

    def update(self, **_: Any) -> NoReturn:
        """Raise AppendOnlyError."""
        raise AppendOnlyError

    def delete(self) -> NoReturn:
        """Raise AppendOnlyError."""
        raise AppendOnlyError

    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_update(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise AppendOnlyError."""
        raise AppendOnlyError


class EntryManager(TenantManager["AuditEntry"]):
    """The entries of the tenant in scope."""

    _queryset_class = AppendOnlyQuerySet  # type: ignore[assignment]


class AllEntriesManager(models.Manager["AuditEntry"]):
    """The entries of every tenant."""

    _queryset_class = AppendOnlyQuerySet


class AuditEntry(models.Model):
    """One change of one entity: who, what, before and after, why."""

    id = models.BigAutoField(primary_key=True)
    tenant = models.ForeignKey("accounts.Tenant", models.PROTECT, db_index=False, related_name="+")
    at = models.DateTimeField(default=timezone.now, db_default=Now(), help_text="When the change was made.")
    actor = Reference(
        settings.AUTH_USER_MODEL,
        null=True,
        related_name="audit_entries",
        help_text="Who made the change; empty when a command did.",
    )
    command = models.CharField(max_length=100, blank=True, help_text="The command that made the change.")
    action = models.CharField(max_length=40, help_text="CREATE, UPDATE, or the name of a transition.")
    entity_kind = models.CharField(max_length=40, help_text="The GraphQL name of the entity's type.")
    entity_id = models.BigIntegerField(help_text="The entity's primary key.")
    entity_version = models.IntegerField(help_text="The entity's version after the change.")
    changes = models.JSONField(default=list, help_text="[{field, before, after}], personal data redacted.")
    comment = models.TextField(blank=True, help_text="Why the change was made.")
    correlation_id = models.CharField(max_length=64, blank=True, help_text="The request that the change came with.")
    operation_id = models.UUIDField(null=True, help_text="What the changes of one bulk have in common.")
    source = models.CharField(max_length=20, choices=AuditSource, help_text="By which door the change came in.")

    objects = EntryManager()
    unscoped = AllEntriesManager()

    class Meta:
        """Newest first."""

        ordering = ("-id",)
        verbose_name_plural = "audit entries"
        constraints: ClassVar = [
            one_of("source", AuditSource, "audit_source_known"),
            SameTenant(field="actor", name="audit_actor_tenant"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "id"], name="audit_tenant"),
            models.Index(fields=["tenant", "entity_kind", "entity_id", "id"], name="audit_entity"),
            models.Index(fields=["tenant", "at", "id"], name="audit_at"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
        ]

    def __str__(self) -> str:
        """Return what was done to which entity."""
        return f"{self.action} {self.entity_kind} {self.entity_id}"

    def save(self, **options: Any) -> None:
        """Write a new entry.

        Raises AppendOnlyError for one that is there already.
        """
        if not self._state.adding:
            raise AppendOnlyError
        super().save(**{**options, "force_insert": True})

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise AppendOnlyError."""
        raise AppendOnlyError
