"""The audit trail as a log file, for who collects logs: a line of JSON for each entry, once it is committed."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

logger = logging.getLogger("workgraph.audit")

SHARED: Final = ("tenant", "at", "actor", "command", "comment", "correlation_id", "operation_id", "source")


def write_log(shared: Sequence[Any], entries: Iterable[Mapping[str, Any]]) -> None:
    """Write the entries of one operation by one call, so that many cost one lock of the file.

    `shared` is what they have in common, in the order of SHARED.
    """
    if not logger.handlers:
        return
    common = dict(zip(SHARED, shared, strict=True))
    lines = [orjson.dumps({**common, **entry}, default=str, option=orjson.OPT_UTC_Z).decode() for entry in entries]
    logger.info("\n".join(lines))
