"""Backups: restored for real, by PostgreSQL's own programs; a damaged one is found out."""

import hashlib
import json
import operator
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import reduce
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from hypothesis import given, strategies
from psycopg import conninfo, sql

from apps.accounts.models import Tenant
from apps.audit.models import AuditEntry
from project.backups import archive
from project.backups.contents import Contents, contents_of, differences
from project.embedded.postgres import ADMINISTRATOR, Postgres
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
GONE: Final = object()


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take pg_dump from where the server is from: an older one refuses."""
    folder = Path(str(Postgres.settle().program)).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def rows(demo: Tenant, rival: Tenant) -> list[Any]:
    """Return what two tenants have, in whose trail it is."""
    made = [factories.work_order(owner, title="Réparer: «çà»", site=factories.site(owner)) for owner in (demo, rival)]
    return [*made, factories.ticket(demo), factories.attendance_record(rival)]


@pytest.fixture
def new_database() -> Iterator[str]:
    name = f"restored_{uuid4().hex[:12]}"
    yield name
    archive.drop(name)


def backup(folder: Path, **options: Any) -> Path:
    told = StringIO()
    call_command("backup", str(folder), stdout=told, stderr=StringIO(), **options)
    return Path(told.getvalue().strip())


def restore(made: Path, into: str | None = None) -> str:
    told = StringIO()
    call_command("restore_backup", str(made), f"--into={into}" if into else "--rehearse", stdout=told)
    return told.getvalue()


def databases() -> set[str]:
    """Return those whose names begin as ours does: other tests make some too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, current_database())")
        return {name for (name,) in cursor.fetchall()}


def refused(made: Path) -> str:
    """Return why a rehearsal fails; it leaves nothing behind."""
    before = databases()
    with pytest.raises(CommandError) as refusal:
        restore(made)
    assert databases() == before
    return str(refusal.value)


def rewritten(made: Path, change: Any) -> None:
    """Change what a backup is said to hold."""
    file = made.with_suffix(".json")
    told = json.loads(file.read_text())
    change(told["contents"])
    file.write_text(json.dumps(told))


def test_a_good_backup_passes_its_rehearsal_which_leaves_nothing_behind(folder: Path, rows: list[Any]) -> None:
    made, before = backup(folder), databases()
    first, *lines, last = restore(folder).splitlines()
    assert first == f"{made} can be restored: all tables are as they were"
    assert f"{2:>12,} work_orders_workorder (tenants: 2)" in lines
    assert f"{Tenant.unscoped.count():>12,} accounts_tenant" in lines
    newest = AuditEntry.unscoped.latest("id")
    assert last == f"newest audit entry: {newest.pk} of {newest.at.isoformat()}"
    assert databases() == before


def test_only_its_owner_can_read_a_backup(folder: Path, rows: list[Any]) -> None:
    made = backup(folder)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {"backups": 0o700, made.name: 0o600, made.with_suffix(".json").name: 0o600}


def test_a_backup_says_what_each_tenant_has(folder: Path, rows: list[Any], demo: Tenant) -> None:
    told = json.loads(backup(folder).with_suffix(".json").read_text())["contents"]
    counts = {(each["table"], each["tenant"]): each["rows"] for each in told["tables"]}
    assert counts["work_orders_workorder", demo.pk] == 1
    assert counts["audit_auditentry", demo.pk] == AuditEntry.unscoped.filter(tenant=demo).count()
    assert told["newest_audit_entry"]["id"] == AuditEntry.unscoped.latest("id").pk


def test_a_restored_database_has_the_rows_the_rules_and_the_next_numbers(
    folder: Path, rows: list[Any], new_database: str
) -> None:
    made = backup(folder)
    factories.work_order(rows[0].tenant)  # after the backup: it is not there
    restore(made, into=new_database)

    with archive.session(conninfo.make_conninfo(archive._ours(), dbname=new_database)) as restored:
        found = restored.execute("SELECT title FROM work_orders_workorder ORDER BY id").fetchall()
        assert found == [("Réparer: «çà»",)] * 2
        taken = restored.execute("SELECT nextval(pg_get_serial_sequence('audit_auditentry', 'id'))").fetchone()
        highest = restored.execute("SELECT max(id) FROM audit_auditentry").fetchone()
        assert taken
        assert highest
        assert taken[0] > highest[0]
        with pytest.raises(psycopg.errors.RestrictViolation, match="never changed"):
            restored.execute("DELETE FROM audit_auditentry")


