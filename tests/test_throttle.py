"""How often one may: the window in Redis, the one that holds while Redis is away, and what a search answers then."""

import json
import logging
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Final
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.test import Client
from django_redis import get_redis_connection
from django_redis.exceptions import ConnectionInterrupted
from pytest_django import Settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.throttle import window as throttle
from apps.throttle.server import Server
from apps.throttle.window import LimitExceededError, Window
from schema.search import LIMIT
from tests import factories
from tests.graphql import data

TWENTY: Final = Window("test", 20, 10)
AWAY: Final = "Redis is away; going on without it."
BACK: Final = "Redis is back."
SEARCH: Final = '{ search(query: "pump") { totalCount } }'
REFUSED: Final = "You may search 20 in 10 seconds at most. Try again in 10 s."


@pytest.fixture
def client_id() -> str:
    """Return a client that no other test has drawn for."""
    return uuid4().hex


@pytest.fixture(autouse=True)
def local_logs(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """Return what the process remembers while Redis is away: nothing yet."""
    throttle._logs.clear()
    return throttle._logs


def draws(window: Window, client: str, times: int = 1) -> bool:
    """Draw; tell whether it was let."""
    try:
        window.draw(client, times)
    except LimitExceededError:
        return False
    return True


def retry_after(window: Window, client: str, times: int = 1) -> float:
    """Draw in vain; return how long to wait."""
    with pytest.raises(LimitExceededError) as caught:
        window.draw(client, times)
    assert caught.value.limit == window
    return caught.value.retry_after


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Outage:
    """Redis as the throttle sees it, which goes away and comes back at the test's word."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rest: float) -> None:
        self._patch, self._script, self.asked = monkeypatch, throttle._script, 0
        monkeypatch.setattr("apps.throttle.server.REST", rest)
        monkeypatch.setattr(throttle, "server", Server())

    def begin(self) -> None:
        nowhere = Redis(host="127.0.0.1", port=closed_port(), socket_connect_timeout=1, retry=Retry(NoBackoff(), 0))
        script = nowhere.register_script(throttle.SCRIPT.read_text())

        def asked(**given: Any) -> Any:
            self.asked += 1
            return script(**given)

        self._patch.setattr(throttle, "_script", lambda: asked)

    def end(self) -> None:
        self._patch.setattr(throttle, "_script", self._script)


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    """Return an outage that has begun, and in which Redis is asked but once."""
    found = Outage(monkeypatch, rest=60)
    found.begin()
    return found


@pytest.fixture(params=["in Redis", "while Redis is away"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a test hold in Redis and in the process."""
    if request.param == "while Redis is away":
        Outage(monkeypatch, rest=60).begin()
    return str(request.param)


# The window


def test_20_are_let_and_the_21st_is_told_when_to_come_back(either: str, client_id: str) -> None:
    assert [draws(TWENTY, client_id) for _ in range(20)] == [True] * 20
    assert 5 < retry_after(TWENTY, client_id) <= 10


def test_what_is_refused_draws_nothing(either: str, client_id: str) -> None:
    window = Window("test", 3, 0.4)
    assert [draws(window, client_id) for _ in range(3)] == [True] * 3
    end = time.monotonic() + 0.6
    let = 0
    while time.monotonic() < end:
        let += draws(window, client_id)
        time.sleep(0.01)
    assert let == 3


def test_all_are_drawn_or_none(either: str, client_id: str) -> None:
    window = Window("test", 10, 60)
    assert draws(window, client_id, 7)
    assert 59 < retry_after(window, client_id, 4) <= 60
    assert draws(window, client_id, 3)
    assert not draws(window, client_id)


def test_none_are_always_let(either: str, client_id: str) -> None:
    window = Window("test", 1, 60)
    assert draws(window, client_id, 0)
    assert draws(window, client_id)
    assert draws(window, client_id, 0)


def test_more_than_the_window_holds_are_never_let(either: str, client_id: str) -> None:
    window = Window("test", 3, 60)
    assert 59 < retry_after(window, client_id, 4) <= 60
    assert draws(window, client_id, 2)
    assert 0 < retry_after(window, client_id, 4) <= 60
    assert draws(window, client_id)


def test_the_wait_is_for_as_many_as_are_wanted(either: str, client_id: str) -> None:
    window = Window("test", 3, 60)
    assert draws(window, client_id)
    time.sleep(0.3)
    assert draws(window, client_id, 2)
    one, two = retry_after(window, client_id), retry_after(window, client_id, 2)
    assert 59 < one < 59.75
    assert 0.25 < two - one < 1


def test_the_window_slides(either: str, client_id: str) -> None:
    window = Window("test", 2, 0.6)
    started = time.monotonic()
    assert draws(window, client_id)
    time.sleep(0.3)
    assert draws(window, client_id)
    waits = retry_after(window, client_id)
    assert 0 < waits <= 0.6 - 0.29
    time.sleep(waits)
    assert time.monotonic() - started >= 0.59
    assert [draws(window, client_id) for _ in range(2)] == [True, False]


def test_after_the_span_all_is_as_at_first(either: str, client_id: str) -> None:
    window = Window("test", 3, 0.3)
    for _ in range(2):
        assert [draws(window, client_id) for _ in range(4)] == [True, True, True, False]
        time.sleep(0.31)


def test_it_is_worth_trying_again_when_it_is_said_and_not_before(either: str, client_id: str) -> None:
    window = Window("test", 1, 0.6)
    assert draws(window, client_id)
    waits = retry_after(window, client_id)
    time.sleep(waits / 2)
    assert not draws(window, client_id)
    time.sleep(waits / 2)
    assert draws(window, client_id)


def test_clients_and_windows_do_not_know_of_each_other(either: str, client_id: str) -> None:
    one, other = Window("test", 1, 60), Window("other", 1, 60)
    assert [draws(one, client_id), draws(one, client_id + "x"), draws(other, client_id)] == [True] * 3
    assert [draws(one, client_id), draws(one, client_id + "x"), draws(other, client_id)] == [False] * 3


@pytest.mark.parametrize("name", ["{a}", "a:b", "ä ö", "*", "a\nb"])
def test_any_text_may_name_a_client(either: str, client_id: str, name: str) -> None:
    window = Window("test", 1, 60)
    assert [draws(window, client_id + name) for _ in range(2)] == [True, False]


def test_of_many_at_once_exactly_as_many_as_may_are_let(either: str, client_id: str) -> None:
    window, barrier = Window("test", 50, 60), threading.Barrier(16)

    def greedily() -> int:
        barrier.wait(10)
        return sum(draws(window, client_id) for _ in range(10))

    with ThreadPoolExecutor(16) as pool:
        let = [each.result() for each in [pool.submit(greedily) for _ in range(16)]]
    assert sum(let) == 50


def test_many_who_want_several_at_once_get_whole_draws(either: str, client_id: str) -> None:
    window = Window("test", 50, 60)
    with ThreadPoolExecutor(16) as pool:
        let = list(pool.map(lambda _: draws(window, client_id, 7), range(32)))
    assert Counter(let) == {True: 7, False: 25}
    assert [draws(window, client_id) for _ in range(2)] == [True, False]


def test_the_error_says_what_the_limit_is() -> None:
    assert str(LimitExceededError(TWENTY, 3.2)) == "20 in 10 seconds at most."
    assert str(LimitExceededError(Window("test", 5, 0.5), 0.1)) == "5 in 0.5 seconds at most."


# What Redis holds


def held(client: str) -> list[bytes]:
    return sorted(get_redis_connection("default").scan_iter(f"*{client}*"))


def test_a_client_has_one_key_whose_slot_is_the_clients(client_id: str) -> None:
    for window in (TWENTY, Window("other", 1, 60)):
        draws(window, client_id)
    expected = [caches["default"].make_key(f"limit:{{{client_id}}}:{name}") for name in ("other", "test")]
    assert [key.decode() for key in held(client_id)] == expected
    assert all(key.startswith("workgraph") for key in expected)
    server = get_redis_connection("default")
    assert len({server.execute_command("CLUSTER", "KEYSLOT", key) for key in [*held(client_id), client_id]}) == 1


def test_the_key_expires_with_the_span(client_id: str) -> None:
    window, server = Window("test", 2, 1), get_redis_connection("default")
    draws(window, client_id)
    (key,) = held(client_id)
    assert 0 < server.pttl(key) <= 1000
    time.sleep(0.5)
    draws(window, client_id)
    assert 500 < server.pttl(key) <= 1000, "each draw keeps it"
    time.sleep(0.2)
    before = server.pttl(key)
    assert not draws(window, client_id)
    assert server.pttl(key) <= before, "a refused draw does not"
    time.sleep(0.85)
    assert held(client_id) == []


def test_the_log_never_grows_beyond_the_limit(client_id: str) -> None:
    window, server = Window("test", 3, 0.4), get_redis_connection("default")
    end = time.monotonic() + 1.0
    longest = 0
    while time.monotonic() < end:
        draws(window, client_id)
        longest = max([longest, *(server.llen(key) for key in held(client_id))])
    assert longest == 3


def test_a_draw_is_one_round_trip(client_id: str) -> None:
    server = get_redis_connection("default")
    draws(TWENTY, client_id)
    with server.monitor() as monitor:
        commands: deque[str] = deque()

        def listen() -> None:
            for command in monitor.listen():
                if command["command"].endswith(" STOP"):
                    return
                if command["client_type"] != "lua" and client_id in command["command"]:
                    commands.append(command["command"].split()[0])

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        draws(TWENTY, client_id)
        server.echo(f"{client_id} STOP")
        listening.join(5)
    assert [command for command in commands if command != "ECHO"] == ["EVALSHA"]


def test_a_server_that_has_forgotten_the_script_learns_it_again(client_id: str) -> None:
    draws(TWENTY, client_id)
    get_redis_connection("default").script_flush()
    assert [draws(Window("test", 2, 60), client_id) for _ in range(2)] == [True, False]


# While Redis is away


def test_while_redis_is_away_the_process_holds_a_limit_of_the_same_size(outage: Outage, client_id: str) -> None:
    assert [draws(TWENTY, client_id) for _ in range(22)] == [True] * 20 + [False] * 2
    assert outage.asked == 1, "nobody waits for Redis"
    assert held(client_id) == []


def test_an_outage_is_logged_once_and_so_is_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, client_id: str
) -> None:
    outage = Outage(monkeypatch, rest=0.1)
    assert draws(TWENTY, client_id)
    assert caplog.records == []
    for _ in range(2):
        caplog.clear()
        outage.begin()
        for _ in range(6):
            draws(TWENTY, client_id)
            time.sleep(0.05)
        assert [(each.levelno, AWAY in each.message) for each in caplog.records] == [(logging.WARNING, True)]
        outage.end()
        time.sleep(0.11)
        for _ in range(3):
            draws(TWENTY, client_id)
        assert [each.message for each in caplog.records][1:] == [BACK]
    assert outage.asked >= 4, "from time to time Redis is asked again"


