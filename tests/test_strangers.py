"""Who is not let in may not knock as often as they like: by a bad token, by a wrong password."""

import json
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any, Final
from uuid import uuid4

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django_redis import get_redis_connection
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from apps.throttle.limits import Bucket
from apps.throttle.server import Server
from project.addresses import client_address
from project.strangers import DEVICE_COOKIE, Purse, Strangers
from tests import factories
from tests.counts import moves
from tests.test_accounts import CountingHasher

PASSWORD: Final = "correct horse battery"
EMAIL: Final = "ada@demo.example"
DOCUMENT: Final = json.dumps({"query": "{ __typename }"})
NEVER: Final = 1 / 86_400
"""A rate at which nothing comes back while a test runs."""


@pytest.fixture(autouse=True)
def few_attempts(settings: Settings) -> None:
    settings.STRANGER_LIMIT, settings.STRANGER_RATE = 3, NEVER
    settings.LOGIN_LIMIT, settings.LOGIN_RATE = 3, NEVER * 60


@pytest.fixture(autouse=True)
def own_key(settings: Settings) -> None:
    """Let no draw of another test count here: names in Redis hang on the key."""
    settings.SECRET_KEY = uuid4().hex * 2


@pytest.fixture
def ada(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN, email=EMAIL, password=PASSWORD)


def ask(client: Client, token: str = "", address: str = "192.0.2.1", **headers: str) -> HttpResponse:
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return client.post(  # type: ignore[return-value]
        "/graphql", DOCUMENT, content_type="application/json", headers=headers, REMOTE_ADDR=address
    )


def statuses(client: Client, times: int, **asked: str) -> list[int]:
    return [ask(client, **asked).status_code for _ in range(times)]


@pytest.mark.parametrize("token", ["", "wrong"])
def test_who_is_answered_401_too_often_is_answered_429(client: Client, db: None, token: str) -> None:
    assert statuses(client, 5, token=token) == [401, 401, 401, 429, 429]


def test_the_answer_says_when_to_try_again(client: Client, db: None, settings: Settings) -> None:
    settings.STRANGER_RATE = 0.1
    let = [ask(client) for _ in range(3)]
    answer = ask(client)
    error = answer.json()["errors"][0]  # type: ignore[attr-defined]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert error["extensions"]["retryAfter"] == pytest.approx(10, abs=0.5)
    assert answer["Retry-After"] == "10"
    assert error["message"] == "Too many requests without a valid token came from your address. Try again in 10 s."
    assert [each.status_code for each in let] == [401] * 3
    assert answer["Content-Type"] == let[0]["Content-Type"]
    assert len(answer["X-Correlation-ID"]) == 32


def test_other_addresses_are_not_affected(client: Client, db: None) -> None:
    assert statuses(client, 4) == [401, 401, 401, 429]
    assert ask(client, address="192.0.2.2").status_code == 401


def test_valid_tokens_and_sessions_from_the_same_address_are_not_affected(client: Client, ada: User) -> None:
    token, _ = issue_token(user=ada)
    assert statuses(client, 4) == [401, 401, 401, 429]
    assert statuses(client, 5, token=token) == [200] * 5
    client.force_login(ada)
    assert statuses(client, 5) == [200] * 5


def test_valid_tokens_do_not_draw(client: Client, ada: User) -> None:
    token, _ = issue_token(user=ada)
    assert statuses(client, 5, token=token) == [200] * 5
    assert statuses(client, 4) == [401, 401, 401, 429]


def test_a_forged_header_makes_no_other_stranger(client: Client, db: None) -> None:
    answers = [ask(client, **{"X-Forwarded-For": f"198.51.100.{number}"}).status_code for number in range(5)]
    assert answers == [401, 401, 401, 429, 429]


