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


class Step(NamedTuple):
    """One change of an entity: the columns it set, with their new values."""

    action: str
    at: datetime
    actor: Actor
    changes: dict[str, Any]
    comment: str = ""


@dataclass(slots=True)
class Life:
    """An entity with the columns it was created with, the columns it has now, and the steps between."""

    first: dict[str, Any]
    entity: SimpleNamespace
    steps: list[Step]

    def numbered(self, serial: int) -> "Life":
        """Give the entity the tenant's number, and return its life."""
        self.entity.serial = serial
        return self

    def row(self) -> dict[str, Any]:
        """Return the entity's columns."""
        times = {"created_at": self.steps[0].at, "updated_at": self.steps[-1].at}
        return {**vars(self.entity), **times, "version": len(self.steps)}


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
        first = {**first, "status": self.machine.initial.value}
        entity = SimpleNamespace(**first)
        script = rng.choice(self._scripts[state])
        steps = [Step("CREATE", span[0], cast["author"], first)]
        steps += [_step(cue, at, entity, cast, rng) for cue, at in zip(script, _times(script, span, rng), strict=True)]
        return Life(first, entity, steps)

    @cached_property
    def _scripts(self) -> dict[str, list[list[Cue]]]:
        return {state: [list(self._script(way.split())) for way in ways] for state, ways in self.ways.items()}

    def _script(self, actions: list[str]) -> Iterator[Cue]:
        state: str = self.machine.initial.value
        for action in actions:
            row = self.machine.transition(action, state)
            state = row.to_state.value if row else state
            yield Cue(action, self.turns[action], state if row else None, row.effects if row else ())


def _step(cue: Cue, at: datetime, entity: SimpleNamespace, cast: Mapping[str, Actor], rng: random.Random) -> Step:
    turn, actor, changes = cue.turn, cast[cue.turn.who], dict[str, Any]()
    if turn.sets:
        changes[turn.sets] = at if turn.sets.endswith("_at") else cast["worker"].pk
    if cue.state:
        changes["status"] = cue.state
        for effect in cue.effects:
            changes[effect.column] = effect.value(entity, actor, at)
    vars(entity).update(changes)
    return Step(cue.action, at, actor, changes, rng.choice(turn.says) if turn.says else "")


def _times(script: list[Cue], span: tuple[datetime, datetime], rng: random.Random) -> list[datetime]:
    if not script:
        return []
    least, more = UNEVEN
    hours = list(accumulate(cue.turn.hours * (least + more * rng.random()) for cue in script))
    room = (span[1] - span[0]).total_seconds() / 3600
    pace = min(1.0, 0.95 * room / hours[-1])
    return [span[0] + timedelta(hours=each * pace) for each in hours]


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
