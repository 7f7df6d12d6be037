"""How entries of the audit trail go when their time is up."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db import connection, transaction

BATCH: Final = 10_000
DELETE: Final = """
DELETE FROM audit_auditentry WHERE id IN (
    SELECT id FROM audit_auditentry WHERE tenant_id = %s AND at < %s ORDER BY at LIMIT %s
)
"""


def prune(tenant_id: int, before: datetime) -> Iterator[int]:
    """Delete a tenant's entries from before this time; yield how many, after each transaction.

    This is the only code that says so to the trigger which holds the trail append-only.
    """
    deleted = BATCH
    while deleted == BATCH:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL workgraph.audit_retention = 'on'")
            cursor.execute(DELETE, [tenant_id, before, BATCH])
            deleted = cursor.rowcount
        yield deleted
