"""What every row has: version and times, an owner, and a memory of what the database holds of it."""

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any, ClassVar, Final, NamedTuple, Self

from concurrency.fields import AutoIncVersionField
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from .conflicts import refuse_stale
from .guarded import GuardedManager
from .tenancy import TenantManager

FIXED: Final = {"id": "id", "tenant": "tenant_id", "serial": "serial", "created_at": "created_at"}
"""Fields that never change, and their columns."""

IDENTITY: Final = frozenset({*FIXED, "version", "updated_at"})
"""Fields that say which row it is and how often it changed; what people change is in the others."""

EMPTY: Final = (None, "")
"""What the audit trail takes for nothing."""


class FieldChange(NamedTuple):
    """What a change did to one column: the name of the field, the column's value before and after."""

    field: str
    before: Any
    after: Any


class UnversionedSaveError(TypeError):
    """Raised when a row is saved that was read without its version, so that nobody could tell whether it is stale."""

    def __init__(self, model: type[models.Model]) -> None:
        """Say what to do."""
        super().__init__(f"This {model.__name__} was read without its version: name it in `only()`, or read it whole.")


class IdentityChangedError(TypeError):
    """Raised when a row is saved that says it is another than the one that was read."""

    def __init__(self, model: type[models.Model], column: str) -> None:
        """Name what was changed."""
        super().__init__(f"The {column} of a {model.__name__} stays as it was read: it says which row this is.")