def test_nothing_is_restored_over_a_database_that_is_there(folder: Path, rows: list[Any]) -> None:
    ours = connection.settings_dict["NAME"]
    with pytest.raises(CommandError, match=f"The database {ours} can't be made: database .* already exists"):
        restore(backup(folder), into=ours)
    assert Tenant.unscoped.count() == 2


def test_a_copy_is_dropped_though_we_and_postgresql_are_still_at_work_on_it(
    folder: Path, rows: list[Any], new_database: str
) -> None:
    restore(backup(folder), into=new_database)
    ours = psycopg.connect(conninfo.make_conninfo(archive._ours(), dbname=new_database))
    # As autovacuum: nobody we may cut off, and soon away.
    theirs = psycopg.connect(Postgres.settle()._url(ADMINISTRATOR, new_database))
    away = threading.Timer(1, theirs.close)
    away.start()
    archive.drop(new_database)
    away.join()
    assert new_database not in databases()
    with ours, pytest.raises(psycopg.errors.AdminShutdown):
        ours.execute("SELECT 1")


@pytest.mark.parametrize("place", [0.02, 0.5, 0.98])
def test_a_damaged_file_is_found(folder: Path, rows: list[Any], place: float) -> None:
    made = backup(folder)
    content = bytearray(made.read_bytes())
    content[int(len(content) * place)] ^= 1
    made.write_bytes(content)
    assert refused(made) == f"{made} is damaged: its checksum is not the one that was written down."


def test_half_a_file_is_found(folder: Path, rows: list[Any]) -> None:
    made = backup(folder)
    made.write_bytes(made.read_bytes()[: made.stat().st_size // 2])
    assert "is damaged" in refused(made)


def test_a_dump_that_postgresql_can_not_read_is_found(
    folder: Path, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(folder)
    made.write_bytes(made.read_bytes()[:-2000])
    told = json.loads(made.with_suffix(".json").read_text())
    made.with_suffix(".json").write_text(json.dumps(told | {"sha256": archive._checksum(made)}))
    assert refused(made).startswith("pg_restore failed: pg_restore: error: ")


def test_a_row_that_is_missing_is_found(folder: Path, rows: list[Any], demo: Tenant) -> None:
    made = backup(folder)

    def one_more(contents: Any) -> None:
        next(each for each in contents["tables"] if each["table"] == "helpdesk_ticket")["rows"] += 1

    rewritten(made, one_more)
    assert refused(made).endswith(f"\nhelpdesk_ticket of tenant {demo.pk}: 1 rows, where there were 2")


def test_a_value_that_differs_is_found_and_so_is_another_newest_audit_entry(
    folder: Path, rows: list[Any], rival: Tenant
) -> None:
    made = backup(folder)

    def other(contents: Any) -> None:
        entries = [each for each in contents["tables"] if each["table"] == "audit_auditentry"]
        next(each for each in entries if each["tenant"] == rival.pk)["digest"] = "1"
        contents["newest_audit_entry"]["id"] += 1

    rewritten(made, other)
    first, second = refused(made).splitlines()[1:]
    assert first.startswith(f"audit_auditentry of tenant {rival.pk}: other contents in ")
    assert second.startswith("newest audit entry: ")


def test_a_digest_depends_on_every_value_and_on_no_order(demo: Tenant) -> None:
    def digest(values: list[int]) -> str:
        with archive.session(archive._ours()) as session:
            session.execute("CREATE TABLE scratch (tenant_id bigint, value int)")
            session.cursor().executemany("INSERT INTO scratch VALUES (7, %s)", [[value] for value in values])
            contents = contents_of(session)
            session.rollback()
        (rows,) = (rows for rows in contents["tables"] if rows["table"] == "scratch")
        assert (rows["tenant"], rows["rows"]) == (7, len(values))
        return rows["digest"]

    assert digest([1, 2, 3]) == digest([3, 1, 2])
    assert digest([1, 2, 3]) != digest([1, 2, 4])


def test_a_backup_without_its_description_is_none(folder: Path, rows: list[Any]) -> None:
    made = backup(folder)
    made.with_suffix(".json").unlink()
    assert "can't be read" in refused(made)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b'{"sha256": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 12: invalid start byte"),
        (b"[" * 100_000, "maximum recursion depth exceeded"),
        (b"[]", "it does not say what the backup holds"),
        (b"{}", "it does not say what the backup holds"),
        (b'{"sha256": "x", "contents": []}', "it does not say what the backup holds"),
        (
            b'{"sha256": "x", "contents": {"tables": [null], "newest_audit_entry": null}}',
            "it does not say what the backup holds",
        ),
    ],
)
def test_a_damaged_description_is_told(folder: Path, held: bytes, reason: str) -> None:
    folder.mkdir()
    made = folder / f"{archive.PREFIX}made{archive.DUMP}"
    made.write_bytes(b"a dump")
    made.with_suffix(".json").write_bytes(held)
    assert refused(made).startswith(f"{made.with_suffix('.json')} is damaged: {reason}")


PLACES: Final = (
    *((), ("sha256",), ("contents",), ("contents", "tables"), ("contents", "tables", 0)),
    *(("contents", "tables", 0, name) for name in ("table", "tenant", "rows", "digest")),
    *(("contents", "newest_audit_entry"), ("contents", "newest_audit_entry", "id")),
)
JSON: Final = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(),
    lambda inner: strategies.lists(inner, max_size=2) | strategies.dictionaries(strategies.text(), inner, max_size=2),
    max_leaves=4,
)


