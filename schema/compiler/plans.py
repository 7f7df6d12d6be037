"""What was compiled, by the document and those of its variables that decide what is selected."""

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseError
from graphql import GraphQLObjectType, OperationDefinitionNode
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues

from apps.accounts.models import User
from apps.accounts.tenancy import current_tenant
from schema.context import Context
from schema.documents.document import Document
from schema.errors import RequestError
from schema.reads.plan import Selections

from .errors import DATABASE, DEEP, INPUT, MUTATION, NotCompiledError
from .kept import Kept
from .metrics import COMPILED, FAILED, NEW, reads
from .operation import CompiledOperation, Compiler, root_of
from .run import Run

logger = logging.getLogger(__name__)

MOST_PLANS: Final = 500
"""So many plans are kept, of the operations that came last."""


@dataclass(frozen=True, slots=True)
class Left:
    """An operation is left to the executor, and why."""

    reason: str


_plans: Final[Kept[CompiledOperation | Left]] = Kept(MOST_PLANS)


def answered(
    document: Document, operation: OperationDefinitionNode, variables: VariableValues, context: Context
) -> Any:
    """Return the data of a valid operation, or None where the executor is to answer."""
    if not settings.COMPILED_READS:
        return None
    key = _key(document, operation, variables)
    plan = _plans.get(key, lambda: _compiled(document, operation, variables)) or Left(NEW)
    if isinstance(plan, Left):
        reads(plan.reason).inc()
        return None
    try:
        data = plan.answer(context, current_tenant(User), variables)
    except NotCompiledError as left:
        reads(left.reason).inc()
    except RequestError:
        reads(INPUT).inc()  # the executor meets the same, and tells of it
    except DatabaseError:
        reads(DATABASE).inc()  # and so of this
    except Exception:
        logger.exception("What was compiled failed; the executor answers this operation from now on")
        reads(FAILED).inc()
        _plans.keep(key, Left(FAILED))
    else:
        reads(COMPILED).inc()
        return data
    return None


def plans_kept() -> int:
    """Return how many plans are kept, those among them that say that the executor has to answer."""
    return len(_plans)


def attempts(selections: Selections, variables: VariableValues, context: Context) -> dict[str, Callable[[], Any]]:
    """Return what compiles and runs each field of the root by itself, and answers it; nothing is kept or counted.

    They raise NotCompiledError where the executor has to answer.
    """
    kept, run = selections.kept(), Run(context, current_tenant(User), variables)
    compiler, (root, groups) = Compiler(kept), root_of(kept)
    return {key: partial(_attempt, compiler, root, group, run) for key, group in groups.items()}


def _attempt(compiler: Compiler, root: GraphQLObjectType, group: FieldDetailsList, run: Run) -> Any:
    if root is not compiler.selections.schema.query_type:
        raise NotCompiledError(MUTATION)
    try:
        return compiler.field(root, group)(run)
    except NotCompiledError:
        raise
    except RequestError as error:
        raise NotCompiledError(INPUT, error.message) from error
    except RecursionError as error:
        raise NotCompiledError(DEEP) from error
    except DatabaseError as error:
        raise NotCompiledError(DATABASE, str(error)) from error
    except Exception as error:
        raise NotCompiledError(FAILED, repr(error)) from error


def _compiled(
    document: Document, operation: OperationDefinitionNode, variables: VariableValues
) -> CompiledOperation | Left:
    try:
        return CompiledOperation(Selections(document.schema, operation, variables, document.fragments).kept())
    except NotCompiledError as left:
        return Left(left.reason)
    except RecursionError:
        return Left(DEEP)


def _key(document: Document, operation: OperationDefinitionNode, variables: VariableValues) -> Hashable:
    name = operation.name and operation.name.value
    return document.text, name, *(variables.coerced.get(switch) for switch in document.switches)
