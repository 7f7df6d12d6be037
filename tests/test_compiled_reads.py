"""A compiled read answers, byte for byte, what graphql-core's executor answers, whatever is asked and by whom.

The operations are made at random of the schema (`random_operations`), of rows that are odd in every way (`read_stage`).
Each document is run by several actors with several sets of variables, as what was compiled for one serves all. For a
long search, name how many documents to try, and a seed:

    READS_EXAMPLES=20000 READS_SEED=17 python -m pytest -n 0 tests/test_compiled_reads.py
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from django.db import transaction
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as bounds
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from apps.accounts.models import User
from apps.accounts.tenancy import tenant_scope
from schema.busy import Busy
from schema.compiler.metrics import COMPILED, FAILED, READS
from schema.json_text import json_of
from schema.operation import answer_all
from schema.preparing import Answer, Asked
from tests.random_inputs import some_orders
from tests.random_operations import Manner, Operation, make
from tests.read_stage import ROOT_LISTS, Stage, stage
from tests.written_operations import OPERATIONS, variables_of

pytestmark = pytest.mark.django_db

LISTS: Final = tuple(ROOT_LISTS)
EXAMPLES: Final = int(os.environ.get("READS_EXAMPLES", "0"))
EXAMPLES_OF_READS: Final = Path(__file__).parent.parent / "schema" / "examples"
QUERIES: Final = sorted(file for file in EXAMPLES_OF_READS.glob("*.graphql") if "\nmutation" not in file.read_text())
RUNS: Final = 3
"""By how many actors each document is run."""

UNLIMITED: Final = {
    "ENABLE_COST_LIMIT": False,
    "ENABLE_SEARCH_RATE_LIMITING": False,
    **dict.fromkeys(("MAX_ROOT_FIELDS", "MAX_ALIASES", "MAX_DEPTH", "MAX_TOKENS", "MAX_DOCUMENT_BYTES"), 100_000),
}


@pytest.fixture(scope="module")
def rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Stage]:
    """Fill two tenants once, for all tests only read; and let operations be as large as they like."""
    with override_settings(**UNLIMITED), django_db_blocker.unblock(), transaction.atomic():
        yield stage(some_orders(Random(3), 6))  # noqa: S311 (a seed is the example)
        transaction.set_rollback(True)


def outcomes() -> Counter[str]:
    """Return how reads have been answered so far."""
    (family,) = READS.collect()
    counts = [each for each in family.samples if each.name.endswith("_total")]
    return Counter({each.labels["outcome"]: int(each.value) for each in counts})


def told(answer: Answer) -> bytes:
    """Return all that a client is told."""
    errors = [error.formatted for error in answer.errors]
    return json_of([answer.data, errors, answer.status, answer.ran, answer.requested, answer.actual])


def answered(actor: User, asked: Asked) -> Answer:
    with tenant_scope(actor.tenant_id):
        (answer,), _ = answer_all(actor, [asked], Busy())
    return answer


def codes(answer: Answer) -> set[str]:
    return {str((error.extensions or {}).get("code")) for error in answer.errors}


@dataclass
class Tally:
    """What became of the operations that were compared."""

    outcomes: Counter[str] = field(default_factory=Counter)
    served: int = 0
    refused: int = 0

    def compare(self, key: int, document: str, variables: dict[str, Any], name: str | None = None) -> Answer:
        """Hold that both ways answer an actor the same, and return the answer."""
        actor = User.unscoped.get(pk=key)  # read anew as for each request: the executor leaves lists with it
        asked = Asked(document, operation_name=name, variables=variables)
        with override_settings(COMPILED_READS=False):
            wanted = answered(copy(actor), asked)
        before = outcomes()
        found = answered(actor, asked)
        self.outcomes += outcomes() - before
        assert told(found) == told(wanted), f"{document}\n{variables}"
        assert "INTERNAL" not in codes(wanted)
        self.served += not wanted.errors
        self.refused += bool(wanted.errors)
        return wanted

    def run(self, chance: Random, stage: Stage, operation: Operation) -> None:
        """Compare what several actors are told, with other values of the variables."""
        for _ in range(RUNS):
            self.compare(chance.choice(stage.actors), operation.document, operation.variables())

    def assert_compiled(self, percent: int) -> None:
        total = self.served + self.refused
        assert self.served * 100 > total * 60, f"{self.refused} of {total} were refused"
        # What is refused is told by the executor.
        assert self.outcomes[COMPILED] * 100 >= self.served * percent, self.outcomes
        assert not self.outcomes[FAILED], self.outcomes


@pytest.mark.parametrize("name", OPERATIONS["served"])
def test_what_is_written_by_hand_is_answered_the_same(rows: Stage, name: str) -> None:
    document, variables = OPERATIONS["served"][name], variables_of(name, rows)
    tally = Tally()
    for key in sorted(set(rows.actors)) * 2:
        answer = tally.compare(key, document, variables)
        assert not answer.errors, answer.errors
    assert tally.outcomes == {COMPILED: tally.served}


@pytest.mark.parametrize("name", OPERATIONS["refused"])
def test_what_is_wrong_is_told_the_same(rows: Stage, name: str) -> None:
    document, variables = OPERATIONS["refused"][name], variables_of(name, rows)
    tally = Tally()
    for key in rows.actors[:4]:
        assert tally.compare(key, document, variables).errors
    assert not tally.outcomes[FAILED]


@pytest.mark.parametrize("name", OPERATIONS["elsewhere"])
def test_what_need_not_be_compiled_is_answered_the_same(rows: Stage, name: str) -> None:
    document, variables = OPERATIONS["elsewhere"][name], variables_of(name, rows)
    tally = Tally()
    answer = tally.compare(rows.actors[0], document, variables)
    assert answer.data
    assert not answer.errors


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_the_examples_are_answered_the_same(rows: Stage, file: Path) -> None:
    given = file.with_suffix(".json")
    variables = json.loads(given.read_text()) if given.exists() else {}
    tally = Tally()
    for key in sorted(set(rows.actors)):
        assert not tally.compare(key, file.read_text(), variables).errors
    assert not tally.outcomes[FAILED]


def test_values_of_one_set_of_variables_are_not_those_of_the_next(rows: Stage) -> None:
    document = """query (
      $t: String, $n: Int, $after: String, $at: DateTime, $id: ID, $set: Boolean, $s: [TaskStatus!], $o: [TaskOrder!]
    ) {
      texts: tasks(first: $n, filters: {title: {iContains: $t}, OR: {dueAt: {lt: $at}}}) { totalCount ...Rows }
      truths: tasks(last: $n, filters: {scheduledAt: {isNull: $set}}) { totalCount ...Rows }
      states: tasks(ordering: $o, filters: {status: {inList: $s}}) { totalCount ...Rows }
      one: tasks(filters: {asset: {id: {exact: $id}}}) { totalCount ...Rows }
      pages: tasks(first: $n, after: $after) { ...Rows }
      below: assets(first: 4) { edges { node {
        tasks(last: $n, filters: {dueAt: {isNull: $set}, title: {iContains: $t}}, ordering: $o) { ...Rows }
      } } }
    }
    fragment Rows on TaskConnection { edges { cursor node { title } } }"""
    tally, chance = Tally(), Random(7)  # noqa: S311 (a seed is the example)
    pool: dict[str, list[Any]] = {
        "t": [None, "", "p", "%", "Pump"],
        "n": [None, 0, 1, 2, 100],
        "after": rows.cursors["Task"][0][1],
        "at": rows.values["Task", "dueAt"],
        "id": [None, *rows.ids("Asset")],
        "set": [None, True, False],
        "s": [None, ["MISSED"], ["ASSIGNED", "SCHEDULED"], "COMPLETED"],
        "o": [None, [], {"title": "ASC"}, [{"title": "DESC"}], [{"dueAt": "ASC"}, {"asset": {"name": "DESC"}}]],
    }
    for _ in range(60):
        given = {name: chance.choice(values) for name, values in pool.items() if chance.random() < 0.5}
        tally.compare(chance.choice(rows.actors), document, given)
    tally.assert_compiled(95)


def test_of_many_operations_the_one_that_is_named_is_answered(rows: Stage) -> None:
    document = """query A { me { id } } query B($n: Int) { sites(first: $n) { totalCount ...F } }
    query C { sites { ...F } } fragment F on SiteConnection { edges { node { code } } }"""
    tally = Tally()
    for name in ("A", "B", "C", "A", "", "D"):
        tally.compare(rows.actors[0], document, {}, name)
    assert tally.outcomes == {COMPILED: 4}
    assert tally.refused == 2


MANNERS: Final = {
    "anything": (Manner(("me", "node", "nodes", "nodes", "workflow", *LISTS, *LISTS)), 120, 90),
    "pages": (Manner(LISTS, depth=1, room=3, fragments=0, directives=0), 240, 90),
    "selections": (Manner((*LISTS, "nodes", "me"), depth=4, room=5, mistakes=0, fragments=40, directives=25), 80, 90),
    "nodes": (Manner(("node", "nodes"), depth=1, room=3, fragments=30), 100, 97),
    "mistakes": (Manner((*LISTS, "node", "nodes"), depth=1, room=2, fragments=0, directives=0, mistakes=15), 60, 80),
    "searches": (Manner(("search", "search", "search", "me"), depth=1, room=3, mistakes=0), 25, 0),
}
"""What the operations of a test are like, how many of them there are, and what percentage is compiled at least."""


@pytest.mark.parametrize("name", MANNERS)
def test_what_is_compiled_answers_what_the_executor_does(rows: Stage, name: str) -> None:
    manner, examples, percent = MANNERS[name]
    total = sum(number for _, number, _ in MANNERS.values())
    tally = Tally()

    @given(chance=st.randoms(use_true_random=True))
    @bounds(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=max(1, EXAMPLES * examples // total) if EXAMPLES else examples,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def holds(chance: Random) -> None:
        tally.run(chance, rows, make(chance, rows, manner))

    seeded = os.environ.get("READS_SEED")
    (seed(int(seeded))(holds) if seeded else holds)()
    tally.assert_compiled(percent)
