"""Reads from a replica: real servers of PostgreSQL, and application hosts in front of them, by HTTP."""

# ruff: noqa: S310, S608 - the addresses and tables are the tests' own

import json
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

import dj_database_url
import pytest
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.base import DatabaseWrapper

from apps.accounts.deadline import Deadline
from apps.accounts.prepared import prepared
from apps.accounts.tokens import digest
from apps.replica.marks import UNREACHED
from apps.replica.reads import REPLAYED, Reader
from apps.replica.watch import REPLICA, watch
from project.cluster.hosts import Host, Site
from project.cluster.postgres import Primary, Replica, replicated
from project.cluster.processes import Process
from project.embedded.postgres import APPLICATION, Postgres
from tests.buckets import Valkey, until

LAG: Final = 30
"""Seconds that the replica of the patient host may be behind: longer than a test takes."""

SCRAPER: Final = "of-prometheus"
BACK: Final = "Reads go to the replica again."
ORDERS: Final = "{ workOrders(first: 100) { edges { node { title } } } }"
CREATE: Final = """
mutation($title: String!) {
  createWorkOrder(input: {title: $title}) { ... on WorkOrder { id title version } ... on MutationError { message } }
}
"""
RENAME: Final = """
mutation($id: ID!, $version: Int!, $title: String!) {
  updateWorkOrder(input: {id: $id, version: $version, title: $title}) {
    ... on WorkOrder { title version } ... on MutationError { errorCode message }
  }
}
"""


TOKENS: Final = """
from apps.accounts.models import User
from apps.accounts.tokens import issue_token
for name in ("supervisor@demo", "admin@demo", "technician@demo", "supervisor@rival"):
    print(issue_token(user=User.unscoped.get(email=f"{name}.example"))[0])
"""


SESSION: Final = """
from django.test import Client
from apps.accounts.models import User
client = Client()
client.force_login(User.unscoped.get(email="technician@demo.example"))
print(client.cookies["sessionid"].value)
"""


@dataclass(frozen=True)
class Servers:
    """All that runs."""

    primary: Primary
    replica: Replica
    replica_process: Process
    site: Site
    valkey: Valkey
    writer: str
    colleague: str
    reader: str
    stranger: str


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Start a primary, its replica and a Valkey, with demo data."""
    folder = Postgres.settle().data.with_name(f"test-{uuid4().hex[:8]}")
    folder.mkdir(mode=0o711)
    with ExitStack() as stack:
        primary, replica, process = stack.enter_context(replicated(folder))
        valkey = stack.enter_context(Valkey(tmp_path_factory.mktemp("valkey")))
        site = Site.of(tmp_path_factory.mktemp("hosts"), database=primary.url, replica=replica.url, redis=valkey.url)
        site.manage("migrate", "--verbosity", "0")
        site.manage("seed_demo", "--work-orders", "30")
        tokens = site.manage("shell", "--verbosity", "0", "--command", TOKENS).split()
        yield Servers(primary, replica, process, site, valkey, *tokens)


@pytest.fixture(scope="module")
def host(servers: Servers) -> Iterator[Host]:
    """Return a host that has found the replica good."""
    host = servers.site.host("patient", REPLICA_MAX_LAG_SECONDS=str(LAG), METRICS_TOKEN=SCRAPER)
    with host.process:
        reads_the_replica(servers, host)
        for token in (servers.writer, servers.colleague, servers.reader):
            host.ask(token, ORDERS)  # who is new reads what there was when they came
        yield host


@pytest.fixture(scope="module")
def other(servers: Servers) -> Iterator[Host]:
    """Return a second host, beside the first, on which nothing is compiled."""
    host = servers.site.host("other", REPLICA_MAX_LAG_SECONDS=str(LAG), COMPILED_READS="0")
    with host.process:
        reads_the_replica(servers, host)
        yield host


def reads_the_replica(servers: Servers, host: Host) -> None:
    """Wait until a host reads from the replica, which it does once it has looked at it."""
    until(lambda: asked_of(servers.replica, lambda: host.ask(servers.stranger, ORDERS)))


def asked_of(server: Primary, act: Callable[[], Any]) -> bool:
    """Tell whether a server is asked for work orders by what is done, and let it be done."""
    last = "SELECT max(query_start) FROM pg_stat_activity WHERE usename = 'workgraph' AND query LIKE '%s_workorder%'"
    with server.session() as session:
        before = session.execute(last).fetchone()
        act()
        return session.execute(last).fetchone() != before


def titles(answer: dict[str, Any]) -> set[str]:
    """Return the titles of the work orders in an answer, which has no errors."""
    assert "errors" not in answer, answer
    return {edge["node"]["title"] for edge in answer["data"]["workOrders"]["edges"]}


def created(host: Host, token: str) -> dict[str, Any]:
    """Let somebody create a work order of a title that is nobody else's."""
    title = f"Pump {uuid4().hex}"
    made: dict[str, Any] = host.ask(token, CREATE, title=title)["data"]["createWorkOrder"]
    assert made["version"] == 1
    return made


