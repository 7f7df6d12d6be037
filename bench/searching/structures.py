"""The index structures that `bench.search_designs` compares, each in a table of its own in the scratch database."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Final, NamedTuple

import psycopg
from pyroaring import BitMap

KINDS: Final = (1, 2, 3, 4, 5)
PAGE: Final = 20
CHUNK_BITS: Final = 17
LINES: Final = 20_000
ANSWER: Final = """
WITH found AS {how} ({found})
SELECT count(*) FILTER (WHERE kind = 1), count(*) FILTER (WHERE kind = 2), count(*) FILTER (WHERE kind = 3),
    count(*) FILTER (WHERE kind = 4), count(*) FILTER (WHERE kind = 5),
    ARRAY(SELECT number FROM found ORDER BY number DESC LIMIT 20)
FROM found
"""

Query = Sequence[Sequence[int]]
"""Groups of word ids: a row is to hold one word at least of each group."""


class Row(NamedTuple):
    """A document."""

    number: int
    kind: int
    words: frozenset[int]


class Answer(NamedTuple):
    """How many documents were found, how many of each kind, and the newest of them."""

    total: int
    kinds: tuple[int, ...]
    newest: list[int]


class Structure(ABC):
    """A table and its index: how they are made, asked and added to."""

    table: ClassVar[str]
    columns: ClassVar[str]
    finish: ClassVar[str]

    def __init__(self, session: psycopg.Connection[Any], words: Sequence[str]) -> None:
        """Take the session to work in, and the words by their ids."""
        self.session, self.words = session, words

    def build(self, rows: Sequence[Row]) -> None:
        """Load all documents, then make the index."""
        self.session.execute(f"CREATE TABLE {self.table} ({self.columns})")
        with self.session.cursor() as cursor, cursor.copy(f"COPY {self.table} FROM STDIN") as copy:
            lines = self.lines(rows)
            while block := "".join(islice(lines, LINES)):
                copy.write(block)
        for statement in self.finish.split(";"):
            self.session.execute(statement)
        self.session.execute(f"VACUUM ANALYZE {self.table}")

    @abstractmethod
    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Return what COPY reads."""

    @abstractmethod
    def add(self, rows: Sequence[Row]) -> None:
        """Add documents."""

    @abstractmethod
    def found(self, query: Query) -> tuple[str, list[Any]]:
        """Return the statement that finds the number and kind of each document, and its values."""

    def once(self, query: Query) -> Answer:
        """Answer from one scan, whose rows are kept."""
        return self._ask(query, "MATERIALIZED")

    def twice(self, query: Query) -> Answer:
        """Answer from two scans, one to count and one for the newest, which may stop early."""
        return self._ask(query, "NOT MATERIALIZED")

    def _ask(self, query: Query, how: str) -> Answer:
        found, values = self.found(query)
        row = self.session.execute(ANSWER.format(how=how, found=found), values, binary=True).fetchone()
        assert row
        return Answer(sum(row[:5]), row[:5], row[5])


class TextVectors(Structure):
    """A: a tsvector in each document's row, and GIN."""

    table = "a_document"
    columns = "number bigint PRIMARY KEY, kind int NOT NULL, words tsvector NOT NULL"
    finish = "CREATE INDEX a_words ON a_document USING gin (words)"

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Write the words in quotes."""
        return (f"{number}\t{kind}\t{self._vector(words)}\n" for number, kind, words in rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Insert them by one statement."""
        statement = "INSERT INTO a_document SELECT * FROM unnest(%s::bigint[], %s::int[], %s::tsvector[])"
        numbers, kinds, words = zip(*rows, strict=True)
        self.session.execute(statement, [list(numbers), list(kinds), [self._vector(each) for each in words]])

    def found(self, query: Query) -> tuple[str, list[Any]]:
        """Ask by a tsquery."""
        text = " & ".join(f"({' | '.join(self.words[word] for word in group)})" for group in query)
        return "SELECT number, kind FROM a_document WHERE words @@ %s::tsquery", [text]

    def _vector(self, words: Iterable[int]) -> str:
        return " ".join(f"'{self.words[word]}'" for word in words)


class IdArrays(Structure):
    """B: an array of word ids in each document's row, and GIN."""

    table = "b_document"
    columns = "number bigint PRIMARY KEY, kind int NOT NULL, words int[] NOT NULL"
    finish = "CREATE INDEX b_words ON b_document USING gin (words)"

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Write the ids in braces."""
        return (f"{number}\t{kind}\t{{{','.join(map(str, words))}}}\n" for number, kind, words in rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Insert them by one statement."""
        statement = (
            "INSERT INTO b_document SELECT n, k, w::int[] FROM unnest(%s::bigint[], %s::int[], %s::text[]) u (n, k, w)"
        )
        numbers, kinds, words = zip(*rows, strict=True)
        arrays = [f"{{{','.join(map(str, each))}}}" for each in words]
        self.session.execute(statement, [list(numbers), list(kinds), arrays])

    def found(self, query: Query) -> tuple[str, list[Any]]:
        """Ask for all words that stand alone at once, then for one of each group of alternatives."""
        needed = [group[0] for group in query if len(group) == 1]
        groups = [list(group) for group in query if len(group) > 1]
        tests = ["words @> %s::int[]"] * bool(needed) + ["words && %s::int[]"] * len(groups)
        statement = f"SELECT number, kind FROM b_document WHERE {' AND '.join(tests)}"  # noqa: S608 (of constants)
        return statement, [needed, *groups] if needed else [*groups]


