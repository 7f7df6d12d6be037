"""The page that a browser gets at the endpoint: GraphiQL, from our own origin."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers

EXAMPLES = Path(__file__).parent / "examples"

# Monaco writes `style` attributes into the lines it draws, so those stay allowed; style elements need the nonce.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src-elem 'self' 'nonce-{nonce}'; "
    "style-src-attr 'unsafe-inline'; "
    "connect-src 'self'; "
    "img-src data:; "
    "font-src 'self'; "
    "worker-src 'self'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class ExampleOperation:
    """Hold one operation that GraphiQL opens in a tab."""

    name: str
    query: str
    variables: Mapping[str, object] | None = None


@cache
def example_operations() -> tuple[ExampleOperation, ...]:
    """Read the operations of `schema/examples`, in the order of their file names."""
    return tuple(_read_example(path) for path in sorted(EXAMPLES.glob("*.graphql")))


def _read_example(path: Path) -> ExampleOperation:
    query = path.read_text(encoding="utf-8")
    name = re.search(r"^(?:query|mutation) (\w+)", query, re.MULTILINE)
    if name is None:
        raise ValueError(f"{path.name} names no operation.")
    variables = path.with_suffix(".json")
    return ExampleOperation(name[1], query, json.loads(variables.read_bytes()) if variables.exists() else None)


def graphiql_response(
    request: HttpRequest, *, token: str = "", operations: Sequence[ExampleOperation] | None = None
) -> HttpResponse:
    """Render GraphiQL for the endpoint that was asked; `token` is shown to whoever can open the page."""
    nonce = secrets.token_urlsafe(16)
    response = render(request, "graphiql.html", _context(request, nonce, token, operations))
    response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY.format(nonce=nonce)
    for name, value in HEADERS.items():
        response[name] = value
    patch_vary_headers(response, ("Accept", "Cookie"))
    return response


def _context(
    request: HttpRequest, nonce: str, token: str, operations: Sequence[ExampleOperation] | None
) -> dict[str, object]:
    user = getattr(request, "user", None)
    page = {
        "endpoint": request.path,
        "csrfToken": get_token(request),
        "token": token,
        "operations": [asdict(one) for one in (example_operations() if operations is None else operations)],
    }
    anonymous = not token and not (user and user.is_authenticated)
    return {"nonce": nonce, "page": page, "login_url": resolve_url(settings.LOGIN_URL) if anonymous else ""}
