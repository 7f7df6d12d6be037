"""Whatever is typed and whatever a text holds: searched for as text, never interpreted, never beyond the tenant."""

import time
import unicodedata
from typing import Final

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Tenant
from apps.search import merging
from apps.search.highlighting import ELLIPSIS, LONGEST, Marker
from apps.search.services import MAX_QUERY, QueryRefusedError, Question, Results, search
from apps.search.spelling import Likeness, budget, keys_asked, keys_of, misspelt
from apps.search.words import fold, plain, stem, tokens, words
from tests import factories
from tests.test_search_index import SEARCHED, answer, ask, found, key, rows_of_index

pytestmark = pytest.mark.usefixtures("without_cost_limit")

many = settings(
    deadline=None,
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""For properties that ask the database; the rows are made once and not changed."""

pure = settings(deadline=None, max_examples=100, derandomize=True, database=None)

SEPARATORS: Final = (
    *"%_'\"\\&|!()*:<>=~^?#@$+,.;/-[]{}` \t\n\r\x0b\x0c\x1c\x85\u00a0\u2003\u2013\u2026\u2028\u3000\uff08\uff0c",
    *"<-> :* !! -- /* */ '; '); \\' %% $$ ${} 😀 👨‍👩‍👧 «".split(" "),  # noqa: SIM905 (shorter than a list)
)
"""What stands between words; some of it means something to PostgreSQL, to Python or to a shell."""

DROPPED: Final = (
    *"\x00\x01\x07\x08\x0e\x1b\x7f\x80\x9f\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff",
    *"\u0301\u0308\u0323\u034f\u20dd\ufe0f\ud800\udfff\ue000\ufffe\U000e0041",
)
"""What leaves no trace in a word: control characters, marks, joiners, half surrogate pairs."""

WIDE: Final = str.maketrans({code: code + 0xFEE0 for code in range(ord("!"), ord("~") + 1)})
"""From usual characters to full-width ones."""

NASTY: Final = (
    *SEPARATORS,
    *DROPPED,
    *("' OR 1=1 --", "'; DROP TABLE search_word; --", "quokka:*", "!quokka", "quokka & seal", "\\x00", "%00", "&#0;"),
    *(text.translate(WIDE) for text in ("PUMP", "A/C", "123", "%_")),
    *"ﬁßŉǆİ\u0131\u017f\u212a\u212bµ½²Ⅷ㎏ﷺ한が\u0345",
    *("か\u3099", "\u202eabc\u202c", "שָׁלוֹם", "مُضَخَّة", "नमस्ते", "a" + "\u0301" * 150, "z\u0338\u0337"),
    *("1" * 200, "0" * 30, "-1", "1e9", "pump", "seal", "a", "WO-1", "WO-", "T-000001", "PH639"),
    *("null", "None", "NaN", "true", "re*", "#Task", "a:pump"),
)
any_text = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=MAX_QUERY),
    st.lists(st.sampled_from(NASTY), max_size=12).map("".join),
    st.lists(st.sampled_from(NASTY), max_size=12).map(" ".join),
).map(lambda text: text[:MAX_QUERY])
"""Texts of up to 200 characters, with half surrogate pairs, control characters and whatever there is."""

letters = st.text("abcdeé", min_size=1, max_size=14)
"""Few letters, so that words are often near each other."""


@pytest.fixture
def filled(demo: Tenant, rival: Tenant) -> Tenant:
    """Return a tenant with what hostile texts could find, half of it merged, beside another tenant with the same."""
    for owner in (demo, rival):
        for half in range(2):
            factories.work_order(
                owner, title=f"Pump seal quokka {half}", description='100% of_it\'s \\ "told" & a:pump'
            )
            factories.work_order(
                owner, title="PH639 " + "PUMP".translate(WIDE), description="'; DROP TABLE x; -- !quokka <-> seal:*"
            )
            factories.task(owner, title="pump", description="null None true 1e9 -1 😀 ½ Straße Ⅷ " + "1" * 200)
            factories.task(owner, title="seal, quokka", description="שָׁלוֹם مُضَخَّة नमस्ते が 한 ß İ ﬁ")
            factories.ticket(owner, subject="quokka: leaking seal", category="#Task re* a/c")
            factories.asset(owner, code=f"A-{half}", name="Seal pump", category="%_")
            if not half:
                merging.merge(owner.pk)
    return demo


def own(owner: Tenant, results: Results | None) -> set[tuple[str, int]]:
    return {(hit.kind, hit.key) for hit in results.hits} if results else set()


def of_tenant(owner: Tenant) -> set[tuple[str, int]]:
    return {key(row) for model in SEARCHED for row in model.unscoped.filter(tenant=owner)}


def apart_from(results: Results) -> tuple[object, ...]:
    """Return all of an answer but the suggestion, which repeats what was typed."""
    return results.hits, results.total, results.facets, results.has_next


# What is asked


@many
@given(any_text)
@example("\ud800")
@example("\x00\x00")
@example("1" * 200)
@example("ﷺ" * 200)
@example("a" * 199 + "\u0301")
@example("0 0")
def test_any_text_is_searched_for_or_refused_in_words(filled: Tenant, text: str) -> None:
    results = answer(filled, text)
    assert (results is None) == (sum(map(str.isalnum, fold(plain(text)))) < 2)
    if results:
        assert own(filled, results) <= of_tenant(filled)
        assert results.total == len(results.hits) == sum(number for _, number in results.facets)
        assert all(0 < hit.score <= 1 for hit in results.hits)


@many
@given(any_text)
@example("%")
@example("quokka |")
@example("!quokka &")
def test_more_text_before_a_query_never_finds_more(filled: Tenant, text: str) -> None:
    more = ask(filled, f"{text[: MAX_QUERY - 7]} quokka")
    assert own(filled, more) <= own(filled, ask(filled, "quokka"))


@many
@given(st.lists(st.sampled_from(SEPARATORS), min_size=4, max_size=12).map("".join))
@example("%")
@example("_")
@example("''''")
@example("&|!")
@example(":*")
@example("<->")
def test_operators_between_words_are_blanks(filled: Tenant, between: str) -> None:
    for text in ("pump{}seal", "{}seal{}quokka{}", "quokka {}"):
        assert apart_from(ask(filled, text.replace("{}", between))) == apart_from(ask(filled, text.replace("{}", " ")))


@many
@given(st.lists(st.sampled_from(DROPPED), min_size=1, max_size=5).map("".join))
def test_what_leaves_no_trace_in_a_word_is_as_if_it_were_not_there(filled: Tenant, inside: str) -> None:
    for text in ("pu{}mp seal{}", "PU{}MP", "ph{}639", "quok{}"):
        assert ask(filled, text.replace("{}", inside)) == ask(filled, text.replace("{}", ""))


@pytest.mark.parametrize(
    "text", ["PUMP".translate(WIDE), "PUMP", "pümp", "pump\u0300", "pump".translate(WIDE), "ᴾump", "ⓟump"]
)
def test_width_case_and_accents_do_not_matter(filled: Tenant, text: str) -> None:
    assert apart_from(ask(filled, text)) == apart_from(ask(filled, "pump"))


@pytest.mark.parametrize(
    "text", ["100%", "of_it's", '"told"', "\\", "'; DROP TABLE x; --", "a:pump", "<->", "%_", "re*"]
)
def test_a_text_of_operators_neither_fails_nor_writes(filled: Tenant, rival: Tenant, text: str) -> None:
    before = rows_of_index(filled), rows_of_index(rival)
    results = answer(filled, text)
    assert own(filled, results) <= of_tenant(filled)
    assert (rows_of_index(filled), rows_of_index(rival)) == before


@pytest.mark.parametrize("length", [201, 1_000, 1_000_000])
@pytest.mark.parametrize("piece", ["a", "\u0301", "ﷺ", "ab ", "\ud800", "a-"])
def test_what_is_too_long_is_refused_at_once(demo: Tenant, length: int, piece: str) -> None:
    text = (piece * length)[:length]
    started = time.monotonic()
    with pytest.raises(QueryRefusedError, match=f"200 characters; this one has {length}"):
        search(demo.pk, Question(text, (), 10))
    assert time.monotonic() - started < 0.2


@pytest.mark.parametrize("piece", ["ab ", "a1 ", "abc ", "a-", "ﷺ", "pump ", "pmup ", "WO-1 ", "a\u0301", "1 "])
def test_the_longest_queries_are_answered_in_reasonable_time(filled: Tenant, piece: str) -> None:
    started = time.monotonic()
    answer(filled, (piece * MAX_QUERY)[:MAX_QUERY])
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("piece", ["a", "\u0301", "a\u0301", "ab ", "a-", "x1.", "ﷺ", "#", "👨‍👩‍👧", "\u200d"])
def test_a_text_of_a_hundred_kilobytes_is_indexed_and_found(demo: Tenant, piece: str) -> None:
    started = time.monotonic()
    row = factories.work_order(demo, description="aardvark " + piece * (100_000 // len(piece)))
    merging.merge(demo.pk)
    assert found(demo, "aardvark") == [key(row)]
    assert time.monotonic() - started < 5


# From texts to words


@pure
@given(any_text)
@example("\u0345\u0345")
@example("ŉ İ ǆ ﷺ")
def test_words_are_folded_and_lie_inside_the_text(text: str) -> None:
    given_tokens = list(tokens(text))
    for word, start, end in given_tokens:
        assert 0 <= start < end <= len(text)
        assert 1 <= len(word) <= 40
        assert word.isalnum()
        assert word == word.lower() == word.casefold()
    assert words(text) == {token.word for token in given_tokens}


@pure
@given(any_text)
def test_the_words_of_words_are_themselves(text: str) -> None:
    known = words(text)
    assert all(word in words(word) for word in known)
    more = words(" ".join(sorted(known)))
    assert known <= more == words(" ".join(sorted(more)))


@pure
@given(any_text)
@example("\u0345")
@example("I\x08\u0300")
@example("ẛ̣")
def test_what_is_folded_is_folded_once_and_for_all(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert plain(plain(text)) == plain(text)
    assert not any(unicodedata.category(each) in {"Cc", "Cs"} or each == "\x00" for each in plain(text))


WESTERN: Final = "abcxyzéèüñçøåłœAÉÜÑ0123456789 -/.,'"


@pure
@given(st.text(WESTERN, max_size=60))
def test_case_accents_and_width_make_no_other_words(text: str) -> None:
    text = text.lower()  # capitals inside a word begin another: MainPump
    known = words(text)
    bare = "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))
    for other in (text.upper(), text.title(), text.translate(WIDE), bare):
        assert words(other) == known, other


@pure
@given(st.text(WESTERN, max_size=60))
@example("pompeÉlan")
def test_accents_make_the_same_words_composed_or_decomposed(text: str) -> None:
    assert words(unicodedata.normalize("NFD", text)) == words(text)


@pure
@given(st.text(WESTERN, max_size=40), st.text("0123456789", min_size=1, max_size=3))
def test_filling_zeros_make_no_other_code(text: str, digits: str) -> None:
    assume(text[-1:] not in "0123456789")
    bare = digits.lstrip("0") or "0"
    assert words(f"{text}{bare}") <= words(f"{text}{digits}")


# What is marked


@pure
@given(any_text, st.data())
def test_highlights_are_the_text_and_mark_what_was_found(text: str, data: st.DataObject) -> None:
    known = sorted(words(text))
    assume(known)
    marked = set(data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=3)))
    highlight = Marker(marked, []).highlight("title", text)
    assert highlight
    assert "".join(part.text for part in highlight.fragments) == text
    assert all(part.text for part in highlight.fragments)
    shown = [words(part.text) for part in highlight.fragments if part.match]
    assert all(each & marked for each in shown)
    assert marked <= set().union(*shown)
    assert Marker({"notthere"}, []).highlight("title", text) is None or "notthere" in known


@pure
@given(any_text, st.data())
def test_beginnings_mark_whole_words(text: str, data: st.DataObject) -> None:
    known = sorted(words(text))
    assume(known)
    begun = data.draw(st.sampled_from(known))[:2]
    highlight = Marker((), [begun]).highlight("title", text)
    assert highlight
    assert "".join(part.text for part in highlight.fragments) == text
    for part in highlight.fragments:
        assert not part.match or any(word.startswith(begun) for word in words(part.text))


@pure
@given(st.lists(any_text, min_size=3, max_size=12), st.integers(0, 10_000), st.data())
@example(["x" * 200, "aa bb"], 0, None)
def test_of_a_long_text_a_part_is_shown_with_a_mark_in_it(pieces: list[str], cut: int, data: st.DataObject) -> None:
    text = " ".join(pieces)[cut % 50 :]
    known = sorted(words(text))
    assume(known and len(text) > LONGEST)
    word = data.draw(st.sampled_from(known)) if data else known[-1]
    highlight = Marker({word}, []).highlight("description", text)
    assert highlight
    shown = "".join(part.text for part in highlight.fragments)
    assert len(shown) <= LONGEST + 2
    inner = shown.removeprefix(ELLIPSIS).removesuffix(ELLIPSIS)
    assert any(each in text for each in (shown, inner, shown.removeprefix(ELLIPSIS), shown.removesuffix(ELLIPSIS)))
    assert any(part.match for part in highlight.fragments)
    assert all(part.text in text for part in highlight.fragments if part.match)


# How a word may differ


def distance(one: str, other: str) -> int:
    """Return the distance of two words by the definition of Optimal String Alignment."""
    rows = [
        [row + column if not row * column else 0 for column in range(len(other) + 1)] for row in range(len(one) + 1)
    ]
    for row in range(1, len(one) + 1):
        for column in range(1, len(other) + 1):
            substituted = rows[row - 1][column - 1] + (one[row - 1] != other[column - 1])
            rows[row][column] = min(rows[row - 1][column] + 1, rows[row][column - 1] + 1, substituted)
            if row > 1 < column and one[row - 2 : row] == other[column - 2 : column][::-1]:
                rows[row][column] = min(rows[row][column], rows[row - 2][column - 2] + 1)
    return rows[-1][-1]


@st.composite
def misspelt_pairs(draw: st.DrawFn, word: st.SearchStrategy[str] = letters) -> tuple[str, str]:
    """Draw a word and what becomes of it by up to two edits."""
    one = other = draw(word)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(other)))
        letter = draw(st.sampled_from("abcdeéz"))
        other = draw(
            st.sampled_from(
                [
                    other[:place] + letter + other[place:],
                    other[:place] + other[place + 1 :],
                    other[:place] + letter + other[place + 1 :],
                    other[:place] + other[place : place + 2][::-1] + other[place + 2 :],
                ]
            )
        )
    assume(other and one != other)
    return one, other


@settings(pure, max_examples=600)
@given(st.one_of(misspelt_pairs(), st.tuples(letters, letters)))
@example(("compressor", "ompresosr"))
@example(("abcdefg", "abcdefgh"))
@example(("abcdefgh", "abcdef"))
@example(("bcdefghi", "abcdefghi"))
@example(("abcd", "bacd"))
@example(("abc", "abcd"))
def test_every_word_within_the_budget_is_among_the_candidates(pair: tuple[str, str]) -> None:
    one, other = pair
    for asked, near in ((one, other), (other, one)):
        if asked != near and misspelt(asked, near) is not None:
            assert set(keys_asked(asked, 7)) & set(keys_of(near, 7)), (asked, near)
            assert not set(keys_asked(asked, 7)) & set(keys_of(near, 8)), "tenants share keys"


@settings(pure, max_examples=300)
@given(misspelt_pairs())
def test_words_are_alike_by_edits_and_the_budget(pair: tuple[str, str]) -> None:
    asked, found = pair
    longer = max(len(asked), len(found))
    allowed = 0 if len(asked) < 4 else 1 if longer < 8 else 2
    edits = distance(asked, found)
    assert budget(asked, found) == allowed
    due = {1: Likeness.ONE_EDIT, 2: Likeness.TWO_EDITS}.get(edits) if edits <= allowed else None
    assert misspelt(asked, found) == due


@pytest.mark.parametrize(
    ("asked", "found", "likeness"),
    [
        ("pmup", "pump", Likeness.ONE_EDIT),
        ("seal", "sael", Likeness.ONE_EDIT),
        ("vavle", "valve", Likeness.ONE_EDIT),
        ("vavl", "valve", None),
        ("cmopersson", "compressor", None),
        ("cmopresosr", "compressor", Likeness.TWO_EDITS),
        ("conpreser", "compressor", None),
        ("oil", "oli", None),
        ("oil", "oils", None),
        ("oils", "oil", Likeness.ONE_EDIT),
        ("engines", "enginess", Likeness.ONE_EDIT),
        ("egnines", "enginess", Likeness.TWO_EDITS),
        ("egnine", "engines", None),
        ("ph639", "ph638", None),
        ("valve1", "valve", None),
        ("valve", "valve1", None),
    ],
)
def test_a_swap_is_one_edit_and_short_words_and_codes_have_none(
    asked: str, found: str, likeness: Likeness | None
) -> None:
    assert misspelt(asked, found) == likeness


@settings(many, max_examples=30)
@given(misspelt_pairs(st.text("abcdez", min_size=3, max_size=12)))
def test_what_is_misspelt_within_the_budget_is_found_pending_or_merged(db: None, pair: tuple[str, str]) -> None:
    asked, written = pair
    assume(len(asked) > 1)
    owner = factories.tenant()
    row = factories.task(owner, title=written)
    asked_word, word = fold(asked), fold(written)
    near = misspelt(asked_word, word) is not None
    expected = asked_word == word or near or word.startswith(asked_word) or stem(asked_word) == stem(word)
    for _ in range(2):
        assert found(owner, asked) == ([key(row)] if expected else [])
        merging.merge(owner.pk)


# Codes


@pytest.mark.parametrize("merged", [False, True])
def test_a_number_finds_no_neighbour(demo: Tenant, merged: bool) -> None:
    serials = (10_234, 10_243, 1_023, 102_340, 12_034)
    orders = {serial: factories.work_order(demo, serial=serial, title="Nothing") for serial in serials}
    if merged:
        merging.merge(demo.pk)

    def serials_of(text: str) -> set[int]:
        keys = {number for _, number in found(demo, text)}
        return {serial for serial, order in orders.items() if order.pk in keys}

    for text in ("WO-010234", "wo010234", "WO-10234", "10234", "WO 10234", "wo-0010234"):
        assert serials_of(text) - {102_340} == {10_234}, text
    assert serials_of("WO-010243") == {10_243}
    assert serials_of("WO-01024") == {10_243}
    assert serials_of("WO-0102") == {10_234, 10_243}
    assert serials_of("WO-010253") == set()
    assert serials_of("T-010234") == set()


@settings(many, max_examples=30)
@given(st.from_regex(r"[A-Z]{1,4}[1-9]{1,5}", fullmatch=True), st.data())
def test_a_code_is_found_exactly_or_by_its_beginning_never_by_another(db: None, code: str, data: st.DataObject) -> None:
    _, other = data.draw(misspelt_pairs(st.just(code)))
    typed = fold(other)
    assume(len(typed) > 1 and not typed.isalpha())
    expected = any(word.startswith(typed) for word in words(code))
    owner = factories.tenant()
    row = factories.asset(owner, code=code, name="--")
    for _ in range(2):
        assert key(row) in found(owner, code)
        assert (key(row) in found(owner, other)) == expected
        merging.merge(owner.pk)
