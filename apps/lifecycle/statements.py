"""The text of the statements that lock and write rows: made once for each model, of what its fields declare.

One row has a text of its own. PostgreSQL takes any list of keys for ten, so that planning anew for the one that comes
looks cheaper to it each time; and that takes longer than all the rest of the statement.
"""

from functools import cache
from typing import Any, Final

from django.db import connection, models

LOCK: Final = """
SELECT {columns} FROM {table}
WHERE id = {keys} AND tenant_id = coalesce($2::bigint, tenant_id) ORDER BY id FOR {strength}
"""
UPDATE: Final = """
UPDATE {table} AS t SET version = t.version + 1, updated_at = $1::timestamptz{assignments}
FROM {values} AS v (id{columns}) WHERE t.id = v.id AND t.tenant_id = $2::bigint RETURNING t.id
"""
INSERT: Final = "INSERT INTO {table} ({columns}) VALUES ({places}) RETURNING {made}"


@cache
def locking(model: type[models.Model], *, alone: bool, one: bool) -> str:
    """Return the statement that locks rows and returns their columns: its parameters are their keys and the tenant.

    With `one` it locks one, whose key is the parameter.
    """
    fields: tuple[Any, ...] = model._meta.concrete_fields
    columns = ", ".join(_quoted(field.column) for field in fields)
    strength = "UPDATE" if alone else "NO KEY UPDATE"
    keys = "$1::bigint" if one else "ANY($1::bigint[])"
    return LOCK.format(columns=columns, table=_quoted(model._meta.db_table), keys=keys, strength=strength)


@cache
def updating(model: type[models.Model], *names: str, one: bool) -> str:
    """Return the statement that writes these fields of locked rows, and returns the key of each row it wrote.

    Its parameters are the time, the tenant, the keys, and for each field its values, in the order of the keys; with
    `one` they are the time, the tenant, the key of one row, and the value of each field.
    """
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = [_quoted(field.column) for field in fields]
    kinds = ("bigint", *map(_kind, fields))
    places = ", ".join(f"${place}::{kind}{'' if one else '[]'}" for place, kind in enumerate(kinds, start=3))
    return UPDATE.format(
        table=_quoted(model._meta.db_table),
        assignments="".join(f", {column} = v.{column}" for column in columns),
        values=f"(VALUES ({places}))" if one else f"unnest({places})",
        columns="".join(f", {column}" for column in columns),
    )


@cache
def inserting(model: type[models.Model]) -> str:
    """Return the statement that adds a row: it takes the values of `given`, and returns those of `made`."""
    fields = given(model)
    return INSERT.format(
        table=_quoted(model._meta.db_table),
        columns=", ".join(_quoted(field.column) for field in fields),
        places=", ".join(f"${place}::{_kind(field)}" for place, field in enumerate(fields, start=1)),
        made=", ".join(_quoted(field.column) for field in made(model)),
    )


@cache
def given(model: type[models.Model]) -> tuple[Any, ...]:
    """Return the fields of a row that are written."""
    return tuple(field for field in model._meta.concrete_fields if field not in made(model))


@cache
def made(model: type[models.Model]) -> tuple[Any, ...]:
    """Return the fields of a row that PostgreSQL fills: its key, and what it computes."""
    return tuple(field for field in model._meta.concrete_fields if field.primary_key or field.generated)


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _kind(field: Any) -> str:
    """Return PostgreSQL's name for a column's type without its size: a cast to a size would cut a text in silence."""
    return str(field.db_type(connection)).partition("(")[0]
