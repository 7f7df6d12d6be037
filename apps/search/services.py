"""The search: what a query finds among a tenant's entities, best first."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, Final

from django.db import connection
from pyroaring import BitMap

from apps.accounts.tenancy import tenant_scope

from . import cache
from .asking import Term, terms_of
from .declaration import NUMBER, searched_models, texts_of
from .finding import Index
from .highlighting import Fragment, Highlight, Marker, whole
from .postings import BEGINNINGS, ask
from .ranking import WORST, Ranking, all_of, count, numbers_of, page, within
from .snapshots import snapshot
from .spelling import EDITED
from .synonyms import Synonyms, synonyms_of
from .words import fold, plain, words

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

DOCUMENTS: Final = "SELECT id, kind, entity_id FROM search_document WHERE tenant_id = %s AND id = ANY(%s)"

Place = tuple[int, int]
"""Where a result stands: its penalty, and the number of its document."""


class QueryRefusedError(ValueError):
    """Raised for a query that can't be searched for."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for: a page of the entities of some kinds that a text finds."""

    text: str
    kinds: tuple[str, ...]
    first: int
    after: Place | None = None
    highlights: bool = True


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
    text = _checked(question.text)
    asked = [text, question.kinds, question.first, question.after, question.highlights]
    key = cache.key_of(tenant_id, ":".join(state_of(tenant_id)), asked)
    return _results(cache.remembered(key, lambda: _computed(tenant_id, text, question, asked)))


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
        answer = _Answer(tenant_id, text, synonyms_of(tenant_id, state[2])).payload(question)
    return cache.key_of(tenant_id, ":".join(state), asked), answer


class _Answer:
    """What a text finds, as JSON holds it."""

    def __init__(self, tenant_id: int, text: str, synonyms: Synonyms) -> None:
        self._tenant_id, self._text, self._terms = tenant_id, text, terms_of(text, synonyms)
        self._kinds = list(searched_models())
        self._index = Index(tenant_id, self._terms, self._kinds)
        self._ranking = all_of(map(self._index.ranking, self._terms))
        self._found = numbers_of(self._ranking)

    def payload(self, question: Question) -> Any:
        shown = self._of_kinds(question.kinds)
        places = page(shown, question.first + 1, question.after)
        return {
            "hits": self._hits(places[: question.first], highlights=question.highlights),
            "terms": len(self._terms),
            "more": len(places) > question.first,
            "total": count(shown),
            "facets": self._facets(),
            "meant": self._meant(),
        }

    def _of_kinds(self, kinds: Collection[str]) -> Ranking:
        if not kinds:
            return self._ranking
        return within(self._ranking, BitMap.union(*map(self._index.of_kind, kinds)))

    def _facets(self) -> list[tuple[str, int]]:
        counts = [(kind, self._found.intersection_cardinality(self._index.of_kind(kind))) for kind in self._kinds]
        return sorted((each for each in counts if each[1]), key=lambda each: -each[1])

    def _hits(self, places: Sequence[Place], *, highlights: bool) -> list[Any]:
        numbers = [number for _, number in places]
        named = {number: (kind, key) for number, kind, key in ask(DOCUMENTS, self._tenant_id, numbers)}
        marked = self._highlights(named) if highlights else {}
        return [(*named[number], cost, number, marked.get(named[number], ())) for cost, number in places]

    def _highlights(self, named: Mapping[int, tuple[str, int]]) -> dict[tuple[str, int], list[Any]]:
        marker = self._marker()
        numbered = {named[number] for number in self._index.numbered & BitMap(named)}
        found: dict[tuple[str, int], list[Any]] = {}
        for kind, model in searched_models().items():
            keys = [key for name, key in named.values() if name == kind]
            for entity in model.objects.filter(pk__in=keys).only(*model.search.columns) if keys else ():
                marks = (
                    marker.highlight(name, text) if name != NUMBER else whole(name, text)
                    for name, text in texts_of(entity)
                    if name != NUMBER or (kind, entity.pk) in numbered
                )
                found[kind, entity.pk] = [(mark.field, list(map(tuple, mark.fragments))) for mark in marks if mark]
        return found

    def _marker(self) -> Marker:
        asked = [each for term in self._terms for each in term.asked()]
        beginnings = {each.word for each in asked if each.prefix and len(each.word) in BEGINNINGS}
        return Marker({word for each in asked for word in self._index.met(each)}, beginnings)

    def _meant(self) -> str | None:
        """Return the text with its words corrected that nothing was found by as they are."""
        changes = [
            (start, end, correction)
            for term in self._terms
            if (correction := self._correction(term)) is not None
            for start, end in term.places
        ]
        text = self._text
        for start, end, correction in sorted(changes, reverse=True):
            text = text[:start] + correction + text[end:]
        return text if changes else None

    def _correction(self, term: Term) -> str | None:
        """Return the word that was found in place of a term: the nearest, and of these the most frequent."""
        met = self._index.met(term.alternatives[0][0])
        as_typed = (word for word, like in met.items() if like not in EDITED)
        if any(self._index.numbers(word).intersect(self._found) for word in as_typed):
            return None
        if not self._found or numbers_of(self._index.ranking(term, as_spelt=True)).intersect(self._found):
            return None
        choices = [
            (like, -self._index.numbers(word).intersection_cardinality(self._found), word)
            for word, like in met.items()
            if like in EDITED
        ]
        found = [choice for choice in choices if choice[1]]
        return min(found)[2] if found else None


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
