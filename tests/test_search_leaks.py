"""A stranger searches: nothing that is found, counted, suggested, remembered or limited tells of another tenant."""

import json
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import pytest
from django.db import models
from django_redis import get_redis_connection
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.search.merging import merge
from apps.search.models import Document, Word
from apps.search.services import Hit, Question, Results
from apps.search.services import search as find
from schema.reads import render
from schema.reads.render import NotRenderableError, Rendered
from tests import factories
from tests.graphql import Data, data, execute, statements
from tests.test_search import KINDS, SEARCH, ids, marked, search
from tests.writing import gid

pytestmark = pytest.mark.usefixtures("without_cost_limit")

SECRET: Final = "Zirconium"
NUMBER: Final = 471147
QUERIES: Final = (
    "zirconium",
    "ZIRCONIUM",
    "zircoinum",
    "zirconiums",
    "zirc",
    "zi",
    "zirconium pump",
    "pump zirconium",
    "WO-471147",
    "T-471147",
    "471147",
    "4711",
    "ZRC-471147",
    "zrc4711",
    "zirconium's",
    "a/c zirconium",
)
"""What finds something of demo."""

EMPTY: Final[Data] = {
    "totalCount": 0,
    "didYouMean": None,
    "facets": [],
    "edges": [],
    "pageInfo": {"hasNextPage": False, "endCursor": None},
}


@pytest.fixture(autouse=True)
def as_often_as_one_likes(settings: Settings) -> None:
    settings.ENABLE_SEARCH_RATE_LIMITING = False


@pytest.fixture
def keys(settings: Settings) -> Callable[[], list[str]]:
    """Give the test keys of its own in Redis; return a function that lists them."""
    prefix = f"leaks-{uuid4().hex}"
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": prefix}}
    return lambda: sorted(key.decode() for key in get_redis_connection("default").scan_iter(f"{prefix}:*"))


def make_secrets(demo: Tenant) -> dict[str, models.Model]:
    """Make a row of each kind, with the secret in each text of it."""
    site = factories.site(demo, code="ZRC", name=f"{SECRET} works a/c pump")
    asset = factories.asset(demo, site=site, code="ZRC-471147", name=f"{SECRET} pump", category=SECRET)
    order = factories.work_order(
        demo, serial=NUMBER, title=f"{SECRET} pump", description=SECRET, site=site, asset=asset
    )
    task = factories.task(demo, title=f"{SECRET} pump", description=SECRET, work_order=order)
    ticket = factories.ticket(demo, serial=NUMBER, subject=f"{SECRET} pump", description=SECRET, category=SECRET)
    rows = [site, asset, order, task, ticket]
    return {type(row).__name__: row for row in rows}


@pytest.fixture
def secrets(demo: Tenant) -> dict[str, models.Model]:
    return make_secrets(demo)


@pytest.fixture
def owner(demo: Tenant) -> User:
    return factories.user(demo)


@pytest.fixture
def stranger(rival: Tenant) -> User:
    """Return an admin of another tenant, which has a pump of each kind."""
    site = factories.site(rival, code="HERE", name="Pump works")
    factories.asset(rival, site=site, code="PUMP", name="Pump")
    factories.work_order(rival, title="Pump", serial=7)
    factories.task(rival, title="Pump")
    factories.ticket(rival, subject="Pump", serial=7)
    return factories.user(rival, Role.ADMIN)


Secrets = dict[str, models.Model]


def assert_nothing_of(secrets: Secrets, told: Any) -> None:
    text = json.dumps(told)
    assert SECRET.lower() not in text.lower()
    assert [name for name, row in secrets.items() if json.dumps(gid(row)) in text] == []


def merged(*tenants: Tenant) -> None:
    for tenant in tenants:
        assert merge(tenant.pk)


# What is found


def test_demo_itself_finds_its_secrets(secrets: Secrets, owner: User) -> None:
    assert set(ids(search(owner, "zirconium"))) == {gid(row) for row in secrets.values()}
    for query in QUERIES:
        assert search(owner, query)["totalCount"] > 0, query


