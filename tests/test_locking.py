"""No migration keeps the running service from a table, or takes from the running release what it needs."""

import threading
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.db.migrations import Migration, RunPython, RunSQL, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ModelState, ProjectState

from project.backups import archive
from project.management.commands.migrate import _limit, _Patient
from tests.locking import violations

FIRST_RELEASE: Final = {
    "accounts": 2,
    "assets": 3,
    "attendance": 3,
    "audit": 2,
    "helpdesk": 2,
    "lifecycle": 1,
    "search": 1,
    "tasks": 2,
    "work_orders": 2,
}
"""The last migration of each app that was there before anything ran in production."""

INDEX: Final = models.Index(fields=["size"], name="pump_size")
POSITIVE: Final = models.CheckConstraint(condition=models.Q(size__gt=0), name="pump_size_positive")
ONE: Final = models.UniqueConstraint(fields=["size"], name="pump_size_unique")


def test_no_migration_since_the_first_release_locks_a_table_for_long() -> None:
    loader = MigrationLoader(None)
    new = [key for key in loader.graph.nodes if key[0] in FIRST_RELEASE and int(key[1][:4]) > FIRST_RELEASE[key[0]]]
    found = [
        message
        for key in new
        for message in violations(loader.get_migration(*key), loader.project_state(key, at_end=False))
    ]
    assert found == []


@pytest.fixture
def before() -> ProjectState:
    state = ProjectState()
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20)),
        ("size", models.IntegerField(null=True)),
    ]
    state.add_model(ModelState("plant", "Pump", fields))
    return state


def told(before: ProjectState, *given: Any, **options: Any) -> list[str]:
    """Return what is wrong with a migration of these operations."""
    migration = Migration("0042_change", "plant")
    for name, value in {"operations": given, **options}.items():
        setattr(migration, name, value)
    return [message.removeprefix("plant.0042_change: ") for message in violations(migration, before)]


def add(field: Any) -> operations.AddField:
    return operations.AddField("pump", "extra", field)


def alter(name: str, field: Any) -> operations.AlterField:
    return operations.AlterField("pump", name, field)


BAD: Final[dict[str, Any]] = {
    "an index": operations.AddIndex("pump", INDEX),
    "no index any more": operations.RemoveIndex("pump", "pump_size"),
    "a check": operations.AddConstraint("pump", POSITIVE),
    "uniqueness": operations.AddConstraint("pump", ONE),
    "uniqueness of old": operations.AlterUniqueTogether("pump", {("name", "size")}),
    "NOT NULL without a default": add(models.IntegerField(default=3)),
    "a default for each row": add(models.FloatField(db_default=models.functions.Random())),
    "a unique column": add(models.IntegerField(null=True, unique=True)),
    "an indexed column": add(models.IntegerField(null=True, db_index=True)),
    "a foreign key": add(models.ForeignKey("plant.Pump", models.PROTECT, null=True, db_index=False)),
    "a generated column": add(
        models.GeneratedField(expression=models.F("size") * 2, output_field=models.IntegerField(), db_persist=True)
    ),
    "another type": alter("size", models.TextField(null=True)),
    "a narrower type": alter("name", models.CharField(max_length=10)),
    "NOT NULL": alter("size", models.IntegerField()),
    "an index on a column": alter("name", models.CharField(max_length=20, db_index=True)),
    "a column less": operations.RemoveField("pump", "size"),
    "a table less": operations.DeleteModel("Pump"),
    "another name of a column": operations.RenameField("pump", "size", "diameter"),
    "another name of a table": operations.RenameModel("Pump", "Valve"),
    "another table": operations.AlterModelTable("pump", "pumps"),
    "an index by SQL": RunSQL("CREATE UNIQUE INDEX x ON plant_pump (size)"),
    "a constraint by SQL": RunSQL("ALTER TABLE plant_pump ADD CONSTRAINT x CHECK (size > 0)"),
    "NOT NULL by SQL": RunSQL("alter table plant_pump\nalter column size set not null"),
    "a type by SQL": RunSQL("ALTER TABLE plant_pump ALTER COLUMN size TYPE bigint"),
    "a lock by SQL": RunSQL("LOCK TABLE plant_pump"),
    "moved data": RunPython(lambda *_: None),
    "something hidden": operations.SeparateDatabaseAndState([operations.AddIndex("pump", INDEX)]),
}


