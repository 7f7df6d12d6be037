"""How an operation is answered, as `manage.py explain_operation` tells it."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.work_orders.models import WorkOrder
from schema import budget
from schema.compiler import plans
from schema.compiler.metrics import COMPILED, READS
from schema.compiler.statement import Statement
from schema.errors import BadRequestError
from schema.reads.global_id import encode_id
from schema.statements import Sent
from tests import factories

ORDERS = "query Orders($n: Int) { workOrders(first: $n) { edges { node { id title asset { code } } } } }"
SEARCH = '{ search(query: "pump") { edges { node { __typename ... on WorkOrder { title } } } } }'
CREATE = 'mutation { createSite(input: {code: "NEW", name: "New"}) { __typename ... on Site { id } } }'


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Return where the document of a test is written."""
    return tmp_path / "query.graphql"


def explained(document: Path, text: str, user: User | str, *about: str, **variables: Any) -> str:
    """Return what the command prints."""
    document.write_text(text)
    email = user if isinstance(user, str) else user.email
    printed = StringIO()
    given = ["--variables", json.dumps(variables)] if variables else []
    call_command("explain_operation", str(document), "--user", email, *given, *about, stdout=printed)
    return printed.getvalue()


def refused(document: Path, text: str, user: User | str, *about: str, **variables: Any) -> str:
    """Return why the command fails."""
    with pytest.raises(CommandError) as failed:
        explained(document, text, user, *about, **variables)
    assert failed.value.returncode == 1
    return str(failed.value)


def test_a_list_is_compiled_and_its_statement_and_price_are_told(
    document: Path, demo: Tenant, technician: User
) -> None:
    for _ in range(2):
        factories.work_order(demo)
    told = explained(document, ORDERS, technician, n=5)
    assert told.startswith(f"query Orders, for {technician.email} (TECHNICIAN of {demo.slug})\n")
    assert "\nFields\n  workOrders: compiled\n" in told
    assert "\nStatements: 1\n  1. workOrders, 1 value bound\n     SELECT t0.c0" in told
    assert re.search(r"\n +FROM \(.*\n.*\n? +WHERE .*\"tenant_id\" = \$1", told)
    assert "\n  requested 12, actual 6\n" in told
    assert "%s" not in told


def test_each_statement_stands_by_the_field_that_sends_it(document: Path, demo: Tenant, technician: User) -> None:
    factories.task(demo, work_order=factories.work_order(demo))
    nested = "workOrders { edges { node { tasks(first: 1) { edges { node { title } } } } } }"
    told = explained(document, f"{{ me {{ name }} {nested} people {{ totalCount }} }}", technician)
    assert re.findall(r"^  (\d)\. (\w+), ", told, re.MULTILINE) == [
        ("1", "workOrders"),
        ("2", "workOrders"),
        ("3", "people"),
    ]
    assert "  me: compiled\n  workOrders: compiled\n  people: compiled\n" in told


def test_what_is_left_to_the_executor_says_why_and_what_it_takes_with_it(
    document: Path, demo: Tenant, technician: User
) -> None:
    factories.work_order(demo, title="Pump")
    told = explained(document, SEARCH.replace("{ search", "{ me { id } search", 1), technician)
    assert "  me: compiled\n  search: left to the executor (resolver: search): it has a resolver " in told
    assert "    the nodes in it: compiled\n  The executor answers all of them, because of search.\n" in told
    statements = re.findall(r"^  \d+\. (.*)$", told, re.MULTILINE)
    assert statements
    assert all(re.fullmatch(r"\d+ values? bound", each) for each in statements)
    assert "%s" not in told
    assert "%(" not in told
    assert "\n     FROM search_document\n     WHERE tenant_id = $1 AND pending\n" in told


def test_nodes_in_a_search_are_read_by_a_plan_however_often_a_document_has_to_come_first(
    document: Path, demo: Tenant, technician: User, settings: Settings
) -> None:
    factories.work_order(demo, title="Pump")
    settings.COMPILE_AFTER = 3
    assert "SELECT t0.c0" in explained(document, SEARCH, technician)
    assert "  workOrders: compiled\n" in explained(document, ORDERS, technician)
    assert settings.COMPILE_AFTER == 3