@pytest.mark.parametrize("role", Role)
def test_a_stranger_finds_nothing_by_what_only_demo_has(
    secrets: Secrets, stranger: User, demo: Tenant, rival: Tenant, role: Role
) -> None:
    actor = factories.user(rival, role)
    for _ in range(2):
        for query in QUERIES:
            assert search(actor, query) == EMPTY, query
        merge(demo.pk)
        merge(rival.pk)


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_by_kind_opens_nothing(secrets: Secrets, stranger: User, kind: str) -> None:
    for query in ("zirconium", "zircoinum", "zi"):
        assert search(stranger, query, kinds=[kind]) == EMPTY
    found = search(stranger, "pump", kinds=[kind])
    assert (found["totalCount"], len(found["edges"])) == (1, 1)
    assert_nothing_of(secrets, found)


@pytest.mark.parametrize("indexed", [False, True])
def test_by_what_both_have_a_stranger_finds_and_counts_its_own_alone(
    secrets: Secrets, stranger: User, demo: Tenant, rival: Tenant, *, indexed: bool
) -> None:
    if indexed:
        merged(demo, rival)
    for query in ("pump", "pmup", "pu", "pumps"):
        found = search(stranger, query)
        assert found["totalCount"] == len(found["edges"]) == 5
        assert sorted(each["kind"] for each in found["facets"]) == sorted(KINDS)
        assert {each["count"] for each in found["facets"]} == {1}
        assert_nothing_of(secrets, found)


def test_the_same_number_is_each_ones_own(demo: Tenant, rival: Tenant) -> None:
    rows = {tenant.pk: factories.work_order(tenant, serial=NUMBER) for tenant in (demo, rival)}
    for query in ("WO-471147", "471147", "WO-4711"):
        for tenant in (demo, rival):
            assert ids(search(factories.user(tenant), query)) == [gid(rows[tenant.pk])]


def test_whole_nodes_tell_nothing_of_another(secrets: Secrets, stranger: User) -> None:
    document = """query($query: String!) { search(query: $query) { edges { highlights { fragments { text } } node {
      id version __typename
      ... on WorkOrder { title site { name } tasks { edges { node { title } } } tickets { edges { node { id } } } }
      ... on Site { name assets { totalCount edges { node { name } } } workOrders { edges { node { id } } } } } } } }"""
    found = data(stranger, document, query="pump")
    assert len(found["search"]["edges"]) == 5
    assert_nothing_of(secrets, found)


# What is suggested


@pytest.mark.parametrize("indexed", [False, True])
def test_a_word_that_only_demo_has_is_never_suggested(
    secrets: Secrets, owner: User, stranger: User, demo: Tenant, rival: Tenant, *, indexed: bool
) -> None:
    factories.work_order(rival, title="Zirconia")
    if indexed:
        merged(demo, rival)
    assert search(owner, "zirconiun")["didYouMean"] == "zirconium"
    assert search(stranger, "zirconiun")["didYouMean"] == "zirconia"
    assert search(stranger, "zircoinum")["didYouMean"] is None
    assert search(stranger, "pmup zircoinum")["didYouMean"] is None


def test_how_often_demo_has_a_word_does_not_choose_what_is_suggested(demo: Tenant, rival: Tenant) -> None:
    for title in ("pump", "pump", "pump", "romp"):
        factories.work_order(demo, title=title)
    for title in ("pump", "romp", "romp"):
        factories.work_order(rival, title=title)
    for _ in range(2):
        assert search(factories.user(demo), "pomp")["didYouMean"] == "pump"
        assert search(factories.user(rival), "pomp")["didYouMean"] == "romp"
        merge(demo.pk)
        merge(rival.pk)


def test_words_of_two_tenants_have_no_key_in_common(demo: Tenant, rival: Tenant) -> None:
    for tenant in (demo, rival):
        factories.work_order(tenant, title=SECRET)
    merged(demo, rival)
    one, other = (set(word.keys) for word in Word._base_manager.filter(text="zirconium").order_by("tenant_id"))
    assert one
    assert other
    assert one.isdisjoint(other)


# What stands for what


def test_demos_synonyms_act_for_demo_alone(demo: Tenant, rival: Tenant) -> None:
    own = {tenant.pk: factories.work_order(tenant, title="Lubricate") for tenant in (demo, rival)}
    factories.synonym(demo, term="grsg", meaning="lubricate")
    factories.synonym(rival, term="xyzw", meaning="lubricate")
    one, other = factories.user(demo), factories.user(rival)
    for _ in range(2):
        assert ids(search(one, "grsg")) == [gid(own[demo.pk])]
        assert ids(search(other, "xyzw")) == [gid(own[rival.pk])]
        assert search(other, "grsg") == search(one, "xyzw") == EMPTY