# Where reads go


def test_a_read_goes_to_the_replica_and_not_to_the_primary(servers: Servers, host: Host) -> None:
    assert asked_of(servers.replica, lambda: host.ask(servers.reader, ORDERS))
    assert not asked_of(servers.primary, lambda: host.ask(servers.reader, ORDERS))


def test_who_has_written_reads_it_at_once_on_any_host_and_others_read_what_the_replica_holds(
    servers: Servers, host: Host, other: Host
) -> None:
    with servers.replica.paused():
        title = created(host, servers.writer)["title"]
        for each in (host, other, host, other):
            assert title in titles(each.ask(servers.writer, ORDERS))
            assert title not in titles(each.ask(servers.reader, ORDERS))

    assert title in titles(host.ask(servers.reader, ORDERS))
    assert asked_of(servers.replica, lambda: host.ask(servers.writer, ORDERS))


def test_who_was_refused_for_a_conflict_reads_what_it_was_about(servers: Servers, host: Host) -> None:
    order = created(host, servers.writer)
    with servers.replica.paused():
        changed = host.ask(servers.writer, RENAME, id=order["id"], version=1, title=f"{order['title']} (new)")
        assert changed["data"]["updateWorkOrder"] == {"title": f"{order['title']} (new)", "version": 2}
        assert order["title"] in titles(host.ask(servers.colleague, ORDERS))
        refused = host.ask(servers.colleague, RENAME, id=order["id"], version=1, title="Mine")

        assert refused["data"]["updateWorkOrder"]["errorCode"] == "VERSION_CONFLICT"
        assert f"{order['title']} (new)" in titles(host.ask(servers.colleague, ORDERS))


def test_a_batch_with_a_mutation_is_read_from_the_primary_as_a_whole(servers: Servers, host: Host) -> None:
    title = f"Pump {uuid4().hex}"
    create = {"query": CREATE, "variables": {"title": title}}
    with servers.replica.paused():
        before, made, after = host.post(servers.colleague, [{"query": ORDERS}, create, {"query": ORDERS}])

    assert made["data"]["createWorkOrder"]["title"] == title
    assert title not in titles(before)
    assert title in titles(after)


def test_a_batch_of_queries_is_read_from_the_replica_as_a_whole(servers: Servers, host: Host) -> None:
    with servers.replica.paused():
        title = created(host, servers.writer)["title"]
        answers = host.post(servers.reader, [{"query": ORDERS}, {"query": ORDERS}])

    assert [title in titles(each) for each in answers] == [False, False]


def test_a_search_finds_what_its_client_wrote_and_for_others_what_the_replica_holds(
    servers: Servers, host: Host, other: Host
) -> None:
    with servers.replica.paused():
        word = "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:12])
        create = "mutation($t: String!) { createWorkOrder(input: {title: $t}) { ... on WorkOrder { id } } }"
        made = host.ask(servers.writer, create, t=f"Grease the {word}")["data"]["createWorkOrder"]["id"]
        assert found(other, servers.writer, word) == [made]
        assert found(host, servers.reader, word) == []

    assert found(other, servers.reader, word) == [made]


