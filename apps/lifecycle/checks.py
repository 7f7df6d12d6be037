"""What `manage.py check` proves about the state machines."""

from collections.abc import Iterator

from django.apps import apps
from django.core.checks import CheckMessage, Error, register

from .machine import Machine
from .models import Entity, WorkflowEntity, workflow_models

Model = type[WorkflowEntity]


@register("lifecycle")
def check_editing(**_: object) -> list[CheckMessage]:
    """Report every entity that declares fields to edit which it has not, or that only transitions may write (E011)."""
    entities = [model for model in apps.get_models() if issubclass(model, Entity)]
    return [error for model in entities for error in _wrong_fields(model)]


def _wrong_fields(model: type[Entity]) -> Iterator[Error]:
    fields = {field.name: field for field in model._meta.concrete_fields}
    editing = model.editing
    machine: Machine | None = getattr(model, "machine", None)
    reserved = {"status", *machine.written} if machine else set()
    for name in editing.fields:
        if name not in fields or not fields[name].editable or name in reserved:
            hint = "Name columns that people enter; what a transition writes is not edited."
            yield Error(f"{model.__name__} lets people edit {name}.", hint=hint, obj=model, id="lifecycle.E011")
    for name in {*editing.only, *editing.fits} - set(fields):
        yield Error(f"{model.__name__} has no {name} to edit.", obj=model, id="lifecycle.E011")


@register("lifecycle")
def check_machines(**_: object) -> list[CheckMessage]:
    """Report every unsound state machine (lifecycle.E001 to E011)."""
    return [error for model in workflow_models() for error in check_machine(model)]


def check_machine(model: Model) -> Iterator[Error]:
    """Yield what is wrong with a model's machine.

    What refers to unknown states or to a missing machine is reported alone: the other proofs stand on the states.
    """
    machine: Machine | None = getattr(model, "machine", None)
    if machine is None:
        yield _error(model, 9, "has no state machine", "Set `machine` to the Machine that its workflow.py declares.")
    elif strangers := _strangers(machine):
        for state, place in strangers:
            yield _error(model, 4, f"has the state {state!s} in {place}", "Use a member of the status enum.")
    else:
        for proof in (_reachable, _ways_out, _unambiguous, _demands_one, _agrees_with_status, _columns_exist):
            yield from proof(model, machine)


def _error(model: Model, number: int, what: str, hint: str) -> Error:
    return Error(f"{model.__name__} {what}.", hint=hint, obj=model, id=f"lifecycle.E{number:03}")


def _strangers(machine: Machine) -> list[tuple[object, str]]:
    places: list[tuple[object, str]] = [(state, "`final`") for state in machine.final]
    for each in machine.transitions:
        places += [(state, each.action) for state in (*each.from_states, each.to_state)]
    known = type(machine.initial)
    return [(state, place) for state, place in places if not isinstance(state, known)]


def _reachable(model: Model, machine: Machine) -> Iterator[Error]:
    reached, found = {machine.initial}, {machine.initial}
    while found:
        found = {each.to_state for each in machine.transitions if found & set(each.from_states)} - reached
        reached |= found
    for state in type(machine.initial):
        if state not in reached:
            yield _error(model, 1, f"never gets into {state}", "Add a transition that leads there, or drop the state.")


def _ways_out(model: Model, machine: Machine) -> Iterator[Error]:
    left = {state for each in machine.transitions for state in each.from_states}
    for state in type(machine.initial):
        if state not in left and state not in machine.final:
            yield _error(model, 2, f"never gets out of {state}", "Add a transition from it, or declare it final.")
        if state in left and state in machine.final:
            yield _error(model, 3, f"gets out of {state}, which is final", "Drop the transition, or `final`.")


def _unambiguous(model: Model, machine: Machine) -> Iterator[Error]:
    seen: set[tuple[str, str]] = set()
    for each in machine.transitions:
        for state in each.from_states:
            if (each.action, state) in seen:
                yield _error(model, 5, f"has {each.action} from {state} twice", "One action leads to one state.")
            seen.add((each.action, state))


def _demands_one(model: Model, machine: Machine) -> Iterator[Error]:
    for action in machine.action_names:
        if len({(way.comment, way.takes) for way in machine.ways(action)}) > 1:
            hint = "Whether a comment is required and what the input carries belongs to the action."
            yield _error(model, 10, f"asks for one thing or another for {action}, depending on the state", hint)


def _agrees_with_status(model: Model, machine: Machine) -> Iterator[Error]:
    status = next((field for field in model._meta.concrete_fields if field.name == "status"), None)
    if status is None or [value for value, _ in status.flatchoices] != [state.name for state in machine.states]:
        yield _error(model, 8, "has no status of the machine's states", "Give the column the enum as `choices`.")
    elif status.default != machine.initial:
        hint = f"Set the column's default to {machine.initial}."
        yield _error(model, 6, f"starts in {status.default}, its machine in {machine.initial}", hint)


def _columns_exist(model: Model, machine: Machine) -> Iterator[Error]:
    columns = {field.attname for field in model._meta.concrete_fields}
    relations = {field.name for field in model._meta.concrete_fields if field.is_relation}
    for name in dict.fromkeys((*machine.columns, *machine.written)):
        if name not in columns:
            yield _error(model, 7, f"has no column {name}, which its machine names", "Name the column: `site_id`.")
    for name in dict.fromkeys(name for each in machine.transitions for name in each.takes):
        if name not in relations:
            yield _error(model, 7, f"has no relation {name}, which its machine takes", "Name the relation: `site`.")