def test_arguments_that_make_no_sense_are_told_as_the_client_reads_it(document: Path, technician: User) -> None:
    told = explained(document, ORDERS, technician, n=101)
    assert (
        "  workOrders: left to the executor (input): its arguments make no sense, or nothing can match them\n" in told
    )
    assert "\nErrors, as the client reads them\n  A page has " in told
    cursor = explained(document, '{ workOrders(after: "x") { totalCount } }', technician)
    assert "  workOrders: left to the executor (input: " in cursor
    node = explained(document, f'{{ node(id: "{encode_id("Nothing", 1)}") {{ id }} }}', technician)
    assert "  node: left to the executor (input: " in node


def test_introspection_is_left_to_the_executor(document: Path, technician: User) -> None:
    told = explained(document, "{ __schema { queryType { name } } }", technician)
    assert "  __schema: left to the executor (introspection): the schema is asked about itself" in told
    assert "\nStatements: 0\n" in told


def test_a_mutation_is_not_run(document: Path, demo: Tenant) -> None:
    admin = factories.user(demo, Role.ADMIN)
    with CaptureQueriesContext(connection) as captured:
        told = explained(document, CREATE, admin)
    assert "  createSite: left to the executor (mutation): a mutation is executed, never compiled\n" in told
    assert "    the nodes in it: compiled\n" in told
    assert "\nStatements: none were sent, for a mutation is not run to be explained\n" in told
    assert re.search(r"\n  requested \d+, actual not known before it runs\n", told)
    assert not [query["sql"] for query in captured.captured_queries if "site" in query["sql"]]
    bulk = "mutation { bulkTransitionTasks(input: {action: START, items: []}) { __typename } }"
    assert "the nodes in it" not in explained(document, bulk, admin)


@pytest.mark.parametrize(
    ("text", "about", "why"),
    [
        ("{ nothing }", [], "Cannot query field 'nothing' on type 'Query'. (line 1)"),
        ("{ me { id }", [], "Syntax Error: Expected Name, found <EOF>. (line 1)"),
        ("{ me { id } } ", ["--operation", "A"], "Unknown operation named 'A'."),
        ("query A { me { id } } query B { me { id } }", [], "Must provide operation name if query contains multiple"),
        (ORDERS, ["--variables", '{"n": "x"}'], "Variable '$n' has invalid value"),
        (ORDERS, ["--variables", '{"n": '], "--variables is no JSON: "),
        (ORDERS, ["--variables", "[1]"], "--variables must be a JSON object"),
        (ORDERS, ["--variables", "@nowhere.json"], "nowhere.json can't be read: No such file or directory."),
    ],
)
def test_what_can_not_run_is_an_error_in_words(
    document: Path, technician: User, text: str, about: list[str], why: str
) -> None:
    assert refused(document, text, technician, *about).startswith(why)


def test_a_price_beyond_the_limit_is_refused_as_the_server_does(
    document: Path, technician: User, settings: Settings
) -> None:
    settings.COST_LIMIT = 3
    assert refused(document, ORDERS, technician, n=5).startswith("This operation costs 12 points; one may cost 3.")


def test_nobody_and_no_file_are_errors(document: Path, demo: Tenant) -> None:
    assert refused(document, ORDERS, "nobody@example.com").startswith("There is no user with the e-mail address")
    idle = factories.user(demo, is_active=False)
    assert "is not active" in refused(document, ORDERS, idle)
    with pytest.raises(CommandError, match=r"nowhere\.graphql can't be read: No such file"):
        call_command("explain_operation", "nowhere.graphql", "--user", idle.email)
    document.write_bytes(b"\xff")
    with pytest.raises(CommandError, match="can't be read: it is not UTF-8"):
        call_command("explain_operation", str(document), "--user", idle.email)


