"""Tenants and people."""

import strawberry_django
from strawberry import auto

from apps.accounts import models
from apps.accounts.roles import Role

from .enums import publish
from .reads.connection import connection
from .reads.fields import Entity, Node, column, entity
from .reads.lookups import ChoiceLookup, IdLookup, TextLookup, TimeLookup, UniqueTextLookup, filter_input
from .reads.ordering import order_input

publish(Role)


@entity(models.Tenant)
class Tenant(Node):
    slug: auto
    name: auto


@filter_input(models.User, "Which people to list.")
class UserFilter:
    id: IdLookup | None
    name: TextLookup | None
    email: UniqueTextLookup | None
    role: ChoiceLookup[Role] | None
    is_active: bool | None = strawberry_django.filter_field(name="active")
    created_at: TimeLookup | None


@order_input(models.User)
class UserOrder:
    name: auto
    email: auto
    role: auto
    created_at: auto


@entity(models.User)
class User(Entity):
    email: auto
    name: auto
    phone: auto
    role: Role
    is_active: bool = column(graphql_name="active")
    tenant: Tenant = column(description="The tenant that the person belongs to.")
    assigned_work_orders = connection(
        "WorkOrder", "schema.work_orders", column="assignee_id", description="The work orders assigned to the person."
    )
    assigned_tasks = connection(
        "Task", "schema.tasks", column="assignee_id", description="The tasks assigned to the person."
    )
