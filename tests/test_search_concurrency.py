"""Searches, changes, merges and rebuilds at the same time, each on a connection of its own; and answers in Redis."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from random import Random
from threading import Event, Lock
from typing import Any, Final

import pytest
from django.conf import settings as project_settings
from django.core.cache import cache as redis
from django.db import transaction
from django.test import override_settings

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.lifecycle import services as lifecycle
from apps.search import cache, documents, merging, services
from apps.search.finding import Index
from apps.search.rebuilding import Drift, drift, rebuild
from apps.search.services import Question, Results, search, state_of
from apps.tasks.models import Task
from apps.throttle import server as throttle
from apps.work_orders.models import WorkOrder
from tests import factories
from tests.test_concurrency import PATIENCE, Call, at_once, until_somebody_waits
from tests.test_search_index import empty_index, found, key, pending, rolled_back
from tests.writing import item

pytestmark = pytest.mark.django_db(transaction=True)

NO_DRIFT: Final = Drift([], [])
ANOTHER: Final = count(100)

Work = Callable[[], Any]


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


def ask_anew(owner: Tenant, text: str) -> Results:
    """Ask for a page of a size that nobody has asked for, so that no answer is remembered."""
    return search(owner.pk, Question(text, (), next(ANOTHER)))


def title_of(results: Results) -> str:
    (hit,) = results.hits
    return "".join(fragment.text for fragment in hit.highlights[0].fragments)


class Held:
    """A function that is held before it runs, the first time that it is called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.reached, self.released = Event(), Event()

    def __call__(self, *args: Any, **options: Any) -> Any:
        if not self.reached.is_set():
            self.reached.set()
            assert self.released.wait(PATIENCE)
        return self._function(*args, **options)


class Counted:
    """A function that takes a while, and counts its calls."""

    def __init__(self, function: Callable[..., Any], seconds: float = 0.1) -> None:
        self._function, self._seconds, self._lock = function, seconds, Lock()
        self.calls = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._lock:
            self.calls += 1
        time.sleep(self._seconds)
        return self._function(*args, **options)


def until(done: Event, work: Work) -> list[Any]:
    """Do it again and again until something is done, and once more; return what each time returned."""
    outcomes = []
    while not done.is_set():
        outcomes.append(work())
    return [*outcomes, work()]


# Merges


