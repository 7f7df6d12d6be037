"""The search: what a query finds among a tenant's entities, best first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap
from time import perf_counter
from typing import Any, Final

from django.db import connection

from apps.accounts.tenancy import tenant_scope

from . import cache
from .answering import Answer, Place, Question
from .highlighting import Fragment, Highlight
from .metrics import DURATIONS
from .ranking import WORST
from .snapshots import snapshot
from .synonyms import synonyms_of
from .words import fold, plain, words

__all__ = ["Hit", "Place", "QueryRefusedError", "Question", "Results", "search"]

MAX_QUERY: Final = 200
MIN_QUERY: Final = 2
MAX_PAGE: Final = 1_000
STATE: Final = """
SELECT (SELECT state FROM search_index WHERE tenant_id = %(tenant)s)::text,
    (SELECT count(*) || ':' || coalesce(sum(hashint8extended(id, xmin::text::bigint)), 0) FROM search_document
        WHERE tenant_id = %(tenant)s AND pending),
    (SELECT count(*) || ':' || coalesce(sum(hashint8extended(id, version)), 0) FROM search_synonym
        WHERE tenant_id = %(tenant)s)
"""
"""The postings, the documents that are pending, the synonyms: another text whenever one of them is another.

The pending documents are told apart by the transactions that wrote them.
"""


class QueryRefusedError(ValueError):
    """Raised for a query that can't be searched for."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An entity that was found."""

    kind: str
    key: int
    place: Place
    score: float
    highlights: Sequence[Highlight]


@dataclass(frozen=True, slots=True)
class Results:
    """A page of what was found, and what all of it is."""

    hits: Sequence[Hit]
    has_next: bool
    total: int
    facets: Sequence[tuple[str, int]]
    """How many entities of each kind the text finds, whatever kinds the page shows; the most first."""

    did_you_mean: str | None


def search(tenant_id: int, question: Question) -> Results:
    """Return what a question finds in a tenant's index.

    Raises QueryRefusedError for a text that is too long, or in which there is nothing to search for.
    """
    started = perf_counter()
    text = _checked(question.text)
    asked = [text, question.kinds, question.first, question.after, question.highlights]
    key = cache.key_of(tenant_id, ":".join(state_of(tenant_id)), asked)
    payload, is_cached = cache.remembered(key, lambda: _computed(tenant_id, text, question, asked))
    DURATIONS[is_cached].observe(perf_counter() - started)
    return _results(payload)


def _checked(text: str) -> str:
    if len(text) > MAX_QUERY:
        raise QueryRefusedError(f"A query may have {MAX_QUERY} characters; this one has {len(text)}.")
    text = plain(text)
    if sum(map(str.isalnum, fold(text))) < MIN_QUERY or not words(text):
        raise QueryRefusedError(f"Type {MIN_QUERY} letters or digits at least.")
    return text


def state_of(tenant_id: int) -> tuple[str, str, str]:
    """Return marks of the postings, of the documents that are pending, and of the synonyms."""
    with connection.cursor() as cursor:
        cursor.execute(STATE, {"tenant": tenant_id})
        merged, pending, synonyms = cursor.fetchone()
    return str(merged), pending, synonyms


def _computed(tenant_id: int, text: str, question: Question, asked: list[Any]) -> tuple[str, Any]:
    """Return the answer, and the key of the state of the index that it was read from."""
    with snapshot(), tenant_scope(tenant_id):
        state = state_of(tenant_id)
        answer = Answer(tenant_id, text, synonyms_of(tenant_id, state[2])).payload(question)
    return cache.key_of(tenant_id, ":".join(state), asked), answer


def _results(payload: Any) -> Results:
    worst = WORST * payload["terms"]
    return Results(
        hits=[
            Hit(kind, key, (cost, number), round(1 - cost / worst, 4), list(starmap(_highlight, highlights)))
            for kind, key, cost, number, highlights in payload["hits"]
        ],
        has_next=payload["more"],
        total=payload["total"],
        facets=[(kind, found) for kind, found in payload["facets"]],
        did_you_mean=payload["meant"],
    )


def _highlight(field: str, fragments: Iterable[tuple[str, bool]]) -> Highlight:
    return Highlight(field, list(starmap(Fragment, fragments)))
