import csv
import io
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Tenant
from apps.assets.models import Asset, Site
from apps.work_orders.importing import batches
from apps.work_orders.importing.rows import Row
from apps.work_orders.importing.table import LONGEST_LINE
from apps.work_orders.management.commands import import_work_orders
from apps.work_orders.models import WorkOrder
from tests import factories

HEADER = "external_id,site_code,asset_code,title\n"
WIDE = "external_id,site_code,asset_code,title,description,priority,due_at\n"


class Answer(NamedTuple):
    code: int
    summary: str
    complaints: list[str]
    error: str


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def run(owner: Tenant, file: Path | str, text: str | bytes | None = None, **options: Any) -> Answer:
    if text is not None:
        Path(file).write_bytes(text.encode() if isinstance(text, str) else text)
    out, err, code, message = io.StringIO(), io.StringIO(), 0, ""
    try:
        call_command("import_work_orders", str(file), tenant=owner.slug, stdout=out, stderr=err, **options)
    except CommandError as error:
        code, message = error.returncode, str(error)
    return Answer(code, out.getvalue().rpartition(";")[0], err.getvalue().splitlines(), message)


def orders(owner: Tenant) -> list[WorkOrder]:
    return list(WorkOrder.unscoped.filter(tenant=owner).select_related("site", "asset").order_by("serial"))


def counts(read: int, imported: int, known: int = 0, rejected: int = 0, sites: int = 0, assets: int = 0) -> str:
    return (
        f"{read:,} rows read: {imported:,} imported, {known:,} already there, {rejected:,} rejected; "
        f"{sites:,} sites and {assets:,} assets created"
    )


def missing(columns: str, header: str) -> str:
    return f"Line 1: needed columns are missing: {columns}. The header reads: {header}"


def table(first: int, last: int) -> str:
    rows = (f"E{number},S{number % 3},A{number % 30},Check pump {number}\n" for number in range(first, last + 1))
    return "".join(rows)


def test_rows_become_drafts_numbered_in_the_order_of_the_file(demo: Tenant, file: Path) -> None:
    answer = run(demo, file, HEADER + "X-2,MINE,PH639,RECTIFY STEERING FAULT\nX-1,MINE,,Sweep the yard\n")
    assert answer == Answer(0, counts(2, 2, sites=1, assets=1), [], "")
    first, second = orders(demo)
    assert (first.number, first.external_id, first.title) == ("WO-000001", "X-2", "RECTIFY STEERING FAULT")
    assert (first.status, first.priority, first.version, first.description) == ("DRAFT", "MEDIUM", 1, "")
    assert (first.requested_by, first.assignee, first.due_at, first.started_at) == (None, None, None, None)
    assert (second.number, second.external_id, second.asset) == ("WO-000002", "X-1", None)


def test_missing_sites_and_assets_are_created_under_their_codes(demo: Tenant, file: Path) -> None:
    here = factories.site(demo, code="HERE", name="The old works")
    pump = factories.asset(demo, code="P1", name="Feed pump", site=here)
    answer = run(demo, file, HEADER + "1,HERE,P1,a\n2,HERE,P2,b\n3,THERE,P3,c\n4,THERE,P3,d\n")
    assert answer.summary == counts(4, 4, sites=1, assets=2)
    there, second, third = Site.unscoped.get(code="THERE"), Asset.unscoped.get(code="P2"), Asset.unscoped.get(code="P3")
    assert (there.name, there.timezone, there.version, there.tenant) == ("THERE", "UTC", 1, demo)
    assert (second.name, second.site, second.status, second.version) == ("P2", here, "OPERATIONAL", 1)
    assert (third.name, third.site) == ("P3", there)
    assert [order.asset for order in orders(demo)] == [pump, second, third, third]
    assert [order.site for order in orders(demo)] == [here, here, there, there]


def test_a_second_run_changes_nothing(demo: Tenant, file: Path) -> None:
    run(demo, file, HEADER + table(1, 40))
    before = list(WorkOrder.unscoped.order_by("id").values())
    assert run(demo, file) == Answer(0, counts(40, 0, known=40), [], "")
    assert list(WorkOrder.unscoped.order_by("id").values()) == before


