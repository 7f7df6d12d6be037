"""What is to be made for one organisation, and what has been made of it so far."""

import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from apps.accounts.roles import Role

from .lives import chance

DEFAULT_ORDERS: Final = 5_000
"""The number of work orders that the other numbers go with; they do not grow with it."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows of each kind."""

    work_orders: int = DEFAULT_ORDERS
    tasks: int = 2_000
    tickets: int = 1_000
    attendance_records: int = 1_000
    assets: int = 300
    sites: int = 12
    people: int = 60

    def tenth(self) -> "Sizes":
        """Return a tenth of each, rounded up."""
        return Sizes(*(-(-getattr(self, name) // 10) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Plan:
    """One organisation's data: everything but passwords follows from these."""

    slug: str
    name: str
    sizes: Sizes
    seed: int
    now: datetime

    def chance(self, kind: str) -> random.Random:
        """Return the source of numbers for one kind of rows."""
        return chance(self.seed, self.slug, kind)


class Person(NamedTuple):
    """A user as others refer to it; also the actor of its steps."""

    pk: int
    role: str


class Spot(NamedTuple):
    """An asset as work refers to it."""

    pk: int
    site_id: int
    category: int


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of an organisation and the assets they work on."""

    people: list[Person]
    sites: list[dict[str, Any]]
    spots: list[Spot]

    def of(self, *roles: Role) -> list[Person]:
        """Return the people with one of these roles."""
        return [person for person in self.people if person.role in roles]