def test_many_who_meet_an_outage_at_once_log_it_once(
    outage: Outage, caplog: pytest.LogCaptureFixture, client_id: str
) -> None:
    barrier = threading.Barrier(16)

    def meet() -> bool:
        barrier.wait(10)
        return draws(Window("test", 5, 60), client_id)

    with ThreadPoolExecutor(16) as pool:
        let = [each.result() for each in [pool.submit(meet) for _ in range(16)]]
    assert sum(let) == 5
    assert len(caplog.records) == 1


def test_when_redis_is_back_its_count_holds_again(monkeypatch: pytest.MonkeyPatch, client_id: str) -> None:
    window, outage = Window("test", 3, 60), Outage(monkeypatch, rest=0.4)
    assert draws(window, client_id, 2)
    outage.begin()
    assert [draws(window, client_id) for _ in range(4)] == [True] * 3 + [False]
    outage.end()
    assert not draws(window, client_id), "it is not asked yet"
    time.sleep(0.41)
    assert [draws(window, client_id) for _ in range(2)] == [True, False]


def test_the_process_remembers_so_many_clients_and_forgets_the_quietest(
    outage: Outage, monkeypatch: pytest.MonkeyPatch, local_logs: dict[Any, Any]
) -> None:
    monkeypatch.setattr(throttle, "MAX_CLIENTS", 3)
    window = Window("test", 1, 60)
    assert [draws(window, client) for client in "abc"] == [True] * 3
    assert not draws(window, "a"), "the quietest is b now"
    assert draws(window, "d")
    assert list(local_logs) == [("test", each) for each in "cad"]
    assert [draws(window, client) for client in "acd"] == [False] * 3
    assert draws(window, "b")
    assert len(local_logs) == 3


