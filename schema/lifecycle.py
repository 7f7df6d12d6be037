"""What every workflow entity gets, read off its machine: enums of actions, `availableActions`, `actions`, `workflow`.

An entity's own fields are typed by its own enum of actions (`availableActions: [WorkOrderAction!]!`), so that generated
client types are exact. What all entities share (`WorkflowAction`, `WorkflowTransition`) names actions by strings:
otherwise `actions` of a work order and of a task could not stand in one selection of `nodes` or `search`, as GraphQL
demands one type of a field name there.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import strawberry
from django.db.models import TextChoices
from strawberry.utils.str_converters import to_camel_case

from apps.accounts.roles import Role
from apps.lifecycle.actors import either
from apps.lifecycle.machine import Machine, Transition, Verdict
from apps.lifecycle.models import WorkflowEntity, workflow_models

from .context import Context
from .enums import publish
from .reads.fields import computed
from .weights import ListSize

Info = strawberry.Info[Context, None]
Model = type[WorkflowEntity]


def _kind(model: Model) -> str:
    return str(model._meta.verbose_name).replace(" ", "_").upper()


def _choices(name: str, description: str, members: dict[str, str]) -> type[TextChoices]:
    """Make a GraphQL enum of names and the sentences that describe them."""
    make: Callable[..., type[TextChoices]] = TextChoices  # type: ignore[assignment]
    choices = make(name, [(key, (key, label.rstrip("."))) for key, label in members.items()])
    choices.__doc__ = description
    return publish(choices)


publish(Role)

if TYPE_CHECKING:
    WorkflowKind = str
else:
    WorkflowKind = _choices(
        "WorkflowKind",
        "The entities that have a state machine.",
        {_kind(model): model.__doc__ for model in workflow_models()},
    )


@strawberry.type(description="An action on an entity, and whether you may take it now.")
class WorkflowAction:
    """A Verdict as clients see it."""

    action: str = strawberry.field(description="The action's name, as in the entity's enum of actions.")
    allowed: bool = strawberry.field(description="Whether you may take it now.")
    reason: str | None = strawberry.field(description="Why not, as a sentence; null when you may.")
    requires_comment: bool = strawberry.field(description="Whether it is refused without a comment.")


@strawberry.type(description="A state of an entity.")
class WorkflowState:
    """A State as clients see it."""

    name: str = strawberry.field(description="The state's name, as in the entity's `status`.")
    meaning: str = strawberry.field(description="What it means that an entity is in this state.")
    initial: bool = strawberry.field(description="Whether entities start in it.")
    final: bool = strawberry.field(description="Whether no action leads out of it.")


@strawberry.type(description="An action, the states it starts from, and the one it leads to.")
class WorkflowTransition:
    """A Transition as clients see it."""

    action: str = strawberry.field(description="The action's name.")
    from_: list[str] = strawberry.field(name="from", description="The states it starts from.")
    to: str = strawberry.field(description="The state it leads to.")
    requires_comment: bool = strawberry.field(description="Whether it is refused without a comment.")
    roles: list[Role] = strawberry.field(description="The roles that may take it; none if only the system does.")
    assignee: bool = strawberry.field(description="Whether the assigned technician may take it too.")
    inputs: list[str] = strawberry.field(description="What the input must carry besides: the names of its fields.")
    rules: list[str] = strawberry.field(description="In words, what it demands and does besides.")


@strawberry.type(description="The state machine of a kind of entity.")
class Workflow:
    """A Machine as clients see it."""

    kind: str = strawberry.field(graphql_type=WorkflowKind, description="The kind of entity.")
    states: list[WorkflowState] = strawberry.field(description="Every state.")
    transitions: list[WorkflowTransition] = strawberry.field(description="Every transition.")
    diagram: str = strawberry.field(description="The machine as a Mermaid state diagram, ready to draw.")


class WorkflowFields(NamedTuple):
    """The fields of a node type whose entity has a machine: `available_actions, actions = workflow_fields(Model)`."""

    available_actions: Any
    actions: Any


IncludeBlocked = Annotated[
    bool, strawberry.argument(description="Whether to list every action of the machine, or only those you may take.")
]


def workflow_fields(model: Model) -> WorkflowFields:
    """Return the fields that tell what the actor may do; each is a pure function of a fetched row and the actor."""
    machine = model.machine
    reads: dict[str, Any] = {"annotations": machine.annotations}

    def available_actions(root: strawberry.Parent[Any], info: Info) -> list[str]:
        return machine.available(root, info.context.actor)

    def actions(root: strawberry.Parent[Any], info: Info, *, include_blocked: IncludeBlocked = False) -> list[Verdict]:
        return machine.actions(root, info.context.actor, include_blocked=include_blocked)

    return WorkflowFields(
        computed(
            *machine.columns,
            description="The actions you may take on it now.",
            resolver=available_actions,
            graphql_type=list[action_enum(model)],  # type: ignore[misc]
            **reads,
        ),
        computed(
            *machine.columns,
            description="The actions with whether you may take them now, and if not, why not.",
            resolver=actions,
            graphql_type=list[WorkflowAction],
            directives=[ListSize(assumed_size=len(machine.action_names))],
            **reads,
        ),
    )


@cache
def action_enum(model: Model) -> type[TextChoices]:
    """Return the GraphQL enum of a model's actions: `WorkOrderAction`."""
    members = {action: _action_meaning(model.machine, action) for action in model.machine.action_names}
    return _choices(f"{model.__name__}Action", f"What can be done to {model._meta.verbose_name_plural}.", members)


def _action_meaning(machine: Machine, action: str) -> str:
    return "; ".join(_meaning(way) for way in machine.transitions if way.action == action)


def _meaning(way: Transition) -> str:
    moves = f"From {either(map(str, way.from_states))} to {way.to_state}, by {way.who.words}"
    comment = ("a comment is required",) if way.requires_comment else ()
    return "; ".join((moves, *way.rules, *comment))


@cache
def describe(kind: str) -> Workflow:
    """Return the machine of a kind of entity, for clients."""
    machine = next(model.machine for model in workflow_models() if _kind(model) == kind)
    return Workflow(
        kind=kind,
        states=[WorkflowState(**state._asdict()) for state in machine.states],
        transitions=[_transition(way) for way in machine.transitions],
        diagram=machine.diagram(),
    )


def _transition(way: Transition) -> WorkflowTransition:
    return WorkflowTransition(
        action=way.action,
        from_=[str(state) for state in way.from_states],
        to=str(way.to_state),
        requires_comment=way.requires_comment,
        roles=[role for role in Role if role in way.who.roles],
        assignee=way.who.assignee,
        inputs=[to_camel_case(f"{name}_id") for name in way.takes],
        rules=list(way.rules),
    )


def _workflow(kind: Annotated[WorkflowKind, strawberry.argument(description="Of which entity.")]) -> Workflow:
    return describe(str(kind))


workflow = strawberry.field(
    resolver=_workflow, description="How a kind of entity may change: its states and the actions between them."
)
