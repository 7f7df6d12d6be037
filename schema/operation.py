"""The way of an operation: prepared, paid, run, and what it did not spend given back.

A request may carry several. They are priced together and drawn at once, before any of them runs.
"""

import logging
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, TypeGuard

from django.conf import settings
from graphql.execution import ExecutionResult, default_field_resolver, default_type_resolver

from apps.accounts.deadline import ran_out_of_time
from apps.accounts.models import User
from apps.tracing import spans

from .budget import Charge, OverBudgetError, charge
from .busy import Busy
from .compiler.plans import answered
from .context import Context
from .documents.persisted import keep
from .errors import RequestError, internal, published
from .preparing import Answer, Asked, Ready, prepare
from .reads.render import Executor
from .slow import Watch
from .sources import Source, source_of

SEARCH: Final = "search"
logger = logging.getLogger(__name__)


def answer_all(
    actor: User, asked: Sequence[Asked | RequestError], busy: Busy, *, reading: bool = False
) -> tuple[list[Answer], Charge]:
    """Return what becomes of the operations of a request, in their order, and what they have drawn.

    In place of an operation there may be why there is none; to find that out costs something too. What is measured in
    `busy` is owed. With `reading` nothing runs but queries. Raises OverBudgetError when they cost more than the actor
    has: then nothing has run.
    """
    context = Context(actor)
    with busy.measured():
        prepared = [_named(prepare(context, each, reading=reading), each) for each in asked]
    ready = [each for each in prepared if isinstance(each, Ready)]
    points = sum(_drawn(each) for each in prepared)
    try:
        paid = charge(actor, points, sum(each.price.names.count(SEARCH) for each in ready))
    except OverBudgetError as error:
        error.charge.settle(0, busy.milliseconds)  # to find out what it costs has taken its time
        raise
    if len(ready) == 1 and spans.is_followed():
        spans.note(_title(ready[0]))
    kinds = (each.operation.operation for each in prepared if isinstance(each, Ready))
    with busy.measured(), source_of(paid.client, kinds) as source:
        answers = [each if isinstance(each, Answer) else _run(each, paid, source) for each in prepared]
    paid.settle(sum(each.actual for each in answers), busy.milliseconds)
    return answers, paid


def _named(prepared: Ready | Answer, asked: Asked | RequestError) -> Ready | Answer:
    """Name what is told instead of an operation as the client did, who may have named nothing that there is."""
    if isinstance(prepared, Answer) and isinstance(asked, Asked):
        prepared.operation = asked.operation_name or None
    return prepared


def _drawn(prepared: Ready | Answer) -> int:
    return prepared.price.total if isinstance(prepared, Ready) else prepared.actual


def _run(ready: Ready, paid: Charge, source: Source) -> Answer:
    watch = Watch()
    with spans.span("operation"):
        answer = _outcome(ready, paid, source)
        answer.operation = ready.operation.name.value if ready.operation.name else None
        if spans.is_followed():
            spans.note(_title(ready), workgraph__requested=answer.requested, workgraph__actual=answer.actual)
    if watch.is_slow or answer.stopped:
        document = ready.asked.document_name or sha256(ready.document.text.encode()).hexdigest()
        points = {"requested": answer.requested, "actual": answer.actual}
        name = answer.operation or "without a name"
        watch.tell(name, ready.context.actor, stopped=answer.stopped, document=document, **points)
    return answer


def _title(ready: Ready) -> str:
    name = f" {ready.operation.name.value}" if ready.operation.name else ""
    return f"{ready.operation.operation.value}{name}"[: spans.MOST_NAME]


def _outcome(ready: Ready, paid: Charge, source: Source) -> Answer:
    total = ready.price.total
    ready.context.price, ready.context.charge = total, paid
    if ready.asked.query is not None and ready.asked.document_name is not None:
        keep(ready.asked.query, ready.asked.document_name, paid.client)
    try:
        result = source(partial(_result, ready))
    except Exception:
        # What ran before it in a batch has run, and its client must know.
        logger.exception("An operation failed outside any resolver")
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, [internal()], requested=total, actual=total)
    errors = [published(error) for error in result.errors or ()]
    # An error empties what lies around it, which has been fetched all the same.
    actual = total if errors else ready.price.spent(result.data)
    stopped = any(each.original_error and ran_out_of_time(each.original_error) for each in result.errors or ())
    return Answer(errors=errors, ran=True, data=result.data, requested=total, actual=actual, stopped=stopped)


def _result(ready: Ready) -> ExecutionResult:
    data = answered(ready.document, ready.operation, ready.variables, ready.context)
    spans.note(workgraph__plan="executor" if data is None else "compiled")
    if data is not None:
        return ExecutionResult(data, None)
    result = executor_of(ready).execute_operation()
    assert isinstance(result, ExecutionResult)
    return result


def executor_of(ready: Ready) -> Executor:
    """Return what executes an operation field by field."""
    document = ready.document
    return Executor(
        document.schema,
        {name: each.definition for name, each in document.fragments.items()},
        document.fragments,
        None,
        ready.context,
        ready.operation,
        ready.variables,
        default_field_resolver,
        default_type_resolver,
        default_field_resolver,
        is_awaitable=_never,
        is_async_iterable=_never,
        hide_suggestions=not settings.INTROSPECTION,
    )


def _never(_: object) -> TypeGuard[Any]:
    return False  # all resolvers are synchronous