class Versioned(models.Model):
    """A row that people edit: its version starts at 1 and rises by 1 with each change.

    Each text column is classified: `personal` is never shown in the audit trail, `free_text` is searched for personal
    data first, `public_text` is shown as it is. `bookkeeping` columns are no part of the record: they change without
    a version and without an audit entry.
    """

    personal: ClassVar[tuple[str, ...]] = ()
    free_text: ClassVar[tuple[str, ...]] = ()
    public_text: ClassVar[tuple[str, ...]] = ()
    bookkeeping: ClassVar[tuple[str, ...]] = ()

    id = models.BigAutoField(primary_key=True)
    version = AutoIncVersionField(help_text="Starts at 1 and rises by 1 with each change.")
    created_at = models.DateTimeField(
        default=timezone.now, db_default=Now(), editable=False, help_text="When it was created."
    )
    updated_at = models.DateTimeField(
        auto_now=True, db_default=Now(), editable=False, help_text="When it was last changed."
    )

    unscoped = GuardedManager[Any]()
    """Every tenant's rows; `test_architecture` names the few modules that may use it."""

    _mixed = False
    """Whether the version was read at another time than the rest."""

    _loaded: tuple[Collection[str], Collection[Any]] = (), ()

    class Meta:
        """No table of its own."""

        abstract = True
        base_manager_name = "unscoped"

    def save(
        self,
        *,
        force_insert: bool | tuple[Any, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Save the row on top of the version that was read, and no other.

        Raises RecordModifiedError when the row has changed since, DatabaseError when it is gone, UnversionedSaveError
        when it was read without its version.
        """
        known = not self._state.adding
        if known:
            update_fields = self._columns_to_write(update_fields)
            self._check_identity(update_fields)
        else:
            self._loaded = (), ()  # a copy of a row is a new one
        with transaction.atomic(using=using, savepoint=False):  # with what receivers write
            super().save(
                force_insert=force_insert or not known,  # one made by hand must not write over another
                force_update=force_update or (known and not force_insert),  # a row that is gone must not come back
                using=using,
                update_fields=update_fields,
            )
        self.remember(update_fields)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the row in the version that was read, and no other.

        Raises RecordModifiedError when the row has changed since, or is gone.
        """
        with transaction.atomic(using=using, savepoint=False):
            stored = type(self)._base_manager.select_for_update().filter(pk=self.pk, version=self.version)
            if not stored.values_list("pk"):
                refuse_stale(self)
            return super().delete(using=using, keep_parents=keep_parents)

    def _check_identity(self, update_fields: Collection[str] | None) -> None:
        if self._mixed or "version" in self.get_deferred_fields():
            raise UnversionedSaveError(type(self))
        held, present = self.loaded(), self.__dict__
        for name, column in FIXED.items():
            written = update_fields is None or column == "id" or not {name, column}.isdisjoint(update_fields)
            if written and column in held and column in present and held[column] != present[column]:
                raise IdentityChangedError(type(self), name)

    def _columns_to_write(self, update_fields: Iterable[str] | None) -> Collection[str] | None:
        """Return what to save: with anything goes the version, which django-concurrency checks only if it is named."""
        if update_fields is None and self.get_deferred_fields():
            fields = self._meta.concrete_fields
            update_fields = [
                f.name for f in fields if f.attname in self.__dict__ and not (f.primary_key or f.generated)
            ]
        names = None if update_fields is None else set(update_fields)
        return names | {"version", "updated_at"} if names else names

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any]) -> Self:  # type: ignore[override]
        """Make an instance of a row, and let it remember the row's values."""
        row = super().from_db(db, field_names, values)
        row._loaded = field_names, values
        return row

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Read the row again, and remember its values."""
        held = self.loaded().get("version")
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        self.remember(fields)
        # A version that is read by itself, later than the rest, would vouch for values that it has not seen.
        self._mixed = fields is not None and (self._mixed or self.__dict__.get("version") != held)

    def read_before(self) -> None:
        """Read from the database what this instance does not know of the columns it holds, and remember it."""
        held = self.loaded()
        unknown = [
            column for _, column in recorded_columns(type(self)) if column in self.__dict__ and column not in held
        ]
        if unknown and self.pk is not None:
            held |= type(self)._base_manager.filter(pk=self.pk).values(*unknown).first() or {}
            self._loaded = tuple(held), tuple(held.values())

    def remember(self, fields: Iterable[str] | None = None) -> None:
        """Take the present values, of all fields or of those with these names, for what the database holds."""
        held = self.loaded()
        for field in self._meta.concrete_fields:
            if field.attname in self.__dict__ and (
                fields is None or not {field.name, field.attname}.isdisjoint(fields)
            ):
                held[field.attname] = self.__dict__[field.attname]
        self._loaded = tuple(held), tuple(held.values())

    def loaded(self) -> dict[str, Any]:
        """Return what the database holds of the row, by column, as far as this instance knows."""
        return dict(zip(*self._loaded, strict=True))

    def changes(self, fields: Iterable[str] | None = None) -> list[FieldChange]:
        """Return how the row differs from what the database held, in all recorded fields or in those among these."""
        columns = dict(recorded_columns(type(self)))
        found = differences(type(self), self.loaded(), self.__dict__)
        return [change for change in found if fields is None or {change.field, columns[change.field]} & set(fields)]


def differences(model: type[models.Model], before: dict[str, Any], after: dict[str, Any]) -> list[FieldChange]:
    """Return how two states of a row differ, given by their columns; what the second does not name is left out.

    A column that the first does not name was empty; an empty text is nothing.
    """
    return [
        FieldChange(name, old, new)
        for name, column in recorded_columns(model)
        if column in after
        and (old := before.get(column)) != (new := after[column])
        and not (old in EMPTY and new in EMPTY)
    ]


@cache
def recorded_columns(model: type[models.Model]) -> tuple[tuple[str, str], ...]:
    """Return the name and the column of each field that the audit trail records."""
    left_out = IDENTITY | set(getattr(model, "bookkeeping", ()))
    fields = [field for field in model._meta.concrete_fields if not field.generated and field.name not in left_out]
    return tuple((field.name, field.attname) for field in fields)


class TenantOwned(Versioned):
    """A row that belongs to one tenant, and that only this tenant's users see."""

    tenant = models.ForeignKey("accounts.Tenant", models.PROTECT, db_index=False, related_name="+", editable=False)

    objects = TenantManager[Any]()

    class Meta:
        """The target of `constraints.SameTenant`, and the index of the default order."""

        abstract = True
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["tenant", "id"], name="%(class)s_tenant_id"),
        ]
