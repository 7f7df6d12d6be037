"""What people enter: created and edited by those who may, stored as entered, or refused with what is wrong."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle import services
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.reads.global_id import encode_id
from tests import factories, samples
from tests.factories import NOON
from tests.graphql import refusal
from tests.machines import FINAL, STATES
from tests.samples import (
    CREATED,
    FIELDS,
    LONGEST,
    Kind,
    clearable,
    column,
    fields,
    held,
    must_be_given,
    never_empty,
    sent,
    texts,
)
from tests.writing import (
    changes_of,
    entries,
    gid,
    in_state,
    item,
    mutate,
    nothing_changes,
    problems,
    refused,
    refuses,
    stored,
    target,
)

KINDS: Final = pytest.mark.parametrize("kind", FIELDS)
LOWEST: Final = {
    WorkOrder: Role.TECHNICIAN,
    Task: Role.TECHNICIAN,
    Ticket: Role.TECHNICIAN,
    AttendanceRecord: Role.SUPERVISOR,
    Site: Role.ADMIN,
    Asset: Role.SUPERVISOR,
}
"""The lowest role that may create and edit."""

DEFAULTS: Final[dict[Kind, dict[str, Any]]] = {
    WorkOrder: {"status": "DRAFT", "priority": "MEDIUM", "started_at": None, "completed_at": None, "closed_at": None},
    Task: {"status": "SCHEDULED", "assignee_id": None, "completed_at": None},
    Ticket: {"status": "NEW", "priority": "MEDIUM", "resolved_at": None},
    Site: {"timezone": "UTC", "geofence_radius": 200},
    Asset: {"status": "OPERATIONAL"},
}
REFERENCES: Final = [
    (kind, name) for kind in FIELDS for name in fields(kind) if name[-2:] == "Id" and name != "externalId"
]
TRIED: Final = ["foreign", "unknown", "another type", "garbage", "beyond bigint"]


def each(names: Callable[[Kind], Iterable[str]], kinds: Iterable[Kind] = FIELDS) -> pytest.MarkDecorator:
    """Try a test on every field of every entity that a function names."""
    cases = [pytest.param(kind, name, id=f"{kind.__name__}-{name}") for kind in kinds for name in names(kind)]
    return pytest.mark.parametrize(("kind", "name"), cases)


@pytest.fixture
def admin(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN)


def create(actor: User, kind: Kind, **given: Any) -> dict[str, Any]:
    return mutate(actor, f"create{kind.__name__}", **given)


def update(actor: User, row: Any, **given: Any) -> dict[str, Any]:
    return mutate(actor, f"update{type(row).__name__}", **{**target(row), **given})


def minimal(kind: Kind, owner: Tenant) -> dict[str, Any]:
    """Return the least that a new entity needs."""
    return {name: sent(samples.value(name, kind, owner)) for name in must_be_given(kind)}


def not_created(actor: User, kind: Kind, **given: Any) -> list[str]:
    """Hold that an entity is not created, and return which fields are wrong."""
    return problems(refused(actor, f"create{kind.__name__}", **given))


def not_updated(actor: User, row: Any, **given: Any) -> list[str]:
    """Hold that a row is not edited, and return which fields are wrong."""
    return problems(refused(actor, f"update{type(row).__name__}", **{**target(row), **given}))


# Creating.


@pytest.mark.parametrize("kind", CREATED)
def test_an_entity_is_created_with_all_that_was_entered(kind: Any, demo: Tenant, admin: User) -> None:
    entered = samples.values(kind, demo)
    began = datetime.now(UTC)
    answer = create(admin, kind, **{name: sent(value) for name, value in entered.items()})
    assert answer["__typename"] == kind.__name__
    row = kind.unscoped.order_by("pk").last()
    after = stored(row)
    assert (answer["id"], answer["version"], after["version"], after["tenant_id"]) == (gid(row), 1, 1, demo.pk)
    assert began <= after["created_at"] <= after["updated_at"] <= datetime.now(UTC)
    assert {column(name): after[column(name)] for name in entered} == {
        column(name): held(value) for name, value in entered.items()
    }
    (entry,) = entries(row)
    assert (entry.action, entry.entity_version, entry.actor_id, entry.at) == ("CREATE", 1, admin.pk, row.created_at)
    told = {samples.field(name): (None, samples.told(name, value)) for name, value in entered.items()}
    changes = changes_of(entry)
    assert {name: changes[name] for name in told} == told


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("kind", CREATED)
def test_what_was_left_out_or_null_gets_its_default(kind: Any, demo: Tenant, admin: User, nulls: bool) -> None:
    given = minimal(kind, demo)
    others = {name: None for name in fields(kind) if name not in given and nulls}
    assert create(admin, kind, **given, **others)["version"] == 1
    after = stored(kind.unscoped.order_by("pk").last())
    empty = {column(name): after[column(name)] for name in clearable(kind)}
    assert set(empty.values()) <= {None, ""}
    assert {name: after[name] for name in DEFAULTS[kind]} == DEFAULTS[kind]


@each(must_be_given, CREATED)
def test_what_must_be_given_can_not_be_left_out(kind: Any, name: str, demo: Tenant, admin: User) -> None:
    document = (
        f"mutation($input: Create{kind.__name__}Input!) {{ create{kind.__name__}(input: $input) {{ __typename }} }}"
    )
    given = minimal(kind, demo)
    for wrong in ({**given, name: None}, {key: value for key, value in given.items() if key != name}):
        with nothing_changes():
            code, _ = refusal(admin, document, input=wrong)
        assert code == "BAD_REQUEST"
    values = {samples.field(key): held(samples.value(key, kind, demo)) for key in given if key != name}
    for more in ({}, {samples.field(name): None}):
        with refuses(demo, column(name)):
            services.create(kind, {**values, **more}, actor=admin)


def test_everything_that_is_wrong_is_told_at_once(demo: Tenant, admin: User) -> None:
    given = {"code": "S", "name": "", "timezone": "Nowhere", "latitude": 91.0, "geofenceRadius": 0}
    assert not_created(admin, Site, **given) == ["name", "timezone", "latitude", "geofenceRadius"]


def test_orders_and_tickets_are_numbered_by_tenant_and_kind(demo: Tenant, rival: Tenant, technician: User) -> None:
    stranger = factories.user(rival)
    asked: list[tuple[User, Kind]] = [
        (technician, WorkOrder),
        (technician, WorkOrder),
        (technician, Ticket),
        (stranger, WorkOrder),
        (technician, WorkOrder),
        (stranger, Ticket),
        (technician, Ticket),
    ]
    numbers = [create(actor, kind, **minimal(kind, actor.tenant))["number"] for actor, kind in asked]
    assert numbers == ["WO-000001", "WO-000002", "T-000001", "WO-000001", "WO-000003", "T-000001", "T-000002"]


def test_a_refused_order_takes_no_number(demo: Tenant, technician: User) -> None:
    assert not_created(technician, WorkOrder, title=" ") == ["title"]
    assert create(technician, WorkOrder, title="Next")["number"] == "WO-000001"


def test_whoever_creates_an_order_asked_for_it(demo: Tenant, technician: User) -> None:
    answer = create(technician, WorkOrder, title="Replace pump seal")
    assert answer["requestedBy"]["id"] == gid(technician)
    assert changes_of(entries(WorkOrder.unscoped.get())[0])["requested_by"] == (None, technician.pk)


# Editing.


@each(fields)
def test_one_field_is_edited_and_the_others_stay(kind: Any, name: str, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    before, new = stored(row), samples.value(name, kind, demo, other=True)
    answer = update(admin, row, **{name: sent(new)}, comment="Typo")
    after = stored(row)
    assert (answer["__typename"], answer["version"]) == (kind.__name__, 2)
    expected = {**before, column(name): held(new), "version": 2, "updated_at": after["updated_at"]}
    if name == "priority":
        expected["priority_rank"] = 3
    follow = {"response_due_at", "resolution_due_at"} if (kind, name) == (Ticket, "priority") else set()
    assert {key: value for key, value in after.items() if key not in follow} == {
        key: value for key, value in expected.items() if key not in follow
    }
    assert after["updated_at"] > before["updated_at"]
    (_, entry) = entries(row)
    assert (entry.action, entry.entity_version, entry.actor_id, entry.comment) == ("UPDATE", 2, admin.pk, "Typo")
    assert (entry.at, entry.operation_id) == (after["updated_at"], None)
    told = changes_of(entry)
    assert told.pop(samples.field(name)) == (samples.told(name, before[column(name)]), samples.told(name, new))
    assert set(told) == follow


@KINDS
def test_all_fields_are_edited_at_once(kind: Any, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    new = samples.values(kind, demo, other=True)
    assert update(admin, row, **{name: sent(value) for name, value in new.items()})["version"] == 2
    after = stored(row)
    assert {column(name): after[column(name)] for name in new} == {column(name): held(new[name]) for name in new}
    assert len(entries(row)) == 2


@KINDS
def test_null_clears_what_may_be_empty(kind: Any, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    before = stored(row)
    assert update(admin, row, **dict.fromkeys(clearable(kind)))["version"] == 2
    after = stored(row)
    empty = {column(name): kind._meta.get_field(samples.field(name)).null for name in clearable(kind)}
    cleared = {name: None if null else "" for name, null in empty.items()}
    assert after == {**before, **cleared, "version": 2, "updated_at": after["updated_at"]}
    told = {samples.field(name): (samples.told(name, before[column(name)]), None) for name in clearable(kind)}
    assert changes_of(entries(row)[-1]) == told


@each(lambda kind: [name for name in clearable(kind) if kind is not Site])
def test_null_clears_one_field_and_leaves_the_others(kind: Any, name: str, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    before = stored(row)
    assert update(admin, row, **{name: None})["version"] == 2
    after = stored(row)
    assert [key for key in before if before[key] != after[key]] == sorted(
        ["version", "updated_at", column(name)], key=list(before).index
    )


@each(never_empty)
def test_null_does_not_clear_what_must_not_be_empty(kind: Any, name: str, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    assert not_updated(admin, row, **{name: None}) == [name]


@KINDS
def test_what_is_as_it_was_is_no_change(kind: Any, demo: Tenant, admin: User) -> None:
    entered = samples.values(kind, demo)
    row = samples.row(kind, demo, **entered)
    for given in ({}, {name: sent(value) for name, value in entered.items()}, {"comment": "Nothing new"}):
        with nothing_changes():
            answer = update(admin, row, **given)
        assert (answer["__typename"], answer["version"]) == (kind.__name__, 1)


@KINDS
def test_clearing_what_is_empty_is_no_change(kind: Any, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    assert update(admin, row, **dict.fromkeys(clearable(kind)))["version"] == 2
    with nothing_changes():
        assert update(admin, row, version=2, **dict.fromkeys(clearable(kind)))["version"] == 2
        blanks = {name: "" for name in clearable(kind) if name in texts(kind)}
        assert update(admin, row, version=2, **blanks)["version"] == 2


@KINDS
@pytest.mark.parametrize("tried", TRIED)
def test_what_is_not_there_can_not_be_edited(kind: Any, tried: str, demo: Tenant, rival: Tenant, admin: User) -> None:
    row = samples.row(kind, rival if tried == "foreign" else demo)
    given = {"id": named(tried, kind, row), "version": 1}
    answer = refused(admin, f"update{kind.__name__}", **given)
    assert (answer["__typename"], answer["errorCode"]) == ("NotFound", "NOT_FOUND")


def named(tried: str, kind: Kind, row: Any) -> str:
    """Return an id that names no row of the tenant; `row` is what the foreign one names."""
    ids = {
        "foreign": gid(row),
        "unknown": encode_id(kind.__name__, 2**62),
        "another type": encode_id("ApiToken", row.pk),
        "garbage": "Ünknöwn",
        "beyond bigint": encode_id(kind.__name__, 2**63),
    }
    return ids[tried]


# Who may.


@KINDS
@pytest.mark.parametrize("role", Role)
def test_the_roles_that_may_edit_and_no_others(kind: Any, role: Role, demo: Tenant) -> None:
    actor, row = factories.user(demo, role), samples.row(kind, demo)
    name = never_empty(kind)[0]
    given = {**target(row), name: sent(samples.value(name, kind, demo, other=True))}
    if role.includes(LOWEST[kind]):
        assert mutate(actor, f"update{kind.__name__}", **given)["version"] == 2
        return
    answer = refused(actor, f"update{kind.__name__}", **given)
    assert (answer["__typename"], answer["errorCode"]) == ("PermissionDenied", "PERMISSION_DENIED")


@pytest.mark.parametrize("kind", CREATED)
@pytest.mark.parametrize("role", Role)
def test_the_roles_that_may_create_and_no_others(kind: Any, role: Role, demo: Tenant) -> None:
    actor, given = factories.user(demo, role), minimal(kind, demo)
    before = kind.unscoped.count()
    if role.includes(LOWEST[kind]):
        assert create(actor, kind, **given)["version"] == 1
        assert kind.unscoped.count() == before + 1
        return
    answer = refused(actor, f"create{kind.__name__}", **given)
    assert (answer["__typename"], answer["errorCode"]) == ("PermissionDenied", "PERMISSION_DENIED")


@KINDS
def test_who_may_not_edit_is_told_so_before_anything_else(kind: Any, demo: Tenant) -> None:
    viewer, row = factories.user(demo, Role.VIEWER), samples.row(kind, demo)
    answer = refused(viewer, f"update{kind.__name__}", id=gid(row), version=7, **{never_empty(kind)[0]: None})
    assert answer["errorCode"] == "PERMISSION_DENIED"


@pytest.mark.parametrize("kind", [WorkOrder, Ticket])
def test_only_a_supervisor_sets_the_assignee(kind: Any, demo: Tenant, technician: User, boss: User) -> None:
    row, free = samples.row(kind, demo), in_state(kind, demo, STATES[kind].split()[0])
    attempts = [(row, gid(technician)), (row, None), (free, gid(technician))]
    for each_row, assignee in attempts:
        answer = refused(technician, f"update{kind.__name__}", **target(each_row), assigneeId=assignee)
        assert answer["errorCode"] == "PERMISSION_DENIED"
    answer = refused(technician, f"create{kind.__name__}", **minimal(kind, demo), assigneeId=gid(technician))
    assert answer["errorCode"] == "PERMISSION_DENIED"
    assert create(boss, kind, **minimal(kind, demo), assigneeId=gid(technician))["assignee"]["id"] == gid(technician)
    assert update(boss, free, assigneeId=gid(technician))["assignee"]["id"] == gid(technician)
    assert update(boss, row, assigneeId=None)["assignee"] is None


@pytest.mark.parametrize("kind", [WorkOrder, Ticket])
def test_a_technician_who_sends_the_assignee_back_unchanged_edits_the_rest(
    kind: Any, demo: Tenant, technician: User
) -> None:
    row = samples.row(kind, demo)
    answer = update(technician, row, assigneeId=encode_id("User", row.assignee_id), description="More")
    assert (answer["description"], answer["version"]) == ("More", 2)


@pytest.mark.parametrize("name", ["createTask", "updateTask"])
def test_a_task_is_assigned_by_its_action_only(name: str, demo: Tenant, boss: User) -> None:
    kind = f"{name[0].upper()}{name[1:]}Input"
    row = target(samples.row(Task, demo)) if name == "updateTask" else {"title": "Drain"}
    document = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ __typename }} }}"
    with nothing_changes():
        code, _ = refusal(boss, document, input={**row, "assigneeId": gid(boss)})
    assert code == "BAD_REQUEST"


# States.


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind in STATES for status in STATES[kind].split()])
def test_an_entity_is_edited_until_its_state_is_final(kind: Any, status: str, demo: Tenant, admin: User) -> None:
    person = {} if kind is AttendanceRecord else {"assignee": admin}
    out = {"checked_out_at": NOON} if kind is AttendanceRecord else {}
    row = in_state(kind, demo, status, **person, **out)
    name = "note" if kind is AttendanceRecord else "description"
    if status not in FINAL[kind].split():
        answer = update(admin, row, **{name: "More"})
        assert (answer[name], answer["status"], answer["version"]) == ("More", status, 2)
        return
    answer = refused(admin, f"update{kind.__name__}", **target(row), **{name: "More"})
    assert (answer["errorCode"], answer["currentStatus"], answer["allowedActions"]) == (
        "TRANSITION_NOT_ALLOWED",
        status,
        [],
    )


@pytest.mark.parametrize("kind", STATES)
def test_nobody_edits_the_status(kind: Any, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    document = (
        f"mutation($input: Update{kind.__name__}Input!) {{ update{kind.__name__}(input: $input) {{ __typename }} }}"
    )
    for name, value in [("status", STATES[kind].split()[1]), ("number", "WO-000009"), ("createdAt", NOON.isoformat())]:
        with nothing_changes():
            code, _ = refusal(admin, document, input={**target(row), name: value})
        assert code == "BAD_REQUEST"


# References.


@pytest.mark.parametrize("tried", TRIED)
@pytest.mark.parametrize(("kind", "name"), REFERENCES)
def test_a_reference_leads_to_a_row_of_the_tenant(
    kind: Any, name: str, tried: str, demo: Tenant, rival: Tenant, admin: User
) -> None:
    row, stranger = samples.row(kind, demo), samples.value(name, kind, rival)
    given = {name: named(tried, type(stranger), stranger)}
    assert not_updated(admin, row, **given) == [name]
    assert not_created(admin, kind, **{**minimal(kind, demo), **given}) == [name]


@pytest.mark.parametrize("kind", [WorkOrder, Ticket])
@pytest.mark.parametrize("person", [{"role": Role.VIEWER}, {"is_active": False}], ids=str)
def test_work_is_assigned_to_nobody_who_can_not_do_it(
    kind: Any, person: dict[str, Any], demo: Tenant, boss: User
) -> None:
    given = {"assigneeId": gid(factories.user(demo, **person))}
    assert not_updated(boss, samples.row(kind, demo), **given) == ["assigneeId"]
    assert not_created(boss, kind, **minimal(kind, demo), **given) == ["assigneeId"]


@pytest.mark.parametrize("status", STATES[WorkOrder].split())
def test_a_task_is_a_step_of_an_order_that_is_still_to_be_done(status: str, demo: Tenant, technician: User) -> None:
    order, task = in_state(WorkOrder, demo, status), factories.task(demo)
    if status in {"COMPLETED", "CLOSED", "CANCELLED"}:
        assert not_created(technician, Task, title="Drain", workOrderId=gid(order)) == ["workOrderId"]
        assert not_updated(technician, task, workOrderId=gid(order)) == ["workOrderId"]
        return
    assert create(technician, Task, title="Drain", workOrderId=gid(order))["workOrder"]["id"] == gid(order)
    assert update(technician, task, workOrderId=gid(order))["workOrder"]["id"] == gid(order)


def test_an_asset_is_no_part_of_itself_or_of_its_parts(demo: Tenant, boss: User) -> None:
    whole = factories.asset(demo)
    part = factories.asset(demo, parent=whole)
    screw = factories.asset(demo, parent=part)
    for inner in (whole, part, screw):
        assert not_updated(boss, whole, parentId=gid(inner)) == ["parentId"]
    assert not_updated(boss, part, parentId=gid(screw)) == ["parentId"]
    assert update(boss, screw, parentId=gid(whole))["parent"]["id"] == gid(whole)
    assert update(boss, part, parentId=gid(screw))["parent"]["id"] == gid(screw)


# Texts and what they may hold.


@pytest.mark.parametrize(("kind", "name"), [(WorkOrder, "externalId"), (Site, "code"), (Asset, "code")])
def test_what_is_unique_is_so_in_the_tenant(kind: Any, name: str, demo: Tenant, rival: Tenant, admin: User) -> None:
    samples.row(kind, demo, **{name: "TAKEN"})
    samples.row(kind, rival, **{name: "FREE"})
    row = samples.row(kind, demo, **{name: "OTHER"})
    assert not_created(admin, kind, **{**minimal(kind, demo), name: "TAKEN"}) == [name]
    assert not_updated(admin, row, **{name: "TAKEN"}) == [name]
    assert create(admin, kind, **{**minimal(kind, demo), name: "FREE"})[name] == "FREE"
    assert update(admin, row, **{name: "NEW"})[name] == "NEW"


def test_many_orders_have_no_external_id(demo: Tenant, technician: User) -> None:
    for given in ({}, {"externalId": None}, {"externalId": ""}):
        assert create(technician, WorkOrder, title="Seal", **given)["externalId"] is None


@each(lambda kind: [name for name in never_empty(kind) if name in texts(kind)])
@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0"], ids=["empty", "space", "control", "no-break"])
def test_a_text_that_must_be_given_is_not_blank(kind: Any, name: str, blank: str, demo: Tenant, admin: User) -> None:
    assert not_updated(admin, samples.row(kind, demo), **{name: blank}) == [name]
    assert not_created(admin, kind, **{**minimal(kind, demo), name: blank}) == [name]


@each(lambda kind: LONGEST.get(kind, {}))
def test_a_text_has_its_longest_length(kind: Any, name: str, demo: Tenant, admin: User) -> None:
    row, longest = samples.row(kind, demo), LONGEST[kind][name]
    assert not_updated(admin, row, **{name: "ø" * (longest + 1)}) == [name]
    assert not_created(admin, kind, **{**minimal(kind, demo), name: "ø" * (longest + 1)}) == [name]
    assert update(admin, row, **{name: "ø" * longest})[name] == "ø" * longest


@each(texts)
@pytest.mark.parametrize("text", ["A NUL \0", "\ud83d half a pair", "half a pair \udc00"], ids=["nul", "high", "low"])
def test_characters_that_can_not_be_stored_are_refused(
    kind: Any, name: str, text: str, demo: Tenant, admin: User
) -> None:
    row = samples.row(kind, demo)
    assert not_updated(admin, row, **{name: text}) == [name]
    if kind in CREATED:
        assert not_created(admin, kind, **{**minimal(kind, demo), name: text}) == [name]
    with refuses(demo, column(name)):
        services.edit(kind, item(row), {samples.field(name): text}, actor=admin)


@pytest.mark.parametrize("text", ["A NUL \0", "\ud83d", "x" * 10_001], ids=["nul", "half", "long"])
def test_a_comment_that_can_not_be_stored_is_refused(text: str, demo: Tenant, technician: User) -> None:
    assert not_updated(technician, samples.row(WorkOrder, demo), title="New", comment=text) == ["comment"]


@pytest.mark.parametrize(
    "text", ["<script>", "Ærlig 漢字 🚰", "'; DROP TABLE", "{0} %s %(a)s $1 \\", "a\r\nb\tc", " a "]
)
def test_any_other_text_is_stored_as_it_was_entered(text: str, demo: Tenant, technician: User) -> None:
    answer = create(technician, WorkOrder, title=text, description=text, externalId=text)
    assert (answer["title"], answer["description"], answer["externalId"]) == (text, text, text)
    row = WorkOrder.unscoped.get()
    assert (row.title, row.description, row.external_id) == (text, text, text)


@pytest.mark.parametrize("address", ["nobody", "a@", "@b.example", "a b@c.example", "x" * 250 + "@a.example"])
def test_an_address_that_is_none_is_refused(address: str, demo: Tenant, technician: User) -> None:
    assert not_created(technician, Ticket, subject="Water", requesterEmail=address) == ["requesterEmail"]
    assert not_updated(technician, samples.row(Ticket, demo), requesterEmail=address) == ["requesterEmail"]


# Places.


@pytest.mark.parametrize("missing", ["latitude", "longitude"])
def test_half_a_position_is_refused(missing: str, demo: Tenant, admin: User) -> None:
    position = {"latitude": 59.9, "longitude": 10.7}
    half = {name: value for name, value in position.items() if name != missing}
    for given in (half, {**half, missing: None}):
        assert not_created(admin, Site, code="S", name="Site", **given) == ["longitude"]
    assert not_updated(admin, samples.row(Site, demo), **{missing: None}) == ["longitude"]
    nowhere = factories.site(demo, latitude=None, longitude=None)
    assert not_updated(admin, nowhere, **half) == ["longitude"]
    assert update(admin, nowhere, **position)["version"] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latitude", 90.001),
        ("latitude", -90.001),
        ("longitude", 180.001),
        ("longitude", -180.001),
        ("geofenceRadius", 0),
        ("geofenceRadius", -5),
        ("timezone", "Mars/Olympus_Mons"),
        ("timezone", "../../etc/passwd"),
        ("timezone", "Europe"),
        ("timezone", "/etc/localtime"),
        ("timezone", "europe/oslo "),
    ],
)
def test_a_site_that_is_nowhere_is_refused(name: str, value: Any, demo: Tenant, admin: User) -> None:
    assert not_updated(admin, samples.row(Site, demo), **{name: value}) == [name]
    given = {"code": "S", "name": "Site", "latitude": 1.0, "longitude": 1.0, name: value}
    assert not_created(admin, Site, **given) == [name]


@pytest.mark.parametrize("position", [(90.0, 180.0), (-90.0, -180.0), (0.0, 0.0), (59, 10)])
def test_the_ends_of_the_earth_are_on_it(position: tuple[float, float], demo: Tenant, admin: User) -> None:
    north, east = position
    answer = create(admin, Site, code="S", name="Site", latitude=north, longitude=east, geofenceRadius=2**31 - 1)
    assert (answer["latitude"], answer["longitude"], answer["geofenceRadius"]) == (north, east, 2**31 - 1)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(number: float, demo: Tenant, admin: User) -> None:
    site = samples.row(Site, demo)
    with refuses(demo, "latitude", "longitude"):
        services.edit(Site, item(site), {"latitude": number, "longitude": number}, actor=admin)


@pytest.mark.parametrize(("kind", "name"), [(WorkOrder, "priority"), (Ticket, "priority"), (Asset, "status")])
@pytest.mark.parametrize("value", ["NOPE", "low", " LOW", "\0"])
def test_a_choice_that_there_is_not_is_refused(kind: Any, name: str, value: str, demo: Tenant, admin: User) -> None:
    row = samples.row(kind, demo)
    with refuses(demo, name):
        services.edit(kind, item(row), {name: value}, actor=admin)


# Times.


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-09T10:00:00Z", datetime(2026, 11, 9, 10, tzinfo=UTC)),
        ("2026-11-09T10:00:00.123456+05:30", datetime(2026, 11, 9, 4, 30, 0, 123456, tzinfo=UTC)),
        ("2026-11-09T10:00:00", datetime(2026, 11, 9, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_a_time_is_stored_in_utc(given: str, expected: datetime, demo: Tenant, technician: User) -> None:
    answer = create(technician, WorkOrder, title="Seal", dueAt=given)
    assert stored(WorkOrder.unscoped.get())["due_at"] == expected
    assert datetime.fromisoformat(answer["dueAt"]) == expected


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_beyond_the_calendar_is_refused(given: str, demo: Tenant, technician: User) -> None:
    assert not_created(technician, WorkOrder, title="Seal", dueAt=given) == ["dueAt"]
    assert not_updated(technician, samples.row(Task, demo), scheduledAt=given) == ["scheduledAt"]


def test_a_person_does_not_leave_before_they_came(demo: Tenant, boss: User) -> None:
    record = samples.row(AttendanceRecord, demo)
    early = (NOON - timedelta(seconds=1)).isoformat()
    assert not_updated(boss, record, checkedOutAt=early) == ["checkedOutAt"]
    late = (NOON + timedelta(days=2)).isoformat()
    assert not_updated(boss, record, checkedInAt=late) == ["checkedOutAt"]
    assert update(boss, record, checkedOutAt=NOON.isoformat())["version"] == 2


# Tickets' promises.

PROMISES: Final = {
    "CRITICAL": (timedelta(hours=1), timedelta(hours=4)),
    "HIGH": (timedelta(hours=4), timedelta(days=1)),
    "MEDIUM": (timedelta(days=1), timedelta(days=3)),
    "LOW": (timedelta(days=3), timedelta(days=7)),
}


def promised(ticket: dict[str, Any], priority: str) -> dict[str, datetime]:
    response, resolution = PROMISES[priority]
    reported = ticket["created_at"]
    return {"response_due_at": reported + response, "resolution_due_at": reported + resolution}


@pytest.mark.parametrize("priority", PROMISES)
def test_a_ticket_promises_what_its_priority_says(priority: str, demo: Tenant, technician: User) -> None:
    answer = create(technician, Ticket, subject="Water", priority=priority)
    after = stored(Ticket.unscoped.get())
    expected = promised(after, priority)
    assert {name: after[name] for name in expected} == expected
    shown = {"response_due_at": answer["responseDueAt"], "resolution_due_at": answer["resolutionDueAt"]}
    assert {name: datetime.fromisoformat(shown[name]) for name in shown} == expected
    assert answer["slaBreached"] is False


def test_a_ticket_without_a_priority_promises_what_medium_does(demo: Tenant, technician: User) -> None:
    create(technician, Ticket, subject="Water")
    after = stored(Ticket.unscoped.get())
    assert {**after, **promised(after, "MEDIUM")} == after


@pytest.mark.parametrize("priority", ["CRITICAL", "HIGH", "LOW"])
def test_another_priority_promises_anew_from_when_it_was_reported(
    priority: str, demo: Tenant, technician: User
) -> None:
    create(technician, Ticket, subject="Water")
    ticket = Ticket.unscoped.get()
    before = stored(ticket)
    update(technician, ticket, priority=priority)
    after = stored(ticket)
    expected = promised(before, priority)
    assert {name: after[name] for name in expected} == expected
    told = changes_of(entries(ticket)[-1])
    assert told.pop("priority") == ("MEDIUM", priority)
    assert told == {name: (samples.told("", before[name]), samples.told("", expected[name])) for name in expected}


def test_another_subject_leaves_the_promises(demo: Tenant, technician: User) -> None:
    ticket = factories.ticket(demo)
    before = stored(ticket)
    update(technician, ticket, subject="Fire", priority="MEDIUM")
    after = stored(ticket)
    assert after == {**before, "subject": "Fire", "version": 2, "updated_at": after["updated_at"]}
    assert changes_of(entries(ticket)[-1]) == {"subject": ("Water on the floor", "Fire")}
