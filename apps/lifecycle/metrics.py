"""What becomes of attempts to change entities, for Prometheus: what was done counts once it is committed."""

from collections import Counter as Tally
from typing import Any, Final

from concurrency.exceptions import RecordModifiedError
from django.apps import apps
from django.db import transaction
from prometheus_client import Counter

from apps.accounts.conflicts import conflict_found
from apps.accounts.deadline import ran_out_of_time
from apps.accounts.records import Versioned

from .errors import ErrorCode, RefusedError, VersionConflictError
from .models import workflow_models
from .signals import CREATE, DELETE, UPDATE, Attempt, ChangeSet, entities_changed, write_attempted
from .tries import tell_at_last

BULKS: Final = Counter("bulk_operation", "Bulk transitions that were tried; dry runs are not.")
BULK_SUCCESSES: Final = Counter("bulk_operation_success", "Bulk transitions that took at least one entity through.")
TRANSITIONS: Final = Counter("state_transition", "Entities taken through a transition.", ["entity", "action"])
TRANSITION_ERRORS: Final = Counter(
    "state_transition_error",
    "Entities that were refused a transition, or whose transition failed, and why.",
    ["entity", "errorCode"],
)
CONFLICTS: Final = Counter(
    "concurrency_conflict",
    "Writes on top of an older version than the present one: refused, or resolved by a merge.",
    ["entity", "resolved"],
)

MERGED: Final = "merge"
REFUSED: Final = "no"
INTERNAL: Final = "INTERNAL"
"""The code of a transition that failed by a fault of ours, or of a server's."""

TOO_SLOW: Final = "QUERY_TOO_COMPLEX"
"""The code of a transition that was stopped for lack of time, as a client of GraphQL is told."""

EDITS: Final = {CREATE, UPDATE, DELETE}


def listen() -> None:
    """Start to count; what has not happened yet is 0, since a rate can't tell the first time from no time at all."""
    for model in workflow_models():
        name = model.__name__
        for action in model.machine.action_names:
            TRANSITIONS.labels(name, action)
        for code in (*ErrorCode.values, INTERNAL, TOO_SLOW):
            TRANSITION_ERRORS.labels(name, code)
    for record in filter(lambda model: issubclass(model, Versioned), apps.get_models()):
        for resolved in (MERGED, REFUSED):
            CONFLICTS.labels(record.__name__, resolved)
    entities_changed.connect(count_changes, dispatch_uid="metrics")
    write_attempted.connect(count_attempt, dispatch_uid="metrics")
    conflict_found.connect(count_conflict, dispatch_uid="metrics")


def count_changes(sender: Any, changed: ChangeSet, **_: Any) -> None:
    """Count what was done, once it is committed."""
    actions = Tally(change.action for change in changed.changes if change.action not in EDITS)
    if actions or changed.merged:
        # Django names the function of a hook that failed: a `partial` has no name.
        transaction.on_commit(lambda: _count(sender.__name__, actions, changed), robust=True)


def _count(entity: str, actions: Tally[str], changed: ChangeSet) -> None:
    for action, times in actions.items():
        TRANSITIONS.labels(entity, action).inc(times)
    if changed.operation_id:
        BULK_SUCCESSES.inc()
    if changed.merged:
        CONFLICTS.labels(entity, MERGED).inc()


def count_attempt(sender: Any, attempt: Attempt, **_: Any) -> None:
    """Count what stood against an attempt, whatever becomes of its transaction."""
    if attempt.is_bulk:
        BULKS.inc()
    for failure, times in Tally(map(_code, attempt.failures)).items():
        if attempt.action not in EDITS:
            TRANSITION_ERRORS.labels(sender.__name__, failure).inc(times)
    if conflicts := sum(isinstance(failure, VersionConflictError) for failure in attempt.failures):
        CONFLICTS.labels(sender.__name__, REFUSED).inc(conflicts)


def count_conflict(sender: Any, **_: Any) -> None:
    """Count a conflict that was found where a row is saved, whatever becomes of its transaction."""
    tell_at_last(CONFLICTS.labels(sender.__name__, REFUSED).inc)


def _code(failure: Exception) -> str:
    """Return what a client is told of a failure."""
    if isinstance(failure, RecordModifiedError):  # `once` tells it so; it was counted where it was found
        return ErrorCode.VERSION_CONFLICT
    if ran_out_of_time(failure):
        return TOO_SLOW
    return str(failure.code) if isinstance(failure, RefusedError) else INTERNAL