def test_of_two_merges_at_once_one_does_the_work(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        factories.task(demo, title=f"aardvark {number}")
    held = Held(merging.mark_changed)
    monkeypatch.setattr(merging, "mark_changed", held)
    first = Call(demo.pk, lambda: merging.merge(demo.pk))
    assert held.reached.wait(PATIENCE)
    second = Call(demo.pk, lambda: merging.merge(demo.pk))
    assert (second.result(), pending(demo)) == (0, 30)
    held.released.set()
    assert (first.result(), pending(demo), drift(demo.pk)) == (30, 0, NO_DRIFT)


def test_merges_that_start_at_the_same_moment_merge_each_document_once(demo: Tenant) -> None:
    for number in range(30):
        factories.task(demo, title=f"aardvark {number}")
    outcomes = at_once(demo, [lambda: merging.merge(demo.pk)] * 6)
    assert sorted(outcomes) == [0, 0, 0, 0, 0, 30]
    assert (pending(demo), drift(demo.pk)) == (0, NO_DRIFT)


def test_tenants_merge_beside_each_other(demo: Tenant, rival: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.task(demo, title="aardvark")
    factories.task(rival, title="aardvark")
    held = Held(merging.mark_changed)
    monkeypatch.setattr(merging, "mark_changed", held)
    first = Call(demo.pk, lambda: merging.merge(demo.pk))
    assert held.reached.wait(PATIENCE)
    assert Call(rival.pk, lambda: merging.merge(rival.pk)).result() == 1
    held.released.set()
    assert first.result() == 1


def test_nobody_who_changes_an_entity_waits_long_for_a_merge_and_nothing_is_lost(
    demo: Tenant, boss: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, other = factories.task(demo, title="aardvark"), factories.task(demo, title="aardvark")
    held = Held(merging.mark_changed)
    monkeypatch.setattr(merging, "mark_changed", held)
    merge = Call(demo.pk, lambda: merging.merge(demo.pk))
    assert held.reached.wait(PATIENCE)
    created = Call(demo.pk, lambda: lifecycle.create(Task, {"title": "quokka"}, actor=boss)).result()
    edit = Call(demo.pk, lambda: lifecycle.edit(Task, item(row), {"title": "wombat"}, actor=boss))
    until_somebody_waits()
    delete = Call(demo.pk, other.delete)
    held.released.set()
    assert (merge.result(), edit.result().title, delete.result()[0]) == (2, "wombat", 1)
    for _ in range(2):
        assert (found(demo, "quokka"), found(demo, "wombat"), found(demo, "aardvark")) == (
            [key(created)],
            [key(row)],
            [],
        )
        assert drift(demo.pk) == NO_DRIFT
        merging.merge(demo.pk)


def test_a_merge_passes_by_what_is_being_changed(demo: Tenant) -> None:
    row, other = factories.task(demo, title="aardvark"), factories.task(demo, title="aardvark")
    with transaction.atomic():
        row.title = "quokka"
        row.save()
        assert Call(demo.pk, lambda: merging.merge(demo.pk)).result() == 1
        assert Call(demo.pk, lambda: found(demo, "aardvark")).result() == [key(other), key(row)]
    assert (found(demo, "aardvark"), found(demo, "quokka"), pending(demo)) == ([key(other)], [key(row)], 1)
    assert (merging.merge(demo.pk), drift(demo.pk)) == (1, NO_DRIFT)


# Everybody at once


class Writer:
    """Somebody who makes, changes and deletes tasks, and knows which words must find each."""

    def __init__(self, name: str, boss: User, chance: Random) -> None:
        self._name, self._boss, self._chance, self._numbers = name, boss, chance, count(100)
        self._rows: list[Any] = []
        self.expected: dict[str, int | None] = {}

    def work(self, times: int) -> None:
        for _ in range(times):
            choice = self._chance.random()
            if choice < 0.4 or not self._rows:
                self._rows.append(lifecycle.create(Task, {"title": self._title()}, actor=self._boss))
                self.expected[self._word(self._rows[-1])] = self._rows[-1].pk
            elif choice < 0.8:
                self._change(self._chance.randrange(len(self._rows)))
            else:
                row = self._rows.pop(self._chance.randrange(len(self._rows)))
                self.expected[self._word(row)] = None
                row.delete()

    def _change(self, place: int) -> None:
        row = self._rows[place]
        self.expected[self._word(row)] = None
        title = self._title()
        if self._chance.random() < 0.5:
            row = lifecycle.edit(Task, item(row), {"title": title}, actor=self._boss)
        else:
            row.title = title
            row.save()
        self._rows[place] = row
        self.expected[self._word(row)] = row.pk

    def _title(self) -> str:
        return f"{self._name}{next(self._numbers)} common {self._chance.choice(['pump', 'seal', 'valve'])}"

    def _word(self, row: Any) -> str:
        return str(row.title.split()[0])


@pytest.mark.parametrize("built", [True, False], ids=["built", "not built yet"])
def test_writers_merges_and_rebuilds_at_once_leave_the_index_true(
    demo: Tenant, boss: User, monkeypatch: pytest.MonkeyPatch, built: bool
) -> None:
    older = [factories.task(demo, title=f"older{100 + number} common") for number in range(20)]
    if built:
        rebuild(demo.pk)
    else:
        empty_index(demo)
    monkeypatch.setattr(documents, "MANY", 6)
    monkeypatch.setattr(merging, "BATCH", 4)
    monkeypatch.setattr("apps.search.rebuilding.BATCH", 7)
    writers = [Writer(name, boss, Random(seed)) for seed, name in enumerate(("ant", "bee", "cow"))]  # noqa: S311
    done = Event()
    others = [Call(demo.pk, partial(until, done, partial(work, demo.pk))) for work in (merging.merge, rebuild)]
    calls = [Call(demo.pk, partial(writer.work, 30)) for writer in writers]
    try:
        assert [call.result() for call in calls] == [None] * len(writers)
    finally:
        done.set()
    assert [type(call.result()) for call in others] == [list] * 2, [call.outcome for call in others]
    expected = {word: pk for writer in writers for word, pk in writer.expected.items()}
    expected |= {task.title.split()[0]: task.pk for task in older}
    for _ in range(2):
        assert drift(demo.pk) == NO_DRIFT
        wrong = {word: pk for word, pk in expected.items() if found(demo, word) != ([("Task", pk)] if pk else [])}
        assert wrong == {}
        assert search(demo.pk, Question("common", (), 1)).total == Task.unscoped.count()
        merging.merge(demo.pk)


def test_a_rebuild_and_a_transaction_of_several_changes_do_not_wait_in_a_circle(demo: Tenant) -> None:
    rows = [factories.task(demo, title="aardvark") for _ in range(2)]
    merging.merge(demo.pk)
    with transaction.atomic():
        rows[1].title = "quokka"
        rows[1].save()
        call = Call(demo.pk, lambda: rebuild(demo.pk))
        time.sleep(0.3)
        rows[0].title = "wombat"
        rows[0].save()
    assert call.result() is None
    assert (drift(demo.pk), found(demo, "quokka"), found(demo, "wombat")) == (NO_DRIFT, [key(rows[1])], [key(rows[0])])


# Searches while others write


@pytest.mark.parametrize("way", ["merge", "rebuild", "both"])
def test_a_search_meanwhile_sees_each_document_once(demo: Tenant, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(merging, "BATCH", 2)
    rows = [factories.task(demo, title=f"aardvark {number}") for number in range(40)]
    done, seen = Event(), {key(row) for row in rows}
    searchers = [
        Call(demo.pk, partial(until, done, lambda: [(hit.kind, hit.key) for hit in ask_anew(demo, "aardvark").hits]))
        for _ in range(2)
    ]
    try:
        if way != "rebuild":
            assert merging.merge(demo.pk) == 40
        for row in rows[:20]:
            row.title = f"{row.title} again"
            row.save()
        if way != "merge":
            rebuild(demo.pk)
        merging.merge(demo.pk)
    finally:
        done.set()
    assert (pending(demo), drift(demo.pk)) == (0, NO_DRIFT)
    for searcher in searchers:
        outcomes = searcher.result()
        assert len(outcomes) > 1
        assert {(len(outcome), frozenset(outcome) == seen) for outcome in outcomes} == {(40, True)}


def test_a_search_sees_all_of_a_commit_or_nothing(demo: Tenant) -> None:
    rows = [factories.task(demo, title="aardvark") for _ in range(4)]
    done = Event()

    def totals() -> tuple[int, ...]:
        results = ask_anew(demo, "aardvark")
        return results.total, len(results.hits), *(found for _, found in results.facets)

    searcher = Call(demo.pk, partial(until, done, totals))
    try:
        for turn in range(10):
            with transaction.atomic():
                for row in rows:
                    row.title = "quokka" if turn % 2 == 0 else "aardvark"
                    row.save()
            if turn % 3 == 0:
                merging.merge(demo.pk)
    finally:
        done.set()
    assert set(searcher.result()) == {(0, 0), (4, 4, 4)}


def test_a_search_that_began_before_a_commit_answers_as_of_then(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row, other = factories.task(demo, title="aardvark one"), factories.task(demo, title="wombat")
    held = Held(Index._read_postings)
    monkeypatch.setattr(Index, "_read_postings", lambda *args: held(*args))  # noqa: PLW0108 (only a function is bound)
    began = Call(demo.pk, lambda: search(demo.pk, Question("aardvark", (), 10)))
    assert held.reached.wait(PATIENCE)
    row.title = "quokka"
    row.save()
    other.title = "aardvark two"
    other.save()
    merging.merge(demo.pk)
    rebuild(demo.pk)
    held.released.set()
    results = began.result()
    assert ([(hit.kind, hit.key) for hit in results.hits], title_of(results)) == ([key(row)], "aardvark one")
    assert title_of(search(demo.pk, Question("aardvark", (), 10))) == "aardvark two"


# Remembered answers


def test_no_search_after_a_commit_returns_an_answer_from_before(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MANY", 5)
    row = factories.work_order(demo, title="aardvark turn 0")
    done, committed = Event(), [0]

    def stale() -> tuple[int, int] | None:
        due = committed[0]
        title = title_of(search(demo.pk, Question("aardvark", (), 10)))
        turn = int(title.split()[-1])
        return None if turn >= due else (turn, due)

    searchers = [Call(demo.pk, partial(until, done, stale)) for _ in range(3)]
    try:
        for turn in range(1, 40):
            if turn % 7 == 0:
                factories.task(demo)
            row.title = f"aardvark turn {turn}"
            row.save()
            committed[0] = turn
            assert stale() is None
    finally:
        done.set()
    for searcher in searchers:
        outcomes = searcher.result()
        assert len(outcomes) > 10
        assert set(outcomes) == {None}


def test_a_commit_of_another_is_seen_by_the_next_search_whatever_it_changes(demo: Tenant, boss: User) -> None:
    order = factories.work_order(demo, title="aardvark")
    texts = ("AARDVARK", "aardvark quokka", "quokka aardvark", "Aardvark, quokka!", "aardvark", "aardvárk", "aardvark.")
    for text in texts:
        shown = title_of(search(demo.pk, Question("aardvark", (), 10)))
        assert shown != text
        edit = Call(demo.pk, partial(lifecycle.edit, WorkOrder, item(order), {"title": text}, actor=boss))
        order = edit.result()
        assert title_of(search(demo.pk, Question("aardvark", (), 10))) == text


def test_what_is_not_committed_is_neither_seen_nor_remembered(demo: Tenant) -> None:
    row = factories.task(demo, title="aardvark")
    questions = [Question(text, (), 10) for text in ("aardvark", "quokka")]

    def totals() -> list[int]:
        return [search(demo.pk, question).total for question in questions]

    assert totals() == [1, 0]
    state = state_of(demo.pk)
    with rolled_back():
        row.title = "quokka"
        row.save()
        assert totals() == [0, 1]
        assert Call(demo.pk, totals).result() == [1, 0]
    assert (totals(), state_of(demo.pk)) == ([1, 0], state)


def test_an_answer_is_remembered_until_something_is_committed(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(services._computed, 0)
    monkeypatch.setattr(services, "_computed", counted)
    row = factories.task(demo, title="aardvark")
    question = Question("aardvark", (), 10)
    first = search(demo.pk, question)
    assert (search(demo.pk, question), counted.calls) == (first, 1)
    assert (search(demo.pk, Question(" AARDVARK  ", (), 10)).hits, counted.calls) == (first.hits, 2)
    row.title = "aardvark again"
    steps: list[Work] = [lambda: merging.merge(demo.pk), row.save, lambda: factories.synonym(demo)]
    for n, step in enumerate(steps, 3):
        step()
        search(demo.pk, question)
        search(demo.pk, question)
        assert counted.calls == n


def test_tenants_do_not_share_answers(demo: Tenant, rival: Tenant) -> None:
    question = Question("aardvark", (), 10)
    assert (search(demo.pk, question).total, search(rival.pk, question).total) == (0, 0)
    ours, theirs = factories.task(demo, title="aardvark"), factories.task(rival, title="aardvark")
    for _ in range(2):
        assert [hit.key for hit in search(demo.pk, question).hits] == [ours.pk]
        assert [hit.key for hit in search(rival.pk, question).hits] == [theirs.pk]


def test_of_eight_who_ask_the_same_at_once_one_computes(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row = factories.task(demo, title="aardvark")
    counted = Counted(services._computed, 0.3)
    monkeypatch.setattr(services, "_computed", counted)
    outcomes = at_once(demo, [lambda: search(demo.pk, Question("aardvark", (), 10))] * 8)
    assert [[hit.key for hit in outcome.hits] for outcome in outcomes] == [[row.pk]] * 8, outcomes
    assert counted.calls == 1


def test_when_the_one_who_computes_fails_the_others_go_on(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    row = factories.task(demo, title="aardvark")
    compute, first = services._computed, Lock()

    def fail_once(*args: Any) -> Any:
        if first.acquire(blocking=False):
            time.sleep(0.2)
            raise ZeroDivisionError
        return compute(*args)

    counted = Counted(fail_once, 0)
    monkeypatch.setattr(services, "_computed", counted)
    outcomes = at_once(demo, [lambda: search(demo.pk, Question("aardvark", (), 10))] * 8)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert [type(error) for error in failed] == [ZeroDivisionError]
    assert [[hit.key for hit in outcome.hits] for outcome in outcomes if outcome not in failed] == [[row.pk]] * 7
    assert counted.calls == 2


def key_of(owner: Tenant, text: str, first: int = 10) -> str:
    asked = [text, (), first, None, True]
    return cache.key_of(owner.pk, ":".join(state_of(owner.pk)), asked)


def test_one_who_died_while_computing_is_waited_for_no_longer_than_a_while(
    demo: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "LOCKED_FOR", 0.5)
    row = factories.task(demo, title="aardvark")
    redis.set(cache._lock(key_of(demo, "aardvark")), "somebody", 60)
    started = time.monotonic()
    assert [hit.key for hit in search(demo.pk, Question("aardvark", (), 10)).hits] == [row.pk]
    assert 0.4 < time.monotonic() - started < 5
    assert redis.get(cache._lock(key_of(demo, "aardvark"))) == "somebody"


def test_one_who_computes_for_too_long_does_not_release_the_lock_of_the_next(
    demo: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.task(demo, title="aardvark")
    lock, compute = cache._lock(key_of(demo, "aardvark")), services._computed

    def overtaken(*args: Any) -> Any:
        redis.set(lock, "the next", 60)
        return compute(*args)

    monkeypatch.setattr(services, "_computed", overtaken)
    assert search(demo.pk, Question("aardvark", (), 10)).total == 1
    assert redis.get(lock) == "the next"


def test_a_commit_while_somebody_computes_leaves_the_newer_answer_to_those_who_wait(
    demo: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = factories.task(demo, title="aardvark")
    before = key_of(demo, "aardvark")
    held = Held(services._computed)
    monkeypatch.setattr(services, "_computed", held)
    began = Call(demo.pk, lambda: search(demo.pk, Question("aardvark", (), 10)))
    assert held.reached.wait(PATIENCE)
    row.title = "quokka"
    row.save()
    held.released.set()
    assert began.result().total == 0
    assert redis.get(before) == redis.get(key_of(demo, "aardvark")) is not None


# Redis is away


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Iterator[override_settings]:
    """Return what takes Redis away; it is asked again at once when it is back."""
    monkeypatch.setattr(throttle, "REST", 0.2)
    monkeypatch.setattr(throttle.server, "_away", False)
    monkeypatch.setattr(throttle.server, "_try_again_at", 0.0)
    default = project_settings.CACHES["default"]
    yield override_settings(CACHES={"default": {**default, "LOCATION": "redis://127.0.0.1:1/0"}})
    throttle.server._away = False


def test_without_redis_the_answers_are_right_and_the_log_says_so_once(
    demo: Tenant, outage: override_settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(services._computed, 0)
    monkeypatch.setattr(services, "_computed", counted)
    row, question = factories.task(demo, title="aardvark"), Question("aardvark", (), 10)
    answer = search(demo.pk, question)
    caplog.clear()
    with caplog.at_level(logging.WARNING), outage:
        for _ in range(3):
            assert search(demo.pk, question) == answer
        assert at_once(demo, [lambda: search(demo.pk, question)] * 4) == [answer] * 4
        time.sleep(0.25)
        assert search(demo.pk, question) == answer
        row.title = "aardvark again"
        row.save()
        assert title_of(search(demo.pk, question)) == "aardvark again"
    assert [record.message.split(";")[0] for record in caplog.records] == ["Redis is away"]
    calls = counted.calls
    assert calls == 1 + 9
    time.sleep(0.25)
    assert [title_of(search(demo.pk, question)) for _ in range(3)] == ["aardvark again"] * 3
    assert counted.calls == calls + 1
    assert [record.message.split(".")[0] for record in caplog.records[1:]] == ["Redis is back"]


def fail(*_: Any) -> Any:
    raise ZeroDivisionError


def test_while_redis_rests_nobody_asks_it(
    demo: Tenant, outage: override_settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.task(demo, title="aardvark")
    monkeypatch.setattr(throttle, "REST", 60)
    with outage:
        search(demo.pk, Question("aardvark", (), 10))
        monkeypatch.setattr(cache, "_lock", fail)
        assert ask_anew(demo, "aardvark").total == 1