def found(host: Host, token: str, word: str) -> list[str]:
    query = "query($q: String!) { search(query: $q, first: 5) { edges { node { ... on WorkOrder { id } } } } }"
    answer = host.ask(token, query, q=word)
    assert "errors" not in answer, answer
    return [edge["node"]["id"] for edge in answer["data"]["search"]["edges"]]


def test_a_query_by_get_in_a_session_is_read_from_the_replica(servers: Servers, host: Host) -> None:
    cookie = servers.site.manage("shell", "--verbosity", "0", "--command", SESSION)
    address = f"{host.url}/graphql?{urlencode({'query': ORDERS})}"
    request = urllib.request.Request(address, headers={"Cookie": f"sessionid={cookie}", "Accept": "application/json"})

    def ask() -> None:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert titles(json.load(answer))

    assert asked_of(servers.replica, ask)
    assert not asked_of(servers.primary, ask)


def test_the_replica_shows_nobody_another_tenants_rows(servers: Servers, host: Host) -> None:
    title = created(host, servers.writer)["title"]
    servers.replica.catch_up()
    assert asked_of(servers.replica, lambda: host.ask(servers.stranger, ORDERS))
    assert titles(host.ask(servers.stranger, ORDERS)).isdisjoint(titles(host.ask(servers.reader, ORDERS)))
    assert title in titles(host.ask(servers.reader, ORDERS))


def test_a_revoked_token_is_refused_at_once_whatever_the_replica_holds(servers: Servers, host: Host) -> None:
    token = servers.site.manage("issue_token", "viewer@demo.example")
    servers.replica.catch_up()
    with servers.replica.paused():
        assert titles(host.ask(token, ORDERS))
        with servers.primary.session() as session:
            session.execute("UPDATE accounts_apitoken SET revoked_at = now() WHERE digest = %s", [digest(token)])
        refused = host.ask(token, ORDERS)

    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


# When the replica can't serve


def test_a_read_whose_connection_to_the_replica_was_cut_is_answered_by_the_primary(
    servers: Servers, host: Host
) -> None:
    assert asked_of(servers.replica, lambda: host.ask(servers.reader, ORDERS))
    with servers.replica.session() as session:
        session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'workgraph'")

    assert titles(host.ask(servers.reader, ORDERS))
    reads_the_replica(servers, host)


def test_while_redis_is_away_reads_go_to_the_primary(servers: Servers, host: Host) -> None:
    with servers.replica.paused():
        title = created(host, servers.writer)["title"]
        assert title not in titles(host.ask(servers.reader, ORDERS))
        servers.valkey.pause()
        try:
            assert title in titles(host.ask(servers.reader, ORDERS))
        finally:
            servers.valkey.go_on()
    until(lambda: asked_of(servers.replica, lambda: host.ask(servers.reader, ORDERS)))


def test_when_redis_has_lost_all_marks_who_has_written_reads_it_still(
    servers: Servers, host: Host, other: Host
) -> None:
    with servers.replica.paused():
        title = created(host, servers.writer)["title"]
        servers.valkey.ask.flushall()
        for each in (other, host):
            assert title in titles(each.ask(servers.writer, ORDERS))
    until(lambda: asked_of(servers.replica, lambda: host.ask(servers.writer, ORDERS)))
    for token in (servers.reader, servers.colleague):
        host.ask(token, ORDERS)


def test_a_replica_that_falls_behind_is_not_read_until_it_has_caught_up(servers: Servers) -> None:
    hasty = servers.site.host("hasty", REPLICA_MAX_LAG_SECONDS="1")
    with hasty.process:
        reads_the_replica(servers, hasty)
        with servers.replica.paused():
            title = created(hasty, servers.writer)["title"]
            until(lambda: title in titles(hasty.ask(servers.reader, ORDERS)))
            until(lambda: outages(hasty))
            assert not asked_of(servers.replica, lambda: hasty.ask(servers.reader, ORDERS))
        reads_the_replica(servers, hasty)

    assert outages(hasty) == ["Reads go to the primary: the replica is more than 1 s behind.", BACK]