def test_what_people_changed_is_not_overwritten(demo: Tenant, file: Path) -> None:
    run(demo, file, HEADER + "1,MINE,P1,Check pump\n")
    order = orders(demo)[0]
    order.title = "Check pump and coupling"
    order.save()
    answer = run(demo, file, HEADER + "1,OTHER,P9,Check motor\n2,MINE,P1,Grease pump\n")
    assert answer == Answer(0, counts(2, 1, known=1), [], "")
    assert [(order.title, order.version, order.number) for order in orders(demo)] == [
        ("Check pump and coupling", 2, "WO-000001"),
        ("Grease pump", 1, "WO-000002"),
    ]


def test_the_next_order_gets_the_next_number(demo: Tenant, file: Path) -> None:
    run(demo, file, HEADER + table(1, 7))
    assert factories.work_order(demo).number == "WO-000008"


def test_tenants_do_not_meet(demo: Tenant, rival: Tenant, file: Path) -> None:
    run(rival, file, HEADER + "1,MINE,P1,Theirs\n")
    assert run(demo, file, HEADER + "1,MINE,P1,Ours\n") == Answer(0, counts(1, 1, sites=1, assets=1), [], "")
    assert [order.title for order in orders(rival)] == ["Theirs"]
    ours = orders(demo)[0]
    assert (ours.number, ours.site and ours.site.tenant, ours.asset and ours.asset.tenant) == ("WO-000001", demo, demo)


def test_columns_come_in_any_order_and_unknown_ones_are_named_once(demo: Tenant, file: Path) -> None:
    text = (
        "Title , cost,SITE_CODE,external_id,asset_code,colour\nCheck pump,5,MINE,1,P1,red\nOil pump,7,MINE,2,P1,red\n"
    )
    assert run(demo, file, text) == Answer(0, counts(2, 2, sites=1, assets=1), ["Ignored columns: cost, colour"], "")
    assert [order.title for order in orders(demo)] == ["Check pump", "Oil pump"]


def test_marks_line_ends_quotes_and_blank_lines_are_understood(demo: Tenant, file: Path) -> None:
    header = '\ufeff"external_id",site_code,asset_code,title,description\r\n'
    text = header + '1,MINE,P1,"Seal, 3"" pipe","One\r\ntwo"\r\n\r\n,,,,\r\n'
    assert run(demo, file, text + "2,MINE,P1, Größe prüfen ") == Answer(0, counts(2, 2, sites=1, assets=1), [], "")
    first, second = orders(demo)
    assert (first.title, first.description, second.title) == ('Seal, 3" pipe', "One\r\ntwo", "Größe prüfen")


@pytest.mark.parametrize(
    ("written", "priority"), [("", "MEDIUM"), ("HIGH", "HIGH"), ("critical", "CRITICAL"), (" Low ", "LOW")]
)
def test_priorities_are_read_in_any_case(demo: Tenant, file: Path, written: str, priority: str) -> None:
    run(demo, file, f"{WIDE}1,MINE,P1,Check pump,,{written},\n")
    assert orders(demo)[0].priority == priority


@pytest.mark.parametrize(
    ("written", "due"),
    [
        ("", None),
        ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T14:30", datetime(2026, 12, 1, 14, 30, tzinfo=UTC)),
        ("2026-12-01 14:30:15Z", datetime(2026, 12, 1, 14, 30, 15, tzinfo=UTC)),
        ("2026-12-01T14:30:00+05:45", datetime(2026, 12, 1, 8, 45, tzinfo=UTC)),
    ],
)
def test_due_dates_are_iso_8601_in_utc_unless_they_say_otherwise(
    demo: Tenant, file: Path, written: str, due: datetime | None
) -> None:
    run(demo, file, f"{WIDE}1,MINE,P1,Check pump,,,{written}\n")
    assert orders(demo)[0].due_at == due


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",MINE,P1,Check pump", "external_id is empty"),
        ("1, ,P1,Check pump", "site_code is empty"),
        ("1,MINE,P1,", "title is empty"),
        ("1,MINE", "title is empty"),
        ("1,MINE,P1,\u00a0\u2003", "title is empty"),
        (f"1,MINE,P1,{'x' * 201}", "title has 201 characters; 200 is the most"),
        (f"{'1' * 101},MINE,P1,x", "external_id has 101 characters; 100 is the most"),
        (f"1,{'M' * 41},P1,x", "site_code has 41 characters; 40 is the most"),
        (f"1,MINE,{'P' * 41},x", "asset_code has 41 characters; 40 is the most"),
        ("1,MINE,P1,a\0b", "title holds a NUL character"),
        ("1,MINE,P1,x,,URGENT", "priority URGENT is unknown; write LOW, MEDIUM, HIGH, CRITICAL or nothing"),
        ("1,MINE,P1,x,,,soon", "due_at soon is no date; write 2026-11-23 or 2026-11-23T14:30:00+01:00"),
        ("1,MINE,P1,x,,,2026-02-30", "due_at 2026-02-30 is no date; write 2026-11-23 or 2026-11-23T14:30:00+01:00"),
        (
            "1,MINE,P1,x,,,0001-01-01T00:00+14:00",
            "due_at 0001-01-01T00:00+14:00 is no date; write 2026-11-23 or 2026-11-23T14:30:00+01:00",
        ),
        ("1,MINE,P1,Seal, 3 inch,,,", "there are 8 values under 7 columns; put values with commas in quotes"),
        ('1,MINE,P1,"3" pipe', 'there is text after a closing quote; write a quote inside a quoted value twice: ""'),
        (
            ",MINE,P1,Check pump,,never",
            "external_id is empty; priority never is unknown; write LOW, MEDIUM, HIGH, CRITICAL or nothing",
        ),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_others_are_imported(
    demo: Tenant, file: Path, row: str, reason: str
) -> None:
    text = f'{WIDE}8,MINE,P1,"Check\npump"\n{row}\n9,MINE,P1,Oil pump\n'
    answer = run(demo, file, text)
    assert answer.complaints == [f"line 4: {reason}"]
    assert (answer.code, answer.summary) == (1, counts(3, 2, rejected=1, sites=1, assets=1))
    assert answer.error == "Rows rejected: 1; see above."
    assert [order.external_id for order in orders(demo)] == ["8", "9"]


