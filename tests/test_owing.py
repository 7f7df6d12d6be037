"""Time is owed to the last fraction, and told when it is worth it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import owing
from schema.owing import WORTH_TELLING, Owing


def test_what_is_little_is_told_when_it_has_become_much() -> None:
    owed = Owing()
    told = [owed.due("a", 6.5, anyway=False) for _ in range(8)]
    assert told == [0, 0, 0, 26, 0, 0, 0, 26]


def test_it_goes_along_with_what_is_told_anyway() -> None:
    owed = Owing()
    assert [owed.due("a", 1.5, anyway=anyway) for anyway in (False, True, True, True)] == [0, 3, 1, 2]


def test_each_client_owes_what_it_took() -> None:
    owed = Owing()
    assert [owed.due(client, 15, anyway=False) for client in "abab"] == [0, 0, 30, 30]


def test_clients_without_end_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owing, "MOST_CLIENTS", 10)
    owed = Owing()
    for number in range(100):
        assert owed.due(str(number), 1, anyway=False) == 0
    assert len(owed._owed) <= 10
    assert owed.due("99", WORTH_TELLING - 1, anyway=False) == WORTH_TELLING


@given(st.lists(st.tuples(st.floats(0, 5000), st.booleans())))
def test_no_more_than_a_little_is_ever_missing(requests: list[tuple[float, bool]]) -> None:
    owed, took, told = Owing(), 0.0, 0
    for milliseconds, anyway in requests:
        took += milliseconds
        told += owed.due("a", milliseconds, anyway=anyway)
        assert -0.001 < took - told < WORTH_TELLING
