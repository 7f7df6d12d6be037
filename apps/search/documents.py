"""What is written when entities change: their documents, by one statement, however many they are."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from apps.accounts.prepared import prepared

from .declaration import NUMBER, Searched
from .words import folded, words

WRITE: Final = """
WITH given AS MATERIALIZED (
    SELECT kind, key, string_to_array(words, ' ') AS words, place, (
        SELECT id FROM search_document d WHERE d.tenant_id = $1::bigint AND d.kind = g.kind AND d.entity_id = g.key
    ) AS id
    FROM unnest($2::text[], $3::bigint[], $4::text[])
        WITH ORDINALITY AS g (kind, key, words, place)
),
changed AS (
    UPDATE search_document d
    SET merged = CASE WHEN d.pending THEN d.merged ELSE d.words END, words = g.words, pending = true
    FROM given g WHERE d.id = g.id AND {touched}
    RETURNING g.place
),
added AS (
    INSERT INTO search_document (tenant_id, kind, entity_id, words, merged, pending)
    SELECT $1::bigint, g.kind, g.key, g.words, '{{}}', {pending} FROM given g
    WHERE {missing} ORDER BY g.place
    ON CONFLICT (tenant_id, kind, entity_id) DO {conflict}
)
SELECT count(*), coalesce(sum(words), 0) FROM (
    SELECT cardinality(words) AS words FROM search_document WHERE tenant_id = $1::bigint AND pending LIMIT $5::bigint
) AS pending
"""
"""Each document is looked for by itself, by its own index. Joined, PostgreSQL might read all of a tenant: one that is
new among many has hardly any, to the planner's statistics.
"""

ADD: Final = """
INSERT INTO search_document (tenant_id, kind, entity_id, words, merged, pending)
SELECT $1::bigint, g.kind, g.key, string_to_array(g.words, ' '), '{}', false
FROM unnest($2::text[], $3::bigint[], $4::text[]) WITH ORDINALITY AS g (kind, key, words, place)
ORDER BY g.place ON CONFLICT DO NOTHING
"""
OVERWRITE: Final = """UPDATE SET words = EXCLUDED.words, pending = true,
        merged = CASE WHEN search_document.pending THEN search_document.merged ELSE search_document.words END"""
"""What becomes of a document that somebody else has added meanwhile."""

LEAVE: Final = "NOTHING"
EVERY: Final = "true"
"""Which documents are written: also those whose words stay, for results show the text that has changed."""

DIFFERING: Final = "d.words IS DISTINCT FROM g.words"
UNCHANGED: Final = "g.place NOT IN (SELECT place FROM changed)"
"""Which documents are added: also one that was there when the statement began, and that a merge has removed since."""

ABSENT: Final = "g.id IS NULL"
MANY: Final = 250
MANY_WORDS: Final = 5_000
"""From so many pending documents on, or so many words in them, they are merged: each search reads all of them."""

NUMBERED: Final = "n"
"""The weight of the letters before a number."""


class Contribution(NamedTuple):
    """What an entity contributes: its words, each once for each of its weights; None when it is gone."""

    kind: str
    key: int
    words: Sequence[str] | None


def contribution(entity: Any) -> Contribution:
    """Return what an entity contributes."""
    return contribution_of(type(entity), entity.pk, [getattr(entity, name) for name in entity.search.columns])


def contribution_of(model: Any, key: int, values: Sequence[Any]) -> Contribution:
    """Return what the entity with this key contributes, given the values of the columns that are searched."""
    found: set[str] = set()
    for (weight, name), value in zip(_weighted(model), values, strict=True):
        if name == NUMBER:  # its digits are found by the serial
            found.add(f"{NUMBERED}:{folded(model.number_prefix)}")
        elif value:
            found |= words(value, f"{weight}:")
    return Contribution(model.__name__, key, sorted(found))


@cache
def _weighted(model: Any) -> tuple[tuple[str, str], ...]:
    declared: Searched = model.search
    return tuple((weight, name) for weight in ("a", "b", "c") for name in getattr(declared, weight))


def write(tenant_id: int, contributions: Sequence[Contribution], *, afresh: bool = False, pending: bool = True) -> bool:
    """Write what entities contribute now; tell whether so many documents are pending that they should be merged.

    The documents of new entities are numbered in the order given. Whoever builds the index anew, `afresh`, yields to
    those who change entities; its new documents are not `pending` if it goes on to write all postings.
    """
    ((documents, found),) = prepared(
        _writing(afresh=afresh, pending=pending), [*_columns(tenant_id, contributions), MANY]
    )
    documents, found = documents + len(contributions), found + sum(len(each.words or ()) for each in contributions)
    return bool(documents >= MANY or found >= MANY_WORDS)


def add(tenant_id: int, contributions: Sequence[Contribution]) -> None:
    """Write documents that are not there yet, for who goes on to write all postings: they are not pending."""
    prepared(ADD, _columns(tenant_id, contributions))


@cache
def _writing(*, afresh: bool, pending: bool) -> str:
    conflict, touched, missing = (LEAVE, DIFFERING, ABSENT) if afresh else (OVERWRITE, EVERY, UNCHANGED)
    return WRITE.format(conflict=conflict, touched=touched, missing=missing, pending=pending)


def _columns(tenant_id: int, contributions: Sequence[Contribution]) -> list[Any]:
    kinds, keys, found = zip(*contributions, strict=True) if contributions else ((), (), ())
    return [tenant_id, list(kinds), list(keys), [None if words is None else " ".join(words) for words in found]]
