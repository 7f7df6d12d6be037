"""Takes entities through a transition, one or a thousand: judge, then write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from django.db.models import TextChoices
from django.utils import timezone

from apps.accounts.trail import Past, changes_since

from .actors import Actor
from .errors import (
    NotFoundError,
    PermissionDeniedError,
    Problem,
    RefusedError,
    TransitionNotAllowedError,
    ValidationFailedError,
    VersionConflictError,
)
from .machine import Machine, Refusal, Transition, Verdict
from .models import WorkflowEntity
from .signals import Change
from .validation import comment_problems, enter
from .writing import compute, lock, update

MAX_ITEMS: Final = 1000
"""How many entities one request may take through a transition."""


def count_problems(count: int) -> list[Problem]:
    """Return what is wrong with so many items."""
    return [] if 1 <= count <= MAX_ITEMS else [Problem("items", f"Send 1 to {MAX_ITEMS} items; these are {count}.")]


class OnError(TextChoices):
    """What becomes of the items that could be done when others could not."""

    REJECT_ALL = "REJECT_ALL", "Nothing is done: one failure holds back all"
    SKIP_FAILED = "SKIP_FAILED", "The good ones go through"


class Item(NamedTuple):
    """An entity by its key, and the version of it that the caller saw."""

    key: int
    version: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an item: the entity as it is after the operation, or None where there is none.

    `done` when the item went through, or in a dry run would have. One that is neither done nor refused was held back
    because of others.
    """

    item: Item
    entity: WorkflowEntity | None
    refusal: RefusedError | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the items, in their order."""

    results: Sequence[Result]
    dry_run: bool = False
    operation_id: UUID = field(default_factory=uuid4)

    @property
    def succeeded(self) -> int:
        """Return how many items went through, or in a dry run would have."""
        return sum(result.done for result in self.results)

    @property
    def is_refused(self) -> bool:
        """Tell whether nothing was done of what was meant to be."""
        return not self.succeeded and not self.dry_run

    @property
    def failed(self) -> int:
        """Return how many items were refused."""
        return sum(result.refusal is not None for result in self.results)


class _Judged(NamedTuple):
    """An item, its entity if there is one, and the machine's verdict if that is of the version the caller saw."""

    item: Item
    entity: WorkflowEntity | None
    verdict: Verdict | None

    @property
    def versions(self) -> tuple[int, int]:
        """Return the version that the caller saw, and the present one."""
        assert self.entity is not None
        return self.item.version, self.entity.version

    @property
    def is_stale(self) -> bool:
        """Tell whether the entity has another version than the caller saw."""
        return self.entity is not None and self.verdict is None


@dataclass(frozen=True, slots=True)
class Bulk:
    """Items of one model, and the action to take them through."""

    model: type[WorkflowEntity]
    items: list[Item]
    action: str
    actor: Actor
    comment: str
    takes: dict[str, Any]

    def run(self, on_error: OnError, *, dry_run: bool = False, grouped: bool = True) -> Report:
        """Judge every item, write those that go through, and report; `grouped` ties their audit entries together."""
        self._check_input()
        report = Report(self._judge(), dry_run)
        if report.failed and on_error is OnError.REJECT_ALL:
            return replace(report, results=[replace(result, done=False) for result in report.results])
        if not dry_run:
            done = [result.entity for result in report.results if result.done and result.entity]
            self._write(done, report.operation_id if grouped else None)
        return report

    def _judge(self) -> list[Result]:
        needs = {name: make for way in self._ways for guard in way.guards for name, make in guard.needs.items()}
        found = lock(self.model, [item.key for item in self.items], alone=bool(needs))
        compute(self.model, list(found.values()), needs)
        judged = [self._verdict(item, found.get(item.key)) for item in self.items]
        # What refusals tell besides is fetched for all at once.
        blocked = [one.entity for one in judged if one.entity and one.verdict and not one.verdict.allowed]
        compute(self.model, blocked, {n: make for n, make in self._machine.annotations.items() if n not in needs})
        past = changes_since(self.model, {one.item.key: one.versions for one in judged if one.is_stale})
        return [self._result(one, past) for one in judged]

    def _verdict(self, item: Item, entity: Any) -> _Judged:
        fresh = entity is not None and entity.version == item.version
        return _Judged(item, entity, self._machine.judge(entity, self.action, self.actor) if fresh else None)

    def _result(self, one: _Judged, past: Mapping[int, Past]) -> Result:
        refusal = self._refusal(one, past)
        return Result(one.item, one.entity, refusal, done=refusal is None)

    def _refusal(self, one: _Judged, past: Mapping[int, Past]) -> RefusedError | None:
        entity, verdict = one.entity, one.verdict
        if entity is None:
            return NotFoundError(str(self.model._meta.verbose_name))
        if verdict is None:
            fields = {"status", *self.takes}
            return VersionConflictError(self.model.__name__, entity.pk, one.versions, past[entity.pk], fields)
        if verdict.allowed:
            return None
        reason = str(verdict.reason)
        if verdict.refusal is Refusal.NOT_PERMITTED:
            return PermissionDeniedError(reason)
        allowed = self._machine.available(entity, self.actor)
        return TransitionNotAllowedError(reason, current_status=entity.status, allowed_actions=allowed)

    def _write(self, entities: Sequence[WorkflowEntity], operation_id: UUID | None) -> None:
        at = timezone.now()
        changes = [Change(entity, self.action, self._change(entity, at)) for entity in entities]
        update(changes, actor=self.actor, at=at, comment=self.comment, operation_id=operation_id)

    def _change(self, entity: WorkflowEntity, at: Any) -> Any:
        way = self._machine.transition(self.action, entity.status)
        assert way is not None
        for name, key in self.takes.items():
            setattr(entity, f"{name}_id", key)
        for effect in way.effects:
            effect.apply(entity, self.actor, at)
        entity.status = way.to_state.value
        return entity.changes()

    def _check_input(self) -> None:
        problems = [*self._wrong_items(), *self._wrong_comment(), *self._wrong_references()]
        if problems:
            raise ValidationFailedError(problems)
        if self.takes:
            enter(self.model(tenant_id=0), self.takes)

    def _wrong_items(self) -> list[Problem]:
        if problems := count_problems(len(self.items)):
            return problems
        first: dict[int, int] = {}
        return [
            Problem(f"items.{place}.id", f"It is the same as items.{first[item.key]}. Send each once.")
            for place, item in enumerate(self.items)
            if first.setdefault(item.key, place) != place
        ]

    def _wrong_comment(self) -> list[Problem]:
        if not self.comment.strip() and any(way.requires_comment for way in self._ways):
            return [Problem("comment", f"Say why: {self.action} needs a comment.")]
        return comment_problems(self.comment)

    def _wrong_references(self) -> list[Problem]:
        wanted = {name for way in self._ways for name in way.takes}
        missing = [Problem(f"{name}_id", f"{self.action} needs it.") for name in wanted if self.takes.get(name) is None]
        return missing + [
            Problem(f"{name}_id", f"{self.action} does not take it.") for name in self.takes if name not in wanted
        ]

    @property
    def _machine(self) -> Machine:
        return self.model.machine

    @property
    def _ways(self) -> Sequence[Transition]:
        return self._machine.ways(self.action)
