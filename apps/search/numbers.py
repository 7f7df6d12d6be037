"""Finds entities by the numbers that people use, `WO-000123`, exactly or by their beginning."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Final

from django.db import connection
from psycopg import sql
from pyroaring import BitMap

from .asking import CODE_FROM, Asked
from .declaration import numbered_models
from .spelling import Likeness

CODE: Final = re.compile(r"([a-z]*)([0-9]{1,18})")
DIGITS: Final = 6
"""A number is filled up with zeros to so many digits."""

MOST_DIGITS: Final = 12
MOST_BEGINNINGS: Final = 4
"""How many codes of a query, the last, are also taken for beginnings of numbers: each makes the statement longer."""

EXACT: Final = """
SELECT e.serial, d.id FROM {table} e JOIN search_document d
ON d.tenant_id = e.tenant_id AND d.kind = {kind} AND d.entity_id = e.id
WHERE e.tenant_id = {tenant} AND e.serial = ANY({serials})
"""
BETWEEN: Final = """
SELECT {place}, d.id FROM {table} e JOIN search_document d
ON d.tenant_id = e.tenant_id AND d.kind = {kind} AND d.entity_id = e.id
WHERE e.tenant_id = {tenant} AND e.serial BETWEEN {low} AND {high}
"""
"""With the bounds written out, so that the planner knows how few there are between them."""

Found = dict[tuple[Asked, Likeness], BitMap]
Meant = list[tuple[Asked, str]]
"""Words that are asked, and the digits of the number that each may be."""


def by_number(tenant_id: int, asked: Iterable[Asked]) -> Found:
    """Return the documents of the entities whose numbers are asked for."""
    codes = [(each, match) for each in asked if (match := CODE.fullmatch(each.word))]
    found: defaultdict[tuple[Asked, Likeness], BitMap] = defaultdict(BitMap)
    for kind, model in numbered_models().items() if codes else ():
        meant = [(each, match[2]) for each, match in codes if match[1] in {"", model.number_prefix.lower()}]
        table = sql.Identifier(model._meta.db_table)
        about = {"table": table, "kind": sql.Literal(kind), "tenant": sql.Literal(tenant_id)}
        for each, number in _exact(meant, about):
            found[each, Likeness.EXACT].add(number)
        for each, number in _begun(meant, about):
            found[each, Likeness.PREFIX].add(number)
    return found


def _exact(meant: Meant, about: dict[str, Any]) -> Iterator[tuple[Asked, int]]:
    """Yield which documents have exactly one of these numbers."""
    by_serial: defaultdict[int, list[Asked]] = defaultdict(list)
    for each, digits in meant:
        by_serial[int(digits)].append(each)
    for serial, number in _ask(sql.SQL(EXACT).format(serials=sql.Literal(list(by_serial)), **about), by_serial):
        for each in by_serial[serial]:
            yield each, number


def _begun(meant: Meant, about: dict[str, Any]) -> Iterator[tuple[Asked, int]]:
    """Yield which documents have numbers that begin with these."""
    begun = [(each, digits) for each, digits in meant if each.prefix and len(each.word) >= CODE_FROM][-MOST_BEGINNINGS:]
    ranges = [(each, low, high) for each, digits in begun for low, high in _ranges(digits)]
    parts = [
        sql.SQL(BETWEEN).format(place=sql.Literal(place), low=sql.Literal(low), high=sql.Literal(high), **about)
        for place, (_, low, high) in enumerate(ranges)
    ]
    for place, number in _ask(sql.SQL(" UNION ALL ").join(parts), parts):
        yield ranges[place][0], number


def _ranges(digits: str) -> Iterator[tuple[int, int]]:
    """Yield the serials whose numbers begin with these digits and have more."""
    for length in range(max(DIGITS, len(digits) + 1), MOST_DIGITS + 1):
        if length == DIGITS or digits[0] != "0":
            scale = 10 ** (length - len(digits))
            yield int(digits) * scale, (int(digits) + 1) * scale - 1


def _ask(statement: sql.Composed, asked: Sized) -> list[tuple[int, int]]:
    if not asked:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
