"""Sites, and the assets that stand on them."""

from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models
from django.db.models import F, Q

from apps.accounts.constraints import MAX_LATITUDE, MAX_LONGITUDE, SameTenant, not_blank, on_earth, one_of
from apps.accounts.fields import Reference
from apps.lifecycle.actors import ADMIN, SUPERVISOR
from apps.lifecycle.editing import Editing
from apps.lifecycle.models import Entity
from apps.search.declaration import Searched

PARENTS: Final = 0x61737365
"""The advisory lock under which parents are chosen; any number that nothing else of ours uses."""

IS_PART_OF: Final = """
WITH RECURSIVE up (id, parent_id) AS (
    SELECT id, parent_id FROM assets_asset WHERE id = %s
    UNION SELECT a.id, a.parent_id FROM assets_asset a JOIN up ON a.id = up.parent_id
) SELECT 1 FROM up WHERE id = %s
"""
"""Whether an asset is, at any depth, a part of another."""


def is_timezone(name: str) -> None:
    """Raise ValidationError unless there is a time zone of this name."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValidationError("There is no such time zone. Write an IANA name, as Europe/Oslo.") from error


class AssetStatus(models.TextChoices):
    """Whether an asset can be used."""

    OPERATIONAL = "OPERATIONAL", "In use"
    DOWN = "DOWN", "Out of order"
    RETIRED = "RETIRED", "Out of use for good"


class Site(Entity):
    """A place where work is done, with the circle within which people check in."""

    search: ClassVar = Searched(a=("code", "name"))
    editing: ClassVar = Editing(ADMIN, ("code", "name", "timezone", "latitude", "longitude", "geofence_radius"))
    public_text = ("code", "name", "timezone")

    code = models.CharField(max_length=40, help_text="The site's short name, unique in the tenant.")
    name = models.CharField(max_length=200, help_text="The site's name.")
    timezone = models.CharField(
        max_length=64, default="UTC", validators=[is_timezone], help_text="An IANA name, as Europe/Oslo."
    )
    latitude = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-MAX_LATITUDE), MaxValueValidator(MAX_LATITUDE)],
        help_text="Degrees north, WGS 84.",
    )
    longitude = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-MAX_LONGITUDE), MaxValueValidator(MAX_LONGITUDE)],
        help_text="Degrees east, WGS 84.",
    )
    geofence_radius = models.PositiveIntegerField(
        default=200, validators=[MinValueValidator(1)], help_text="Metres around the position."
    )

    class Meta:
        """A site's code is unique in its tenant."""

        ordering = ("code", "id")
        constraints: ClassVar = [
            *Entity.Meta.constraints,
            models.UniqueConstraint(fields=["tenant", "code"], name="site_code_unique"),
            not_blank("code", "site_code_not_blank"),
            not_blank("name", "site_name_not_blank"),
            on_earth("latitude", "longitude", "site_position_on_earth"),
            models.CheckConstraint(condition=Q(geofence_radius__gte=1), name="site_radius_positive"),
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "name", "id"], name="site_name")]

    def __str__(self) -> str:
        """Return the site's code and name."""
        return f"{self.code} {self.name}"

    def clean(self) -> None:
        """Refuse half a position."""
        super().clean()
        if (self.latitude is None) != (self.longitude is None):
            raise ValidationError({"longitude": "Enter both latitude and longitude, or neither."})


class Asset(Entity):
    """A machine, room or part that work is done on."""

    search: ClassVar = Searched(a=("code", "name"), b=("category",))
    editing: ClassVar = Editing(SUPERVISOR, ("code", "name", "category", "status", "site", "parent"))
    public_text = ("code", "name", "category")

    code = models.CharField(max_length=40, help_text="The asset's short name, unique in the tenant.")
    name = models.CharField(max_length=200, help_text="The asset's name.")
    category = models.CharField(max_length=100, blank=True, help_text="What kind of thing it is.")
    status = models.CharField(
        max_length=20, choices=AssetStatus, default=AssetStatus.OPERATIONAL, help_text="Whether the asset can be used."
    )
    site = Reference(Site, related_name="assets", help_text="Where the asset stands.")
    parent = Reference(
        "self", null=True, blank=True, related_name="children", help_text="The asset that this one is part of."
    )

    class Meta:
        """An asset's code is unique in its tenant."""

        ordering = ("code", "id")
        constraints: ClassVar = [
            *Entity.Meta.constraints,
            models.UniqueConstraint(fields=["tenant", "code"], name="asset_code_unique"),
            not_blank("code", "asset_code_not_blank"),
            not_blank("name", "asset_name_not_blank"),
            one_of("status", AssetStatus, "asset_status_known"),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("id")),
                name="asset_not_own_parent",
                violation_error_message="An asset can't be part of itself.",
            ),
            SameTenant(field="site", name="asset_site_tenant"),
            SameTenant(field="parent", name="asset_parent_tenant"),
        ]
        indexes: ClassVar[list[Any]] = [
            models.Index(fields=["tenant", "name", "id"], name="asset_name"),
            models.Index(fields=["tenant", "status", "code", "id"], name="asset_status"),
            models.Index(fields=["site", "code", "id"], name="asset_site"),
            models.Index(fields=["parent", "code", "id"], name="asset_parent"),
        ]

    def __str__(self) -> str:
        """Return the asset's code and name."""
        return f"{self.code} {self.name}"

    def clean(self) -> None:
        """Refuse to make an asset a part of its own parts.

        Those who choose parents in a tenant at the same moment take turns, so that two can't close a circle together.
        """
        super().clean()
        if self.pk is None or self.parent_id is None or self.parent_id == self.loaded().get("parent_id"):
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [PARENTS, self.tenant_id])
            cursor.execute(IS_PART_OF, [self.parent_id, self.pk])
            if cursor.fetchone():
                raise ValidationError({"parent": "This asset is a part of the one you edit. Choose another."})
