"""Synonyms: what a tenant's words mean, who says so, and what a search finds by them."""

import io
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from apps.accounts.models import Tenant, User
from apps.accounts.roles import Role
from apps.accounts.tenancy import tenant_scope
from apps.audit.models import AuditEntry
from apps.search import services
from apps.search.management.commands import import_synonyms
from apps.search.models import Synonym
from apps.search.services import Hit, Question, search
from apps.search.synonyms import BUILT_IN, NONE, Pair, Synonyms, built_in, phrase, synonyms_of
from tests import factories
from tests.graphql import data
from tests.pages import open_form

LIST = "/admin/search/synonym/"
ADD = f"{LIST}add/"
HEADER = "term,meaning\n"
NO_WORD = "there is neither a letter nor a digit in it."


def page(synonym: Synonym, action: str = "change") -> str:
    return f"{LIST}{synonym.pk}/{action}/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def state_of(owner_id: int) -> str:
    """Return the state of a tenant's synonyms."""
    return services.state_of(owner_id)[2]


@pytest.fixture
def boss(demo: Tenant) -> User:
    return factories.user(demo, Role.ADMIN, name="Boss")


@pytest.fixture
def desk(boss: User) -> Client:
    """Return the browser of an ADMIN of the demo tenant."""
    return signed_in(boss)


@pytest.fixture
def console(rival: Tenant) -> Client:
    """Return the browser of an operator, whose own tenant is the rival."""
    return signed_in(factories.user(rival, Role.ADMIN, is_superuser=True))


def synonym(owner: Tenant, term: str, meaning: str = "") -> Synonym:
    row: Synonym = Synonym.unscoped.create(tenant=owner, term=term, meaning=meaning)
    return row


def too_long(most: int) -> str:
    return f"Ensure this value has at most {most} characters (it has {most + 1})."


def pairs(owner: Tenant) -> list[Pair]:
    rows = Synonym.unscoped.filter(tenant=owner).order_by("term", "meaning")
    return [(row.term, row.meaning) for row in rows]


def entries(owner: Tenant) -> list[AuditEntry]:
    return list(AuditEntry.unscoped.filter(tenant=owner, entity_kind="Synonym").order_by("id"))


# The pages


def test_an_admin_adds_changes_and_deletes_a_synonym(desk: Client, demo: Tenant) -> None:
    form = open_form(desk, ADD)
    assert desk.post(ADD, form | {"term": "p&id", "meaning": "piping diagram"}).status_code == 302
    row = Synonym.unscoped.get()
    assert (row.tenant, row.term, row.meaning, row.version) == (demo, "p&id", "piping diagram", 1)
    form = open_form(desk, page(row)) | {"meaning": "drawing"}
    assert desk.post(page(row), form).status_code == 302
    row = Synonym.unscoped.get()
    assert (row.meaning, row.version) == ("drawing", 2)
    assert desk.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert not Synonym.unscoped.exists()


def test_a_term_may_mean_nothing(desk: Client, demo: Tenant) -> None:
    assert desk.post(ADD, open_form(desk, ADD) | {"term": "vlv", "meaning": ""}).status_code == 302
    assert pairs(demo) == [("vlv", "")]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("term", "--", f"Write a word: {NO_WORD}"),
        ("term", " ", "This field is required."),
        ("term", "x" * 41, too_long(40)),
        ("meaning", "?!", f"Write a word, or nothing: {NO_WORD}"),
        ("meaning", "x" * 81, too_long(80)),
    ],
)
def test_what_can_not_be_a_synonym_is_refused_in_words(
    desk: Client, demo: Tenant, field: str, value: str, words: str
) -> None:
    answer = desk.post(ADD, open_form(desk, ADD) | {"term": "vlv", "meaning": "valve", field: value})
    assert (answer.status_code, words in answer.text) == (200, True)
    row = synonym(demo, "vlv", "valve")
    answer = desk.post(page(row), open_form(desk, page(row)) | {field: value})
    assert (answer.status_code, words in answer.text) == (200, True)
    assert (pairs(demo), len(entries(demo))) == ([("vlv", "valve")], 1)


