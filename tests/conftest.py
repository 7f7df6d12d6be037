"""What every test can ask for."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import Client, override_settings
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tokens import issue_token
from tests import factories
from tests.rest import Script

UNMEASURED = {
    "test_attacks",
    "test_attacks_http",
    "test_attacks_values",
    "test_backups",
    "test_clients",
    "test_compiled_reads",
    "test_cost_properties",
    "test_import_work_orders",
    "test_pagination",
    "test_seed_demo",
}
"""Modules that take long, twice as long under coverage, and reach nothing of what CI wants whole that others don't."""

Answer = dict[str, Any]
Ask = Callable[..., Answer]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Measure no coverage where that is of no use."""
    if item.path.stem in UNMEASURED:
        item.add_marker("no_cover")


@pytest.fixture(autouse=True, scope="session")
def fast_passwords() -> Iterator[None]:
    """Hash passwords in no time; production's hasher takes a good part of a second, on purpose."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def own_keys() -> Iterator[None]:
    """Give each process that tests keys of its own: they share one Valkey, and their databases count alike."""
    default = {**settings.CACHES["default"], "KEY_PREFIX": f"workgraph-{uuid4().hex[:12]}"}
    with override_settings(CACHES={**settings.CACHES, "default": default}):
        yield


@pytest.fixture(autouse=True, scope="session")
def patient_doors() -> Iterator[None]:
    """Let all tests fail to sign in as often as they like: they share one address."""
    with override_settings(LOGIN_LIMIT=10_000, STRANGER_LIMIT=10_000):
        yield


@pytest.fixture(autouse=True, scope="session")
def compiled_at_once() -> Iterator[None]:
    """Compile what can be compiled when it is first asked for: a test asks once."""
    with override_settings(COMPILE_AFTER=0):
        yield


@pytest.fixture(autouse=True, scope="session")
def no_audit_log() -> Iterator[None]:
    """Keep the tests' changes out of the audit log; tests of the log make one of their own."""
    logger = logging.getLogger("workgraph.audit")
    handlers, logger.handlers = logger.handlers, []
    yield
    logger.handlers = handlers


@pytest.fixture(autouse=True, scope="session")
def emptied_between_tests() -> Iterator[None]:
    """Let tests that commit empty the audit trail afterwards, which its trigger refuses to everybody else."""
    flush = DatabaseOperations.sql_flush

    def with_leave(*args: Any, **options: Any) -> list[str]:
        return ["SET LOCAL workgraph.audit_retention = 'on'", *flush(*args, **options)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", with_leave)
        yield


@pytest.fixture
def without_cost_limit(settings: Settings) -> None:
    """Let an operation cost and nest what it likes, where more is looked at than clients may ask for."""
    settings.ENABLE_COST_LIMIT, settings.MAX_DEPTH = False, 30


@pytest.fixture
def demo(db: None) -> Tenant:
    """Return the tenant that most tests work in."""
    return factories.tenant()


@pytest.fixture
def rival(db: None) -> Tenant:
    """Return another tenant, which must see nothing of the first."""
    return factories.tenant()


@pytest.fixture
def technician(demo: Tenant) -> User:
    """Return a technician of the demo tenant."""
    return factories.user(demo, Role.TECHNICIAN)


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.SUPERVISOR)


@pytest.fixture
def script(boss: User) -> Script:
    """Return a client of the REST API."""
    return Script(boss)


@pytest.fixture
def ask(client: Client) -> Ask:
    """Return a function that sends a document over HTTP as a user and returns the parsed answer."""

    def send(user: User, document: str, **variables: Any) -> Answer:
        token, _ = issue_token(user=user)
        body = {"query": document, "variables": variables}
        answer = client.post(
            "/graphql", json.dumps(body), content_type="application/json", headers={"Authorization": f"Bearer {token}"}
        )
        parsed: Answer = answer.json()
        return parsed

    return send
