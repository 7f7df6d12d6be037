"""API tokens: issued, used, revoked; found in no table and no log."""

import io
import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from freezegun import freeze_time

from apps.accounts.models import ApiToken, Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import LENGTH, PREFIX, digest, find_token, issue_token, note_use, revoke_token
from tests import factories

WHO = '{"query": "{ me { email } }"}'
Answer = tuple[int, str | None]


@pytest.fixture
def call(client: Client) -> Callable[[str], Answer]:
    """Return a function that asks who we are with this Authorization header, and returns the status and the e-mail."""

    def send(authorization: str) -> Answer:
        answer = client.post("/graphql", WHO, content_type="application/json", headers={"Authorization": authorization})
        body = answer.json()
        return answer.status_code, body["data"]["me"]["email"] if "data" in body else None

    return send


def test_a_token_acts_for_its_user(call: Callable[[str], Answer], technician: User) -> None:
    token, _ = issue_token(user=technician)
    assert call(f"Bearer {token}") == (200, technician.email)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_in_any_case(call: Callable[[str], Answer], technician: User, scheme: str) -> None:
    token, _ = issue_token(user=technician)
    assert call(f"{scheme} {token}") == (200, technician.email)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer wg_unknown",
        "Bearer " + PREFIX + "x" * (LENGTH - len(PREFIX)),
        "Bearer wg_\x00" + "x" * (LENGTH - len(PREFIX) - 1),
        "Bearer wg_é" + "x" * (LENGTH - len(PREFIX) - 1),
        "Bearer " + "x" * 100_000,
        "Bearer wg_" + "x" * 100_000,
        "{token}",
        "Token {token}",
        "Bearer {token}x",
        "Bearer x{token}",
        "Bearer {token} {token}",
        "Bearer {digest}",
    ],
)
def test_any_other_authorization_is_refused_the_same_way(client: Client, technician: User, header: str) -> None:
    token, _ = issue_token(user=technician)
    sent = header.format(token=token, digest=digest(token))
    answer = client.post("/graphql", WHO, content_type="application/json", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert "data" not in answer.json()
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_a_bad_token_is_not_made_good_by_a_session(client: Client, technician: User) -> None:
    client.force_login(technician)
    answer = client.post("/graphql", WHO, content_type="application/json", headers={"Authorization": "Bearer wg_x"})
    assert answer.status_code == 401


def test_a_token_lives_until_its_last_moment(technician: User) -> None:
    with freeze_time("2026-11-02 12:00:00"):
        token, _ = issue_token(user=technician, lifetime=timedelta(days=2))
    with freeze_time("2026-11-04 11:59:59"):
        assert find_token(token) is not None
    with freeze_time("2026-11-04 12:00:00"):
        assert find_token(token) is None


def test_a_revoked_token_is_refused_and_keeps_the_time_of_its_first_revocation(technician: User) -> None:
    text, token = issue_token(user=technician)
    revoke_token(token)
    first = token.revoked_at
    revoke_token(token)
    assert find_token(text) is None
    token = ApiToken.unscoped.get(pk=token.pk)
    assert (token.revoked_at, token.version) == (first, 2)


def test_a_token_of_an_inactive_user_is_refused_until_they_are_active_again(technician: User) -> None:
    token, _ = issue_token(user=technician)
    factories.force(User.unscoped.filter(pk=technician.pk), is_active=False)
    assert find_token(token) is None
    factories.force(User.unscoped.filter(pk=technician.pk), is_active=True)
    assert find_token(token) is not None


def test_two_tokens_of_one_user_differ_and_end_separately(technician: User) -> None:
    (first, row), (second, _) = issue_token(user=technician), issue_token(user=technician)
    revoke_token(row)
    assert first != second
    assert find_token(first) is None
    assert find_token(second) is not None


def test_the_text_lies_in_no_table_and_in_no_log(
    call: Callable[[str], Answer], technician: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        token, row = issue_token(user=technician)
        call(f"Bearer {token}")
        call(f"Bearer {token}x")
    assert row.digest != token
    assert token not in caplog.text.replace(" ", "")
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE position(%s in t::text) > 0', [token])  # noqa: S608
            assert cursor.fetchone() == (0,), table


def test_a_used_token_costs_one_statement_and_a_write_only_every_five_minutes(
    call: Callable[[str], Answer], technician: User
) -> None:
    token, row = issue_token(user=technician)
    statements = []
    with freeze_time("2026-11-02 12:00:00") as clock:
        factories.force(ApiToken.unscoped.filter(pk=row.pk), expires_at=timezone.now() + timedelta(days=1))
        for seconds in (0, 1, 299, 1, 1):
            clock.tick(seconds)
            with CaptureQueriesContext(connection) as sent:
                call(f"Bearer {token}")
            statements.append([query["sql"].split()[0] for query in sent])
    reads, writes = ["SELECT"], ["SELECT", "UPDATE"]
    assert statements == [writes, reads, reads, writes, reads]
    row.refresh_from_db(from_queryset=ApiToken.unscoped.all())
    assert row.last_used_at is not None
    assert f"{row.last_used_at:%H:%M:%S}" == "12:05:01"


def test_use_is_no_change_of_the_record(technician: User) -> None:
    text, row = issue_token(user=technician)
    found = find_token(text)
    assert found is not None
    note_use(found)
    assert ApiToken.unscoped.get(pk=row.pk).version == 1


def issued(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("issue_token", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_prints_the_token_alone(technician: User) -> None:
    out, err = issued(technician.email.upper(), "--days", "2", "--name", "crane")
    token = factories.stored_token(out.removesuffix("\n"))
    assert (token.user, token.name) == (technician, "crane")
    assert abs(token.expires_at - timezone.now() - timedelta(days=2)) < timedelta(minutes=1)
    assert technician.email in err
    assert out.strip() not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody@example.org",), "There is no user with the e-mail address 'nobody@example.org'."),
        (("",), "There is no user with the e-mail address ''."),
        (("off@example.org",), "off@example.org is not active; activate the user first."),
        (("off@example.org", "--days", "0"), "--days is 0; choose 1 to 3650."),
        (("off@example.org", "--days", "99999999999"), "--days is 99999999999; choose 1 to 3650."),
    ],
)
def test_the_command_says_in_a_line_why_it_issues_nothing(
    demo: Tenant, arguments: tuple[str, ...], message: str
) -> None:
    factories.user(demo, Role.TECHNICIAN, email="off@example.org", is_active=False)
    with pytest.raises(CommandError) as refusal:
        issued(*arguments)
    assert str(refusal.value) == message
    assert ApiToken.unscoped.count() == 0