@given(place=strategies.sampled_from(PLACES), value=JSON | strategies.just(GONE))
def test_whatever_stands_in_a_description_it_is_refused_or_can_be_compared(place: tuple[Any, ...], value: Any) -> None:
    rows = {"table": "tasks_task", "tenant": 1, "rows": 2, "digest": "3"}
    good = {"tables": [rows], "newest_audit_entry": {"id": 1, "at": "2026-01-01"}}
    told: Any = {"told": {"sha256": hashlib.sha256(b"a dump").hexdigest(), "contents": deepcopy(good)}}
    *path, last = ("told", *place)
    holder = reduce(operator.getitem, path, told)
    holder[last] = value
    if value is GONE:
        del holder[last]
    with TemporaryDirectory() as folder:
        made = Path(folder) / "made.dump"
        made.write_bytes(b"a dump")
        made.with_suffix(".json").write_text(json.dumps(told.get("told")))
        with suppress(archive.BackupError):
            assert all(isinstance(line, str) for line in differences(archive._checked(made), cast("Contents", good)))


def test_a_path_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    assert "File name too long" in refused(tmp_path / ("x" * 300))


def test_the_newest_are_kept(folder: Path, rows: list[Any]) -> None:
    made = [backup(folder, keep=2) for _ in range(3)]
    assert archive.all_in(folder) == made[1:]
    assert len([*folder.iterdir()]) == 4


def test_what_killed_backups_left_goes_once_it_is_a_day_old(folder: Path, rows: list[Any]) -> None:
    folder.mkdir()
    left = [folder / f"{archive.PREFIX}{day}{kind}" for day in ("old", "new") for kind in (".part", ".json")]
    for file in left:
        file.write_text("half of it")
    for file in left[:2]:
        os.utime(file, (time.time() - 90_000,) * 2)
    made = backup(folder, keep=2)
    assert {*folder.iterdir()} == {made, made.with_suffix(".json"), *left[2:]}


def test_whoever_is_stopped_while_restoring_leaves_no_copy(
    folder: Path, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, before, ending = backup(folder), databases(), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(archive, "_fill", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        restore(made)
    assert (databases(), signal.getsignal(signal.SIGTERM)) == (before, ending)


def test_a_backup_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(CommandError, match=r"There is no pg_dump: install PostgreSQL's client programs"):
        backup(folder)
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("keep", [0, -1])
def test_to_keep_none_is_refused(folder: Path, keep: int) -> None:
    with pytest.raises(CommandError, match=f"--keep is {keep}: choose 1 or more"):
        backup(folder, keep=keep)


def test_an_empty_folder_is_told(folder: Path) -> None:
    folder.mkdir()
    assert refused(folder) == f"There is no backup in {folder}."


def test_a_server_that_is_away_is_told_in_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_ours", lambda: "host=127.0.0.1 port=1 dbname=workgraph")
    with pytest.raises(CommandError, match=r"^PostgreSQL can't be reached: .*Connection refused"):
        backup(folder)
    assert [*folder.iterdir()] == []


def test_a_name_is_just_a_name(folder: Path, rows: list[Any]) -> None:
    name = f"""{connection.settings_dict["NAME"]}"; DROP TABLE 'x'; --"""
    try:
        restore(backup(folder), into=name)
        assert name in databases()
    finally:
        archive.drop(name)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM accounts_tenant"))
        assert cursor.fetchone() == (2,)
