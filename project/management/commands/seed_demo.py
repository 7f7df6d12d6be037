"""`manage.py seed_demo`: two organisations to try everything with."""

import os
import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError

from apps.lifecycle.progress import progress
from project import embedded
from project.demo.plan import DEFAULT_ORDERS, Plan, Sizes
from project.demo.seeding import TenantExistsError, exists, seed

HISTORIES = 50_000


class Command(BaseCommand):
    """Make the organisations `demo` and `rival`."""

    help = """Make the organisations demo and rival, with a year of work behind them.

Demo gets the work orders asked for, in all states (three tenths of them drafts), 2,000 tasks, 1,000 tickets, 1,000
attendance records, 300 assets on 12 sites and 60 people; rival gets a tenth of each. The people to log in as are
viewer, technician, supervisor and admin @demo.example and @rival.example. What is written follows from --seed,
--work-orders, --histories and --now alone, but for the password's salt. Either everything is written or nothing."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what may be chosen."""
        parser.add_argument("--work-orders", type=_positive, default=DEFAULT_ORDERS, metavar="N", help="(%(default)s)")
        parser.add_argument("--if-empty", action="store_true", help="do nothing when there is a tenant demo")
        parser.add_argument("--seed", type=int, default=1, help="another number gives other data (%(default)s)")
        parser.add_argument("--now", type=_moment, help="ISO 8601; all times lie around it (today, 0:00 UTC)")
        parser.add_argument(
            "--histories",
            type=_positive,
            default=HISTORIES,
            metavar="N",
            help="how many of the newest work orders come with audit entries, in each organisation (%(default)s)",
        )
        parser.add_argument(
            "--password", help="of the people to log in as (else DEMO_PASSWORD, else what `make run` printed)"
        )

    def handle(self, *_args: object, **options: Any) -> None:
        """Seed, and say what was made."""
        if options["if_empty"] and exists("demo"):
            return
        plans = _plans(options)
        for plan in plans:
            if exists(plan.slug):
                raise CommandError(_refusal(plan.slug))
        password, started = make_password(_password(options)), time.monotonic()
        with progress() as bar:
            task = bar.add_task("work orders", total=sum(plan.sizes.work_orders for plan in plans))
            try:
                entries = seed(plans, password, options["histories"], lambda count: bar.advance(task, count))
            except TenantExistsError as error:
                raise CommandError(_refusal(str(error))) from None
        for plan in plans:
            self.stdout.write(f"{plan.slug}: {_summary(plan.sizes)}")
        self.stdout.write(f"{entries:,} audit entries; {time.monotonic() - started:.1f} s")


def _plans(options: dict[str, Any]) -> list[Plan]:
    now = options["now"] or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    sizes = Sizes(work_orders=options["work_orders"])
    return [
        Plan("demo", "Nordlys Facilities", sizes, options["seed"], now),
        Plan("rival", "Harbour & Sons Estates", sizes.tenth(), options["seed"], now),
    ]


def _password(options: dict[str, Any]) -> str:
    password = options["password"] or os.environ.get("DEMO_PASSWORD", "")
    if not password and not settings.EMBEDDED:
        raise CommandError("Choose a password for the demo users: --password, or DEMO_PASSWORD in the environment.")
    return password or embedded.secret("demo-password")


def _refusal(slug: str) -> str:
    return (
        f"There is a tenant {slug} already; nothing was changed. With --if-empty a tenant demo is no error; "
        "for fresh demo data use an empty database."
    )


def _summary(sizes: Sizes) -> str:
    return ", ".join(f"{getattr(sizes, name):,} {name.replace('_', ' ')}" for name in sizes.__slots__)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError("choose 1 or more")
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