def test_the_same_synonym_is_not_added_twice(desk: Client, demo: Tenant, rival: Tenant) -> None:
    synonym(demo, "vlv", "valve")
    synonym(rival, "vlv", "tap")
    form = open_form(desk, ADD) | {"term": "vlv"}
    answer = desk.post(ADD, form | {"meaning": "valve"})
    assert (answer.status_code, "already exists" in answer.text) == (200, True)
    assert desk.post(ADD, form | {"meaning": "tap"}).status_code == 302
    assert pairs(demo) == [("vlv", "tap"), ("vlv", "valve")]


@pytest.mark.parametrize(
    ("term", "meaning", "fields"),
    [
        ("--", "?!", {"term", "meaning"}),
        ("  ", "valve", {"term"}),
        ("", "valve", {"term"}),
        ("--", "  ", {"term"}),
    ],
)
def test_a_synonym_without_a_word_is_not_clean(demo: Tenant, term: str, meaning: str, fields: set[str]) -> None:
    with tenant_scope(demo.pk), pytest.raises(ValidationError) as refused:
        Synonym(tenant=demo, term=term, meaning=meaning).full_clean()
    assert set(refused.value.message_dict) == fields
    assert {len(messages) for messages in refused.value.message_dict.values()} == {1}


def test_a_search_finds_by_term_and_by_meaning(desk: Client, demo: Tenant) -> None:
    first, second = synonym(demo, "gnd", "ground"), synonym(demo, "grounded", "earthed")
    third = synonym(demo, "lube", "lubricate")
    for text, found in (("GROUND", {first, second}), ("lub", {third}), ("", {first, second, third})):
        shown = desk.get(LIST, {"q": text}).text
        assert {row for row in (first, second, third) if page(row) in shown} == found, text


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TECHNICIAN, Role.SUPERVISOR])
def test_others_than_admins_neither_read_nor_change_synonyms(demo: Tenant, role: Role) -> None:
    row, client = synonym(demo, "vlv", "valve"), signed_in(factories.user(demo, role))
    assert [client.get(path).status_code for path in (LIST, ADD, page(row))] == [302, 302, 302]
    assert client.post(ADD, {"term": "x", "meaning": "y"}).status_code == 302
    assert client.post(page(row, "delete"), {"post": "yes"}).status_code == 302
    assert pairs(demo) == [("vlv", "valve")]


def test_the_synonyms_of_another_tenant_are_out_of_sight_and_reach(desk: Client, rival: Tenant) -> None:
    theirs = synonym(rival, "zebra", "stripes")
    for query in ("", "?q=zebra", f"?tenant__id__exact={rival.pk}"):
        shown = desk.get(LIST + query, follow=True)
        assert (shown.status_code, "stripes" in shown.text) == (200, False), query
    for action in ("change", "history", "delete"):
        assert desk.get(page(theirs, action)).headers["Location"] == "/admin/"
    assert desk.post(page(theirs), {"term": "horse", "meaning": "", "version": "1"}).status_code == 302
    assert desk.post(page(theirs, "delete"), {"post": "yes"}).status_code == 302
    assert pairs(rival) == [("zebra", "stripes")]


def test_an_admins_new_synonym_is_their_tenants_whatever_the_form_says(
    desk: Client, demo: Tenant, rival: Tenant
) -> None:
    forged = {"term": "vlv", "meaning": "valve", "of_tenant": str(rival.pk), "tenant": str(rival.pk)}
    assert desk.post(ADD, open_form(desk, ADD) | forged).status_code == 302
    assert (pairs(demo), pairs(rival)) == ([("vlv", "valve")], [])


def test_an_operator_sees_the_synonyms_of_all_and_chooses_whose_a_new_one_is(
    console: Client, demo: Tenant, rival: Tenant
) -> None:
    ours, theirs = synonym(demo, "vlv", "valve"), synonym(rival, "zebra", "stripes")
    shown = console.get(LIST).text
    assert page(ours) in shown
    assert page(theirs) in shown
    assert f'<td class="field-tenant nowrap">{demo.name}</td>' in shown
    form = open_form(console, ADD) | {"term": "gnd", "meaning": "ground"}
    refused = console.post(ADD, form)
    assert (refused.status_code, "This field is required." in refused.text) == (200, True)
    assert console.post(ADD, form | {"of_tenant": str(demo.pk)}).status_code == 302
    assert pairs(demo) == [("gnd", "ground"), ("vlv", "valve")]