def test_document_and_variables_can_come_from_elsewhere(
    document: Path, tmp_path: Path, technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, printed = tmp_path / "values.json", StringIO()
    values.write_text('{"n": 7}')
    monkeypatch.setattr("sys.stdin", StringIO("query A { me { id } } " + ORDERS))
    about = ["--operation", "Orders", "--variables", f"@{values}", "--user", technician.email]
    call_command("explain_operation", "-", *about, stdout=printed)
    assert "\n  requested 16, actual 2\n" in printed.getvalue()


def test_a_user_sees_their_tenant_only(document: Path, demo: Tenant, rival: Tenant, technician: User) -> None:
    foreign = [encode_id("WorkOrder", factories.work_order(rival).pk) for _ in range(2)]
    factories.work_order(demo)
    assert ", actual 4\n" in explained(document, ORDERS, technician)
    assert ", actual 6\n" in explained(document, ORDERS, factories.user(rival))
    nodes = f"{{ nodes(ids: {json.dumps(foreign)}) {{ id }} }}"
    told = explained(document, nodes, technician, "--analyze")
    assert "  nodes: compiled\n" in told
    assert re.search(r"actual time=\S+ rows=0", told)
    assert re.search(r"actual time=\S+ rows=2", explained(document, nodes, factories.user(rival), "--analyze"))


@pytest.mark.parametrize("text", [ORDERS, SEARCH])
def test_without_compiled_reads_the_executor_answers(
    document: Path, demo: Tenant, technician: User, settings: Settings, text: str
) -> None:
    factories.work_order(demo, title="Pump")
    settings.COMPILED_READS = False
    told = explained(document, text, technician, "--analyze")
    assert ": left to the executor (off): COMPILED_READS is off, so the executor answers everything\n" in told
    assert '     SELECT "work_orders_workorder"."id"' in told
    assert "the nodes in it" not in told
    assert "SELECT t0.c0" not in told
    assert "%s" not in told
    assert "Execution Time" in told


def test_postgresql_tells_what_a_statement_took(document: Path, demo: Tenant, technician: User) -> None:
    for _ in range(3):
        factories.work_order(demo)
    filtered = '{ workOrders(filters: {title: {iContains: "PUMP"}}) { totalCount edges { node { title } } } }'
    told = explained(document, filtered, technician, "--analyze")
    assert "\nStatements: 1\n" in told
    assert re.search(r"\n   \|  .*actual time=\S+ rows=3", told)
    assert "\n   |  Execution Time: " in told
    assert "|" not in explained(document, filtered, technician).replace("||", "")


def test_nothing_is_drawn_counted_kept_or_changed(
    document: Path, demo: Tenant, technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "take", None)
    before, kept = READS.labels(COMPILED)._value.get(), len(plans._plans)
    explained(document, ORDERS, technician)
    assert READS.labels(COMPILED)._value.get() == before
    assert len(plans._plans) == kept
    factories.work_order(demo)  # the transaction can write again
    assert WorkOrder.unscoped.filter(tenant=demo).count() == 1


def test_a_fault_of_what_was_compiled_is_told_and_the_executor_answers(
    document: Path, demo: Tenant, technician: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.work_order(demo)

    def broken(*_: object) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        return []

    monkeypatch.setattr(Statement, "run", broken)
    told = explained(document, ORDERS, technician)
    assert "  workOrders: left to the executor (database: division by zero" in told
    assert '     SELECT "work_orders_workorder"."id"' in told
    monkeypatch.setattr(Statement, "run", lambda *_: [()])
    told = explained(document, ORDERS, technician)
    assert "  workOrders: left to the executor (failed: " in told
    assert "\nErrors" not in told


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(BadRequestError("It makes no sense."), "input: It makes no sense."), (RecursionError(), "deep")],
)
def test_what_stops_a_plan_is_told(
    document: Path, technician: User, monkeypatch: pytest.MonkeyPatch, fault: Exception, reason: str
) -> None:
    def stopped(*_: object) -> None:
        raise fault

    monkeypatch.setattr(Statement, "run", stopped)
    assert f"  workOrders: left to the executor ({reason}): " in explained(document, ORDERS, technician)


def test_a_statement_is_written_as_postgresql_would_read_it() -> None:
    sent = Sent("SELECT %(b)s  FROM x\n WHERE a LIKE '%%  FROM' AND b = %(a)s\tAND c = %(b)s", {"a": 1, "b": 2}, False)
    assert sent.text == "SELECT $1\nFROM x\nWHERE a LIKE '%  FROM' AND b = $2 AND c = $1"
    assert Sent("SELECT '%s'", None, False).text == "SELECT '%s'"
    assert Sent("SAVEPOINT a", None, False).analyzed() == []
