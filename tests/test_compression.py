"""Answers are compressed for who can read that."""

import gzip
import json
from typing import Final

import pytest
from django.http import HttpResponse, JsonResponse
from django.test import Client, RequestFactory

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from project.compression import compression
from tests import factories

LIST: Final = "{ sites(first: 50) { edges { node { id code name createdAt updatedAt } } } }"

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(demo: Tenant) -> str:
    for _ in range(20):
        factories.site(demo)
    return issue_token(user=factories.user(demo, Role.ADMIN))[0]


def ask(token: str, accepts: str | None = "gzip", **headers: str) -> HttpResponse:
    if accepts is not None:
        headers["Accept-Encoding"] = accepts
    return Client().post(  # type: ignore[return-value]
        "/graphql",
        json.dumps({"query": LIST}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", **headers},
    )


def sites(text: bytes) -> int:
    return len(json.loads(text)["data"]["sites"]["edges"])


@pytest.mark.parametrize("accepts", ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1", "gzip;q=0.001"])
def test_an_answer_is_compressed_for_who_accepts_gzip(token: str, accepts: str) -> None:
    plain, compressed = ask(token, accepts=None), ask(token, accepts=accepts)
    assert compressed["Content-Encoding"] == "gzip"
    assert sites(gzip.decompress(compressed.content)) == 20
    assert int(compressed["Content-Length"]) == len(compressed.content) < len(plain.content) / 2
    assert compressed["Content-Type"] == plain["Content-Type"]
    assert "Accept-Encoding" in compressed["Vary"]


@pytest.mark.parametrize("accepts", [None, "", "br", "identity", "gzip;q=0", "br, gzip; q=0.0, identity", "GZIP;Q=0"])
def test_it_is_not_for_others(token: str, accepts: str | None) -> None:
    response = ask(token, accepts=accepts)
    assert "Content-Encoding" not in response
    assert sites(response.content) == 20
    assert "Accept-Encoding" in response["Vary"]


def test_a_tiny_answer_stays_as_it_is(db: None) -> None:
    refusal = ask("wrong")
    assert 0 < len(refusal.content) < 200
    assert "Content-Encoding" not in refusal


def test_an_answers_length_tells_nothing_of_its_text_exactly(token: str) -> None:
    lengths = {len(ask(token).content) for _ in range(20)}
    assert len(lengths) > 1


def test_the_head_of_an_answer_says_the_same(token: str) -> None:
    address, sent = "/graphql?query={sites(first:50){edges{node{id}}}}", {"Authorization": f"Bearer {token}"}
    plain, packed = (
        Client().head(address, headers={**sent, "Accept": "application/json", "Accept-Encoding": accepts})
        for accepts in ("identity", "gzip")
    )
    assert plain.status_code == packed.status_code
    assert plain.content == packed.content == b""


@pytest.mark.parametrize("address", ["/login/", "/admin/"])
def test_pages_are_not_compressed(demo: Tenant, address: str) -> None:
    admin: User = factories.user(demo, Role.ADMIN)
    client = Client()
    client.force_login(admin)
    response = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert len(response.content) > 200
    assert "Content-Encoding" not in response


@pytest.mark.parametrize(("address", "encoding"), [("/graphql", "gzip"), ("/admin/autocomplete/", None)])
def test_nor_is_other_json(address: str, encoding: str | None) -> None:
    request = RequestFactory().get(address, headers={"Accept-Encoding": "gzip"})
    answer = compression(lambda _request: JsonResponse({"results": ["pump"] * 100}))(request)
    assert answer.get("Content-Encoding") == encoding


def test_graphiql_is_not_either(demo: Tenant) -> None:
    response = Client().get("/graphql", headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
    assert response["Content-Type"].startswith("text/html")
    assert "Content-Encoding" not in response


def test_static_files_are_not_touched() -> None:
    response = Client().get("/static/accounts/page.css", headers={"Accept-Encoding": "gzip"})
    response.close()
    assert (response.status_code, response["Content-Type"]) == (200, 'text/css; charset="utf-8"')
    assert "Content-Encoding" not in response
