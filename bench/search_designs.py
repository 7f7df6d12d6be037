"""Which structure a full-text index over 1,000,000 short texts is to have, and how misspelt words find candidates.

`python -m bench.search_designs [--rows N] [--words N] [--parallel]`: makes demo titles, loads them into each of the
structures of `searching.structures`, asks all of them the same questions by turns, adds documents, and prints what
each took; then it does the same with the ways of `searching.spelling` to find words.
"""

import argparse
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
from rapidfuzz import process
from rapidfuzz.distance import OSA

from bench.scratch import scratch_database
from bench.searching import spelling
from bench.searching.structures import KINDS, Answer, Bitmaps, IdArrays, Postings, Query, Row, Structure, TextVectors

T = TypeVar("T")
R = TypeVar("R")
WORD: Final = re.compile(r"[^\W_]+")
FREQUENT: Final = ("routine", "planned")
RARE: Final = tuple(f"rare{number}" for number in range(40))
INSTANCES, ROUNDS, BATCHES = 40, 20, (256, 1)
ORDINARY: Final = 1_000
ALTERNATIVES, NEAR = 5, 2


class Corpus(NamedTuple):
    """Documents, those to be added later, the words by id, and in how many documents each word is."""

    rows: list[Row]
    later: list[Row]
    words: list[str]
    counts: Counter[int]

    def ids(self) -> dict[str, int]:
        """Return each word's id."""
        return {word: key for key, word in enumerate(self.words)}


class Spent(NamedTuple):
    """Milliseconds that passed, and that this process and the server's process worked."""

    passed: float
    here: float
    there: float


def main() -> None:
    """Make, build, ask, add, print; then the words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=100_000)
    parser.add_argument("--parallel", action="store_true", help="let a query use several processes of the server")
    options = parser.parse_args()
    with scratch_database("bench_search_designs"):
        session = raw_session()
        session.execute(f"SET max_parallel_workers_per_gather = {2 if options.parallel else 0}")
        corpus = make_corpus(options.rows, random.Random(1))
        print(f"{len(corpus.rows):,} rows, {corpus.counts.total():,} postings, {len(corpus.words):,} words", flush=True)
        structures = [kind(session, corpus.words) for kind in (TextVectors, IdArrays, Postings, Bitmaps)]
        build(session, structures, corpus.rows)
        ask(session, structures, corpus)
        add(session, structures, corpus.later)
        spelling.compare(session, corpus.words, options.words)


def raw_session() -> psycopg.Connection[Any]:
    """Return psycopg's own connection to the scratch database."""
    from django.db import connection  # noqa: PLC0415

    connection.ensure_connection()
    assert isinstance(connection.connection, psycopg.Connection)
    session: psycopg.Connection[Any] = connection.connection
    session.cursor_factory = psycopg.Cursor  # Django's binds values itself, and can't fetch binary ones
    session.execute("CREATE SCHEMA bench")  # the applications' names are theirs
    session.execute("SET search_path = bench, public")
    return session


