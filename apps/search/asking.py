"""What a query asks for: its words, and what each may be met by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from .spelling import Likeness
from .synonyms import Phrase, Synonyms
from .words import Chunk, chunks, is_code

CODE_FROM: Final = 3
"""A code of so many characters is found by its beginning wherever it stands in the query."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A word of a query, and how a text may have it."""

    word: str
    prefix: bool = False
    fuzzy: bool = True
    likeness: Likeness | None = None
    """How near it is to what the query has, which it stands for; None if the query has it itself."""


Alternative = tuple[Asked, ...]
"""Words that together meet a term."""


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a query that a document must meet by one of the alternatives; the first is what was typed."""

    places: tuple[tuple[int, int], ...]
    """Where the query has it, from where to where: more than once, if it is repeated."""

    alternatives: tuple[Alternative, ...]
    near: tuple[str, ...] = ()
    """What the word may be a misspelling of, among those that have synonyms."""

    def asked(self) -> Iterator[Asked]:
        """Yield all words that may meet the term."""
        for alternative in self.alternatives:
            yield from alternative


def terms_of(query: str, synonyms: Synonyms) -> list[Term]:
    """Return the terms of a query; a word that is repeated counts once."""
    units = list(_units(query))
    words = [_main(unit) for unit in units]
    terms: dict[tuple[Alternative, ...], list[tuple[int, int]]] = {}
    for place, unit in enumerate(units):
        found = [*_typed(unit, last=place == len(units) - 1), *_meant(words, place, synonyms)]
        alternatives = tuple(dict.fromkeys(found))
        terms.setdefault(alternatives, []).append((unit.parts[0][0].start, unit.parts[-1][0].end))
    return [
        Term(tuple(places), alternatives, tuple(synonyms.near(alternatives[0][0].word)))
        for alternatives, places in terms.items()
    ]


def _units(query: str) -> Iterator[Chunk]:
    """Yield the words of a query; parts that merely stand close together by themselves."""
    for chunk in chunks(query):
        parts = tuple(part for part in chunk.parts if part)
        if chunk.joined:
            yield Chunk(parts, chunk.joined)
        else:
            yield from (Chunk((part,), ()) for part in parts)


def _main(unit: Chunk) -> str:
    return unit.joined[0].word if unit.joined else unit.parts[0][0].word


def _typed(unit: Chunk, *, last: bool) -> Iterator[Alternative]:
    whole, *others = unit.joined or unit.parts[0]
    code = is_code(whole.word)
    complete = bool(unit.joined) and len(whole.word) < CODE_FROM  # nobody types `a/c` to find `accident`
    yield (Asked(whole.word, prefix=(last and not complete) or (code and len(whole.word) >= CODE_FROM)),)
    for other in others:
        yield (Asked(other.word),)
    if unit.joined:
        # `AHU-3` may stand as `AHU 3`; but the letters and digits of a code may also stand apart, and mean another.
        *front, end = [
            Asked(part[0].word, fuzzy=not code, likeness=Likeness.SYNONYM if code else None) for part in unit.parts
        ]
        yield *front, replace(end, prefix=last)


def _meant(words: list[str], place: int, synonyms: Synonyms) -> Iterator[Alternative]:
    phrases = list(synonyms.of_word(words[place]))
    for length in range(2, synonyms.longest + 1):
        for start in range(max(0, place - length + 1), place + 1):
            phrases += synonyms.of_phrase(tuple(words[start : start + length]))
    yield from (_standing_for(phrase, Likeness.SYNONYM) for phrase in phrases)
    for near in synonyms.near(words[place]):
        yield from (_standing_for(phrase, Likeness.TWO_EDITS) for phrase in synonyms.of_word(near))


def _standing_for(phrase: Phrase, likeness: Likeness) -> Alternative:
    return tuple(Asked(word, fuzzy=False, likeness=likeness) for word in phrase)
