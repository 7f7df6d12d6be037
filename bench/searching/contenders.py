"""The ways to search that `bench.search_speed` compares, each a function from a query to the number of its results."""

import os
import re
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from bench.serving.contenders import install

PAGE: Final = 20
PART: Final = re.compile(r"[a-z]+|[0-9]+")
ONE_FROM, TWO_FROM = 4, 8
HEAP: Final = 256 * 2**20
SIMILAR: Final = """
SELECT id FROM work_orders_workorder WHERE tenant_id = %s ORDER BY similarity(title, %s) DESC LIMIT %s
"""

Way = Callable[[str], int]


def ours(tenant_id: int) -> dict[str, Way]:
    """Return our ways: computed without and with highlights, and remembered from the first time.

    All of them go through the service, with the statement that reads the index's state. What is computed never meets
    Redis; what is cached has been asked once before.
    """
    from apps.accounts.tenancy import tenant_scope  # noqa: PLC0415 (Django is set up by now)
    from apps.search import cache, services  # noqa: PLC0415

    def ask(query: str, *, highlights: bool) -> int:
        with tenant_scope(tenant_id):
            return services.search(tenant_id, services.Question(query, (), PAGE, None, highlights)).total

    def computed(query: str, *, highlights: bool = False) -> int:
        with patch.object(cache, "remembered", lambda _, compute: compute()[1]):
            return ask(query, highlights=highlights)

    return {
        "ours": computed,
        "ours, highlighted": lambda query: computed(query, highlights=True),
        "ours, cached": lambda query: ask(query, highlights=True),
    }


def similarity(tenant_id: int) -> Way:
    """Return the way that the usual recipes name: all titles in the order of their likeness to the query."""
    from django.db import connection  # noqa: PLC0415

    def ask(query: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(SIMILAR, [tenant_id, query, PAGE])
            return len(cursor.fetchall())

    return ask


class Tantivy:
    """An index of tantivy in this process's memory, and how it is asked: every word, within the same budget."""

    def __init__(self, texts: Iterable[tuple[int, str]]) -> None:
        """Index the texts of keys."""
        sys.path.append(str(install()))
        self._library: Any = import_module("tantivy")
        builder = self._library.SchemaBuilder()
        builder.add_text_field("text", stored=False)
        builder.add_integer_field("key", stored=True)
        self._schema = builder.build()
        index = self._library.Index(self._schema)
        writer = index.writer(HEAP, 1)
        for key, text in texts:
            document = self._library.Document()
            document.add_text("text", text)
            document.add_integer("key", key)
            writer.add_document(document)
        writer.commit()
        index.reload()
        self._searcher = index.searcher()

    def ask(self, query: str) -> int:
        """Return how many texts hold all words of a query, having read the keys of the best."""
        parts = PART.findall(query.casefold())
        return self._search([self._near(part, prefix=False) for part in parts])

    def ask_prefix(self, query: str) -> int:
        """Return the same, where the last word is the beginning of one."""
        *parts, last = PART.findall(query.casefold())
        return self._search([*(self._near(part, prefix=False) for part in parts), self._near(last, prefix=True)])

    def _near(self, word: str, *, prefix: bool) -> Any:
        edits = 0 if prefix or not word.isalpha() else (len(word) >= ONE_FROM) + (len(word) >= TWO_FROM)
        if not edits and not prefix:
            return self._library.Query.term_query(self._schema, "text", word)
        return self._library.Query.fuzzy_term_query(
            self._schema, "text", word, distance=edits, transposition_cost_one=True, prefix=prefix
        )

    def _search(self, queries: list[Any]) -> int:
        must = [(self._library.Occur.Must, query) for query in queries]
        result = self._searcher.search(self._library.Query.boolean_query(must), PAGE, count=True)
        for _, address in result.hits:
            self._searcher.doc(address)
        return int(result.count)


def memory() -> float:
    """Return the MB that this process holds in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
