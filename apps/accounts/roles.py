"""The four roles, each of which includes the ones before it."""

from django.db import models


class Role(models.TextChoices):
    """What a user may do in their tenant; each role includes the ones before it."""

    VIEWER = "VIEWER", "Reads everything of the tenant"
    TECHNICIAN = "TECHNICIAN", "Does the work: raises orders, works on tasks and tickets"
    SUPERVISOR = "SUPERVISOR", "Assigns, approves and closes work"
    ADMIN = "ADMIN", "Runs the tenant: people, sites, payroll, the admin site"

    @property
    def rank(self) -> int:
        """Return the role's place in the order of power, from 0."""
        return list(Role).index(self)

    def includes(self, other: "Role") -> bool:
        """Tell whether this role may do all that the other may."""
        return self.rank >= other.rank
