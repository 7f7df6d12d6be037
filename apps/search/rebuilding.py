"""Builds the index anew, and finds out where it has drifted from what it is of.

Both go on while people work. Documents are locked before their entities are read, and whoever changes an entity writes
its document last: so either the change is read, or its document is written after ours. Postings follow from the
documents: one that changes meanwhile becomes pending and remembers what the postings say of it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db import OperationalError, connection, transaction
from psycopg import sql
from pyroaring import BitMap

from .declaration import searched_models
from .documents import Contribution, add, contribution_of, write
from .merging import hold_merges, mark_changed, merge
from .postings import BATCH, Changes, Place, ask, run, write_all
from .snapshots import snapshot

TRIES, REST = 20, 0.5
"""How often a batch is tried whose documents others hold, and the seconds between two tries."""

DOCUMENTS: Final = """
SELECT id, kind, CASE WHEN pending THEN merged ELSE words END FROM search_document WHERE tenant_id = %s ORDER BY id
"""
LEFT_OVER: Final = """
SELECT d.kind, d.entity_id FROM search_document d
WHERE d.tenant_id = {tenant} AND d.kind = {kind} AND d.words IS NOT NULL
AND NOT EXISTS (SELECT FROM {table} e WHERE e.id = d.entity_id AND e.tenant_id + 0 = d.tenant_id)
"""
UNKNOWN: Final = """
SELECT d.kind, d.entity_id FROM search_document d
WHERE d.tenant_id = {tenant} AND d.kind <> ALL({kinds}) AND d.words IS NOT NULL
"""
OF_ENTITIES: Final = """
FROM unnest(%s::text[], %s::bigint[]) AS g (kind, key) CROSS JOIN LATERAL (
    SELECT * FROM search_document d WHERE d.tenant_id = %s AND d.kind = g.kind AND d.entity_id = g.key {lock} OFFSET 0
) AS d
"""
"""Each document by its own index, whatever the planner thinks of how many the tenant has."""

LOCK: Final = "SELECT d.id " + OF_ENTITIES.format(lock="FOR UPDATE")
STORED: Final = "SELECT d.kind, d.entity_id, d.words " + OF_ENTITIES.format(lock="")
POSTINGS: Final = """
SELECT p.weight, coalesce(w.text, p.word_id::text), p.chunk, p.numbers FROM search_posting p
LEFT JOIN search_word w ON w.tenant_id = p.tenant_id AND w.id = p.word_id
WHERE p.tenant_id = %s
"""

Tick = Callable[[int], None]
Key = tuple[str, int]
"""The kind and the primary key of an entity."""


class Drift(NamedTuple):
    """Where the index says something else than what it is of."""

    documents: list[Key]
    """Entities whose documents are missing, outdated, or left over."""

    entries: list[Place]
    """Rows of the postings that list other documents than they should."""


def rebuild(tenant_id: int, tick: Tick = lambda _: None) -> None:
    """Write all documents and postings of a tenant anew."""
    # The first time, documents need not be pending: to merge them in takes much longer than to write the postings anew.
    # And where there are none at all, none need be looked for.
    begun = ask("SELECT FROM search_document WHERE tenant_id = %s LIMIT 1", tenant_id)
    write_batch = partial(_rewrite, pending=is_built(tenant_id)) if begun else _add
    for keys in _batches(_keys(tenant_id)):
        write_batch(tenant_id, keys)
        tick(len(keys))
    with transaction.atomic():
        left_over = [Contribution(kind, key, None) for kind, key in _left_over(tenant_id)]
        write(tenant_id, left_over)
    _rebuild_postings(tenant_id)
    merge(tenant_id)  # what had differed, and what has changed meanwhile


def drift(tenant_id: int, tick: Tick = lambda _: None) -> Drift:
    """Return where a tenant's index has drifted."""
    documents: list[Key] = []
    for keys in _batches(_keys(tenant_id)):
        documents += _outdated(tenant_id, keys)
        tick(len(keys))
    return Drift(documents + _left_over(tenant_id), _wrong_entries(tenant_id))


def is_built(tenant_id: int) -> bool:
    """Tell whether a tenant's index has ever been built from all that there was."""
    return bool(ask("SELECT FROM search_index WHERE tenant_id = %s AND built_at IS NOT NULL", tenant_id))


def count_entities(tenant_id: int) -> int:
    """Return how many entities of a tenant are searched."""
    return sum(model.unscoped.filter(tenant_id=tenant_id).count() for model in searched_models().values())


