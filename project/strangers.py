"""How often one may knock without being let in: with a bad token, and with a wrong password.

What is drawn from in Redis is named by a keyed hash: neither e-mail nor IP addresses are kept there.

A password is guessed from one address, or from many on one account; so an attempt draws from a bucket of each, before
the password is hashed, which is what costs time, and a right one gets both draws back. An account's bucket alone
would let anybody lock its owner out for good, by guessing wrongly all the time. So who has signed in is given a
"device cookie" (OWASP, Slow Down Online Guessing Attacks with Device Cookies), signed and good for the one account:
an attempt that brings it draws from a bucket of that device, and from none that others can empty. What remains is
that an account under attack can't be signed in to from a device that never was; nor, from an address that attacks,
any account from such a device.
"""

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.forms import UsernameField
from django.core import signing
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import salted_hmac

from apps.throttle.limits import Bucket, Draw, LimitsUnavailableError, give_back, take

from .addresses import client_address

DEVICE_COOKIE: Final = "device"
DEVICE_SECONDS: Final = 180 * 24 * 60 * 60
SALT: Final = "project.strangers"
MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Purse:
    """A bucket of somebody who is not known: an address, an account, a device."""

    owner: str
    bucket: Bucket

    def draw(self) -> float:
        """Draw once; return 0, or after how many seconds to try again."""
        try:
            taken = take(self.owner, [Draw(self.bucket, 1)])
        except LimitsUnavailableError as error:
            return error.retry_after
        return taken.retry_after

    def put_back(self) -> None:
        """Undo a draw."""
        give_back(self.owner, self.bucket, 1)


class Strangers:
    """Middleware: answers 429 to an address that was answered 401 too often, and to too many attempts to sign in.

    It stands between the check of CSRF tokens, without which no attempt counts, and the look at who is asking.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Wrap all that looks at who is asking."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        response = self.get_response(request)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            wait = Purse(_hashed(client_address(request)), _stranger_bucket()).draw()
            return _refusal(response, wait) if wait else response
        drawn: list[Purse] = getattr(request, "drawn_to_sign_in", [])
        if drawn and _has_signed_in(request, response):
            for purse in drawn:
                purse.put_back()
            _remember_device(request, response)
        return response

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """Let an attempt to sign in pass if there are any left; the admin site has no login page of its own."""
        match = request.resolver_match
        if request.method != "POST" or match is None or match.view_name != settings.LOGIN_URL:
            return None
        if not (request.POST.get("username") and request.POST.get("password")):
            return None  # no password will be hashed
        purses = _purses(request)
        wait = _draw_all(purses)
        if wait:
            return _page(request, wait)
        request.drawn_to_sign_in = purses  # type: ignore[attr-defined]
        return None


def _has_signed_in(request: HttpRequest, response: HttpResponse) -> bool:
    user = request.user
    return (
        response.status_code == HTTPStatus.FOUND and user.is_authenticated and _hashed(user.email) == _account(request)
    )


def _draw_all(purses: Sequence[Purse]) -> float:
    """Draw from all or from none; return 0, or after how many seconds to try again."""
    for number, purse in enumerate(purses):
        wait = purse.draw()
        if wait:
            for drawn in purses[:number]:
                drawn.put_back()
            return wait
    return 0


def _purses(request: HttpRequest) -> list[Purse]:
    device = _device(request)
    if device:
        return [Purse(device, _login_bucket("device"))]
    address = Purse(_hashed(client_address(request)), _login_bucket("address"))
    return [address, Purse(_account(request), _login_bucket("account"))]


def _stranger_bucket() -> Bucket:
    return Bucket("unauthenticated", settings.STRANGER_LIMIT, settings.STRANGER_RATE)


def _login_bucket(whose: str) -> Bucket:
    return Bucket(f"login-{whose}", settings.LOGIN_LIMIT, settings.LOGIN_RATE / MINUTE)


def _account(request: HttpRequest) -> str:
    # Read as the form reads it and the login looks it up: no other spelling may be another account's.
    return _hashed(str(UsernameField().to_python(request.POST["username"])).lower())


def _hashed(text: str) -> str:
    return salted_hmac(SALT, text, algorithm="sha256").hexdigest()


def _remember_device(request: HttpRequest, response: HttpResponse) -> None:
    response.set_cookie(
        DEVICE_COOKIE,
        signing.dumps([_account(request), secrets.token_urlsafe(16)], salt=SALT),
        max_age=DEVICE_SECONDS,
        path=reverse("login"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _device(request: HttpRequest) -> str:
    """Return the name of the device, if it has signed in to this account before; else nothing."""
    try:
        account, name = signing.loads(request.COOKIES.get(DEVICE_COOKIE, ""), salt=SALT, max_age=DEVICE_SECONDS)
    except signing.BadSignature:
        return ""
    return str(name) if account == _account(request) else ""


def _refusal(response: HttpResponse, wait: float) -> HttpResponse:
    """Return what a stranger reads in place of the 401, in GraphQL's form and of the same media type."""
    seconds = math.ceil(wait)
    message = f"Too many requests without a valid token came from your address. Try again in {seconds} s."
    error = {"message": message, "extensions": {"code": "RATE_LIMITED", "retryAfter": round(wait, 3)}}
    return JsonResponse(
        {"errors": [error]},
        status=HTTPStatus.TOO_MANY_REQUESTS,
        content_type=response["Content-Type"],
        headers={"Retry-After": str(seconds)},
    )


def _page(request: HttpRequest, wait: float) -> HttpResponse:
    answer = render(request, "429.html", {"wait": _spoken(wait)}, status=HTTPStatus.TOO_MANY_REQUESTS)
    answer["Retry-After"] = str(math.ceil(wait))
    return answer


def _spoken(wait: float) -> str:
    seconds = math.ceil(wait)
    count, unit = (seconds, "second") if seconds < MINUTE else (math.ceil(seconds / MINUTE), "minute")
    return f"{count} {unit}{'s' * (count != 1)}"