def test_a_latin_1_row_is_rejected_and_ascii_rows_are_imported(demo: Tenant, file: Path) -> None:
    answer = run(demo, file, (HEADER + "1,MINE,P1,Größe prüfen\n2,MINE,P1,Check pump\n").encode("latin-1"))
    assert answer.complaints == ["line 2: title is not UTF-8; save the file as UTF-8"]
    assert [order.external_id for order in orders(demo)] == ["2"]


def test_a_quote_that_is_never_closed_takes_the_rest_and_says_so(demo: Tenant, file: Path) -> None:
    answer = run(demo, file, HEADER + '1,MINE,P1,Check pump\n2,MINE,P1,"Oil pump\n3,MINE,P1,Stop pump\n')
    assert answer.complaints == ["line 3: a quoted value has no end; lines 3 to 4 were skipped"]
    assert answer.summary == counts(2, 1, rejected=1, sites=1, assets=1)


def test_reading_goes_on_behind_a_quoted_value_of_endless_length(demo: Tenant, file: Path) -> None:
    swallowed = "x" * 99 + "\n"
    answer = run(demo, file, HEADER + '1,MINE,P1,"Oil pump\n' + swallowed * 1400 + "2,MINE,P1,Check pump\n")
    assert answer.complaints[0] == "line 2: a quoted value has no end; lines 2 to 1313 were skipped"
    assert [order.external_id for order in orders(demo)] == ["2"]


