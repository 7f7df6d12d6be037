"""The arguments of operations made at random: values of any input type, as documents and as variables hold them."""

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from json import dumps
from random import Random
from typing import Any, Final

import orjson
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    get_nullable_type,
)

from schema.reads.global_id import MAX_KEY, encode_id
from schema.reads.keyset import encode_values
from schema.root import schema
from tests.read_stage import ROOT_LISTS, TEXTS, Stage

Draw = Callable[[], Any]

ABSENT: Final = object()
ODD_TEXTS: Final = [*TEXTS, "", "%", "_", "\\", "'", '"', "a", "p", "PUMP", "ß", "x" * 300]
ODD_TIMES: Final = [
    "2020-03-01T08:00:00Z",
    "2020-03-01T08:00:00",
    "2020-03-01T09:00:00+01:00",
    "2020-03-01",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
]
NUMBERS: Final = ["WO-000001", "wo-2", "WO-3", "T-000001", "t-2", "junk", "", "WO-99999999999999999999", "WO-0"]
BAD_IDS: Final = ["", "x", "V29ya09yZGVyOg==", encode_id("Gone", 1), encode_id("PageInfo", 1), "V29ya09yZGVyOi0x", "é"]
UUIDS: Final = ["00000000-0000-0000-0000-000000000000", "{12345678123456781234567812345678}"]
COMBINING: Final = ("AND", "OR", "NOT")


class Name(str):
    """What a document writes without quotes: the name of an enum's value, or of a variable."""

    __slots__ = ()


