"""Work orders."""

import strawberry_django
from strawberry import auto

from apps.lifecycle.priority import Priority
from apps.work_orders import models
from apps.work_orders.workflow import WorkOrderStatus

from .accounts import User, UserFilter, UserOrder
from .assets import Asset, AssetFilter, AssetOrder, Site, SiteFilter, SiteOrder
from .audit import history
from .enums import publish
from .lifecycle import workflow_fields
from .mutations import entity_mutations, workflow_mutations
from .reads.connection import connection
from .reads.fields import Entity, computed, entity
from .reads.lookups import ChoiceLookup, IdLookup, NumberLookup, TextLookup, TimeLookup, UniqueTextLookup, filter_input
from .reads.ordering import order_input

publish(WorkOrderStatus)
publish(Priority)


@filter_input(models.WorkOrder, "Which work orders to list, or the conditions on a work order.")
class WorkOrderFilter:
    id: IdLookup | None
    number: NumberLookup | None = strawberry_django.filter_field(description="The number people use.")
    title: TextLookup | None
    external_id: UniqueTextLookup | None
    status: ChoiceLookup[WorkOrderStatus] | None
    priority: ChoiceLookup[Priority] | None
    site: SiteFilter | None
    asset: AssetFilter | None
    assignee: UserFilter | None
    requested_by: UserFilter | None
    due_at: TimeLookup | None
    started_at: TimeLookup | None
    completed_at: TimeLookup | None
    closed_at: TimeLookup | None
    created_at: TimeLookup | None
    updated_at: TimeLookup | None


@order_input(models.WorkOrder)
class WorkOrderOrder:
    serial: auto = strawberry_django.order_field(name="number")
    title: auto
    status: auto
    priority_rank: auto = strawberry_django.order_field(name="priority")
    due_at: auto
    started_at: auto
    completed_at: auto
    closed_at: auto
    created_at: auto
    updated_at: auto
    site: SiteOrder | None
    asset: AssetOrder | None
    assignee: UserOrder | None


@entity(models.WorkOrder)
class WorkOrder(Entity):
    number: str = computed("serial", description="The number people use: WO-000123.", timeless=True)
    title: auto
    description: auto
    status: WorkOrderStatus
    priority: Priority
    site: Site | None
    asset: Asset | None
    assignee: User | None
    requested_by: User | None
    due_at: auto
    started_at: auto
    completed_at: auto
    closed_at: auto
    external_id: auto
    tasks = connection("Task", "schema.tasks", column="work_order_id", description="The tasks of the work order.")
    tickets = connection(
        "Ticket", "schema.tickets", column="work_order_id", description="The tickets it was raised from."
    )
    available_actions, actions = workflow_fields(models.WorkOrder)
    history = history(models.WorkOrder)


lists = {
    "work_orders": connection("WorkOrder", "schema.work_orders", description="The work orders, newest first."),
}
mutations = [*entity_mutations(models.WorkOrder, WorkOrder), *workflow_mutations(models.WorkOrder, WorkOrder)]
