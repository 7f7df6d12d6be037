"""Which tenants a command is for."""

from django.core.management.base import CommandError

from apps.accounts.models import Tenant


def chosen_tenants(slug: str | None) -> list[Tenant]:
    """Return the tenant with this slug, or all of them; raise CommandError when there is none."""
    tenants = Tenant.unscoped.order_by("slug")
    found = list(tenants if slug is None else tenants.filter(slug=slug))
    if not found and slug is not None:
        raise CommandError(
            f"There is no tenant {slug}. Name one of these: {', '.join(t.slug for t in tenants) or 'none'}."
        )
    return found
