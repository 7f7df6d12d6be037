"""The people, sites and assets of a demo organisation."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from apps.accounts.roles import Role
from apps.assets.models import AssetStatus

from .lives import deal
from .places import PLACES
from .plan import Plan
from .titles import fill
from .words import CATEGORIES, FIRST_NAMES, LAST_NAMES, STANDS

Row = dict[str, Any]
AGE: Final = timedelta(days=420)
"""How long before now an organisation set itself up."""

ROLES: Final = {Role.TECHNICIAN: 40, Role.SUPERVISOR: 8, Role.VIEWER: 6, Role.ADMIN: 2}
STATUSES: Final = {AssetStatus.OPERATIONAL: 22, AssetStatus.DOWN: 2, AssetStatus.RETIRED: 1}
PART_OF_ANOTHER: Final = 0.25


def people(plan: Plan) -> Iterator[Row]:
    """Yield the users: the four that one logs in with, who are named after their roles, then the others."""
    rng = plan.chance("people")
    names = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES]
    rng.shuffle(names)
    roles = [*Role, *(role for role, _ in zip(deal(ROLES, rng), range(plan.sizes.people - len(Role)), strict=False))]
    for index, (role, name) in enumerate(zip(roles, names, strict=False)):
        local = role.lower() if index < len(Role) else name.lower().replace(" ", ".")
        yield {
            "email": f"{local}@{plan.slug}.example",
            "name": name,
            "phone": f"+1 202 555 {100 + index:04d}",  # never given to a subscriber
            "role": role.value,
            **times(plan),
        }


def sites(plan: Plan) -> Iterator[Row]:
    """Yield the sites; the two organisations share none."""
    count = plan.sizes.sites
    for place in PLACES[:count] if plan.slug == "demo" else PLACES[-count:]:
        yield {
            "code": place.code,
            "name": place.name,
            "timezone": place.timezone,
            "latitude": place.latitude,
            "longitude": place.longitude,
            "geofence_radius": place.radius,
            **times(plan),
        }


def assets(plan: Plan, site_ids: list[int], first_id: int) -> Iterator[tuple[Row, int]]:
    """Yield the assets with the index of their category; every fourth is part of an earlier one on the same site."""
    rng = plan.chance("assets")
    earlier: dict[int, list[int]] = {site: [] for site in site_ids}
    statuses, categories = deal(STATUSES, rng), deal(dict.fromkeys(range(len(CATEGORIES)), 1), rng)
    for index in range(plan.sizes.assets):
        site, category = site_ids[index % len(site_ids)], next(categories)
        parents = earlier[site]
        yield (
            {
                **_asset(category, index + 1, rng),
                "status": next(statuses).value,
                "site_id": site,
                "parent_id": rng.choice(parents) if parents and rng.random() < PART_OF_ANOTHER else None,
                **times(plan),
            },
            category,
        )
        parents.append(first_id + index)


def _asset(category: int, number: int, rng: random.Random) -> Row:
    kind = CATEGORIES[category]
    name = f"{kind.name} {number}, {fill(rng.choice(STANDS), rng)}"
    return {"code": f"{kind.prefix}-{number:03d}", "name": name, "category": kind.name}


def times(plan: Plan) -> Row:
    """Return when what an organisation was set up with was created, and that nobody changed it since."""
    return {"created_at": plan.now - AGE, "updated_at": plan.now - AGE, "version": 1}
