"""Which form of answer a client accepts."""

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final

from django.http.request import MediaType

from apps.accounts.middleware import GRAPHQL_TYPE

GRAPHQL: Final = GRAPHQL_TYPE
JSON: Final = "application/json"
HTML: Final = "text/html"
ANYTHING: Final = "*/*"
MAX_ACCEPT: Final = 1000
"""So many characters are read of what a client accepts."""

NAMED: Final = 2
"""The specificity of a media range that names its type whole."""


def answer_type(accepted: str) -> str | None:
    """Return the media type to answer in for a header `Accept`, or None if the client accepts neither that we have."""
    return _answer_type(_read(accepted))


@lru_cache(maxsize=256)
def _answer_type(accepted: str) -> str | None:
    # Who lists GraphQL's own type at least as high as JSON gets it; who takes anything gets what every client can read.
    ranges = _ranges(accepted)
    (graphql, named), (json, _) = _acceptance(ranges, GRAPHQL), _acceptance(ranges, JSON)
    if not graphql and not json:
        return None
    return GRAPHQL if graphql > json or (graphql == json and named) else JSON


def wants_page(accepted: str) -> bool:
    """Tell whether the client is a browser that wants a page: it lists HTML, and not below any data."""
    ranges = _ranges(_read(accepted))
    html, named = _acceptance(ranges, HTML)
    return named and html >= max(_acceptance(ranges, kind)[0] for kind in (GRAPHQL, JSON))


def _read(accepted: str) -> str:
    return accepted[:MAX_ACCEPT].strip().lower() or ANYTHING


def _ranges(accepted: str) -> Sequence[MediaType]:
    ranges: list[MediaType] = []
    for text in accepted.split(","):
        with suppress(ValueError):  # a parameter that can't be decoded
            ranges.append(MediaType(text))
    return ranges


def _acceptance(ranges: Sequence[MediaType], kind: str) -> tuple[float, bool]:
    """Return how much a client likes a media type, from 0 to 1, and whether it lists it by name."""
    offered = MediaType(f"{kind}; charset=utf-8")
    matching = (each for each in ranges if offered.match(str(each)))
    best = max(matching, key=lambda each: each.specificity, default=None)
    return (0.0, False) if best is None else (best.quality, best.specificity >= NAMED)
