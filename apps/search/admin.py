"""Synonyms in the admin site."""

from django.contrib import admin

from apps.accounts.adminsite.records import OwnedAdmin

from .models import Synonym


@admin.register(Synonym)
class SynonymAdmin(OwnedAdmin):
    """What the words of the trade mean to a tenant."""

    list_display = ("term", "meaning")
    sortable_by = ("term", "meaning")
    search_fields = ("term", "meaning")
    sections = (("", ("term", "meaning")),)
