"""From a text to a page of what it finds: ranked, counted, marked, corrected."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyroaring import BitMap

from .asking import Term, terms_of
from .declaration import NUMBER, searched_models, texts_of
from .finding import Index
from .highlighting import Marker, whole
from .postings import BEGINNINGS, ask
from .ranking import Ranking, all_of, count, numbers_of, page, within
from .spelling import EDITED
from .synonyms import Synonyms

DOCUMENTS: Final = "SELECT id, kind, entity_id FROM search_document WHERE tenant_id = %s AND id = ANY(%s)"

Place = tuple[int, int]
"""Where a result stands: its penalty, and the number of its document."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for: a page of the entities of some kinds that a text finds."""

    text: str
    kinds: tuple[str, ...]
    first: int
    after: Place | None = None
    highlights: bool = True


class Answer:
    """What a text finds in a tenant's index, of which it is all read at once."""

    def __init__(self, tenant_id: int, text: str, synonyms: Synonyms) -> None:
        """Search; the caller sees to it that all is read in one snapshot."""
        self._tenant_id, self._text, self._terms = tenant_id, text, terms_of(text, synonyms)
        self._kinds = list(searched_models())
        self._index = Index(tenant_id, self._terms, self._kinds)
        self._ranking = all_of(map(self._index.ranking, self._terms))
        self._found = numbers_of(self._ranking)

    def payload(self, question: Question) -> Any:
        """Return the page that is asked for, and what all of it is, in the form that JSON holds."""
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
        return [
            (*named[number], cost, number, marked.get(named[number], ())) for cost, number in places if number in named
        ]

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
        return min(found)[2] if found else next(iter(term.near), None)
