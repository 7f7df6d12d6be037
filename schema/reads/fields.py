"""How node types are declared: a table of columns, to-one relations, lists, and pure functions of columns.

None of them queries when it is resolved: `plan` reads the declarations, `fetch` gets everything before.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, dataclass_transform

import strawberry
import strawberry_django
from django.db import models
from django.db.models import Q
from django.db.models.expressions import Combinable
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver
from strawberry_django.fields.field import StrawberryDjangoField

from .global_id import encode_id

COLUMNS: Final = "columns"
"""The metadata key under which a field names the columns it is computed from."""

ANNOTATIONS: Final = "annotations"
"""The metadata key under which a field names what the database is to compute: name -> prefix -> expression."""

TIMELESS: Final = "timeless"
"""The metadata key of a field that is a function of one column alone."""

REFERENCES: Final = "_references"
"""The attribute of a fetched row that holds what its node references refer to, each by the key of its selection."""

PageKey = tuple[int, ...]
"""Which selection a page or a reference answers: the identities of its field nodes, of which an alias has its own."""

Annotations = Mapping[str, Callable[[str], Combinable]]


def page_key(nodes: Iterable[Any]) -> PageKey:
    """Return the key under which what these field nodes select is kept with its row."""
    return tuple(id(node) for node in nodes)


class Column(StrawberryDjangoField):
    """A column or to-one relation that was fetched before: reading it is reading an attribute."""

    @property
    def is_basic_field(self) -> bool:
        """Let the executor read the attribute without a chain of resolvers."""
        return self.base_resolver is None

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG002
        """Return the attribute."""
        return getattr(source, self.python_name)


def column(**options: Any) -> Any:
    """Declare a column or to-one relation that needs more than its type: another name, a description."""
    return Column(**options)


class IdField(Column):
    """The global id, made of the model's name and the primary key."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG002
        """Return the row's global id."""
        return encode_id(source._meta.object_name, source.pk)


class NodeList(StrawberryField):
    """A page of a model's rows that fulfil `where`; below another node, of those whose `column` holds its key."""

    column: str | None = None
    where: Q = Q()


class NodeReference(StrawberryField):
    """A node of any type, named by two columns: `kind_column` holds the name of its type, `key_column` its key."""

    kind_column: Final = "entity_kind"
    key_column: Final = "entity_id"


@strawberry.interface(description="An object with an id that is unique in the whole API.")
class Node:
    """An object with a global id."""

    id: strawberry.ID = IdField(description="Unique in the whole API; send it back to name this object.")  # type: ignore[assignment]


@strawberry.interface(description="An object that people edit: each change raises its version by one.")
class Entity(Node):
    """A node that has a version."""

    version: int = column(description="Starts at 1 and rises by 1 with each change; send back the one you saw.")
    created_at: datetime = column(description="When it was created.")
    updated_at: datetime = column(description="When it was last changed.")


@dataclass_transform(kw_only_default=True)
def entity(model: type[models.Model], **options: Any) -> Callable[[type], Any]:
    """Declare the node type of a model; descriptions are the model's docstring and help texts."""
    return partial(_entity, model=model, options=options)


def _entity(cls: type, *, model: type[models.Model], options: dict[str, Any]) -> Any:
    assert cls.__name__ == model.__name__, "global ids and node types go by the model's name"
    return strawberry_django.type(model, field_cls=Column, **options)(cls)


def computed(
    *columns: str, description: str, annotations: Annotations | None = None, timeless: bool = False, **options: Any
) -> Any:
    """Declare a field that is a pure function of these columns and annotations of its row.

    A text that follows from one column alone, always the same, is `timeless`: what it is for a value is remembered.
    """
    metadata = {COLUMNS: columns, ANNOTATIONS: annotations or {}, TIMELESS: timeless}
    return strawberry.field(description=description, metadata=metadata, **options)


def node_reference(*, description: str) -> Any:
    """Declare a field that is a node of any type."""

    def resolve(root: strawberry.Parent[Any], info: strawberry.Info) -> Node | None:
        found: Node | None = root.__dict__[REFERENCES][page_key(info._raw_info.field_nodes)]
        return found

    return NodeReference(description=description, base_resolver=StrawberryResolver(resolve))