def test_a_primary_on_which_nothing_happens_does_not_make_the_replica_old(servers: Servers) -> None:
    hasty = servers.site.host("idle", REPLICA_MAX_LAG_SECONDS="2")
    with hasty.process:
        reads_the_replica(servers, hasty)
        time.sleep(4)
        assert asked_of(servers.replica, lambda: hasty.ask(servers.reader, ORDERS))

    assert outages(hasty) == []


def test_a_server_that_is_no_replica_is_not_read(servers: Servers) -> None:
    wrong = servers.site.host("wrong", REPLICA_URL=servers.primary.url)
    with wrong.process:
        assert titles(wrong.ask(servers.reader, ORDERS))
        until(lambda: outages(wrong))
        assert titles(wrong.ask(servers.reader, ORDERS))

    assert outages(wrong) == ["Reads go to the primary: the replica is none: it is not in recovery."]


def test_the_replica_of_another_primary_is_not_read(servers: Servers) -> None:
    with ExitStack() as stack:
        foreign = Primary.inside(servers.primary.data.parent.with_name("c"))
        replica = Replica.of(foreign, servers.primary.data.parent.with_name("d"))
        for each in (foreign, replica):
            stack.callback(shutil.rmtree, each.sockets)
            stack.enter_context(each.process())
        wrong = servers.site.host("foreign", REPLICA_URL=replica.url)
        stack.enter_context(wrong.process)
        for _ in range(3):
            assert titles(wrong.ask(servers.reader, ORDERS))
            until(lambda: outages(wrong))

    assert outages(wrong) == ["Reads go to the primary: the replica is none of this primary's."]


def test_another_database_of_the_same_replica_is_not_read(servers: Servers) -> None:
    wrong = servers.site.host("other database", REPLICA_URL=servers.replica._url(APPLICATION, "postgres"))
    with wrong.process:
        assert titles(wrong.ask(servers.reader, ORDERS))
        until(lambda: outages(wrong))

    assert outages(wrong) == ["Reads go to the primary: the replica is none of this primary's."]


def test_answers_go_on_when_the_replica_dies_and_it_is_read_again_when_it_is_back(servers: Servers) -> None:
    host = servers.site.host("bereft")
    with host.process:
        reads_the_replica(servers, host)
        servers.replica_process.stop()
        try:
            for _ in range(5):
                assert titles(host.ask(servers.reader, ORDERS))
                created(host, servers.writer)
            until(lambda: outages(host))
        finally:
            servers.replica_process.start()
        reads_the_replica(servers, host)

    first, *others = outages(host)
    assert first.startswith("Reads go to the primary: the replica can't be reached: ")
    assert others == [BACK]


# What fails on it, seen from inside


@pytest.fixture
def held(servers: Servers, db: None) -> Iterator[BaseDatabaseWrapper]:
    """Let the real replica be this thread's, and be good."""
    found: Any = {**connections.settings[DEFAULT_DB_ALIAS], "OPTIONS": {}, **dj_database_url.parse(servers.replica.url)}
    watch.cache_clear()
    watched = watch()
    watched._thread, watched._good_until = object(), float("inf")  # type: ignore[assignment]
    connections[REPLICA] = DatabaseWrapper(found, REPLICA)
    yield connections[REPLICA]
    connections[REPLICA].close()
    del connections[REPLICA]
    watch.cache_clear()


def on_the_replica() -> bool:
    return bool(prepared("SELECT pg_is_in_recovery()")[0][0])


@pytest.mark.parametrize("tells", [True, False])
def test_who_asks_for_too_much_is_stopped_there_and_that_is_no_failure_of_it(
    held: BaseDatabaseWrapper, tells: bool
) -> None:
    asked: list[bool] = []

    def read() -> str:
        asked.append(on_the_replica())
        try:
            prepared("SELECT pg_sleep(20)")
        except DatabaseError:  # the executor puts it into the answer
            if tells:
                raise
        return "answer"

    with Deadline(0.3), pytest.raises(DatabaseError, match="statement timeout") if tells else nullcontext():
        assert Reader(1)(read) == "answer"
    assert asked == [True]
    assert held.errors_occurred
    assert watch().is_good


