"""The clients of the world, put to a real server: Apollo Client, urql, Relay, graphql-request, and Python's gql."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings as project_settings
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import Tenant, User
from apps.throttle.limits import Draw, Limit, take
from apps.work_orders.models import WorkOrder
from schema.budget import POINTS, SEARCHES, client_of
from tests import factories
from tests.clients.node import HERE, Told, node, reaching, tell
from tests.writing import gid, stored, target

Tell = Callable[..., Told]

GRAPHQL: Final = "application/graphql-response+json"
SEARCH: Final = '{ search(query: "pump") { totalCount } }'
UNKNOWN: Final = "{ nothingOfTheKind }"
PARTLY: Final = '{ me { email } node(id: "nonsense") { id } }'
DEAR: Final = "{ workOrders(first: 100) { edges { node { tasks(first: 45) { edges { node { id } } } } } } }"
CLIENTS: Final = ["apollo", "urql", "graphql-request"]


@pytest.fixture
def order(demo: Tenant) -> WorkOrder:
    return factories.work_order(demo, site=factories.site(demo))


@pytest.fixture
def orders(demo: Tenant) -> list[WorkOrder]:
    return [factories.work_order(demo) for _ in range(120)]


@pytest.fixture
def client_tells(live_server: LiveServer, technician: User) -> Tell:
    """Return a function that runs a scenario of a client's script as the technician."""

    def run(script: str, scenario: str, **given: Any) -> Told:
        return tell(script, scenario, live_server, technician, **given)

    return run


def numbers(orders: list[WorkOrder]) -> list[str]:
    return sorted(order.number for order in orders)


def submit(order: WorkOrder) -> dict[str, Any]:
    return {**target(order), "action": "SUBMIT"}


def codes(errors: list[dict[str, Any]]) -> list[str]:
    return [error["extensions"]["code"] for error in errors]


def is_whole(request: dict[str, Any]) -> bool:
    """Return whether a request carried the document's text."""
    return "query" in request["sent"]


# Refusals, as each client tells them


@pytest.mark.parametrize("script", CLIENTS)
def test_a_client_learns_the_code_of_a_document_that_is_not_valid(client_tells: Tell, script: str) -> None:
    told = client_tells(script, "refused", document=UNKNOWN)

    assert codes(errors_of(told)) == ["BAD_REQUEST"]
    assert told.sent("status", "type") == [(422, GRAPHQL)]


@pytest.mark.parametrize("script", CLIENTS)
def test_a_client_learns_that_its_token_is_none(client_tells: Tell, script: str) -> None:
    told = client_tells(script, "refused", document="{ me { id } }", token="wg_none")

    assert codes(errors_of(told)) == ["UNAUTHENTICATED"]
    assert told.sent("status", "type") == [(401, GRAPHQL)]


@pytest.mark.parametrize("script", CLIENTS)
@pytest.mark.parametrize(
    ("limit", "size", "document"),
    [(POINTS, POINTS.capacity, DEAR), (SEARCHES, SEARCHES.count, SEARCH)],
    ids=["points", "searches"],
)
def test_a_client_over_budget_learns_when_to_come_back(
    client_tells: Tell, technician: User, script: str, limit: Limit, size: int, document: str
) -> None:
    spend(technician, limit, size)

    told = client_tells(script, "refused", document=document)

    assert codes(errors_of(told)) == ["RATE_LIMITED"]
    assert 0 < errors_of(told)[0]["extensions"]["retryAfter"] <= 10
    assert told.sent("status", "type") == [(429, GRAPHQL)]
    assert 0 < int(told.requests[0]["retryAfter"]) <= 10


@pytest.mark.parametrize(
    ("script", "scenario"), [("apollo", "partly"), ("urql", "refused"), ("graphql-request", "refused")]
)
def test_a_client_has_the_data_beside_the_errors(
    client_tells: Tell, technician: User, script: str, scenario: str
) -> None:
    told = client_tells(script, scenario, document=PARTLY)

    assert codes(told.result["errors"]) == ["BAD_REQUEST"]
    assert told.result["data"]["me"]["email"] == technician.email
    assert told.result["data"]["node"] is None
    assert told.sent("status", "type") == [(294, GRAPHQL)]