# The audit trail


def test_whatever_is_done_to_a_synonym_leaves_an_entry(desk: Client, demo: Tenant, boss: User) -> None:
    desk.post(ADD, open_form(desk, ADD) | {"term": "vlv", "meaning": "valve"})
    row = Synonym.unscoped.get()
    desk.post(page(row), open_form(desk, page(row)) | {"meaning": "tap"})
    desk.post(page(row, "delete"), {"post": "yes"})
    created, changed, deleted = entries(demo)
    assert {(entry.entity_id, entry.actor_id, entry.source) for entry in entries(demo)} == {(row.pk, boss.pk, "admin")}
    assert [(entry.action, entry.entity_version) for entry in entries(demo)] == [
        ("CREATE", 1),
        ("UPDATE", 2),
        ("DELETE", 2),
    ]
    assert created.changes == [
        {"field": "term", "before": None, "after": "vlv"},
        {"field": "meaning", "before": None, "after": "valve"},
    ]
    assert changed.changes == [{"field": "meaning", "before": "valve", "after": "tap"}]
    assert deleted.changes == [
        {"field": "term", "before": "vlv", "after": None},
        {"field": "meaning", "before": "tap", "after": None},
    ]


def test_the_audit_log_tells_of_synonyms_which_are_no_nodes(demo: Tenant, rival: Tenant, boss: User) -> None:
    row = synonym(demo, "vlv", "valve")
    synonym(rival, "zebra", "stripes")
    site = factories.site(demo)
    document = """{ auditLog { edges { node {
        action entity { __typename id } changes { field before after } } } } }"""
    read = [edge["node"] for edge in data(boss, document)["auditLog"]["edges"]]
    assert [node for node in read if {"field": "meaning", "before": None, "after": "valve"} in node["changes"]] == [
        {
            "action": "CREATE",
            "entity": None,
            "changes": [
                {"field": "term", "before": None, "after": row.term},
                {"field": "meaning", "before": None, "after": row.meaning},
            ],
        }
    ]
    assert "stripes" not in str(read)
    newest = read[0]["entity"]
    assert newest
    assert newest["__typename"] == type(site).__name__


# The command


class Answer(NamedTuple):
    code: int
    summary: str
    complaints: list[str]
    error: str


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "synonyms.csv"


def run(slug: str, file: Path | str, text: str | bytes | None = None) -> Answer:
    if text is not None:
        Path(file).write_bytes(text.encode() if isinstance(text, str) else text)
    out, err, code, message = io.StringIO(), io.StringIO(), 0, ""
    try:
        call_command("import_synonyms", str(file), tenant=slug, stdout=out, stderr=err)
    except CommandError as error:
        code, message = error.returncode, str(error)
    return Answer(code, out.getvalue().strip(), err.getvalue().splitlines(), message)


def counts(added: int, known: int = 0, rejected: int = 0) -> str:
    return f"{added:,} added, {known:,} known, {rejected:,} rejected"


def test_rows_become_synonyms_of_the_tenant_alone(demo: Tenant, rival: Tenant, file: Path) -> None:
    text = HEADER + 'gnd,ground\ngnd,"earth, protective"\n\n ,\nvlv,\n'
    assert run(demo.slug, file, text) == Answer(0, counts(3), [], "")
    assert pairs(demo) == [("gnd", "earth, protective"), ("gnd", "ground"), ("vlv", "")]
    assert {row.version for row in Synonym.unscoped.all()} == {1}
    assert pairs(rival) == []


