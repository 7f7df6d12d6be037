"""The views of the REST API: bulks of transitions, and the document that describes them."""

from collections.abc import Callable
from functools import partial
from http import HTTPMethod, HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import etag

from apps.accounts.deadline import ran_out_of_time
from apps.accounts.models import User
from apps.lifecycle.errors import RefusedError
from apps.lifecycle.idempotency import Done, once
from apps.lifecycle.transitions import Report
from schema.budget import Admission, OverBudgetError, charge, check_price
from schema.busy import Busy
from schema.context import actor_of
from schema.cost import LEAST
from schema.errors import MethodError, RequestError
from schema.http.view import sent_json
from schema.mutations import bulk_name, request_of, take_many_through
from schema.slow import Watch
from schema.weights import MUTATION

from .answers import answered
from .metrics import Timing
from .openapi import document, tag
from .problems import (
    KEY_HEADER,
    NO_STORE,
    ProblemResponse,
    add_headers,
    of_refusal,
    of_request,
    over_budget,
    switched_off,
    too_slow,
)
from .reading import bulk_of
from .resources import Model, name_of

Answer = Callable[[], HttpResponse]

ALLOWED: Final = "POST, OPTIONS"
DOCUMENT_ALLOWED: Final = "GET, HEAD, OPTIONS"
A_DAY: Final = "public, max-age=86400"


@csrf_exempt
def bulk(request: HttpRequest, model: Model) -> HttpResponse:
    """Take many entities through a transition."""
    if request.method != HTTPMethod.POST:
        return _other_method(request, ALLOWED, "Send a bulk by POST.")
    with Timing(name_of(model)) as timing:
        answer = _answer(request, model)
        timing.status = answer.status_code
    return answer


def _answer(request: HttpRequest, model: Model) -> HttpResponse:
    try:
        return _admitted(request, model)
    except OverBudgetError as error:
        return over_budget(error)
    except RequestError as error:
        return of_request(error)


@csrf_exempt
@etag(lambda _request: tag())
def openapi(request: HttpRequest) -> HttpResponse:
    """Return the document that describes the API, which is anybody's."""
    if request.method not in {HTTPMethod.GET, HTTPMethod.HEAD}:
        return _other_method(request, DOCUMENT_ALLOWED, "Read the document by GET.")
    return HttpResponse(document(), content_type="application/json", headers={"Cache-Control": A_DAY})


def _other_method(request: HttpRequest, allowed: str, message: str) -> HttpResponse:
    if request.method == HTTPMethod.OPTIONS:
        return HttpResponse(status=HTTPStatus.NO_CONTENT, headers={"Allow": allowed, **NO_STORE})
    answer = of_request(MethodError(message))
    answer["Allow"] = allowed
    return answer


def _admitted(request: HttpRequest, model: Model) -> HttpResponse:
    """Read a request, draw what it costs, do it; raises OverBudgetError and UnauthenticatedError."""
    actor, busy = actor_of(request), Busy()
    with Admission(actor):
        with busy.measured():
            given = _given(request, model)
        if isinstance(given, ProblemResponse):
            return _paid(actor, LEAST, busy, lambda: given)
        return _paid(actor, _price(given), busy, partial(_watched, model, actor, given))


def _given(request: HttpRequest, model: Model) -> Any:
    """Return what a request asks for, or what tells why it can't be done."""
    if not settings.ENABLE_BULK_OPERATIONS:
        return switched_off()
    try:
        given = bulk_of(model, sent_json(request), request.headers.get(KEY_HEADER))
        check_price(_price(given))
    except RequestError as error:
        return of_request(error)
    except RefusedError as refused:
        return of_refusal(refused)
    return given


def _price(given: Any) -> int:
    return MUTATION + len(given.items)


def _paid(actor: User, points: int, busy: Busy, answer: Answer) -> HttpResponse:
    """Draw points, answer, and owe the time that all of it took; raises OverBudgetError."""
    try:
        paid = charge(actor, points, 0)
    except OverBudgetError as error:
        error.charge.settle(0, busy.milliseconds)
        raise
    try:
        with busy.measured():
            response = answer()
    finally:
        paid.settle(points, busy.milliseconds)
    return add_headers(response, paid.headers())


def _watched(model: Model, actor: User, given: Any) -> HttpResponse:
    """Do what is asked, and log it when that takes long, or too long."""
    watch, stopped = Watch(), False
    try:
        return _done(model, actor, given)
    except OperationalError as error:
        stopped = ran_out_of_time(error)
        if not stopped:
            raise
        return too_slow()
    finally:
        if stopped or watch.is_slow:
            points = _price(given)
            name = f"{name_of(model)}/bulk/ {given.action}"
            watch.tell(name, actor, stopped=stopped, requested=points, actual=points)


def _done(model: Model, actor: User, given: Any) -> HttpResponse:
    """Do what the mutation would do, and answer for scripts."""

    def answer(done: Done) -> HttpResponse:
        assert isinstance(done.outcome, Report)
        return answered(given, done.outcome)

    request = request_of(bulk_name(model), given)
    try:
        return once(request, actor=actor, work=partial(take_many_through, model, actor, given), answer=answer)
    except RefusedError as refused:
        return of_refusal(refused)
