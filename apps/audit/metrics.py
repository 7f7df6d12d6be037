"""What the trail counts for Prometheus."""

from typing import Final

from prometheus_client import Counter

WRITES: Final = Counter("audit_log_writes", "Audit entries that were written and committed.")
FAILURES: Final = Counter(
    "audit_log_write_failures", "Audit entries that could not be written, so that what they tell of was not done."
)
