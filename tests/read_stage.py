"""Two tenants full of rows that are odd in every way that reads can meet, and what clients can know of them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from graphql import GraphQLList, GraphQLObjectType, get_named_type, get_nullable_type

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.assets.models import Asset, AssetStatus, Site
from apps.attendance.models import AttendanceRecord
from apps.helpdesk.models import Ticket
from apps.lifecycle.priority import Priority
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder
from schema.reads.global_id import encode_id
from tests import factories
from tests.graphql import OBJECTS, data, lists_of
from tests.machines import STATES
from tests.writing import bulk, gid, in_state, move, mutate

TEXTS: Final = [
    "Pump",
    "pump",
    "Replace pump seal",
    "100 % _sure_",
    'it\'s "quoted"',
    "back\\slash \\n \\% \\_",
    "Ærfugl\nnext\tline",
    "İstanbul Straße",
    "😀 é e\u0301",
    "</script>&amp;\u2028\x7f\x01",
    "NULL",
    "{1,2}",
    "%s %(name)s {0} $1 :p",
    "long " * 30,
]
TIMES: Final = [
    datetime(2020, 3, 1, 8, tzinfo=UTC),
    datetime(2020, 3, 1, 8, tzinfo=UTC),
    datetime(2020, 3, 1, 8, 0, 0, 1, tzinfo=UTC),
    datetime(2020, 3, 29, 0, 59, 59, 120000, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2090, 10, 31, 1, 30, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]
"""Far from now, of which it depends whether a promise has been broken."""

DISTANCES: Final = [0.0, 0.1 + 0.2, 1e-7, 1e16, 20003931.25, 5e-324]
CHANGES: Final[list[Any]] = [
    [],
    [{"field": "title", "before": None, "after": 'A "title" ø\n\x01'}],
    [{"field": "site", "before": 3, "after": None}, {"field": "due_at", "before": "2020-03-01T08:00:00Z"}],
    [{"field": "asset", "before": "no key", "after": True}, {"field": "latitude", "before": -0.0, "after": 1.5}],
    [{"field": "assignee", "before": [1, {"a": None}], "after": {"b": [], "a": 2**53 + 1}}],
]
ROOT_LISTS: Final = lists_of(OBJECTS["Query"])


def fill(owner: Tenant, chance: Random, size: int) -> list[User]:
    """Make rows of every kind, and return people of every role."""
    people = _people(owner, chance)
    sites, assets = _places(owner, chance, size)
    links: dict[str, Sequence[Any]] = {"site": sites, "asset": assets, "assignee": people, "requested_by": people}
    links["work_order"] = [_work_order(owner, chance, links, status) for status in _statuses(WorkOrder, size)]
    for status in _statuses(Task, size):
        _task(owner, chance, links, status)
    for status in _statuses(Ticket, size):
        _ticket(owner, chance, links, status)
    for status in _statuses(AttendanceRecord, size):
        _record(owner, chance, links, status)
    _history(owner, people, links)
    _trail(people, links["work_order"])
    _age(owner, size)
    return people[: len(Role)]


def _age(owner: Tenant, size: int) -> None:
    """Let some rows of each kind have come and changed at the same time."""
    models: list[Any] = [Asset, Site, WorkOrder, Task, Ticket, User, AttendanceRecord]
    for model in models:
        rows = model.unscoped.filter(tenant=owner)
        keys = list(rows.values_list("pk", flat=True)[: size // 2])
        factories.force(rows.filter(pk__in=keys), created_at=TIMES[0])
        factories.force(rows.filter(pk__in=keys[: size // 3]), updated_at=TIMES[3])


def _statuses(model: Any, size: int) -> list[str]:
    states = STATES[model].split()
    return [states[place % len(states)] for place in range(size)]


def _people(owner: Tenant, chance: Random) -> list[User]:
    some = [factories.user(owner, role) for role in Role]
    some += [factories.user(owner, name=text[:100], phone=text[:20]) for text in chance.sample(TEXTS, 4)]
    return [*some, factories.user(owner, name="Pump", is_active=False)]


def _places(owner: Tenant, chance: Random, size: int) -> tuple[list[Site], list[Asset]]:
    texts = chance.sample(TEXTS, len(TEXTS))
    sites = [factories.site(owner, name=text, code=f"S {text}"[:40]) for text in texts[: size // 3]]
    sites.append(factories.site(owner, latitude=None, longitude=None, timezone="Asia/Kolkata"))
    sites.append(factories.site(owner, latitude=-0.0, longitude=1e-7))
    assets: list[Asset] = []
    for text in texts[: size - 2]:
        above = {"site": chance.choice(sites), "parent": chance.choice([None, *assets[-3:]])}
        kind = {"category": chance.choice(["", "Pump", *TEXTS])[:100], "status": chance.choice(AssetStatus.values)}
        assets.append(factories.asset(owner, name=text, code=f"{len(assets)}{text}"[:40], **above, **kind))
    return sites, assets


def _maybe(chance: Random, values: Sequence[Any], fields: str) -> dict[str, Any]:
    return {name: chance.choice([None, chance.choice(values)]) for name in fields.split()}


def _linked(chance: Random, links: dict[str, Sequence[Any]], fields: str) -> dict[str, Any]:
    return {name: chance.choice([None, chance.choice(links[name])]) for name in fields.split()}


def _work_order(owner: Tenant, chance: Random, links: dict[str, Sequence[Any]], status: str) -> WorkOrder:
    texts = {"title": chance.choice(TEXTS), "description": chance.choice(["", *TEXTS])}
    named = {"external_id": chance.choice([None, f"{chance.randrange(10**9)} {chance.choice(TEXTS)}"[:100]])}
    given = {**texts, **named, **_maybe(chance, TIMES, "due_at"), "priority": chance.choice(Priority.values)}
    linked = _linked(chance, links, "site asset assignee requested_by")
    return in_state(WorkOrder, owner, status, **given, **linked)  # type: ignore[no-any-return]


def _task(owner: Tenant, chance: Random, links: dict[str, Sequence[Any]], status: str) -> None:
    linked = _linked(chance, links, "work_order asset assignee")
    if status == "ASSIGNED":
        linked["assignee"] = links["assignee"][1]
    texts = {"title": chance.choice(TEXTS), "description": chance.choice(["", *TEXTS])}
    in_state(Task, owner, status, **texts, **linked, **_maybe(chance, TIMES, "due_at scheduled_at"))


def _ticket(owner: Tenant, chance: Random, links: dict[str, Sequence[Any]], status: str) -> None:
    due = {"response_due_at": chance.choice(TIMES), "resolution_due_at": chance.choice(TIMES)}
    texts = {"subject": chance.choice(TEXTS), "category": chance.choice(["", *TEXTS])[:100]}
    requester = {"requester_name": chance.choice(["", *TEXTS]), "requester_phone": chance.choice(["", "22 33 44 55"])}
    linked = _linked(chance, links, "site asset assignee work_order")
    in_state(Ticket, owner, status, priority=chance.choice(Priority.values), **texts, **requester, **linked, **due)


def _record(owner: Tenant, chance: Random, links: dict[str, Sequence[Any]], status: str) -> None:
    came, left = TIMES[0], chance.choice([None, TIMES[-1]])
    where = chance.choice([(None, None), (59.9, 10.75), (-0.0, 1e-7)])
    in_state(
        AttendanceRecord,
        owner,
        status,
        person=chance.choice(links["assignee"]),
        site=chance.choice(links["site"]),
        note=chance.choice(["", *TEXTS]),
        checked_in_at=came + timedelta(days=chance.randrange(3)),
        checked_out_at=TIMES[-1] if status == "LOCKED" else left,
        check_in_latitude=where[0],
        check_in_longitude=where[1],
        distance_metres=chance.choice([None, *DISTANCES]),
        within_geofence=chance.choice([None, True, False]),
    )


def _history(owner: Tenant, people: Sequence[User], links: dict[str, Sequence[Any]]) -> None:
    """Let people of every role do things by the services."""
    technician, admin = people[1], people[3]
    order = factories.work_order(owner, site=links["site"][0], requested_by=technician, assignee=technician)
    for actor, action in [(technician, "SUBMIT"), (admin, "APPROVE"), (technician, "START"), (admin, "HOLD")]:
        answer = move(actor, order, action, comment="It's 5 % off.\n")
        assert "errorCode" not in answer, answer
        order.refresh_from_db()
    site = links["site"][0]
    mutate(admin, "updateSite", id=gid(site), version=1, name='Renamed "ø"', latitude=None, longitude=None)
    drafts = [factories.work_order(owner, site=site) for _ in range(3)]
    items = [{"id": gid(each), "version": each.version} for each in drafts]
    assert bulk(admin, WorkOrder, items, "SUBMIT", comment="All")["succeeded"] == 3


def _trail(people: Sequence[User], orders: Sequence[WorkOrder]) -> None:
    """Add entries as no service writes them today: of commands, of kinds that are gone, of rows that are gone."""
    for place, changes in enumerate(CHANGES):
        order, by = orders[place], people[place] if place % 2 else None
        at, source = TIMES[place], ["rest", "admin", "command", "graphql"][place % 4]
        factories.audit_entry(order, changes=changes, actor=by, at=at, source=source, comment=TEXTS[place])
    factories.audit_entry(orders[0], entity_id=10**12, command="close_overdue", source="command", at=TIMES[0])
    factories.audit_entry(orders[0], entity_kind="Gone", changes=CHANGES[2])
    factories.audit_entry(orders[0], entity_kind="User", entity_id=people[0].pk, changes=CHANGES[1])
    factories.audit_entry(orders[0], entity_kind="PageInfo", correlation_id="c-%-1")


Cursors = list[tuple[list[dict[str, Any]], list[str]]]


@dataclass
class Stage:
    """What there is to be read, and who reads."""

    actors: list[int]
    values: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(list))
    """What is in the fields of a type; the ids of other tenants' rows, too."""
    cursors: dict[str, Cursors] = field(default_factory=lambda: defaultdict(list))
    """Cursors of the lists of a type, with the orders that they are good for."""

    def actor(self, chance: Random) -> User:
        """Return somebody, read anew as for each request."""
        return User.unscoped.get(pk=chance.choice(self.actors))

    def ids(self, kind: str | None = None) -> list[str]:
        """Return the ids of a type; of every type, without one."""
        if kind is not None:
            return self.values[kind, "id"]
        return [each for (_, name), found in self.values.items() if name == "id" for each in found]


