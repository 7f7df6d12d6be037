"""Who acts, and who may: the words in which a machine's table names people."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from apps.accounts.roles import Role

SYSTEM_ROLE: Final = "SYSTEM"
"""The role of commands; no user has it."""

Row = Any
"""An entity, or whatever else carries the columns and annotations that its machine names."""


class Actor(Protocol):
    """Whoever acts: a user, or a command of the system."""

    @property
    def pk(self) -> int | None:
        """Return the user's key; None for a command."""

    @property
    def role(self) -> str:
        """Return the name of the role, or SYSTEM_ROLE."""


@dataclass(frozen=True, slots=True)
class SystemActor:
    """A command that acts by itself, by its name; it may take the transitions that no user may, and no others."""

    name: str
    pk: None = None
    role: str = SYSTEM_ROLE


@dataclass(frozen=True, slots=True)
class Who:
    """The roles that may take a transition, and whether the assigned technician may too.

    "The assigned technician" is the entity's assignee with the role TECHNICIAN at least: a VIEWER may do nothing, even
    one whom somebody assigned.
    """

    roles: frozenset[str] = frozenset()
    assignee: bool = False

    def __or__(self, other: "Who") -> "Who":
        """Return who is among either."""
        return Who(self.roles | other.roles, self.assignee or other.assignee)

    def includes(self, entity: Row, actor: Actor) -> bool:
        """Tell whether the actor is among them, as regards this entity."""
        return actor.role in self.roles or (
            self.assignee and entity.assignee_id == actor.pk and actor.role in TECHNICIAN.roles
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names as a table states them: the lowest role, and `assignee`."""
        return ("assignee",) * self.assignee + self._lowest

    @property
    def words(self) -> str:
        """Return the names as a sentence states them."""
        return either(WORDS[name] for name in self.names)

    @property
    def _lowest(self) -> tuple[str, ...]:
        return tuple(role for role in (*Role.values, SYSTEM_ROLE) if role in self.roles)[:1]


def _from_role(lowest: Role) -> Who:
    return Who(frozenset(role.value for role in Role if role.includes(lowest)))


TECHNICIAN: Final = _from_role(Role.TECHNICIAN)
SUPERVISOR: Final = _from_role(Role.SUPERVISOR)
ADMIN: Final = _from_role(Role.ADMIN)
ASSIGNEE: Final = Who(assignee=True)
SYSTEM: Final = Who(frozenset({SYSTEM_ROLE}))

WORDS: Final = {
    "assignee": "the assigned technician",
    Role.TECHNICIAN: "a technician",
    Role.SUPERVISOR: "a supervisor",
    Role.ADMIN: "an admin",
    SYSTEM_ROLE: "the system",
}


def either(names: Iterable[str]) -> str:
    """Return the names as in a sentence: `A, B or C`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
