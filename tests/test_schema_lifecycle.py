"""What workflow entities get in GraphQL, in a schema of nothing else."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, Final, Union

import pytest
import strawberry
from graphql import GraphQLEnumType, GraphQLNamedType

from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.lifecycle import WorkflowFields, action_enum, workflow, workflow_fields
from tests.machines import FINAL, ME, SOMEBODY, STATES, Model, Person, entity, rows


def node_type(model: Model) -> Any:
    available_actions, actions = workflow_fields(model)
    fields = {"available_actions": available_actions, "actions": actions}
    made = type(
        model.__name__, (), {**fields, "is_type_of": classmethod(lambda _cls, row, _info: isinstance(row, model))}
    )
    return strawberry.type(made, description=f"{model.__name__}.")


TYPES: Final = [node_type(model) for model in STATES]
Thing: Any = Annotated[Union[tuple(TYPES)], strawberry.union("Thing")]  # noqa: UP007 (made of a list)


@strawberry.type
class Query:
    """What the tests ask."""

    things: list[Any] = strawberry.field(graphql_type=list[Thing])
    workflow = workflow


SCHEMA: Final = strawberry.Schema(query=Query)
ACTIONS = "{ action allowed reason requiresComment }"


@dataclass(frozen=True)
class Asked:
    """The context of an operation."""

    actor: Person


def ask(document: str, *things: Any, role: str = "SUPERVISOR", **variables: Any) -> dict[str, Any]:
    context: Any = Asked(Person(ME, role))
    result = SCHEMA.execute_sync(document, variables, context, SimpleNamespace(things=things))
    assert result.errors is None, result.errors
    assert result.data is not None
    return result.data


def test_an_entity_tells_what_the_actor_may_do_now() -> None:
    (order,) = ask("{ things { ... on WorkOrder { availableActions } } }", entity(WorkOrder, "SUBMITTED"))["things"]
    assert order == {"availableActions": ["APPROVE", "REJECT", "CANCEL"]}


def test_actions_leave_out_what_is_blocked_unless_asked_for_it() -> None:
    record = entity(AttendanceRecord, "APPROVED", checked_out_at=None)
    shape = f"... on AttendanceRecord {{ actions {ACTIONS} all: actions(includeBlocked: true) {ACTIONS} }}"
    (told,) = ask(f"{{ things {{ {shape} }} }}", record, role="ADMIN")["things"]
    reject = {"action": "REJECT", "allowed": True, "reason": None, "requiresComment": True}
    assert told["actions"] == [reject]
    assert told["all"] == [
        {
            "action": "APPROVE",
            "allowed": False,
            "reason": "To approve, the status must be PENDING or REJECTED; it is APPROVED.",
            "requiresComment": False,
        },
        reject,
        {"action": "LOCK", "allowed": False, "reason": "Check the person out first.", "requiresComment": False},
    ]


def test_actions_of_different_entities_stand_in_one_selection() -> None:
    shapes = " ".join(f"... on {model.__name__} {{ actions {ACTIONS} }}" for model in STATES)
    things = [entity(Task, "ASSIGNED", assignee_id=ME), entity(Ticket, "OPEN"), entity(WorkOrder, "DRAFT")]
    told = ask(f"{{ things {{ {shapes} }} }}", *things, role="TECHNICIAN")["things"]
    assert [[each["action"] for each in thing["actions"]] for thing in told] == [["START"], ["START"], ["SUBMIT"]]


def test_the_actor_of_the_request_is_the_one_who_is_judged() -> None:
    order = entity(WorkOrder, "SUBMITTED", requested_by_id=ME)
    other = entity(WorkOrder, "SUBMITTED", requested_by_id=SOMEBODY)
    told = ask("{ things { ... on WorkOrder { availableActions } } }", order, other)["things"]
    assert [thing["availableActions"] for thing in told] == [["REJECT", "CANCEL"], ["APPROVE", "REJECT", "CANCEL"]]


@pytest.mark.parametrize("model", STATES)
def test_the_fields_name_what_they_are_computed_from(model: Model) -> None:
    fields: WorkflowFields = workflow_fields(model)
    for field in fields:
        assert field.metadata["columns"] == model.machine.columns
        assert field.metadata["annotations"] == model.machine.annotations


@pytest.mark.parametrize("model", STATES)
def test_an_entity_has_an_enum_of_its_actions(model: Model) -> None:
    published = SCHEMA._schema.type_map[f"{model.__name__}Action"]
    assert isinstance(published, GraphQLEnumType)
    assert list(published.values) == list(rows(model)) == action_enum(model).values


def test_an_action_is_described_by_its_row() -> None:
    published = SCHEMA._schema.type_map["WorkOrderAction"]
    assert isinstance(published, GraphQLEnumType)
    assert published.description == "What can be done to work orders."
    assert published.values["START"].description == (
        "From APPROVED to IN_PROGRESS, by the assigned technician or a supervisor; "
        "needs an assignee; sets startedAt once."
    )
    assert published.values["CANCEL"].description == (
        "From DRAFT, SUBMITTED, APPROVED or ON_HOLD to CANCELLED, by a supervisor; a comment is required."
    )


WORKFLOW: Final = """
query Workflow($kind: WorkflowKind!) {
  workflow(kind: $kind) {
    kind
    states { name initial final meaning }
    transitions { action from to requiresComment roles assignee inputs rules }
    diagram
  }
}
"""

KINDS: Final[dict[str, Model]] = {
    "WORK_ORDER": WorkOrder,
    "TASK": Task,
    "TICKET": Ticket,
    "ATTENDANCE_RECORD": AttendanceRecord,
}
ROLE_NAMES: Final = {"T": "TECHNICIAN", "S": "SUPERVISOR", "A": "ADMIN"}


@pytest.mark.parametrize("kind", KINDS)
def test_workflow_describes_the_machine_of_the_table(kind: str) -> None:
    model, told = KINDS[kind], ask(WORKFLOW, kind=kind)["workflow"]
    assert told["kind"] == kind
    assert [state["name"] for state in told["states"]] == STATES[model].split()
    assert [state["name"] for state in told["states"] if state["initial"]] == STATES[model].split()[:1]
    assert [state["name"] for state in told["states"] if state["final"]] == FINAL[model].split()
    assert told["diagram"] == model.machine.diagram()
    for row, way in zip(rows(model).values(), told["transitions"], strict=True):
        assert (way["action"], way["from"], way["to"]) == (row.action, row.from_states, row.to_state)
        assert way["requiresComment"] is row.comment
        assert way["roles"] == [ROLE_NAMES[who] for who in row.who if who in ROLE_NAMES]
        assert way["assignee"] is ("T?" in row.who)


def test_workflow_tells_what_a_transition_takes_and_demands() -> None:
    tasks = {way["action"]: way for way in ask(WORKFLOW, kind="TASK")["workflow"]["transitions"]}
    orders = {way["action"]: way for way in ask(WORKFLOW, kind="WORK_ORDER")["workflow"]["transitions"]}
    assert tasks["ASSIGN"]["inputs"] == ["assigneeId"]
    assert orders["COMPLETE"]["rules"] == ["no open task left", "sets completedAt"]
    assert orders["REVISE"]["rules"] == []


def test_a_state_says_what_it_means() -> None:
    states = ask(WORKFLOW, kind="TICKET")["workflow"]["states"]
    assert states[0] == {"name": "NEW", "initial": True, "final": False, "meaning": "Nobody has looked at it"}


def test_everything_is_described() -> None:
    mine: list[GraphQLNamedType] = [
        kind
        for name, kind in SCHEMA._schema.type_map.items()
        if name.startswith("Workflow") or name.endswith("Action") or name in {model.__name__ for model in STATES}
    ]
    undescribed = [kind.name for kind in mine if not kind.description]
    for kind in mine:
        for name, part in {**getattr(kind, "fields", {}), **getattr(kind, "values", {})}.items():
            undescribed += [f"{kind.name}.{name}"] if not part.description else []
            arguments = getattr(part, "args", None) or {}
            undescribed += [f"{kind.name}.{name}.{arg}" for arg, each in arguments.items() if not each.description]
    assert undescribed == []
    assert len(mine) == 5 + 4 + 4
