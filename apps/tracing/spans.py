"""What a request does, piece by piece, for whoever follows requests through several programs.

Nothing here knows OpenTelemetry, and nothing is done unless `use` was called: the server does when it is configured.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

Value = str | int | float | bool

MOST_TEXT: Final = 4_000
"""So many characters of a statement's text are told."""

MOST_NAME: Final = 200
"""So many characters of a name or an address that a client chose."""

NOTHING: Final = nullcontext()


class Tracer(Protocol):
    """Whoever is told."""

    def span(self, name: str, attributes: Mapping[str, Value]) -> AbstractContextManager[object]:
        """Return what spans what happens inside, as a part of what is under way; nothing outside of any request."""

    def note(self, name: str | None, attributes: Mapping[str, Value]) -> None:
        """Tell more of what is under way, and perhaps its name."""


_told: list[Tracer] = []


def use(tracer: Tracer | None) -> None:
    """Tell this tracer from now on; None tells nobody."""
    _told[:] = [tracer] if tracer else []


def is_followed() -> bool:
    """Tell whether anybody is told: what is only said to them need not be put together otherwise."""
    return bool(_told)


def span(name: str, **attributes: Value) -> AbstractContextManager[object]:
    """Return what spans what happens inside; two underscores in an attribute's name stand for a dot."""
    return _told[0].span(name, _dotted(attributes)) if _told else NOTHING


def note(name: str | None = None, **attributes: Value) -> None:
    """Tell more of the innermost span, and perhaps its name."""
    if _told:
        _told[0].note(name, _dotted(attributes))


def trace_statements(connection: Any, **_: object) -> None:
    """Span each statement on a new connection: its text with places for values, never the values.

    It comes before the wrappers of those who take theirs off the end again.
    """
    if _spanned not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _spanned)


def _spanned(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    text = str(sql).strip()
    name = text.partition(" ")[0].upper()
    with span(name, db__system__name="postgresql", db__operation__name=name, db__query__text=text[:MOST_TEXT]):
        return execute(sql, params, many, context)


def _dotted(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name.replace("__", "."): value for name, value in attributes.items()}
