"""The field that declares a list of nodes."""

from typing import Annotated, Any, Final

import strawberry
from django.db.models import Q
from strawberry import UNSET
from strawberry.types.fields.resolver import StrawberryResolver

from schema.weights import paged

from .arguments import DEFAULT_PAGE, MAX_PAGE
from .fields import NodeList
from .lists import resolve_list
from .pages import Connection

ARGUMENTS: Final[dict[str, tuple[Any, str]]] = {
    "first": (int, f"How many to return from the front, at most {MAX_PAGE}; {DEFAULT_PAGE} when neither end is named."),
    "after": (str, "Return what follows this cursor."),
    "last": (int, f"How many to return from the back, at most {MAX_PAGE}; not together with `first`."),
    "before": (str, "Return what precedes this cursor."),
    "filters": (None, "Which objects to list."),
    "ordering": (None, "In which order; the first term counts most. The id decides between equals."),
}


def connection(node: str, module: str, *, description: str, column: str | None = None, where: Q | None = None) -> Any:
    """Declare a list of nodes; below another node, name the column that holds that node's key.

    `where` is what the rows of the list have in common. The node's module also holds its filter and its order.
    """

    def resolve(
        root: Any,
        info: Any,
        first: Any = UNSET,
        after: Any = UNSET,
        last: Any = UNSET,
        before: Any = UNSET,
        filters: Any = UNSET,
        ordering: Any = UNSET,
    ) -> Any:
        given = zip(ARGUMENTS, (first, after, last, before, filters, ordering), strict=True)
        arguments = {name: value for name, value in given if value is not UNSET}
        return resolve_list(root, info._raw_info, declared, arguments)

    resolve.__annotations__ = _annotations(node, strawberry.lazy(module))
    sized = paged(DEFAULT_PAGE, "first", "last")
    declared = NodeList(description=description, base_resolver=StrawberryResolver(resolve), directives=sized)
    declared.column, declared.where = column, where or Q()
    return declared


def _annotations(node: str, lazy: Any) -> dict[str, Any]:
    kinds: dict[str, Any] = {name: kind for name, (kind, _) in ARGUMENTS.items()}
    kinds["filters"] = Annotated[f"{node}Filter", lazy]
    kinds["ordering"] = list[Annotated[f"{node}Order", lazy]]  # type: ignore[misc]
    arguments = {
        name: Annotated[kinds[name] | None, strawberry.argument(description=description)]
        for name, (_, description) in ARGUMENTS.items()
    }
    result: Any = Connection[Annotated[node, lazy]]  # type: ignore[valid-type]
    return {"root": strawberry.Parent[object], "info": strawberry.Info, "return": result, **arguments}
