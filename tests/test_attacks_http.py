"""Bodies, headers, methods and hashes made to hurt: what is no request is told so, and nobody is fooled."""

import gzip
import hashlib
import json
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import Tenant
from tests.attacks import CODES, ME, Attack, Target, bodies, withstands

SERVED: Final = "200"
MALFORMED: Final = "400 BAD_REQUEST"
INVALID: Final = "422 BAD_REQUEST"
COMPLEX: Final = "422 QUERY_TOO_COMPLEX"
UNSUPPORTED: Final = "415 BAD_REQUEST"
UNACCEPTABLE: Final = "406 BAD_REQUEST"
METHOD: Final = "405 BAD_REQUEST"
FORBIDDEN: Final = "403 BAD_REQUEST"
STRANGER: Final = "401 UNAUTHENTICATED"
UNKNOWN: Final = "422 PERSISTED_QUERY_NOT_FOUND"

QUERY: Final = b'{"query":"{me{id}}"}'
MUTATION: Final = 'mutation B { createSite(input: { code: "HACKED", name: "a" }) { __typename } }'
PADDED: Final = b'{"query":"{me{id}}","x":"%s"}'


@pytest.fixture
def target(demo: Tenant, rival: Tenant, settings: Settings) -> Target:
    """Return an attacker and its prey, on a server that shows its schema to nobody."""
    settings.INTROSPECTION = settings.GRAPHIQL = False
    return Target.among(demo, rival)


def padded(size: int) -> bytes:
    return PADDED % (b"a" * (size - len(PADDED) + 2))


def hashed(text: str, **changes: Any) -> dict[str, Any]:
    known = {"version": 1, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}
    return {"persistedQuery": {**known, **changes}}


BODIES: Final = [
    *bodies(
        MALFORMED,
        {
            "UTF-16": QUERY.decode().encode("utf-16"),
            "UTF-16 without a mark": QUERY.decode().encode("utf-16-be"),
            "UTF-32": QUERY.decode().encode("utf-32"),
            "a byte order mark": b"\xef\xbb\xbf" + QUERY,
            "something behind it": QUERY + b"x",
            "two bodies": QUERY + QUERY,
            "NaN": b'{"query":"{me{id}}","variables":{"a":NaN}}',
            "Infinity": b'{"query":"{me{id}}","variables":{"a":-Infinity}}',
            "1e400": b'{"query":"{me{id}}","variables":{"a":1e400}}',
            "a number of 5,000 digits": b'{"query":"{me{id}}","variables":{"a":' + b"9" * 5_000 + b"}}",
            "no UTF-8": b'{"query":"{me{id}} #\xff"}',
            "a letter coded too long": b'{"query":"{me{id}} #\xc0\x80"}',
            "half a surrogate pair as it is": b'{"query":"{me{id}} #\xed\xa0\x80"}',
            "half a surrogate pair": b'{"query":"{me{id}} #\\ud800"}',
            "half a surrogate pair as a key": b'{"query":"{me{id}}","variables":{"\\udfff":1}}',
            "NUL": b'{"query":"{me{id}}\x00"}',
            "NUL escaped": b'{"query":"{me{id}}\\u0000"}',
            "a blank": b" ",
            "half a body": QUERY[:-1],
            "a comment": b"/* */" + QUERY,
            "gzip": gzip.compress(QUERY),
            "a number": b"7",
            "null": b"null",
            "a text": b'"{me{id}}"',
            "an empty object": b"{}",
            "no query": {"query": None},
            "an empty query": {"query": ""},
            "a query in a list": {"query": [ME]},
            "a name that is a number": {"query": ME, "operationName": 7},
            "variables that are a text": {"query": ME, "variables": "{}"},
            "variables that are a list": {"query": ME, "variables": []},
            "extensions that are a list": {"query": ME, "extensions": []},
            "a query and an id": {"query": ME, "documentId": "a"},
            "an id that is an object": {"documentId": {}},
            "no operations": b"[]",
            "an array in an array": b"[[" + QUERY + b"]]",
            "null in an array": b"[null]",
            "a bad operation among good ones": b"[" + QUERY + b",7," + QUERY + b"]",
        },
    ),
    *bodies(COMPLEX, {"11 operations": b"[" + b",".join([QUERY] * 11) + b"]", "many": b"[" + b"7," * 300_000 + b"7]"}),
    *bodies(
        SERVED,
        {
            "ten operations": b"[" + b",".join([QUERY] * 10) + b"]",
            "one operation of a batch": b"[" + QUERY + b"]",
            "the last of two queries": b'{"query":"{nope}","query":"{me{id}}"}',
            "more than is asked for": {"query": ME, "x": 1, "__proto__": {"query": "{nope}"}, "constructor": {}},
            "a cost that is none": {"query": ME, "extensions": {"cost": {"explain": True}}},
            "another cost": {"query": ME, "extensions": {"cost": "EXPLAIN "}},
            "no name": {"query": ME, "operationName": ""},
            "1 MB": padded(1_048_576),
            "a large number of no variable": b'{"query":"{me{id}}","variables":{"a":' + b"9" * 100 + b"}}",
        },
    ),
    *bodies("413 BAD_REQUEST", {"a byte above 1 MB": padded(1_048_577), "5 MB": b"[" * 5_000_000}),
    Attack("a mixed batch", "200 BAD_REQUEST QUERY_TOO_COMPLEX", [{"query": ME}, {"query": "{"}, {"query": "{ nope }"},
        {"query": "{ workOrders(first: 9999) { edges { node { id } } } }"}, {"query": ME}]),
    Attack("ten dear operations", "200 QUERY_TOO_COMPLEX", [{"query": "{ workOrders(first: 100) { edges { node { "
        "history(first: 100) { edges { node { actor { id } } } } } } } }"}] * 10),
    Attack("an unknown operation", INVALID, {"query": "query A { me { id } }", "operationName": "B"}),
    Attack("an operation of a strange name", INVALID, {"query": "query A { me { id } }", "operationName": "\x00'\"é"}),
]  # fmt: skip


