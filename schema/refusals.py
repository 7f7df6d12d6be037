"""How a refused write is told: each refusal of the domain is a type that implements `MutationError`.

What refusals name (the entity as it is now, who changed it) is fetched for all refusals of an answer at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import strawberry
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from apps.accounts.trail import PastChange
from apps.lifecycle import errors
from apps.lifecycle.errors import ErrorCode, RefusedError
from apps.lifecycle.models import entity_models

from .accounts import User
from .audit import published_change
from .enums import publish
from .reads.fields import Entity, page_key
from .reads.global_id import GlobalId
from .reads.lists import fetch_nodes
from .reads.plan import Selections, details_of
from .weights import ListSize, cost

publish(ErrorCode)

MAX_CHANGES: Final = max(len(model._meta.concrete_fields) for model in entity_models())
"""How many fields of an entity can have changed."""


class NamedNodes:
    """Nodes that the refusals of one answer name, fetched together when the first of them is asked for."""

    def __init__(self, names: Iterable[GlobalId]) -> None:
        """Remember which."""
        self._names = set(names)
        self._found: dict[Any, Mapping[GlobalId, Any]] = {}

    def get(self, info: Any, name: GlobalId) -> Any:
        """Return one of them with what is selected of it, or None if it is gone."""
        raw = info._raw_info
        key = name.type_name, page_key(raw.field_nodes)
        if key not in self._found:
            selections, alike = Selections.of(raw), [each for each in self._names if each.type_name == name.type_name]
            self._found[key] = fetch_nodes(selections, [details_of(raw)], alike)
        return self._found[key].get(name)


@strawberry.interface(description="Why a mutation was refused. Nothing was changed.")
class MutationError:
    """Why a mutation was refused."""

    error_code: ErrorCode = strawberry.field(description="The kind of refusal, for programs.")
    message: str = strawberry.field(description="What is wrong and what to do, in a sentence, for people.")


@strawberry.type(description="How a field differs from what you saw.")
class ConflictingChange:
    """How a field differs from what the caller saw."""

    field: str = strawberry.field(description="The field's name.")
    before: JSON | None = strawberry.field(
        description="Its value in the version you saw; the id of what a relation led to. Personal data is redacted."
    )
    after: JSON | None = strawberry.field(
        description="Its value now; the id of what a relation leads to. Personal data is redacted."
    )
    changed_at: datetime = strawberry.field(description="When it was changed last.")
    author: strawberry.Private[GlobalId | None]
    named: strawberry.Private[NamedNodes]

    @strawberry.field(description="Who changed it last; null when a command did.", directives=[cost(0)])
    def changed_by(self, info: strawberry.Info) -> User | None:
        """Return the user."""
        return self.named.get(info, self.author) if self.author else None


@strawberry.type(description="Somebody changed it after you had read it.")
class VersionConflict(MutationError):
    """Somebody changed the entity after the caller had read it."""

    expected_version: int = strawberry.field(description="The version you sent.")
    current_version: int = strawberry.field(description="The version it has now.")
    safe_to_merge: bool = strawberry.field(
        description="None of the fields you would change has been changed since: `onConflict: MERGE` would go through."
    )
    changes: list[ConflictingChange] = strawberry.field(
        description="What has changed since the version you sent.",
        directives=[cost(0), ListSize(assumed_size=MAX_CHANGES)],
    )
    entity: strawberry.Private[GlobalId]
    named: strawberry.Private[NamedNodes]

    @strawberry.field(description="The entity as it is now, perhaps newer than `currentVersion`; null if it is gone.")
    def current(self, info: strawberry.Info) -> Entity | None:
        """Return the entity."""
        return self.named.get(info, self.entity)  # type: ignore[no-any-return]


@strawberry.type(description="Its state, or a rule of its workflow, stands against it.")
class TransitionNotAllowed(MutationError):
    """The entity's state, or a guard, stands against what was asked."""

    current_status: str = strawberry.field(description="The status it has now.")
    allowed_actions: list[str] = strawberry.field(description="The actions that you may take on it now.")


@strawberry.type(description="What is wrong with one part of the input.")
class ValidationProblem:
    """What is wrong with one part of the input."""

    path: str = strawberry.field(description="Where in the input: `title`, `siteId`, `items.3.id`.")
    message: str = strawberry.field(description="What is wrong and what to do, in a sentence.")


@strawberry.type(description="What you entered makes no sense.")
class ValidationFailed(MutationError):
    """What was entered makes no sense."""

    problems: list[ValidationProblem] = strawberry.field(description="Everything that is wrong.")


@strawberry.type(description="Your role does not suffice.")
class PermissionDenied(MutationError):
    """The actor's role does not suffice."""


@strawberry.type(description="There is no such thing in your organisation.")
class NotFound(MutationError):
    """There is no such entity in the actor's tenant."""


ERRORS: Final = (VersionConflict, TransitionNotAllowed, ValidationFailed, PermissionDenied, NotFound)


def publish_refusals(refusals: Sequence[RefusedError | None]) -> list[MutationError | None]:
    """Return the refusals of one answer as clients see them, in their order; None stays None."""
    named = NamedNodes(name for refusal in refusals for name in _names(refusal))
    return [None if refusal is None else _publish(refusal, named) for refusal in refusals]


def _names(refusal: RefusedError | None) -> Iterable[GlobalId]:
    if isinstance(refusal, errors.VersionConflictError):
        yield GlobalId(refusal.kind, refusal.key)
        yield from filter(None, map(_author, refusal.past.changes))


def _author(change: PastChange) -> GlobalId | None:
    return None if change.changed_by is None else GlobalId(User.__name__, change.changed_by)


def _publish(refusal: RefusedError, named: NamedNodes) -> MutationError:
    told: dict[str, Any] = {"error_code": refusal.code, "message": refusal.message}
    if isinstance(refusal, errors.VersionConflictError):
        return _conflict(refusal, named, told)
    if isinstance(refusal, errors.TransitionNotAllowedError):
        told |= {"current_status": refusal.current_status, "allowed_actions": refusal.allowed_actions}
        return TransitionNotAllowed(**told)
    if isinstance(refusal, errors.ValidationFailedError):
        problems = [ValidationProblem(path=_path(path), message=message) for path, message in refusal.problems]
        return ValidationFailed(problems=problems, **told)
    return PermissionDenied(**told) if isinstance(refusal, errors.PermissionDeniedError) else NotFound(**told)


def _conflict(refusal: errors.VersionConflictError, named: NamedNodes, told: dict[str, Any]) -> VersionConflict:
    return VersionConflict(
        expected_version=refusal.expected_version,
        current_version=refusal.current_version,
        safe_to_merge=refusal.safe_to_merge,
        changes=[_change(refusal.kind, change, named) for change in refusal.past.changes],
        entity=GlobalId(refusal.kind, refusal.key),
        named=named,
        **told,
    )


def _change(kind: str, change: PastChange, named: NamedNodes) -> ConflictingChange:
    return ConflictingChange(
        **published_change(kind, change.field, change.before, change.after),
        changed_at=change.changed_at,
        author=_author(change),
        named=named,
    )


def _path(path: str) -> str:
    return ".".join(map(to_camel_case, path.split(".")))
