"""Leads an entity through its machine: each step taken by somebody who may, at a time of its own, with its effects."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import accumulate, islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from apps.lifecycle.actors import Actor
from apps.lifecycle.machine import Machine
from apps.lifecycle.rules import Effect

if TYPE_CHECKING:
    from _typeshed import SupportsLenAndGetItem

T = TypeVar("T")
UNEVEN: Final = (0.5, 1.0)
"""A step takes this share of its usual hours at least, and this share more at most."""


class Turn(NamedTuple):
    """How an action goes: who of the cast takes it, its usual hours after the step before, and what is said.

    `sets` names the column that the request itself carries: the assignee's, or the time of check-out.
    """

    who: str
    hours: float
    says: tuple[str, ...] = ()
    sets: str = ""


class Cue(NamedTuple):
    """An action on the way to a state: how it goes, and what the machine says of it.

    `state` is the state it leads to, None for an edit, which leaves the state alone.
    """

    action: str
    turn: Turn
    state: str | None
    effects: tuple[Effect, ...]

    def play(self, entity: SimpleNamespace, cast: Mapping[str, Actor], at: datetime) -> dict[str, Any]:
        """Return the columns it sets, the status aside, with their new values."""
        sets, actor = self.turn.sets, cast[self.turn.who]
        changes: dict[str, Any] = {}
        if sets:
            changes[sets] = at if sets.endswith("_at") else cast["worker"].pk
        for effect in self.effects:
            changes[effect.column] = effect.value(entity, actor, at)
        return changes


class Script(NamedTuple):
    """The cues of one way to a state, those that set more than the status with their places, and the state."""

    cues: list[Cue]
    marks: list[tuple[int, Cue]]
    end: str


class Step(NamedTuple):
    """One change of an entity: the columns it set, with their new values."""

    action: str
    at: datetime
    actor: Actor
    changes: dict[str, Any]
    comment: str = ""


@dataclass(slots=True)
class Life:
    """An entity with the columns it was created with, the columns it has now, and what led from these to those.

    `hours` says when each cue is taken, counted from the start.
    """

    first: dict[str, Any]
    script: Script
    cast: Mapping[str, Actor]
    start: datetime
    hours: list[float]
    entity: SimpleNamespace

    def numbered(self, serial: int) -> "Life":
        """Give the entity the tenant's number, and return its life."""
        self.entity.serial = serial
        return self

    def at(self, place: int) -> datetime:
        """Return when a cue is taken."""
        return self.start + timedelta(hours=self.hours[place])

    def row(self) -> dict[str, Any]:
        """Return the entity's columns."""
        updated_at = self.at(-1) if self.hours else self.start
        version = 1 + len(self.hours)
        return {**vars(self.entity), "created_at": self.start, "updated_at": updated_at, "version": version}

    def steps(self) -> Iterator[Step]:
        """Yield every change, from the creation on."""
        yield Step("CREATE", self.start, self.cast["author"], self.first)
        entity = SimpleNamespace(**self.first)
        for place, cue in enumerate(self.script.cues):
            at, says = self.at(place), cue.turn.says
            changes = cue.play(entity, self.cast, at)
            if cue.state:
                changes["status"] = cue.state
            vars(entity).update(changes)
            # The time is as good as a draw, which rows without a history could do without.
            comment = says[at.microsecond % len(says)] if says else ""
            yield Step(cue.action, at, self.cast[cue.turn.who], changes, comment)


@dataclass(frozen=True)
class Workflow:
    """A kind's machine, how each of its actions goes, and the ways in which an entity can come to each state."""

    machine: Machine
    turns: Mapping[str, Turn]
    ways: Mapping[str, tuple[str, ...]]

    def live(
        self,
        first: dict[str, Any],
        state: str,
        cast: Mapping[str, Actor],
        span: tuple[datetime, datetime],
        rng: random.Random,
    ) -> Life:
        """Return the life of an entity that is created at the span's start and comes to the state before its end."""
        first["status"] = self.machine.initial.value
        script = rng.choice(self._scripts[state])
        life = Life(first, script, cast, span[0], _hours(script.cues, span, rng), SimpleNamespace(**first))
        for place, cue in script.marks:
            vars(life.entity).update(cue.play(life.entity, cast, life.at(place)))
        life.entity.status = script.end
        return life

    @cached_property
    def _scripts(self) -> dict[str, list[Script]]:
        return {state: [self._script(way.split(), state) for way in ways] for state, ways in self.ways.items()}

    def _script(self, actions: list[str], end: str) -> Script:
        cues, state = [], str(self.machine.initial.value)
        for action in actions:
            row = self.machine.transition(action, state)
            state = row.to_state.value if row else state
            cues.append(Cue(action, self.turns[action], state if row else None, row.effects if row else ()))
        marks = [(place, cue) for place, cue in enumerate(cues) if cue.effects or cue.turn.sets]
        return Script(cues, marks, str(end))


def _hours(cues: list[Cue], span: tuple[datetime, datetime], rng: random.Random) -> list[float]:
    if not cues:
        return []
    least, more = UNEVEN
    hours = list(accumulate([cue.turn.hours * (least + more * rng.random()) for cue in cues]))
    room = 0.95 * (span[1] - span[0]).total_seconds() / 3600
    return hours if hours[-1] < room else [each * room / hours[-1] for each in hours]


class Chance(random.Random):
    """A source of numbers whose choices cost a third of what exactly equal chances cost."""

    def choice(self, seq: "SupportsLenAndGetItem[T]") -> T:
        """Return one of the values."""
        return seq[int(self.random() * len(seq))]


def chance(*names: object) -> Chance:
    """Return a source of numbers that depends on the names alone, on every machine."""
    return Chance("/".join(str(name) for name in names))


def deal(counts: Mapping[T, int], rng: random.Random) -> Iterator[T]:
    """Yield the values in random order for ever, each as often as its count in every round."""
    cards = [value for value, count in counts.items() for _ in range(count)]
    while True:
        rng.shuffle(cards)
        yield from cards


def deal_by_age(shares: Mapping[T, tuple[int, int]], count: int, rng: random.Random) -> Iterator[T]:
    """Yield so many values: by their first numbers for the older half, by their second for the newer."""
    for half, size in ((0, count // 2), (1, count - count // 2)):
        yield from islice(deal({value: share[half] for value, share in shares.items()}, rng), size)