class Postings(Structure):
    """C: a row for each word of each document, found in a covering b-tree."""

    table = "c_posting"
    columns = "word_id int NOT NULL, number bigint NOT NULL, kind int NOT NULL"
    finish = """
        ALTER TABLE c_posting ALTER word_id SET STATISTICS 1000;
        CREATE UNIQUE INDEX c_key ON c_posting (word_id, number) INCLUDE (kind);
        ALTER TABLE c_posting ADD PRIMARY KEY USING INDEX c_key
    """

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Write a line for each word."""
        return (f"{word}\t{number}\t{kind}\n" for number, kind, words in rows for word in words)

    def add(self, rows: Sequence[Row]) -> None:
        """Insert them by one statement."""
        statement = "INSERT INTO c_posting SELECT * FROM unnest(%s::int[], %s::bigint[], %s::int[])"
        triples = [(word, number, kind) for number, kind, words in rows for word in words]
        self.session.execute(statement, [list(column) for column in zip(*triples, strict=True)])

    def found(self, query: Query) -> tuple[str, list[Any]]:
        """Join the words' rows by number."""
        parts = [
            "(SELECT number, kind FROM c_posting WHERE word_id = %s)"
            if len(group) == 1
            else "(SELECT DISTINCT number, kind FROM c_posting WHERE word_id = ANY(%s))"
            for group in query
        ]
        joined = ", ".join(f"{part} AS p{place}" for place, part in enumerate(parts))
        same = " AND ".join(["true", *(f"p{place}.number = p0.number" for place in range(1, len(parts)))])
        values = [group[0] if len(group) == 1 else list(group) for group in query]
        return f"SELECT p0.number, p0.kind FROM {joined} WHERE {same}", values  # noqa: S608 (of constants)


class Bitmaps(Structure):
    """D: a roaring bitmap of the documents' numbers for each word and each 131,072 numbers; kinds are words below 0."""

    table = "d_posting"
    columns = "word_id int, chunk int, numbers bytea STORAGE EXTERNAL NOT NULL, PRIMARY KEY (word_id, chunk)"
    finish = "SELECT 1"
    fetch: Final = "SELECT word_id, chunk, numbers FROM d_posting WHERE word_id = ANY(%s)"

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Write a line for each word and chunk."""
        for (word, chunk), bits in sorted(_maps(rows).items()):
            yield f"{word}\t{chunk}\t\\\\x{bits.serialize().hex()}\n"

    def add(self, rows: Sequence[Row]) -> None:
        """Read the chunks, write them with the new numbers."""
        lock = """SELECT word_id, chunk, numbers FROM d_posting JOIN unnest(%s::int[], %s::int[]) AS u (w, c)
            ON (w, c) = (word_id, chunk) ORDER BY 1, 2 FOR NO KEY UPDATE OF d_posting"""
        write = """INSERT INTO d_posting SELECT * FROM unnest(%s::int[], %s::int[], %s::bytea[])
            ON CONFLICT (word_id, chunk) DO UPDATE SET numbers = excluded.numbers"""
        maps = _maps(rows)
        keys = [list(column) for column in zip(*maps, strict=True)]
        for word, chunk, numbers in self.session.execute(lock, keys, binary=True):
            maps[word, chunk] |= BitMap.deserialize(numbers)
        self.session.execute(write, [*keys, [bits.serialize() for bits in maps.values()]])

    def found(self, query: Query) -> tuple[str, list[Any]]:
        """Fetch the bitmaps of all words."""
        return self.fetch, [[word for group in query for word in group]]

    def once(self, query: Query) -> Answer:
        """Fetch words and kinds by one statement."""
        words = [word for group in query for word in group]
        stored = self._fetched(self.fetch, [[*words, *(-kind for kind in KINDS)]])
        return _counted(_hits(query, stored), stored)

    def twice(self, query: Query) -> Answer:
        """Fetch the kinds by a second statement, in the chunks only where something was found."""
        hits = _hits(query, self._fetched(*self.found(query)))
        if not hits:
            return _counted({}, {})
        kinds = [-kind for kind in KINDS]
        return _counted(hits, self._fetched(f"{self.fetch} AND chunk = ANY(%s)", [kinds, list(hits)]))

    def _fetched(self, statement: str, values: list[Any]) -> dict[int, dict[int, bytes]]:
        stored: dict[int, dict[int, bytes]] = defaultdict(dict)
        for word, chunk, numbers in self.session.execute(statement, values, binary=True):
            stored[chunk][word] = numbers
        return stored


def _maps(rows: Iterable[Row]) -> dict[tuple[int, int], BitMap]:
    """Return the bitmaps of documents."""
    numbers: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, kind, words in rows:
        for word in (*words, -kind):
            numbers[word, number >> CHUNK_BITS].append(number)
    return {key: BitMap(each) for key, each in numbers.items()}


def _hits(query: Query, stored: dict[int, dict[int, bytes]]) -> dict[int, BitMap]:
    """Return what each chunk holds of the documents looked for."""
    hits = {}
    for chunk, maps in stored.items():
        groups = [[maps[word] for word in group if word in maps] for group in query]
        if all(groups):
            ored = [BitMap.union(*(BitMap.deserialize(each) for each in group)) for group in groups]
            if both := BitMap.intersection(*ored):
                hits[chunk] = both
    return hits


def _counted(hits: dict[int, BitMap], stored: dict[int, dict[int, bytes]]) -> Answer:
    """Count them, and take the newest."""
    kinds, newest = [0] * len(KINDS), list[int]()
    for chunk in sorted(hits, reverse=True):
        for place, kind in enumerate(KINDS):
            if -kind in stored[chunk]:
                kinds[place] += hits[chunk].intersection_cardinality(BitMap.deserialize(stored[chunk][-kind]))
        if len(newest) < PAGE:
            newest += reversed(hits[chunk][-(PAGE - len(newest)) :])
    return Answer(sum(len(each) for each in hits.values()), tuple(kinds), newest)