@pytest.mark.parametrize("operation", BAD.values(), ids=BAD)
def test_an_operation_that_locks_or_breaks_is_refused(before: ProjectState, operation: Any) -> None:
    assert len(told(before, operation)) == 1


GOOD: Final[dict[str, Any]] = {
    "a table with an index": [
        operations.CreateModel("Valve", [("id", models.BigAutoField(primary_key=True))]),
        operations.AddIndex("valve", models.Index(fields=["id"], name="valve_id")),
    ],
    "a column that may be empty": [add(models.IntegerField(null=True))],
    "a column with a constant": [add(models.IntegerField(db_default=3))],
    "a key without a constraint": [
        add(models.ForeignKey("plant.Pump", models.PROTECT, null=True, db_index=False, db_constraint=False))
    ],
    "a wider text": [alter("name", models.CharField(max_length=40))],
    "a text of any length": [alter("name", models.TextField())],
    "another help text": [alter("size", models.IntegerField(null=True, help_text="In millimetres."))],
    "a check that is not yet valid": [AddConstraintNotValid("pump", POSITIVE)],
    "its validation": [ValidateConstraint("pump", "pump_size_positive")],
    "a function": [RunSQL("CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN LOCK TABLE x; END $$ LANGUAGE plpgsql")],
    "a key by SQL": [RunSQL("ALTER TABLE a ADD CONSTRAINT b FOREIGN KEY (c) REFERENCES d NOT VALID")],
}


@pytest.mark.parametrize("given", GOOD.values(), ids=GOOD)
def test_an_operation_that_nobody_notices_is_allowed(before: ProjectState, given: list[Any]) -> None:
    assert told(before, *given) == []


def test_an_index_is_built_concurrently_in_a_migration_of_its_own(before: ProjectState) -> None:
    index = AddIndexConcurrently("pump", INDEX)
    assert told(before, index, atomic=False) == []
    (message,) = told(before, index, add(models.IntegerField(null=True)), atomic=False)
    assert "a migration of its own" in message


def test_a_constraint_is_not_validated_where_it_is_added(before: ProjectState) -> None:
    (message,) = told(before, AddConstraintNotValid("pump", POSITIVE), ValidateConstraint("pump", "pump_size_positive"))
    assert message.startswith("validate a constraint in the next migration")


def test_what_no_release_uses_any_more_is_dropped_by_a_migration_that_says_so(before: ProjectState) -> None:
    assert told(before, operations.RemoveField("pump", "size"), contract=True) == []
    assert len(told(before, operations.RenameField("pump", "size", "diameter"), contract=True)) == 1


def test_data_are_moved_outside_of_one_great_transaction(before: ProjectState) -> None:
    assert told(before, RunPython(lambda *_: None), atomic=False) == []


@pytest.fixture
def busy_table(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """Return a connection that is in the middle of something with a table."""
    with archive.session(archive._ours()) as other:
        other.execute("LOCK TABLE search_synonym IN ACCESS SHARE MODE")
        yield other


def lock_timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        (found,) = cursor.fetchone() or [""]
        return str(found)


def test_to_migrate_gives_up_on_a_table_in_use_and_can_be_run_again(busy_table: psycopg.Connection[Any]) -> None:
    before = set(connection.introspection.table_names())
    try:
        with pytest.raises(CommandError, match=r"A table was in use for 0\.2 s\. .* Run this again"):
            call_command("migrate", "search", "zero", lock_timeout=0.2, verbosity=0)
        assert "search_synonym" in connection.introspection.table_names()
    finally:
        busy_table.rollback()
        call_command("migrate", verbosity=0)
    assert (set(connection.introspection.table_names()), lock_timeout()) == (before, "0")


def test_an_index_that_holds_up_nobody_is_waited_for(busy_table: psycopg.Connection[Any]) -> None:
    busy_table.execute("LOCK TABLE search_synonym IN ROW EXCLUSIVE MODE")
    threading.Timer(0.6, busy_table.rollback).start()
    _limit(connection, 0.2)
    try:
        with connection.execute_wrapper(_Patient(connection, 0.2)), connection.cursor() as cursor:
            cursor.execute("CREATE INDEX CONCURRENTLY scratch ON search_synonym (term)")
            cursor.execute("DROP INDEX CONCURRENTLY scratch")
        assert lock_timeout() == "200ms"
    finally:
        _limit(connection, 0)
