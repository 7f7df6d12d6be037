"""What a transition demands and does beside changing the status: guards that refuse with a reason, and effects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .actors import Actor, Row

if TYPE_CHECKING:
    from django.db.models.expressions import Combinable

Annotation = Callable[[str], "Combinable"]
"""What the database is to compute for an entity, given the lookup prefix under which it is joined ("" for itself)."""

Objection = Callable[[Row, Actor], str | None]
"""Return None, or in a sentence what is to be done first."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition on the entity or the actor: a rule in words, and the function that says why it is not met.

    The function sees the columns and annotations it names and nothing else, so that judging never queries.
    """

    rule: str
    objection: Objection
    columns: tuple[str, ...] = ()
    needs: Mapping[str, Annotation] = field(default_factory=dict)


def guard(rule: str, *columns: str, **needs: Annotation) -> Callable[[Objection], Guard]:
    """Make a guard of a function that returns None, or in a sentence what is to be done first."""
    return lambda objection: Guard(rule, objection, columns, needs)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a transition does to the entity beside its status: words, the column it writes, and the column's value."""

    rule: str
    column: str
    value: Callable[[Row, Actor, datetime], Any]

    def apply(self, entity: Row, actor: Actor, at: datetime) -> None:
        """Set the column of an entity in memory, for a transition taken at this time."""
        setattr(entity, self.column, self.value(entity, actor, at))


def sets(column: str) -> Effect:
    """Return the effect that writes the time of the transition."""
    return Effect(f"sets {_camel(column)}", column, lambda _entity, _actor, at: at)


def sets_once(column: str) -> Effect:
    """Return the effect that writes the time of the first such transition, and keeps it."""
    return Effect(f"sets {_camel(column)} once", column, lambda entity, _actor, at: getattr(entity, column) or at)


def clears(column: str) -> Effect:
    """Return the effect that empties a column."""
    return Effect(f"clears {_camel(column)}", column, lambda _entity, _actor, _at: None)


def _camel(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(word.title() for word in others)
