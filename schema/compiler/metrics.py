"""How reads were answered, for Prometheus."""

from functools import cache
from typing import Final

from prometheus_client import Counter

READS: Final = Counter(
    "compiled_reads", "Operations by how they were answered: compiled, or by the executor, and why.", ["outcome"]
)

COMPILED: Final = "compiled"
FAILED: Final = "failed"
"""Something is wrong with what was compiled: the log has it, and the executor answers from then on."""

NEW: Final = "new"
"""It has not come often enough."""


@cache
def reads(outcome: str) -> Counter:
    """Return the counter of an outcome: to find it each time takes longer than to count."""
    return READS.labels(outcome)
