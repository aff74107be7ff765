"""Phrases of the readings: each kind of refusal and reason has words in every language."""

from datetime import UTC, datetime
from string import ascii_letters
from typing import get_args

import pytest

from ratui.errors import EntryError, Refusal, RefusalKind, StoreError
from ratui.reading import Field, ReviewItem, ReviewKind, ReviewReason, UnlikelyEntry, list_review_items, start_reading
from ratui.reading.commands import enter, sign
from ratui.reading.model import FindingEntry, GradeEntry
from ratui.scheme import load_scheme
from ratui.tui.entry.visit_names import UNNAMED
from ratui.tui.i18n import reading_phrases as wording
from ratui.tui.i18n.catalog import LANGUAGES, Catalog

SCHEME = load_scheme("mtss-hands")
PARAMETERS = {
    "still_open": {"count": 3},
    "out_of_range": {"scale": "ERO", "maximum": 5},
    "fixed": {"id": "ankylosis", "label": "ankylosis"},
    "does_not_heal": {"id": "collapse", "label": "collapse"},
    "no_site": {"name": "L.X"},
    "no_field": {"name": "L.X ERO 0"},
}
INTERNATIONAL = ("ERO", "JSN", "L.X")


def words(text: str) -> str:
    for name in INTERNATIONAL:
        text = text.replace(name, "")
    return "".join(letter for letter in text if letter in ascii_letters)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", get_args(RefusalKind))
def test_every_refusal_has_words(language: str, kind: RefusalKind) -> None:
    text = wording.format_refusal(Catalog(language), Refusal(kind, PARAMETERS.get(kind, {})))
    assert text
    assert "{" not in text
    assert bool(words(text)) == (language == "en"), text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", get_args(ReviewKind))
@pytest.mark.parametrize("confirmed", [False, True])
def test_every_reason_for_a_second_look_has_words(language: str, kind: ReviewKind, confirmed: bool) -> None:
    reason = ReviewReason(kind, "ERO", 3, confirmed, "ankylosis" if kind == "finding" else "")
    text = wording.format_review_reason(Catalog(language), reason, SCHEME)
    assert text
    assert language == "en" or not words(text), text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "doubt",
    [
        UnlikelyEntry("jump", 3, Field("L.MCP2", "ERO", 1), Field("L.MCP2", "ERO", 0)),
        UnlikelyEntry("fall", 1, Field("L.MCP2", "JSN", 0), Field("L.MCP2", "JSN", 1)),
    ],
)
def test_a_request_to_confirm_names_scale_and_key(language: str, doubt: UnlikelyEntry) -> None:
    text = wording.format_unlikely(Catalog(language), doubt, "4")
    assert doubt.field.scale in text
    assert "4" in text


@pytest.mark.parametrize(
    ("language", "order", "blinded", "reason", "expected"),
    [
        ("en", (0, 1), False, ReviewReason("one_sided", places=(1,)), "not assessable (later)"),
        ("en", (1, 0), True, ReviewReason("one_sided", places=(1,)), "not assessable (right film)"),
        ("en", (0, 1, 2), False, ReviewReason("one_sided"), "not assessable on every film"),
        ("en", (0, 1, 2), False, ReviewReason("high", "ERO", 4, places=(0, 2)), "ERO 4 (baseline, visit 3)"),
        ("en", (0, 1, 2), False, ReviewReason("high", "ERO", 4), "ERO 4 (all films)"),
        ("en", (0, 1), False, ReviewReason("high", "ERO", 4), "ERO 4"),
        ("en", (0, 1, 2), False, ReviewReason("flag"), "flagged"),
        ("en", (2, 0, 1), True, ReviewReason("greys", places=(0,)), "grey levels were changed (film 1)"),
        ("ja", (0, 1, 2), False, ReviewReason("high", "ERO", 4, places=(0, 2)), "ERO 4（初回、3回目）"),
    ],
)
def test_a_reason_names_its_visits(
    language: str, order: tuple[int, ...], blinded: bool, reason: ReviewReason, expected: str
) -> None:
    reading = start_reading(SCHEME, "C", "anna", SCHEME.sites, order=order, blinded=blinded)
    t = Catalog(language)
    visits = UNNAMED.name_all(t, order, blinded=blinded)
    assert wording.format_review_reasons(t, reading, ReviewItem("L.MCP2", (reason,)), visits) == expected


@pytest.mark.parametrize(
    ("language", "blinded", "kind", "expected"),
    [
        ("en", False, "change", "ERO changes by 1 between baseline and visit 3"),
        ("en", False, "jump", "ERO changes by 1 between baseline and visit 3"),
        ("en", False, "fall", "ERO falls by 1 from baseline to visit 3"),
        ("en", True, "change", "ERO changes by 1 between film 1 and film 3"),
        ("ja", False, "fall", "EROが初回から3回目へ1段階低下"),
        ("ja", True, "change", "EROがフィルム1とフィルム3の間で1段階変化"),
    ],
)
def test_a_reason_of_three_visits_names_both(language: str, blinded: bool, kind: ReviewKind, expected: str) -> None:
    t, reading = Catalog(language), start_reading(SCHEME, "C", "anna", SCHEME.sites, order=(0, 1, 2), blinded=blinded)
    item = ReviewItem("L.MCP2", (ReviewReason(kind, "ERO", 1, places=(0, 2)),))
    visits = UNNAMED.name_all(t, reading.order, blinded=blinded)
    assert wording.format_review_reasons(t, reading, item, visits) == expected


def test_a_refusal_is_shown_in_japanese() -> None:
    t = Catalog("ja")
    reading = start_reading(SCHEME, "C", "anna", SCHEME.sites)
    field = Field("L.MCP2", "ERO", 0)
    reading = enter(reading, field, FindingEntry("ankylosis"))
    with pytest.raises(EntryError) as caught:
        enter(reading, field._replace(time=1), GradeEntry(0))
    assert wording.format_error(t, caught.value) == "強直は不可逆です"
    with pytest.raises(EntryError) as caught:
        sign(reading, timestamp=datetime.now(UTC))
    assert wording.format_error(t, caught.value) == f"未入力の欄が{len(reading.open_fields)}あります"
    reasons = [
        wording.format_review_reason(t, reason, SCHEME)
        for look in list_review_items(reading)
        for reason in look.reasons
    ]
    assert "強直" in reasons


def test_other_errors_are_translated_and_their_paths_stay() -> None:
    error = StoreError("can't be examined: Input/output error", "/study", "Check the disk, and try again")
    text = "/study：調べられません：入出力エラー。ディスクを確認して、もう一度お試しください"
    assert wording.format_error(Catalog("ja"), error) == text
    assert wording.format_error(Catalog("en"), error) == str(error)


@pytest.mark.parametrize(
    ("key", "kind"), [("k", "unknown"), ("あ", "kana"), ("ア", "kana"), ("亜", "kana"), ("%", "unknown")]
)
def test_kana_brings_a_message_that_says_what_to_do(key: str, kind: str) -> None:
    t = Catalog("en")
    assert wording.format_unknown_key(t, key, "?") == t(f"reading.key.{kind}", key=key, help="?")
