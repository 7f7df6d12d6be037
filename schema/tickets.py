"""Helpdesk tickets."""

import strawberry_django
from django.db.models import Q
from django.utils import timezone
from strawberry import auto

from apps.helpdesk import models
from apps.helpdesk.models import breaches_sla
from apps.helpdesk.workflow import TicketStatus
from apps.lifecycle.priority import Priority

from .accounts import User, UserFilter, UserOrder
from .assets import Asset, AssetFilter, AssetOrder, Site, SiteFilter, SiteOrder
from .audit import history
from .enums import publish
from .lifecycle import workflow_fields
from .mutations import entity_mutations, workflow_mutations
from .reads.connection import connection
from .reads.fields import Entity, computed, entity
from .reads.lookups import ChoiceLookup, IdLookup, NumberLookup, TextLookup, TimeLookup, filter_input
from .reads.ordering import order_input
from .work_orders import WorkOrder, WorkOrderFilter

publish(TicketStatus)


@filter_input(models.Ticket, "Which tickets to list.")
class TicketFilter:
    id: IdLookup | None
    number: NumberLookup | None = strawberry_django.filter_field(description="The number people use.")
    subject: TextLookup | None
    category: TextLookup | None
    status: ChoiceLookup[TicketStatus] | None
    priority: ChoiceLookup[Priority] | None
    site: SiteFilter | None
    asset: AssetFilter | None
    assignee: UserFilter | None
    work_order: WorkOrderFilter | None
    response_due_at: TimeLookup | None
    resolution_due_at: TimeLookup | None
    resolved_at: TimeLookup | None
    created_at: TimeLookup | None
    updated_at: TimeLookup | None

    @strawberry_django.filter_field(description="A promised time has passed (true), or none has (false).")
    def sla_breached(self, value: bool, prefix: str) -> Q:
        """Return the condition that the ticket has broken a promise, or has not."""
        breached = breaches_sla(timezone.now(), prefix)
        return breached if value else ~breached


@order_input(models.Ticket)
class TicketOrder:
    serial: auto = strawberry_django.order_field(name="number")
    subject: auto
    status: auto
    priority_rank: auto = strawberry_django.order_field(name="priority")
    response_due_at: auto
    resolution_due_at: auto
    resolved_at: auto
    created_at: auto
    updated_at: auto
    site: SiteOrder | None
    asset: AssetOrder | None
    assignee: UserOrder | None


@entity(models.Ticket)
class Ticket(Entity):
    number: str = computed("serial", description="The number people use: T-000123.", timeless=True)
    subject: auto
    description: auto
    status: TicketStatus
    priority: Priority
    category: auto
    requester_name: auto
    requester_email: auto
    requester_phone: auto
    site: Site | None
    asset: Asset | None
    assignee: User | None
    work_order: WorkOrder | None
    response_due_at: auto
    resolution_due_at: auto
    sla_breached: bool = computed(
        "status",
        "response_due_at",
        "resolution_due_at",
        "resolved_at",
        description="A promised time has passed: unanswered past the response, or unsolved past the resolution.",
    )
    resolved_at: auto
    available_actions, actions = workflow_fields(models.Ticket)
    history = history(models.Ticket)


lists = {
    "tickets": connection("Ticket", "schema.tickets", description="The helpdesk tickets, newest first."),
}
mutations = [*entity_mutations(models.Ticket, Ticket), *workflow_mutations(models.Ticket, Ticket)]
