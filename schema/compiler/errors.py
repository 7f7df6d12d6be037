"""Why the executor is asked."""

from typing import Final

MUTATION: Final = "mutation"
INTROSPECTION: Final = "introspection"
RESOLVER: Final = "resolver"
INPUT: Final = "input"
GONE: Final = "gone"
DEEP: Final = "deep"
DATABASE: Final = "database"


class NotCompiledError(Exception):
    """Raised where the executor has to answer; the reason is one of the few that metrics count."""

    def __init__(self, reason: str, what: str = "") -> None:
        """Say why, and of what field or value it is true."""
        super().__init__(f"{reason}: {what}" if what else reason)
        self.reason = reason