@pytest.mark.parametrize("batch", [2, 5000])
def test_an_external_id_that_comes_twice_counts_once(
    demo: Tenant, file: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(import_work_orders, "BATCH", batch)
    text = (
        HEADER
        + "1,MINE,P1,Check pump\n2,MINE,P1,Oil pump\n1,MINE,P1,Check pump\n3,MINE,P1,Stop pump\n1,MINE,P1,Again\n"
    )
    answer = run(demo, file, text)
    assert answer.complaints == [
        "line 4: external_id 1 is already on line 2",
        "line 6: external_id 1 is already on line 2",
    ]
    assert answer.summary == counts(5, 3, rejected=2, sites=1, assets=1)
    assert [order.title for order in orders(demo)] == ["Check pump", "Oil pump", "Stop pump"]


def test_a_rejected_row_does_not_keep_its_external_id_from_a_good_one(demo: Tenant, file: Path) -> None:
    answer = run(demo, file, HEADER + "1,MINE,P1,\n1,MINE,P1,Check pump\n")
    assert answer.complaints == ["line 2: title is empty"]
    assert [order.title for order in orders(demo)] == ["Check pump"]


def test_an_asset_stays_on_its_site(demo: Tenant, file: Path) -> None:
    factories.asset(demo, code="P1", site=factories.site(demo, code="HERE"))
    answer = run(demo, file, HEADER + "1,THERE,P1,Check pump\n2,HERE,P1,Oil pump\n")
    assert answer.complaints == ["line 2: asset P1 stands on site HERE, not on THERE"]
    assert answer.summary == counts(2, 1, rejected=1)
    assert not Site.unscoped.filter(code="THERE").exists()


def test_a_file_can_not_put_a_new_asset_on_two_sites(demo: Tenant, file: Path) -> None:
    answer = run(demo, file, HEADER + "1,HERE,P1,Check pump\n2,THERE,P1,Oil pump\n3,THERE,P2,Stop pump\n")
    assert answer.complaints == ["line 3: asset P1 stands on site HERE, says line 2, not on THERE"]
    assert answer.summary == counts(3, 2, rejected=1, sites=2, assets=2)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"", "Line 1: there is no header. The first line names the columns."),
        (b"\n1,2,3,4\n", "Line 1: there is no header. The first line names the columns."),
        (
            b"external_id;site_code;asset_code;title\n",
            missing("external_id, site_code, asset_code, title", "external_id;site_code;asset_code;title"),
        ),
        (
            b"external_id,site_code,title\n1,2,3\n",
            missing("asset_code", "external_id, site_code, title"),
        ),
        (b"external_id,site_code,asset_code,title,Title\n", "Line 1: columns are there more than once: title."),
        (HEADER.encode("utf-16"), "Line 1: the file is in UTF-16. Save it as UTF-8."),
        (b'"external_id,site_code\n', "Line 1: the header can't be read (unexpected end of data). Is this a CSV file?"),
        (b"x" * (LONGEST_LINE + 1), "Line 1 is longer than 1,048,576 bytes. Is this a CSV file?"),
        (
            b"gr\xf6\xdfe,title,site_code,asset_code\n",
            missing("external_id", "gr\\udcf6\\udcdfe, title, site_code, asset_code"),
        ),
    ],
)
def test_a_file_that_is_no_table_of_work_orders_is_refused(demo: Tenant, file: Path, text: bytes, error: str) -> None:
    assert run(demo, file, text) == Answer(2, "", [], error)
    assert WorkOrder.unscoped.count() == 0


def test_an_endless_line_ends_the_import_and_what_came_before_stays(
    demo: Tenant, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_work_orders, "BATCH", 2)
    answer = run(demo, file, HEADER + table(1, 2) + "x" * (LONGEST_LINE + 1))
    assert (answer.code, answer.error) == (2, "Line 4 is longer than 1,048,576 bytes. Is this a CSV file?")
    assert answer.summary == counts(2, 2, sites=2, assets=2)


def test_a_header_alone_imports_nothing(demo: Tenant, file: Path) -> None:
    assert run(demo, file, HEADER) == Answer(0, counts(0, 0), [], "")


def test_an_unknown_tenant_is_answered_with_those_there_are(demo: Tenant, rival: Tenant, file: Path) -> None:
    answer = run(Tenant(slug="demmo"), file, HEADER)
    assert (answer.code, answer.error) == (2, f"There is no tenant demmo. There are: {demo.slug}, {rival.slug}.")


