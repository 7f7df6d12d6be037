"""Tasks."""

from strawberry import auto

from apps.tasks import models
from apps.tasks.workflow import TaskStatus

from .accounts import User, UserFilter, UserOrder
from .assets import Asset, AssetFilter, AssetOrder
from .audit import history
from .enums import publish
from .lifecycle import workflow_fields
from .mutations import entity_mutations, workflow_mutations
from .reads.connection import connection
from .reads.fields import Entity, entity
from .reads.lookups import ChoiceLookup, IdLookup, TextLookup, TimeLookup, filter_input
from .reads.ordering import order_input
from .work_orders import WorkOrder, WorkOrderFilter

publish(TaskStatus)


@filter_input(models.Task, "Which tasks to list.")
class TaskFilter:
    id: IdLookup | None
    title: TextLookup | None
    status: ChoiceLookup[TaskStatus] | None
    work_order: WorkOrderFilter | None
    asset: AssetFilter | None
    assignee: UserFilter | None
    scheduled_at: TimeLookup | None
    due_at: TimeLookup | None
    completed_at: TimeLookup | None
    created_at: TimeLookup | None
    updated_at: TimeLookup | None


@order_input(models.Task)
class TaskOrder:
    title: auto
    status: auto
    scheduled_at: auto
    due_at: auto
    completed_at: auto
    created_at: auto
    updated_at: auto
    asset: AssetOrder | None
    assignee: UserOrder | None


@entity(models.Task)
class Task(Entity):
    title: auto
    description: auto
    status: TaskStatus
    work_order: WorkOrder | None
    asset: Asset | None
    assignee: User | None
    scheduled_at: auto
    due_at: auto
    completed_at: auto
    available_actions, actions = workflow_fields(models.Task)
    history = history(models.Task)


lists = {
    "tasks": connection("Task", "schema.tasks", description="The tasks, newest first."),
}
mutations = [*entity_mutations(models.Task, Task), *workflow_mutations(models.Task, Task)]
