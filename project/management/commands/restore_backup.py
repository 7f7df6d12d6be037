"""`manage.py restore_backup`: load a backup into a new database, or rehearse it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from project.backups import archive
from project.backups.contents import told


class Command(BaseCommand):
    """Load a backup, and prove that it holds what was there."""

    help = """Load a backup into a new database beside the one of DATABASE_URL, and compare every table with what it
held when it was dumped, tenant by tenant. The running database is left alone. --rehearse drops the new one again. Exit
code 1 if the backup is damaged or anything differs. The role needs CREATEDB."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what may be chosen."""
        parser.add_argument("backup", type=Path, help="a backup; or a folder of them, whose newest is meant")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--into", metavar="DATABASE", help="the name of the new database")
        what.add_argument("--rehearse", action="store_true", help="only prove that it can be restored")

    def handle(self, *_args: object, backup: Path, into: str | None, **_options: Any) -> None:
        """Restore it, and say so."""
        database = into or f"{connection.settings_dict['NAME'][:40]}_rehearsal_{uuid4().hex[:12]}"
        try:
            chosen = _newest(backup)
            with archive.stopping_in_order():
                held = archive.restore(chosen, database)
                if into is None:
                    archive.drop(database)
        except (archive.BackupError, OSError) as error:
            raise CommandError(str(error)) from error
        done = f"is in {database}" if into else "can be restored"
        self.stdout.write(f"{chosen} {done}: all tables are as they were\n" + "\n".join(told(held)))


def _newest(backup: Path) -> Path:
    if not backup.is_dir():
        return backup
    found = archive.all_in(backup)
    if not found:
        raise archive.BackupError(f"There is no backup in {backup}.")
    return found[-1]
