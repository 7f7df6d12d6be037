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
SELECT g.place, d.id FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS g (place, low, high)
JOIN {table} e ON e.tenant_id = %s AND e.serial BETWEEN g.low AND g.high
JOIN search_document d ON d.tenant_id = e.tenant_id AND d.kind = %s AND d.entity_id = e.id
"""

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
    lows, highs = [low for _, low, _ in ranges], [high for _, _, high in ranges]
    statement = sql.SQL(FIND).format(table=sql.Identifier(model._meta.db_table))
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(range(len(ranges))), lows, highs, tenant_id, kind])
        return list(cursor.fetchall())
