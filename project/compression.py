"""Answers of the APIs are sent compressed to whoever can read that."""

import re
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

GRAPHQL: Final = "/graphql"
SHORT: Final = 200
"""Fewer bytes are sent as they are."""

DECLINED: Final = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)", re.IGNORECASE)


def compression(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Compress the JSON of GraphQL and REST.

    Not pages: GraphiQL's holds a token, whose letters the length of an answer that also repeats a guess would give
    away (BREACH). A JSON answer holds no secret, only what its reader asked for; and no other origin can make a browser
    ask with a token, nor with the session but by going to the address. Django adds bytes at random all the same.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        answer = get_response(request)
        of_an_api = request.path_info == GRAPHQL or request.path_info.startswith(f"/{settings.REST_PATH}")
        if not of_an_api or not answer.get("Content-Type", "").startswith("application/"):
            return answer
        if len(answer.content) >= SHORT:
            patch_vary_headers(answer, ["Accept-Encoding"])
            compressed = gzipped(answer.content, request.headers.get("Accept-Encoding", ""))
            if compressed is not None:
                answer.content = compressed
                answer["Content-Length"], answer["Content-Encoding"] = str(len(compressed)), "gzip"
        return answer

    return handle


def gzipped(body: bytes, accepted: str) -> bytes | None:
    """Return a body compressed; None if that makes it no shorter, or its reader does not accept it."""
    if len(body) < SHORT or not re_accepts_gzip.search(accepted) or DECLINED.search(accepted):
        return None
    compressed: bytes = compress_string(body, max_random_bytes=GZipMiddleware.max_random_bytes)
    return compressed if len(compressed) < len(body) else None
