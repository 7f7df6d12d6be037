"""Brings rows into the database by COPY, under ids that are known beforehand."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, Final

from django.db import connection, models, transaction
from psycopg import sql

from apps.accounts.constraints import SameTenant

Row = dict[str, Any]
STAGED: Final = "demo_history"
"""A temporary table: the audit entries of all kinds, to be numbered in the order of their times."""


def reserve_ids(model: type[models.Model], count: int) -> range:
    """Take the next ids of a table, which then are nobody else's.

    Writers wait for the moment it takes: whoever draws an id by an INSERT holds a lock that this one excludes. Call it
    outside the transaction that writes the rows, or they wait for that one.
    """
    table = model._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(table)))
        cursor.execute(
            "SELECT setval(sequence, nextval(sequence) + %s - 1) FROM pg_get_serial_sequence(%s, 'id') AS sequence",
            [count, table],
        )
        (last,) = cursor.fetchone()
    return range(last - count + 1, last + 1)


def copy(model: type[models.Model], rows: Iterable[Row], into: str = "") -> None:
    """Write rows, given as columns and values; a column that a row does not name gets the field's default.

    `into` names another table than the model's, which has the same columns but no id.
    """
    fields = [each for each in model._meta.concrete_fields if not (each.generated or (into and each.primary_key))]
    defaults = {each.attname: each.get_default() for each in fields}
    pick = itemgetter(*defaults)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(into or model._meta.db_table), _names(fields)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as out:
        out.set_types([_type(each) for each in fields])
        for row in rows:
            out.write_row(pick({**defaults, **row}))


@contextmanager
def built_afterwards(model: type[models.Model]) -> Iterator[None]:
    """Write many rows without the table's indexes and references, and build these at the end: half the work.

    Only an empty table of our own goes without: others have readers. Call it in a transaction that nothing is postponed
    in; what is built is what the model declares, as migrations do it.
    """
    if not _is_ours_and_empty(model):
        yield
        return
    references = [each for each in model._meta.constraints if isinstance(each, SameTenant)]
    with connection.schema_editor(atomic=False) as editor:
        for index in model._meta.indexes:
            editor.remove_index(model, index)
        for reference in references:
            editor.remove_constraint(model, reference)
    yield
    with connection.schema_editor(atomic=False) as editor:
        for index in model._meta.indexes:
            editor.add_index(model, index)
        for reference in references:
            editor.add_constraint(model, reference)


def stage(model: type[models.Model]) -> None:
    """Make the temporary table in which rows wait for their ids, until the transaction ends."""
    with connection.cursor() as cursor:
        table = {"staged": sql.Identifier(STAGED), "table": sql.Identifier(model._meta.db_table)}
        cursor.execute(sql.SQL("CREATE TEMPORARY TABLE {staged} (LIKE {table}) ON COMMIT DROP").format(**table))
        cursor.execute(sql.SQL("ALTER TABLE {staged} DROP COLUMN id").format(**table))


def unstage(model: type[models.Model], order: Sequence[str]) -> int:
    """Write the rows that wait, give them ids in this order of columns, and return how many they were."""
    fields = [each for each in model._meta.concrete_fields if not each.primary_key]
    statement = sql.SQL("INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged} ORDER BY {order}").format(
        table=sql.Identifier(model._meta.db_table),
        columns=_names(fields),
        staged=sql.Identifier(STAGED),
        order=sql.SQL(", ").join(map(sql.Identifier, order)),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.rowcount)


def analyze(tables: Iterable[type[models.Model]]) -> None:
    """Let the planner know what the tables hold now."""
    names = sql.SQL(", ").join(sql.Identifier(model._meta.db_table) for model in tables)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("ANALYZE {}").format(names))


def _is_ours_and_empty(model: type[models.Model]) -> bool:
    table = sql.Identifier(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "SELECT pg_has_role(relowner, 'USAGE') AND NOT EXISTS (SELECT FROM {}) FROM pg_class WHERE relname = {}"
                " AND pg_table_is_visible(oid)"
            ).format(table, model._meta.db_table)
        )
        (answer,) = cursor.fetchone()
    return bool(answer)


def _type(field: "models.Field[Any, Any]") -> str:
    """Return PostgreSQL's name for a column's type, without its size."""
    return str(field.db_type(connection)).partition("(")[0]


def _names(fields: "Iterable[models.Field[Any, Any]]") -> sql.Composed:
    return sql.SQL(", ").join([sql.Identifier(str(field.column)) for field in fields])