def of_type(expected: str, *types: str) -> list[Attack]:
    return [Attack(f"type {kind[:40]}", expected, QUERY, media=kind) for kind in types]


def accepting(expected: str, *ranges: str) -> list[Attack]:
    return [Attack(f"accept {each[:40]}", expected, QUERY, {"Accept": each}) for each in ranges]


HEADERS: Final = [
    *of_type(
        UNSUPPORTED,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "application/json-patch+json",
        "/",
        ";;;",
        "*/*",
    ),
    *of_type(SERVED, 'application/json;charset="UTF-8"', "APPLICATION/JSON", "application/json;" + "a=b;" * 2_000),
    *accepting(
        UNACCEPTABLE,
        "text/html",
        "nonsense",
        "*/*;q=0",
        "application/json;q=0",
        "application/json;charset=utf-16",
        ",,,",
        "a/b," * 2_000,
        "application/json;a*=nope''x",
        "application/json;" + "x=y;" * 3_000,
        "é",
    ),
    *accepting(
        SERVED,
        "*/*",
        "application/*",
        "application/json;q=2",
        "application/json;q=nan",
        "application/json;q=-1",
        "application/json;q=1e400",
        "text/html, application/json;q=0.1",
    ),
    *(Attack(f"token {text[:20]!r}", STRANGER, QUERY, {"Authorization": text}) for text in (
        "Bearer", "Bearer ", "Bearer \x00", "Bearer é", "Bearer a b c", "Basic YTpi", "Bearer " + "a" * 50_000,
        "Bearer null", "Bearer ' OR 1=1 --", "Token x")),
    *(Attack(f"header {name}", SERVED, QUERY, {name: text}) for name, text in {
        "X-Correlation-ID": 'a"b<script>\x7f', "X-Forwarded-For": "' OR 1=1", "X-Forwarded-Host": "evil.example",
        "X-Original-URL": "/admin/", "Cookie": "sessionid=\x00; csrftoken=" + "é" * 500, "If-None-Match": "*",
        "Range": "bytes=0-1", "X-HTTP-Method-Override": "DELETE"}.items()),
]  # fmt: skip


