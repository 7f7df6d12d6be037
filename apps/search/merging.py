"""Brings pending documents into the postings.

One merge of a tenant runs at a time, and it alone writes the tenant's words and postings. Whoever changes an entity
meanwhile waits for it only if it has just that entity's document in hand. If it fails, the documents stay pending, and
searches go on finding them.
"""

from typing import Final
from uuid import uuid4

from django.db import transaction

from .postings import BATCH, Changes, ask, run

LOCK: Final = 0x5EA2C4
"""The class of PostgreSQL's advisory locks that merges take."""

TRY: Final = "SELECT pg_try_advisory_xact_lock(%s, %s)"
WAIT: Final = "SELECT true FROM pg_advisory_xact_lock(%s, %s)"
PENDING: Final = """
SELECT id, kind, words, merged FROM search_document WHERE tenant_id = %s AND pending ORDER BY id LIMIT %s
FOR UPDATE SKIP LOCKED
"""
DONE: Final = "UPDATE search_document SET pending = false, merged = '{}' WHERE id = ANY(%s)"
GONE: Final = "DELETE FROM search_document WHERE id = ANY(%s) AND words IS NULL"
STATE: Final = """
INSERT INTO search_index (tenant_id, state) VALUES (%s, %s) ON CONFLICT (tenant_id) DO UPDATE SET state = EXCLUDED.state
"""


def merge(tenant_id: int) -> int:
    """Merge a tenant's pending documents, unless somebody is at it; return how many were merged."""
    merged = 0
    while count := _merge_batch(tenant_id):
        merged += count
        if count < BATCH:
            break
    return merged


@transaction.atomic
def _merge_batch(tenant_id: int) -> int:
    if not _locked(TRY, tenant_id):
        return 0
    pending = ask(PENDING, tenant_id, BATCH)
    if not pending:
        return 0
    changes = Changes()
    for number, kind, words, merged in pending:
        changes.move(number, kind, merged, words or ())
    changes.write(tenant_id)
    numbers = [number for number, *_ in pending]
    run(GONE, numbers)
    run(DONE, numbers)
    mark_changed(tenant_id)
    return len(numbers)


def hold_merges(tenant_id: int) -> None:
    """Keep other merges of a tenant waiting until the transaction ends."""
    _locked(WAIT, tenant_id)


def mark_changed(tenant_id: int) -> None:
    """Mark that a tenant's postings are others than before."""
    run(STATE, tenant_id, uuid4())


def _locked(statement: str, tenant_id: int) -> bool:
    ((locked,),) = ask(statement, LOCK, tenant_id % 2**31)
    return bool(locked)
