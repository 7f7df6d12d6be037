"""GraphiQL in a real browser: Debian's package `chromium`, driven by Playwright."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Never

import pytest
from django.conf import settings as project_settings
from django.test import Client, RequestFactory
from playwright.sync_api import ConsoleMessage, Page, Request, expect, sync_playwright
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import Tenant, User
from apps.accounts.tokens import issue_token
from schema.graphiql import example_operations, graphiql_response
from tests import factories

IDE = project_settings.BASE_DIR / "ide"
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
)
PATIENCE = 30_000


@dataclass
class Visit:
    """A page, with what its console complained of and what it asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def note(self, request: Request) -> None:
        self.requests.append(request)

    def run(self, tab: str) -> None:
        self.page.locator(".graphiql-tab-button", has_text=re.compile(f"^{tab}$")).click()
        expect(self.page.locator(".graphiql-query-editor .view-lines")).to_contain_text(
            f"query {tab}".replace(" ", "\xa0")
        )
        self.page.locator(".graphiql-execute-button").click()

    def expect_answer(self, text: str) -> None:
        expect(self.page.locator(".graphiql-response .view-lines")).to_contain_text(text, timeout=PATIENCE)

    def operations_sent(self, name: str) -> list[Request]:
        asked = f'"operationName":"{name}"'
        return [request for request in self.requests if asked in (request.post_data or "")]


def unavailable(reason: str) -> Never:
    """Skip, or fail where a browser is required."""
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> str:
    return shutil.which("chromium") or unavailable("Debian's package `chromium` is not installed")


@pytest.fixture(scope="session")
def bundle() -> None:
    build = subprocess.run([sys.executable, IDE / "build.py"], capture_output=True, text=True, check=False)  # noqa: S603
    if build.returncode:
        unavailable(build.stderr.strip())


@pytest.fixture
def graphiql(bundle: None, settings: Settings) -> None:
    settings.STATICFILES_DIRS = [("graphiql", IDE / "dist")]
    settings.GRAPHIQL = settings.INTROSPECTION = True
    settings.GRAPHIQL_TOKEN = ""


@contextmanager
def visit(executable: str, url: str, cookies: list[dict[str, str]] | None = None) -> Iterator[Visit]:
    """Open a page in a fresh profile; no ORM inside, as Playwright runs an event loop in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        context: Any = browser.new_context()
        context.add_cookies(cookies or [])
        page = context.new_page()
        visited = Visit(page)
        page.on("console", visited.hear)
        page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        page.on("request", visited.note)
        page.goto(url)
        expect(page.locator(".graphiql-query-editor .view-line").first).to_be_visible(timeout=PATIENCE)
        yield visited
        browser.close()


def test_a_token_in_the_page_runs_an_example_and_nothing_leaves_the_origin(
    chromium: str,
    graphiql: None,
    demo: Tenant,
    technician: User,
    live_server: LiveServer,
    settings: Settings,
) -> None:
    number = factories.work_order(demo).number
    token, _ = issue_token(user=technician)
    settings.GRAPHIQL_TOKEN = token

    with visit(chromium, f"{live_server.url}/graphql") as visited:
        visited.run("NextPage")
        visited.expect_answer(number)
        visited.page.wait_for_timeout(1_000)  # GraphiQL writes its tabs to the storage with half a second's delay
        stored = visited.page.evaluate("JSON.stringify(localStorage)")
        title = visited.page.title()

    assert visited.complaints == []
    assert [request.url for request in visited.requests if not is_local(request.url, live_server)] == []
    assert visited.operations_sent("NextPage")[0].headers["authorization"] == f"Bearer {token}"
    assert title == "Workgraph GraphiQL"
    assert "NextPage" in stored
    assert token not in stored


def test_a_session_is_enough_and_the_csrf_token_goes_along(
    chromium: str, graphiql: None, demo: Tenant, technician: User, live_server: LiveServer
) -> None:
    number = factories.work_order(demo).number

    with visit(chromium, f"{live_server.url}/graphql", session_cookies(technician, live_server)) as visited:
        visited.run("NextPage")
        visited.expect_answer(number)
        sent = visited.operations_sent("NextPage")[0]
        assert len(sent.headers["x-csrftoken"]) == 64
        assert "authorization" not in sent.headers
        assert visited.page.get_by_role("link", name="Sign in").count() == 0

    assert visited.complaints == []


def test_the_schema_completes_what_is_typed(
    chromium: str, graphiql: None, technician: User, live_server: LiveServer, settings: Settings
) -> None:
    settings.GRAPHIQL_TOKEN, _ = issue_token(user=technician)

    with visit(chromium, f"{live_server.url}/graphql") as visited:
        expect(visited.page.locator(".graphiql-spinner")).to_have_count(0, timeout=PATIENCE)
        visited.page.get_by_label("New tab").click()
        visited.page.locator(".graphiql-query-editor .view-lines").click()
        visited.page.keyboard.type("{ workOrd")
        suggestion = visited.page.locator(".suggest-widget .monaco-list-row").first
        expect(suggestion).to_contain_text("workOrders", timeout=PATIENCE)

    assert visited.complaints == []


def test_a_stranger_is_shown_where_to_sign_in(rf: RequestFactory) -> None:
    page = graphiql_response(rf.get("/graphql"), token="").content.decode()

    assert '<a href="/login/?next=/graphql">Sign in</a>' in page


def test_the_page_is_not_stored_and_its_nonce_is_used_once(rf: RequestFactory) -> None:
    first, second = (graphiql_response(rf.get("/graphql"), token="") for _ in range(2))

    assert first["Cache-Control"] == "no-store"
    nonces = [re.findall(r"'nonce-([^']+)'", page["Content-Security-Policy"]) for page in (first, second)]
    assert nonces[0] != nonces[1]
    assert f'nonce="{nonces[0][0]}"' in first.content.decode()


def test_the_page_data_cannot_break_out_of_its_script_element(rf: RequestFactory) -> None:
    page = graphiql_response(rf.get("/graphql"), token="</script><script>alert(1)</script>").content.decode()

    assert "</script><script>alert" not in page
    data = page.split('<script id="graphiql-page" type="application/json">')[1].split("</script>")[0]
    assert json.loads(data)["token"] == "</script><script>alert(1)</script>"


def test_the_first_example_needs_no_variables() -> None:
    """GraphiQL 5 loses the variables of its first tab when it opens for the first time."""
    assert example_operations()[0].variables is None


def is_local(url: str, server: LiveServer) -> bool:
    return url.startswith((f"{server.url}/", "data:"))


def session_cookies(user: User, server: LiveServer) -> list[dict[str, str]]:
    client = Client()
    client.force_login(user)
    cookie = client.cookies[project_settings.SESSION_COOKIE_NAME]
    return [{"name": cookie.key, "value": cookie.value, "url": server.url}]
