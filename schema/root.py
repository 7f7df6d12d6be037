"""The schema: what can be asked, and how errors are told."""

from typing import Any, Final

import strawberry
from strawberry.tools import create_type

from . import assets, attendance, tasks, tickets, work_orders
from .accounts import User
from .budget import rate_limit
from .context import Context
from .lifecycle import workflow
from .reads.arguments import DEFAULT_PAGE
from .reads.connection import connection
from .reads.node import node, nodes
from .search import search
from .weights import SEARCH, ListSize, paged

ENTITIES: Final = (work_orders, tasks, tickets, attendance, assets)
"""A module for each entity, or for entities that belong together: its `lists` and its `mutations`."""

Lists: Any = strawberry.type(
    type("Lists", (), {name: each for entity in ENTITIES for name, each in entity.lists.items()})
)


@strawberry.type(description="What can be asked.")
class Query(Lists):  # type: ignore[misc]
    """What can be asked."""

    people = connection("User", "schema.accounts", description="The people of the tenant, by name.")
    audit_log = connection("AuditEntry", "schema.audit", description="Every change, the newest first.")
    search = strawberry.field(
        search,
        description="What a text finds among all objects, the best match first.",
        directives=paged(DEFAULT_PAGE, "first", weight=SEARCH),
    )
    workflow = workflow
    node = strawberry.field(node, description="The object with this id; null when there is none that you may see.")
    nodes = strawberry.field(
        nodes,
        description="The objects with these ids, in their order; null for each that you can't see. 100 at most.",
        directives=[ListSize(slicing_arguments=["ids"])],
    )
    rate_limit = strawberry.field(
        rate_limit, description="What this operation costs, and what you may spend; null when costs are not limited."
    )

    @strawberry.field(description="The user you are.")
    def me(self, info: strawberry.Info[Context, None]) -> User:
        """Return the actor."""
        return info.context.actor  # type: ignore[return-value]


Mutation = create_type(
    "Mutation", [each for entity in ENTITIES for each in entity.mutations], description="What can be done."
)


schema = strawberry.Schema(query=Query, mutation=Mutation)
