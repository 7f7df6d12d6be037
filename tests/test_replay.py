"""Whatever people do, the audit trail replayed from nothing arrives at the rows as they are."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Tenant, User
from apps.accounts.records import EMPTY, IDENTITY
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.assets.models import Asset, AssetStatus, Site
from apps.attendance import presence
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.audit.redaction import REDACTED, scrub
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.lifecycle.actors import SystemActor
from apps.lifecycle.errors import RefusedError
from apps.lifecycle.models import WorkflowEntity
from apps.lifecycle.priority import Priority
from apps.lifecycle.services import OnConflict
from apps.lifecycle.transitions import Item, OnError
from apps.lifecycle.validation import enter, violations_refused
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from tests import factories

pytestmark = pytest.mark.usefixtures("without_cost_limit")

MODELS: list[Any] = [WorkOrder, Task, Ticket, AttendanceRecord, Site, Asset]
WORKFLOWS: list[Any] = [WorkOrder, Task, Ticket, AttendanceRecord]
ACTIONS = {model: model.machine.action_names for model in WORKFLOWS}
NULL = -1
"""A choice that means: nothing."""

Step = tuple[str, Sequence[Any]]

texts = st.sampled_from(
    ["Seal", "Pump 10.5 - 20.75", "", None, "Ring 91 23 45 67", "kari@firm.example", "WO-000123", "x" * 201, "Ærfugl\n"]
)
times = st.none() | st.integers(-3, 3).map(lambda days: factories.NOON + timedelta(days=days, microseconds=days))
choice = st.integers(0, 5)
maybe = st.integers(NULL, 5)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "title": texts,
    "description": texts,
    "subject": texts,
    "category": texts,
    "note": texts,
    "name": texts,
    "external_id": texts,
    "requester_name": texts,
    "requester_phone": st.sampled_from(["", None, "22 33 44 55", "91234567"]),
    "requester_email": st.sampled_from(["", None, "kari@firm.example", "no address"]),
    "priority": st.sampled_from([*Priority.values, "URGENT", None]),
    "status": st.sampled_from([*AssetStatus.values, None]),
    "code": st.sampled_from(["A", "B", "C", "D", "", None]),
    "timezone": st.sampled_from(["UTC", "Europe/Oslo", "Mars/Base"]),
    "latitude": st.sampled_from([59.91, -0.5, 0.0, None, 91.0]),
    "longitude": st.sampled_from([10.75, 0.0, None]),
    "geofence_radius": st.sampled_from([1, 200, 0]),
    **dict.fromkeys(("site", "asset", "assignee", "parent", "work_order"), maybe),
    **dict.fromkeys(("due_at", "scheduled_at", "checked_in_at", "checked_out_at"), times),
}
"""What somebody may enter in each field, sense and nonsense; a reference by the place of its target in the stage."""


def entered(model: Any) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: VALUES[name] for name in model.editing.fields}
    return st.fixed_dictionaries({}, optional=fields)


def of_model(models: list[Any], make: Callable[[Any], st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return st.one_of([make(model) for model in models])


age = st.sampled_from([0, 0, 0, 1, 2, -1])
"""How many versions the caller's is behind the present one."""

who = st.integers(0, 4)
comments = st.sampled_from(["", "Because", "Ring 91 23 45 67"])
creates = of_model(
    [model for model in MODELS if model is not AttendanceRecord],
    lambda model: st.tuples(st.just("create"), st.tuples(st.just(model), who, entered(model))),
)
edits = of_model(
    MODELS,
    lambda model: st.tuples(
        st.just("edit"),
        st.tuples(st.just(model), who, choice, age, entered(model), comments, st.sampled_from(OnConflict)),
    ),
)
transitions = of_model(
    WORKFLOWS,
    lambda model: st.tuples(
        st.just("transition"),
        st.tuples(st.just(model), who, choice, age, st.sampled_from(ACTIONS[model]), comments, maybe),
    ),
)
bulks = of_model(
    WORKFLOWS,
    lambda model: st.tuples(
        st.just("bulk"),
        st.tuples(
            st.just(model),
            who,
            st.lists(st.tuples(choice, age), max_size=5, unique_by=lambda one: one[0]),
            st.sampled_from(ACTIONS[model]),
            comments,
            maybe,
            st.sampled_from(OnError),
            st.booleans(),
        ),
    ),
)
presences = st.tuples(
    st.just("check_in"), st.tuples(who, maybe, st.sampled_from([(59.9, 10.7), (None, None), (0.0, 0.0), (95.0, 1.0)]))
) | st.tuples(st.just("check_out"), st.tuples(who, choice, age, texts))
saves = of_model(
    MODELS,
    lambda model: st.tuples(
        st.just("save"),
        st.tuples(st.just(model), choice, entered(model), st.booleans(), st.booleans()),
    ),
)
deletes = st.tuples(st.just("delete"), st.tuples(st.sampled_from([Site, Asset]), choice))
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(creates, edits, edits, transitions, transitions, transitions, bulks, presences, saves, deletes),
    min_size=25,
    max_size=25,
)