def test_what_demo_takes_a_term_for_leaves_what_it_means_to_others(demo: Tenant, rival: Tenant) -> None:
    own = {tenant.pk: factories.work_order(tenant, title="Valve") for tenant in (demo, rival)}
    factories.synonym(demo, term="vlv", meaning="")
    assert search(factories.user(demo), "vlv") == EMPTY
    assert ids(search(factories.user(rival), "vlv")) == [gid(own[rival.pk])]


def test_a_synonym_is_marked_in_the_texts_of_its_tenant_alone(demo: Tenant, rival: Tenant) -> None:
    for tenant in (demo, rival):
        factories.work_order(tenant, title="Lubricate the grsg")
    factories.synonym(demo, term="grsg", meaning="lubricate")
    marks = []
    for tenant in (demo, rival):
        (edge,) = search(factories.user(tenant), "grsg")["edges"]
        marks += [marked(each) for each in edge["highlights"]]
    assert marks == ["[Lubricate] the [grsg]", "Lubricate the [grsg]"]


# Cursors


def test_a_cursor_of_demo_is_a_place_among_ones_own(demo: Tenant, rival: Tenant) -> None:
    titles = ("pump", "pumps", "pmup", "pump")
    for title in titles:
        for tenant in (demo, rival):
            factories.work_order(tenant, title=title)
    one, other = factories.user(demo), factories.user(rival)
    whole = search(other, "pump")["edges"]
    of_demo = set(ids(search(one, "pump")))
    for edge in search(one, "pump")["edges"]:
        found = search(other, "pump", after=edge["cursor"])
        rest = found["edges"]
        assert rest == whole[len(whole) - len(rest) :]
        assert (found["totalCount"], of_demo & set(ids(found))) == (4, set())


# What is remembered


@pytest.mark.django_db(transaction=True)
def test_what_is_remembered_is_each_tenants_own_and_its_keys_tell_nothing(keys: Callable[[], list[str]]) -> None:
    demo, rival = factories.tenant(), factories.tenant()
    secrets = make_secrets(demo)
    owner, stranger = factories.user(demo), factories.user(rival)
    own = factories.work_order(rival, title="Pump")
    queries = ("pump", "pmup", "zirconium", "zircoinum pump", "WO-471147")
    answers: dict[int, dict[str, Data]] = {demo.pk: {}, rival.pk: {}}
    for query in queries:
        for actor in (owner, stranger):
            answers[actor.tenant_id][query] = search(actor, query)
    assert [answers[demo.pk][query]["totalCount"] for query in queries] == [5, 5, 5, 5, 1]
    assert [ids(answers[rival.pk][query]) for query in queries] == [[gid(own)], [gid(own)], [], [], []]

    written = [key for key in keys() if ":search:" in key]
    by_tenant = {tenant.pk: [key for key in written if f":search:{tenant.pk}:" in key] for tenant in (demo, rival)}
    assert [len(by_tenant[tenant.pk]) for tenant in (demo, rival)] == [5, 5]
    assert len(written) == 10
    digests = [key.rpartition(":")[2] for key in written]
    assert all(len(digest) == 48 and int(digest, 16) >= 0 for digest in digests)
    assert not any(word in key.lower() for key in written for word in ("pump", "pmup", "zirco", "471147", "wo-"))

    server = get_redis_connection("default")
    for key in by_tenant[rival.pk]:
        held = server.get(key)
        assert SECRET.lower().encode() not in held.lower()
        assert 0 < server.ttl(key) <= 300
    assert_nothing_of(secrets, list(answers[rival.pk].values()))
    for query in queries:  # remembered by now
        assert search(owner, query) == answers[demo.pk][query]
        assert search(stranger, query) == answers[rival.pk][query]
    assert [key for key in keys() if ":search:" in key] == written


@pytest.mark.django_db(transaction=True)
def test_right_after_demos_search_the_same_one_is_computed_for_the_rival(keys: Callable[[], list[str]]) -> None:
    demo, rival = factories.tenant(), factories.tenant()
    owner, stranger = factories.user(demo), factories.user(rival)
    for tenant in (demo, rival):
        factories.work_order(tenant, title="Pump")
    search(owner, "pump")
    remembered = len(statements(owner, SEARCH, query="pump"))
    computed = len(statements(stranger, SEARCH, query="pump"))
    assert remembered == 2
    assert computed > remembered
    assert len(statements(stranger, SEARCH, query="pump")) == remembered


