"""The log of operations that ran for long: once each, with what an operator needs and without what people wrote."""

import json
import logging
import time
from collections.abc import Iterator
from hashlib import sha256
from io import StringIO
from typing import Any, Final

import pytest
from django.conf import settings as configured
from django.db import connection
from django.utils.module_loading import import_string
from pytest_django import Settings

from apps.accounts.deadline import Deadline
from apps.accounts.models import Tenant, User
from apps.accounts.origin import AuditSource, Origin, origin_scope
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from schema.busy import Busy
from schema.operation import answer_all
from schema.preparing import Asked
from tests import factories
from tests.graphql import data, execute

SITES: Final = "query Sites($code: String) { sites(filters: {code: {exact: $code}}) { edges { node { id code } } } }"


class Keeping(logging.Handler):
    """Keeps what the log is told."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


@pytest.fixture
def slow_database() -> Iterator[None]:
    """Let each statement take a tenth of a second longer."""

    def late(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        connection.connection.execute("SELECT pg_sleep(0.1)")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(late):
        yield


@pytest.fixture
def told() -> Iterator[list[logging.LogRecord]]:
    """Return what the log is told."""
    records: list[logging.LogRecord] = []
    handler = Keeping(records)
    logging.getLogger("schema.slow").addHandler(handler)
    yield records
    logging.getLogger("schema.slow").removeHandler(handler)


def test_a_slow_operation_is_logged_once_with_what_it_was(
    boss: User, settings: Settings, slow_database: None, told: list[logging.LogRecord]
) -> None:
    settings.SLOW_OPERATION_SECONDS = 0.05
    data(boss, SITES, code="secret-code")
    (record,) = told
    fields = record.__dict__
    assert (record.name, record.levelname) == ("schema.slow", "WARNING")
    assert (fields["operation"], fields["document"]) == ("Sites", sha256(SITES.encode()).hexdigest())
    assert (fields["actor"], fields["tenant"]) == (boss.pk, boss.tenant_id)
    assert 0.1 <= fields["seconds"] < 10
    assert 0 <= fields["cpu_seconds"] < fields["seconds"]
    assert fields["requested"] > fields["actual"] > 0
    assert fields["stopped"] is False
    assert "Slow operation Sites: 0." in record.getMessage()
    assert "secret-code" not in json.dumps(fields, default=str) + record.getMessage()


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_quick_one_is_not_and_0_logs_none(
    seconds: float, boss: User, settings: Settings, slow_database: None, told: list[logging.LogRecord]
) -> None:
    settings.SLOW_OPERATION_SECONDS = seconds
    data(boss, SITES)
    assert told == []


@pytest.mark.parametrize("compiled", [True, False])
def test_each_slow_operation_of_a_batch_has_its_line(
    compiled: bool, boss: User, settings: Settings, slow_database: None, told: list[logging.LogRecord]
) -> None:
    settings.SLOW_OPERATION_SECONDS, settings.COMPILED_READS = 0.05, compiled
    with tenant_scope(boss.tenant_id):
        answer_all(boss, [Asked(SITES), Asked("{ __typename }"), Asked("{ sites { totalCount } }")], Busy())
    assert [record.__dict__["operation"] for record in told] == ["Sites", "without a name"]


def test_an_operation_that_fails_is_logged_too(
    boss: User, settings: Settings, slow_database: None, told: list[logging.LogRecord]
) -> None:
    settings.SLOW_OPERATION_SECONDS = 0.05
    document = 'mutation { updateSite(input: {id: "U2l0ZTo5OTk5", version: 1, name: "x"}) { __typename } }'
    data(boss, document)
    assert [record.name for record in told] == ["schema.slow"]


@pytest.mark.parametrize("seconds", [0, 0.05, 60])
def test_an_operation_that_is_stopped_for_lack_of_time_is_logged_once_however_slow_it_was(
    seconds: float, boss: User, settings: Settings, told: list[logging.LogRecord]
) -> None:
    def late(execute: Any, *statement: Any) -> Any:
        time.sleep(0.1)
        return execute(*statement)

    settings.SLOW_OPERATION_SECONDS = seconds
    with connection.execute_wrapper(late), Deadline(0.05):
        answer = execute(boss, 'query Late { a: node(id: "U2l0ZTox") { id } b: node(id: "QXNzZXQ6MQ==") { id } }')
    assert [(error.extensions or {})["code"] for error in answer.errors] == ["QUERY_TOO_COMPLEX"] * 2
    (record,) = told
    assert (record.levelname, record.__dict__["operation"], record.__dict__["stopped"]) == ("WARNING", "Late", True)
    assert record.getMessage().startswith("Stopped operation Late: ")


def test_as_json_it_has_its_fields_and_the_correlation_id(boss: User, settings: Settings, slow_database: None) -> None:
    settings.SLOW_OPERATION_SECONDS = 0.05
    logged: Any = configured.LOGGING
    wanted, out = logged["formatters"]["json"], StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(import_string(wanted["()"])(wanted["format"], style=wanted["style"]))
    handler.addFilter(import_string(logged["filters"]["correlation"]["()"])())
    logger = logging.getLogger("schema.slow")
    logger.addHandler(handler)
    try:
        with origin_scope(Origin(AuditSource.GRAPHQL, correlation_id="from-the-client-1")):
            data(boss, SITES, code="secret-code")
    finally:
        logger.removeHandler(handler)
    line = json.loads(out.getvalue())
    assert (line["correlation_id"], line["operation"], line["actor"]) == ("from-the-client-1", "Sites", boss.pk)
    assert "secret-code" not in out.getvalue()
