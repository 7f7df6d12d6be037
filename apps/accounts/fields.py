"""Fields that models of several apps declare."""

from typing import Any, TypeVar

from django.db import models

S = TypeVar("S")
G = TypeVar("G")


class Reference(models.ForeignKey[S, G]):
    """A reference to a row of the same tenant.

    The database holds it by the model's `SameTenant` constraint, and the model's indexes serve it, so the foreign key
    and the index that Django would add are left out. What is referred to can't be deleted.
    """

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        """Declare a protected reference without Django's own constraint and index."""
        super().__init__(to, on_delete, **{"db_constraint": False, "db_index": False, **kwargs})
