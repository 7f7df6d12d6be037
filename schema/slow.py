"""What is logged of an operation that ran for long, or too long: never its variables, which may hold personal data."""

import logging
from hashlib import sha256
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Final

from django.conf import settings

if TYPE_CHECKING:
    from .preparing import Answer, Ready

logger = logging.getLogger(__name__)

LONGEST_NAME: Final = 100
"""So many characters of an operation's name are logged: the client chose it."""

LINE: Final = (
    "Slow operation %(operation)s: %(seconds).3f s, of them %(cpu_seconds).3f s on the processor; "
    "%(requested)s points asked for, %(actual)s spent; user %(actor)s of tenant %(tenant)s; document %(document)s"
)
STOPPED: Final = LINE.replace("Slow", "Stopped", 1)


class Watch:
    """Measures how long an operation runs, from when it is made on."""

    __slots__ = ("_began", "_began_cpu")

    def __init__(self) -> None:
        """Begin."""
        self._began, self._began_cpu = perf_counter(), thread_time()

    @property
    def is_slow(self) -> bool:
        """Whether it has run longer than SLOW_OPERATION_SECONDS; never when that is 0."""
        return 0 < settings.SLOW_OPERATION_SECONDS < perf_counter() - self._began

    def tell(self, ready: "Ready", answer: "Answer") -> None:
        """Log the operation: a line for people, with the same as fields for LOG_FORMAT=json."""
        name, actor = ready.operation.name, ready.context.actor
        told = {
            "operation": name.value[:LONGEST_NAME] if name else "without a name",
            "document": ready.asked.document_name or sha256(ready.document.text.encode()).hexdigest(),
            "seconds": round(perf_counter() - self._began, 3),
            "cpu_seconds": round(thread_time() - self._began_cpu, 3),
            "requested": answer.requested,
            "actual": answer.actual,
            "actor": actor.pk,
            "tenant": actor.tenant_id,
            "stopped": answer.stopped,
        }
        logger.warning(STOPPED if answer.stopped else LINE, told, extra=told)
