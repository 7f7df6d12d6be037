"""The only code that writes entities: create, edit, transition, transition_many.

Each runs in a transaction: lock, judge in memory, write by one statement, tell what happened by one signal. A refusal
is raised as a RefusedError and ends the transaction; who would go on after one calls the service inside an `atomic()`
of its own. They work in the tenant in scope.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import TextChoices
from django.utils import timezone

from apps.accounts.tenancy import current_tenant
from apps.accounts.trail import changes_since

from .actors import Actor, Who
from .errors import (
    NotFoundError,
    PermissionDeniedError,
    TransitionNotAllowedError,
    ValidationFailedError,
    VersionConflictError,
)
from .models import Entity, WorkflowEntity
from .signals import UPDATE, Change, attempting
from .transitions import Bulk, Item, OnError, Report
from .validation import comment_problems, enter
from .writing import insert, lock, update

E = TypeVar("E", bound=Entity)
W = TypeVar("W", bound=WorkflowEntity)


class OnConflict(TextChoices):
    """What becomes of an edit on top of a version that is no longer the present one."""

    FAIL = "FAIL", "It is refused, with what changed meanwhile"
    MERGE = "MERGE", "It goes through on top of the present version, if none of its fields changed meanwhile"


@transaction.atomic(savepoint=False)
def create(model: type[E], values: Mapping[str, Any], *, actor: Actor, **known: Any) -> E:
    """Create an entity with what somebody entered, by field name, and what is known besides.

    Raises PermissionDeniedError and ValidationFailedError.
    """
    editing, at = model.editing, timezone.now()
    entity = model(tenant_id=current_tenant(model), created_at=at, **known)
    require(editing.who, entity, actor, f"create {model._meta.verbose_name_plural}")
    given = {name: value for name, value in values.items() if value is not None}
    enter(entity, {**{name: None for name in editing.fields if _must_be_given(model, name)}, **given})
    _permit_fields(entity, entity.changes(), actor)
    entity.begin(actor)
    entity.settle(given)
    insert(entity, actor=actor, at=at)
    return entity


def edit(
    model: type[E],
    item: Item,
    values: Mapping[str, Any],
    *,
    actor: Actor,
    comment: str = "",
    on_conflict: OnConflict = OnConflict.FAIL,
) -> E:
    """Change fields of an entity, given by name, on top of the version that the caller saw; what is equal stays.

    With MERGE an older version will do, if none of these fields has changed since. Raises every kind of refusal.
    """

    def permit(entity: E) -> None:
        require(model.editing.who, entity, actor, f"edit {model._meta.verbose_name_plural}")

    def change(entity: E) -> None:
        enter(entity, values)

    merge = on_conflict is OnConflict.MERGE
    return amend(model, item, change, permit=permit, actor=actor, fields=values, comment=comment, merge=merge)


@transaction.atomic(savepoint=False)
def amend(
    model: type[E],
    item: Item,
    change: Callable[[E], object],
    *,
    permit: Callable[[E], object],
    actor: Actor,
    fields: Collection[str],
    comment: str = "",
    merge: bool = False,
) -> E:
    """Change an entity in memory and write what is different, on top of the version that the caller saw.

    `permit` and `change` get the locked entity, and raise to refuse; `fields` are the names of what may change.
    """
    if problems := comment_problems(comment):
        raise ValidationFailedError(problems)
    with attempting(model, UPDATE):
        entity = _lock_one(model, item.key)
        permit(entity)
        if is_stale := entity.version != item.version:
            _settle_conflict(entity, item.version, fields, merge=merge)
        _refuse_final(entity)
        change(entity)
        entity.settle([each.field for each in entity.changes()])
        changes = entity.changes()
        _permit_fields(entity, changes, actor)
        if changes:
            update([Change(entity, UPDATE, changes)], actor=actor, at=timezone.now(), comment=comment, merged=is_stale)
    return entity


@transaction.atomic(savepoint=False)
def transition(
    model: type[W],
    item: Item,
    action: str,
    *,
    actor: Actor,
    comment: str = "",
    takes: Mapping[str, Any] | None = None,
) -> W:
    """Take one entity through a transition; `takes` holds the references that the request carries, by field name.

    Raises every kind of refusal.
    """
    one = Bulk(model, [item], action, actor=actor, comment=comment, takes=dict(takes or {}))
    with attempting(model, action):
        (result,) = one.run(OnError.REJECT_ALL, grouped=False).results
        if result.refusal:
            raise result.refusal
    assert result.entity is not None
    return result.entity  # type: ignore[return-value]


@transaction.atomic(savepoint=False)
def transition_many(
    model: type[W],
    items: Collection[Item],
    action: str,
    *,
    actor: Actor,
    comment: str = "",
    takes: Mapping[str, Any] | None = None,
    on_error: OnError = OnError.REJECT_ALL,
    dry_run: bool = False,
) -> Report:
    """Take many entities through a transition, by a number of statements that does not depend on how many they are.

    The report has one result for each item, in their order. Raises ValidationFailedError when the input itself makes
    no sense: no items or too many, one twice, no comment where one is required, a reference missing or too many.
    """
    bulk = Bulk(model, list(items), action, actor=actor, comment=comment, takes=dict(takes or {}))
    if dry_run:
        return bulk.run(on_error, dry_run=True)
    with attempting(model, action, is_bulk=True) as failures:
        report = bulk.run(on_error)
        failures += [result.refusal for result in report.results if result.refusal]
    return report


def _lock_one(model: type[E], key: int) -> E:
    if found := lock(model, [key]):
        return found[key]
    raise NotFoundError(str(model._meta.verbose_name))


def require(who: Who, entity: Entity, actor: Actor, what: str) -> None:
    """Raise PermissionDeniedError unless the actor is among these."""
    if not who.includes(entity, actor):
        raise PermissionDeniedError(f"Only {who.words} may {what}.")


def _permit_fields(entity: Entity, changes: Collection[Any], actor: Actor) -> None:
    only = entity.editing.only
    for change in changes:
        if change.field in only:
            require(only[change.field], entity, actor, f"set the {change.field.replace('_', ' ')}")


def _must_be_given(model: type[Entity], name: str) -> bool:
    field: Any = model._meta.get_field(name)
    return not (field.null or field.blank or field.has_default())


def _settle_conflict(entity: Entity, seen: int, fields: Collection[str], *, merge: bool) -> None:
    versions = (seen, entity.version)
    past = changes_since(type(entity), {entity.pk: versions})[entity.pk]
    conflict = VersionConflictError(type(entity).__name__, entity.pk, versions, past, fields)
    if not (merge and conflict.safe_to_merge):
        raise conflict


def _refuse_final(entity: Entity) -> None:
    if isinstance(entity, WorkflowEntity) and entity.is_final:
        message = f"It is {entity.status}, which is final: nothing of it changes any more."
        raise TransitionNotAllowedError(message, current_status=entity.status, allowed_actions=[])
