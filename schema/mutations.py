"""The mutations of every entity, read off its model and machine: create, update, transition, transition in bulk.

Each makes one call of the domain. What it answers is read by the plan of a list, inside the transaction that wrote it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final, Union

import strawberry
from strawberry import UNSET
from strawberry.types.field import StrawberryField

from apps.accounts.models import User
from apps.lifecycle import services
from apps.lifecycle.errors import RefusedError
from apps.lifecycle.idempotency import Done, Request, once
from apps.lifecycle.models import Entity, WorkflowEntity
from apps.lifecycle.transitions import Report, Result

from .compiler.answers import answered_entity
from .context import Context
from .inputs import (
    bulk_input,
    carried,
    create_input,
    input_values,
    item_of,
    items_of,
    text_of,
    transition_input,
    update_input,
    values_of,
    with_article,
)
from .lifecycle import action_enum
from .reads.global_id import GlobalId
from .reads.lists import fetch_nodes
from .reads.plan import Selections, details_of
from .refusals import ERRORS, MutationError, PermissionDenied, ValidationFailed, publish_refusals
from .weights import MUTATION, ListSize, cost

Info = strawberry.Info[Context, None]
BULK: Final = "bulkTransition"
"""How the names of the mutations begin that take many entities through a transition."""

Work = Callable[[Any, Any], Any]
"""What a mutation does: with the actor, by the input."""


@strawberry.type(description="What became of one item of a bulk.")
class BulkItemResult:
    """A Result as clients see it."""

    id: strawberry.ID = strawberry.field(description="The entity's id, as you sent it.")
    ok: bool = strawberry.field(
        description="It went through, or in a dry run would have. False without an error: held back because of others."
    )
    status: str | None = strawberry.field(description="The entity's status after the operation; null if there is none.")
    version: int | None = strawberry.field(
        description="The entity's version after the operation; null if there is none."
    )
    error: MutationError | None = strawberry.field(
        description="Why it did not go through; null if it is not to blame.", directives=[cost(0)]
    )


@strawberry.type(description="What became of the items of a bulk, in the input's order.")
class BulkTransitionReport:
    """A Report as clients see it."""

    operation_id: strawberry.ID = strawberry.field(description="What the audit entries of this bulk have in common.")
    dry_run: bool = strawberry.field(description="Nothing was changed; this is what would have been.")
    requested: int = strawberry.field(description="How many items were sent.")
    succeeded: int = strawberry.field(description="How many went through, or in a dry run would have.")
    failed: int = strawberry.field(
        description="How many were refused. With REJECT_ALL one refusal holds back the others, which count as neither."
    )
    results: list[BulkItemResult] = strawberry.field(
        description="One result for each item, in the input's order.", directives=[cost(0)]
    )


def entity_mutations(model: type[Entity], node: Any) -> list[StrawberryField]:
    """Return the mutations that create and edit an entity."""
    return [create_mutation(model, node), update_mutation(model, node)]


def workflow_mutations(model: type[WorkflowEntity], node: Any) -> list[StrawberryField]:
    """Return the mutations that take an entity, or many, through the transitions of its machine."""
    return [transition_mutation(model, node), bulk_mutation(model)]


def create_mutation(model: type[Entity], node: Any) -> StrawberryField:
    """Return the mutation that creates an entity."""

    def work(actor: Any, given: Any) -> Entity:
        return services.create(model, values_of(model, given, model.editing.fields), actor=actor)

    described = f"Create {with_article(model)}."
    return mutation(
        f"create{model.__name__}", described, create_input(model), work, (node, ValidationFailed, PermissionDenied)
    )


def update_mutation(model: type[Entity], node: Any) -> StrawberryField:
    """Return the mutation that edits an entity."""

    def work(actor: Any, given: Any) -> Entity:
        return services.edit(
            model,
            item_of(model, given),
            values_of(model, given, model.editing.fields),
            actor=actor,
            comment=text_of(given.comment),
            on_conflict=given.on_conflict,
        )

    described = f"Change fields of {with_article(model)}, on top of the version that you saw."
    return mutation(f"update{model.__name__}", described, update_input(model), work, (node, *ERRORS))


def transition_mutation(model: type[WorkflowEntity], node: Any) -> StrawberryField:
    """Return the mutation that takes one entity through a transition."""

    def work(actor: Any, given: Any) -> Entity:
        return services.transition(
            model,
            item_of(model, given),
            given.action.value,
            actor=actor,
            comment=text_of(given.comment),
            takes=carried(model, given),
        )

    described = f"Take {with_article(model)} from one state to another."
    inputs = transition_input(model, action_enum(model))
    return mutation(f"transition{model.__name__}", described, inputs, work, (node, *ERRORS))


def bulk_mutation(model: type[WorkflowEntity]) -> StrawberryField:
    """Return the mutation that takes many entities through a transition."""
    described = f"Take many {model._meta.verbose_name_plural} from one state to another, all or those that can."
    inputs = bulk_input(model, action_enum(model))
    answers = (BulkTransitionReport, ValidationFailed)
    made = mutation(bulk_name(model), described, inputs, partial(take_many_through, model), answers)
    made.directives = [*made.directives, ListSize(slicing_arguments=["input.items"], sized_fields=["results"])]
    return made


def bulk_name(model: type[WorkflowEntity]) -> str:
    """Return the name of the mutation that takes many entities through a transition."""
    return f"{BULK}{model.__name__}s"


def take_many_through(model: type[WorkflowEntity], actor: User, given: Any) -> Report:
    """Do what the input of a bulk says; raises ValidationFailedError."""
    return services.transition_many(
        model,
        items_of(model, given.items),
        given.action.value,
        actor=actor,
        comment=text_of(given.comment),
        takes=carried(model, given),
        on_error=given.on_error,
        dry_run=given.dry_run,
    )


def request_of(name: str, given: Any) -> Request:
    """Return what tells a mutation with this input from others; one that comes by another door is no other."""
    return Request(name, input_values(given), None if given.idempotency_key is UNSET else given.idempotency_key)


def mutation(name: str, description: str, input_type: Any, work: Work, answers: Sequence[Any]) -> StrawberryField:
    """Return a mutation that takes one input, does one work, and answers one of these types."""

    def resolve(info: Info, given: Any) -> Any:
        actor = info.context.actor
        answer = partial(_answer, info, given)
        try:
            return once(request_of(name, given), actor=actor, work=partial(work, actor, given), answer=answer)
        except RefusedError as refused:
            return publish_refusals([refused])[0]

    payload = f"{name[0].upper()}{name[1:]}Payload"
    union = strawberry.union(payload, description=f"What `{name}` answers: what it did, or why it was refused.")
    resolve.__annotations__ = {
        "info": Info,
        "given": Annotated[input_type, strawberry.argument(name="input", description="What to do.")],
        "return": Annotated[Union[tuple(answers)], union],  # noqa: UP007 (made of a sequence)
    }
    resolve.__name__ = name
    made: StrawberryField = strawberry.mutation(resolver=resolve, description=description, directives=[cost(MUTATION)])
    return made


def _answer(info: Info, given: Any, done: Done) -> Any:
    return (
        _report(given, done.outcome) if isinstance(done.outcome, Report) else _node(info, done.outcome, done.repeated)
    )


def _node(info: Info, entity: Entity, repeated: bool) -> Any:
    """Return the entity with what is selected of it; for a repeated request, with its fields as the first left them."""
    selections, details = Selections.of(info._raw_info), details_of(info._raw_info)
    name = GlobalId(type(entity).__name__, entity.pk)
    if not repeated and (answer := answered_entity(selections, info.context, details, entity)) is not None:
        return answer
    row = fetch_nodes(selections, [details], [name]).get(name, entity)
    if repeated:
        _restore(row, entity)
    return row


def _restore(row: Any, entity: Entity) -> None:
    """Give a row the columns that an entity had; a reference to what has gone since stays as it is now."""
    fields: list[Any] = [field for field in entity._meta.concrete_fields if not field.generated]
    for field in fields:
        value = getattr(entity, field.attname)
        moved = field.is_relation and value is not None and value != getattr(row, field.attname)
        if not moved or field.related_model._default_manager.filter(pk=value).exists():
            setattr(row, field.attname, value)


def _report(given: Any, report: Report) -> BulkTransitionReport:
    errors = publish_refusals([result.refusal for result in report.results])
    results = zip(given.items, report.results, errors, strict=True)
    return BulkTransitionReport(
        operation_id=strawberry.ID(str(report.operation_id)),
        dry_run=report.dry_run,
        requested=len(report.results),
        succeeded=report.succeeded,
        failed=report.failed,
        results=[_item(item.id, result, error) for item, result, error in results],
    )


def _item(sent: strawberry.ID, result: Result, error: MutationError | None) -> BulkItemResult:
    entity = result.entity
    status, version = (str(entity.status), entity.version) if entity else (None, None)
    return BulkItemResult(id=sent, ok=result.done, status=status, version=version, error=error)
