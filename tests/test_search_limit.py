"""How often one may search, and what a search answers then."""

import json
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.test import Client
from django_redis import get_redis_connection
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.throttle.limits import Window
from apps.throttle.server import Server
from schema.budget import SEARCHES
from tests import factories
from tests.buckets import AWAY, closed_port
from tests.graphql import data

SEARCH: Final = '{ search(query: "pump") { totalCount } }'
REFUSED: Final = "You may search 20 in 10 seconds at most. Try again in {} s."


@pytest.fixture
def post(settings: Settings) -> Callable[..., Any]:
    """Return a function that sends a document over HTTP as a user and returns the response; in Redis the test has keys
    of its own, for the tests that run beside it have users of the same ids.
    """
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": f"throttle-{uuid4().hex}"}}
    tokens: dict[int, str] = {}

    def send(user: User, document: str, **variables: Any) -> Any:
        if user.pk not in tokens:
            tokens[user.pk] = issue_token(user=user)[0]
        body = json.dumps({"query": document, "variables": variables})
        headers = {"Authorization": f"Bearer {tokens[user.pk]}"}
        return Client().post("/graphql", body, content_type="application/json", headers=headers)

    return send


Post = Callable[..., Any]


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one search thrice a minute."""
    monkeypatch.setattr("schema.budget.SEARCHES", Window("search", 3, 60))


def searches(post: Post, user: User, times: int) -> Counter[int]:
    """Search so many times; return how often each status was answered."""
    return Counter(post(user, SEARCH).status_code for _ in range(times))


def test_the_limit_is_the_one_that_is_promised() -> None:
    assert Window("search", 20, 10) == SEARCHES


def test_the_21st_search_is_refused_in_every_way_that_a_client_may_look_for(post: Post, technician: User) -> None:
    assert searches(post, technician, 20) == {200: 20}
    answer = post(technician, SEARCH)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    body = answer.json()
    (error,) = body["errors"]
    assert sorted(body) == ["errors", "extensions"]
    assert sorted(error) == ["extensions", "message"]
    assert sorted(error["extensions"]) == ["code", "retryAfter"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 0 < error["extensions"]["retryAfter"] <= int(answer.headers["Retry-After"])
    assert error["message"] == REFUSED.format(answer.headers["Retry-After"])


def test_what_was_let_says_nothing_of_waiting(post: Post, technician: User) -> None:
    answer = post(technician, SEARCH)
    assert answer.status_code == 200
    assert "Retry-After" not in answer.headers


def test_a_refused_search_draws_nothing_and_asks_nothing_of_the_index(
    post: Post, three: None, technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert searches(post, technician, 3) == {200: 3}
    server = get_redis_connection("default")
    key = caches["default"].make_key(f"limit:{{{technician.tenant_id}:{technician.pk}}}:search")
    drawn = server.lrange(key, 0, -1)
    monkeypatch.setattr("schema.search.services.search", None)
    assert searches(post, technician, 3) == {429: 3}
    assert server.lrange(key, 0, -1) == drawn
    assert len(drawn) == 3


def several(count: int) -> str:
    return "{ " + " ".join(f'a{place}: search(query: "pump") {{ totalCount }}' for place in range(count)) + " }"


def test_each_search_of_a_document_is_drawn(post: Post, three: None, technician: User) -> None:
    assert [post(technician, several(2)).status_code for _ in range(2)] == [200, 429]
    assert searches(post, technician, 2) == {200: 1, 429: 1}


def test_a_document_of_which_one_search_is_refused_is_refused_whole(
    post: Post, three: None, technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert searches(post, technician, 2) == {200: 2}
    monkeypatch.setattr("schema.search.services.search", None)
    answer = post(technician, several(2))
    assert (answer.status_code, "data" in answer.json()) == (429, False)
    told = [(each.get("path"), each["extensions"]["code"]) for each in answer.json()["errors"]]
    assert told == [(None, "RATE_LIMITED")]


def test_more_searches_than_one_ever_has_are_too_many_for_one_document(
    post: Post, three: None, technician: User
) -> None:
    answer = post(technician, several(4))
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX"}
    assert error["message"] == "This takes 4 searches, more than you can ever have at once; ask in parts."
    assert ("data" in answer.json(), "Retry-After" in answer.headers) == (False, False)
    assert searches(post, technician, 4) == {200: 3, 429: 1}


def test_the_searches_of_a_batch_are_drawn_together(three: None, technician: User) -> None:
    headers = {"Authorization": f"Bearer {issue_token(user=technician)[0]}"}

    def statuses(*documents: str) -> tuple[int, list[bool]]:
        body = json.dumps([{"query": document} for document in documents])
        answer = Client().post("/graphql", body, content_type="application/json", headers=headers)
        return answer.status_code, ["data" in each for each in answer.json()]

    assert statuses(SEARCH, "{ me { id } }", SEARCH) == (200, [True] * 3)
    assert statuses(SEARCH, "{ me { id } }", SEARCH) == (429, [False] * 3)
    assert statuses("{ me { id } }", SEARCH) == (200, [True] * 2)
    assert statuses("{ me { id } }", SEARCH) == (429, [False] * 2)


def test_a_search_that_is_only_explained_does_not_count(three: None, technician: User) -> None:
    headers = {"Authorization": f"Bearer {issue_token(user=technician)[0]}"}
    for extensions, expected in (({"cost": "explain"}, [200] * 4), ({}, [200] * 3 + [429])):
        body = json.dumps({"query": SEARCH, "extensions": extensions})
        sent = [Client().post("/graphql", body, content_type="application/json", headers=headers) for _ in range(4)]
        assert [each.status_code for each in sent] == expected


def test_a_search_whose_arguments_make_no_sense_counts(post: Post, three: None, technician: User) -> None:
    documents = (
        '{ search(query: "") { totalCount } }',
        '{ search(query: "pump", first: -1) { totalCount } }',
        '{ search(query: "pump", after: "rubbish") { totalCount } }',
        '{ search(query: "") { totalCount } }',
    )
    codes = [post(technician, document).json()["errors"][0]["extensions"]["code"] for document in documents]
    assert codes == ["BAD_REQUEST", "BAD_REQUEST", "BAD_REQUEST", "RATE_LIMITED"]


def test_a_document_that_never_runs_does_not_count(post: Post, three: None, technician: User) -> None:
    for document in (
        "{ search { totalCount } }",
        '{ search(query: "pump", kinds: [NONE]) { totalCount } }',
        "{ search",
        '{ search(query: "pump") }',
    ):
        assert post(technician, document).json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert searches(post, technician, 4) == {200: 3, 429: 1}


def test_a_search_that_is_skipped_does_not_count(post: Post, three: None, technician: User) -> None:
    document = 'query($no: Boolean!) { me { id } search(query: "pump") @skip(if: $no) { totalCount } }'
    assert [post(technician, document, no=True).status_code for _ in range(4)] == [200] * 4
    assert [post(technician, document, no=False).status_code for _ in range(4)] == [200] * 3 + [429]


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_remembered_counts_too(post: Post, three: None) -> None:
    demo = factories.tenant()
    factories.work_order(demo, title="Pump")
    assert searches(post, factories.user(demo), 4) == {200: 3, 429: 1}


def test_other_queries_are_not_limited(post: Post, three: None, technician: User) -> None:
    assert searches(post, technician, 4) == {200: 3, 429: 1}
    for document in ("{ me { id } }", "{ workOrders { totalCount } }", "{ __typename }"):
        answers = [post(technician, document) for _ in range(4)]
        assert [(each.status_code, "errors" in each.json()) for each in answers] == [(200, False)] * 4
    assert post(technician, SEARCH).status_code == 429


def test_users_are_limited_each_by_itself_and_by_whatever_way_they_come(
    post: Post, three: None, technician: User, demo: Tenant, rival: Tenant
) -> None:
    assert searches(post, technician, 3) == {200: 3}
    session = Client()
    session.force_login(technician)
    assert session.post("/graphql", {"query": SEARCH}, content_type="application/json").status_code == 429
    by_get = session.get("/graphql", {"query": SEARCH})
    assert (by_get.status_code, "Retry-After" in by_get.headers) == (429, True)
    assert post(factories.user(demo), SEARCH).status_code == 200
    assert post(factories.user(rival), SEARCH).status_code == 200


@pytest.mark.parametrize("role", Role)
def test_every_role_is_limited(post: Post, three: None, demo: Tenant, role: Role) -> None:
    assert searches(post, factories.user(demo, role), 4) == {200: 3, 429: 1}


def test_the_switch_turns_the_limit_off(post: Post, three: None, technician: User, settings: Settings) -> None:
    settings.ENABLE_SEARCH_RATE_LIMITING = False
    assert searches(post, technician, 5) == {200: 5}
    settings.ENABLE_SEARCH_RATE_LIMITING = True
    assert searches(post, technician, 4) == {200: 3, 429: 1}


@pytest.fixture
def without_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Let the whole application look for Redis where nobody answers."""
    held_by_default = settings.CACHES["default"]
    nowhere = f"redis://127.0.0.1:{closed_port()}/0"
    settings.CACHES = {"default": {**held_by_default, "LOCATION": nowhere}}
    server = Server()
    monkeypatch.setattr("apps.throttle.limits.server", server)
    monkeypatch.setattr("apps.search.cache.server", server)
    return server


