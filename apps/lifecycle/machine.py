"""The table that says how an entity may change, and the questions put to it. No database, no GraphQL.

A `Machine` is declared once for each workflow entity, in its app's `workflow.py`. Whatever is known of it elsewhere
(who may do what now and why not, GraphQL's enums, the diagrams, the columns a list must fetch) is read off it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Final, NamedTuple

from django.db.models import TextChoices

from .actors import Actor, Row, Who, either
from .rules import Annotation, Effect, Guard


class Comment(Enum):
    """Whether a transition asks for a comment; one may always be given."""

    OPTIONAL = auto()
    REQUIRED = auto()


REQUIRED: Final = Comment.REQUIRED


class Refusal(Enum):
    """Why an action is refused, in the order in which it is asked."""

    UNKNOWN_ACTION = auto()
    WRONG_STATE = auto()
    NOT_PERMITTED = auto()
    GUARDED = auto()


class Verdict(NamedTuple):
    """Whether an actor may take an action on an entity now; if not, why not, in a sentence."""

    action: str
    requires_comment: bool = False
    refusal: Refusal | None = None
    reason: str | None = None

    @property
    def allowed(self) -> bool:
        """Tell whether nothing stands against it."""
        return self.refusal is None


class State(NamedTuple):
    """A state, what it means, and its place in the machine."""

    name: str
    meaning: str
    initial: bool
    final: bool


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of a machine's table.

    `takes` names the relations that the request itself must carry and the transition sets (Task's ASSIGN: the
    assignee); `note` is what an expert says of the row beside its rules.
    """

    action: str
    from_states: tuple[TextChoices, ...]
    to_state: TextChoices
    who: Who
    guards: tuple[Guard, ...] = ()
    effects: tuple[Effect, ...] = ()
    comment: Comment = Comment.OPTIONAL
    takes: tuple[str, ...] = ()
    note: str = ""

    @property
    def requires_comment(self) -> bool:
        """Tell whether the transition is refused without a comment."""
        return self.comment is REQUIRED

    @property
    def rules(self) -> tuple[str, ...]:
        """Return in words what it demands and does beside changing the status."""
        carried = (f"the input carries the {name}" for name in self.takes)
        demands, does = (each.rule for each in self.guards), (each.rule for each in self.effects)
        return tuple(filter(None, (self.note, *carried, *demands, *does)))

    def allows(self, entity: Row, actor: Actor) -> bool:
        """Tell whether the actor may take it from one of its states."""
        return self.who.includes(entity, actor) and self.objection(entity, actor) is None

    def objection(self, entity: Row, actor: Actor) -> str | None:
        """Return what the first guard that refuses says, or None."""
        for each in self.guards:
            if reason := each.objection(entity, actor):
                return reason
        return None

    def judge(self, entity: Row, actor: Actor) -> Verdict:
        """Return the verdict on an entity in one of its states."""
        if not self.who.includes(entity, actor):
            reason = f"Only {self.who.words} may {self.action.lower()}."
            return Verdict(self.action, self.requires_comment, Refusal.NOT_PERMITTED, reason)
        if objection := self.objection(entity, actor):
            return Verdict(self.action, self.requires_comment, Refusal.GUARDED, objection)
        return Verdict(self.action, self.requires_comment)


