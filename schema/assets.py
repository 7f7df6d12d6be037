"""Sites and assets."""

from typing import Self

from strawberry import auto

from apps.assets import models
from apps.assets.models import AssetStatus

from .enums import publish
from .mutations import entity_mutations
from .reads.connection import connection
from .reads.fields import Entity, entity
from .reads.lookups import ChoiceLookup, IdLookup, TextLookup, TimeLookup, UniqueTextLookup, filter_input
from .reads.ordering import order_input

publish(AssetStatus)


@filter_input(models.Site, "Which sites to list, or the conditions on a site.")
class SiteFilter:
    id: IdLookup | None
    code: UniqueTextLookup | None
    name: TextLookup | None
    created_at: TimeLookup | None


@order_input(models.Site)
class SiteOrder:
    code: auto
    name: auto
    created_at: auto


@entity(models.Site)
class Site(Entity):
    code: auto
    name: auto
    timezone: auto
    latitude: auto
    longitude: auto
    geofence_radius: int
    assets = connection("Asset", "schema.assets", column="site_id", description="The assets on the site.")
    work_orders = connection(
        "WorkOrder", "schema.work_orders", column="site_id", description="The work orders on the site."
    )
    tickets = connection("Ticket", "schema.tickets", column="site_id", description="The tickets about the site.")


@filter_input(models.Asset, "Which assets to list, or the conditions on an asset.")
class AssetFilter:
    id: IdLookup | None
    code: UniqueTextLookup | None
    name: TextLookup | None
    category: TextLookup | None
    status: ChoiceLookup[AssetStatus] | None
    site: SiteFilter | None
    parent: Self | None
    created_at: TimeLookup | None


@order_input(models.Asset)
class AssetOrder:
    code: auto
    name: auto
    category: auto
    status: auto
    site: SiteOrder | None
    created_at: auto


@entity(models.Asset)
class Asset(Entity):
    code: auto
    name: auto
    category: auto
    status: AssetStatus
    site: Site
    parent: Self | None
    children = connection("Asset", "schema.assets", column="parent_id", description="The assets that are part of it.")
    work_orders = connection(
        "WorkOrder", "schema.work_orders", column="asset_id", description="The work orders on the asset."
    )
    tasks = connection("Task", "schema.tasks", column="asset_id", description="The tasks on the asset.")
    tickets = connection("Ticket", "schema.tickets", column="asset_id", description="The tickets about the asset.")


lists = {
    "assets": connection("Asset", "schema.assets", description="The assets, by code."),
    "sites": connection("Site", "schema.assets", description="The sites, by code."),
}
mutations = [*entity_mutations(models.Site, Site), *entity_mutations(models.Asset, Asset)]
