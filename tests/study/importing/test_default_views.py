"""Films whose view is stated by View Position alone: PA is the default of many devices, and words may contradict it."""

import pytest

from ratui.scheme import View
from ratui.study.importing import FilmHeader
from ratui.study.importing.headers.identification import FilmIdentity, identify

VIEWS = {name: View(name, name, name, {}) for name in ("hand", "wrist", "foot")}


def shown(**elements: str) -> FilmIdentity:
    header = FilmHeader(sop_class="1.2.840.10008.5.1.4.1.1.1", modality="CR", elements=elements, rows=400, columns=300)
    return identify(header, VIEWS)


def summary(identity: FilmIdentity) -> tuple[str, str, str]:
    return identity.part, identity.side, identity.projection


@pytest.mark.parametrize(
    ("elements", "doubt"),
    [
        ({"SeriesDescription": "Кисть косая"}, "SeriesDescription has words that ratui does not know"),
        ({"SeriesDescription": "손 사위"}, "SeriesDescription has words that ratui does not know"),
        ({"ProtocolName": "Ruka šikmá"}, "ProtocolName has words that ratui does not know"),
        ({"SeriesDescription": "Hand 45°"}, "SeriesDescription has words that ratui does not know"),
        ({"AcquisitionDeviceProcessingDescription": "fist"}, "AcquisitionDeviceProcessingDescription has words"),
        ({"BodyPartExamined": "ARM", "StudyDescription": "XR hand"}, "its Body Part Examined has a value"),
        ({"BodyPartExamined": "EAR", "ProtocolName": "XR hand"}, "its Body Part Examined has a value"),
        ({"ViewPosition": "PA\\LL"}, "its elements name several projections"),
        ({"ViewPosition": "PA FIST"}, "its View Position has a value"),
        ({"ViewPosition": "FAN", "StudyDescription": "XR hand PA"}, "its View Position has a value"),
        ({"ImageComments": "Oblique"}, "ImageComments says oblique, ViewPosition says frontal"),
        ({"ImageComments": "This is the RIGHT hand"}, "ImageComments says right, Laterality says left"),
        ({"ImageComments": "foot"}, "ImageComments says foot, BodyPartExamined says hand"),
        (
            {"ImageComments": "lateral", "ViewPosition": ""},
            "ImageComments says lateral, no other element states it",
        ),
        (
            {"ViewPosition": "", "SeriesDescription": "Hand 45°"},
            "SeriesDescription has words that ratui does not know",
        ),
        ({"ViewPosition": "", "SeriesDescription": "Hand 2E"}, "its elements name several projections"),
        ({"ViewPosition": "", "SeriesDescription": "Hand in 2 E."}, "its elements name several projections"),
        ({"ViewPosition": "", "SeriesDescription": "左手2R"}, "its elements name several projections"),
        ({"ViewPosition": "", "SeriesDescription": "Hände a.p. + Zither"}, "its elements name several projections"),
    ],
)
def test_a_person_is_asked(elements: dict[str, str], doubt: str) -> None:
    found = shown(**{"Laterality": "L", "BodyPartExamined": "HAND", "ViewPosition": "PA", **elements})
    assert [text for text in found.doubts if text.startswith(doubt)]
    assert not found.rejection


@pytest.mark.parametrize(
    "elements",
    [
        {"SeriesDescription": "Hand особое PA"},
        {"SeriesDescription": "Hand W52"},
        {"SeriesDescription": "Bone age hand 12M"},
        {"StudyDescription": "Кисть, две проекции"},
        {"PerformedProcedureStepDescription": "XR hand complete"},
        {"BodyPartExamined": "UPPER LIMB", "StudyDescription": "XR hand"},
        {"BodyPartExamined": "UP_EXM", "StudyDescription": "XR hand"},
        {"BodyPartExamined": "EAR", "SeriesDescription": "XR hand"},
        {"SeriesDescription": "Hand 2E"},
        {"ImageComments": "PA left"},
        {"ImageComments": "No comment"},
    ],
)
def test_nobody_is_asked(elements: dict[str, str]) -> None:
    found = shown(**{"Laterality": "L", "BodyPartExamined": "HAND", "ViewPosition": "PA", **elements})
    assert (summary(found), found.doubts) == (("hand", "L", "PA"), ())


@pytest.mark.parametrize(
    ("text", "projection"),
    [
        ("Hand Zither", "oblique"),
        ("Ręka skośne", "oblique"),
        ("Dłoń boczne", "lateral"),
        ("Norgaards", "Norgaard"),
        ("両手ノルガード", "Norgaard"),
    ],
)
def test_words_overrule_the_default(text: str, projection: str) -> None:
    found = shown(Laterality="L", BodyPartExamined="HAND", ViewPosition="AP", SeriesDescription=text)
    assert found.rejection == f"its projection is {projection}; only frontal films are scored"


def test_polish_words_state_part_and_side() -> None:
    assert summary(shown(SeriesDescription="RTG stopy prawej AP")) == ("foot", "R", "AP")
    found = shown(SeriesDescription="Dłoń prawa PA", BodyPartExamined="HAND", Laterality="L")
    assert found.doubts == ("Laterality says left, SeriesDescription says right",)
