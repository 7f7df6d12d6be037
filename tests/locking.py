"""Which operations of a migration would keep the running service from a table, or break the release that still runs.

While a release goes out, the one before works on the same tables, which may have millions of rows. So a migration may
add what the old code does not notice, and may take no lock for as long as it takes to read a table. What each rule
asks for instead is in its message; docs/deployment.md tells the order.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import connection
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, ForeignKey

Rule = Callable[[Any, ProjectState, str], Iterator[str]]

CONTRACT: Final = "a release that no longer uses it goes out first; then a migration with `contract = True` drops it"
SLOW_SQL: Final = {
    r"\bCREATE (UNIQUE )?INDEX (?!CONCURRENTLY)": "CREATE INDEX CONCURRENTLY",
    r"\bDROP INDEX (?!CONCURRENTLY)": "DROP INDEX CONCURRENTLY",
    r"\bREINDEX (?!.*CONCURRENTLY)": "REINDEX CONCURRENTLY",
    r"\bADD CONSTRAINT (?!.*(NOT VALID|USING INDEX))": "ADD CONSTRAINT … NOT VALID, and VALIDATE in the next migration",
    r"\bSET NOT NULL": "a CHECK (… IS NOT NULL) NOT VALID, validated in the next migration",
    r"\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b": "a new column",
    r"\b(LOCK TABLE|CLUSTER|VACUUM FULL|TRUNCATE)\b": "nothing of the kind",
    r"\bRENAME\b": "a new name beside the old one",
    r"\bDROP (TABLE|COLUMN)\b": CONTRACT,
}


def violations(migration: Migration, before: ProjectState) -> Iterator[str]:
    """Yield what is wrong with a migration, given the state of the models before it."""
    state, app = before.clone(), migration.app_label
    ours: set[str] = set()
    kinds: list[type[Operation]] = []
    for operation in _flattened(migration.operations):
        kinds.append(type(operation))
        if isinstance(operation, operations.CreateModel):
            ours.add(operation.name_lower)
        for message in _of(operation, state, app, ours, contract=getattr(migration, "contract", False)):
            yield f"{app}.{migration.name}: {operation.describe()}: {message}"
        operation.state_forwards(app, state)
    yield from (f"{app}.{migration.name}: {message}" for message in _of_all(kinds, migration))


def _flattened(given: Sequence[Any]) -> Iterator[Operation]:
    for operation in given:
        if isinstance(operation, operations.SeparateDatabaseAndState):
            yield from _flattened(operation.database_operations)
        else:
            yield operation


def _of_all(kinds: list[type[Operation]], migration: Migration) -> Iterator[str]:
    concurrent = {AddIndexConcurrently, RemoveIndexConcurrently} & {*kinds}
    if concurrent and len(kinds) > 1:
        yield "an index that is built concurrently needs a migration of its own: if it fails, nothing is rolled back"
    if ValidateConstraint in kinds and AddConstraintNotValid in kinds:
        yield "validate a constraint in the next migration: here the lock that adding it took is still held"
    if operations.RunPython in kinds and migration.atomic:
        yield "data are moved with `atomic = False`, in batches with a transaction each"


def _of(operation: Operation, state: ProjectState, app: str, ours: set[str], *, contract: bool) -> Iterator[str]:
    model = getattr(operation, "model_name_lower", getattr(operation, "name_lower", ""))
    dropping = isinstance(operation, operations.RemoveField | operations.DeleteModel)
    if model in ours or (dropping and contract):
        return
    for kind, rule in RULES.items():
        if type(operation) is kind:
            yield from rule(operation, state, app)


def _concurrently(*_: Any) -> Iterator[str]:
    yield "use AddIndexConcurrently or RemoveIndexConcurrently, with `atomic = False`"


def _constraint(operation: Any, *_: Any) -> Iterator[str]:
    if isinstance(operation.constraint, CheckConstraint):
        yield "use AddConstraintNotValid, and ValidateConstraint in the next migration"
    else:
        yield "build the unique index concurrently, then ADD CONSTRAINT … USING INDEX; a check NOT VALID first"


def _together(*_: Any) -> Iterator[str]:
    yield "use a UniqueConstraint, on an index that was built concurrently"


def _dropped(*_: Any) -> Iterator[str]:
    yield CONTRACT


def _renamed(*_: Any) -> Iterator[str]:
    yield "the release that still runs knows the old name: add the new one beside it, copy, then drop the old"


def _added(operation: Any, *_: Any) -> Iterator[str]:
    field: Any = operation.field
    if not (field.null or field.has_db_default() or field.many_to_many or field.generated):
        yield "the release that still runs doesn't fill it in: give it null=True or a db_default"
    if field.generated:
        yield "a generated column rewrites the table"
    if field.has_db_default() and not hasattr(field.db_default, "value") and hasattr(field.db_default, "as_sql"):
        yield "a db_default that is computed for each row rewrites the table: use a constant"
    yield from _indexed(field)
    if isinstance(field, ForeignKey) and getattr(field, "db_constraint", True):
        yield "use db_constraint=False, and add the foreign key NOT VALID by SQL"


def _indexed(field: Any) -> Iterator[str]:
    if field.unique or field.db_index:
        yield "its index would be built under a lock: use db_index=False, and AddIndexConcurrently"


def _altered(operation: Any, state: ProjectState, app: str) -> Iterator[str]:
    old: Any = state.models[app, operation.model_name_lower].get_field(operation.name)
    new: Any = operation.field
    if not _widened(old.db_type(connection), new.db_type(connection)):
        yield "another type rewrites the table: add a column, copy in batches, then drop the old one"
    if old.null and not new.null:
        yield "NOT NULL reads the whole table: a check NOT VALID, validated in the next migration"
    if (new.unique or new.db_index) and not (old.unique or old.db_index):
        yield from _indexed(new)


def _widened(old: str | None, new: str | None) -> bool:
    """Tell whether PostgreSQL takes the new type for the old one as it lies there."""
    sizes = [re.fullmatch(r"varchar\((\d+)\)", text or "") for text in (old, new)]
    if old == new or (sizes[0] and new in {"text", "varchar"}):
        return True
    return bool(sizes[0] and sizes[1] and int(sizes[1][1]) >= int(sizes[0][1]))


def _sql(operation: Any, *_: Any) -> Iterator[str]:
    text = " ".join(re.sub(r"\$\$.*?\$\$", "$$", str(operation.sql), flags=re.DOTALL).split())
    for pattern, instead in SLOW_SQL.items():
        if re.search(pattern, text, re.IGNORECASE):
            yield f"use {instead}"


RULES: Final[dict[type[Operation], Rule]] = {
    operations.AddIndex: _concurrently,
    operations.RemoveIndex: _concurrently,
    operations.AddConstraint: _constraint,
    operations.AlterUniqueTogether: _together,
    operations.AlterIndexTogether: _together,
    operations.RemoveField: _dropped,
    operations.DeleteModel: _dropped,
    operations.RenameField: _renamed,
    operations.RenameModel: _renamed,
    operations.AlterModelTable: _renamed,
    operations.AddField: _added,
    operations.AlterField: _altered,
    operations.RunSQL: _sql,
}
