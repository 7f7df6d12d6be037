"""What is written when entities change: their documents, by one statement, however many they are."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson
from django.db import connection, models

from .declaration import NUMBER, texts_of
from .words import fold, words

WRITE: Final = """
WITH given AS (SELECT * FROM jsonb_to_recordset(%(given)s::jsonb) AS g (place int, kind text, key bigint, words text[])),
changed AS (
    UPDATE search_document d
    SET merged = CASE WHEN d.pending THEN d.merged ELSE d.words END, words = g.words, pending = true
    FROM given g WHERE d.tenant_id = %(tenant)s AND d.kind = g.kind AND d.entity_id = g.key
        AND d.words IS DISTINCT FROM g.words
),
added AS (
    INSERT INTO search_document (tenant_id, kind, entity_id, words, merged, pending)
    SELECT %(tenant)s, g.kind, g.key, g.words, '{}', true FROM given g
    WHERE NOT EXISTS (
        SELECT FROM search_document d WHERE d.tenant_id = %(tenant)s AND d.kind = g.kind AND d.entity_id = g.key
    ) ORDER BY g.place
    ON CONFLICT (tenant_id, kind, entity_id) DO {conflict}
)
SELECT count(*) FROM (
    SELECT FROM search_document WHERE tenant_id = %(tenant)s AND pending LIMIT %(many)s
) AS pending
"""

OVERWRITE: Final = """UPDATE SET words = EXCLUDED.words, pending = true,
        merged = CASE WHEN search_document.pending THEN search_document.merged ELSE search_document.words END"""
"""What becomes of a document that somebody else has added meanwhile."""

LEAVE: Final = "NOTHING"
MANY: Final = 250
"""From so many pending documents on, they are merged: each search reads all that are pending."""


NUMBERED: Final = "n"
"""The weight of the letters before a number."""


class Contribution(NamedTuple):
    """What an entity contributes: its words, each once for each of its weights; none when it is gone."""

    kind: str
    key: int
    words: Sequence[str]


def contribution(entity: models.Model) -> Contribution:
    """Return what an entity contributes."""
    found: set[str] = set()
    for weight, name, text in texts_of(entity):
        if name == NUMBER:  # its digits are found by the serial
            found.add(f"{NUMBERED}:{fold(text).partition('-')[0]}")
        else:
            found.update(f"{weight}:{word}" for word in words(text))
    return Contribution(type(entity).__name__, entity.pk, sorted(found))


def write(tenant_id: int, contributions: Sequence[Contribution], conflict: str = OVERWRITE) -> bool:
    """Write what entities contribute now; tell whether so many documents are pending that they should be merged.

    The documents of new entities are numbered in the order given.
    """
    given = [{"place": place, **each._asdict()} for place, each in enumerate(contributions)]
    values: dict[str, Any] = {"tenant": tenant_id, "given": orjson.dumps(given).decode(), "many": MANY}
    with connection.cursor() as cursor:
        cursor.execute(WRITE.replace("{conflict}", conflict), values)
        (before,) = cursor.fetchone()
    return bool(before + len(given) >= MANY)
