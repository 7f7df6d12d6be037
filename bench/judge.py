"""What it costs to ask a machine: microseconds for one verdict, and for the actions of one row of a list.

Run `python -m bench.judge`. Nothing is read from the database.
"""

import os
from timeit import repeat
from typing import Final

import django

ROUNDS: Final = 10_000


def main() -> None:
    """Print the best of five runs for each question."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from apps.accounts.models import User  # noqa: PLC0415 (models need the set-up)
    from apps.work_orders.models import WorkOrder  # noqa: PLC0415

    machine, actor = WorkOrder.machine, User(pk=7, role="SUPERVISOR")
    order = WorkOrder(status="IN_PROGRESS", assignee_id=7)
    order.has_open_task = True
    questions = {
        "judge, one verdict": lambda: machine.judge(order, "COMPLETE", actor),
        "available, one row": lambda: machine.available(order, actor),
        "actions with the blocked, one row": lambda: machine.actions(order, actor, include_blocked=True),
    }
    for name, ask in questions.items():
        best = min(repeat(ask, number=ROUNDS, repeat=5)) / ROUNDS
        print(f"{name:35} {best * 1e6:6.1f} us")


if __name__ == "__main__":
    main()
