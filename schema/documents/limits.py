"""How large a document may be, whatever it costs: it has to be read and validated before it has a price."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from django.conf import settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
)

from schema.errors import QueryTooComplexError
from schema.introspection import INTROSPECTION

MOST: Final = 10**6
"""Nothing is counted further: fragments in fragments would make numbers of any length."""


class Size(NamedTuple):
    """How large a selection set is, its fragments included as often as they are spread."""

    depth: int = 0
    fields: int = 0
    """On its first level."""
    aliases: int = 0

    def beside(self, other: "Size") -> "Size":
        """Return the size of both, side by side in one selection set."""
        fields, aliases = self.fields + other.fields, self.aliases + other.aliases
        return Size(max(self.depth, other.depth), min(MOST, fields), min(MOST, aliases))


def check_limits(document: DocumentNode) -> None:
    """Raise QueryTooComplexError when an operation is deeper, wider, or has more aliases than it may."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    measure = _Measure(fragments)
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            _check(measure.selections(operation.selection_set))


def _check(size: Size) -> None:
    for name, has, most in (
        ("levels of fields", size.depth, settings.MAX_DEPTH),
        ("aliases", size.aliases, settings.MAX_ALIASES),
        ("fields of the root", size.fields, settings.MAX_ROOT_FIELDS),
    ):
        if has > most:
            raise QueryTooComplexError(f"An operation may have {most} {name}; this one has {has}. Ask in parts.")


@dataclass(slots=True)
class _Measure:
    """Measures selection sets; each fragment once."""

    fragments: dict[str, FragmentDefinitionNode]
    _known: dict[str, Size] = field(default_factory=dict)

    def selections(self, selected: SelectionSetNode | None) -> Size:
        """Return the size of a selection set."""
        size = Size()
        for selection in selected.selections if selected else ():
            size = size.beside(self._selection(selection))
        return size

    def _selection(self, selection: SelectionNode) -> Size:
        if isinstance(selection, FragmentSpreadNode):
            return self._fragment(selection.name.value)
        below = self.selections(selection.selection_set)  # type: ignore[attr-defined]
        if not isinstance(selection, FieldNode):
            return below
        # Introspection leads deep by its nature; a rule of its own keeps it from going round in circles.
        depth = 0 if selection.name.value in INTROSPECTION else below.depth
        return Size(depth + 1, 1, min(MOST, below.aliases + (selection.alias is not None)))

    def _fragment(self, name: str) -> Size:
        if name not in self._known:
            self._known[name] = Size()  # what a circle comes back to; validation refuses it
            fragment = self.fragments.get(name)
            self._known[name] = self.selections(fragment.selection_set if fragment else None)
        return self._known[name]
