"""What the trail tells of the time between two versions of an entity."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.db.models import Q

from apps.accounts.trail import Past, PastChange

from .models import AuditEntry

FETCHED = ("entity_id", "entity_version", "changes", "actor_id", "at")


def changes_since(model: type[models.Model], versions: Mapping[int, tuple[int, int]]) -> dict[int, Past]:
    """Return how each entity changed between two versions, field by field, by one statement for all."""
    later = min(seen for seen, _ in versions.values())
    entries = AuditEntry.objects.filter(
        Q(entity_kind=model.__name__, entity_id__in=list(versions)), entity_version__gt=later
    )
    by_entity: dict[int, list[Sequence[Any]]] = defaultdict(list)
    for key, version, *told in entries.order_by("entity_version", "id").values_list(*FETCHED):
        seen, present = versions[key]
        if seen < version <= present:
            by_entity[key].append((version, *told))
    return {key: _past(by_entity[key], *between) for key, between in versions.items()}


def _past(entries: Iterable[Sequence[Any]], seen: int, present: int) -> Past:
    changes: dict[str, PastChange] = {}
    versions, authors = set(), {}
    for version, fields, actor, at in entries:
        versions.add(version)
        authors[actor] = True
        for field in fields:
            name = field["field"]
            before = changes[name].before if name in changes else field["before"]
            changes[name] = PastChange(name, before, field["after"], actor, at)
    whole = 1 <= seen < present and len(versions) == present - seen
    return Past(tuple(changes.values()), complete=whole, authors=tuple(authors))
