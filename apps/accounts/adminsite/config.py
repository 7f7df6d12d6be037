"""The admin site as an installed app."""

from django.contrib.admin.apps import AdminConfig


class AdminSiteConfig(AdminConfig):
    """Make our site the one that `admin.register` registers with."""

    default_site = "apps.accounts.adminsite.site.OperationsSite"