def spend(user: User, limit: Limit, size: int) -> None:
    """Draw all that a user has."""
    assert take(client_of(user), [Draw(limit, size)]).granted


def errors_of(told: Told) -> list[dict[str, Any]]:
    """Return the errors that a client gave to its application, in the form of any of the three."""
    result = told.result
    errors: list[dict[str, Any]] = result if isinstance(result, list) else (result or {}).get("errors") or []
    return errors


# Apollo Client


@pytest.mark.parametrize(("by_get", "method"), [(False, "POST"), (True, "GET")])
def test_apollo_sends_a_document_once_and_then_its_hash(
    client_tells: Tell, order: WorkOrder, by_get: bool, method: str
) -> None:
    told = client_tells("apollo", "persisted", id=gid(order), useGETForHashedQueries=by_get)

    assert [result["node"]["id"] for result in told.result] == [gid(order)] * 2
    assert told.sent("method", "status") == [(method, 422), ("POST", 200), (method, 200)]
    assert [is_whole(request) for request in told.requests] == [False, True, False]


def test_apollo_posts_a_mutation_by_its_hash(client_tells: Tell, order: WorkOrder) -> None:
    told = client_tells("apollo", "persistedMutation", input=submit(order))

    assert (told.result["status"], told.result["version"]) == ("SUBMITTED", 2)
    assert {request["method"] for request in told.requests} == {"POST"}
    assert not is_whole(told.requests[0])


def test_apollo_sends_a_batch_in_one_request_and_tells_its_parts_apart(
    client_tells: Tell, order: WorkOrder, technician: User
) -> None:
    told = client_tells("apollo", "batch", id=gid(order))
    me, found, refused = told.result

    assert me["me"]["email"] == technician.email
    assert found["node"]["number"] == order.number
    assert codes(refused) == ["BAD_REQUEST"]
    assert [len(request["sent"]) for request in told.requests] == [3]


def test_apollo_learns_why_a_whole_batch_was_refused(client_tells: Tell) -> None:
    told = client_tells("apollo", "refusedBatch", documents=[DEAR, f"query Again {DEAR}", f"query AndAgain {DEAR}"])

    assert [codes(refused) for refused in told.result] == [["QUERY_TOO_COMPLEX"]] * 3
    assert [len(request["sent"]) for request in told.requests] == [3]


def test_apollo_pages_to_the_end_and_sees_each_order_once(client_tells: Tell, orders: list[WorkOrder]) -> None:
    told = client_tells("apollo", "pages", first=50)

    assert sorted(told.result) == numbers(orders)
    assert len(told.requests) == 3


def test_apollos_mutation_answers_the_order_and_then_a_conflict(client_tells: Tell, order: WorkOrder) -> None:
    done, conflict = client_tells("apollo", "mutation", input=submit(order)).result

    assert done == {"__typename": "WorkOrder", "id": gid(order), "status": "SUBMITTED", "version": 2}
    assert (conflict["__typename"], conflict["errorCode"]) == ("VersionConflict", "VERSION_CONFLICT")
    assert conflict["currentVersion"] == 2
    assert stored(order)["version"] == 2


def test_apollos_cache_knows_an_order_by_its_global_id(client_tells: Tell, order: WorkOrder) -> None:
    told = client_tells("apollo", "cache", input=submit(order))
    listed, changed = told.result

    assert (listed["number"], listed["status"], listed["version"]) == (order.number, "DRAFT", 1)
    assert (changed["number"], changed["status"], changed["version"]) == (order.number, "SUBMITTED", 2)
    assert len(told.requests) == 2  # the list and the mutation: both nodes come from the cache


# urql


@pytest.mark.parametrize(("preferred", "method"), [(False, "POST"), ("within-url-limit", "GET"), ("force", "GET")])
def test_urql_queries_by_either_method(
    client_tells: Tell, order: WorkOrder, preferred: bool | str, method: str
) -> None:
    told = client_tells("urql", "query", id=gid(order), preferGetMethod=preferred)

    assert told.result["data"]["node"]["number"] == order.number
    assert told.sent("method", "status", "type") == [(method, 200, GRAPHQL)]


