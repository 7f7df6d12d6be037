"""Finds the documents of a query in a tenant's index: which words there are, where they occur, what is pending."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from django.db import connection
from pyroaring import BitMap

from apps.accounts.prepared import prepared

from .asking import Asked, Term
from .documents import NUMBERED
from .numbers import by_number
from .postings import BEGINNINGS, Entry, ask, beginning, entries_of, kind_entry
from .ranking import WEIGHT, Ranking, all_of, any_of, penalty, ranked
from .spelling import EDITED, Likeness, keys_asked, misspellings
from .words import is_code, stem

CANDIDATES: Final = """
SELECT w.id, w.text, w.stem FROM unnest(%(texts)s::text[]) AS t (text) CROSS JOIN LATERAL (
    SELECT * FROM search_word WHERE tenant_id = %(tenant)s AND text = t.text OFFSET 0
) AS w
UNION SELECT w.id, w.text, w.stem FROM unnest(%(stems)s::text[]) AS s (stem) CROSS JOIN LATERAL (
    SELECT * FROM search_word WHERE tenant_id = %(tenant)s AND stem = s.stem OFFSET 0
) AS w
UNION SELECT w.id, w.text, w.stem FROM unnest(%(keys)s::bigint[]) AS k (key) CROSS JOIN LATERAL (
    SELECT * FROM search_word WHERE keys @> ARRAY[k.key] OFFSET 0
) AS w WHERE w.tenant_id = %(tenant)s
UNION SELECT w.id, w.text, w.stem FROM unnest(%(prefixes)s::text[]) AS p (text) CROSS JOIN LATERAL (
    SELECT * FROM search_word
    WHERE tenant_id = %(tenant)s AND text >= p.text AND text < p.text || U&'\\+10FFFF' OFFSET 0
) AS w
"""
"""Each is looked up by itself, by its own index. Joined, PostgreSQL might read all words of a tenant: one that is new
among many has hardly any, to the planner's statistics. The keys are the tenant's own.
"""

POSTINGS: Final = "SELECT word_id, weight, numbers FROM search_posting WHERE tenant_id = $1 AND word_id = ANY($2)"
PENDING: Final = "SELECT id, kind, words FROM search_document WHERE tenant_id = %s AND pending"


class Index:
    """What a tenant's index says of the words that a query asks for."""

    def __init__(self, tenant_id: int, terms: Iterable[Term], kinds: Iterable[str]) -> None:
        """Read it; the caller sees to it that all is read in one snapshot."""
        self._asked = list(dict.fromkeys(asked for term in terms for asked in term.asked()))
        pending = [(number, kind, words or []) for number, kind, words in ask(PENDING, tenant_id)]
        found = {word for _, _, words in pending for word in words}
        self._read_words(tenant_id, {word.partition(":")[2] for word in found}, kinds)
        self._met = {asked: self._meeting(asked) for asked in self._asked}
        wanted = {word for met in self._met.values() for word in met} | {kind_entry(kind).word for kind in kinds}
        self._numbered = by_number(tenant_id, (asked for asked in self._asked if not asked.likeness))
        self._postings: defaultdict[Entry, BitMap] = defaultdict(BitMap)
        self._list_pending(pending, {word: kept for word in found if (kept := _kept(word, wanted))})
        self._read_postings(tenant_id, wanted, BitMap([number for number, _, _ in pending]))

    def met(self, asked: Asked) -> dict[str, Likeness]:
        """Return the words of texts that meet a word of a query, and how."""
        return self._met[asked]

    def numbers(self, word: str) -> BitMap:
        """Return the documents in which a word occurs."""
        return BitMap.union(*(self._postings[Entry(weight, word)] for weight in WEIGHT))

    @property
    def numbered(self) -> BitMap:
        """Return the documents that were found by the numbers of their entities."""
        return BitMap.union(BitMap(), *self._numbered.values())

    def of_kind(self, kind: str) -> BitMap:
        """Return the documents of a kind."""
        return self._postings[kind_entry(kind)]

    def ranking(self, term: Term, *, as_spelt: bool = False) -> Ranking:
        """Return the documents that meet a term; or only those that do without a correction."""
        return any_of(
            all_of((self._word(asked, as_spelt=as_spelt) for asked in alternative), worst=True)
            for alternative in term.alternatives
            if all(self._occurs(asked) for asked in alternative)
        )

    def _occurs(self, asked: Asked) -> bool:
        return bool(self._met[asked]) or any(code == asked for code, _ in self._numbered)

    def _word(self, asked: Asked, *, as_spelt: bool) -> Ranking:
        occurring = [
            (penalty(like, weight), self._postings[entry])
            for word, like in self._met[asked].items()
            for weight in WEIGHT
            if (entry := Entry(weight, word)) in self._postings
            and not (weight == NUMBERED and asked.likeness)
            and not (as_spelt and like in EDITED)
        ]
        numbered = [(penalty(like, NUMBERED), found) for (code, like), found in self._numbered.items() if code == asked]
        return ranked(occurring + numbered)

    def _meeting(self, asked: Asked) -> dict[str, Likeness]:
        """Return the words that meet one that is asked, each by its greatest likeness."""
        found: dict[str, Likeness] = {}
        if asked.fuzzy:
            found |= misspellings(asked.word, self._spelt)
        if not is_code(asked.word):
            found |= dict.fromkeys(self._stems.get(stem(asked.word), ()), Likeness.STEM)
        if asked.prefix and len(asked.word) in BEGINNINGS:
            found[beginning(asked.word)] = Likeness.PREFIX
        elif asked.prefix:
            found |= dict.fromkeys((word for word in self._words if word.startswith(asked.word)), Likeness.PREFIX)
        if asked.word in self._words:
            found[asked.word] = Likeness.EXACT
        return dict.fromkeys(found, asked.likeness) if asked.likeness else found

    def _read_words(self, tenant_id: int, pending: set[str], kinds: Iterable[str]) -> None:
        candidates = _candidates(tenant_id, self._asked, [kind_entry(kind).word for kind in kinds])
        stems = {word: stemmed for _, word, stemmed in candidates}
        self._names = {key: word for key, word, _ in candidates}
        self._words = pending.union(stems)
        self._spelt = [word for word in self._words if word.isalpha()]
        self._stems: defaultdict[str, list[str]] = defaultdict(list)
        for word in self._spelt:
            self._stems[stems.get(word) or stem(word)].append(word)

    def _list_pending(self, documents: Iterable[tuple[int, str, list[str]]], kept: dict[str, list[Entry]]) -> None:
        """List pending documents under those of their words that are wanted; few of a long text's are."""
        for number, kind, words in documents:
            if words:
                self._postings[kind_entry(kind)].add(number)
            for word in kept.keys() & words:
                for entry in kept[word]:
                    self._postings[entry].add(number)

    def _read_postings(self, tenant_id: int, wanted: set[str], pending: BitMap) -> None:
        """Read the postings of these words; of a document that is pending, they tell what is out of date."""
        found: defaultdict[Entry, list[BitMap]] = defaultdict(list)
        names = {key: word for key, word in self._names.items() if word in wanted}
        for key, weight, numbers in prepared(POSTINGS, [tenant_id, list(names)]):
            found[Entry(weight, names[key])].append(BitMap.deserialize(numbers))
        for entry, chunks in found.items():
            self._postings[entry] |= BitMap.union(*chunks) - pending


def _kept(weighted: str, wanted: set[str]) -> list[Entry]:
    """Return the entries that a document's word is listed under, as far as they are wanted."""
    return [entry for entry in entries_of(weighted) if entry.word in wanted]


def _candidates(tenant_id: int, asked: list[Asked], others: list[str]) -> list[tuple[int, str, str]]:
    """Return the tenant's words that may meet one that is asked: id, word, stem."""
    short = [beginning(each.word) for each in asked if each.prefix and len(each.word) in BEGINNINGS]
    plain = [each.word for each in asked if not is_code(each.word)]
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "texts": [*(each.word for each in asked), *short, *others],
        "stems": [stem(word) for word in plain],
        "keys": [key for each in asked if each.fuzzy for key in keys_asked(each.word, tenant_id)],
        "prefixes": [each.word for each in asked if each.prefix and len(each.word) not in BEGINNINGS],
    }
    with connection.cursor() as cursor:
        cursor.execute(CANDIDATES, values)
        return list(cursor.fetchall())
