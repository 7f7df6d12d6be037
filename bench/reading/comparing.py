"""Whether the servers answer the same: their first answers, less what each is free to word in its own way."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

OWN: Final = {"id", "cursor", "startCursor", "endCursor", "hasPreviousPage", "extensions"}
"""What differs by design; PostGraphile tells of no page before the one that follows a cursor, as Relay allows."""


def compare(operation: str, size: int, answers: Mapping[str, Sequence[Any]]) -> None:
    """Raise RuntimeError when servers answer differently, or lists are not of this size; 0 is for what is no list."""
    found = {name: [essence(each) for each in given] for name, given in answers.items()}
    first, *others = found
    for name in others:
        if place := difference(found[first], found[name]):
            raise RuntimeError(f"{operation}: {first} and {name} differ in {place}.")
    for each in found[first]:
        if not each["data"] or (size and len(each["data"]["workOrders"]["edges"]) != size):
            raise RuntimeError(f"{operation}: the answer is not whole:\n{each}")


def difference(one: Any, other: Any, place: str = "") -> str:
    """Return where two answers differ first, and how; an empty text when they are the same."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next(filter(None, (difference(one[key], other[key], f"{place}.{key}") for key in one)), "")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next(filter(None, (difference(*pair, f"{place}[{number}]") for number, pair in pairs)), "")
    return "" if one == other else f"{place}: {one!r} and {other!r}"[:1000]


def essence(value: Any, name: str = "") -> Any:
    """Return what of an answer must be the same everywhere."""
    if isinstance(value, dict):
        if value.keys() == {"result"}:  # PostGraphile's answer to a mutation wraps the row
            return essence(value["result"], name)
        return {key: essence(each, key) for key, each in value.items() if key not in OWN}
    if isinstance(value, list):
        return [essence(each, name) for each in value]
    return value if value is None else PARSED.get(name, _as_it_is)(value)


def _as_it_is(value: Any) -> Any:
    return value


def _count(number: str) -> int:
    return int(number.removeprefix("WO-"))  # PostGraphile tells the mere count, our `number` a text with it


PARSED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "number": _count,
    **dict.fromkeys(("dueAt", "createdAt", "updatedAt", "at"), datetime.fromisoformat),
    **dict.fromkeys(("version", "entityVersion", "totalCount"), int),
}
"""How the texts of a field are read that say the same in different ways."""