def test_a_trusted_proxys_header_does(client: Client, db: None, settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["192.0.2.0/24"]
    answers = [ask(client, **{"X-Forwarded-For": f"9.9.9.9, 198.51.100.{number}"}).status_code for number in range(5)]
    assert answers == [401] * 5


def seen_as(remote: str | None, forwarded: str | None = None) -> str:
    request = HttpRequest()
    sent = {"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": forwarded}
    request.META = {name: value for name, value in sent.items() if value is not None}
    return client_address(request)


@pytest.mark.parametrize(
    ("remote", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unix socket"),
        (None, "unix socket"),
        ("nonsense", "unix socket"),
    ],
)
def test_a_client_is_its_address_or_its_network(remote: str | None, client: str, settings: Settings) -> None:
    assert seen_as(remote) == client
    assert seen_as(remote, "198.51.100.1") == client
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert seen_as(remote, "198.51.100.1") == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("  198.51.100.1\t", "198.51.100.1"),
        ("198.51.100.1:50123", "198.51.100.1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8::7", "2001:db8::/64"),
        ("[2001:db8::7]", "2001:db8::/64"),
        ("[2001:db8::7]:443", "2001:db8::/64"),
        ("6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1, 10.2.2.2", "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1, fd00::8", "198.51.100.1"),
        ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("6.6.6.6, nonsense, 10.2.2.2", "10.2.2.2"),
        ("6.6.6.6, nonsense", "10.1.1.1"),
        ("6.6.6.6, ", "10.1.1.1"),
        ("6.6.6.6, 999.1.1.1", "10.1.1.1"),
        ("6.6.6.6, [::1", "10.1.1.1"),
        ("unknown", "10.1.1.1"),
        ("", "10.1.1.1"),
        (None, "10.1.1.1"),
    ],
)
def test_behind_trusted_proxies_it_is_what_they_wrote_down(
    forwarded: str | None, client: str, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8", "fd00::8"]
    assert seen_as("10.1.1.1", forwarded) == client
    assert seen_as("::ffff:10.1.1.1", forwarded) == client


def test_a_proxy_on_a_unix_socket_is_one_client(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["0.0.0.0/0", "::/0"]
    assert seen_as("", "198.51.100.1") == "unix socket"


@pytest.fixture
def hashed() -> Iterator[list[str]]:
    with override_settings(PASSWORD_HASHERS=["tests.test_accounts.CountingHasher"]):
        CountingHasher.hashed.clear()
        yield CountingHasher.hashed


def sign_in(
    client: Client, password: str, email: str = EMAIL, address: str = "192.0.2.1", **fields: Any
) -> HttpResponse:
    form = {"username": email, "password": password, **fields}
    return client.post("/login/", form, REMOTE_ADDR=address)  # type: ignore[return-value]


def fail(times: int, email: str = EMAIL, address: str = "192.0.2.1") -> list[int]:
    """Sign in wrongly so often, each time in a new browser; return the statuses."""
    return [sign_in(Client(), "wrong", email, address).status_code for _ in range(times)]


def test_passwords_can_be_guessed_a_few_times_only(client: Client, hashed: list[str], ada: User) -> None:
    hashed.clear()
    assert fail(5) == [200, 200, 200, 429, 429]
    assert hashed == ["wrong"] * 3
    assert sign_in(client, PASSWORD).status_code == 429
    assert "_auth_user_id" not in client.session


def test_the_page_says_when_to_try_again(ada: User, settings: Settings) -> None:
    settings.LOGIN_RATE = 0.5
    fail(3)
    answer = sign_in(Client(), PASSWORD)
    assert "Try again in 2 minutes." in answer.text
    assert answer["Retry-After"] == "120"
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(("rate", "spoken"), [(60, "1 second"), (30, "2 seconds"), (1, "1 minute"), (0.9, "2 minutes")])
def test_it_says_so_in_words(rate: float, spoken: str, ada: User, settings: Settings) -> None:
    settings.LOGIN_LIMIT, settings.LOGIN_RATE = 1, rate
    fail(1)
    assert f"Try again in {spoken}." in sign_in(Client(), "wrong").text


def test_it_does_not_say_whether_there_is_such_an_account(ada: User) -> None:
    pages = []
    for number, email in enumerate((EMAIL, "nobody@demo.example")):
        assert fail(4, email, f"192.0.2.{number}") == [200, 200, 200, 429]
        pages.append(sign_in(Client(), PASSWORD, email, f"192.0.2.{number}").text)
    assert pages[0] == pages[1]


def test_a_right_password_costs_nothing(client: Client, ada: User) -> None:
    assert [sign_in(Client(), PASSWORD).status_code for _ in range(5)] == [302] * 5
    assert fail(4) == [200, 200, 200, 429]


def test_an_accounts_failures_count_from_wherever_they_come(ada: User) -> None:
    assert [fail(1, address=f"192.0.2.{number}") for number in range(4)] == [[200], [200], [200], [429]]


@pytest.mark.parametrize(
    "spelt", [" ada@demo.example ", "ADA@Demo.Example", "\N{FULLWIDTH LATIN SMALL LETTER A}da@demo.example"]
)
def test_in_whichever_way_it_is_spelt(spelt: str, ada: User) -> None:
    assert fail(3, address="192.0.2.1") == [200] * 3
    assert fail(1, spelt, "192.0.2.2") == [429]


def test_another_account_is_not_affected(client: Client, demo: Tenant, ada: User) -> None:
    factories.user(demo, email="bob@demo.example", password=PASSWORD)
    for number in range(4):
        fail(1, address=f"192.0.2.{number}")
    assert sign_in(client, PASSWORD, "bob@demo.example", "192.0.2.1").status_code == 302


def test_an_attempt_that_the_account_refuses_does_not_count_for_the_address(demo: Tenant, ada: User) -> None:
    for number in range(2, 5):
        fail(1, address=f"192.0.2.{number}")
    assert fail(10) == [429] * 10
    assert fail(4, "bob@demo.example") == [200, 200, 200, 429]


def test_attempts_come_back(ada: User, settings: Settings) -> None:
    settings.LOGIN_RATE = 60 * 1000
    assert fail(10) == [200] * 10


def test_nobody_can_lock_out_who_has_signed_in_before(client: Client, ada: User) -> None:
    sign_in(client, PASSWORD)
    client.post("/logout/")
    assert fail(4) == [200, 200, 200, 429]
    assert sign_in(client, PASSWORD).status_code == 302


def test_the_device_that_signed_in_before_has_no_more_attempts_than_others(client: Client, ada: User) -> None:
    sign_in(client, PASSWORD)
    assert [sign_in(client, "wrong").status_code for _ in range(5)] == [200, 200, 200, 429, 429]


def test_it_is_known_for_the_one_account_only(client: Client, demo: Tenant, ada: User) -> None:
    factories.user(demo, email="bob@demo.example", password=PASSWORD)
    sign_in(client, PASSWORD)
    assert fail(3, "bob@demo.example", "192.0.2.2") == [200] * 3
    assert sign_in(client, PASSWORD, "bob@demo.example").status_code == 429


def test_a_forged_device_is_none(client: Client, ada: User) -> None:
    assert fail(3) == [200] * 3
    client.cookies = SimpleCookie({DEVICE_COOKIE: "eyJhbGciOiJub25lIn0:1:forged"})
    assert sign_in(client, PASSWORD).status_code == 429


def test_the_device_cookie_is_for_the_login_page_alone(client: Client, ada: User, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = True
    cookie = sign_in(client, PASSWORD).cookies[DEVICE_COOKIE]
    assert (cookie["path"], cookie["samesite"], cookie["max-age"]) == ("/login/", "Lax", 180 * 86_400)
    assert cookie["httponly"]
    assert cookie["secure"]
    assert "ada" not in cookie.value


def test_who_is_signed_in_gets_no_device_for_another_account(client: Client, demo: Tenant, ada: User) -> None:
    factories.user(demo, email="bob@demo.example", password=PASSWORD)
    client.force_login(ada)
    form = {"username": "bob@demo.example", "password": "wrong"}
    answers = [sign_in(client, "wrong", "bob@demo.example"), client.post("/admin/login/", form)]
    assert [DEVICE_COOKIE in answer.cookies for answer in answers] == [False, False]


@pytest.mark.parametrize(
    ("status", "email", "known"), [(302, EMAIL, True), (302, "bob@demo.example", False), (200, EMAIL, False)]
)
def test_only_signing_in_to_the_account_makes_a_device_known(status: int, email: str, known: bool, ada: User) -> None:
    request = RequestFactory().post("/login/", {"username": email, "password": PASSWORD})
    request.user = ada
    request.drawn_to_sign_in = [Purse("somebody", Bucket("test", 1, 1))]  # type: ignore[attr-defined]
    answer = Strangers(lambda _request: HttpResponse(status=status))(request)
    assert (DEVICE_COOKIE in answer.cookies) == known


def test_who_is_signed_in_guesses_no_more_than_others(client: Client, demo: Tenant, ada: User) -> None:
    factories.user(demo, email="bob@demo.example", password=PASSWORD)
    sign_in(client, PASSWORD)
    answers = [sign_in(client, "wrong", "bob@demo.example").status_code for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429]


def test_the_admin_sites_login_page_checks_no_password(client: Client, hashed: list[str], ada: User) -> None:
    hashed.clear()
    form = {"username": EMAIL, "password": PASSWORD}
    answer = client.post("/admin/login/", form)
    assert answer.headers["Location"] == "/login/?next=/admin/"
    assert hashed == []
    assert "_auth_user_id" not in client.session
    assert DEVICE_COOKIE not in answer.cookies
    assert [client.post("/admin/login/", form).status_code for _ in range(5)] == [302] * 5


def test_what_is_no_attempt_does_not_count(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert [sign_in(strict, "wrong").status_code for _ in range(5)] == [403] * 5
    assert [sign_in(Client(), "").status_code for _ in range(5)] == [200] * 5
    assert [sign_in(Client(), "wrong", "").status_code for _ in range(5)] == [200] * 5
    assert [Client().get("/login/").status_code for _ in range(5)] == [200] * 5
    assert fail(4) == [200, 200, 200, 429]


def test_no_personal_data_lands_in_redis(ada: User, db: None) -> None:
    fail(1, address="192.0.2.77")
    ask(Client(), address="192.0.2.77")
    keys = b" ".join(get_redis_connection("default").keys("*limit:*")).decode()
    assert all(name in keys for name in ("login-address", "login-account", "unauthenticated"))
    assert EMAIL not in keys
    assert "192.0.2" not in keys


@pytest.fixture
def no_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise OSError("Redis is away.")

    monkeypatch.setattr("apps.throttle.script.ask", away)
    monkeypatch.setattr("apps.throttle.script.tell", away)
    monkeypatch.setattr("apps.throttle.limits.server", Server())


def test_without_redis_the_process_counts(no_redis: None, ada: User, client: Client) -> None:
    assert statuses(client, 4) == [401, 401, 401, 429]
    assert sign_in(client, PASSWORD).status_code == 302
    assert fail(4) == [200, 200, 200, 429]


def test_without_redis_nobody_gets_an_attempt_if_limits_are_to_fail_closed(
    no_redis: None, ada: User, client: Client, settings: Settings
) -> None:
    settings.LIMITS_FAIL_CLOSED = True
    with moves("rate_limit_hits_total") as moved:
        answer = ask(client)
    assert (answer.status_code, answer["Retry-After"]) == (429, "2")
    assert moved == {"rate_limit_hits_total redis-away": 1}
    answer = sign_in(client, PASSWORD)
    assert (answer.status_code, answer["Retry-After"]) == (429, "2")