class Stage:
    """A tenant with people of every role, some rows of every kind, and ways to do things to them."""

    def __init__(self, owner: Tenant) -> None:
        self.owner = owner
        self.outcomes: Counter[str] = Counter()
        self.users: list[User] = [factories.user(owner, role) for role in Role]
        self.actors: list[Any] = [*self.users, SystemActor("close_overdue")]
        sites = [factories.site(owner) for _ in range(2)]
        assets = [factories.asset(owner, site=sites[0]) for _ in range(2)]
        for number in range(2):
            order = factories.work_order(owner, site=sites[0], asset=assets[0], assignee=self.users[1])
            factories.task(owner, work_order=order if number else None)
            factories.ticket(owner, site=sites[0], requester_email="ola@firm.example")
            factories.attendance_record(owner, person=self.users[number], site=sites[0])

    def do(self, step: Step) -> None:
        """Take a step, or have it refused."""
        name, arguments = step
        try:
            with transaction.atomic():
                getattr(self, name)(*arguments)
        except RefusedError as refused:
            self.outcomes[refused.code] += 1
        else:
            self.outcomes["done"] += 1

    def create(self, model: Any, actor: int, values: dict[str, Any]) -> None:
        services.create(model, self.keys(model, values), actor=self.actors[actor])

    def edit(
        self,
        model: Any,
        actor: int,
        place: int,
        behind: int,
        values: dict[str, Any],
        comment: str,
        on_conflict: OnConflict,
    ) -> None:
        services.edit(
            model,
            self.item(model, place, behind),
            self.keys(model, values),
            actor=self.actors[actor],
            comment=comment,
            on_conflict=on_conflict,
        )

    def transition(
        self, model: Any, actor: int, place: int, behind: int, action: str, comment: str, assignee: int
    ) -> None:
        item, takes = self.item(model, place, behind), self.takes(model, action, assignee)
        services.transition(model, item, action, actor=self.actors[actor], comment=comment, takes=takes)

    def bulk(
        self,
        model: Any,
        actor: int,
        targets: Sequence[tuple[int, int]],
        action: str,
        comment: str,
        assignee: int,
        on_error: OnError,
        dry_run: bool,
    ) -> None:
        items = {self.item(model, place, behind).key: self.item(model, place, behind) for place, behind in targets}
        services.transition_many(
            model,
            list(items.values()),
            action,
            actor=self.actors[actor],
            comment=comment,
            takes=self.takes(model, action, assignee),
            on_error=on_error,
            dry_run=dry_run,
        )

    def check_in(self, actor: int, site: int, position: tuple[float | None, float | None]) -> None:
        values = {"site": self.key(Site, site)}
        presence.check_in(values, position, actor=self.actors[actor])

    def check_out(self, actor: int, place: int, behind: int, note: str | None) -> None:
        item = self.item(AttendanceRecord, place, behind)
        presence.check_out(item, {"note": note}, actor=self.actors[actor])

    def save(self, model: Any, place: int, values: dict[str, Any], named: bool, in_part: bool) -> None:
        """Save by the ORM what the services would accept, as the admin site does, read in part or whole."""
        rows = model.unscoped.order_by("pk").filter(tenant=self.owner)
        row = rows.only("version", "tenant")[place % rows.count()] if in_part else rows[place % rows.count()]
        known = model.unscoped.get(pk=row.pk)
        enter(known, self.keys(model, values))
        for name in values:
            attname = model._meta.get_field(name).attname
            setattr(row, attname, getattr(known, attname))
        if not in_part:
            row.settle(list(values))
        with violations_refused(model):
            row.save(update_fields=list(values) if named else None)

    def delete(self, model: Any, place: int) -> None:
        """Delete a row, if nothing refers to it."""
        rows = model.unscoped.order_by("pk").filter(tenant=self.owner)
        row = rows[place % rows.count()]
        if rows.count() > 1 and not self.is_referred_to(row):
            row.delete()

    def is_referred_to(self, row: Any) -> bool:
        relations = [each for each in row._meta.get_fields(include_hidden=True) if each.one_to_many]
        return any(
            each.related_model._base_manager.filter(**{each.field.name: row}).exists()
            for each in relations
            if each.field.concrete
        )

    def item(self, model: Any, place: int, behind: int) -> Item:
        rows = model.unscoped.order_by("pk").filter(tenant=self.owner).values_list("pk", "version")
        key, version = rows[place % len(rows)]
        return Item(key, version - behind)

    def key(self, model: Any, place: int) -> int | None:
        rows = model.unscoped.order_by("pk").filter(tenant=self.owner).values_list("pk", flat=True)
        return None if place == NULL else rows[place % len(rows)]

    def keys(self, model: Any, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values with the references' places replaced by keys."""
        return {
            name: self.key(model._meta.get_field(name).related_model, value)
            if model._meta.get_field(name).is_relation and value is not None
            else value
            for name, value in values.items()
        }

    def takes(self, model: Any, action: str, assignee: int) -> dict[str, Any]:
        return {"assignee": self.key(User, assignee)} if (model, action) == (Task, "ASSIGN") else {}


def replay(entries: Sequence[AuditEntry]) -> dict[str, Any]:
    """Apply each entry's changes; each must begin where the one before it ended."""
    state: dict[str, Any] = {}
    for entry in entries:
        for change in entry.changes:
            assert change["before"] == state.get(change["field"]), (entry, change)
            assert change["before"] != change["after"] or REDACTED in str(change["after"]), (entry, change)
            state[change["field"]] = change["after"]
    return state


def present(row: Any) -> dict[str, Any]:
    """Return what the trail must say of a row, written down without the trail's own functions but for `scrub`."""
    left_out = IDENTITY | set(type(row).bookkeeping)
    return {
        field.name: told(row, field.name, getattr(row, field.attname))
        for field in row._meta.concrete_fields
        if not field.generated and field.name not in left_out
    }


def told(row: Any, name: str, value: Any) -> Any:
    if value in EMPTY:
        return None
    if name in row.personal:
        return REDACTED
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return scrub(value) if name in row.free_text else value


def check(owner: Tenant) -> None:
    """Assert that the trail of each of the tenant's entities is whole and arrives at the row."""
    for model in MODELS:
        trails: dict[int, list[AuditEntry]] = {}
        for entry in AuditEntry.unscoped.filter(tenant=owner, entity_kind=model.__name__).order_by("pk"):
            trails.setdefault(entry.entity_id, []).append(entry)
        rows = model.unscoped.filter(tenant=owner).in_bulk()
        alive = {key for key, entries in trails.items() if entries[-1].action != "DELETE"}
        assert alive == set(rows), model
        for key, entries in trails.items():
            lasting = [entry for entry in entries if entry.action != "DELETE"]
            assert [entry.entity_version for entry in lasting] == list(range(1, len(lasting) + 1)), (model, key)
            assert [entry.action == "CREATE" for entry in lasting] == [True] + [False] * (len(lasting) - 1)
            state = replay(entries)
            if key in rows:
                check_row(rows[key], lasting, state)
            else:
                assert entries[-1].entity_version == lasting[-1].entity_version
                assert not [name for name, value in state.items() if value is not None]


def check_row(row: Any, entries: Sequence[AuditEntry], state: dict[str, Any]) -> None:
    expected = present(row)
    assert {name: state.get(name) for name in expected} == expected, row
    assert set(state) <= set(expected), row
    assert (entries[-1].entity_version, len(entries)) == (row.version, row.version), row
    if isinstance(row, WorkflowEntity):
        assert state["status"] == row.status


@pytest.mark.django_db
def test_the_trail_of_random_work_replayed_arrives_at_the_rows() -> None:
    outcomes: Counter[str] = Counter()

    @settings(max_examples=50, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
    @given(steps)
    def work(taken: list[Step]) -> None:
        with transaction.atomic():
            stage = Stage(factories.tenant())
            with tenant_scope(stage.owner.pk):
                for step in taken:
                    stage.do(step)
                check(stage.owner)
            outcomes.update(stage.outcomes)
            transaction.set_rollback(True)

    work()
    refused = {"VERSION_CONFLICT", "TRANSITION_NOT_ALLOWED", "VALIDATION_FAILED", "PERMISSION_DENIED"}
    assert set(outcomes) == {"done", *refused}
    assert outcomes["done"] > 200, "Work that is always refused would prove nothing."