def test_a_second_run_adds_nothing(demo: Tenant, rival: Tenant, file: Path) -> None:
    text = HEADER + "gnd,ground\nvlv,\n"
    run(demo.slug, file, text)
    before = list(Synonym.unscoped.order_by("id").values())
    assert run(demo.slug, file) == Answer(0, counts(0, known=2), [], "")
    assert list(Synonym.unscoped.order_by("id").values()) == before
    assert len(entries(demo)) == 2
    assert run(rival.slug, file) == Answer(0, counts(2), [], "")
    assert run(demo.slug, file, text + "gnd,earth\n") == Answer(0, counts(1, known=2), [], "")


def test_a_row_that_says_the_same_word_for_word_is_known(demo: Tenant, file: Path) -> None:
    synonym(demo, "A/C", "air conditioner")
    text = HEADER + "a/c,Air  Conditioner\nac,air-conditioner\ngnd,ground\ngnd,ground\nGND,Ground\na/c,\n"
    assert run(demo.slug, file, text) == Answer(0, counts(2, known=4), [], "")
    assert pairs(demo) == [("A/C", "air conditioner"), ("a/c", ""), ("gnd", "ground")]


def test_each_synonym_has_its_entry_under_one_correlation_id(demo: Tenant, file: Path) -> None:
    run(demo.slug, file, HEADER + "gnd,ground\nlube,lubricate\n")
    first, second = entries(demo)
    assert [entry.changes[0]["after"] for entry in (first, second)] == ["gnd", "lube"]
    for entry in (first, second):
        assert (entry.action, entry.source, entry.command, entry.actor_id) == (
            "CREATE",
            "command",
            "import_synonyms",
            None,
        )
    assert first.correlation_id == second.correlation_id != ""


def test_bad_rows_are_named_and_the_others_imported(demo: Tenant, file: Path) -> None:
    rows = [
        "gnd,ground",
        ",ground",
        "--,ground",
        "vlv,?!",
        f"{'x' * 41},{'y' * 81}",
        "air,handling,unit",
        "vlv",
        '"two\nlines",two',
        'vl"v,"val"ve',
        "v\0v,valve",
        "lube,lubricate",
    ]
    answer = run(demo.slug, file, HEADER + "\n".join(rows) + "\n")
    assert answer.complaints == [
        "line 3: term: This field cannot be blank.",
        f"line 4: term: Write a word: {NO_WORD}",
        f"line 5: meaning: Write a word, or nothing: {NO_WORD}",
        f"line 6: term: {too_long(40)} meaning: {too_long(80)}",
        "line 7: there are 3 values under 2 columns; put values with commas in quotes",
        "line 8: there are 1 values under 2 columns; put values with commas in quotes",
        "line 11: it can't be read as CSV (',' expected after '\"')",
        "line 12: it is not UTF-8, or holds a NUL character; save the file as UTF-8",
    ]
    assert (answer.code, answer.summary) == (1, counts(3, rejected=8))
    assert answer.error == "Rows rejected: 8; see above."
    assert pairs(demo) == [("gnd", "ground"), ("lube", "lubricate"), ("two lines", "two")]


def test_a_quote_without_end_spoils_its_row_only(demo: Tenant, file: Path) -> None:
    answer = run(demo.slug, file, HEADER + 'gnd,ground\nlube,"lubricate\nvlv,valve\n')
    assert (answer.code, answer.summary) == (1, counts(1, rejected=1))
    assert answer.complaints == ["line 3: it can't be read as CSV (unexpected end of data)"]


def test_bytes_that_are_no_utf_8_spoil_their_row_only(demo: Tenant, file: Path) -> None:
    answer = run(demo.slug, file, b"term,meaning\nv\xe4lv,valve\nv\xc3\xa4lv,valve\n")
    assert answer.complaints == ["line 2: it is not UTF-8, or holds a NUL character; save the file as UTF-8"]
    assert pairs(demo) == [("välv", "valve")]


def test_a_mark_any_line_ends_and_any_order_of_columns_are_read(demo: Tenant, file: Path) -> None:
    assert run(demo.slug, file, b"\xef\xbb\xbfMeaning , TERM\r\nground,gnd\r\n") == Answer(0, counts(1), [], "")
    assert run(demo.slug, file, b"term,meaning\rlube,lubricate\r").summary == counts(1)
    assert pairs(demo) == [("gnd", "ground"), ("lube", "lubricate")]


