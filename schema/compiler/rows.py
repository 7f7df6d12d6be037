"""A statement with all that becomes of its rows: what is below them, fetched for all at once, and their shape."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from apps.accounts.prepared import Row
from schema.reads.global_id import GlobalId
from schema.reads.render import NotRenderableError

from .arguments import Arguments
from .errors import DEEP, NotCompiledError
from .run import Run
from .shape import RowExpression

if TYPE_CHECKING:
    from .lists import CompiledList
    from .nodes import CompiledNodes


@dataclass(frozen=True, slots=True)
class Below:
    """What is selected below rows and does not lie in them: lists, and nodes that they name."""

    lists: Sequence[tuple[int, "CompiledList"]]
    references: Sequence[tuple[int, int, "CompiledNodes"]]
    given: Sequence[Arguments]

    def fetch(self, run: Run, rows: Sequence[Row]) -> "Fetched":
        """Fetch it for all rows."""
        return Fetched(
            [each.below(run, unique(row[place] for row in rows)) for place, each in self.lists],
            [
                each.named(run, unique(GlobalId(row[kind], row[key]) for row in rows))
                for kind, key, each in self.references
            ],
            [each.read(run.variables) for each in self.given],
        )


class Fetched(NamedTuple):
    """What was fetched below rows, and the arguments of their computed fields."""

    lists: Sequence[Mapping[int, Any]]
    references: Sequence[Mapping[GlobalId, Any]]
    given: Sequence[Mapping[str, Any]]


PARAMETERS = "rows, lists, references, given, info"
"""What every shape gets."""


def shaped(expression: RowExpression, source: str, more: str = "") -> Callable[..., Any]:
    """Return the function that makes rows the answer.

    Raises NotCompiledError when it nests deeper than Python reads.
    """
    try:
        return expression.function(f"{PARAMETERS}{more}", expression.finished(source))
    except NotRenderableError as error:
        raise NotCompiledError(DEEP) from error


def unique(keys: Iterable[Any]) -> list[Any]:
    """Return each key once."""
    return [key for key in dict.fromkeys(keys) if key is not None]
