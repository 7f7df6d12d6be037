"""A mutation that is sent twice does its work once, and answers the same."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import orjson
from concurrency.exceptions import RecordModifiedError
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.prepared import prepared
from apps.accounts.trail import changes_since

from .errors import RefusedError, ValidationFailedError, VersionConflictError
from .models import Entity, IdempotencyKey
from .outcomes import Outcome, restore, store
from .transitions import Report
from .tries import until_done

KEPT: Final = timedelta(hours=24)
"""How long a key is remembered."""

MAX_LENGTH: Final = 200
CLAIM: Final = """
INSERT INTO lifecycle_idempotencykey AS k (tenant_id, user_id, key, fingerprint, created_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, created_at = excluded.created_at, outcome = NULL
WHERE k.created_at < $6 RETURNING id
"""
KEEP: Final = "UPDATE lifecycle_idempotencykey SET outcome = $2::jsonb WHERE id = $1"
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for: the operation's name, its input without the key, and the key if it sent one."""

    operation: str
    values: Mapping[str, Any]
    key: str | None = None

    @property
    def fingerprint(self) -> str:
        """Return what tells this request from one with other input: SHA-256 in hex."""
        text = json.dumps([self.operation, self.values], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, now or by an earlier request with the same key."""

    outcome: Outcome
    repeated: bool = False


def once(request: Request, *, actor: User, work: Callable[[], Outcome], answer: Callable[[Done], R]) -> R:
    """Do the work, unless a request of the actor with this key did it already, and return the answer.

    Both run in one transaction with the key: if anything fails, nothing was done and the key is free. Only what was
    done is remembered, for 24 hours; what was refused or held back may be asked again. Two requests with one key at a
    time take turns. Work that PostgreSQL ends for a deadlock is undone and tried again. Raises ValidationFailedError
    for a key that came with other input before, and what the work refuses.
    """
    return until_done(lambda: _try(request, actor, work, answer))


def _try(request: Request, actor: User, work: Callable[[], Outcome], answer: Callable[[Done], R]) -> R:
    try:
        with transaction.atomic():
            return answer(_once(request, actor, work))
    except RecordModifiedError as error:
        raise _conflict(error.target) from error


def _once(request: Request, actor: User, work: Callable[[], Outcome]) -> Done:
    if request.key is None:
        return Done(work())
    _check(request.key)
    claimed = _claim(request, actor)
    if claimed is None:
        return Done(_recall(request, actor), repeated=True)
    outcome = work()
    if isinstance(outcome, Report) and outcome.is_refused:
        IdempotencyKey.unscoped.filter(pk=claimed).delete()
        return Done(outcome)
    stored = orjson.dumps(store(outcome), default=_plain).decode()
    prepared(KEEP, [claimed, stored])
    return Done(outcome)


def _check(key: str) -> None:
    if not (1 <= len(key) <= MAX_LENGTH and key.isprintable()):
        message = f"A key has 1 to {MAX_LENGTH} printable characters; a UUID will do."
        raise ValidationFailedError.of("idempotency_key", message)


def _claim(request: Request, actor: User) -> int | None:
    now = timezone.now()
    claimed = prepared(CLAIM, [actor.tenant_id, actor.pk, request.key, request.fingerprint, now, now - KEPT])
    return claimed[0][0] if claimed else None


def _recall(request: Request, actor: User) -> Outcome:
    earlier = IdempotencyKey.unscoped.get(user=actor.pk, key=request.key)
    if earlier.fingerprint != request.fingerprint:
        message = "This key came with another operation or other input before. Take a new key for a new request."
        raise ValidationFailedError.of("idempotency_key", message)
    assert earlier.outcome is not None
    return restore(earlier.outcome)


def _conflict(stale: Entity) -> RefusedError:
    """Return the refusal that django-concurrency's exception means: an ORM save came too late."""
    current = type(stale)._base_manager.get(pk=stale.pk)
    versions = (stale.version, current.version)
    past = changes_since(type(stale), {stale.pk: versions})[stale.pk]
    return VersionConflictError(type(stale).__name__, stale.pk, versions, past, [c.field for c in stale.changes()])


def _plain(value: Any) -> Any:
    """Return what orjson writes of a value whose exact type it does not know: a tuple with names, a frozen time."""
    return value.isoformat() if isinstance(value, datetime) else list(value)
