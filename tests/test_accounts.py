"""Signing in and out, and who may do what."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from concurrency.exceptions import RecordModifiedError
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import transaction
from django.db.models import F
from django.http import HttpResponse
from django.test import Client, override_settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from tests import factories

PASSWORD = "correct horse battery"
REFUSAL = "Unknown e-mail address or wrong password."


@pytest.fixture
def ada(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN, email="ada@demo.example", password=PASSWORD)


def sign_in(client: Client, email: str, password: str = PASSWORD, **fields: str) -> HttpResponse:
    return client.post("/login/", {"username": email, "password": password, **fields})  # type: ignore[return-value]


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


@pytest.mark.parametrize("email", ["ada@demo.example", "Ada@Demo.Example", " ADA@DEMO.EXAMPLE "])
def test_people_sign_in_by_e_mail_in_any_case(client: Client, ada: User, email: str) -> None:
    answer = sign_in(client, email)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/graphql")
    assert signed_in(client)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@demo.example", "wrong"),
        ("ada@demo.example", PASSWORD.upper()),
        ("nobody@demo.example", PASSWORD),
        ("gone@demo.example", PASSWORD),
        ("unset@demo.example", ""),
        ("unset@demo.example", "!"),
        ("", PASSWORD),
        ("ada@demo.example\0", PASSWORD),
        ("ada@demo.example' OR 1=1 --", PASSWORD),
        ("x" * 10_000, PASSWORD),
    ],
)
def test_others_do_not(client: Client, ada: User, email: str, password: str) -> None:
    factories.user(ada.tenant, email="gone@demo.example", password=PASSWORD, is_active=False)
    factories.user(ada.tenant, email="unset@demo.example")
    answer = sign_in(client, email, password)
    assert answer.status_code == 200
    assert not signed_in(client)


class CountingHasher(MD5PasswordHasher):
    """Count the passwords that are hashed: that is where the time of a login goes."""

    hashed: ClassVar[list[str]] = []

    def encode(self, password: str, salt: str) -> str:
        self.hashed.append(password)
        return super().encode(password, salt)


@pytest.fixture
def hashed() -> Iterator[list[str]]:
    with override_settings(PASSWORD_HASHERS=["tests.test_accounts.CountingHasher"]):
        yield CountingHasher.hashed


def test_an_unknown_address_a_wrong_password_and_a_deactivated_user_cannot_be_told_apart(
    client: Client, hashed: list[str], demo: Tenant
) -> None:
    factories.user(demo, email="ada@demo.example", password=PASSWORD)
    factories.user(demo, email="gone@demo.example", password=PASSWORD, is_active=False)
    pages = []
    for email in ("ada@demo.example", "nobody@demo.example", "gone@demo.example"):
        hashed.clear()
        given = "wrong" if email.startswith("ada") else PASSWORD
        page = sign_in(client, email, given).text
        assert REFUSAL in page
        assert hashed == [given]
        pages.append([line for line in page.replace(email, "").splitlines() if "csrfmiddlewaretoken" not in line])
    assert pages[0] == pages[1] == pages[2]


def test_signing_in_makes_a_new_session_and_takes_nothing_over_from_anothers(client: Client, ada: User) -> None:
    client.get("/login/")
    session = client.session
    session["planted"] = "by an attacker"
    session.save()
    planted = client.cookies["sessionid"] = session.session_key  # type: ignore[assignment]
    sign_in(client, ada.email)
    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_signing_out_takes_a_post_and_ends_the_session(client: Client, ada: User) -> None:
    sign_in(client, ada.email)
    assert client.get("/logout/").status_code == 405
    answer = client.post("/logout/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login/")
    assert not signed_in(client)


def test_deactivating_a_user_ends_what_they_are_signed_in_to(client: Client, ada: User) -> None:
    sign_in(client, ada.email)
    assert "You are signed in as" in client.get("/login/").text
    factories.force(User.unscoped.filter(pk=ada.pk), is_active=False)
    assert "You are signed in as" not in client.get("/login/").text
    assert client.get("/admin/").status_code == 302


def test_a_new_password_ends_the_other_sessions(client: Client, ada: User) -> None:
    sign_in(client, ada.email)
    ada.refresh_from_db(from_queryset=User.unscoped.all())
    ada.set_password("another one entirely")
    ada.save()
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_signing_in_leads_to_no_other_site(client: Client, ada: User, target: str) -> None:
    assert sign_in(client, ada.email, next=target).headers["Location"] == "/graphql"


def test_signing_in_needs_the_csrf_token(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert sign_in(strict, ada.email).status_code == 403
    assert not signed_in(strict)


def test_the_page_says_who_is_signed_in_and_offers_to_leave(client: Client, ada: User) -> None:
    assert "signed in as" not in client.get("/login/").text
    sign_in(client, ada.email)
    page = client.get("/login/").text
    assert "You are signed in as ada@demo.example." in page
    assert 'action="/logout/"' in page


def test_the_page_needs_nothing_from_elsewhere_and_forbids_all_inline_code(client: Client, db: None) -> None:
    answer = client.get("/login/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    for forbidden in ("<style", "<script", "style=", "onclick", "http://", "https://"):
        assert forbidden not in answer.text
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"]


def test_logging_in_is_no_change_of_the_user(client: Client, ada: User) -> None:
    sign_in(client, ada.email)
    row = User.unscoped.get(pk=ada.pk)
    assert row.last_login is not None
    assert (row.version, row.updated_at) == (ada.version, ada.updated_at)


class MeddlingHasher(MD5PasswordHasher):
    """Let somebody edit every user while a password is being checked."""

    def verify(self, password: str, encoded: str) -> bool:
        factories.force(User.unscoped.all(), name="Edited", version=F("version") + 1)
        return super().verify(password, encoded)


def test_an_edit_at_the_same_moment_stops_nobody_from_logging_in(client: Client, ada: User) -> None:
    with override_settings(PASSWORD_HASHERS=["tests.test_accounts.MeddlingHasher"]):
        assert sign_in(client, ada.email).status_code == 302
    row = User.unscoped.get(pk=ada.pk)
    assert (row.name, row.version) == ("Edited", ada.version + 1)
    assert row.last_login is not None


def test_a_user_edited_twice_from_one_state_is_saved_once(ada: User) -> None:
    first, second = User.unscoped.get(pk=ada.pk), User.unscoped.get(pk=ada.pk)
    first.name = "Ada First"
    first.save()
    second.name = "Ada Second"
    with pytest.raises(RecordModifiedError), transaction.atomic():
        second.save()
    row = User.unscoped.get(pk=ada.pk)
    assert (row.name, row.version) == ("Ada First", 2)


def test_an_operator_is_made_by_djangos_command(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command(
        "createsuperuser", interactive=False, email="Root@demo.example", name="Root", tenant=demo.pk, verbosity=0
    )
    root = User.objects.get_by_natural_key("root@demo.example")
    assert (root.is_superuser, root.role, root.tenant, root.is_staff) == (True, Role.ADMIN, demo, True)
    assert root.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("role", "below"),
    [
        (Role.VIEWER, {Role.VIEWER}),
        (Role.TECHNICIAN, {Role.VIEWER, Role.TECHNICIAN}),
        (Role.SUPERVISOR, {Role.VIEWER, Role.TECHNICIAN, Role.SUPERVISOR}),
        (Role.ADMIN, set(Role)),
    ],
)
def test_each_role_includes_the_ones_before_it(role: Role, below: set[Role]) -> None:
    assert {other for other in Role if role.includes(other)} == below
