"""A body as it was sent, and what it asks for: the input of the GraphQL mutation that does the same."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db.models import TextChoices
from strawberry.utils.str_converters import to_camel_case

from apps.lifecycle.errors import Problem, ValidationFailedError
from apps.lifecycle.transitions import OnError, count_problems
from schema.http.reading import parsed
from schema.inputs import VersionedId, bulk_input, carried_fields
from schema.lifecycle import action_enum

from .problems import KEY_HEADER, MAX_TOLD, pointer
from .resources import Model

MAX_INT: Final = 2**31 - 1
"""The largest of GraphQL's Int, which versions are."""

QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)" *(?:;.*)?')
"""A String of RFC 9651, as the draft on the header has keys; its parameters mean nothing."""

Read = Callable[[Any, str], Any]
"""Returns what a value says; raises ValidationFailedError, which names its place."""


class Member(NamedTuple):
    """A member of the body: how it is read, and whether it must be there."""

    read: Read
    is_required: bool = False


def bulk_of(model: Model, body: bytes, key: str | None) -> Any:
    """Return the input of the mutation that does what a body says, with the key that its header holds.

    Raises BadRequestError for what is not JSON, and ValidationFailedError.
    """
    given = parsed(body, "The body")
    values = _object(_members(model), given, "")
    return bulk_input(model, action_enum(model))(**values, idempotency_key=_key(key))


@cache
def _members(model: Model) -> Mapping[str, Member]:
    carried = {to_camel_case(name): Member(_optional_text) for name in carried_fields(model)}
    return {
        "action": Member(partial(_choice, action_enum(model)), is_required=True),
        "items": Member(_items, is_required=True),
        "comment": Member(_optional_text),
        **carried,
        "onError": Member(partial(_choice, OnError)),
        "dryRun": Member(_truth),
    }


def _object(members: Mapping[str, Member], given: Any, place: str) -> dict[str, Any]:
    """Read the members of an object, by their names in Python."""
    if not isinstance(given, dict):
        raise ValidationFailedError.of(place, f"Send an object with {_names(members)}.")
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name in [*members, *islice((name for name in given if name not in members), MAX_TOLD)]:
        try:
            values |= _member(members, name, given, place)
        except ValidationFailedError as error:
            problems += error.problems
    if problems:
        raise ValidationFailedError(problems)
    return values


def _member(members: Mapping[str, Member], name: str, given: Mapping[str, Any], place: str) -> dict[str, Any]:
    where = f"{place}.{name}".removeprefix(".")
    member = members.get(name)
    if member is None:
        # Named as the client did: made a name of ours, it could be that of a member that is there.
        unknown = pointer(*place.split("."), name)
        raise ValidationFailedError.of(unknown, f"There is no such member here; there are {_names(members)}.")
    if name in given:
        return {_attribute(name): member.read(given[name], where)}
    if member.is_required:
        raise ValidationFailedError.of(where, "This is missing.")
    return {}


def _names(members: Mapping[str, Member]) -> str:
    *others, last = members
    return f"{', '.join(others)} and {last}"


def _attribute(name: str) -> str:
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _items(given: Any, place: str) -> list[VersionedId]:
    if not isinstance(given, list):
        raise ValidationFailedError.of(place, "Send a list.")
    problems = count_problems(len(given))
    if problems:
        raise ValidationFailedError(problems)
    items: list[VersionedId] = []
    problems = list(islice(_read_items(given, place, items), MAX_TOLD))
    if problems:
        raise ValidationFailedError(problems)
    return items


def _read_items(given: list[Any], place: str, items: list[VersionedId]) -> Iterator[Problem]:
    for number, each in enumerate(given):
        try:
            items.append(VersionedId(**_object(ITEM, each, f"{place}.{number}")))
        except ValidationFailedError as error:
            yield from error.problems


def _choice(choices: type[TextChoices], given: Any, place: str) -> TextChoices:
    if isinstance(given, str) and given.upper() in choices:
        return choices(given.upper())
    raise ValidationFailedError.of(place, f"Choose one of {', '.join(choices.values)}.")


def _text(given: Any, place: str) -> str:
    if isinstance(given, str):
        return given
    raise ValidationFailedError.of(place, "Send a text.")


def _optional_text(given: Any, place: str) -> str | None:
    return None if given is None else _text(given, place)


def _truth(given: Any, place: str) -> bool:
    if isinstance(given, bool):
        return given
    raise ValidationFailedError.of(place, "Send true or false.")


def _version(given: Any, place: str) -> int:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if is_number and -MAX_INT <= given <= MAX_INT and given == int(given):  # 2.0 is whole, as JSON Schema has it
        return int(given)
    raise ValidationFailedError.of(place, "Send the version that you saw, a whole number.")


def _key(header: str | None) -> str | None:
    if header is None or not header.startswith('"'):
        return header
    quoted = QUOTED.fullmatch(header)
    if quoted is None:
        raise ValidationFailedError.of("idempotency_key", f"{KEY_HEADER} has no end, or holds what a key can't.")
    return re.sub(r"\\(.)", r"\1", quoted[1])


ITEM: Final = {"id": Member(_text, is_required=True), "version": Member(_version, is_required=True)}
