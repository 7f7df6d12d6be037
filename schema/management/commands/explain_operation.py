"""`manage.py explain_operation FILE.graphql --user EMAIL`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.management.commands.issue_token import active_user
from apps.accounts.middleware import acting
from apps.accounts.origin import command_scope
from apps.accounts.tenancy import all_tenants
from schema.compiler.errors import DATABASE, DEEP, GONE, INPUT, INTROSPECTION, MUTATION, RESOLVER
from schema.compiler.metrics import FAILED
from schema.explaining import OFF, Explanation, Reason, RefusedOperationError, explain
from schema.preparing import Asked

STANDARD_INPUT: Final = "-"
WHY: Final = {
    OFF: "COMPILED_READS is off, so the executor answers everything",
    MUTATION: "a mutation is executed, never compiled",
    INTROSPECTION: "the schema is asked about itself, which reads no rows",
    RESOLVER: "it has a resolver that looks at what is selected, or whose result can't be read by attributes",
    INPUT: "its arguments make no sense, or nothing can match them",
    DEEP: "it is nested too deep",
    GONE: "what it was to read has gone",
    DATABASE: "the database refused what was compiled",
    FAILED: "what was compiled failed, which is a fault of ours",
}
"""What the reasons of the compiler mean."""


class Command(BaseCommand):
    """Tell how an operation is answered."""

    help = (
        "Tell how a GraphQL operation is answered: what of it is compiled and what is left to the executor and why, "
        "the SQL that it sends, and its price. A query runs once, read-only; a mutation does not run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument("file", help=f"the document; {STANDARD_INPUT} reads standard input")
        parser.add_argument("--user", required=True, metavar="EMAIL", help="who asks")
        parser.add_argument("--operation", metavar="NAME", help="which operation of the document")
        parser.add_argument("--variables", default="{}", metavar="JSON", help="its variables, or @FILE that holds them")
        parser.add_argument("--analyze", action="store_true", help="add PostgreSQL's EXPLAIN (ANALYZE, BUFFERS)")

    def handle(
        self, *, file: str, user: str, operation: str | None, variables: str, analyze: bool, **_: object
    ) -> None:
        """Print what is known; raise CommandError for what can't be read, and what the server would not run."""
        asked = Asked(_read(file), operation_name=operation, variables=_variables(variables))
        with command_scope("explain_operation"):
            with all_tenants():
                actor = active_user(user)
                for_whom = f"{actor.email} ({actor.role} of {actor.tenant.slug})"
            try:
                with acting(actor):
                    found = explain(actor, asked, analyze=analyze)
            except RefusedOperationError as refused:
                raise CommandError(str(refused)) from refused
        self.stdout.write("\n".join(_lines(found, for_whom)))


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == STANDARD_INPUT else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandError(f"{name} can't be read: {why}.") from error


def _variables(given: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(_read(given[1:]) if given.startswith("@") else given)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"--variables is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise CommandError('--variables must be a JSON object, as {"first": 10}.')
    return found


def _lines(found: Explanation, for_whom: str) -> Iterator[str]:
    operation = found.ready.operation
    name = f" {operation.name.value}" if operation.name else ""
    yield f"{operation.operation.value}{name}, for {for_whom}"
    yield from _fields(found)
    yield from _statements(found)
    if found.errors:
        yield "\nErrors, as the client reads them"
        yield from (f"  {error.message}" for error in found.errors)
    yield from _price(found)


def _fields(found: Explanation) -> Iterator[str]:
    yield "\nFields"
    for key, reason in found.reasons.items():
        yield f"  {key}: {_how(reason)}"
        if key in found.nodes:
            yield f"    the nodes in it: {_how(found.nodes[key])}"
    if found.left and len(found.left) < len(found.reasons):
        yield f"  The executor answers all of them, because of {', '.join(found.left)}."


def _how(reason: Reason) -> str:
    if reason is None:
        return "compiled"
    return f"left to the executor ({reason}): {WHY[reason.reason]}"


def _statements(found: Explanation) -> Iterator[str]:
    if found.actual is None:
        yield "\nStatements: none were sent, for a mutation is not run to be explained"
        return
    yield f"\nStatements: {len(found.statements)}"
    for number, (key, sent) in enumerate(found.statements, 1):
        values = f"{sent.bound} value{'' if sent.bound == 1 else 's'} bound"
        yield f"  {number}. {f'{key}, ' if key else ''}{values}"
        yield from _indented(sent.text.splitlines())
        if found.plans:
            yield from _indented(found.plans[number - 1] or ["(not analysed: it reads no rows)"], "   |  ")


def _indented(lines: Any, mark: str = "     ") -> Iterator[str]:
    return (f"{mark}{line}" for line in lines)


def _price(found: Explanation) -> Iterator[str]:
    price, actual = found.ready.price, found.actual
    yield "\nPrice"
    yield f"  requested {price.total}, actual {'not known before it runs' if actual is None else actual}"
    yield from (f"  {line.cost:>7} {line.path or '(the rest)'}" for line in price.breakdown())
