"""Constraints that models of several apps declare."""

from collections.abc import Sequence
from typing import Any

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.constraints import BaseConstraint
from django.db.models.functions import Upper

MAX_LATITUDE, MAX_LONGITUDE = 90.0, 180.0
"""In degrees, either way."""


class SameTenant(BaseConstraint):
    """Hold a reference by a foreign key over (tenant, reference), so that it can't leave the tenant.

    The referenced table needs a unique constraint over (tenant, id); `records.TenantOwned` declares it. The field
    itself is declared with `db_constraint=False`: one foreign key is enough.
    """

    def __init__(self, *, field: str, name: str, violation_error_message: Any = None) -> None:
        """Remember the referring field."""
        super().__init__(name=name, violation_error_message=violation_error_message)
        self.field = field

    def constraint_sql(self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the constraint as it stands inside CREATE TABLE and ALTER TABLE."""
        assert model is not None
        assert schema_editor is not None
        quote = schema_editor.quote_name
        column, target = self._columns(model)
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({quote('tenant_id')}, {quote(column)})"
            f" REFERENCES {quote(target)} ({quote('tenant_id')}, {quote('id')})"
        )

    def create_sql(self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statement that adds the constraint."""
        return f"{_alter(model, schema_editor)} ADD {self.constraint_sql(model, schema_editor)}"

    def remove_sql(self, model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
        """Return the statement that drops the constraint."""
        assert schema_editor is not None
        return f"{_alter(model, schema_editor)} DROP CONSTRAINT {schema_editor.quote_name(self.name)}"

    def validate(
        self, model: type[models.Model], instance: models.Model, exclude: Any = None, using: str = "default"
    ) -> None:
        """Raise ValidationError when the referenced row is of another tenant."""
        if exclude and self.field in exclude:
            return
        target = model._meta.get_field(self.field).remote_field.model._base_manager  # type: ignore[union-attr]
        pk = getattr(instance, model._meta.get_field(self.field).attname)  # type: ignore[union-attr]
        tenant = getattr(instance, "tenant_id", None)
        if pk is not None and not target.using(using).filter(pk=pk, tenant_id=tenant).exists():
            raise ValidationError({self.field: "Choose one of the same tenant."})

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return what a migration writes."""
        path, args, kwargs = super().deconstruct()
        return path, tuple(args), {**kwargs, "field": self.field}

    def __eq__(self, other: object) -> bool:
        """Tell whether two constraints hold the same reference under the same name."""
        return isinstance(other, SameTenant) and (self.name, self.field) == (other.name, other.field)

    def __hash__(self) -> int:
        """Hash what equality compares."""
        return hash((self.name, self.field))

    def _columns(self, model: type[models.Model]) -> tuple[str, str]:
        field = model._meta.get_field(self.field)
        assert isinstance(field, models.ForeignKey)
        return field.column, field.remote_field.model._meta.db_table


def _alter(model: type[models.Model] | None, schema_editor: BaseDatabaseSchemaEditor | None) -> str:
    assert model is not None
    assert schema_editor is not None
    return f"ALTER TABLE {schema_editor.quote_name(model._meta.db_table)}"


def one_of(field: str, choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    """Return the check that a column holds one of the choices."""
    return models.CheckConstraint(condition=models.Q(**{f"{field}__in": choices.values}), name=name)


def not_blank(field: str, name: str) -> models.CheckConstraint:
    """Return the check that a text column holds more than white space."""
    condition = models.Q(**{f"{field}__regex": r"\S"})
    return models.CheckConstraint(
        condition=condition, name=name, violation_error_message="Write more than white space."
    )


def on_earth(latitude: str, longitude: str, name: str) -> models.CheckConstraint:
    """Return the check that two columns hold a position in degrees, WGS 84, or nothing.

    It says that neither is NULL: a comparison with NULL is not false, and a check refuses only what is.
    """
    nothing = {f"{latitude}__isnull": True, f"{longitude}__isnull": True}
    position = {
        **dict.fromkeys(nothing, False),
        f"{latitude}__range": (-MAX_LATITUDE, MAX_LATITUDE),
        f"{longitude}__range": (-MAX_LONGITUDE, MAX_LONGITUDE),
    }
    message = "Enter both latitude and longitude, or neither."
    condition = models.Q(**nothing) | models.Q(**position)
    return models.CheckConstraint(condition=condition, name=name, violation_error_message=message)


def contains_index(field: str, name: str) -> GinIndex:
    """Return the index by which texts that contain others are found, in capitals or not (`__icontains`)."""
    return GinIndex(models.F("tenant"), OpClass(Upper(field), name="gin_trgm_ops"), name=name)


def required_in(field: str, states: Sequence[str], name: str) -> models.CheckConstraint:
    """Return the check that a column is filled in whenever the status is one of these."""
    return models.CheckConstraint(
        condition=~models.Q(status__in=states) | models.Q(**{f"{field}__isnull": False}), name=name
    )
