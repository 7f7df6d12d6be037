"""Leads an entity through its machine: each step taken by somebody who may, at a time of its own, with its effects."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, TypeVar

from apps.lifecycle.actors import Actor
from apps.lifecycle.machine import Machine, Transition

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


class Step(NamedTuple):
    """One change of an entity: the columns it set, with their new values."""

    action: str
    at: datetime
    actor: Actor
    changes: dict[str, Any]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """An entity with the columns it was created with, the columns it has now, and the steps between."""

    first: dict[str, Any]
    entity: SimpleNamespace
    steps: list[Step]

    def row(self) -> dict[str, Any]:
        """Return the entity's columns."""
        times = {"created_at": self.steps[0].at, "updated_at": self.steps[-1].at}
        return {**vars(self.entity), **times, "version": len(self.steps)}


@dataclass(frozen=True, slots=True)
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
        life = Life(first, SimpleNamespace(**first), [Step("CREATE", span[0], cast["author"], first)])
        actions = rng.choice(_ways(self.ways[state]))
        moves = _moves(self.machine, actions)
        for action, move, at in zip(actions, moves, self._times(actions, span, rng), strict=True):
            life.steps.append(self._step(life.entity, action, move, cast, at, rng))
        return life

    def _step(
        self,
        entity: SimpleNamespace,
        action: str,
        move: Transition | None,
        cast: Mapping[str, Actor],
        at: datetime,
        rng: random.Random,
    ) -> Step:
        turn = self.turns[action]
        actor = cast[turn.who]
        changes: dict[str, Any] = (
            {turn.sets: at if turn.sets.endswith("_at") else cast["worker"].pk} if turn.sets else {}
        )
        if move:
            changes["status"] = move.to_state.value
            changes.update((effect.column, effect.value(entity, actor, at)) for effect in move.effects)
        vars(entity).update(changes)
        return Step(action, at, actor, changes, rng.choice(turn.says) if turn.says else "")

    def _times(self, actions: Sequence[str], span: tuple[datetime, datetime], rng: random.Random) -> Iterator[datetime]:
        least, more = UNEVEN
        hours = [self.turns[action].hours * (least + more * rng.random()) for action in actions]
        room = (span[1] - span[0]).total_seconds() / 3600
        pace = min(1.0, 0.95 * room / sum(hours)) if hours else 1.0
        at = span[0]
        for each in hours:
            at += timedelta(hours=each * pace)
            yield at


def chance(*names: object) -> random.Random:
    """Return a source of numbers that depends on the names alone, on every machine."""
    return random.Random("/".join(str(name) for name in names))  # noqa: S311 (nothing secret is drawn from it)


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


@cache
def _ways(ways: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(way.split()) for way in ways)


@cache
def _moves(machine: Machine, actions: tuple[str, ...]) -> tuple[Transition | None, ...]:
    """Return the machine's row for each action, None for an edit, which leaves the state alone."""
    state: str = machine.initial.value
    moves = []
    for action in actions:
        move = machine.transition(action, state)
        state = move.to_state.value if move else state
        moves.append(move)
    return tuple(moves)