def _rewrite(tenant_id: int, keys: Sequence[Key], *, pending: bool, tries: int = TRIES) -> None:
    """Write the documents of entities; give way to transactions that wait for documents of ours while we for theirs."""
    try:
        _rewrite_once(tenant_id, keys, pending=pending)
    except OperationalError:
        if tries == 1 or connection.in_atomic_block:
            raise
        time.sleep(REST)
        _rewrite(tenant_id, keys, pending=pending, tries=tries - 1)


@transaction.atomic
def _rewrite_once(tenant_id: int, keys: Sequence[Key], *, pending: bool) -> None:
    if len(connection.atomic_blocks) == 1:
        run("SET LOCAL lock_timeout = '300ms'")  # sooner than PostgreSQL looks for circles, and ends one of the two
    run(LOCK, *_columns(keys), tenant_id)
    write(tenant_id, _contributions(tenant_id, keys), afresh=True, pending=pending)


def _add(tenant_id: int, keys: Sequence[Key]) -> None:
    add(tenant_id, _contributions(tenant_id, keys))


@transaction.atomic
def _rebuild_postings(tenant_id: int) -> None:
    hold_merges(tenant_id)
    bitmaps = _derived(tenant_id)
    run("DELETE FROM search_posting WHERE tenant_id = %s", tenant_id)
    run("DELETE FROM search_word WHERE tenant_id = %s", tenant_id)
    write_all(tenant_id, bitmaps)
    mark_changed(tenant_id)
    run("UPDATE search_index SET built_at = now() WHERE tenant_id = %s", tenant_id)


def _derived(tenant_id: int) -> dict[Place, BitMap]:
    """Return the postings that follow from the documents."""
    changes = Changes()
    for number, kind, words in _stream(DOCUMENTS, tenant_id):
        changes.move(number, kind, (), words)
    return {place: added for place, added, _ in changes.places()}


def _outdated(tenant_id: int, keys: Sequence[Key]) -> list[Key]:
    with snapshot():
        due = {(kind, key): words for kind, key, words in _contributions(tenant_id, keys)}
        stored = {(kind, key): words for kind, key, words in ask(STORED, *_columns(keys), tenant_id)}
    return [key for key, words in due.items() if stored.get(key) != words]


def _wrong_entries(tenant_id: int) -> list[Place]:
    with snapshot():
        due = _derived(tenant_id)
        stored = {Place(*place): BitMap.deserialize(bytes(held)) for *place, held in _stream(POSTINGS, tenant_id)}
    return sorted(place for place in {*due, *stored} if due.get(place) != stored.get(place))


def _contributions(tenant_id: int, keys: Sequence[Key]) -> list[Contribution]:
    """Return what entities contribute now, in their order; those that are gone are left out."""
    found: dict[Key, Contribution] = {}
    for kind, model in searched_models().items():
        rows = model.unscoped.filter(tenant_id=tenant_id, pk__in=[key for name, key in keys if name == kind])
        for key, *values in rows.order_by().values_list("pk", *model.search.columns):
            found[kind, key] = contribution_of(model, key, values)
    return [found[key] for key in keys if key in found]


def _keys(tenant_id: int) -> Iterator[Key]:
    """Yield the kinds and keys of the tenant's entities in the order in which they were created."""
    return _stream(sql.SQL("SELECT kind, id FROM ({}) AS e ORDER BY created_at, kind, id").format(_entities(tenant_id)))


def _left_over(tenant_id: int) -> list[Key]:
    kinds, tenant = searched_models(), sql.Literal(tenant_id)
    parts = [
        sql.SQL(LEFT_OVER).format(tenant=tenant, kind=sql.Literal(kind), table=sql.Identifier(model._meta.db_table))
        for kind, model in kinds.items()
    ]
    unknown = sql.SQL(UNKNOWN).format(tenant=tenant, kinds=sql.Literal(list(kinds)))
    return list(_stream(sql.SQL(" UNION ALL ").join([*parts, unknown])))


def _entities(tenant_id: int) -> sql.Composed:
    parts = [
        sql.SQL("SELECT {kind}::text AS kind, id, created_at FROM {table} WHERE tenant_id = {tenant}").format(
            kind=sql.Literal(kind), table=sql.Identifier(model._meta.db_table), tenant=sql.Literal(tenant_id)
        )
        for kind, model in searched_models().items()
    ]
    return sql.SQL(" UNION ALL ").join(parts)


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[int]]:
    return [kind for kind, _ in keys], [key for _, key in keys]


def _batches(keys: Iterator[Key]) -> Iterator[Sequence[Key]]:
    while batch := list(islice(keys, BATCH)):
        yield batch


def _stream(statement: Any, *values: Any) -> Iterator[Any]:
    """Yield the rows of a statement without holding all of them in memory."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(BATCH):
            yield from rows
