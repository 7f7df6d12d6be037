"""What is declared to be searched is proved, and what the search does when something is not as it should be."""

import logging
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.core.cache import cache as redis
from django.db import OperationalError

from apps.accounts.models import Tenant
from apps.helpdesk.models import Ticket
from apps.search import cache, rebuilding
from apps.search.checks import check_searched
from apps.search.declaration import Searched, searched_models
from apps.search.models import Document, Index, Posting, Word
from apps.work_orders.models import WorkOrder
from schema.reads import render


def complaints() -> list[tuple[str | None, str]]:
    return [(error.id, error.msg) for error in check_searched()]


def test_all_that_is_searched_is_text_and_nobodys_own() -> None:
    assert sorted(searched_models()) == ["Asset", "Site", "Task", "Ticket", "WorkOrder"]
    assert complaints() == []


@pytest.mark.parametrize("name", ["due_at", "serial", "no_such_column"])
def test_what_is_no_text_is_not_searched(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(WorkOrder, "search", Searched(a=("number", "title"), c=(name,)))
    assert complaints() == [("search.E001", f"WorkOrder.{name} is searched and is no text.")]


def test_personal_data_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ticket, "search", Searched(a=("subject",), b=("requester_name",)))
    assert complaints() == [("search.E002", "Ticket.requester_name is searched and holds personal data.")]


def test_the_rows_of_the_index_say_what_they_are() -> None:
    rows = [
        Document(kind="Task", entity_id=7),
        Word(text="valve"),
        Posting(word_id=3, weight="a", chunk=1),
        Index(pk=5),
    ]
    assert list(map(str, rows)) == ["Task:7", "valve", "3/a/1", "5"]


def test_an_answer_that_came_between_the_look_and_the_lock_is_taken() -> None:
    key = f"search:{uuid4().hex}"
    redis.set(key, orjson.dumps({"total": 1}), 60)

    def compute() -> Any:
        raise AssertionError

    assert cache._computed(key, compute, "token") == ({"total": 1}, True)


def test_a_list_that_can_not_be_rendered_is_left_to_the_executor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        return lambda _: 1 / 0

    nothing: Any = None
    monkeypatch.setattr(render, "render_of", broken)
    items = [object()]
    with caplog.at_level(logging.ERROR):
        assert render.rendered(nothing, nothing, nothing, items) is items
    assert [record.message for record in caplog.records] == ["A list could not be rendered"]


def test_a_rebuild_inside_a_transaction_does_not_try_again(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def locked(tenant_id: int, *_: Any, **__: Any) -> None:
        tried.append(tenant_id)
        raise OperationalError

    monkeypatch.setattr(rebuilding, "_rewrite_once", locked)
    with pytest.raises(OperationalError):
        rebuilding._rewrite(demo.pk, [], pending=True)
    assert tried == [demo.pk]
