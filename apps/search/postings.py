"""In which documents each word occurs: Roaring bitmaps of their numbers, one for each word, weight and chunk."""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson
from django.db import connection
from pyroaring import BitMap

from .spelling import keys_of
from .words import stem

CHUNK_BITS: Final = 16
"""A chunk spans 2^16 documents: at most 8 KiB are rewritten when a word occurs in a new one."""

BATCH: Final = 5_000
ADD_WORDS: Final = """
INSERT INTO search_word (tenant_id, text, stem, keys)
SELECT %s, w.* FROM jsonb_to_recordset(%s::jsonb) AS w (text text, stem text, keys bigint[])
"""
KNOWN_WORDS: Final = "SELECT text, id FROM search_word WHERE tenant_id = %s AND text = ANY(%s)"
READ: Final = """
SELECT p.word_id, p.weight, p.chunk, p.numbers FROM unnest(%s::bigint[], %s::text[], %s::int[])
    AS g (word_id, weight, chunk) CROSS JOIN LATERAL (
    SELECT * FROM search_posting
    WHERE tenant_id = %s AND word_id = g.word_id AND weight = g.weight AND chunk = g.chunk OFFSET 0
) AS p
"""
"""Each row is looked up by itself. Joined, PostgreSQL might compare with each all rows of a tenant it hardly knows."""

WRITE: Final = """
INSERT INTO search_posting (tenant_id, word_id, weight, chunk, numbers)
SELECT %s, * FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::bytea[])
ON CONFLICT (tenant_id, word_id, weight, chunk) DO UPDATE SET numbers = EXCLUDED.numbers
"""
DROP: Final = """
DELETE FROM search_posting WHERE ctid = ANY(ARRAY(
    SELECT p.ctid FROM unnest(%s::bigint[], %s::text[], %s::int[])
        AS g (word_id, weight, chunk) CROSS JOIN LATERAL (
        SELECT ctid FROM search_posting
        WHERE tenant_id = %s AND word_id = g.word_id AND weight = g.weight AND chunk = g.chunk OFFSET 0
    ) AS p
))
"""


class Entry(NamedTuple):
    """A word with a weight, under which documents are listed."""

    weight: str
    word: str


class Place(NamedTuple):
    """Which row of the postings: an entry's, for the documents of one chunk."""

    weight: str
    word: str
    chunk: int


KIND: Final = "k"
"""The weight of being of a kind."""

BEGINNINGS: Final = (1, 2)
"""Beginnings of so many letters are entries of their own: too many words have them to be looked up."""


def entries_of(weighted: str) -> tuple[Entry, ...]:
    """Return under which entries a document is listed for one of its words, which has its weight before it."""
    weight, _, word = weighted.partition(":")
    return Entry(weight, word), *(Entry(weight, beginning(word[:length])) for length in BEGINNINGS)


def kind_entry(kind: str) -> Entry:
    """Return the entry that lists all documents of a kind."""
    return Entry(KIND, f"#{kind}")


def beginning(letters: str) -> str:
    """Return the word of the entry that lists all documents with a word that begins so."""
    return f"{letters}*"


def _numbers() -> "array[int]":
    return array("I")  # a list of Python's integers would take nine times the memory


Listed = defaultdict[int, "array[int]"]
"""Documents by the place of their entry in the list of all entries."""


def _listed() -> Listed:
    return defaultdict(_numbers)