@dataclass(frozen=True, eq=False)
class Machine:
    """The life of an entity: its initial state, its transitions, and the states that end it.

    `manage.py check` proves that it is sound (see `checks`); an unsound one can be built, and be asked.
    """

    initial: TextChoices
    transitions: tuple[Transition, ...]
    final: tuple[TextChoices, ...]

    def judge(self, entity: Row, action: str, actor: Actor) -> Verdict:
        """Return whether the actor may take the action on the entity now, and why not.

        The entity carries the machine's `columns` and `annotations`. Asked in this order: is there such an action, does
        it start from this state, may the actor, do the guards agree.
        """
        if way := self.transition(action, entity.status):
            return way.judge(entity, actor)
        if action in self.action_names:
            return self._misplaced[action, entity.status]
        reason = f"There is no action {action}. Choose {either(self.action_names)}."
        return Verdict(action, refusal=Refusal.UNKNOWN_ACTION, reason=reason)

    def available(self, entity: Row, actor: Actor) -> list[str]:
        """Return the names of the actions the actor may take on the entity now, in the table's order."""
        return [each.action for each in self._leaving.get(entity.status, ()) if each.allows(entity, actor)]

    def actions(self, entity: Row, actor: Actor, *, include_blocked: bool = False) -> list[Verdict]:
        """Return the verdict on each action the actor may take now; or on every action, with what blocks it."""
        verdicts = (self.judge(entity, action, actor) for action in self.action_names)
        return [verdict for verdict in verdicts if include_blocked or verdict.allowed]

    def transition(self, action: str, state: str) -> Transition | None:
        """Return the row for an action from a state, or None."""
        return next((each for each in self._leaving.get(state, ()) if each.action == action), None)

    def ways(self, action: str) -> tuple[Transition, ...]:
        """Return every row for an action, whatever the state it starts from."""
        return tuple(each for each in self.transitions if each.action == action)

    def next_state(self, action: str, state: str) -> str | None:
        """Return the name of the state an action leads to from a state, or None where it can't start."""
        way = self.transition(action, state)
        return way.to_state.value if way else None

    @cached_property
    def action_names(self) -> tuple[str, ...]:
        """Return the name of each action once, in the table's order."""
        return _unique(each.action for each in self.transitions)

    @cached_property
    def states(self) -> tuple[State, ...]:
        """Return every state, in the order of its enum."""
        return tuple(
            State(each.value, str(each.label), each == self.initial, each in self.final) for each in type(self.initial)
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns an entity must carry to be judged."""
        assignee = ("assignee_id",) if any(each.who.assignee for each in self.transitions) else ()
        return _unique(("status", *assignee, *(column for each in self._guards for column in each.columns)))

    @cached_property
    def annotations(self) -> dict[str, Annotation]:
        """Return what the database must compute for an entity to be judged, by the attribute's name."""
        return {name: make for each in self._guards for name, make in each.needs.items()}

    @cached_property
    def written(self) -> tuple[str, ...]:
        """Return the columns that effects write, beside the status."""
        return _unique(effect.column for each in self.transitions for effect in each.effects)

    def diagram(self) -> str:
        """Return the machine as a Mermaid state diagram."""
        moves = [
            f"{start} --> {each.to_state.value}: {each.action}"
            for each in self.transitions
            for start in _values(each.from_states)
        ]
        ends = [f"{state} --> [*]" for state in _values(self.final)]
        lines = ["stateDiagram-v2", f"[*] --> {self.initial.value}", *moves, *ends]
        return "\n    ".join(lines) + "\n"

    @cached_property
    def _misplaced(self) -> dict[tuple[str, str], Verdict]:
        # Made once: `actions` of a list asks for most of them on every row.
        pairs = ((action, state.name) for action in self.action_names for state in self.states)
        return {(action, state): self._wrong_state(action, state) for action, state in pairs}

    def _wrong_state(self, action: str, state: str) -> Verdict:
        ways = self.ways(action)
        states = either(_values(state for each in ways for state in each.from_states))
        reason = f"To {action.lower()}, the status must be {states}; it is {state}."
        return Verdict(action, ways[0].requires_comment, Refusal.WRONG_STATE, reason)

    @cached_property
    def _guards(self) -> tuple[Guard, ...]:
        return tuple(guard for each in self.transitions for guard in each.guards)

    @cached_property
    def _leaving(self) -> dict[str, list[Transition]]:
        return {
            state.name: [each for each in self.transitions if state.name in _values(each.from_states)]
            for state in self.states
        }


def _values(states: Iterable[TextChoices]) -> tuple[str, ...]:
    return tuple(str(state) for state in states)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