def test_other_columns_are_named_once_and_ignored(demo: Tenant, file: Path) -> None:
    answer = run(demo.slug, file, "source,term,meaning,note,\nbook,gnd,ground,hm,\n,vlv,valve\n")
    assert answer == Answer(0, counts(2), ["Ignored columns: source, note"], "")
    assert pairs(demo) == [("gnd", "ground"), ("vlv", "valve")]


def test_a_header_alone_adds_nothing(demo: Tenant, file: Path) -> None:
    assert run(demo.slug, file, HEADER) == Answer(0, counts(0), [], "")


@pytest.mark.parametrize(
    "text", [b"", b"term;meaning\na;b\n", b"term\na\n", b"term,Term,meaning\n", "term,meaning\n".encode("utf-16")]
)
def test_a_file_without_the_two_columns_is_refused(demo: Tenant, file: Path, text: bytes) -> None:
    answer = run(demo.slug, file, text)
    assert (answer.code, answer.summary, answer.complaints) == (2, "", [])
    assert answer.error.startswith("Line 1: the header must name the columns term and meaning, once each")


def test_a_header_that_is_no_csv_is_refused(demo: Tenant, file: Path) -> None:
    answer = run(demo.slug, file, '"term,meaning\n')
    error = "Line 1: the header can't be read (unexpected end of data). Is this a CSV file?"
    assert answer == Answer(2, "", [], error)


def test_a_file_of_something_else_is_not_read_to_its_end(
    demo: Tenant, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_synonyms, "LARGEST", 20)
    answer = run(demo.slug, file, HEADER + "gnd,ground\n")
    assert answer == Answer(2, "", [], f"{file} is larger than 20 bytes. Is it the right file?")


def test_an_unknown_tenant_is_answered_with_those_there_are(demo: Tenant, rival: Tenant, file: Path) -> None:
    answer = run("demmo", file, HEADER)
    assert (answer.code, answer.summary, answer.complaints) == (2, "", [])
    assert answer.error == f"There is no tenant demmo. Name one of these: {demo.slug}, {rival.slug}."


@pytest.mark.parametrize(("name", "reason"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_a_file_that_can_not_be_opened_is_one_clear_line(demo: Tenant, tmp_path: Path, name: str, reason: str) -> None:
    assert run(demo.slug, tmp_path / name) == Answer(2, "", [], f"{tmp_path / name}: {reason}.")


def test_standard_input_is_read_for_a_dash(demo: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((HEADER + "gnd,ground\n").encode())))
    assert run(demo.slug, "-") == Answer(0, counts(1), [], "")
    assert pairs(demo) == [("gnd", "ground")]


def test_an_import_that_is_stopped_adds_nothing(demo: Tenant, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, turns = Synonym.save, iter([True, False])

    def save_then_interrupt(row: Synonym) -> None:
        if not next(turns):
            raise KeyboardInterrupt
        save(row)

    monkeypatch.setattr(Synonym, "save", save_then_interrupt)
    answer = run(demo.slug, file, HEADER + "gnd,ground\nlube,lubricate\n")
    assert answer == Answer(130, "", [], "Stopped. Nothing was added.")
    assert (pairs(demo), entries(demo)) == ([], [])


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_add_each_synonym_once(tmp_path: Path) -> None:
    demo = factories.tenant()
    rows = [f"t{number},meaning {number}\n" for number in range(100)]
    texts = [HEADER + "".join(rows), HEADER + "".join(reversed(rows))]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: run_in_thread(demo.slug, tmp_path / str(each), texts[each]), (0, 1)))
    assert sorted(answers) == [Answer(0, counts(0, known=100), [], ""), Answer(0, counts(100), [], "")]
    assert (len(pairs(demo)), len(entries(demo))) == (100, 100)


def run_in_thread(slug: str, file: Path, text: str) -> Answer:
    try:
        return run(slug, file, text)
    finally:
        connection.close()


# What means the same


def says(synonyms: Synonyms, word: str) -> set[str]:
    return {" ".join(met) for met in synonyms.of_word(word)}


def heard(owner: Tenant) -> Synonyms:
    """Return what means the same to a tenant."""
    with tenant_scope(owner.pk):
        return synonyms_of(owner.pk, state_of(owner.pk))


