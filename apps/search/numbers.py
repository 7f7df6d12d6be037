"""Finds entities by the numbers that people use, `WO-000123`, exactly or by their beginning."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.db import connection
from psycopg import sql
from pyroaring import BitMap

from .asking import Asked
from .declaration import numbered_models
from .spelling import Likeness

CODE: Final = re.compile(r"([a-z]*)([0-9]{1,18})")
DIGITS: Final = 6
"""A number is filled up with zeros to so many digits."""

MOST_DIGITS: Final = 12
FIND: Final = """
SELECT {place}, d.id FROM {table} e JOIN search_document d
ON d.tenant_id = e.tenant_id AND d.kind = {kind} AND d.entity_id = e.id
WHERE e.tenant_id = {tenant} AND e.serial BETWEEN {low} AND {high}
"""
"""With the bounds written out, so that the planner knows how few there are between them."""

Found = dict[tuple[Asked, Likeness], BitMap]


def by_number(tenant_id: int, asked: Iterable[Asked]) -> Found:
    """Return the documents of the entities whose numbers are asked for."""
    codes = [(each, match) for each in asked if (match := CODE.fullmatch(each.word))]
    found: Found = {}
    for kind, model in numbered_models().items() if codes else ():
        ranges = [
            ((each, like), low, high)
            for each, match in codes
            if match[1] in {"", model.number_prefix.lower()}
            for like, low, high in _ranges(match[2], prefix=each.prefix)
        ]
        for place, number in _find(tenant_id, kind, model, ranges):
            found.setdefault(ranges[place][0], BitMap()).add(number)
    return found


def _ranges(digits: str, *, prefix: bool) -> Iterator[tuple[Likeness, int, int]]:
    """Yield which serials are shown by these digits, and which by numbers that begin with them."""
    yield Likeness.EXACT, int(digits), int(digits)
    if prefix:
        for length in range(max(DIGITS, len(digits) + 1), MOST_DIGITS + 1):
            if length == DIGITS or digits[0] != "0":
                scale = 10 ** (length - len(digits))
                yield Likeness.PREFIX, int(digits) * scale, (int(digits) + 1) * scale - 1


def _find(tenant_id: int, kind: str, model: Any, ranges: list[tuple[Any, int, int]]) -> list[tuple[int, int]]:
    if not ranges:
        return []
    about = {"table": sql.Identifier(model._meta.db_table), "kind": sql.Literal(kind), "tenant": sql.Literal(tenant_id)}
    parts = [
        sql.SQL(FIND).format(place=sql.Literal(place), low=sql.Literal(low), high=sql.Literal(high), **about)
        for place, (_, low, high) in enumerate(ranges)
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(parts))
        return list(cursor.fetchall())
