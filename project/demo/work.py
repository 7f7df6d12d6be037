"""The work orders and tasks of a demo organisation, oldest first."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from apps.accounts.roles import Role
from apps.lifecycle.actors import Actor, SystemActor
from apps.lifecycle.priority import Priority
from apps.tasks.workflow import TaskStatus
from apps.work_orders.workflow import WorkOrderStatus

from .lives import Life, deal, deal_by_age
from .plan import Cast, Person, Plan, Spot
from .titles import title
from .words import CATEGORIES, REMARKS, STEPS
from .workflows import ORDERS, TASKS

SPAN: Final = timedelta(days=400)
STATES: Final = {
    WorkOrderStatus.DRAFT: (6, 24),
    WorkOrderStatus.SUBMITTED: (1, 6),
    WorkOrderStatus.APPROVED: (1, 5),
    WorkOrderStatus.IN_PROGRESS: (2, 6),
    WorkOrderStatus.ON_HOLD: (2, 2),
    WorkOrderStatus.COMPLETED: (4, 4),
    WorkOrderStatus.REJECTED: (2, 1),
    WorkOrderStatus.CLOSED: (28, 1),
    WorkOrderStatus.CANCELLED: (4, 1),
}
"""Fiftieths of the older and of the newer half; three tenths of both together are drafts."""

PRIORITIES: Final = {Priority.LOW: 5, Priority.MEDIUM: 10, Priority.HIGH: 4, Priority.CRITICAL: 1}
DESCRIBED, DUE, BY_TECHNICIAN = 0.4, 0.8, 0.8
DONE: Final = (WorkOrderStatus.CLOSED, WorkOrderStatus.COMPLETED, WorkOrderStatus.CANCELLED)
PLANNED: Final = {TaskStatus.SCHEDULED: 1}
TO_BE_STARTED: Final = {TaskStatus.SCHEDULED: 2, TaskStatus.ASSIGNED: 3, TaskStatus.MISSED: 1}
UNDER_WAY: Final = {
    TaskStatus.ASSIGNED: 2,
    TaskStatus.IN_PROGRESS: 3,
    TaskStatus.COMPLETED: 2,
    TaskStatus.APPROVED: 2,
}
OVER: Final = {TaskStatus.APPROVED: 8, TaskStatus.CANCELLED: 1, TaskStatus.MISSED: 1}
TASK_STATES: Final = {
    WorkOrderStatus.DRAFT: PLANNED,
    WorkOrderStatus.SUBMITTED: PLANNED,
    WorkOrderStatus.APPROVED: TO_BE_STARTED,
    WorkOrderStatus.IN_PROGRESS: UNDER_WAY,
    WorkOrderStatus.ON_HOLD: UNDER_WAY,
    WorkOrderStatus.COMPLETED: OVER,
    WorkOrderStatus.REJECTED: PLANNED,
    WorkOrderStatus.CLOSED: OVER,
    WorkOrderStatus.CANCELLED: {TaskStatus.CANCELLED: 1},
}
ALONE: Final = {**TO_BE_STARTED, **UNDER_WAY, TaskStatus.CANCELLED: 1}
CLOSE_OVERDUE: Final = SystemActor("close_overdue")
IN_TEN_ALONE: Final = 1
"""One task in ten belongs to no order."""


def work_orders(plan: Plan, cast: Cast) -> Iterator[Life]:
    """Yield the lives of the orders, without id, tenant and serial."""
    rng = plan.chance("work orders")
    states, priorities = deal_by_age(STATES, plan.sizes.work_orders, rng), deal(PRIORITIES, rng)
    technicians, bosses = cast.of(Role.TECHNICIAN), cast.of(Role.SUPERVISOR, Role.ADMIN)
    count = plan.sizes.work_orders
    for index, status in enumerate(states):
        created = plan.now - SPAN * ((count - index - rng.random() / 2) / count)
        author = rng.choice(technicians if rng.random() < BY_TECHNICIAN else bosses)
        roles: dict[str, Actor] = {
            "author": author,
            "boss": another(bosses, author, rng),
            "worker": rng.choice(technicians),
        }
        first = _order(rng.choice(cast.spots), next(priorities), rng)
        first["due_at"] = _due(status, created, plan.now, rng)
        first["requested_by_id"] = author.pk
        yield ORDERS.live(first, status, roles, (created, plan.now), rng)


def tasks(plan: Plan, cast: Cast, orders: Sequence[tuple[int, Life]]) -> list[Life]:
    """Return the lives of the tasks, most of them steps of these orders, which come with their ids."""
    rng = plan.chance("tasks")
    decks = {status: deal(states, rng) for status, states in TASK_STATES.items()}
    alone = deal(ALONE, rng)
    lives = []
    for index in range(plan.sizes.tasks):
        if index % 10 < IN_TEN_ALONE or not orders:
            start = plan.now - SPAN * (rng.random() * 0.2)
            lives.append(_task(plan, cast, (rng.choice(cast.spots).pk, None), next(alone), (start, plan.now), rng))
        else:
            pk, order = rng.choice(orders)
            status = next(decks[WorkOrderStatus(order.entity.status)])
            end = order.entity.completed_at or plan.now
            start = order.start + (end - order.start) * (rng.random() / 4)
            lives.append(_task(plan, cast, (order.entity.asset_id, pk), status, (start, end), rng))
    return sorted(lives, key=lambda life: life.start)


def another(people: list[Person], person: Person, rng: random.Random) -> Person:
    """Return one of the people, but not this person unless there is nobody else."""
    other = rng.choice(people)
    while other is person and len(people) > 1:
        other = rng.choice(people)
    return other


def description(rng: random.Random) -> str:
    """Return one to three remarks, or nothing."""
    if rng.random() > DESCRIBED:
        return ""
    return " ".join(rng.sample(REMARKS, 1 + int(rng.random() * 3)))


def _order(spot: Spot, priority: Priority, rng: random.Random) -> dict[str, Any]:
    return {
        "title": title(CATEGORIES[spot.category], rng),
        "description": description(rng),
        "priority": priority.value,
        "site_id": spot.site_id,
        "asset_id": spot.pk,
        "assignee_id": None,
        "started_at": None,
        "completed_at": None,
        "closed_at": None,
    }


def _due(status: WorkOrderStatus, created: datetime, now: datetime, rng: random.Random) -> datetime | None:
    if rng.random() > DUE:
        return None
    if status in DONE:
        due = created + timedelta(days=2 + 28 * rng.random())
    else:
        due = max(created, now + timedelta(days=60 * rng.random() - 15))
    return due.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _task(
    plan: Plan,
    cast: Cast,
    on: tuple[int, int | None],
    status: TaskStatus,
    span: tuple[datetime, datetime],
    rng: random.Random,
) -> Life:
    boss = rng.choice(cast.of(Role.SUPERVISOR, Role.ADMIN))
    worker = rng.choice(cast.of(Role.TECHNICIAN))
    roles: dict[str, Actor] = {"author": boss, "boss": boss, "worker": worker, "system": CLOSE_OVERDUE}
    asset_id, order_id = on
    room = span[1] - span[0]
    late = status == TaskStatus.MISSED
    due = span[0] + min(room / 2, timedelta(days=2)) if late else plan.now + timedelta(days=30 * rng.random() - 5)
    first = {
        "title": rng.choice(STEPS),
        "description": description(rng),
        "work_order_id": order_id,
        "asset_id": asset_id,
        "assignee_id": None,
        "scheduled_at": span[0] + min(room / 3, timedelta(days=1)),
        "due_at": due,
        "completed_at": None,
    }
    return TASKS.live(first, status, roles, span, rng)