def test_without_redis_one_searches_and_is_limited_all_the_same(
    without_redis: Server,
    three: None,
    caplog: pytest.LogCaptureFixture,
    client: Client,
    technician: User,
    demo: Tenant,
) -> None:
    factories.work_order(demo, title="Pump")
    token, _ = issue_token(user=technician)
    headers = {"Authorization": f"Bearer {token}"}

    def send() -> Any:
        return client.post("/graphql", {"query": SEARCH}, content_type="application/json", headers=headers)

    caplog.set_level(logging.WARNING, "apps.throttle")
    answers = [send() for _ in range(4)]
    assert [each.status_code for each in answers] == [200] * 3 + [429]
    assert answers[0].json()["data"] == {"search": {"totalCount": 1}}
    assert answers[3].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
    assert sum(AWAY in each.message for each in caplog.records if each.name == "apps.throttle.server") == 1


@pytest.mark.django_db(transaction=True)
def test_without_redis_every_search_is_computed_and_right(without_redis: Server) -> None:
    demo = factories.tenant()
    technician = factories.user(demo)
    assert data(technician, SEARCH) == {"search": {"totalCount": 0}}
    factories.work_order(demo, title="Pump")
    assert [data(technician, SEARCH) for _ in range(2)] == [{"search": {"totalCount": 1}}] * 2
