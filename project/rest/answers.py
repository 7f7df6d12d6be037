"""What is answered to a bulk: what became of each item, and one status for all."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from django.http import HttpResponse

from apps.accounts.models import User
from apps.accounts.trail import PastChange
from apps.lifecycle.errors import RefusedError, TransitionNotAllowedError, VersionConflictError
from apps.lifecycle.transitions import OnError, Report, Result
from schema.audit import published_change
from schema.reads.global_id import encode_id

from .problems import BY_NAME, NO_STORE, Json, Kind, ProblemResponse, of_code

JSON: Final = "application/json"
HELD_BACK: Final = HTTPStatus.FAILED_DEPENDENCY
"""Of an item that was not refused, and not done because others were."""

People = Mapping[int, str]
"""Names of users by their keys."""


def answered(given: Any, report: Report) -> HttpResponse:
    """Return what became of the items of an input."""
    refusals = [result.refusal for result in report.results if result.refusal]
    told = _report(given, report, _people(refusals))
    if not refusals:
        return _json(told, HTTPStatus.OK)
    if given.on_error is OnError.SKIP_FAILED:
        return _json(told, HTTPStatus.MULTI_STATUS)
    return ProblemResponse(_shared(refusals), _sentence(report, refusals), **told)


def _json(told: Json, status: HTTPStatus) -> HttpResponse:
    return HttpResponse(orjson.dumps(told), content_type=JSON, status=status, headers=NO_STORE)


def _report(given: Any, report: Report, people: People) -> Json:
    items = zip(given.items, report.results, strict=True)
    return {
        "operationId": str(report.operation_id),
        "dryRun": report.dry_run,
        "requested": len(report.results),
        "succeeded": report.succeeded,
        "failed": report.failed,
        "results": [_result(item.id, result, people) for item, result in items],
    }


def _result(sent: str, result: Result, people: People) -> Json:
    entity, refusal = result.entity, result.refusal
    not_refused = HTTPStatus.OK if result.done else HELD_BACK
    return {
        "id": sent,
        "status": of_code(refusal.code).status if refusal else not_refused,
        "entity": {"status": str(entity.status), "version": entity.version} if entity else None,
        "problem": _problem(refusal, people) if refusal else None,
    }


def _problem(refusal: RefusedError, people: People) -> Json:
    told = of_code(refusal.code).told(refusal.message)
    if isinstance(refusal, VersionConflictError):
        told |= {"expectedVersion": refusal.expected_version, "currentVersion": refusal.current_version}
        told["changes"] = [_change(refusal.kind, change, people) for change in refusal.past.changes]
    if isinstance(refusal, TransitionNotAllowedError):
        told |= {"currentStatus": refusal.current_status, "allowedActions": refusal.allowed_actions}
    return told


def _change(kind: str, change: PastChange, people: People) -> Json:
    author, name = change.changed_by, people.get(change.changed_by or 0)
    return {
        **published_change(kind, change.field, change.before, change.after),
        "changedAt": change.changed_at,
        "changedBy": {"id": encode_id("User", author), "name": name} if author and name is not None else None,
    }


def _people(refusals: Iterable[RefusedError]) -> People:
    """Return the names of all whom conflicts are with."""
    conflicts = (refusal for refusal in refusals if isinstance(refusal, VersionConflictError))
    authors = {change.changed_by for conflict in conflicts for change in conflict.past.changes if change.changed_by}
    return dict(User.objects.filter(pk__in=authors).values_list("pk", "name")) if authors else {}


def _shared(refusals: Iterable[RefusedError]) -> Kind:
    """Return the kind of problem that all refused items have in common, or else the one of items that have none."""
    kinds = {of_code(refusal.code) for refusal in refusals}
    return kinds.pop() if len(kinds) == 1 else BY_NAME["ItemsRefused"]


def _sentence(report: Report, refusals: list[RefusedError]) -> str:
    refused = f"{report.failed} of {len(report.results)} items"
    return f"{refused} refused, so that none was changed; `results` tells which. The first: {refusals[0].message}"