@pytest.fixture
def usual() -> Synonyms:
    return Synonyms(built_in())


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("vlv", "valve"), ("rht", "right"), ("ac", "air conditioner"), ("ac", "air conditioning"), ("vlvs", "valves")],
)
def test_a_word_of_the_trade_is_met_by_what_it_means(usual: Synonyms, word: str, meaning: str) -> None:
    assert meaning in says(usual, word)


@pytest.mark.parametrize(
    ("word", "term"),
    [("valve", "vlv"), ("valves", "vlv"), ("right", "rht"), ("conditioner", "ac"), ("conditioning", "air con")],
)
def test_a_word_is_met_by_the_terms_that_stand_for_it(usual: Synonyms, word: str, term: str) -> None:
    assert term in says(usual, word)


def test_two_terms_for_one_word_meet_each_other_and_no_word_meets_itself() -> None:
    synonyms = Synonyms([("gnd", "ground"), ("grd", "ground"), ("ahu", "air handler"), ("air mover", "air handler")])
    assert says(synonyms, "gnd") == {"ground", "grd"}
    assert says(synonyms, "ground") == {"gnd", "grd"}
    assert says(synonyms, "ahu") == {"air handler", "air mover"}
    assert says(synonyms, "air") == {"ahu", "air mover"}
    assert synonyms.of_phrase(("air", "mover")) == [("air", "handler")]
    assert synonyms.of_phrase(("air", "handler")) == [("ahu",), ("air", "mover")]
    assert synonyms.longest == 2


def test_what_says_nothing_new_is_no_synonym() -> None:
    synonyms = Synonyms([("--", "valve"), ("vlv", "--"), ("vlv", ""), ("Valve", "valve"), ("", "")])
    assert [synonyms.of_word(word) for word in ("vlv", "valve")] == [[], []]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a/c", ("ac",)),
        ("A/C unit", ("ac", "unit")),
        ("QUOTE/REPAIR", ("quote", "repair")),
        (" Välv ", ("valv",)),
        ("--", ()),
        ("", ()),
    ],
)
def test_a_phrase_is_read_as_a_query_is(text: str, words: tuple[str, ...]) -> None:
    assert phrase(text) == words


def test_every_built_in_pair_is_well_formed() -> None:
    lines = BUILT_IN.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "term,meaning"
    assert lines[1:] == [f"{term},{meaning}" for term, meaning in built_in()]
    said = [(phrase(term), phrase(meaning)) for term, meaning in built_in()]
    assert [pair for pair, (term, meaning) in zip(built_in(), said, strict=True) if not term or not meaning] == []
    assert [pair for pair, (term, meaning) in zip(built_in(), said, strict=True) if term == meaning] == []
    assert repeated(said) == []
    assert list(built_in()) == sorted(built_in())


def test_every_built_in_pair_could_be_a_tenants(demo: Tenant) -> None:
    for term, meaning in built_in():
        Synonym(tenant=demo, term=term, meaning=meaning).full_clean(exclude=["tenant"], validate_constraints=False)


def repeated(said: Iterable[object]) -> list[object]:
    seen: set[object] = set()
    return [each for each in said if each in seen or seen.add(each)]  # type: ignore[func-returns-value]


def test_a_tenants_meanings_take_the_place_of_the_built_in_ones(demo: Tenant) -> None:
    synonym(demo, "A/C", "account")
    synonym(demo, "A/C", "aircraft")
    synonym(demo, "gizmo", "valve")
    assert heard(demo).of_phrase(("ac",)) == [("account",), ("aircraft",)]
    assert {"air conditioner", "air conditioning"}.isdisjoint(says(heard(demo), "ac"))
    assert "ac" not in says(heard(demo), "conditioner")
    assert "ac" in says(heard(demo), "aircraft")
    assert {"vlv", "gizmo"} <= says(heard(demo), "valve")


def test_a_term_without_a_meaning_means_nothing_else(demo: Tenant) -> None:
    synonym(demo, "VLV")
    assert heard(demo).of_word("vlv") == []
    assert "vlv" not in says(heard(demo), "valve")
    assert "valves" in says(heard(demo), "vlvs")


