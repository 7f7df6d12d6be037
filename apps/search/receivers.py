"""Who listens: every change of what an entity contributes writes its document in the same transaction."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import models, transaction
from django.db.models.signals import post_delete, post_save

from apps.lifecycle.signals import CREATE, Change, ChangeSet, entities_changed

from .declaration import searched_of
from .documents import Contribution, contribution, contribution_of, write
from .merging import mark_changed, merge
from .models import Synonym


def listen() -> None:
    """Start to index what the services tell, and what is saved or deleted by the ORM."""
    entities_changed.connect(index_changes, dispatch_uid="search")
    post_save.connect(index_save, dispatch_uid="search")
    post_delete.connect(index_delete, dispatch_uid="search")
    for signal in (post_save, post_delete):
        signal.connect(mark_synonyms, sender=Synonym, dispatch_uid="search-synonyms")


def index_changes(sender: Any, changed: ChangeSet, **_: Any) -> None:
    """Index what the services did."""
    if searched_of(sender):
        _index([change.entity for change in changed.changes if _is_told(sender, change)])


def index_save(sender: Any, instance: Any, created: bool, update_fields: Any = None, **_: Any) -> None:
    """Index what the ORM saved: the admin site, a shell, a command."""
    if searched_of(sender):
        action = CREATE if created else ""
        if _is_told(sender, Change(instance, action, instance.changes(update_fields))):
            _write(instance.tenant_id, [contribution_of(sender, instance.pk, _saved(instance, update_fields))])


def index_delete(sender: Any, instance: Any, **_: Any) -> None:
    """Let searches no longer find what the ORM deleted."""
    if searched_of(sender):
        _write(instance.tenant_id, [Contribution(sender.__name__, instance.pk, None)])


def mark_synonyms(instance: Synonym, **_: Any) -> None:
    """Let no result be found again that was computed with other synonyms, even when these come back."""
    mark_changed(instance.tenant_id)


def _is_told(model: type[models.Model], change: Change) -> bool:
    declared = searched_of(model)
    assert declared is not None
    return change.action == CREATE or not set(declared.columns).isdisjoint(each.field for each in change.fields)


def _saved(instance: Any, update_fields: Collection[str] | None) -> list[Any]:
    """Return what the row holds in the columns that are searched: what was not saved, it held before."""
    held = {} if update_fields is None else instance.loaded()
    return [
        held[column] if column in held and column not in (update_fields or ()) else getattr(instance, column)
        for column in instance.search.columns
    ]


def _index(entities: Sequence[Any]) -> None:
    if entities:
        _write(entities[0].tenant_id, [contribution(entity) for entity in entities])


def _write(tenant_id: int, contributions: Sequence[Contribution]) -> None:
    if write(tenant_id, contributions):
        # Django names the function of a hook that failed: a `partial` has no name.
        transaction.on_commit(lambda: merge(tenant_id), robust=True)
