"""Sites and assets in the admin site."""

from django.contrib import admin

from apps.accounts.adminsite.lists import NameFilter, choice, code
from apps.accounts.adminsite.records import OwnedAdmin

from .models import Asset, Site


@admin.register(Site)
class SiteAdmin(OwnedAdmin):
    """The places where work is done."""

    list_display = ("code", "name", "timezone")
    sortable_by = ("code", "name")
    search_fields = ("code", "name")
    sections = (
        ("", ("code", "name", "timezone")),
        ("Position", ("latitude", "longitude", "geofence_radius")),
    )


@admin.register(Asset)
class AssetAdmin(OwnedAdmin):
    """The machines, rooms and parts that work is done on."""

    list_display = ("code", "name", "category", choice("status"), code("site"))
    list_select_related = ("site",)
    list_filter = (("status", NameFilter), "site")
    sortable_by = ("code", "name")
    search_fields = ("code", "name")
    autocomplete_fields = ("site", "parent")
    sections = (
        ("", ("code", "name", "category", "status")),
        ("Where it stands", ("site", "parent")),
    )
