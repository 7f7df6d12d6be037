"""The search index says what the entities say, whoever wrote them and however."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap
from pytest_django import Settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.assets.models import Asset, Site
from apps.attendance.presence import check_in, check_out
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.lifecycle.errors import ValidationFailedError, VersionConflictError
from apps.lifecycle.models import Entity
from apps.lifecycle.transitions import OnError
from apps.search import documents, merging, receivers
from apps.search.declaration import NUMBER, searched_models
from apps.search.models import Document, Index, Posting, Word
from apps.search.rebuilding import Drift, drift, rebuild
from apps.search.services import QueryRefusedError, Question, Results, search, state_of
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.pages import open_form
from tests.test_import_work_orders import HEADER, run
from tests.writing import MAKE, item, refuses

pytestmark = pytest.mark.usefixtures("without_cost_limit")

Kind = type[Entity]

NO_DRIFT: Final = Drift([], [])
SEARCHED: Final[list[Kind]] = [WorkOrder, Task, Ticket, Asset, Site]
TEXTS: Final = [(model, name) for model in SEARCHED for name in getattr(model, "search").names if name != NUMBER]  # noqa: B009 (mypy)
TABLES: Final = (Posting, Word, Document, Index)

of_each_text = pytest.mark.parametrize(
    ("model", "name"), TEXTS, ids=[f"{model.__name__}.{name}" for model, name in TEXTS]
)
of_each_model = pytest.mark.parametrize("model", SEARCHED, ids=[model.__name__ for model in SEARCHED])


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN, name="Boss")


@pytest.fixture
def desk(boss: User) -> Client:
    """Return the browser of an ADMIN of the demo tenant."""
    client = Client()
    client.force_login(boss)
    return client


def ask(owner: Tenant, text: str, *kinds: str, first: int = 1_000) -> Results:
    return search(owner.pk, Question(text, kinds, first))


def found(owner: Tenant, text: str) -> list[tuple[str, int]]:
    """Return the kinds and keys of what a text finds, the best first."""
    return [(hit.kind, hit.key) for hit in ask(owner, text).hits]


def answer(owner: Tenant, text: str) -> Results | None:
    """Return what a text finds, or None if there is nothing in it to search for."""
    try:
        return ask(owner, text)
    except QueryRefusedError:
        return None


@contextmanager
def rolled_back() -> Iterator[None]:
    """Roll back at the end what is done inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def key(row: models.Model) -> tuple[str, int]:
    return type(row).__name__, row.pk


def pending(owner: Tenant) -> int:
    with tenant_scope(owner.pk):
        return Document.objects.filter(pending=True).count()


def rows_of_index(owner: Tenant) -> list[list[tuple[Any, ...]]]:
    """Return everything that is stored of a tenant's index."""
    with tenant_scope(owner.pk):
        return [[tuple(map(str, row)) for row in table.objects.order_by("pk").values_list()] for table in TABLES]


