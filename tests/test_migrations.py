"""Migrations: complete, and reversible."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

OURS = [config.label for config in apps.get_app_configs() if config.name.startswith("apps.")]


@pytest.mark.django_db(transaction=True)
def test_all_migrations_go_back_to_nothing_and_forth_again() -> None:
    before = set(connection.introspection.table_names())
    try:
        call_command("migrate", "accounts", "zero", verbosity=0)
        left = set(connection.introspection.table_names())
        assert {name for name in left if name.startswith(tuple(f"{label}_" for label in OURS))} == set()
    finally:
        call_command("migrate", verbosity=0)
    assert set(connection.introspection.table_names()) == before


def test_no_migration_is_missing(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