@pytest.mark.django_db(transaction=True)
def test_users_of_one_tenant_share_what_is_remembered_whatever_their_roles(keys: Callable[[], list[str]]) -> None:
    demo = factories.tenant()
    factories.work_order(demo, title="Pump")
    first = search(factories.user(demo, Role.ADMIN), "pump")
    viewer = factories.user(demo, Role.VIEWER)
    assert len(statements(viewer, SEARCH, query="pump")) == 2
    assert search(viewer, "pump") == first


@pytest.mark.django_db(transaction=True)
def test_with_two_empty_tenants_nothing_is_shared(keys: Callable[[], list[str]]) -> None:
    demo, rival = factories.tenant(), factories.tenant()
    for tenant in (demo, rival):
        assert search(factories.user(tenant), "pump") == EMPTY
    assert len([key for key in keys() if ":search:" in key]) == 2


# What is limited


CHEAP: Final = '{ search(query: "pump", first: 0) { totalCount } }'


def is_limited(actor: User) -> bool:
    result = execute(actor, CHEAP)
    assert not result.errors or [error.extensions["code"] for error in result.errors] == ["RATE_LIMITED"]  # type: ignore[index]
    return bool(result.errors)


def test_each_user_has_a_limit_of_its_own(
    keys: Callable[[], list[str]], settings: Settings, demo: Tenant, rival: Tenant
) -> None:
    settings.ENABLE_SEARCH_RATE_LIMITING = True
    greedy, colleague, stranger = factories.user(demo), factories.user(demo), factories.user(rival)
    assert [is_limited(greedy) for _ in range(22)] == [False] * 20 + [True] * 2
    assert [is_limited(colleague) for _ in range(20)] == [False] * 20
    assert not is_limited(stranger)
    assert is_limited(colleague)
    limits = [key for key in keys() if ":limit:" in key]
    clients = [f"{{{user.tenant_id}:{user.pk}}}" for user in (greedy, colleague, stranger)]
    assert len(limits) == 3
    assert [sum(client in key for key in limits) for client in clients] == [1, 1, 1]


# The last line: what is fetched


def answer(actor: User, monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> tuple[Data, bool]:
    """Return what a search for the secret answers, and whether it was rendered."""
    seen: list[bool] = []

    def spy(*given: Any) -> Any:
        told = render.rendered(*given)
        seen.append(isinstance(told, Rendered))
        return told

    def refuse(*_: Any) -> Any:
        raise NotRenderableError

    with monkeypatch.context() as patch:
        patch.setattr("schema.search.rendered", spy)
        if not fast:
            patch.setattr("schema.reads.render.render_of", refuse)
        return search(actor, "zirconium"), seen == [True]


@pytest.mark.parametrize("fast", [True, False])
def test_a_hit_that_names_anothers_row_does_not_open_it(
    secrets: Secrets, stranger: User, demo: Tenant, monkeypatch: pytest.MonkeyPatch, *, fast: bool
) -> None:
    def astray(tenant_id: int, question: Question) -> Results:
        found = find(demo.pk, Question(question.text, (), 10, None, highlights=False))
        assert [type(hit) for hit in found.hits] == [Hit] * 5
        return found

    monkeypatch.setattr("schema.search.services.search", astray)
    told, was_fast = answer(stranger, monkeypatch, fast=fast)
    assert (told["edges"], was_fast) == ([], fast)
    assert_nothing_of(secrets, told)


@pytest.mark.parametrize("fast", [True, False])
def test_a_document_that_names_anothers_row_does_not_open_it(
    secrets: Secrets, stranger: User, rival: Tenant, monkeypatch: pytest.MonkeyPatch, *, fast: bool
) -> None:
    for name, row in secrets.items():
        Document._base_manager.create(tenant=rival, kind=name, entity_id=row.pk, words=["a:zirconium"])
    told, was_fast = answer(stranger, monkeypatch, fast=fast)
    assert (told["edges"], was_fast) == ([], fast)
    assert_nothing_of(secrets, told)


def test_every_statement_of_a_search_is_held_to_the_tenant(secrets: Secrets, stranger: User, demo: Tenant) -> None:
    for query in ("pump", "pmup", "pu", "WO-7", "7 pump", "zirconium"):
        for sql in statements(stranger, SEARCH, query=query):
            compact = sql.replace('"', "")
            # A statement that is answered in binary form has its values beside it.
            assert f"tenant_id = {stranger.tenant_id}" in compact or "tenant_id = $1" in compact, sql
            assert f"tenant_id = {demo.pk}" not in compact, sql
