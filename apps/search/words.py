"""From a text to its words, for what is searched and for what is asked.

Case, accents and width are folded, control characters fall out, everything that is neither letter nor digit separates.
Parts that stand close together (`A/C`, `O-RING`, `WO-000123`) are words by themselves and, joined, one more; a code is
also known without the zeros that fill up its numbers, so that `AHU-3` is `AHU-03`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from typing import Any, Final, NamedTuple

import snowballstemmer

LONGEST: Final = 40
"""How many characters of a word count; more would not fit into an index."""

LONGEST_JOINED: Final = 24
SHORT: Final = 2
"""A part of so many letters is hardly a word by itself."""

MOST_PARTS: Final = 8
LONGEST_PART: Final = 2 * LONGEST
"""How many characters of a part are looked at: accents may double a letter."""

CACHED: Final = 20_000
LONGEST_CACHED: Final = 64
"""What is kept of texts that were read is small: people who write them must not fill the memory."""

LONGEST_TEXT: Final = 10_000
"""How many characters of a text are searched."""

MARKS: Final = (
    "\u00ad\u0300-\u036f\u0483-\u0487\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u20d0-\u20ff\u2060"
    "\ufe00-\ufe0f"
)
"""Characters inside a word that add nothing to it: accents, joiners, soft hyphens."""

MARK: Final = re.compile(f"[{MARKS}]")
PIECE: Final = re.compile(r"\S+")
PART: Final = re.compile(rf"[^\W_](?:[^\W_]|[{MARKS}])*")
WORD: Final = re.compile(r"[^\W_]+")
FILLING: Final = re.compile(r"(?<![0-9])0+(?=[0-9])")
SIGNS: Final = {"&": "and", "+": "and", "@": "at"}
"""What signs in a text are read as. In a query they are nothing."""

SIGN: Final = re.compile(r"[&+@]")
SHORT_CODE: Final = re.compile(r"([^\W\d_]{2,})([0-9]{1,3})")
HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
UNDECOMPOSED: Final = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "\u0131": "i"}
)
"""Latin letters whose stroke Unicode does not take for an accent."""

CONTROL: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

_stemmer, _one_at_a_time = snowballstemmer.stemmer("english"), Lock()


class Token(NamedTuple):
    """A word, and where the text has it."""

    word: str
    start: int
    end: int


class Chunk(NamedTuple):
    """Parts of a text that stand close together: the words each part is, and the words they are when joined.

    The first word of each is the part as it was written. `pieces` are what else a text may be found by: `pos` and `4`
    of `POS4`, `main` and `pump` of `MainPump`, `cout` of `C/OUT-MECH`.
    """

    parts: tuple[tuple[Token, ...], ...]
    joined: tuple[Token, ...]
    pieces: tuple[Token, ...] = ()


def chunks(text: str) -> Iterator[Chunk]:
    """Yield what a text consists of, in its order; only so much of it as is searched."""
    run: list[re.Match[str]] = []
    for part in PART.finditer(text[:LONGEST_TEXT]):
        near = run and part.start() - run[-1].end() == 1 and not text[part.start() - 1].isspace()
        if run and (len(run) == MOST_PARTS or not near):
            yield _chunk(run)
            run = []
        run.append(part)
    if run:
        yield _chunk(run)


def tokens(text: str) -> Iterator[Token]:
    """Yield the words that a text is found by, with their places."""
    for piece in PIECE.finditer(text[:LONGEST_TEXT]):
        at = piece.start()
        for word, start, end in _few(_tokens_of, piece[0]):
            yield Token(word, at + start, at + end)


@lru_cache(maxsize=CACHED)
def _tokens_of(piece: str) -> tuple[Token, ...]:
    found: list[Token] = []
    for chunk in chunks(piece):
        for part in chunk.parts:
            found += part
        found += [*chunk.joined, *chunk.pieces]
    return (*found, *(Token(SIGNS[sign[0]], sign.start(), sign.end()) for sign in SIGN.finditer(piece)))


def words(text: str, before: str = "") -> set[str]:
    """Return the distinct words of a text, each with what is to stand before it."""
    found: set[str] = set()
    for piece in PIECE.findall(text[:LONGEST_TEXT]):
        found |= _few(_words_of, piece, before)
    return found


def _few(cached: Any, piece: str, *rest: str) -> Any:
    """Call a cached function; past its cache for a long piece."""
    return (cached if len(piece) <= LONGEST_CACHED else cached.__wrapped__)(piece, *rest)


@lru_cache(maxsize=CACHED)
def _words_of(piece: str, before: str) -> frozenset[str]:
    return frozenset(before + token.word for token in _few(_tokens_of, piece))


def is_code(word: str) -> bool:
    """Tell whether a word is a code or a number: it holds a digit."""
    return not word.isalpha()


@lru_cache(maxsize=CACHED)
def stem(word: str) -> str:
    """Return the stem of an English word (Porter2); a code is its own."""
    if is_code(word):
        return word
    with _one_at_a_time:  # it works on a text that it keeps
        return str(_stemmer.stemWord(word))


def plain(text: str) -> str:
    """Return a text without control characters and half surrogate pairs, its white space single blanks."""
    text = unicodedata.normalize("NFKC", text)
    shown = "".join(each for each in text if each.isspace() or _is_shown(each))
    # Again, for what fell out may have parted a letter and its accent.
    return " ".join(unicodedata.normalize("NFKC", shown).split())


def _is_shown(character: str) -> bool:
    return unicodedata.category(character) not in CONTROL


def fold(text: str) -> str:
    """Return a text without case, accents and control characters, in the widths that are usual (NFKC)."""
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()).translate(UNDECOMPOSED)
    if bare.isascii():
        return bare
    kept = (each for each in MARK.sub("", bare) if not unicodedata.combining(each) and _is_shown(each))
    return unicodedata.normalize("NFKC", "".join(kept)).casefold()


folded = lru_cache(maxsize=CACHED)(fold)


@lru_cache(maxsize=CACHED)
def _forms(text: str) -> tuple[str, ...]:
    """Return the words that a part of a text is: mostly one; a code also without the zeros that fill it up."""
    found = [word[:LONGEST] for word in WORD.findall(folded(text))]
    bare = [FILLING.sub("", word) for word in found if "0" in word]
    return tuple(dict.fromkeys(found + bare))


@lru_cache(maxsize=CACHED)
def _pieces(part: str) -> tuple[str, ...]:
    """Return the words that a part of a text is put together of, if it is."""
    humps = HUMP.split(MARK.sub("", unicodedata.normalize("NFKD", part)))
    found = [word for hump in humps for word in _forms(hump)] if len(humps) > 1 else []
    code = SHORT_CODE.fullmatch(folded(part))
    return (*found, *(form for group in code.groups() for form in _forms(group))) if code else tuple(found)


def _chunk(run: list[re.Match[str]]) -> Chunk:
    parts = tuple(
        tuple(Token(word, part.start(), part.end()) for word in _forms(part[0][:LONGEST_PART])) for part in run
    )
    pieces = [Token(word, part.start(), part.end()) for part in run for word in _pieces(part[0][:LONGEST_PART])]
    if len(run) == 1:
        return Chunk(parts, (), tuple(pieces))
    if len(run) > 2:  # noqa: PLR2004 (a pair is the whole)
        pieces += [token for pair in pairwise(run) for token in _together(pair)]
    return Chunk(parts, tuple(_together(run)), tuple(pieces))


def _together(run: Sequence[re.Match[str]]) -> Iterator[Token]:
    for word in _joined(tuple(part[0][:LONGEST_PART] for part in run)):
        yield Token(word, run[0].start(), run[-1].end())


@lru_cache(maxsize=CACHED)
def _joined(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words that parts are when joined; none for what merely stands close: `QUOTE/REPAIR`."""
    whole = [_forms(part) for part in parts]
    if not all(whole) or sum(len(forms[0]) for forms in whole) > LONGEST_JOINED:
        return ()
    if not any(len(forms[0]) <= SHORT or is_code(forms[0]) for forms in whole):
        return ()
    bare = "".join(forms[-1] for forms in whole)
    return tuple(dict.fromkeys(("".join(forms[0] for forms in whole), bare)))
