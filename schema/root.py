"""The schema: what can be asked, and how errors are told."""

from collections.abc import Iterator
from typing import Any

import strawberry
from django.conf import settings
from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import DisableIntrospection, ParserCache, SchemaExtension, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import create_type
from strawberry.types import ExecutionContext

from . import assets, attendance, tasks, tickets, work_orders
from .accounts import User
from .attendance import AttendanceRecord
from .context import Context
from .errors import BadRequestError
from .lifecycle import workflow
from .reads.arguments import DEFAULT_PAGE
from .reads.connection import connection
from .reads.node import node, nodes
from .reads.render import Executor
from .search import search
from .tasks import Task
from .tickets import Ticket
from .weights import SEARCH, ListSize, paged


@strawberry.type(description="What can be asked.")
class Query:
    """What can be asked."""

    work_orders = connection("WorkOrder", "schema.work_orders", description="The work orders, newest first.")
    tasks = connection("Task", "schema.tasks", description="The tasks, newest first.")
    tickets = connection("Ticket", "schema.tickets", description="The helpdesk tickets, newest first.")
    attendance_records = connection(
        "AttendanceRecord", "schema.attendance", description="The attendance records, newest first."
    )
    assets = connection("Asset", "schema.assets", description="The assets, by code.")
    sites = connection("Site", "schema.assets", description="The sites, by code.")
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

    @strawberry.field(description="The user you are.")
    def me(self, info: strawberry.Info[Context, None]) -> User:
        """Return the actor."""
        return info.context.actor  # type: ignore[return-value]


Mutation = create_type(
    "Mutation",
    [
        *work_orders.mutations,
        *tasks.mutations,
        *tickets.mutations,
        *attendance.mutations,
        *assets.mutations,
    ],
    description="What can be done.",
)


class OneOperation(SchemaExtension):
    """Run no operation that was not named, when there are several."""

    def on_execute(self) -> Iterator[None]:
        """Raise BadRequestError when the client has not said which operation to run."""
        context = self.execution_context
        definitions = context.graphql_document.definitions if context.graphql_document else ()
        operations = [definition for definition in definitions if isinstance(definition, OperationDefinitionNode)]
        if len(operations) > 1 and context._provided_operation_name is None:
            raise BadRequestError("There are several operations in the document; name one in `operationName`.")
        yield


def extensions() -> list[type[SchemaExtension] | Any]:
    """Return what every operation passes through."""
    always = [OneOperation, lambda: ParserCache(maxsize=1000), lambda: ValidationCache(maxsize=1000)]
    return always if settings.INTROSPECTION else [*always, DisableIntrospection]


class Schema(strawberry.Schema):
    """The schema; its view tells and logs the errors, once."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Leave the errors to the view."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    types=[AttendanceRecord, Task, Ticket],
    extensions=extensions(),
    execution_context_class=Executor,
    config=StrawberryConfig(disable_field_suggestions=not settings.INTROSPECTION),
)
