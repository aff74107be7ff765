"""Films that words reject, and films that show more than others of the same examination."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from ratui.study import Study
from tests.study.conftest import FilmWriter
from tests.support.plans import outcomes, plan_of

TAKEN = "; another film of that side and day is taken"
ALONE = ", and no other film of that side and day is taken. Name it in a manifest to take it"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "mtss", ["anna"])


class TestWords:
    def test_words_reject_a_film_for_its_repeat(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("bad.dcm", ImageComments="Rejected - motion")
        film("good.dcm")
        reason = "ImageComments says that the exposure was rejected"
        assert outcomes(plan_of(study, tmp_path)) == {"bad": ("leave out", reason + TAKEN), "good": ("take", "")}
        (tmp_path / "h" / "good.dcm").unlink()
        assert outcomes(plan_of(study, tmp_path)) == {"bad": ("doubtful", reason + ALONE)}

    @pytest.mark.parametrize(
        "words", ["repeat of rejected film", "not rejected", "rejected?", "Wdh. nach Fehlaufnahme"]
    )
    def test_the_repeat_of_a_rejected_film_is_not_left_out(
        self, study: Study, film: FilmWriter, tmp_path: Path, words: str
    ) -> None:
        film("bad.dcm")
        film("good.dcm", ImageComments=words)
        assert {decision for decision, _ in outcomes(plan_of(study, tmp_path)).values()} == {"doubtful"}

    def test_a_repeat_in_doubt_does_not_replace_a_rejected_film(
        self, study: Study, film: FilmWriter, tmp_path: Path
    ) -> None:
        film("bad.dcm", ImageComments="Rejected")
        film("one.dcm")
        film("two.dcm")
        assert {decision for decision, _ in outcomes(plan_of(study, tmp_path)).values()} == {"doubtful"}

    def test_a_wrist_does_not_replace_a_rejected_hand(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("hand.dcm", ImageComments="Rejected")
        film("wrist.dcm", BodyPartExamined="WRIST", SeriesDescription="Wrist")
        found = outcomes(plan_of(study, tmp_path))
        assert found["hand"][0] == "doubtful"
        assert found["wrist"] == (
            "doubtful",
            "it shows less than a rejected film of that side and day. Choose one in a manifest",
        )

    @pytest.mark.parametrize(("sides", "decision"), [("L", "doubtful"), ("LR", "leave out"), ("B", "leave out")])
    def test_a_rejected_film_of_both_sides_needs_a_repeat_of_both(
        self, study: Study, film: FilmWriter, tmp_path: Path, sides: str, decision: str
    ) -> None:
        film("bad.dcm", side="B", ImageComments="Rejected")
        for side in sides:
            film(f"{side}.dcm", side=side)
        found = outcomes(plan_of(study, tmp_path))
        assert found.pop("bad")[0] == decision
        assert {each for each, _ in found.values()} == {"take"}


class TestBothSides:
    def wrist(self, film: FilmWriter, side: str) -> None:
        film(f"wrist {side}.dcm", side=side, BodyPartExamined="WRIST", SeriesDescription="Wrist")

    @pytest.mark.parametrize("hands", ["B", "LR"])
    @pytest.mark.parametrize("side", ["L", "B"])
    def test_a_wrist_is_left_out_beside_the_hands(
        self, study: Study, film: FilmWriter, tmp_path: Path, hands: str, side: str
    ) -> None:
        for each in hands:
            film(f"{each}.dcm", side=each)
        self.wrist(film, side)
        found = outcomes(plan_of(study, tmp_path))
        assert found.pop(f"wrist {side}") == ("leave out", "another film of that side and day shows more of it")
        assert {decision for decision, _ in found.values()} == {"take"}

    def test_wrists_beside_one_hand_are_asked(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("hand.dcm")
        self.wrist(film, "B")
        assert {decision for decision, _ in outcomes(plan_of(study, tmp_path)).values()} == {"doubtful"}

    def test_a_film_of_one_side_of_the_same_exposure_is_left_out(
        self, study: Study, film: FilmWriter, tmp_path: Path
    ) -> None:
        film("both.dcm", side="B", IrradiationEventUID="1.7")
        film("left.dcm", IrradiationEventUID="1.7")
        assert outcomes(plan_of(study, tmp_path)) == {
            "both": ("take", ""),
            "left": ("leave out", "another film of the same exposure shows both sides"),
        }

    @pytest.mark.parametrize(
        "same",
        [
            {},
            {"AcquisitionDate": "20200302", "AcquisitionTime": "101010"},
        ],
    )
    def test_a_film_of_one_side_beside_one_of_both_is_asked(
        self, study: Study, film: FilmWriter, tmp_path: Path, same: dict[str, str]
    ) -> None:
        film("both.dcm", side="B", **same)
        film("left.dcm", **same)
        assert {decision for decision, _ in outcomes(plan_of(study, tmp_path)).values()} == {"doubtful"}

    @pytest.mark.parametrize(
        ("both", "left"),
        [
            ({"PresentationIntentType": "FOR PROCESSING"}, {"PresentationIntentType": "FOR PRESENTATION"}),
            ({}, {"ImageComments": "repeat of rejected film"}),
        ],
    )
    def test_a_worse_film_of_both_sides_does_not_decide(
        self, study: Study, film: FilmWriter, tmp_path: Path, both: dict[str, str], left: dict[str, str]
    ) -> None:
        film("both.dcm", side="B", IrradiationEventUID="1.7", **both)
        film("left.dcm", IrradiationEventUID="1.7", **left)
        assert {decision for decision, _ in outcomes(plan_of(study, tmp_path)).values()} == {"doubtful"}

    def test_the_source_of_a_processing_is_taken(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", SOPInstanceUID="1.2.3", ContentDate="20200302")
        source = Dataset()
        source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = "1.2", "1.2.3"
        film("b.dcm", ContentDate="20200303", SourceImageSequence=[source])
        assert outcomes(plan_of(study, tmp_path)) == {
            "a": ("take", ""),
            "b": ("leave out", "another processing of the same exposure is taken"),
        }


class TestFractions:
    WORDS = "Hand links 3/4"
    MAY = "SeriesDescription says 3/4, which may name an oblique view"

    @pytest.mark.parametrize("position", ["PA", ""])
    def test_a_film_that_may_be_oblique_is_left_out_for_a_frontal_one(
        self, study: Study, film: FilmWriter, tmp_path: Path, position: str
    ) -> None:
        film("oblique.dcm", SeriesDescription=self.WORDS, ViewPosition=position, StudyInstanceUID="1.2")
        found = outcomes(plan_of(study, tmp_path))
        assert found == {"oblique": ("doubtful", self.MAY + ALONE)}
        film("frontal.dcm", SeriesDescription="Hand links PA", StudyInstanceUID="1.2")
        found = outcomes(plan_of(study, tmp_path))
        assert found == {"oblique": ("leave out", self.MAY + TAKEN), "frontal": ("take", "")}

    @pytest.mark.parametrize("number", ["2/4", "1/3"])
    def test_the_third_of_four_films_is_asked(
        self, study: Study, film: FilmWriter, tmp_path: Path, number: str
    ) -> None:
        film("third.dcm", SeriesDescription=self.WORDS, StudyInstanceUID="1.2")
        film("frontal.dcm", SeriesDescription="Hand links PA", StudyInstanceUID="1.2")
        film("right.dcm", side="R", ImageComments=f"film {number}", StudyInstanceUID="1.2")
        film("elsewhere.dcm", day="20210302", SeriesDescription=self.WORDS, StudyInstanceUID="1.3")
        found = outcomes(plan_of(study, tmp_path))
        assert found["third"] == ("doubtful", self.MAY + ", or number the films. Name it in a manifest")
        assert found["elsewhere"] == ("doubtful", self.MAY + ALONE)

    def test_other_words_remain_unknown(self, study: Study, film: FilmWriter, tmp_path: Path) -> None:
        film("a.dcm", SeriesDescription="Hand links 3/4 Spezial", ViewPosition="PA")
        film("b.dcm")
        decision, reason = outcomes(plan_of(study, tmp_path))["a"]
        assert decision == "doubtful"
        assert "words that ratui does not know" in reason
