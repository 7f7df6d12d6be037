"""Numbers that people read out on the phone: WO-000123."""

from .prepared import prepared

TAKE = """
INSERT INTO accounts_tenantsequence AS s (tenant_id, kind, last) VALUES ($1, $2, $3::bigint)
ON CONFLICT (tenant_id, kind) DO UPDATE SET last = s.last + excluded.last RETURNING last
"""


def take_numbers(*, tenant_id: int, kind: str, count: int = 1) -> range:
    """Take the tenant's next `count` numbers of this kind, in one statement.

    Concurrent callers never get the same number; a number whose transaction is rolled back is given again, and one
    whose record is deleted leaves a gap.
    """
    ((last,),) = prepared(TAKE, [tenant_id, kind, count])
    return range(last - count + 1, last + 1)