@pytest.mark.parametrize(("name", "reason"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_can_not_be_opened_is_one_clear_line(demo: Tenant, tmp_path: Path, name: str, reason: str) -> None:
    assert run(demo, tmp_path / name) == Answer(2, "", [], f"{tmp_path / name}: {reason}.")


def test_standard_input_is_read_for_a_dash(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((HEADER + table(1, 3)).encode())))
    assert run(demo, "-").summary == counts(3, 3, sites=3, assets=3)


def test_rejected_rows_are_kept_to_be_mended_and_imported(demo: Tenant, file: Path, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    text = HEADER + '1,MINE,P1,Check pump\n2,MINE,,\n1,MINE,P1,"Oil, pump"\n4,MINE,"P1"x,y\n'
    assert run(demo, file, text, rejects=rejects).code == 1
    with rejects.open(newline="") as kept:
        assert list(csv.reader(kept)) == [
            ["external_id", "site_code", "asset_code", "title", "line", "reason"],
            ["2", "MINE", "", "", "3", "title is empty"],
            ["1", "MINE", "P1", "Oil, pump", "4", "external_id 1 is already on line 2"],
            ["", "", "", "", "5", 'there is text after a closing quote; write a quote inside a quoted value twice: ""'],
        ]
    mended = rejects.read_text().replace("2,MINE,,,", "2,MINE,,Sweep,").replace("1,MINE", "3,MINE")
    answer = run(demo, file, mended)
    assert answer.complaints[0] == "Ignored columns: line, reason"
    assert answer.summary == counts(3, 2, rejected=1)
    assert [order.title for order in orders(demo)] == ["Check pump", "Sweep", "Oil, pump"]


def test_rejected_rows_are_not_written_over_the_file(demo: Tenant, file: Path) -> None:
    answer = run(demo, file, HEADER + table(1, 2), rejects=file)
    assert (answer.code, answer.error) == (2, "The rejected rows can't be written over the file itself.")
    assert file.read_text() == HEADER + table(1, 2)


def test_the_number_of_statements_does_not_grow_with_the_rows(demo: Tenant, file: Path) -> None:
    taken = []
    for first, last in ((1, 60), (61, 1000)):
        with CaptureQueriesContext(connection) as queries:
            run(demo, file, HEADER + table(first, last))
        taken.append(len(queries))
    creation = ("INSERT", "SELECT what was inserted", "INSERT its audit entries", "INSERT its search documents")
    kinds = ("sites", "assets")  # the second file names no new ones
    assert taken[0] - taken[1] == len(kinds) * len(creation)


@pytest.mark.django_db(transaction=True)
def test_an_import_that_failed_is_completed_by_running_it_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = factories.tenant()
    monkeypatch.setattr(import_work_orders, "BATCH", 10)
    turns = iter([batches.write, batches.write])

    def write_then_interrupt(owner_id: int, rows: Sequence[Row]) -> batches.Outcome:
        for write in turns:
            return write(owner_id, rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(import_work_orders, "write", write_then_interrupt)
        answer = run(demo, file, HEADER + table(1, 35))
    assert (answer.code, answer.error) == (130, "Stopped. Run it again to import the rest.")
    assert answer.summary == counts(20, 20, sites=3, assets=20)
    assert run(demo, file) == Answer(0, counts(35, 15, known=20, assets=10), [], "")
    assert [order.serial for order in orders(demo)] == list(range(1, 36))


@pytest.mark.django_db(transaction=True)
def test_a_killed_import_is_completed_by_running_it_again(file: Path) -> None:
    demo = factories.tenant()
    text = HEADER + table(1, 7_000)
    command = [sys.executable, "manage.py", "import_work_orders", "-", "--tenant", demo.slug]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment()) as process:  # noqa: S603 (our own command)
        assert process.stdin
        process.stdin.write(text.encode())
        process.stdin.flush()
        wait_for_orders(5_000)
        process.kill()
    assert WorkOrder.unscoped.count() == 5_000
    assert run(demo, file, text).summary == counts(7_000, 2_000, known=5_000)
    assert [order.serial for order in orders(demo)] == list(range(1, 7_001))


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_import_each_order_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = factories.tenant()
    monkeypatch.setattr(import_work_orders, "BATCH", 50)
    rows = table(1, 600).splitlines(keepends=True)
    texts = [HEADER + "".join(rows), HEADER + "".join(reversed(rows))]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: run_in_thread(demo, tmp_path / str(each), texts[each]), (0, 1)))
    assert [answer.code for answer in answers] == [0, 0]
    assert [order.serial for order in orders(demo)] == list(range(1, 601))
    assert sorted(int(str(order.external_id)[1:]) for order in orders(demo)) == list(range(1, 601))
    assert (Site.unscoped.count(), Asset.unscoped.count()) == (3, 30)
    words = [answer.summary.replace(",", "").split() for answer in answers]
    assert sum(int(each[3]) for each in words) == 600
    assert sum(int(each[5]) for each in words) == 600


def run_in_thread(owner: Tenant, file: Path, text: str) -> Answer:
    try:
        return run(owner, file, text)
    finally:
        connection.close()


def wait_for_orders(count: int) -> None:
    deadline = time.monotonic() + 60
    while WorkOrder.unscoped.count() < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def environment() -> dict[str, str]:
    name = connection.settings_dict
    user = quote(name["USER"], safe="") + (f":{quote(name['PASSWORD'], safe='')}" if name["PASSWORD"] else "")
    host = quote(name["HOST"], safe="") + (f":{name['PORT']}" if name["PORT"] else "")
    return {
        **os.environ,
        "DATABASE_URL": f"postgresql://{user}@{host}/{name['NAME']}",
        "REDIS_URL": str(settings.CACHES["default"]["LOCATION"]),
        "SECRET_KEY": "test",
        "ALLOWED_HOSTS": "localhost",
    }
