"""Pages of other origins: what their browsers are told."""

import json
from typing import Any, Final

import pytest
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.accounts.tokens import issue_token

APP: Final = "https://app.example"
DOCUMENT: Final = json.dumps({"query": "{ __typename }"})
TELLING: Final = "access-control-"
EXPOSED: Final = "X-Correlation-ID, Retry-After, RateLimit, RateLimit-Policy"

pytestmark = pytest.mark.django_db


@pytest.fixture
def app_allowed(settings: Settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [APP]


def preflight(path: str = "/graphql", origin: str = APP, method: str = "POST") -> HttpResponse:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, content-type, x-correlation-id",
    }
    return Client().options(path, headers=asked)  # type: ignore[return-value]


def ask(token: str | None = None, origin: str = APP) -> HttpResponse:
    headers = {"Origin": origin, **({"Authorization": f"Bearer {token}"} if token else {})}
    return Client().post(  # type: ignore[return-value]
        "/graphql", DOCUMENT, content_type="application/json", headers=headers
    )


def told(response: HttpResponse) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name.lower().startswith(TELLING)}


def test_an_allowed_origin_may_send_a_token_and_keep_that_in_mind_for_a_day(app_allowed: None) -> None:
    response = preflight()
    assert (response.status_code, response.content) == (200, b"")
    assert told(response) == {
        "access-control-allow-origin": APP,
        "access-control-allow-headers": "accept, authorization, content-type, x-correlation-id",
        "access-control-allow-methods": "GET, POST",
        "access-control-expose-headers": EXPOSED,
        "access-control-max-age": "86400",
    }
    assert "origin" in response["Vary"]


def test_it_may_read_the_answer(app_allowed: None, technician: User) -> None:
    token, _ = issue_token(user=technician)
    response = ask(token)
    assert response.json()["data"] == {"__typename": "Query"}  # type: ignore[attr-defined]
    assert told(response) == {"access-control-allow-origin": APP, "access-control-expose-headers": EXPOSED}
    assert "origin" in response["Vary"]


@pytest.mark.parametrize("token", [None, "wrong"])
def test_it_may_read_a_refusal_too(app_allowed: None, token: str | None) -> None:
    response = ask(token)
    assert response.status_code == 401
    assert told(response) == {"access-control-allow-origin": APP, "access-control-expose-headers": EXPOSED}


def test_cookies_are_never_asked_for(app_allowed: None) -> None:
    for response in (preflight(), ask()):
        assert "access-control-allow-credentials" not in response


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://app.example", "https://app.example:8443", "https://app.example.evil", "null"],
)
def test_other_origins_are_told_nothing(app_allowed: None, origin: str) -> None:
    assert told(preflight(origin=origin)) == {}
    assert told(ask(origin=origin)) == {}


def test_by_default_nobody_is(technician: User) -> None:
    token, _ = issue_token(user=technician)
    assert told(preflight()) == {}
    assert told(ask(token)) == {}


@pytest.mark.parametrize("path", ["/login/", "/admin/", "/healthz", "/graphql/x"])
def test_other_pages_are_for_our_own_origin(app_allowed: None, path: str) -> None:
    assert told(preflight(path)) == {}
    assert told(Client().get(path, headers={"Origin": APP})) == {}  # type: ignore[arg-type]


def test_a_preflight_costs_no_statement(app_allowed: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        preflight()