def make_corpus(count: int, rng: random.Random) -> Corpus:
    """Return so many documents, with two words in exactly a tenth of them each, and forty in five each."""
    extra = extra_words(count, rng)
    ids: dict[str, int] = {}
    rows = []
    for number, title in enumerate(titles(count + ROUNDS * 2 * sum(BATCHES), rng)):
        spelt = {*WORD.findall(title.casefold()), *extra.get(number, ())}
        rows.append(Row(number, rng.choice(KINDS), frozenset(ids.setdefault(word, len(ids)) for word in sorted(spelt))))
    counts = Counter(word for row in rows[:count] for word in row.words)
    assert all(counts[ids[word]] == count // 10 for word in FREQUENT)
    return Corpus(rows[:count], rows[count:], list(ids), counts)


def extra_words(count: int, rng: random.Random) -> dict[int, list[str]]:
    """Return the words to add to each document; a rare one meets each of the frequent ones somewhere."""
    extra: dict[int, list[str]] = {}
    holders = [rng.sample(range(count), count // 10) for _ in FREQUENT]
    placed = [(word, each) for word, numbers in zip(FREQUENT, holders, strict=True) for each in numbers]
    for word in RARE:
        first = {rng.choice(numbers) for numbers in holders}
        placed += [(word, each) for each in (*first, *rng.sample(range(count), 5 - len(first)))]
    for word, number in placed:
        extra.setdefault(number, []).append(word)
    return extra


def titles(count: int, rng: random.Random) -> Iterator[str]:
    """Return demo titles."""
    from project.demo.titles import title  # noqa: PLC0415
    from project.demo.words import CATEGORIES  # noqa: PLC0415

    return (title(rng.choice(CATEGORIES), rng) for _ in range(count))


def build(session: psycopg.Connection[Any], structures: Sequence[Structure], rows: Sequence[Row]) -> None:
    """Build all structures, and print how long it took and how large they are."""
    print(f"{'structure':16} {'built in s':>10} {'table MB':>9} {'indexes MB':>10} {'total MB':>9}")
    for structure in structures:
        began = time.perf_counter()
        structure.build(rows)
        seconds = time.perf_counter() - began
        sizes = session.execute("SELECT pg_table_size(%s), pg_indexes_size(%s)", [structure.table] * 2).fetchone()
        assert sizes
        table, indexes = (size / 2**20 for size in sizes)
        line = f"{seconds:10.1f} {table:9.1f} {indexes:10.1f} {table + indexes:9.1f}"
        print(f"{type(structure).__name__:16} {line}", flush=True)


def ask(session: psycopg.Connection[Any], structures: Sequence[Structure], corpus: Corpus) -> None:
    """Ask each structure each question by turns, in both ways; print what it took, if all answers are the same."""
    ways: dict[str, Callable[[Query], Answer]] = {}
    for structure in structures:
        name = type(structure).__name__
        ways |= {f"{name} once": structure.once, f"{name} twice": structure.twice}
    print(f"{'query':12} {'hits':>7} {'way':18} {'ms':>8} {'p95 ms':>8} {'here':>7} {'server':>8} {'ratio':>7}")
    for query_kind, queries in questions(corpus, random.Random(2)).items():
        times: dict[str, list[Spent]] = {name: [] for name in ways}
        answers = [
            {name: measured(session, times[name], way, query) for name, way in ways.items()} for query in queries
        ]
        assert all(answer == each["TextVectors once"] for each in answers for answer in each.values()), query_kind
        hits = statistics.median(each["TextVectors once"].total for each in answers)
        least = min(statistics.median(spent.passed for spent in spents) for spents in times.values())
        for name, spents in times.items():
            print(f"{query_kind:12} {hits:7,.0f} {name:18} {summary(spents, least)}", flush=True)


def measured(session: psycopg.Connection[Any], times: list[Spent], work: Callable[[T], R], value: T) -> R:
    """Do the work and note what it took."""
    statistics_file = Path(f"/proc/{session.info.backend_pid}/schedstat")
    there, here, began = server_time(statistics_file), time.process_time(), time.perf_counter()
    result = work(value)
    passed, here = time.perf_counter() - began, time.process_time() - here
    times.append(Spent(passed * 1e3, here * 1e3, (server_time(statistics_file) - there) / 1e6))
    return result


def server_time(file: Path) -> int:
    """Return the nanoseconds that the server's process has worked."""
    return int(file.read_text(encoding="ascii").split()[0])


def summary(spents: Sequence[Spent], least: float) -> str:
    """Return the columns of times."""
    passed = [spent.passed for spent in spents]
    median = statistics.median(passed)
    here, there = (statistics.median(spent[place] for spent in spents) for place in (1, 2))
    p95 = sorted(passed)[int(0.95 * len(passed))]
    return f"{median:8.2f} {p95:8.2f} {here:7.2f} {there:8.2f} {median / least:7.1f}"


def questions(corpus: Corpus, rng: random.Random) -> dict[str, list[Query]]:
    """Return the questions of each kind."""
    ids = corpus.ids()
    rare, frequent = [ids[word] for word in RARE], [ids[word] for word in FREQUENT]
    common = [word for word, _ in corpus.counts.most_common(2 + INSTANCES // 2) if word not in frequent]
    triples = [spelt(corpus, rng) for _ in range(INSTANCES)]
    return {
        "rare": [[[word]] for word in rare],
        "frequent": [[[word]] for word in frequent * (INSTANCES // 2)],
        "2 frequent": [[frequent[:1], frequent[1:]], *([[one], [other]] for one in frequent for other in common)],
        "freq + rare": [[[frequent[place % 2]], [word]] for place, word in enumerate(rare)],
        "3 as spelt": [[[word] for word in words] for words in triples],
        "3 with 5 each": [[nearest(word, corpus, ids) for word in words] for words in triples],
        "none": [[[word] for word in strangers(corpus, rng)] for _ in range(INSTANCES)],
    }


def spelt(corpus: Corpus, rng: random.Random) -> list[int]:
    """Return three words of some title."""
    while True:
        words = [word for word in rng.choice(corpus.rows).words if len(corpus.words[word]) >= 4]  # noqa: PLR2004
        if len(words) >= 3 and not {corpus.words[word] for word in words} & {*FREQUENT, *RARE}:  # noqa: PLR2004
            return rng.sample(sorted(words), 3)


def nearest(word: int, corpus: Corpus, ids: dict[str, int]) -> list[int]:
    """Return the word and the four that are spelt most like it."""
    found = process.extract(
        corpus.words[word], corpus.words, scorer=OSA.distance, score_cutoff=NEAR, limit=ALTERNATIVES
    )
    return [ids[near] for near, *_ in found]


def strangers(corpus: Corpus, rng: random.Random) -> list[int]:
    """Return three ordinary words that no document holds together."""
    ordinary = [word for word, count in corpus.counts.items() if count >= ORDINARY * len(corpus.rows) // 10**6]
    while True:
        words = set(rng.sample(ordinary, 3))
        if not any(words <= row.words for row in corpus.rows):
            return list(words)


def add(session: psycopg.Connection[Any], structures: Sequence[Structure], later: Sequence[Row]) -> None:
    """Add documents to the structures by turns, and print what it took; then again with nothing left pending in GIN."""
    print(f"{'added':>5} {'to':26} {'ms':>8} {'p95 ms':>8} {'here':>7} {'server':>8} {'ratio':>7} {'WAL kB':>7}")
    rows = iter(later)
    named = {type(each).__name__: each for each in structures}
    for size in BATCHES:
        add_rounds(session, named, list(islice(rows, ROUNDS * size)), size)
    vectors, arrays, *_ = structures
    for index in ("a_words", "b_words"):
        session.execute(f"ALTER INDEX {index} SET (fastupdate = off)")
        session.execute("SELECT gin_clean_pending_list(%s::regclass)", [index])
    named = {"TextVectors, none pending": vectors, "IdArrays, none pending": arrays}
    for size in BATCHES:
        add_rounds(session, named, list(islice(rows, ROUNDS * size)), size)


def add_rounds(
    session: psycopg.Connection[Any], structures: dict[str, Structure], later: Sequence[Row], size: int
) -> None:
    """Add the documents, so many in a transaction."""
    times: dict[str, list[Spent]] = {name: [] for name in structures}
    logged: dict[str, list[int]] = {name: [] for name in structures}

    def committed(work: tuple[Structure, Sequence[Row]]) -> None:
        with session.transaction():
            work[0].add(work[1])

    for start in range(0, len(later), size):
        for name, structure in structures.items():
            before = written(session)
            measured(session, times[name], committed, (structure, later[start : start + size]))
            logged[name].append(written(session) - before)
    least = min(statistics.median(spent.passed for spent in spents) for spents in times.values())
    for name, spents in times.items():
        print(f"{size:5} {name:26} {summary(spents, least)} {statistics.median(logged[name]) / 1024:7.1f}", flush=True)


def written(session: psycopg.Connection[Any]) -> int:
    """Return how many bytes of log the server has written."""
    row = session.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
    assert row
    return int(row[0])


if __name__ == "__main__":
    main()