def execute(statement: str, *values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def holds(owner: Tenant, row: models.Model, finds: str, no_longer: str = "") -> None:
    """Hold that a row alone is found by one text and not by another, while it is pending and when it is merged."""
    for _ in range(2):
        assert drift(owner.pk) == NO_DRIFT
        assert found(owner, finds) == [key(row)]
        assert not no_longer or found(owner, no_longer) == []
        merging.merge(owner.pk)


def written(owner: Tenant, model: Kind, **texts: str) -> dict[str, Any]:
    """Return the least that somebody enters for a new entity, and these texts."""
    least: dict[Kind, dict[str, Any]] = {
        WorkOrder: {"title": "Nothing"},
        Task: {"title": "Nothing"},
        Ticket: {"subject": "Nothing"},
        Site: {"code": "S1", "name": "Nothing", "timezone": "UTC"},
        Asset: {"code": "A1", "name": "Nothing"},
    }
    place = {"site": factories.site(owner).pk} if model is Asset else {}
    return {**least[model], **place, **texts}


def statements_of_index(queries: CaptureQueriesContext) -> list[str]:
    """Return the statements that name a table of the index."""
    return [query["sql"] for query in queries.captured_queries if "search_" in query["sql"]]


def test_the_models_that_are_searched_are_those_that_are_tested() -> None:
    assert set(searched_models().values()) == set(SEARCHED)


# The services


@of_each_text
def test_what_a_service_creates_and_edits_is_found(demo: Tenant, boss: User, model: Kind, name: str) -> None:
    with tenant_scope(demo.pk):
        row = services.create(model, written(demo, model, **{name: "aardvark"}), actor=boss)
        holds(demo, row, "aardvark")
        services.edit(model, item(row), {name: "quokka"}, actor=boss)
        holds(demo, row, "quokka", no_longer="aardvark")


@pytest.mark.parametrize("model", [WorkOrder, Ticket])
def test_a_new_number_is_found_at_once(demo: Tenant, boss: User, model: Kind) -> None:
    with tenant_scope(demo.pk):
        row: Any = services.create(model, written(demo, model), actor=boss)
    holds(demo, row, row.number, no_longer=row.number.replace("1", "2"))
    holds(demo, row, row.number.replace("-", ""))
    holds(demo, row, row.number.replace("000", " ").lower())


@of_each_model
def test_an_edit_of_what_is_not_searched_leaves_the_index_alone(demo: Tenant, boss: User, model: Kind) -> None:
    others: dict[Kind, dict[str, Any]] = {
        WorkOrder: {"priority": "HIGH", "external_id": "X-1", "due_at": factories.NOON},
        Task: {"due_at": factories.NOON},
        Ticket: {"priority": "HIGH", "requester_name": "Ada"},
        Site: {"latitude": 1.5},
        Asset: {"status": "DOWN"},
    }
    row, before = MAKE[model](demo), rows_of_index(demo)
    with tenant_scope(demo.pk), CaptureQueriesContext(connection) as queries:
        edited = services.edit(model, item(row), others[model], actor=boss)
    assert (edited.version, statements_of_index(queries)) == (2, [])
    assert rows_of_index(demo) != [[], [], [], []]
    if model is not Asset:
        assert rows_of_index(demo) == before


def test_an_edit_of_a_text_costs_one_statement(demo: Tenant, boss: User) -> None:
    row = factories.work_order(demo)
    with tenant_scope(demo.pk), CaptureQueriesContext(connection) as queries:
        services.edit(WorkOrder, item(row), {"title": "aardvark", "description": "quokka"}, actor=boss)
    assert len(statements_of_index(queries)) == 1


@pytest.mark.parametrize(
    ("model", "action"), [(WorkOrder, "CANCEL"), (Task, "CANCEL"), (Ticket, "OPEN")], ids=["order", "task", "ticket"]
)
def test_transitions_one_or_many_leave_the_index_alone(demo: Tenant, boss: User, model: Any, action: str) -> None:
    rows = [MAKE[model](demo, assignee=boss) for _ in range(4)]
    merging.merge(demo.pk)
    before = rows_of_index(demo)
    with tenant_scope(demo.pk), CaptureQueriesContext(connection) as queries:
        moved = services.transition(model, item(rows[0]), action, actor=boss, comment="Why")
        report = services.transition_many(
            model, list(map(item, rows)), action, actor=boss, comment="Why", on_error=OnError.SKIP_FAILED
        )
    assert (moved.version, report.succeeded) == (2, 3)
    assert statements_of_index(queries) == []
    assert rows_of_index(demo) == before
    assert drift(demo.pk) == NO_DRIFT


def test_attendance_is_no_matter_of_the_search(demo: Tenant, boss: User) -> None:
    site = factories.site(demo)
    before = rows_of_index(demo)
    with tenant_scope(demo.pk), CaptureQueriesContext(connection) as queries:
        record = check_in({"site": site.pk, "note": "aardvark"}, (None, None), actor=boss)
        check_out(item(record), {}, actor=boss)
    assert statements_of_index(queries) == []
    assert rows_of_index(demo) == before
    assert (found(demo, "aardvark"), drift(demo.pk)) == ([], NO_DRIFT)


def test_what_is_refused_leaves_no_trace(demo: Tenant, boss: User) -> None:
    row = factories.work_order(demo, title="aardvark")
    factories.site(demo, code="TAKEN")
    seen = item(row)
    with tenant_scope(demo.pk):
        services.edit(WorkOrder, seen, {"title": "wombat"}, actor=boss)
    before = rows_of_index(demo)
    with refuses(demo, "title"):
        services.edit(WorkOrder, item(WorkOrder.unscoped.get()), {"title": " "}, actor=boss)
    with refuses(demo, "code"):
        services.create(Site, written(demo, Site, code="TAKEN", name="quokka"), actor=boss)
    with tenant_scope(demo.pk), pytest.raises(VersionConflictError), transaction.atomic():
        services.edit(WorkOrder, seen, {"title": "quokka"}, actor=boss)
    with tenant_scope(demo.pk), pytest.raises(ValidationFailedError), transaction.atomic():
        services.create(Task, {"title": "quokka", "work_order": 10**9}, actor=boss)
    assert rows_of_index(demo) == before
    holds(demo, row, "wombat", no_longer="quokka")


# The ORM


@of_each_text
def test_what_the_orm_saves_is_found_and_what_it_deletes_is_not(demo: Tenant, model: Kind, name: str) -> None:
    row = MAKE[model](demo, **{name: "aardvark"})
    holds(demo, row, "aardvark")
    setattr(row, name, "quokka")
    row.save()
    holds(demo, row, "quokka", no_longer="aardvark")
    gone = key(row)
    row.delete()
    for _ in range(2):
        assert (found(demo, "quokka"), drift(demo.pk)) == ([], NO_DRIFT)
        merging.merge(demo.pk)
    with tenant_scope(demo.pk):
        assert not Document.objects.filter(kind=gone[0], entity_id=gone[1]).exists()


def test_a_row_that_is_deleted_before_it_was_merged_is_gone(demo: Tenant) -> None:
    row, other = factories.task(demo, title="aardvark"), factories.task(demo, title="aardvark")
    row.delete()
    holds(demo, other, "aardvark")


def test_only_what_is_saved_is_found(demo: Tenant) -> None:
    row = factories.work_order(demo, title="aardvark", description="echidna")
    row.title, row.description = "quokka", "wombat"
    row.save(update_fields=["title"])
    holds(demo, row, "quokka echidna", no_longer="wombat")
    row.save(update_fields=["priority"])
    holds(demo, row, "quokka echidna", no_longer="wombat")
    row.save()
    holds(demo, row, "quokka wombat", no_longer="echidna")


def test_a_row_that_was_read_in_part_is_indexed_whole(demo: Tenant) -> None:
    factories.work_order(demo, title="aardvark", description="echidna")
    row = WorkOrder.unscoped.only("title", "version").get()
    row.title = "quokka"
    row.save()
    holds(demo, row, "quokka echidna", no_longer="aardvark")
    row = WorkOrder.unscoped.defer("title").get()
    row.title = "wombat"
    row.save()
    holds(demo, row, "wombat echidna", no_longer="quokka")


@pytest.mark.parametrize("recorded", [True, False])
def test_a_text_that_was_emptied_unread_is_found_no_longer(demo: Tenant, settings: Settings, recorded: bool) -> None:
    settings.ENABLE_AUDIT_SIGNALS = recorded
    factories.work_order(demo, title="aardvark", description="echidna")
    row = WorkOrder.unscoped.only("title", "version").get()
    row.description = ""
    row.save(update_fields=["description"])
    holds(demo, row, "aardvark", no_longer="echidna")


def test_a_copy_of_a_row_is_found_beside_it(demo: Tenant) -> None:
    row = factories.task(demo, title="aardvark")
    first = key(row)
    row.pk = None
    row._state.adding = True
    row.save()
    for _ in range(2):
        assert found(demo, "aardvark") == [key(row), first]
        assert drift(demo.pk) == NO_DRIFT
        merging.merge(demo.pk)


def test_a_text_without_words_is_found_by_nothing_and_no_drift(demo: Tenant) -> None:
    row = factories.task(demo, title="?!")
    for step in (lambda: merging.merge(demo.pk), lambda: rebuild(demo.pk), lambda: merging.merge(demo.pk)):
        assert drift(demo.pk) == NO_DRIFT
        step()
    row.title = "quokka"
    row.save()
    holds(demo, row, "quokka")
    row.title = "--"
    row.save()
    for step in (lambda: merging.merge(demo.pk), lambda: rebuild(demo.pk), lambda: merging.merge(demo.pk)):
        assert (found(demo, "quokka"), drift(demo.pk)) == ([], NO_DRIFT)
        step()


def test_as_much_of_a_long_text_is_found_as_is_searched(demo: Tenant) -> None:
    text = "aardvark " + " ".join(f"w{number:x}" for number in range(500)) + "." * 10_000 + " quokka"
    row = factories.work_order(demo, description=text)
    holds(demo, row, "aardvark w1f3", no_longer="quokka")
    rebuild(demo.pk)
    holds(demo, row, "aardvark w1f3", no_longer="quokka")


# The admin site, the commands


@of_each_text
def test_what_the_admin_site_writes_is_found(demo: Tenant, desk: Client, model: Kind, name: str) -> None:
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    row = MAKE[model](demo, **{name: "aardvark"})
    form = open_form(desk, f"{base}{row.pk}/change/") | {name: "quokka"}
    assert desk.post(f"{base}{row.pk}/change/", form).status_code == 302
    holds(demo, row, "quokka", no_longer="aardvark")


@pytest.mark.parametrize("model", [Site, Asset], ids=["site", "asset"])
def test_what_the_admin_site_deletes_is_not_found(demo: Tenant, desk: Client, model: Kind) -> None:
    row = MAKE[model](demo, name="quokka")
    path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/delete/"
    assert desk.post(path, {"post": "yes"}).status_code == 302
    assert not model.unscoped.filter(pk=row.pk).exists()
    for _ in range(2):
        assert (found(demo, "quokka"), drift(demo.pk)) == ([], NO_DRIFT)
        merging.merge(demo.pk)


def test_what_the_admin_site_creates_is_found(demo: Tenant, desk: Client) -> None:
    form = open_form(desk, "/admin/tasks/task/add/") | {"title": "aardvark"}
    assert desk.post("/admin/tasks/task/add/", form).status_code == 302
    holds(demo, Task.unscoped.get(), "aardvark")


def test_what_is_imported_is_found_with_its_sites_and_assets(demo: Tenant, rival: Tenant, tmp_path: Path) -> None:
    table = "X-1,QUOKKAFIELD,WOMBAT9,Mend the aardvark\nX-2,QUOKKAFIELD,,Paint the echidna\n"
    assert run(demo, tmp_path / "orders.csv", HEADER + table).code == 0
    first, second = WorkOrder.unscoped.order_by("serial")
    for _ in range(2):
        holds(demo, first, "aardvark mend")
        holds(demo, second, "echidna")
        holds(demo, second, second.number)
        holds(demo, Site.unscoped.get(), "quokkafield")
        holds(demo, Asset.unscoped.get(), "WOMBAT9")
        rebuild(demo.pk)
    assert (found(rival, "aardvark"), rows_of_index(rival)) == ([], [[], [], [], []])


def test_what_is_imported_again_is_not_indexed_again(demo: Tenant, tmp_path: Path) -> None:
    table = HEADER + "X-1,QUOKKAFIELD,WOMBAT9,Mend the aardvark\n"
    run(demo, tmp_path / "orders.csv", table)
    merging.merge(demo.pk)
    before = rows_of_index(demo)
    run(demo, tmp_path / "orders.csv", table)
    assert rows_of_index(demo) == before


def test_the_demo_data_are_found(db: None) -> None:
    now = datetime.fromisoformat("2026-11-23T00:00:00+00:00")
    call_command("seed_demo", work_orders=20, password="correct horse", now=now, histories=10, stdout=io.StringIO())
    for slug in ("demo", "rival"):
        owner = Tenant.unscoped.get(slug=slug)
        assert (drift(owner.pk), pending(owner)) == (NO_DRIFT, 0)
        order = WorkOrder.unscoped.filter(tenant=owner).latest("serial")
        assert found(owner, order.number) == [key(order)]
        assert key(order) in found(owner, order.title)
        assert dict(ask(owner, "WO").facets)["WorkOrder"] == WorkOrder.unscoped.filter(tenant=owner).count()
        order.title = "aardvark"
        order.save()
        holds(owner, order, "aardvark")


# A transaction that comes to nothing


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_trace(demo: Tenant, boss: User) -> None:
    row, other = factories.work_order(demo, title="aardvark"), factories.task(demo, title="wombat")
    for _ in range(2):
        before, state = rows_of_index(demo), state_of(demo.pk)
        with tenant_scope(demo.pk), rolled_back():
            services.edit(WorkOrder, item(row), {"title": "quokka"}, actor=boss)
            services.create(Site, written(demo, Site, name="quokka"), actor=boss)
            Task.unscoped.get().delete()
            assert {kind for kind, _ in found(demo, "quokka")} == {"WorkOrder", "Site"}
            assert (found(demo, "wombat"), drift(demo.pk)) == ([], NO_DRIFT)
        assert (rows_of_index(demo), state_of(demo.pk)) == (before, state)
        assert (found(demo, "aardvark"), found(demo, "wombat")) == ([key(row)], [key(other)])
        holds(demo, row, "aardvark", no_longer="quokka")


@pytest.mark.django_db(transaction=True)
def test_the_answer_inside_a_transaction_is_the_transactions_own(demo: Tenant) -> None:
    row = factories.work_order(demo, title="aardvark")
    with transaction.atomic():
        row.title = "quokka"
        row.save()
        assert (found(demo, "quokka"), found(demo, "wombat")) == ([key(row)], [])
        row.title = "wombat"
        row.save()
        assert (found(demo, "quokka"), found(demo, "wombat")) == ([], [key(row)])
    assert (found(demo, "quokka"), found(demo, "wombat")) == ([], [key(row)])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("text", ["ROTTEN, aardvark", "Aardvark  rotten!", "rotten rotten aardvark", "Aardvárk rotten"])
def test_an_answer_shows_the_text_as_it_is_written_now(demo: Tenant, text: str) -> None:
    row = factories.work_order(demo, title="aardvark rotten")

    def shown() -> str:
        (hit,) = ask(demo, "rotten").hits
        return "".join(fragment.text for fragment in hit.highlights[0].fragments)

    for title in ("aardvark rotten", text, "aardvark rotten"):
        row.title = title
        if row.changes():
            row.save()
        assert shown() == title
        merging.merge(demo.pk)
        assert shown() == title


# Pending or merged

WORDS: Final = (  # noqa: SIM905 (shorter than a list)
    "pump pumps pumping seal seals sealed valve valves vlv leak leaking leaks oil hose hoses motor engine engines "
    "left hand side lhs bearing bearings inspect inspection replace replaced repl a/c air conditioner compressor "
    "conveyor WO-12 PH639 AHU-03 AHU-3 3/4 o-ring O-RING 0012 rotor stator the of cylinder cyl reinforcement zz a"
).split()
QUERIES: Final = (
    *("pump", "pmup", "pumps", "sea", "sael", "seal pump", "pump seal oil", "vlv", "valve", "vavle leek", "le", "l e"),
    *("lhs", "left hand side", "lefthand", "a/c", "ac", "air conditioner", "compresor", "conpressor", "conveyer belt"),
    *("PH639", "PH63", "PH638", "ahu3", "AHU-03", "ahu 3", "WO-000003", "WO-3", "T-2", "000004", "o ring", "oring"),
    *("3/4", "34", "12", "rot", "roter", "statr", "cyl", "cylinder", "reinforcment", "reinforcemnt", "inspct", "SITE"),
    *("replace hose", "repl hose", "hosse", "the", "th", "zz", "inspection engine", "engin", "As", "nothing of it"),
)


def corpus(owner: Tenant, chance: Random, count: int) -> list[Any]:
    """Make entities of every kind whose texts are words at random, some of them misspelt."""
    rows = []
    for number in range(count):
        model = SEARCHED[number % len(SEARCHED)]
        texts = {name: phrase(chance) for name in getattr(model, "search").names if name not in {NUMBER, "code"}}  # noqa: B009
        rows.append(MAKE[model](owner, **texts))
    return rows


def phrase(chance: Random) -> str:
    drawn = chance.sample(WORDS, chance.randint(1, 6))
    if chance.random() < 0.5 and len(drawn[0]) > 2:
        cut = chance.randrange(1, len(drawn[0]))
        drawn[0] = drawn[0][:cut] + drawn[0][cut + 1 :]
    return " ".join(drawn)


def answers(owner: Tenant) -> list[Results]:
    """Return what all the queries find: whole, of some kinds, and by pages."""
    given = [ask(owner, text) for text in QUERIES]
    given += [ask(owner, text, *kinds) for text in QUERIES[:8] for kinds in (("Task",), ("Site", "WorkOrder"))]
    for text in ("pump", "leak", "of"):
        first = search(owner.pk, Question(text, (), 2))
        given += [first, search(owner.pk, Question(text, (), 3, after=first.hits[-1].place if first.hits else None))]
    return given


def without_places(given: Iterable[Results]) -> list[Any]:
    """Return answers without the numbers by which the index knows what was found."""
    return [
        (
            [(hit.kind, hit.key, hit.score, hit.highlights) for hit in each.hits],
            (each.has_next, each.total, each.facets, each.did_you_mean),
        )
        for each in given
    ]


@pytest.mark.parametrize("seed", range(2))
def test_pending_and_merged_documents_answer_alike(demo: Tenant, rival: Tenant, seed: int) -> None:
    chance = Random(seed)  # noqa: S311 (nothing is secret)
    rows = corpus(demo, chance, 40)
    corpus(rival, chance, 10)
    given = answers(demo)
    assert sum(each.total > 0 for each in given) > len(given) / 2
    assert merging.merge(demo.pk) == pending_before(demo, rows)
    assert answers(demo) == given
    for row in chance.sample(rows, 15):
        if row.pk % 3 == 0 and not isinstance(row, Site):
            row.delete()
        else:
            name = {Site: "name", Asset: "name", Ticket: "subject"}.get(type(row), "title")
            setattr(row, name, phrase(chance))
            row.save()
    corpus(demo, chance, 15)
    given, waiting = answers(demo), pending(demo)
    assert 25 < waiting < 35
    assert drift(demo.pk) == NO_DRIFT
    assert (merging.merge(demo.pk), pending(demo)) == (waiting, 0)
    assert (answers(demo), drift(demo.pk)) == (given, NO_DRIFT)
    empty_index(demo)
    assert {each.total for each in answers(demo)} == {0}
    rebuild(demo.pk)
    assert (without_places(answers(demo)), drift(demo.pk)) == (without_places(given), NO_DRIFT)


def pending_before(owner: Tenant, rows: list[Any]) -> int:
    """Return how many documents must have been pending: of these rows, and of the sites of the assets among them."""
    return len(rows) + sum(isinstance(row, Asset) for row in rows)


def empty_index(owner: Tenant) -> None:
    for table in TABLES:
        execute(f"DELETE FROM {table._meta.db_table} WHERE tenant_id = %s", owner.pk)  # noqa: S608 (our own names)


@settings(
    deadline=None,
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    titles=st.lists(st.text("abcde 01-é", min_size=1, max_size=24), min_size=1, max_size=6),
    queries=st.lists(st.text("abcde 01-é", min_size=2, max_size=12), min_size=3, max_size=8),
)
def test_any_texts_answer_alike_pending_or_merged(db: None, titles: list[str], queries: list[str]) -> None:
    owner = factories.tenant()
    for title in titles:
        factories.task(owner, title=f"{title}.")
    given = [answer(owner, text) for text in (*queries, *titles)]
    merging.merge(owner.pk)
    assert ([answer(owner, text) for text in (*queries, *titles)], drift(owner.pk)) == (given, NO_DRIFT)


# Merging by itself


@pytest.mark.django_db(transaction=True)
def test_the_250th_pending_document_has_all_merged(demo: Tenant) -> None:
    for _ in range(249):
        factories.task(demo, title="aardvark")
    assert (pending(demo), state_of(demo.pk)[0]) == (249, "None")
    row = factories.task(demo, title="quokka")
    assert (pending(demo), state_of(demo.pk)[0] == "None") == (0, False)
    assert (drift(demo.pk), found(demo, "quokka"), ask(demo, "aardvark").total) == (NO_DRIFT, [key(row)], 249)


@pytest.mark.django_db(transaction=True)
def test_an_import_of_250_rows_merges_them(demo: Tenant, tmp_path: Path) -> None:
    table = "".join(f"X-{number},S,,Mend the aardvark\n" for number in range(250))
    run(demo, tmp_path / "orders.csv", HEADER + table)
    assert (pending(demo), ask(demo, "aardvark").total, drift(demo.pk)) == (0, 250, NO_DRIFT)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_merged_before_the_commit_nor_after_a_roll_back(
    demo: Tenant, rival: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MANY", 5)
    for _ in range(4):
        factories.task(demo, title="aardvark")
        factories.task(rival, title="aardvark")
    before = rows_of_index(demo)
    with rolled_back():
        factories.task(demo, title="quokka")
        factories.task(demo, title="quokka")
        assert pending(demo) == 6
    assert rows_of_index(demo) == before
    with transaction.atomic():
        row = factories.task(demo, title="quokka")
        assert pending(demo) == 5
    assert (pending(demo), pending(rival), drift(demo.pk)) == (0, 4, NO_DRIFT)
    assert (found(demo, "quokka"), ask(demo, "aardvark").total, found(rival, "quokka")) == ([key(row)], 4, [])


@pytest.mark.django_db(transaction=True)
def test_a_merge_that_fails_fails_no_change_and_is_made_up_by_the_next(
    demo: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(documents, "MANY", 3)

    def fail(tenant_id: int) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(receivers, "merge", fail)
        rows = [factories.task(demo, title="aardvark") for _ in range(4)]
    assert [record.levelname for record in caplog.records if "on_commit" in record.message] == ["ERROR"] * 2
    assert (pending(demo), drift(demo.pk)) == (4, NO_DRIFT)
    assert found(demo, "aardvark") == [key(row) for row in reversed(rows)]
    rows.append(factories.task(demo, title="aardvark"))
    assert (pending(demo), drift(demo.pk)) == (0, NO_DRIFT)
    assert found(demo, "aardvark") == [key(row) for row in reversed(rows)]


@pytest.mark.django_db(transaction=True)
def test_a_merge_that_fails_half_way_leaves_all_pending(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row = factories.task(demo, title="aardvark")
    before = rows_of_index(demo)

    def fail(tenant_id: int) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(merging, "mark_changed", fail)
        with pytest.raises(ZeroDivisionError):
            merging.merge(demo.pk)
    assert rows_of_index(demo)[:2] == [[], []]
    assert (rows_of_index(demo), drift(demo.pk)) == (before, NO_DRIFT)
    holds(demo, row, "aardvark")


def test_more_than_a_batch_is_merged_batch_by_batch(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "BATCH", 4)
    rows = [factories.task(demo, title="aardvark") for _ in range(10)]
    assert [merging.merge(demo.pk), merging.merge(demo.pk), pending(demo)] == [10, 0, 0]
    assert (drift(demo.pk), found(demo, "aardvark")) == (NO_DRIFT, [key(row) for row in reversed(rows)])


# Damage, and its repair

Damage = Callable[[Tenant, Any, Any], object]


def word_id(owner: Tenant, text: str) -> int:
    with tenant_scope(owner.pk):
        return Word.objects.get(text=text).pk


def number_of(row: Any) -> int:
    with tenant_scope(row.tenant_id):
        return Document.objects.get(kind=type(row).__name__, entity_id=row.pk).pk


def set_words(row: Any, words: list[str], column: str = "words") -> int:
    statement = f"UPDATE search_document SET {column} = %s WHERE id = %s"  # noqa: S608 (our own names)
    return execute(statement, words, number_of(row))


def rename(row: Any, title: str) -> int:
    return factories.force(type(row).unscoped.filter(pk=row.pk), title=title)


ITS_OWN: Final = {"quokka", "qu*", "q*", "#Task"}
"""The entries that list the row that is damaged and no other; but the kind lists others, too."""

DAMAGES: Final[dict[str, tuple[Damage, bool, set[str]]]] = {
    "a posting is missing": (
        lambda owner, _row, _other: execute("DELETE FROM search_posting WHERE word_id = %s", word_id(owner, "quokka")),
        False,
        {"quokka"},
    ),
    "a posting lists too much": (
        lambda owner, row, other: execute(
            "UPDATE search_posting SET numbers = %s WHERE word_id = %s",
            BitMap([number_of(row), number_of(other)]).serialize(),
            word_id(owner, "quokka"),
        ),
        False,
        {"quokka"},
    ),
    "a posting lists what there is not": (
        lambda owner, _row, _other: execute(
            "INSERT INTO search_posting (tenant_id, word_id, weight, chunk, numbers) VALUES (%s, %s, 'c', 7, %s)",
            owner.pk,
            word_id(owner, "quokka"),
            BitMap([7 << 16]).serialize(),
        ),
        False,
        {"quokka"},
    ),
    "a word is missing": (
        lambda owner, _row, _other: execute("DELETE FROM search_word WHERE id = %s", word_id(owner, "quokka")),
        False,
        {"quokka", "its id"},
    ),
    "two words are missing": (
        lambda owner, _row, _other: execute(
            "DELETE FROM search_word WHERE id = ANY(%s)", [word_id(owner, "quokka"), word_id(owner, "aa*")]
        ),
        False,
        {"quokka", "aa*", "its id"},
    ),
    "a document is missing": (
        lambda _owner, row, _other: execute("DELETE FROM search_document WHERE id = %s", number_of(row)),
        True,
        ITS_OWN,
    ),
    "a document says something else": (
        lambda _owner, row, _other: set_words(row, ["a:zebra"]),
        True,
        (ITS_OWN | {"zebra", "ze*", "z*"}) - {"#Task"},
    ),
    "a document says nothing": (lambda _owner, row, _other: set_words(row, []), True, ITS_OWN),
    "a document is taken for pending and not in the postings": (
        lambda _owner, row, _other: execute("UPDATE search_document SET pending = true WHERE id = %s", number_of(row)),
        False,
        ITS_OWN,
    ),
    "an entity was changed behind the index": (lambda _owner, row, _other: rename(row, "zebra"), True, set()),
    "an entity was deleted behind the index": (
        lambda _owner, row, _other: execute("DELETE FROM tasks_task WHERE id = %s", row.pk),
        True,
        set(),
    ),
}


@pytest.fixture(params=DAMAGES)
def damaged(request: pytest.FixtureRequest, demo: Tenant, rival: Tenant) -> tuple[Any, Any, bool, set[str]]:
    """Return two rows, the first of which the index is wrong about, whether by its document and in which entries."""
    row, other = factories.task(demo, title="quokka"), factories.task(demo, title="aardvark")
    factories.task(rival, title="quokka")
    merging.merge(demo.pk)
    merging.merge(rival.pk)
    assert drift(demo.pk) == NO_DRIFT
    damage, by_document, words = DAMAGES[request.param]
    damage(demo, row, other)
    return row, other, by_document, words


def test_each_damage_is_named(demo: Tenant, rival: Tenant, damaged: tuple[Any, Any, bool, set[str]]) -> None:
    row, _, by_document, words = damaged
    before = rows_of_index(demo)
    told = drift(demo.pk)
    assert told.documents == ([key(row)] if by_document else [])
    assert {"its id" if place.word.isdigit() else place.word for place in told.entries} == words
    assert (drift(rival.pk), rows_of_index(demo)) == (NO_DRIFT, before)


def test_each_damage_is_told_by_the_check_and_mended_by_the_rebuild(
    demo: Tenant, rival: Tenant, damaged: tuple[Any, Any, bool, set[str]]
) -> None:
    row, other, by_document, words = damaged
    out, theirs = io.StringIO(), rows_of_index(rival)
    with pytest.raises(CommandError, match=rf"has drifted: {demo.slug}\. Run rebuild_search_index") as caught:
        call_command("check_search_index", stdout=out)
    assert caught.value.returncode == 1
    lines = dict(line.split(": ", 1) for line in out.getvalue().splitlines())
    assert lines[rival.slug] == "1 entities; the index is true"
    assert f"{int(by_document)} documents differ" in lines[demo.slug]
    assert (f"Task {row.pk}" in lines[demo.slug]) == by_document
    assert all(f"{word} (" in lines[demo.slug] for word in words if word != "its id")
    call_command("rebuild_search_index", tenant=demo.slug, stdout=io.StringIO())
    call_command("check_search_index", stdout=io.StringIO())
    assert (drift(demo.pk), rows_of_index(rival)) == (NO_DRIFT, theirs)
    holds(demo, other, "aardvark")
    kept = Task.unscoped.filter(pk=row.pk).first()
    if kept:
        holds(demo, row, kept.title, no_longer="quokka" if kept.title == "zebra" else "zebra")
    else:
        assert found(demo, "quokka") == []


def test_a_rebuild_gives_each_its_number_again(demo: Tenant, rival: Tenant) -> None:
    rows = corpus(demo, Random(5), 20)  # noqa: S311 (nothing is secret)
    corpus(rival, Random(6), 10)  # noqa: S311
    numbers, theirs = list(map(number_of, rows)), rows_of_index(rival)
    given = answers(demo)
    rebuild(demo.pk)
    assert (list(map(number_of, rows)), rows_of_index(rival)) == (numbers, theirs)
    assert (answers(demo), drift(demo.pk)) == (given, NO_DRIFT)


def test_a_rebuild_from_nothing_finds_the_newest_first(demo: Tenant) -> None:
    rows = [MAKE[model](demo, **{name: "aardvark"}) for model, name in TEXTS if name in {"title", "subject", "name"}]
    empty_index(demo)
    rebuild(demo.pk)
    assert pending(demo) == 0
    assert found(demo, "aardvark") == [key(row) for row in reversed(rows)]


def test_a_rebuild_goes_batch_by_batch(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.search.rebuilding.BATCH", 3)
    monkeypatch.setattr("apps.search.postings.BATCH", 3)
    rows = [factories.task(demo, title=f"aardvark {number}") for number in range(10)]
    empty_index(demo)
    ticks: list[int] = []
    rebuild(demo.pk, ticks.append)
    assert ticks == [3, 3, 3, 1]
    ticks.clear()
    assert (drift(demo.pk, ticks.append), ticks) == (NO_DRIFT, [3, 3, 3, 1])
    assert found(demo, "aardvark") == [key(row) for row in reversed(rows)]


# The commands


def told(command: str, **options: Any) -> list[str]:
    """Run a command and return the tenants that it speaks of."""
    out = io.StringIO()
    call_command(command, stdout=out, **options)
    return [line.split(":")[0] for line in out.getvalue().splitlines()]


def test_the_commands_take_one_tenant_or_all(demo: Tenant, rival: Tenant) -> None:
    for owner in (demo, rival):
        factories.task(owner, title="aardvark")
    both = sorted([demo.slug, rival.slug])
    theirs = rows_of_index(rival)
    assert told("rebuild_search_index", tenant=demo.slug) == [demo.slug]
    assert rows_of_index(rival) == theirs
    assert told("check_search_index", tenant=demo.slug) == [demo.slug]
    assert told("rebuild_search_index") == both
    assert told("check_search_index") == both


def test_the_check_of_one_tenant_does_not_mind_the_others(demo: Tenant, rival: Tenant) -> None:
    for owner in (demo, rival):
        factories.task(owner, title="aardvark")
    empty_index(rival)
    assert told("check_search_index", tenant=demo.slug) == [demo.slug]
    with pytest.raises(CommandError, match=f"drifted: {rival.slug}"):
        call_command("check_search_index", tenant=rival.slug, stdout=io.StringIO())


def test_missing_rebuilds_only_where_there_is_no_index(demo: Tenant, rival: Tenant) -> None:
    for owner in (demo, rival):
        factories.task(owner, title="aardvark")
    rebuild(demo.pk)
    empty_index(rival)
    ours = rows_of_index(demo)
    assert told("rebuild_search_index", missing=True) == [rival.slug]
    assert (rows_of_index(demo), drift(rival.pk), ask(rival, "aardvark").total) == (ours, NO_DRIFT, 1)
    assert told("rebuild_search_index", missing=True) == []
    assert told("rebuild_search_index", missing=True, tenant=demo.slug) == []


def test_missing_rebuilds_where_only_what_is_new_was_ever_indexed(demo: Tenant) -> None:
    older = factories.task(demo, title="aardvark")
    empty_index(demo)
    newer = factories.task(demo, title="quokka")
    merging.merge(demo.pk)
    assert found(demo, "aardvark") == []
    assert told("rebuild_search_index", missing=True) == [demo.slug]
    holds(demo, older, "aardvark")
    holds(demo, newer, "quokka")
    assert told("rebuild_search_index", missing=True) == []


@pytest.mark.parametrize("command", ["rebuild_search_index", "check_search_index"])
def test_an_unknown_tenant_is_answered_with_those_there_are(demo: Tenant, rival: Tenant, command: str) -> None:
    with pytest.raises(CommandError) as caught:
        call_command(command, tenant="nobody")
    slugs = ", ".join(sorted([demo.slug, rival.slug]))
    assert str(caught.value) == f"There is no tenant nobody. Name one of these: {slugs}."
