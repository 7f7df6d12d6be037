"""The audit trail as a log file, for who collects logs: a line of JSON for each entry, once it is committed."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

logger = logging.getLogger("workgraph.audit")

SHARED: Final = ("tenant", "at", "actor", "command", "comment", "correlation_id", "operation_id", "source")
OWN: Final = ("action", "entity_kind", "entity_id", "entity_version", "changes")


def write_log(shared: Sequence[Any], entries: Iterable[Sequence[Any]]) -> None:
    """Write the entries of one operation by one call, so that many cost one lock of the file."""
    if not logger.handlers:
        return
    common = dict(zip(SHARED, shared, strict=True))
    lines = (orjson.dumps(common | dict(zip(OWN, entry, strict=True)), option=orjson.OPT_UTC_Z) for entry in entries)
    logger.info("\n".join(line.decode() for line in lines))
