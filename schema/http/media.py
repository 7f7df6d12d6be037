"""Which form of answer a client accepts."""

from typing import Final

from django.http import HttpRequest
from django.http.request import MediaType

GRAPHQL: Final = "application/graphql-response+json"
JSON: Final = "application/json"
HTML: Final = "text/html"
ANYTHING: Final = "*/*"
NAMED: Final = 2
"""The specificity of a media range that names its type whole."""


def answer_type(request: HttpRequest) -> str | None:
    """Return the media type to answer in, or None if the client accepts neither that we have.

    A client that lists GraphQL's own type at least as high as JSON gets it; one that takes anything gets JSON, which
    every client can read.
    """
    (graphql, named), (json, _) = _acceptance(request, GRAPHQL), _acceptance(request, JSON)
    if not graphql and not json:
        return None
    return GRAPHQL if graphql > json or (graphql == json and named) else JSON


def wants_page(request: HttpRequest) -> bool:
    """Tell whether the client is a browser that wants a page: it lists HTML, and higher than any data."""
    html, named = _acceptance(request, HTML)
    return named and html >= max(_acceptance(request, kind)[0] for kind in (GRAPHQL, JSON))


def _acceptance(request: HttpRequest, kind: str) -> tuple[float, bool]:
    """Return how much a client likes a media type, from 0 to 1, and whether it lists it by name."""
    accepted = request.headers.get("Accept", "").lower().strip() or ANYTHING
    ranges = map(MediaType, filter(str.strip, accepted.split(",")))
    offered = MediaType(f"{kind}; charset=utf-8")
    best = max((each for each in ranges if offered.match(str(each))), key=lambda each: each.specificity, default=None)
    return (0.0, False) if best is None else (best.quality, best.specificity >= NAMED)