class Changes:
    """Changes of postings, gathered in memory and written by a few statements."""

    def __init__(self) -> None:
        """Start with none."""
        self._entries: dict[Entry, int] = {}
        self._known: dict[str, tuple[int, ...]] = {}
        self._added: defaultdict[int, Listed] = defaultdict(_listed)
        self._removed: defaultdict[int, Listed] = defaultdict(_listed)

    def move(self, number: int, kind: str, before: Collection[str], after: Collection[str]) -> None:
        """List a document under what it contributes now, and no longer under what it did."""
        old, new = self._of(kind, before), self._of(kind, after)
        _append(self._added, number, new - old)
        _append(self._removed, number, old - new)

    def _of(self, kind: str, words: Collection[str]) -> set[int]:
        """Return the entries of a document by their places: numbers are compared much faster than entries."""
        if not words:
            return set()
        found = {self._place(kind_entry(kind))}
        for weighted in words:
            known = self._known.get(weighted)
            if known is None:
                known = self._known[weighted] = tuple(map(self._place, entries_of(weighted)))
            found.update(known)
        return found

    def _place(self, entry: Entry) -> int:
        return self._entries.setdefault(entry, len(self._entries))

    def places(self) -> Iterator[tuple[Place, BitMap, BitMap]]:
        """Yield each row of the postings that changes, what is added to it and what removed from it."""
        for chunk in sorted({*self._added, *self._removed}):
            added, removed = self._added[chunk], self._removed[chunk]
            for entry, place in self._entries.items():
                if place in added or place in removed:
                    yield Place(*entry, chunk), BitMap(added.get(place, ())), BitMap(removed.get(place, ()))

    def write(self, tenant_id: int) -> None:
        """Write the changes."""
        changes = list(self.places())
        ids = _word_ids(tenant_id, sorted({place.word for place, _, _ in changes}))
        for start in range(0, len(changes), BATCH):
            batch = changes[start : start + BATCH]
            held = _read(tenant_id, [place for place, _, _ in batch], ids)
            _write(tenant_id, ids, {p: (held.get(p, BitMap()) | added) - removed for p, added, removed in batch})


def write_all(tenant_id: int, bitmaps: dict[Place, BitMap]) -> None:
    """Write all postings of a tenant that has none."""
    ids, places = _word_ids(tenant_id, sorted({place.word for place in bitmaps})), list(bitmaps)
    for start in range(0, len(places), BATCH):
        _write(tenant_id, ids, {place: bitmaps[place] for place in places[start : start + BATCH]})


def _append(listed: defaultdict[int, Listed], number: int, places: set[int]) -> None:
    if places:
        chunk = listed[number >> CHUNK_BITS]
        for place in places:
            chunk[place].append(number)


def _word_ids(tenant_id: int, words: Sequence[str]) -> dict[str, int]:
    """Return the ids of words; those that are new to the tenant are added."""
    ids = dict(ask(KNOWN_WORDS, tenant_id, list(words)))
    new = [word for word in words if word not in ids]
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        rows = [{"text": word, "stem": _stem(word), "keys": keys_of(word, tenant_id)} for word in batch]
        run(ADD_WORDS, tenant_id, orjson.dumps(rows).decode())
    return ids | dict(ask(KNOWN_WORDS, tenant_id, new)) if new else ids


def _stem(word: str) -> str:
    return stem(word) if word.isalpha() else ""


def _read(tenant_id: int, places: Sequence[Place], ids: dict[str, int]) -> dict[Place, BitMap]:
    names = {key: word for word, key in ids.items()}
    rows = ask(READ, *_columns(places, ids), tenant_id)
    return {Place(weight, names[key], chunk): BitMap.deserialize(bytes(held)) for key, weight, chunk, held in rows}


def _write(tenant_id: int, ids: dict[str, int], bitmaps: dict[Place, BitMap]) -> None:
    kept = {place: numbers for place, numbers in bitmaps.items() if numbers}
    for numbers in kept.values():
        numbers.run_optimize()
    run(WRITE, tenant_id, *_columns(list(kept), ids), [numbers.serialize() for numbers in kept.values()])
    if empty := [place for place in bitmaps if place not in kept]:
        run(DROP, *_columns(empty, ids), tenant_id)


def _columns(places: Sequence[Place], ids: dict[str, int]) -> tuple[list[int], list[str], list[int]]:
    return [ids[each.word] for each in places], [each.weight for each in places], [each.chunk for each in places]


def ask(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def run(statement: str, *values: Any) -> int:
    """Run a statement and return the number of rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)