def got(name: str, expected: str, **parameters: str) -> Attack:
    return Attack(f"GET {name}", expected, method="GET", query=urlencode(parameters))


METHODS: Final = [
    *(Attack(method, METHOD, QUERY, method=method, query=urlencode({"query": ME}))
      for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "GETPOST")),
    got("a mutation", METHOD, query=MUTATION),
    got("a mutation among queries", METHOD, query=f"query A {ME} {MUTATION}", operationName="B"),
    got("a mutation by its hash", UNKNOWN, extensions=json.dumps(hashed(MUTATION))),
    got("a method to override", METHOD, query=MUTATION, _method="POST"),
    Attack("GET a method to override by a header", METHOD, method="GET", query=urlencode({"query": MUTATION}),
        headers={"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"}),
    got("a batch", MALFORMED, query=json.dumps([{"query": ME}])),
    got("variables that are a number", MALFORMED, query=ME, variables="1"),
    got("variables of no JSON", MALFORMED, query=ME, variables="{"),
    got("deep variables", MALFORMED, query=ME, variables="[" * 3_000),
    got("extensions that are a text", MALFORMED, query=ME, extensions='"a"'),
    got("an id of a path", UNKNOWN, documentId="../" * 50),
    got("NUL", MALFORMED, query="\x00"),
    Attack("GET no UTF-8", MALFORMED, method="GET", query="query=%ff%fe"),
    Attack("GET variables of no UTF-8", MALFORMED, method="GET", query=f"query={quote(ME)}&variables=%ff"),
    Attack("GET a second query", METHOD, method="GET", query=f"query={quote(ME)}&query={quote(MUTATION)}"),
    Attack("GET 1,500 parameters", MALFORMED, method="GET", query="&".join(f"a{n}=1" for n in range(1_500))),
    Attack("GET nothing", MALFORMED, method="GET"),
    got("a query", SERVED, query=ME),
]  # fmt: skip

HASHES: Final = [
    *bodies(
        MALFORMED,
        {
            "a hash of another text": {"query": ME, "extensions": hashed("{ me { name } }")},
            "version 2": {"query": ME, "extensions": hashed(ME, version=2)},
            "no version": {"query": ME, "extensions": hashed(ME, version=None)},
            "a short hash": {"extensions": hashed(ME, sha256Hash="ab")},
            "a hash in capitals": {"extensions": hashed(ME, sha256Hash="A" * 64)},
            "a hash and a line": {"extensions": hashed(ME, sha256Hash="a" * 64 + "\n")},
            "digits of another script": {"extensions": hashed(ME, sha256Hash="\u0660" * 64)},
            "a hash that is a list": {"extensions": hashed(ME, sha256Hash=["a" * 64])},
            "a persisted query that is a list": {"extensions": {"persistedQuery": []}},
            "a hash and an id": {"documentId": "a", "extensions": hashed(ME)},
        },
    ),
    *bodies(
        UNKNOWN,
        {
            "an unknown hash": {"extensions": hashed("nothing")},
            "an unknown id": {"documentId": "sha256:" + "0" * 64},
            "an id of two prefixes": {"documentId": "sha256:sha256:" + "0" * 64},
            "an id of a pattern": {"documentId": "*"},
            "a key of Redis": {"documentId": "persisted:a\r\nFLUSHALL\r\n"},
            "an empty id": {"documentId": ""},
        },
    ),
    *bodies(SERVED, {"extensions of 900 KB": {"query": ME, "extensions": {**hashed(ME), "x": "a" * 900_000}}}),
]


