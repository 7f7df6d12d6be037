"""Nodes for what the executor answers: the entity of a mutation, the node of a search result, read by a plan."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from django.conf import settings
from graphql.execution.collect_fields import FieldDetailsList

from apps.accounts.models import User
from apps.accounts.tenancy import current_tenant
from apps.lifecycle.models import Entity
from schema.context import Context
from schema.reads.fields import page_key
from schema.reads.global_id import GlobalId
from schema.reads.plan import Selections
from schema.reads.render import Rendered

from .errors import NotCompiledError
from .kept import Kept
from .nodes import CompiledNodes
from .operation import Compiler
from .run import Run

R = TypeVar("R")

MOST: Final = 200
"""So many selections of nodes are kept, those that came last."""

_kept: Final[Kept[CompiledNodes]] = Kept(MOST)


def answered_nodes(
    selections: Selections, context: Context, details: FieldDetailsList, names: Iterable[GlobalId]
) -> Mapping[GlobalId, Rendered] | None:
    """Return the nodes with these ids that there are, as they are answered; None where the executor reads them."""

    def found(nodes: CompiledNodes, run: Run) -> Mapping[GlobalId, Rendered]:
        return {name: Rendered(answer) for name, answer in nodes.named(run, list(dict.fromkeys(names))).items()}

    return _answered(selections, context, details, found)


def answered_entity(
    selections: Selections, context: Context, details: FieldDetailsList, entity: Entity
) -> Rendered | None:
    """Return an entity that was just written, as it is answered; None where the executor has to read it.

    It is not read again when it has all that is selected.
    """

    def found(nodes: CompiledNodes, run: Run) -> Rendered | None:
        compiled = nodes.of(type(entity).__name__)
        answer = compiled and compiled.written(run, entity)
        return None if answer is None else Rendered(answer)

    return _answered(selections, context, details, found)


def _answered(
    selections: Selections, context: Context, details: FieldDetailsList, find: Callable[[CompiledNodes, Run], R]
) -> R | None:
    """Return what is found by what was compiled for a field; None where there is no such thing.

    What was compiled is kept with the field's nodes in the document, so that no other can have their identity.
    """
    nodes = _nodes(selections, details) if settings.COMPILED_READS else None
    if nodes is None:
        return None
    try:
        return find(nodes, Run(context, current_tenant(User), selections.variables))
    except NotCompiledError:
        return None
    except (TypeError, ValueError, LookupError):
        return None  # a value is not what its type says: the executor tells which


def _nodes(selections: Selections, details: FieldDetailsList) -> CompiledNodes | None:
    kept = selections.kept()
    key = page_key(each.node for each in details), *kept.variables.coerced.items()
    return _kept.get(key, lambda: CompiledNodes(Compiler(kept), details))
