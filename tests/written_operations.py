"""The operations of written_operations.graphql, and their variables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from schema.reads.global_id import encode_id
from tests.read_stage import Stage

Variables = dict[str, Any]
HEADING: Final = "## "


def _operations() -> dict[str, dict[str, str]]:
    """Return the documents by who answers them and what they are about."""
    found: dict[str, dict[str, str]] = {}
    text = Path(__file__).with_suffix(".graphql").read_text()
    for part in text.split(f"\n{HEADING}")[1:]:
        heading, document = part.split("\n", 1)
        who, name = heading.split(": ", 1)
        found.setdefault(who, {})[name] = document.strip()
    return found


OPERATIONS: Final = _operations()


def _ids(*kinds: str) -> Callable[[Stage], list[str]]:
    return lambda stage: [stage.ids(kind)[0] for kind in kinds]


def _id(kind: str, place: int = 0) -> Callable[[Stage], str]:
    return lambda stage: stage.ids(kind)[place]


def _cursor(kind: str, place: int) -> Callable[[Stage], str]:
    return lambda stage: stage.cursors[kind][0][1][place]


EVERYTHING: Final = ("WorkOrder", "Task", "Asset", "User", "Tenant", "AuditEntry", "Site", "Ticket", "AttendanceRecord")
VARIABLES: Final[dict[str, Variables]] = {
    "interfaces": {"ids": _ids(*EVERYTHING)},
    "directives by variable": {"a": True},
    "directives the other way": {"a": False, "b": False, "c": True},
    "a variable that is null": {"n": None, "f": None, "o": None},
    "variables in an input": {
        "t": "%",
        "s": ["ASSIGNED", "MISSED"],
        "d": "DESC_NULLS_LAST",
        "at": "2020-03-01T08:00:00Z",
    },
    "one where a list is asked for": {"o": {"title": "ASC"}, "s": "ASSIGNED"},
    "every lookup of texts": {"t": "%_\\'\""},
    "empty texts": {"t": ""},
    "every lookup of times": {"t": "2020-03-01T09:00:00+01:00"},
    "ids": {"id": _id("Task"), "ids": lambda stage: [*stage.ids("Task")[:3], encode_id("Task", 10**9)]},
    "numbers": {"n": "wo-000001"},
    "nulls in filters": {"n": None, "f": None},
    "the trail's own filters": {"e": _id("WorkOrder"), "o": lambda stage: stage.values["AuditEntry", "operationId"][0]},
    "after": {"c": _cursor("Task", 4)},
    "before, backwards": {"c": _cursor("Task", 6)},
    "between two cursors": {"a": _cursor("Task", 2), "b": _cursor("Task", 8)},
    "pages within pages": {"c": _cursor("Asset", 5)},
    "a node": {"id": _id("Task")},
    "a node of another tenant": {"id": _id("Task", -1)},
    "a node that is not there": {"id": encode_id("Task", 2**63 - 1)},
    "the same node twice": {"ids": lambda stage: [stage.ids("Site")[place] for place in (0, -1, 0)]},
    "a page of less than nothing": {"n": -1},
    "a mistake in a nested list": {"n": 101},
    "a mistake below a node": {"id": _id("Site")},
    "a cursor of another order": {"c": _cursor("Task", 1)},
    "a cursor of another list": {"c": _cursor("Task", 1)},
    "an id of another type": {"id": _id("Ticket")},
    "an id of another type among some": {"ids": _ids("Asset", "Ticket")},
    "an id of no type of nodes": {"ids": [encode_id("PageInfo", 1)]},
    "too many ids": {"ids": [encode_id("Task", 1)] * 101},
    "NUL": {"t": "a\0"},
    "a time that is none": {"t": "soon"},
    "a time before all times": {"t": "0001-01-01T00:00:00+14:00"},
    "too many terms": {"o": [{"title": "ASC"}] * 9},
    "too many values": {"f": {"title": {"inList": ["x"] * 1001}}},
    "a variable of another type": {"n": "three"},
    "null where there must be something": {"all": None},
    "what nothing can fulfil": {"none": []},
}
"""Of the variables of an operation, those that are functions are of the stage."""


def variables_of(name: str, stage: Stage) -> Variables:
    """Return the variables of an operation as a client sends them."""
    given = VARIABLES.get(name, {})
    return {name: value(stage) if callable(value) else value for name, value in given.items()}