def test_a_failure_just_before_the_time_is_up_is_answered_by_the_primary(held: BaseDatabaseWrapper) -> None:
    def read() -> str:
        if on_the_replica():
            prepared("SELECT pg_no_such_function()")
        return "of the primary"

    class JustBefore(Deadline):
        """Is over from the second time on that somebody asks."""

        asked = 0

        @property
        def is_over(self) -> bool:
            self.asked += 1
            return self.asked > 1

    with JustBefore(20):
        assert Reader(1)(read) == "of the primary"
    assert watch().is_good


def test_who_reads_what_has_to_be_replayed_is_answered_by_the_primary_and_others_are_not(
    servers: Servers, held: BaseDatabaseWrapper
) -> None:
    table = f"t_{uuid4().hex}"
    with servers.primary.session() as primary, servers.replica.session() as replica, ThreadPoolExecutor(1) as threads:
        primary.execute(f"CREATE TABLE {table} AS SELECT 1; GRANT SELECT ON {table} TO workgraph")
        servers.replica.catch_up()
        replica.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        replica.execute("SELECT pg_reload_conf()")
        running = f"SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(20) FROM {table}%%'"

        def drop() -> None:
            until(lambda: replica.execute(running).fetchone())
            primary.execute(f"DROP TABLE {table}")

        def read() -> str:
            if on_the_replica():
                prepared(f"SELECT pg_sleep(20) FROM {table}")
            return "of the primary"

        try:
            dropped = threads.submit(drop)
            with Deadline(15):
                assert Reader(1)(read) == "of the primary"
            dropped.result()
        finally:
            replica.execute("ALTER SYSTEM RESET max_standby_streaming_delay")
            replica.execute("SELECT pg_reload_conf()")
    assert held.errors_occurred
    assert watch().is_good


def test_a_replica_that_hangs_up_is_not_asked_until_it_was_looked_at(held: BaseDatabaseWrapper) -> None:
    def read() -> str:
        if on_the_replica():
            prepared("SELECT pg_terminate_backend(pg_backend_pid())")
        return "of the primary"

    assert Reader(1)(read) == "of the primary"
    assert not watch().is_good


def test_a_connection_is_asked_once_how_far_the_replica_is_for_marks_that_are_passed(held: BaseDatabaseWrapper) -> None:
    asked: list[str] = []

    def noted(execute: Any, sql: str, *more: Any) -> Any:
        asked.append(sql)
        return execute(sql, *more)

    with connections[DEFAULT_DB_ALIAS].execute_wrapper(noted):
        for _ in range(3):
            assert Reader(1)(on_the_replica)
        assert not Reader(UNREACHED)(on_the_replica)

    assert asked.count(REPLAYED) == 2


# What it tells


def test_how_old_the_replica_is_is_told_where_there_is_one(servers: Servers, host: Host) -> None:
    assert 0 < float(lag_of(host)[0]) < LAG
    alone = servers.site.host("alone", REPLICA_URL="", METRICS_TOKEN=SCRAPER)
    with alone.process:
        assert titles(alone.ask(servers.reader, ORDERS))
        assert lag_of(alone) == []


def lag_of(host: Host) -> list[str]:
    """Return what a host tells Prometheus of its replica's age."""
    request = urllib.request.Request(f"{host.url}/metrics", headers={"Authorization": f"Bearer {SCRAPER}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return re.findall(r"^replica_lag_seconds\S* (\S+)", answer.read().decode(), re.MULTILINE)


def outages(host: Host) -> list[str]:
    """Return what a host's log says of the replica."""
    lines = host.log.read_text().splitlines()
    return [line.partition("apps.replica.watch: ")[2] for line in lines if "apps.replica.watch: " in line]