def written(value: Any) -> str:
    """Return a value as documents write it."""
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(written(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {written(each)}' for name, each in value.items())}}}"
    return dumps(value)


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, str) else value


def orders_of(chance: Random, kind: str, most: int = 3) -> list[dict[str, Any]]:
    """Return a random order of a type's lists."""
    order: Any = schema._schema.type_map[f"{kind}Order"]
    return [_term(chance, order) for _ in range(chance.randint(0, most))]


def _term(chance: Random, order: GraphQLInputObjectType) -> dict[str, Any]:
    name = chance.choice(list(order.fields))
    inner: Any = get_named_type(order.fields[name].type)
    if isinstance(inner, GraphQLEnumType):
        return {name: Name(chance.choice(list(inner.values)))}
    return {name: _term(chance, inner)}


def some_orders(chance: Random, count: int) -> dict[str, list[list[dict[str, Any]]]]:
    """Return random orders of every list, the one it has by itself among them."""
    kinds = sorted({kind.name for kind in ROOT_LISTS.values()})
    return {kind: [[], *(orders_of(chance, kind) for _ in range(count))] for kind in kinds}


@dataclass
class Inputs:
    """Makes values at random, and declares variables for some of them."""

    chance: Random
    stage: Stage
    mistakes: int = 1
    """How many in a hundred values make no sense."""
    declared: list[str] = field(default_factory=list)
    draws: dict[str, Draw] = field(default_factory=dict)
    """What draws a value of a variable."""
    in_variable: bool = False
    count: int = 0

    def odds(self, percent: float) -> bool:
        return self.chance.random() * 100 < percent

    def fresh(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def given(self, kind: Any, draw: Draw, percent: int = 20) -> Any:
        """Return a value, or a variable that holds it, and perhaps null."""
        if self.in_variable or not self.odds(percent):
            return draw()
        return self.variable(kind, draw)

    def variable(self, kind: Any, draw: Draw) -> Name:
        """Declare a variable: with a default or none, given or not, or null."""
        name, inner = self.fresh("v"), self._within(draw)
        default = f" = {written(inner())}" if self.odds(25) else ""
        required = isinstance(kind, GraphQLNonNull) or self.odds(15)
        is_nullable = not required or (bool(default) and self.odds(30))
        self.declared.append(f"${name}: {get_nullable_type(kind)}{'' if is_nullable else '!'}{default}")
        may_be_null = self.mistakes if required else 10

        def supply() -> Any:
            if (default or is_nullable) and self.odds(15):
                return ABSENT
            return None if is_nullable and self.odds(may_be_null) else plain(inner())

        self.draws[name] = supply
        return Name(f"${name}")

    def _within(self, draw: Draw) -> Draw:
        def inner() -> Any:
            before, self.in_variable = self.in_variable, True
            try:
                return draw()
            finally:
                self.in_variable = before

        return inner

    def input(self, kind: Any, owner: str = "", name: str = "", depth: int = 2) -> Any:
        """Return a value of an input type for a field of a type."""
        inner = get_nullable_type(kind)
        if not isinstance(kind, GraphQLNonNull) and self.odds(4):
            return None
        if isinstance(inner, GraphQLList):
            many = [self.input(inner.of_type, owner, name, depth) for _ in range(self.chance.choice([0, 1, 1, 2, 3]))]
            return many[0] if many and self.odds(5) else many
        if isinstance(inner, GraphQLInputObjectType):
            return self._object(inner, owner, name, depth)
        if isinstance(inner, GraphQLEnumType):
            return Name(self.chance.choice(list(inner.values)))
        return self._leaf(inner.name, owner, name)

    def _object(self, kind: GraphQLInputObjectType, owner: str, name: str, depth: int) -> dict[str, Any]:
        if kind.name.endswith("Filter"):
            return self._filter(kind, depth)
        names = list(kind.fields)
        if kind.name.endswith("Lookup"):
            names = self.chance.sample(names, self.chance.choice([1, 1, 1, 2]))
        return {each: self._part(kind, each, owner, name, depth) for each in names}

    def _filter(self, kind: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
        names = [name for name in kind.fields if depth or not self._is_filter(kind, name)]
        many = min(len(names), self.chance.choice([0, 1, 1, 1, 2, 2, 3]))
        owner = kind.name.removesuffix("Filter")
        return {name: self._part(kind, name, owner, name, depth - 1) for name in self.chance.sample(names, many)}

    def _part(self, kind: GraphQLInputObjectType, part: str, owner: str, name: str, depth: int) -> Any:
        declared = kind.fields[part].type
        return self.given(declared, lambda: self.input(declared, owner, name, depth), 15)

    @staticmethod
    def _is_filter(kind: GraphQLInputObjectType, name: str) -> bool:
        return name in COMBINING or str(kind.fields[name].type).endswith("Filter")

    def _leaf(self, kind: str, owner: str, name: str) -> Any:
        if kind == "ID":
            return self._id(owner, name)
        if kind == "DateTime":
            far = ["0001-01-01T00:00:00+14:00"] if self.odds(self.mistakes) else ODD_TIMES
            return self.chance.choice(self.stage.values.get((owner, name), ODD_TIMES) if self.odds(70) else far)
        if kind == "Boolean":
            return self.odds(50)
        return self._text(owner, name)

    def _text(self, owner: str, name: str) -> str:
        if self.odds(self.mistakes / 2):
            return self.chance.choice(["\0", "a\0b"])
        known = self.stage.values.get((owner, name), ODD_TEXTS)
        text = str(self.chance.choice(known if self.odds(60) else NUMBERS if name == "number" else ODD_TEXTS))
        if self.odds(60):
            return text
        start = self.chance.randint(0, len(text))
        part = text[start : start + self.chance.randint(0, 5)]
        return self.chance.choice([part, part.upper()])

    def _id(self, owner: str, name: str) -> str:
        if name == "operationId":
            return str(self.chance.choice([*self.stage.values["AuditEntry", name], *UUIDS]))
        if self.odds(self.mistakes):
            return self.chance.choice([*BAD_IDS, *self.stage.ids()])
        if name in {"entity", ""}:
            return self.any_id()
        missing = encode_id(owner, self.chance.choice([0, 10**9, 2**63 - 1]))
        return missing if self.odds(10) else self.chance.choice(self.stage.ids(owner))

    def any_id(self) -> str:
        """Return the id of any row of either tenant, or hardly ever of none."""
        kind = self.chance.choice([kind for kind, name in self.stage.values if name == "id"])
        return encode_id(kind, 10**9) if self.odds(5) else self.chance.choice(self.stage.ids(kind))

    def page(self, kind: str) -> dict[str, Any]:
        """Return arguments of a list of a type."""
        arguments: dict[str, Any] = {}
        types = {name: each.type for name, each in _ARGUMENTS[kind].items()}
        ordering, cursors = self._ordering(kind)
        if ordering or self.odds(15):
            arguments["ordering"] = self.given(types["ordering"], lambda: self._again(kind, ordering))
        for name in ("after", "before"):
            if cursors and self.odds(25):
                arguments[name] = self.given(types[name], lambda: self._cursor(kind, cursors), 40)
        sizes = [[], ["first"], ["first"], ["last"]] if not self.odds(self.mistakes) else [["first", "last"]]
        for name in self.chance.choice(sizes):
            arguments[name] = self.given(types[name], self._size, 30)
        if self.odds(45):
            arguments["filters"] = self.given(types["filters"], lambda: self.input(types["filters"]))
        return arguments

    def _ordering(self, kind: str) -> tuple[Any, list[str]]:
        if self.odds(65):
            return self.chance.choice(self.stage.cursors[kind])
        if self.odds(self.mistakes):
            return orders_of(self.chance, kind, 1) * 9, []
        return orders_of(self.chance, kind), []

    def _again(self, kind: str, ordering: Any) -> Any:
        """Return an order as it was or, in another set of variables, hardly ever another; of one term also the term."""
        if self.in_variable and self.odds(15):
            ordering = orders_of(self.chance, kind)
        return ordering[0] if len(ordering) == 1 and self.odds(10) else ordering or self.chance.choice([[], None])

    def _cursor(self, kind: str, cursors: list[str]) -> Any:
        if self.odds(self.mistakes * 2):
            _, others = self.chance.choice(self.stage.cursors[kind])
            return self.chance.choice([*others, "", "x", "WzFd", None])
        cursor = self.chance.choice(cursors)
        return self._forged(cursor) if self.odds(8) else cursor

    def _forged(self, cursor: str) -> str:
        """Return a cursor of the same order that no row has."""
        mark, *values = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = self.chance.randrange(len(values))
        if isinstance(values[place], int):
            values[place] = self.chance.choice([0, -1, 2**15, 2**31, MAX_KEY, -MAX_KEY])
        elif isinstance(values[place], str):
            is_time = values[place][4:5] == "-" and values[place][10:11] == "T"
            values[place] = self.chance.choice([each for each in ODD_TIMES if "Z" in each] if is_time else ODD_TEXTS)
        return encode_values(mark, *values)

    def _size(self) -> Any:
        sizes = [0, 1, 1, 2, 2, 3, 4, 5, 7, 100, None]
        return self.chance.choice([101, -1]) if self.odds(self.mistakes) else self.chance.choice(sizes)


_QUERY: Any = schema._schema.query_type
_ARGUMENTS: Final = {kind.name: _QUERY.fields[name].args for name, kind in ROOT_LISTS.items()}
