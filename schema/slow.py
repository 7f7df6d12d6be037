"""What is logged of what ran for long, or too long: never its variables, which may hold personal data."""

import logging
from time import perf_counter, thread_time
from typing import Final

from django.conf import settings

from apps.accounts.models import User

logger = logging.getLogger(__name__)

LONGEST_NAME: Final = 100
"""So many characters of an operation's name are logged: the client chose it."""

LINE: Final = (
    " operation %(operation)s: %(seconds).3f s, of them %(cpu_seconds).3f s on the processor; "
    "%(requested)s points asked for, %(actual)s spent; user %(actor)s of tenant %(tenant)s"
)
DOCUMENT: Final = "; document %(document)s"


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

    def tell(self, operation: str, actor: User, *, stopped: bool, document: str | None = None, **points: int) -> None:
        """Log an operation of an actor, and the points that were `requested` and those that it took, `actual`.

        It is a line for people, with the same as fields for LOG_FORMAT=json.
        """
        told = {
            "operation": operation[:LONGEST_NAME],
            "document": document,
            "seconds": round(perf_counter() - self._began, 3),
            "cpu_seconds": round(thread_time() - self._began_cpu, 3),
            **points,
            "actor": actor.pk,
            "tenant": actor.tenant_id,
            "stopped": stopped,
        }
        line = ("Stopped" if stopped else "Slow") + LINE + (DOCUMENT if document else "")
        logger.warning(line, told, extra=told)
