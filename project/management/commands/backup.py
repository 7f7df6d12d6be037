"""`manage.py backup`: write a backup of the database."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from project.backups import archive


class Command(BaseCommand):
    """Write a backup that can be checked."""

    help = """Write a backup of the database into a folder: a dump in PostgreSQL's custom format, and what it holds,
table by table and tenant by tenant. Needs pg_dump of the server's version or a newer one."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what may be chosen."""
        parser.add_argument("folder", type=Path, help="where it goes; made if need be")
        parser.add_argument("--keep", type=int, metavar="N", help="delete all but the newest N")

    def handle(self, *_args: object, folder: Path, keep: int | None, **_options: Any) -> None:
        """Write it, then delete old ones."""
        if keep is not None and keep < 1:
            raise CommandError(f"--keep is {keep}: choose 1 or more.")
        try:
            with archive.stopping_in_order():
                made = archive.make(folder)
        except (archive.BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(made))
        if keep is not None and (dropped := archive.drop_old(folder, keep)):
            self.stderr.write(f"{dropped} older deleted")
