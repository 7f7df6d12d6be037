"""GraphQL answers are sent compressed to whoever can read that."""

import re
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware

GRAPHQL: Final = "/graphql"
DECLINED: Final = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)", re.IGNORECASE)
"""What Django's middleware takes for a wish."""


def compression(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Compress GraphQL's JSON.

    Not pages: GraphiQL's holds a token, whose letters the length of an answer that also repeats a guess would give
    away (BREACH). A JSON answer holds no secret, only what its reader asked for; and no other origin can make a browser
    ask with a token, nor with the session but by going to the address. Django adds bytes at random all the same.
    """
    gzip = GZipMiddleware(get_response)

    def handle(request: HttpRequest) -> HttpResponse:
        answer = get_response(request)
        if request.path_info != GRAPHQL or not answer.get("Content-Type", "").startswith("application/"):
            return answer
        if DECLINED.search(request.headers.get("Accept-Encoding", "")):
            request.META.pop("HTTP_ACCEPT_ENCODING")
        gzip.process_response(request, answer)  # it changes the answer itself
        return answer

    return handle