@pytest.mark.parametrize("attack", [*BODIES, *HEADERS, *METHODS, *HASHES], ids=str)
def test_a_request_made_to_hurt_is_told_so_and_nothing_happens(target: Target, attack: Attack) -> None:
    withstands(target, attack)


@pytest.mark.parametrize("document", ["{", "{ nope }", "{ me { a: id" + " b: id" * 40 + " } }"])
def test_a_document_that_cannot_run_is_not_kept_by_its_hash(target: Target, document: str) -> None:
    target.send(Attack("keep", "", {"query": document, "extensions": hashed(document)}))
    withstands(target, Attack("kept", UNKNOWN, {"extensions": hashed(document)}))


def test_a_kept_mutation_is_run_by_post_alone(target: Target) -> None:
    kept = target.send(Attack("keep", SERVED, {"query": MUTATION, "extensions": hashed(MUTATION)}))
    assert kept.status_code == 200
    by_hash = {"extensions": json.dumps(hashed(MUTATION))}
    withstands(target, got("by its hash", METHOD, **by_hash))
    withstands(target, got("by its id", METHOD, documentId=hashed(MUTATION)["persistedQuery"]["sha256Hash"]))


def test_with_trusted_documents_only_no_other_way_leads_to_a_text(target: Target, settings: Settings) -> None:
    withstands(target, Attack("keep", SERVED, {"query": ME, "extensions": hashed(ME)}))
    settings.TRUSTED_DOCUMENTS = "only"
    for name, expected, body in (
        ("a text", FORBIDDEN, {"query": ME}),
        ("a text and its hash", FORBIDDEN, {"query": ME, "extensions": hashed(ME)}),
        ("a kept hash", UNKNOWN, {"extensions": hashed(ME)}),
        ("a batch", f"200 {FORBIDDEN.split()[1]}", [{"query": ME}] * 2),
        ("an explanation", FORBIDDEN, {"query": ME, "extensions": {"cost": "explain"}}),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Target, "is_served", lambda _: None)  # its text is refused as well
            withstands(target, Attack(name, expected, body))


@pytest.mark.parametrize(
    "attack",
    [
        Attack("JSON", FORBIDDEN, QUERY),
        Attack("a form", FORBIDDEN, urlencode({"query": MUTATION}), media="application/x-www-form-urlencoded"),
        Attack("a form with a token", FORBIDDEN, urlencode({"csrfmiddlewaretoken": "a" * 32, "query": MUTATION}),
            media="application/x-www-form-urlencoded"),
        Attack("plain text", FORBIDDEN, QUERY, media="text/plain"),
        Attack("a file", FORBIDDEN, b'--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n{}\r\n--x--\r\n',
            media="multipart/form-data; boundary=x"),
        Attack("a wrong token", FORBIDDEN, QUERY, {"X-CSRFToken": "a" * 32}),
        Attack("another origin", FORBIDDEN, QUERY, {"Origin": "https://evil.example"}),
        Attack("a mutation by GET", METHOD, method="GET", query=urlencode({"query": MUTATION})),
        Attack("an empty bearer", STRANGER, QUERY, {"Authorization": "Bearer "}),
    ],
    ids=str,
)  # fmt: skip
def test_a_session_does_nothing_for_another_page(target: Target, attack: Attack) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(target.actor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "is_served", lambda _: None)  # nor is a session served without the token
        session = Target(target.actor, target.ids, client, "")
        headers = {"Authorization": "", **attack.headers}
        withstands(
            session, Attack(attack.name, attack.told, attack.body, headers, attack.method, attack.query, attack.media)
        )
    target.is_served()


def test_the_attacks_meet_each_status_and_no_code_is_unknown() -> None:
    expected = [attack.told for attack in (*BODIES, *HEADERS, *METHODS, *HASHES)]
    assert {each.split()[0] for each in expected} == {"200", "400", "401", "405", "406", "413", "415", "422"}
    assert {code for each in expected for code in each.split()[1:]} == CODES - {"RATE_LIMITED"}