def test_urql_is_told_what_a_query_cost(client_tells: Tell, order: WorkOrder) -> None:
    told = client_tells("urql", "query", id=gid(order))

    cost = told.result["extensions"]["cost"]
    assert (cost["requested"], cost["actual"], cost["limit"]) == (1, 1, POINTS.capacity)


def test_urqls_mutation_answers_either_member_of_the_union(client_tells: Tell, demo: Tenant) -> None:
    made = client_tells("urql", "mutation", input={"title": "Oil the hinge"}).result["data"]["createWorkOrder"]
    refused = client_tells("urql", "mutation", input={"title": ""}).result["data"]["createWorkOrder"]

    assert made == {"__typename": "WorkOrder", "title": "Oil the hinge", "version": 1}
    assert (refused["__typename"], refused["errorCode"]) == ("ValidationFailed", "VALIDATION_FAILED")
    assert [problem["path"] for problem in refused["problems"]] == ["title"]


@pytest.mark.parametrize(("by_get", "method"), [(False, "POST"), (True, "GET")])
def test_urql_sends_a_document_once_and_then_its_hash(
    client_tells: Tell, order: WorkOrder, by_get: bool, method: str
) -> None:
    told = client_tells("urql", "persisted", id=gid(order), preferGetForPersistedQueries=by_get)

    assert [result["data"]["node"]["id"] for result in told.result] == [gid(order)] * 2
    assert [is_whole(request) for request in told.requests] == [False, True, False]
    assert told.sent("method", "status") == [(method, 422), (method, 200), (method, 200)]


# graphql-request


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_graphql_request_queries_by_either_method(client_tells: Tell, order: WorkOrder, method: str) -> None:
    told = client_tells("graphql-request", "query", id=gid(order), method=method)

    assert told.result == {"node": {"id": gid(order)}}
    assert told.sent("method", "status", "type") == [(method, 200, GRAPHQL)]


def test_graphql_requests_mutation_answers_the_new_order(client_tells: Tell, demo: Tenant) -> None:
    made = client_tells("graphql-request", "mutation", input={"title": "Oil the hinge"}).result["createWorkOrder"]

    assert made == {"__typename": "WorkOrder", "title": "Oil the hinge", "version": 1}
    assert WorkOrder.unscoped.filter(tenant=demo).count() == 1


def test_graphql_request_sends_a_batch_in_one_request(client_tells: Tell, order: WorkOrder, technician: User) -> None:
    told = client_tells("graphql-request", "batch", id=gid(order))

    assert [each["data"] for each in told.result] == [{"node": {"id": gid(order)}}, {"me": {"email": technician.email}}]
    assert [len(request["sent"]) for request in told.requests] == [2]


def test_graphql_request_tells_the_status_of_a_refusal(client_tells: Tell) -> None:
    told = client_tells("graphql-request", "refused", document=UNKNOWN)

    assert told.result["status"] == 422


# Relay

