"""`manage.py migrate`, which gives up rather than hold up everybody."""

from collections.abc import Callable
from typing import Any, Final

from django.core.management import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import LockNotAvailable

LOCK_SECONDS: Final = 5.0


class Command(migrate.Command):
    """Migrate, waiting for each lock a few seconds at most."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what may be chosen besides."""
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=float,
            default=LOCK_SECONDS,
            metavar="SECONDS",
            help="how long to wait for a table that others are using, while all who come later wait behind us; "
            "0: as long as it takes (%(default)s)",
        )

    def handle(self, *arguments: Any, **options: Any) -> None:
        """Migrate; raise CommandError when a table was in use for too long."""
        connection = connections[options["database"]]
        _limit(connection, options["lock_timeout"])
        try:
            with connection.execute_wrapper(_Patient(connection, options["lock_timeout"])):
                super().handle(*arguments, **options)
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
            raise CommandError(
                f"A table was in use for {options['lock_timeout']:g} s. The migration that needed it has changed "
                "nothing; those before it are applied. Run this again, when no long transaction is open."
            ) from error
        finally:
            _limit(connection, 0)


class _Patient:
    """Waits as long as it takes for an index that is built beside the running service: that holds up nobody."""

    def __init__(self, connection: Any, seconds: float) -> None:
        self._connection, self._seconds = connection, seconds

    def __call__(self, execute: Callable[..., Any], statement: Any, *rest: Any) -> Any:
        if "INDEX CONCURRENTLY" not in str(statement):
            return execute(statement, *rest)
        _limit(self._connection, 0)
        try:
            return execute(statement, *rest)
        finally:
            _limit(self._connection, self._seconds)


def _limit(connection: Any, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [str(round(seconds * 1000))])
