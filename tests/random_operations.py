"""Queries made at random of the schema and valid by its rules: selections, fragments, aliases, directives."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from graphql import GraphQLInterfaceType, GraphQLNonNull, GraphQLObjectType, get_named_type

from schema.documents.document import Document, read
from schema.root import schema
from tests.random_inputs import ABSENT, Inputs, written
from tests.read_stage import Stage

Kind = GraphQLObjectType | GraphQLInterfaceType

TYPES: Final[dict[str, Any]] = schema._schema.type_map
NODES: Final = {name for name, kind in TYPES.items() if "Node" in {i.name for i in getattr(kind, "interfaces", ())}}
ALIASES: Final = ["class", "None", "self", "_", "row", "rows", "run", "info", "str", "node", "edges", "t0", "title"]
"""Names that the code which makes answers might trip over."""

QUERIES: Final = ["pump", "pmup", "replace seal", "WO-0001", "100 %", "p", "it's", "zzzz", "long"]
ATTEMPTS: Final = 20


def _ambiguous() -> set[str]:
    """Return the fields that are of another type in another type of node: they can't share a key in an answer."""
    found: dict[str, set[str]] = defaultdict(set)
    for kind in NODES:
        for name, declared in TYPES[kind].fields.items():
            found[name].add(str(declared.type))
    return {name for name, types in found.items() if len(types) > 1}


AMBIGUOUS: Final = _ambiguous()


@dataclass(frozen=True)
class Operation:
    """A query made at random, and what draws the values of its variables."""

    document: str
    draws: dict[str, Callable[[], Any]]
    refused: int
    """How many made before it were not valid."""

    def variables(self) -> dict[str, Any]:
        """Draw a set of values."""
        drawn = {name: draw() for name, draw in self.draws.items()}
        return {name: value for name, value in drawn.items() if value is not ABSENT}


@dataclass(frozen=True)
class Manner:
    """What operations are like."""

    roots: tuple[str, ...]
    depth: int = 3
    mistakes: int = 1
    fragments: int = 20
    directives: int = 12
    room: int = 4
    """How many lists and nodes an operation has, about."""
    fields: int = 30
    """After how many fields it comes to an end."""


def make(chance: Random, stage: Stage, manner: Manner) -> Operation:
    """Return a valid operation."""
    for refused in range(ATTEMPTS):
        maker = Maker(chance, stage, manner.mistakes, manner=manner, room=manner.room)
        document = maker.document()
        if isinstance(read(schema._schema, document), Document):
            return Operation(document, maker.draws, refused)
    raise AssertionError(f"None of {ATTEMPTS} operations was valid; the last: {document}")