def test_the_synonyms_of_one_tenant_mean_nothing_to_another(demo: Tenant, rival: Tenant) -> None:
    assert state_of(demo.pk) == state_of(rival.pk) == NONE
    synonym(demo, "vlv", "tap")
    assert (says(heard(demo), "vlv"), says(heard(rival), "vlv")) == ({"tap"}, says(Synonyms(built_in()), "vlv"))
    assert state_of(demo.pk) != state_of(rival.pk) == NONE
    synonym(rival, "vlv", "tap")
    assert state_of(demo.pk) != state_of(rival.pk)


def test_whatever_is_done_to_a_tenants_synonyms_changes_their_state(demo: Tenant) -> None:
    seen = [state_of(demo.pk)]
    row, other = synonym(demo, "vlv", "tap"), synonym(demo, "gnd", "ground")
    seen.append(state_of(demo.pk))
    row.meaning = "cock"
    row.save()
    seen.append(state_of(demo.pk))
    assert says(heard(demo), "vlv") >= {"cock"}
    other.delete()
    seen.append(state_of(demo.pk))
    row.delete()
    assert len(set(seen)) == 4
    assert state_of(demo.pk) == NONE
    assert says(heard(demo), "vlv") == says(Synonyms(built_in()), "vlv")


# What is found


def found(owner: Tenant, text: str) -> list[Hit]:
    with tenant_scope(owner.pk):
        return list(search(owner.pk, Question(text, (), 20)).hits)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("valve", "repl vlv"),
        ("vlv", "replace valve"),
        ("vlv", "replace valves"),
        ("valves", "repl vlv"),
        ("a/c", "Service the air conditioner"),
        ("conditioner", "Service A/C"),
        ("air conditioner", "Service A/C"),
        ("air con", "air conditioning is down"),
        ("rht door", "door on the right"),
        ("right", "RHT DOOR"),
    ],
)
def test_a_search_finds_what_means_the_same_below_what_was_typed(demo: Tenant, query: str, title: str) -> None:
    exact = factories.work_order(demo, title=f"{query} typed")
    meant = factories.work_order(demo, title=title)
    factories.work_order(demo, title="Sweep the yard")
    first, second = found(demo, query)
    assert [(first.kind, first.key), (second.kind, second.key)] == [("WorkOrder", exact.pk), ("WorkOrder", meant.pk)]
    assert first.score == 1.0
    assert 0 < second.score < first.score


def test_a_phrase_is_met_by_all_of_its_words_and_not_by_one(demo: Tenant) -> None:
    factories.work_order(demo, title="The air is bad")
    assert found(demo, "a/c") == []


def test_what_was_found_by_a_synonym_is_marked(demo: Tenant) -> None:
    factories.work_order(demo, title="repl vlv")
    (hit,) = found(demo, "valve")
    assert [(mark.field, [tuple(part) for part in mark.fragments]) for mark in hit.highlights] == [
        ("title", [("repl ", False), ("vlv", True)])
    ]


def test_a_search_hears_of_a_synonym_at_once_and_only_its_tenants(demo: Tenant, rival: Tenant) -> None:
    for owner in (demo, rival):
        factories.work_order(owner, title="Oil the gizmo")
    assert found(demo, "valve") == []
    row = synonym(demo, "gizmo", "valve")
    assert [hit.score < 1 for hit in found(demo, "valve")] == [True]
    assert found(rival, "valve") == []
    row.meaning = "pump"
    row.save()
    assert found(demo, "valve") == []
    assert len(found(demo, "pump")) == 1
    row.delete()
    assert found(demo, "pump") == []


def test_a_search_forgets_a_built_in_meaning_that_the_tenant_switches_off(demo: Tenant, rival: Tenant) -> None:
    for owner in (demo, rival):
        factories.work_order(owner, title="repl vlv")
    synonym(demo, "vlv")
    assert found(demo, "valve") == []
    assert len(found(rival, "valve")) == 1
    assert [hit.score for hit in found(demo, "vlv")] == [1.0]
