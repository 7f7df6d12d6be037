"""What was compiled, by the document and those of its variables that decide what is selected."""

import logging
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from cachetools import LRUCache
from django.conf import settings
from django.db import Error as DatabaseError
from graphql import GraphQLError, OperationDefinitionNode
from graphql.execution.values import VariableValues

from apps.accounts.models import User
from apps.accounts.tenancy import current_tenant
from schema.context import Context
from schema.documents.document import Document
from schema.errors import RequestError
from schema.reads.plan import Selections

from .errors import DEEP, INPUT, NotCompiledError
from .metrics import COMPILED, FAILED, NEW, READS
from .operation import CompiledOperation

logger = logging.getLogger(__name__)

MOST_PLANS: Final = 500
"""So many plans are kept, of the operations that came last."""


@dataclass(frozen=True, slots=True)
class Left:
    """An operation is left to the executor: why, and for how many times it has been so far."""

    reason: str
    times: int = 0


Plan = CompiledOperation | Left

_plans: Final[LRUCache[Hashable, Plan]] = LRUCache(MOST_PLANS)
_lock: Final = Lock()


def answered(
    document: Document, operation: OperationDefinitionNode, variables: VariableValues, context: Context
) -> Any:
    """Return the data of a valid operation, or None where the executor is to answer."""
    if not settings.COMPILED_READS:
        return None
    plan = plan_of(document, operation, variables)
    if isinstance(plan, Left):
        READS.labels(plan.reason).inc()
        return None
    try:
        data = plan.answer(context, current_tenant(User), variables)
    except NotCompiledError as left:
        READS.labels(left.reason).inc()
    except (DatabaseError, RequestError):
        READS.labels(INPUT).inc()  # the executor meets the same, and tells of it
    except Exception:
        logger.exception("What was compiled failed; the executor answers this operation from now on")
        READS.labels(FAILED).inc()
        _keep(_key(document, operation, variables), Left(FAILED))
    else:
        READS.labels(COMPILED).inc()
        return data
    return None


def plan_of(document: Document, operation: OperationDefinitionNode, variables: VariableValues) -> Plan:
    """Return what an operation was compiled to, or why the executor answers it."""
    key = _key(document, operation, variables)
    with _lock:
        plan = _plans.get(key)
    if plan is None or (isinstance(plan, Left) and plan.reason == NEW):
        times = 0 if plan is None else plan.times
        plan = Left(NEW, times + 1) if times < settings.COMPILE_AFTER else _compiled(document, operation, variables)
        _keep(key, plan)
    return plan


def _compiled(document: Document, operation: OperationDefinitionNode, variables: VariableValues) -> Plan:
    deciding = VariableValues(*({name: each[name] for name in document.switches if name in each} for each in variables))
    try:
        return CompiledOperation(Selections(document.schema, operation, deciding, document.fragments))
    except NotCompiledError as left:
        return Left(left.reason)
    except (RecursionError, MemoryError, SyntaxError):
        return Left(DEEP)
    except GraphQLError:
        return Left(INPUT)  # a null where a directive takes none


def _key(document: Document, operation: OperationDefinitionNode, variables: VariableValues) -> Hashable:
    name = operation.name and operation.name.value
    return document.text, name, *(variables.coerced.get(switch) for switch in document.switches)


def _keep(key: Hashable, plan: Plan) -> None:
    with _lock:
        _plans[key] = plan
