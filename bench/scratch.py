"""A database of a benchmark's own, on the server that the settings name; it is dropped afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.core.management import call_command
from django.db import connection, connections


@contextmanager
def scratch_database(name: str) -> Iterator[None]:
    """Make an empty, migrated database the default one, and drop it in the end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    usual = connection.settings_dict["NAME"]
    _run(f'DROP DATABASE IF EXISTS "{name}"', f'CREATE DATABASE "{name}"')
    _use(name)
    try:
        call_command("migrate", interactive=False, verbosity=0)
        yield
    finally:
        _use(str(usual))
        _run(f'DROP DATABASE "{name}"')


def _run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _use(name: str) -> None:
    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["NAME"] = name
