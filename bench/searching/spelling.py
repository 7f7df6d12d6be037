"""The ways to find the words that a misspelt word may mean, which `bench.search_designs` compares."""

import hashlib
import random
import re
import statistics
import string
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import psycopg
from rapidfuzz import process
from rapidfuzz.distance import OSA

from project.demo.words import CATEGORIES, FOR_A_PART, FOR_A_SYMPTOM, ROUTINE, WHERE

PREFIX: Final = 7
QUERIES: Final = 300
TOGETHER: Final = 4
MAKE: Final = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TABLE vocabulary (id int PRIMARY KEY, word text NOT NULL);
CREATE TABLE word_keys (word text PRIMARY KEY, keys bigint[] NOT NULL);
CREATE TABLE word_key (key bigint NOT NULL, word_id int NOT NULL)
"""
FINISH: Final = (
    ("trigrams", "CREATE INDEX vocabulary_trigrams ON vocabulary USING gin (word gin_trgm_ops)"),
    ("keys, GIN", "CREATE INDEX word_keys_gin ON word_keys USING gin (keys)"),
    ("keys, b-tree", "ALTER TABLE word_key ADD PRIMARY KEY (key, word_id)"),
)
TRIGRAMS: Final = "SELECT DISTINCT word FROM unnest(%s::text[]) AS asked JOIN vocabulary ON word %% asked"
KEYS_GIN: Final = "SELECT word FROM word_keys WHERE keys && %s::bigint[]"
KEYS_GIN_EACH: Final = """
SELECT DISTINCT word FROM unnest(%s::text[]) AS asked JOIN word_keys ON keys && asked::bigint[]
"""
KEYS_TREE: Final = """
SELECT word FROM vocabulary WHERE id IN (SELECT word_id FROM word_key WHERE key = ANY(%s::bigint[]))
"""

Lookup = Callable[[Sequence[str]], Sequence[str]]
"""Finds the candidates for some words."""


class Asked(NamedTuple):
    """A misspelt word, what was meant, and how it was made."""

    word: str
    meant: str
    made: str


def compare(session: psycopg.Connection[Any], words: Iterable[str], count: int) -> None:
    """Make a vocabulary and misspelt words, look them up in each way, and print."""
    rng = random.Random(3)
    vocabulary = filled_up({*words}, count, rng)
    load(session, vocabulary)
    asked = misspelt({*vocabulary}, rng)
    brute = [near([each.word], vocabulary)[each.word] for each in asked]
    found = statistics.median(len(each) for each in brute)
    print(f"{len(vocabulary):,} words; {len(asked)} misspelt ones have {found:.0f} near (median)")
    kinds = sorted({each.made for each in asked})
    print(f"{'way':14} {'':9} {'recall':>7} {' '.join(f'{kind:>8}' for kind in kinds)} {'meant':>6}", end=" ")
    print(f"{'candid.':>8} {'ms':>7} {'p95 ms':>7} {'here':>7} {'4: ms':>7} {'p95 ms':>7} {'here':>7}")
    for name, lookup in ways(session, vocabulary).items():
        print(f"{name:24} {recalls(lookup, asked, brute, kinds)} {times(lookup, asked)}", flush=True)


def ways(session: psycopg.Connection[Any], vocabulary: Sequence[str]) -> dict[str, Lookup]:
    """Return the ways."""

    def fetched(statement: str, value: Sequence[object]) -> list[str]:
        return [word for (word,) in session.execute(statement, [value], binary=True)]

    def trigrams(threshold: float) -> Lookup:
        def lookup(words: Sequence[str]) -> list[str]:
            with session.transaction():
                session.execute(f"SET LOCAL pg_trgm.similarity_threshold = {threshold}")
                return fetched(TRIGRAMS, words)

        return lookup

    def keyed(statement: str) -> Lookup:
        return lambda words: fetched(statement, list({key for word in words for key in keys(word, budget(word))}))

    def joined(words: Sequence[str]) -> list[str]:
        arrays = [f"{{{','.join(map(str, keys(word, budget(word))))}}}" for word in words]
        return fetched(KEYS_GIN_EACH, arrays)

    return {
        "trigrams 0.3": trigrams(0.3),
        "trigrams 0.2": trigrams(0.2),
        "deletions, GIN": keyed(KEYS_GIN),
        "deletions, GIN, joined": joined,
        "deletions, b-tree": keyed(KEYS_TREE),
        "whole vocabulary": lambda _: vocabulary,
    }


def load(session: psycopg.Connection[Any], vocabulary: Sequence[str]) -> None:
    """Fill the tables, and print how long it took and how large they are."""
    for statement in MAKE.split(";"):
        session.execute(statement)
    began = time.perf_counter()
    hashed = [sorted(keys(word, depth(word))) for word in vocabulary]
    print(f"{sum(map(len, hashed)):,} deletion keys made in {time.perf_counter() - began:.1f} s")
    copy(session, "vocabulary", enumerate(vocabulary))
    copy(session, "word_keys", zip(vocabulary, hashed, strict=True))
    copy(session, "word_key", ((key, place) for place, each in enumerate(hashed) for key in each))
    for (name, statement), table in zip(FINISH, ("vocabulary", "word_keys", "word_key"), strict=True):
        began = time.perf_counter()
        session.execute(statement)
        seconds = time.perf_counter() - began
        session.execute(f"VACUUM ANALYZE {table}")
        sizes = session.execute("SELECT pg_table_size(%s), pg_indexes_size(%s)", [table, table]).fetchone()
        assert sizes
        print(
            f"{name:14} table {sizes[0] / 2**20:.1f} MB, indexes {sizes[1] / 2**20:.1f} MB, indexed in {seconds:.1f} s"
        )


def copy(session: psycopg.Connection[Any], table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Fill a table."""
    with session.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copying:
        for row in rows:
            copying.write_row(row)


