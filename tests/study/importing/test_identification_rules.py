"""Headers of all combinations of elements, compared with the slow implementation of the rules in docs/intake.md."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratui.scheme import View
from ratui.study.importing import CodedTerm, FilmHeader
from ratui.study.importing.headers import film_codes, film_words, harmless_words
from ratui.study.importing.headers.film_statements import Both, parse_words
from ratui.study.importing.headers.identification import identify
from tests.study.importing import identification_reference as reference
from tests.study.importing.rejection_words_reference import find_fraction, find_mark

CR = "1.2.840.10008.5.1.4.1.1.1"
TABLES = reference.TABLES
DESCRIPTIONS = [element for _, kind, elements in reference.ORDER for element in elements if kind == "words"]
SEQUENCES = [element for _, kind, elements in reference.ORDER for element in elements if "codes" in kind]

WORDS = [
    (meaning, word) for name in reference.LANGUAGES for meaning, text in TABLES[name] for word in reference.listed(text)
]
WORDS += [
    (item.split(": ")[0].strip(), word)
    for _, text in TABLES["weak words"]
    for item in text.split(";")
    for word in reference.listed(item.split(": ")[1])
]
CODES = [value for _, values in TABLES["codes"] for value in reference.listed(values)]
POSITIONS = [value for _, values in TABLES["positions"] for value in reference.listed(values)]


def of(*meanings: str) -> list[str]:
    return [word for meaning, word in WORDS if meaning in meanings]


# Words that decide something are drawn often, each kind as often as another, and other texts rarely.
words = st.one_of(
    st.sampled_from(of("hand", "hands")),
    st.sampled_from(of("foot", "feet", "wrist", "wrists")),
    st.sampled_from(of("L", "R", "both")),
    st.sampled_from(of("PA", "AP", "frontal")),
    st.sampled_from(of("lateral", "oblique", "Norgaard")),
    st.sampled_from([word for _, word in WORDS]),
    st.sampled_from(
        [
            "2",
            "3",
            "1",
            "XR",
            "dx",
            "re",
            "d",
            "w/",
            "a.p.",
            "3/4",
            "¾",
            "d.p.",
            "R/O",
            "2E",
            "2 E",
            "45°",
            "3p",
            "W52",
            "12M",
            "l'",
            "right handed",
            "Hände",
            "v",
            "Rejected",
            "repeat",
            "oddly",
            "standard",
            "рука",
        ]
    ),
)
gaps = st.sampled_from([" ", " ", " ", " ", "-", "_", "/", ", ", " + ", "", "; ", ".", "・", "\\"])
cases = st.sampled_from([str.upper, str.lower, str.title, str])
sentences = st.builds(
    lambda parts, case: "".join(case(word) + gap for word, gap in parts),
    st.lists(st.tuples(words, gaps), min_size=1, max_size=6),
    cases,
)
texts = st.one_of(sentences, sentences, sentences, st.text(max_size=12))
terms = st.builds(
    CodedTerm,
    st.sampled_from(["SCT", "SRT", "RADLEX", "99LOCAL", "sct"]),
    st.sampled_from(CODES),
    st.one_of(st.just(""), st.just(""), sentences),
)
sides = st.sampled_from(["L", "R", "B", "U", "", "l", "LEFT", "right", "both"])
positions = st.one_of(st.sampled_from(POSITIONS), st.sampled_from(["PA", "AP", "LL"]), sentences, st.just("QQ7"))


@st.composite
def headers(draw: st.DrawFn) -> FilmHeader:
    elements: dict[str, str] = {}
    codes: dict[str, tuple[CodedTerm, ...]] = {}
    for keyword in draw(st.sets(st.sampled_from(["ImageLaterality", "FrameLaterality", "Laterality"]), max_size=2)):
        elements[keyword] = draw(sides)
    if draw(st.booleans()):
        elements["ViewPosition"] = draw(positions)
    if draw(st.booleans()):
        elements["BodyPartExamined"] = draw(texts)
    if draw(st.integers(0, 4)) == 0:
        elements["ImageComments"] = draw(texts)
    for keyword in draw(st.sets(st.sampled_from([*DESCRIPTIONS, "SeriesDescription", "StudyDescription"]), max_size=4)):
        elements[keyword] = draw(texts)
    for keyword in draw(st.sets(st.sampled_from(SEQUENCES), max_size=2)):
        codes[keyword] = tuple(draw(st.lists(terms, min_size=1, max_size=2)))
        if draw(st.booleans()):
            codes[f"{keyword}.ViewModifierCodeSequence"] = (draw(terms),)
    columns = draw(st.sampled_from([300, 400, 500]))
    return FilmHeader(sop_class=CR, modality="CR", elements=elements, codes=codes, rows=400, columns=columns)


def outcome(header: FilmHeader, views: tuple[str, ...]) -> tuple[str, str, str, bool, bool]:
    found = identify(header, {name: View(name, name, name, {}) for name in views})
    return found.part, found.side, found.projection, bool(found.doubts), bool(found.rejection)


@settings(max_examples=600)
@given(headers(), st.sampled_from([("hand",), ("hand", "wrist"), ("hand", "foot"), ("hand", "wrist", "foot")]))
def test_every_header_is_identified_as_the_rules_say(header: FilmHeader, views: tuple[str, ...]) -> None:
    assert outcome(header, views) == reference.identify(header, views)
    found = identify(header, {name: View(name, name, name, {}) for name in views})
    mark = "rejected" if found.marks else "unclear" if found.unclear_marks else ""
    assert mark == find_mark(header)
    assert found.may_be_oblique == find_fraction(header)


@settings(max_examples=800)
@given(texts)
@example("HAND PA/OBL/LAT LT")
@example("2 方向")
@example("Hand mit Handgelenk links")
def test_words_are_read_as_the_rules_say(text: str) -> None:
    found, said = parse_words(text), reference.said_by_words(text)
    assert (found.parts, found.sides, found.projections) == (said.parts, said.sides, said.projections)
    assert (found.both is Both.EXPRESS, found.both is Both.PLURAL) == (said.express, said.weak)


@settings(max_examples=200)
@given(headers())
def test_messages_repeat_no_text_of_the_header(header: FilmHeader) -> None:
    """Texts of messages are built from names of elements and from closed lists alone."""
    found = identify(header, {name: View(name, name, name, {}) for name in ("hand", "foot")})
    values = {*reference.PARTS, *reference.PROJECTIONS, "left", "right", "both sides"}
    keywords = ["ImageComments", *(keyword for _, _, keywords in reference.ORDER for keyword in keywords)]
    said = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    element = rf"(?:{'|'.join(map(re.escape, keywords))})(?: \(meaning\))?"
    quote = rf"{element} says (?:{said})(?: or (?:{said}))*"
    fixed = [
        "its header doesn't say which part of the body it shows",
        "its Body Part Examined has a value that ratui does not know",
        "its View Position has a value that ratui does not know",
        "its header doesn't state the projection",
        "it doesn't say which side it shows",
    ]
    pattern = re.compile(
        rf"{element} has words that ratui does not know, and (?:no other element|only ViewPosition) states the projection"
        rf"|{quote}, no other element states it"
        rf"|{element} names both sides, {element} describes one film without a side"
        rf"|{quote}, {quote}|its elements name several (?:parts|sides|projections): {quote}"
        rf"|{element} names both sides, and the image is not wider than high: it may show one|{'|'.join(fixed)}"
    )
    assert not [text for text in (*found.doubts, *found.contradictions) if not pattern.fullmatch(text)]


@pytest.mark.parametrize("language", reference.LANGUAGES)
def test_ratui_knows_the_words_of_the_document(language: str) -> None:
    known = {**film_words.LANGUAGES, "Japanese": film_words.CJK_WORDS}
    assert dict(TABLES[language]) == dict(known[language])
    assert list(known) == reference.LANGUAGES
    assert (set(film_words.PARTS), set(film_words.PROJECTIONS)) == (reference.PARTS, reference.PROJECTIONS)


def test_ratui_knows_the_codes_and_weak_words_of_the_document() -> None:
    assert dict(TABLES["codes"]) == dict(film_codes.CODES)
    assert dict(TABLES["positions"]) == dict(film_codes.VIEW_POSITIONS)
    listed = {
        language: "; ".join(f"{m}: {text}" for m, text in ms.items()) for language, ms in film_words.WEAK_WORDS.items()
    }
    assert dict(TABLES["weak words"]) == listed
    assert dict(TABLES["harmless"]) == dict(harmless_words.HARMLESS_WORDS)
    assert reference.listed(harmless_words.REJECTION_WORDS) == reference.listed(TABLES["rejection"][0][1])
    assert reference.listed(harmless_words.UNCLEAR_REJECTION_WORDS) == reference.listed(TABLES["rejection"][1][1])
    assert reference.listed(film_words.NEUTRAL_WORDS) == list(reference.NEUTRAL)
