"""Elements of one film that contradict each other, unknown words, and descriptions of one film without a side."""

import pytest

from ratui.study.importing import FilmHeader
from ratui.study.importing.headers.identification import identify
from tests.study.importing.test_identification import CR, HANDS_AND_FEET, sct, shown


def test_a_plural_of_the_study_says_nothing_about_a_film_of_one_hand() -> None:
    words = {"SeriesDescription": "Hand", "StudyDescription": "Röntgen Hände", "ViewPosition": "PA"}
    wide = FilmHeader(sop_class=CR, modality="CR", elements=words, rows=300, columns=400)
    identity = identify(wide, HANDS_AND_FEET)
    assert identity.side == ""
    assert identity.doubts == (
        "StudyDescription names both sides, SeriesDescription describes one film without a side",
    )


@pytest.mark.parametrize(
    ("elements", "doubt"),
    [
        (
            {"BodyPartExamined": "HAND", "ViewPosition": "PA", "SeriesDescription": "Foot Left AP"},
            "BodyPartExamined says hand, SeriesDescription says foot",
        ),
        (
            {"BodyPartExamined": "SKULL", "ProtocolName": "Hand PA Left"},
            "BodyPartExamined says head, ProtocolName says hand",
        ),
        (
            {"ViewPosition": "LL", "SeriesDescription": "Fuß re d.p."},
            "ViewPosition says lateral, SeriesDescription says frontal",
        ),
        (
            {"BodyPartExamined": "FOOT", "Laterality": "R", "ViewPosition": "LL", "ProtocolName": "Foot AP"},
            "ViewPosition says lateral, ProtocolName says frontal",
        ),
    ],
)
def test_elements_of_one_film_that_contradict_each_other_are_asked_about(elements: dict[str, str], doubt: str) -> None:
    identity = shown(**elements)
    assert doubt in identity.doubts
    assert identity.rejection == ""


def test_a_region_and_a_series_of_another_part_are_asked_about() -> None:
    film = FilmHeader(
        sop_class=CR,
        modality="DX",
        elements={"ImageLaterality": "L", "ViewPosition": "PA", "SeriesDescription": "Foot Left AP"},
        codes={"AnatomicRegionSequence": sct("85562004")},
        rows=400,
        columns=300,
    )
    doubts = identify(film, HANDS_AND_FEET).doubts
    assert doubts == ("AnatomicRegionSequence says hand, SeriesDescription says foot",)


@pytest.mark.parametrize(
    "words",
    [
        "Hand li",
        "XR HAND LEFT",
        "Hand L, 1 view",
        "Röntgen linke Hand",
        "Rx main gauche",
        "LEFT HAND comparison",
        "左手 X線",
    ],
)
def test_descriptions_of_known_and_harmless_words_are_certain_without_a_projection(words: str) -> None:
    assert shown(SeriesDescription=words).is_certain


@pytest.mark.parametrize("words", ["Hand li quer", "Hand L лев", "左手 xyz", "Linke Hand Lagerung"])
def test_unknown_words_are_asked_about_unless_a_projection_is_stated(words: str) -> None:
    assert not shown(SeriesDescription=words).is_certain
    assert not shown(SeriesDescription=words, ViewPosition="PA").is_certain  # the default of many devices
    assert shown(SeriesDescription=f"{words} PA").is_certain
    assert shown(SeriesDescription=words, ViewPosition="PA", ProtocolName="Hand d.p.").is_certain


@pytest.mark.parametrize("position", ["", "PA", "OBL"])
def test_elements_that_name_different_projections_but_no_frontal_one_reject(position: str) -> None:
    stated = {"SeriesDescription": "Hand L Norgaard", "PerformedProcedureStepDescription": "Hand L oblique"}
    projection = "oblique" if position == "OBL" else "Norgaard"
    assert shown(ViewPosition=position, **stated).rejection.startswith(f"its projection is {projection};")
    frontal = shown(ViewPosition=position, ProtocolName="Hand L PA", **stated)
    assert (frontal.rejection, bool(frontal.doubts)) == ("", True)


def test_a_film_of_doubtful_part_is_rejected_for_its_projection() -> None:
    views = {"hand": HANDS_AND_FEET["hand"]}
    film = FilmHeader(
        sop_class=CR,
        modality="CR",
        elements={"SeriesDescription": "WRIST LEFT", "ProtocolName": "HAND LATERAL"},
        rows=400,
        columns=300,
    )
    assert identify(film, views).rejection == "its projection is lateral; only frontal films are scored"