def test_what_is_no_outage_is_not_taken_for_one() -> None:
    def fail() -> None:
        raise ValueError("a fault of ours")

    server = Server()
    with pytest.raises(ValueError, match="a fault of ours"):
        server.attempt(fail, otherwise=None)
    assert server.attempt(lambda: 7, otherwise=0) == 7


@pytest.mark.parametrize(
    "error", [RedisConnectionError("gone"), ConnectionInterrupted(connection=None), OSError("gone"), TimeoutError()]
)
def test_every_way_of_being_away_is_known(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> int:
        raise error

    server, turns = Server(), count()
    assert [server.attempt(fail, otherwise=5), server.attempt(lambda: next(turns), otherwise=6)] == [5, 6]
    assert next(turns) == 0, "nobody waits"
    assert len(caplog.records) == 1


# What a search answers


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
    monkeypatch.setattr("schema.search.LIMIT", Window("search", 3, 60))


def searches(post: Post, user: User, times: int) -> Counter[int]:
    """Search so many times; return how often each status was answered."""
    return Counter(post(user, SEARCH).status_code for _ in range(times))


def test_the_limit_is_the_one_that_is_promised() -> None:
    assert Window("search", 20, 10) == LIMIT


def test_the_21st_search_is_refused_in_every_way_that_a_client_may_look_for(post: Post, technician: User) -> None:
    assert searches(post, technician, 20) == {200: 20}
    answer = post(technician, SEARCH)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    body = answer.json()
    (error,) = body["errors"]
    assert body["data"] is None
    assert error["path"] == ["search"]
    assert sorted(error["extensions"]) == ["code", "retryAfter"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 0 < error["extensions"]["retryAfter"] <= int(answer.headers["Retry-After"])
    assert error["message"] == REFUSED.replace("in 10 s.", f"in {answer.headers['Retry-After']} s.")


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
    assert post(technician, SEARCH).status_code == 429


def test_a_document_of_which_one_search_is_refused_is_refused_whole(post: Post, three: None, technician: User) -> None:
    answer = post(technician, several(4))
    assert (answer.status_code, answer.json()["data"]) == (429, None)
    told = [(each["path"], each["extensions"]["code"]) for each in answer.json()["errors"]]
    assert told == [(["a3"], "RATE_LIMITED")]


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
def without_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Let the whole application look for Redis where nobody answers."""
    held_by_default = settings.CACHES["default"]
    nowhere = f"redis://127.0.0.1:{closed_port()}/0"
    settings.CACHES = {"default": {**held_by_default, "LOCATION": nowhere}}
    server = Server()
    monkeypatch.setattr("apps.throttle.window.server", server)
    monkeypatch.setattr("apps.search.cache.server", server)
    throttle._script.cache_clear()
    yield server
    throttle._script.cache_clear()


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
    assert answers[0].json() == {"data": {"search": {"totalCount": 1}}}
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
