"""What every entity that people work on has."""

from apps.accounts.records import TenantOwned


class Entity(TenantOwned):
    """A versioned row of a tenant that people create and edit."""

    class Meta(TenantOwned.Meta):
        """No table of its own."""

        abstract = True