RELAY: Final = {"src": ".", "schema": "schema.graphql", "language": "javascript", "artifactDirectory": "made"}


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that compiles the documents against our schema and returns the folder of it all."""

    def compile_documents(**more: Any) -> Path:
        shutil.copy(HERE / "relay" / "documents.js", tmp_path)
        shutil.copy(project_settings.BASE_DIR / "schema" / "schema.graphql", tmp_path)
        (tmp_path / "made").mkdir()
        (tmp_path / "persisted.json").write_text("{}")
        (tmp_path / "relay.config.json").write_text(json.dumps({**RELAY, "eagerEsModules": False, **more}))
        node([str(HERE / "node_modules" / "relay-compiler" / "cli.js"), "--noWatchman"], {}, tmp_path)
        monkeypatch.setenv("RELAY_ARTIFACTS", str(tmp_path / "made"))
        return tmp_path

    return compile_documents


@pytest.fixture
def relay_tells(client_tells: Tell, compiled: Callable[..., Path]) -> Tell:
    """Return a function that runs a scenario of the Relay script with compiled documents."""
    compiled()
    return lambda scenario, **given: client_tells("relay", scenario, **given)


def test_relay_pages_to_the_end_and_sees_each_order_once(
    relay_tells: Tell, orders: list[WorkOrder], demo: Tenant
) -> None:
    factories.work_order(demo, priority="CRITICAL")

    told = relay_tells("pages", filters={"priority": {"exact": orders[0].priority}})

    assert sorted(told.result) == numbers(orders)
    assert [request["sent"]["operationName"] for request in told.requests] == [
        "WorkOrdersQuery",
        "WorkOrdersPageQuery",
        "WorkOrdersPageQuery",
    ]


def test_relay_fetches_a_fragment_again_with_other_arguments(relay_tells: Tell, order: WorkOrder) -> None:
    told = relay_tells("refetch", id=gid(order))

    assert told.result["availableActions"] == ["SUBMIT"]
    assert told.result["number"] == order.number


def test_relays_mutation_answers_the_order_and_then_a_refusal(relay_tells: Tell, order: WorkOrder) -> None:
    done, refused = relay_tells("mutation", input=submit(order)).result

    assert (done["id"], done["status"], done["version"]) == (gid(order), "SUBMITTED", 2)
    assert (refused["__typename"], refused["errorCode"]) == ("VersionConflict", "VERSION_CONFLICT")


def test_relay_learns_the_code_of_a_document_that_is_not_valid(relay_tells: Tell) -> None:
    told = relay_tells("refused")

    assert codes(told.result) == ["BAD_REQUEST"]
    assert told.sent("status") == [(422,)]


def test_relays_persisted_queries_are_all_that_a_server_of_trusted_documents_runs(
    client_tells: Tell, compiled: Callable[..., Path], order: WorkOrder, settings: Settings
) -> None:
    manifest = compiled(persistConfig={"file": "persisted.json", "algorithm": "SHA256"}) / "persisted.json"
    settings.TRUSTED_DOCUMENTS, settings.TRUSTED_DOCUMENTS_PATH = "only", [str(manifest)]

    told = client_tells("relay", "refetch", id=gid(order))
    refused = client_tells("graphql-request", "refused", document="{ me { id } }")

    assert told.result["number"] == order.number
    assert "query" not in told.requests[0]["sent"]
    assert told.requests[0]["sent"]["documentId"] in json.loads(manifest.read_text())
    assert refused.result["status"] == 403


# Python's gql


@pytest.fixture
def python(live_server: LiveServer, technician: User) -> Iterator[Any]:
    """Return a session of gql that has fetched the schema, as the technician."""
    reached = reaching(live_server, technician)
    headers = {"Authorization": f"Bearer {reached['GRAPHQL_TOKEN']}"}
    transport = RequestsHTTPTransport(url=reached["GRAPHQL_URL"], headers=headers)
    with Client(transport=transport, fetch_schema_from_transport=True) as session:
        yield session


def test_gql_reads_the_schema_and_validates_before_it_sends(python: Any, order: WorkOrder) -> None:
    query = gql("query ($id: ID!) { node(id: $id) { id ... on WorkOrder { number } } }")
    query.variable_values = {"id": gid(order)}

    assert python.execute(query) == {"node": {"id": gid(order), "number": order.number}}
    with pytest.raises(Exception, match="Cannot query field 'nothingOfTheKind'"):
        python.execute(gql(UNKNOWN))


def test_gqls_mutation_answers_the_order(python: Any, order: WorkOrder) -> None:
    mutation = gql(
        "mutation ($input: TransitionWorkOrderInput!)"
        " { transitionWorkOrder(input: $input) { ... on WorkOrder { status version } } }"
    )
    mutation.variable_values = {"input": submit(order)}

    assert python.execute(mutation) == {"transitionWorkOrder": {"status": "SUBMITTED", "version": 2}}


def test_gql_learns_the_code_of_a_refusal(python: Any, technician: User) -> None:
    spend(technician, SEARCHES, SEARCHES.count)

    with pytest.raises(TransportQueryError) as refused:
        python.execute(gql(SEARCH))

    assert codes(refused.value.errors or []) == ["RATE_LIMITED"]