def budget(word: str) -> int:
    """Return how many edits away a word may be that is meant by this one."""
    return (len(word) > 3) + (len(word) > 7)  # noqa: PLR2004


def depth(word: str) -> int:
    """Return how many letters are left out of a stored word."""
    return (len(word) > 2) + (len(word) > 5)  # noqa: PLR2004


def keys(word: str, left_out: int) -> set[int]:
    """Return the hashes of the first letters with up to so many of them left out."""
    start = word[:PREFIX]
    variants = {
        "".join(kept) for fewer in range(left_out + 1) for kept in combinations(start, max(len(start) - fewer, 0))
    }
    return {int.from_bytes(hashlib.blake2b(each.encode(), digest_size=8).digest(), signed=True) for each in variants}


def near(asked: Sequence[str], candidates: Sequence[str]) -> dict[str, set[str]]:
    """Return those of the candidates that are near enough to each word."""
    return {
        word: {
            found
            for found, *_ in process.extract(
                word, candidates, scorer=OSA.distance, score_cutoff=budget(word), limit=None
            )
        }
        for word in asked
    }


def filled_up(words: set[str], count: int, rng: random.Random) -> list[str]:
    """Return the words and as many misspellings of them as make the number full."""
    sound = sorted(word for word in words if word.isalpha())
    full = set(words)
    while len(full) < count:
        full.add(edited(rng.choice(sound), rng.choice((1, 2)), rng))
    return sorted(full)[:count] if len(full) > count else rng.sample(sorted(full), len(full))


def misspelt(vocabulary: set[str], rng: random.Random) -> list[Asked]:
    """Return misspellings of the demo's own words: short ones with one edit, long ones with one or two."""
    texts = [FOR_A_PART, FOR_A_SYMPTOM, ROUTINE, WHERE, *(each for category in CATEGORIES for each in category[2:])]
    sound = sorted(vocabulary & set(re.findall("[a-z]{4,}", " ".join(part for text in texts for part in text))))
    long, short = ([word for word in sound if (len(word) > 7) == wanted] for wanted in (True, False))  # noqa: PLR2004
    plan = [(short, 1, "4-7, 1")] * (QUERIES // 2) + [(long, 1, "8+, 1"), (long, 2, "8+, 2")] * (QUERIES // 4)
    asked = []
    for words, edits, made in plan:
        meant = rng.choice(words)
        asked.append(Asked(edited(meant, edits, rng), meant, made))
    return asked


def edited(word: str, edits: int, rng: random.Random) -> str:
    """Return the word with letters inserted, deleted, replaced or swapped; in a fifth of all cases at the front."""
    for _ in range(edits):
        before = word
        while word in {before, ""}:
            at = 0 if rng.random() < 0.2 else rng.randrange(len(before))  # noqa: PLR2004 (the fifth)
            letter, front, back = rng.choice(string.ascii_lowercase), before[:at], before[at:]
            word = front + rng.choice((letter + back, back[1:], letter + back[1:], back[1::-1] + back[2:]))
    return word


def recalls(lookup: Lookup, asked: Sequence[Asked], brute: Sequence[set[str]], kinds: Sequence[str]) -> str:
    """Return the columns of recall: of all near words, for each kind of misspelling, and of what was meant."""
    shares: dict[str, list[float]] = {kind: [] for kind in kinds}
    meant, candidates = 0, []
    for each, wanted in zip(asked, brute, strict=True):
        seen = lookup([each.word])
        found = near([each.word], seen)[each.word]
        candidates.append(len(seen))
        meant += each.meant in found
        if wanted:
            shares[each.made].append(len(found & wanted) / len(wanted))
    means = [
        statistics.mean(share for each in shares.values() for share in each),
        *(statistics.mean(shares[kind]) for kind in kinds),
    ]
    columns = " ".join(f"{mean:8.3f}" for mean in means)
    return f"{columns} {meant / len(asked):6.3f} {statistics.median(candidates):8,.0f}"


def times(lookup: Lookup, asked: Sequence[Asked]) -> str:
    """Return the columns of times: for one word, and for four at once."""
    words = [each.word for each in random.Random(4).sample(asked, len(asked))]
    columns = []
    for size in (1, TOGETHER):
        spent = []
        for start in range(0, len(words), size):
            began, cpu = time.perf_counter(), time.process_time()
            some = words[start : start + size]
            near(some, lookup(some))
            spent.append((1e3 * (time.perf_counter() - began), 1e3 * (time.process_time() - cpu)))
        passed = sorted(each for each, _ in spent)
        here = statistics.median(each for _, each in spent)
        columns.append(f"{statistics.median(passed):7.2f} {passed[int(0.95 * len(passed))]:7.2f} {here:7.2f}")
    return " ".join(columns)


if __name__ == "__main__":
    raise SystemExit("python -m bench.search_designs")