@dataclass
class Maker(Inputs):
    """Makes a document."""

    manner: Manner = field(kw_only=True)
    room: int = field(kw_only=True)
    fragments: list[str] = field(default_factory=list)
    named: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The names of the fragments, by the types that they are on."""
    plain: dict[tuple[str, str], str] = field(default_factory=dict)
    """The arguments of fields without alias, which are the same throughout."""
    aliases: list[str] = field(default_factory=lambda: list(ALIASES))
    fields: int = 0
    """How many there are."""

    def document(self) -> str:
        body = self.selection(TYPES["Query"], self.manner.depth)
        head = self.chance.choice(["", "query", "query Q"])
        if self.declared:
            head = f"query Made({', '.join(self.declared)})"
        return " ".join([head, body, *self.fragments]).strip()

    def selection(self, kind: Kind, depth: int, *, mixed: bool = False) -> str:
        """Return a random selection of a type; mixed with those of other types, it needs other keys."""
        mixed = mixed or isinstance(kind, GraphQLInterfaceType)
        parts = [part for name in self.names(kind, depth) for part in self.of_field(kind, name, depth, mixed=mixed)]
        fragments = 80 if isinstance(kind, GraphQLInterfaceType) else self.manner.fragments
        while self.fields < self.manner.fields and self.odds(fragments):
            parts.append(self.fragment(kind, depth))
            fragments //= 3
        if self.odds(15) or not parts:
            parts.append(f"{self.chance.choice(['', '', 'type: '])}__typename{self.directive()}")
        self.chance.shuffle(parts)
        return f"{{ {' '.join(parts)} }}"

    def names(self, kind: Kind, depth: int) -> list[str]:
        """Return the names of some fields of a type."""
        if kind.name == "Query":
            return self.chance.choices(self.manner.roots, k=self.chance.choice([1, 1, 2]))
        leaves = [name for name in kind.fields if not self.below(kind, name)]
        inner = [name for name in kind.fields if self.below(kind, name) and self.fits(kind, name, depth)]
        if kind.name.endswith(("Connection", "Edge")):
            return [*(each for each in inner if self.odds(85)), *(each for each in leaves if self.odds(35))]
        some = self.chance.sample(leaves, min(len(leaves), self.chance.choice([0, 1, 1, 2, 2, 4])))
        return [*some, *self.chance.sample(inner, min(len(inner), self.chance.choice([0, 1, 1, 2, 2])))]

    @staticmethod
    def below(kind: Kind, name: str) -> Kind | None:
        found = get_named_type(kind.fields[name].type)
        return found if isinstance(found, Kind) else None

    def fits(self, kind: Kind, name: str, depth: int) -> bool:
        goes_on = depth > 0 and self.room > 0 and self.fields < self.manner.fields
        return name != "rateLimit" and (goes_on or not self.is_step(kind, name))

    def is_step(self, kind: Kind, name: str) -> bool:
        """Tell whether a field leads to other rows."""
        below = self.below(kind, name)
        reads = below is not None and (below.name in NODES | {"Node", "Entity"} or "filters" in kind.fields[name].args)
        return reads and not kind.name.endswith("Edge")

    def of_field(self, kind: Kind, name: str, depth: int, *, mixed: bool) -> list[str]:
        """Return a field, or twice the same with other selections, or with other arguments."""
        self.fields += 1
        if self.is_step(kind, name):
            self.room, depth = self.room - 1, depth - 1
        heads = [self.head(kind, name, mixed=mixed)]
        if self.room > 0 and self.odds(12):
            heads.append(heads[0] if self.odds(60) else self.head(kind, name, mixed=mixed))
        below = self.below(kind, name)
        return [f"{head}{self.directive()} {self.selection(below, depth) if below else ''}" for head in heads]

    def head(self, kind: Kind, name: str, *, mixed: bool) -> str:
        """Return a field's alias, name and arguments."""
        declared = kind.fields[name].args
        if self.odds(25 if not declared else 60):
            return f"{self.alias()}: {name}{self.arguments(kind, name)}"
        if (kind.name, name) not in self.plain:
            self.plain[kind.name, name] = self.arguments(kind, name)
        key = f"{name}Of{kind.name}: " if mixed and name in AMBIGUOUS else ""
        return f"{key}{name}{self.plain[kind.name, name]}"

    def alias(self) -> str:
        if self.aliases and self.odds(15):
            return self.aliases.pop(self.chance.randrange(len(self.aliases)))
        return self.fresh("k")

    def fragment(self, kind: Kind, depth: int) -> str:
        condition = self.chance.choice(self.conditions(kind))
        if self.named[condition] and self.odds(40):
            return f"...{self.chance.choice(self.named[condition])}{self.directive()}"
        if self.odds(15):
            return f"...{self.directive()} {self.selection(kind, depth - 1, mixed=True)}"
        body = self.selection(TYPES[condition], depth, mixed=True)
        if self.odds(55):
            return f"... on {condition}{self.directive()} {body}"
        name = self.fresh("F")
        self.fragments.append(f"fragment {name} on {condition} {body}")
        self.named[condition].append(name)
        return " ".join(f"...{name}{self.directive()}" for _ in range(self.chance.choice([1, 1, 2])))

    def conditions(self, kind: Kind) -> list[str]:
        if isinstance(kind, GraphQLInterfaceType):
            possible = [each.name for each in schema._schema.get_possible_types(kind)]
            return [*possible, "Node", "Entity"]
        return [kind.name, *(interface.name for interface in kind.interfaces)]

    def directive(self) -> str:
        if not self.odds(self.manner.directives):
            return ""
        names = self.chance.choice([["skip"], ["include"], ["include"], ["skip", "include"]])
        return "".join(f" @{name}(if: {self.switch(name)})" for name in names)

    def switch(self, name: str) -> str:
        """Return a condition that more often selects than not."""

        def draw() -> bool:
            return self.odds(70) == (name == "include")

        return written(self.given(GraphQLNonNull(TYPES["Boolean"]), draw, 50))

    def arguments(self, kind: Kind, name: str) -> str:
        declared = kind.fields[name].args
        if "filters" in declared:
            below: Any = self.below(kind, name)
            given = self.page(below.name.removesuffix("Connection"))
        else:
            given = {each: self.argument(each, declared[each].type) for each in declared}
        shown = ", ".join(f"{each}: {written(value)}" for each, value in given.items() if value is not ABSENT)
        return f"({shown})" if shown else ""

    def argument(self, name: str, kind: Any) -> Any:
        """Return an argument of a field that is no list, by its name."""
        draws: dict[str, Callable[[], Any]] = {
            "id": lambda: self.input(kind),
            "ids": lambda: [self.input(kind.of_type.of_type) for _ in range(self.chance.choice([0, 1, 3, 6]))],
            "query": lambda: self.chance.choice(QUERIES),
            "first": self._size,
        }
        if str(kind).endswith("!") and name != "includeBlocked":
            return self.given(kind, draws.get(name, lambda: self.input(kind)), 40)
        if self.odds(50) or name == "after":
            return ABSENT
        return self.given(kind, draws.get(name, lambda: self.input(kind)), 40)
