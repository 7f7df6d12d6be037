"""A cluster of three in place of one Redis, and the forms of URLs that lead to servers."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django_redis import get_redis_connection
from pytest_django import Settings
from redis.cluster import RedisCluster

from apps.accounts.models import User
from apps.accounts.tokens import issue_token
from apps.replica.marks import KEEP
from apps.search.cache import remembered
from apps.throttle.limits import Bucket, Window, give_back
from apps.throttle.lines import Plain, lines
from project.caches import UrlError, cache_of
from project.cluster.valkey import Cluster
from project.embedded.valkey import Valkey as Embedded
from tests.buckets import draws, fresh_server, left, until, wanting

POINTS: Final = Bucket("points", 1000, 0.01)
TIME: Final = Bucket("time", 50, 0.01)
SEARCHES: Final = Window("search", 3, 60)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Start three nodes that share the slots, and a replica of the first."""
    folder = Embedded.settle().data.with_name(f"test-{uuid4().hex[:8]}")
    try:
        with Cluster(folder) as started:
            yield started
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def clustered(cluster: Cluster, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Let the application use the cluster."""
    default, found = settings.CACHES["default"], cache_of(cluster.url)
    options = {**default["OPTIONS"], **found["OPTIONS"]}
    settings.CACHES = {"default": {**default, "LOCATION": found["LOCATION"], "OPTIONS": options}}
    fresh_server(monkeypatch, rest=0.1)
    return cluster


@pytest.fixture
def client_id() -> str:
    """Return a client that no other test has drawn for."""
    return uuid4().hex


def keys_of(cluster: Cluster) -> list[int]:
    """Return how many keys each of the primaries holds."""
    return [node.client.dbsize() for node in cluster.nodes[:3]]


def test_the_limits_of_many_clients_are_kept_by_all_nodes_and_those_of_one_by_one(clustered: Cluster) -> None:
    assert isinstance(lines(), Plain)
    before, clients = keys_of(clustered), [uuid4().hex for _ in range(60)]
    for each in clients:
        assert wanting(each, (POINTS, 100), (TIME, 5), (SEARCHES, 1)).granted
        give_back(each, POINTS, 40)

    assert {(left(POINTS, each), left(TIME, each), left(SEARCHES, each)) for each in clients} == {(940, 45, 2)}
    grown = [after - then for after, then in zip(keys_of(clustered), before, strict=True)]
    assert sum(grown) == 180
    assert all(each and each % 3 == 0 for each in grown)


def test_of_several_limits_all_are_drawn_or_none(clustered: Cluster, client_id: str) -> None:
    assert wanting(client_id, (POINTS, 100), (SEARCHES, 3)).granted
    assert not wanting(client_id, (POINTS, 100), (SEARCHES, 1)).granted
    assert (left(POINTS, client_id), left(SEARCHES, client_id)) == (900, 0)


def test_many_threads_draw_no_more_than_there_is(clustered: Cluster, client_id: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        granted = list(threads.map(lambda _: draws(POINTS, client_id, 30), range(60)))

    assert granted.count(True) == 33
    assert left(POINTS, client_id) == 10


def test_what_is_computed_is_remembered_under_keys_of_any_slot(clustered: Cluster) -> None:
    for number in range(20):
        asked, then = f"search:{uuid4().hex}", f"search:{uuid4().hex}"
        assert remembered(asked, lambda: (then, [number])) == ([number], False)  # noqa: B023
        for key in (asked, then):
            assert remembered(key, lambda: pytest.fail("it was computed again")) == ([number], True)


@pytest.mark.django_db
def test_a_persisted_document_is_known_by_its_hash(clustered: Cluster, technician: User) -> None:
    text = f"{{ me {{ name }} }} #{uuid4().hex}"
    known = {"persistedQuery": {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}}
    token, _ = issue_token(user=technician)

    def send(**body: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return Client().post("/graphql", json.dumps(body), content_type="application/json", headers=headers).json()

    assert send(extensions=known)["errors"][0]["message"] == "PersistedQueryNotFound"
    assert send(query=text, extensions=known)["data"] == {"me": {"name": technician.name}}
    answer = send(extensions=known)
    assert answer["data"] == {"me": {"name": technician.name}}
    assert answer["extensions"]["cost"]["remaining"] < answer["extensions"]["cost"]["limit"]


@pytest.mark.django_db
def test_a_session_is_kept(clustered: Cluster, technician: User) -> None:
    client = Client()
    client.force_login(technician)
    answer = client.get("/graphql", {"query": "{ me { name } }"}).json()

    assert answer["data"] == {"me": {"name": technician.name}}
    assert cache.get(f"django.contrib.sessions.cached_db{client.session.session_key}")


@pytest.mark.django_db
def test_the_probe_finds_it_ready(clustered: Cluster, client: Client) -> None:
    assert client.get("/readyz").json()["redis"] == "ok"


def test_the_later_of_two_marks_stays_whichever_comes_last(clustered: Cluster) -> None:
    key = f"wrote:{uuid4().hex}"
    for position, seconds in ((5, 60), (2**53 - 1, 90), (7, 600)):
        assert lines().ask("EVAL", KEEP, 1, key, position, seconds) == 1

    assert lines().ask("GET", key) == str(2**53 - 1).encode()
    assert 60 < int(lines().ask("TTL", key)) <= 90


def test_all_threads_share_one_client(clustered: Cluster) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda _: get_redis_connection("default"), range(8)))

    assert len(found) == 1
    assert all(isinstance(each, RedisCluster) for each in found)


def test_when_a_node_dies_its_replica_takes_over_with_what_it_held(
    clustered: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [uuid4().hex for _ in range(30)]
    assert all(draws(POINTS, each, 400) for each in clients)
    first, replica = clustered.nodes[0], clustered.nodes[3]
    assert first.client.wait(1, 5000) == 1
    first.process.kill()
    until(lambda: replica.says("INFO replication", "role:master"))
    until(lambda: draws(POINTS, clients[0], 1))
    until(lambda: all(left(POINTS, each) in {600, 599} for each in clients))

    assert all(draws(POINTS, each, 500) for each in clients)
    assert not any(draws(POINTS, each, 500) for each in clients)


# URLs


@pytest.mark.parametrize("url", ["redis://localhost:6379/0", "rediss://:secret@cache.example/1", "unix:///run/redis"])
def test_one_server_is_named_as_ever(url: str) -> None:
    assert cache_of(url) == {"LOCATION": url, "OPTIONS": {}}


@pytest.mark.parametrize(
    ("url", "location", "sentinels"),
    [
        ("redis+sentinel://a:1,b:2/main/3", "redis://main/3", [("a", 1), ("b", 2)]),
        ("redis+sentinel://a/main", "redis://main", [("a", 26379)]),
        ("redis+sentinel://:se%40cret@[::1]:7/main/0", "redis://:se%40cret@main/0", [("::1", 7)]),
    ],
)
def test_sentinels_are_named_with_what_they_watch(url: str, location: str, sentinels: list[tuple[str, int]]) -> None:
    found = cache_of(url)
    assert (found["LOCATION"], found["OPTIONS"]["SENTINELS"]) == (location, sentinels)


@pytest.mark.parametrize(
    "url",
    [
        "redis+cluster://",
        "redis+cluster:///0",
        "redis+cluster://a:x",
        "redis+sentinel://a:1",
        "redis+sentinel://a:1/main/x",
        "rediss+sentinel://a:1/main/0",
        "redis+cluster://a:1?ssl_ca_certs=/a.pem",
        "redis+sentinel://a:1/main/0?ssl_ca_certs=/a.pem",
        "rediss+cluster://a:1?ssl_check_hostname=no",
        "http+cluster://a:1",
    ],
)
def test_a_url_that_leads_nowhere_is_told(url: str) -> None:
    with pytest.raises(UrlError):
        cache_of(url)
