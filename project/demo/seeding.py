"""Makes the demo organisations: all rows by COPY, in one transaction."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Final

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, connection, models, transaction

from apps.accounts.models import Tenant, User
from apps.accounts.records import Versioned
from apps.accounts.roles import Role
from apps.accounts.sequences import take_numbers
from apps.assets.models import Asset, Site
from apps.attendance.models import AttendanceRecord
from apps.audit.models import AuditEntry
from apps.helpdesk.models import Ticket
from apps.search.models import Document, Posting, Word
from apps.search.rebuilding import rebuild
from apps.tasks.models import Task
from apps.work_orders.models import WorkOrder

from . import desk, house, work
from .history import entries_of_life, entries_of_set_up
from .lives import Life
from .plan import DEFAULT_ORDERS, Cast, Person, Plan, Spot
from .tables import STAGED, Row, analyze, built_afterwards, copy, reserve_ids, stage, unstage

TABLES: Final = (Tenant, User, Site, Asset, WorkOrder, Task, Ticket, AttendanceRecord)
BATCH: Final = 5_000
MANY: Final = 50_000
"""From so many work orders on, building the indexes at the end saves more than it costs."""

Tick = Callable[[int], None]
Numbered = Sequence[tuple[int, Life]]


class TenantExistsError(Exception):
    """Raised when an organisation of this name is there already; nothing has been written then."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation in the making: what is planned, under which ids, with histories for how many orders.

    `password` is the hash that the four people to log in as have in common; the others can't log in. `tick` is told how
    many work orders were written.
    """

    plan: Plan
    password: str
    histories: int
    tick: Tick
    ids: dict[type[models.Model], range]
    tenant_id: int

    def write(self) -> None:
        """Write all rows; the audit entries wait in the staging table."""
        cast = self._set_up()
        orders = self._work_orders(cast)
        self._lives(Task, work.tasks(self.plan, cast, orders))
        self._lives(Ticket, self._with_serials(Ticket.number_kind, desk.tickets(self.plan, cast, orders)))
        self._lives(AttendanceRecord, desk.attendance_records(self.plan, cast))

    def _set_up(self) -> Cast:
        people = self._rows(User, self._people())
        sites = self._rows(Site, house.sites(self.plan))
        made = list(house.assets(self.plan, [site["id"] for site in sites], self.ids[Asset].start))
        assets = self._rows(Asset, (row for row, _ in made))
        return Cast(
            [Person(row["id"], row["role"]) for row in people],
            sites,
            [Spot(row["id"], row["site_id"], kind) for row, (_, kind) in zip(assets, made, strict=True)],
        )

    def _people(self) -> Iterator[Row]:
        passwords = chain(repeat(self.password, len(Role)), repeat(make_password(None)))
        for row, password in zip(house.people(self.plan), passwords, strict=False):
            yield {**row, "password": password}

    def _rows(self, model: type[Versioned], rows: Iterable[Row]) -> list[Row]:
        owned = {"tenant_id": self.tenant_id}
        numbered = [{**row, **owned, "id": pk} for pk, row in zip(self.ids[model], rows, strict=True)]
        copy(model, numbered)
        self._record(entries_of_set_up(model, numbered))
        return numbered

    def _work_orders(self, cast: Cast) -> Numbered:
        """Write the orders in batches, and return the newest, to which other work refers."""
        newest: deque[tuple[int, Life]] = deque(maxlen=DEFAULT_ORDERS)
        orders = self._with_serials(WorkOrder.number_kind, work.work_orders(self.plan, cast))
        recorded = self.ids[WorkOrder].stop - self.histories
        for batch in _ahead(_batches(zip(self.ids[WorkOrder], orders, strict=True))):
            copy(WorkOrder, self._numbered(batch))
            self._record_lives(WorkOrder, [(pk, life) for pk, life in batch if pk >= recorded])
            newest.extend(batch)
            self.tick(len(batch))
        return newest

    def _lives(self, model: type[Versioned], lives: Iterable[Life]) -> None:
        numbered = list(zip(self.ids[model], lives, strict=True))
        copy(model, self._numbered(numbered))
        self._record_lives(model, numbered)

    def _with_serials(self, kind: str, lives: Iterable[Life]) -> Iterator[Life]:
        size = self.plan.sizes.work_orders if kind == WorkOrder.number_kind else self.plan.sizes.tickets
        serials = take_numbers(tenant_id=self.tenant_id, kind=kind, count=size)
        return (life.numbered(serial) for serial, life in zip(serials, lives, strict=True))

    def _numbered(self, lives: Numbered) -> Iterator[Row]:
        for pk, life in lives:
            yield {**life.row(), "id": pk, "tenant_id": self.tenant_id}

    def _record_lives(self, model: type[Versioned], lives: Numbered) -> None:
        if lives:
            rng = self.plan.chance(f"history of {model.__name__} {lives[0][1].start}")
            correlations = (f"{rng.getrandbits(128):032x}" for _ in iter(int, 1))
            self._record(entry for pk, life in lives for entry in entries_of_life(model, pk, life, correlations))

    def _record(self, entries: Iterable[Row]) -> None:
        copy(AuditEntry, ({**entry, "tenant_id": self.tenant_id} for entry in entries), into=STAGED)


def seed(plans: Sequence[Plan], password: str, histories: int, tick: Tick) -> int:
    """Write the organisations, and return how many audit entries they came with.

    Raises TenantExistsError, and writes nothing, when one of them is there already.
    """
    ids = [{model: reserve_ids(model, count) for model, count in _counts(plan).items()} for plan in plans]
    with transaction.atomic():
        _check_references_at_once()
        stage(AuditEntry)
        many = sum(plan.sizes.work_orders for plan in plans) >= MANY
        with built_afterwards(WorkOrder) if many else nullcontext():
            for plan, numbers in zip(plans, ids, strict=True):
                Organisation(plan, password, histories, tick, numbers, _create_tenant(plan, numbers[Tenant])).write()
        analyze(TABLES)
        for numbers in ids:
            rebuild(numbers[Tenant].start)
        entries = unstage(AuditEntry, ("at", "entity_kind", "entity_id", "entity_version"))
    analyze((*TABLES, AuditEntry, Document, Posting, Word))
    return entries


def exists(slug: str) -> bool:
    """Tell whether there is an organisation of this name."""
    return Tenant.unscoped.filter(slug=slug).exists()


def _create_tenant(plan: Plan, ids: range) -> int:
    row = {"id": ids.start, "slug": plan.slug, "name": plan.name, **house.times(plan)}
    try:
        copy(Tenant, [row])
    except IntegrityError:
        raise TenantExistsError(plan.slug) from None
    return ids.start


def _counts(plan: Plan) -> dict[type[models.Model], int]:
    sizes = plan.sizes
    work = (sizes.work_orders, sizes.tasks, sizes.tickets, sizes.attendance_records)
    return dict(zip(TABLES, (1, sizes.people, sizes.sites, sizes.assets, *work), strict=True))


def _batches(lives: Iterator[tuple[int, Life]]) -> Iterator[Numbered]:
    while batch := list(islice(lives, BATCH)):
        yield batch


def _ahead(batches: Iterator[Numbered]) -> Iterator[Numbered]:
    """Yield the batches, and think of the next one in a thread while the database writes one."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, batches, None)
        while batch := coming.result():
            coming = thread.submit(next, batches, None)
            yield batch


def _check_references_at_once() -> None:
    """Check foreign keys batch by batch: a million postponed checks would be held in memory."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