def stage(orderings: dict[str, list[list[dict[str, Any]]]]) -> Stage:
    """Return two tenants of rows, and what their admins can read of them, the cursors of these orderings included."""
    chance = Random(17)  # noqa: S311 (a seed is the example)
    demo, rival = (fill(factories.tenant(name=TEXTS[3]), chance, size) for size in (16, 8))
    found = Stage([person.pk for person in [*demo, *demo, *demo, *rival]])
    for admin in (demo[-1], rival[-1]):
        for name, kind in ROOT_LISTS.items():
            _learn(found, admin, name, kind)
            for ordering in orderings[kind.name]:
                document = f"query ($o: [{kind.name}Order!]) {{ {name}(ordering: $o) {{ edges {{ cursor }} }} }}"
                edges = data(admin, document, o=ordering)[name]["edges"]
                found.cursors[kind.name].append((ordering, [edge["cursor"] for edge in edges]))
        tenant = encode_id("Tenant", admin.tenant_id)
        found.values["Tenant", "id"].append(tenant)
    return found


def _learn(found: Stage, admin: User, name: str, kind: GraphQLObjectType) -> None:
    leaves = list(_leaves(kind))
    for edge in data(admin, f"{{ {name} {{ edges {{ node {{ {' '.join(leaves)} }} }} }} }}")[name]["edges"]:
        for leaf, value in edge["node"].items():
            if value is not None:
                found.values[kind.name, leaf].append(value)


def _leaves(kind: GraphQLObjectType) -> Iterator[str]:
    for name, declared in kind.fields.items():
        inner: Any = get_named_type(declared.type)
        is_list = isinstance(get_nullable_type(declared.type), GraphQLList)
        if not (declared.args or is_list or isinstance(inner, GraphQLObjectType) or hasattr(inner, "resolve_type")):
            yield name
