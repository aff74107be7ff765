"""Splits, and which joints and labels of a study become samples of pairs, against values found by hand."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from ratui.errors import StudyError, TrainError
from ratui.reading import Field, Slot
from ratui.study import Case, Region, RegionSource
from tests.trainer.synthetic import SmallReading, SmallStudy, make_pairs, quiet
from tests.trainer.test_sample_values import BOX, EVERYWHERE, SITES, levels_across, load
from trainer.data import splits
from trainer.data.pairs import MARGIN, PAIR_CROP_SIZE, list_signed_cases, load_pair_samples
from trainer.data.splits import fold_of_case, pick_validation_cases, place_of_case, split_cases


class TestSplit:
    def test_the_place_of_a_case_is_its_hash(self) -> None:
        for seed, case in ((3, "C-1"), (4, "C-1"), (3, "C-2")):
            digits = hashlib.sha256(f"{seed}/{case}".encode()).hexdigest()[:16]
            assert place_of_case(case, seed) == int(digits, 16) / 16**16

    def test_cases_below_the_share_are_held_out(self) -> None:
        cases = [f"C-{number}" for number in range(30)]
        for seed in (0, 1):
            split = split_cases(cases, seed=seed, held_out=0.3)
            digests = {case: hashlib.sha256(f"{seed}/{case}".encode()).hexdigest() for case in cases}
            assert set(split.test) == {case for case in cases if int(digests[case][:16], 16) < 0.3 * 16**16}
            assert set(split.train) == set(cases) - set(split.test)

    def test_one_side_has_one_case_if_all_places_are_on_the_other(self) -> None:
        cases = [f"C-{number}" for number in range(7)]
        ranked = sorted(cases, key=lambda case: place_of_case(case, 0))
        assert split_cases(cases, held_out=1e-9).test == (ranked[0],)
        assert split_cases(cases, held_out=1 - 1e-9).train == (ranked[-1],)
        ranked = sorted(cases, key=lambda case: place_of_case(f"validation/{case}", 0))
        assert pick_validation_cases(cases, share=1 - 1e-9) == tuple(sorted(ranked[:-1]))

    def test_a_quarter_is_held_out_and_a_tenth_kept_unless_asked_otherwise(self) -> None:
        cases = [f"C-{number}" for number in range(60)]
        assert set(split_cases(cases).test) == {case for case in cases if place_of_case(case, 0) < 0.25}
        kept = {case for case in cases if place_of_case(f"validation/{case}", 0) < 0.1}
        assert set(pick_validation_cases(cases)) == set(pick_validation_cases(cases, required=True)) == kept
        assert len(kept) > 1

    def test_a_case_is_kept_if_one_is_required_and_one_is_left(self) -> None:
        for count in range(4):
            cases = [f"C-{number}" for number in range(count)]
            assert len(pick_validation_cases(cases, share=1e-9, required=True)) == (count > 1)

    def test_too_few_cases_and_impossible_shares_are_refused(self) -> None:
        for cases, text in (([], "^0 read cases can't"), (["A", "A"], "^1 read case can't")):
            with pytest.raises(TrainError, match=text):
                split_cases(cases)
        for share in (-0.1, 1.0, 1.5, float("nan")):
            with pytest.raises(TrainError, match="can't be kept"):
                pick_validation_cases(["A", "B"], share=share)
        with pytest.raises(FrozenInstanceError):
            split_cases(["A", "B"]).train = ()  # type: ignore[misc]

    def test_the_largest_place_is_in_the_last_fold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The largest digests are rounded to a place of 1."""
        monkeypatch.setattr(splits, "place_of_case", lambda *_: 1.0)
        assert fold_of_case("C", 0, 4) == 3


class TestPairs:
    def test_the_numbers_of_a_crop(self) -> None:
        assert (PAIR_CROP_SIZE, MARGIN) == (72, 1.25)

    def test_samples_do_not_change(self) -> None:
        with pytest.raises(FrozenInstanceError):
            make_pairs(np.zeros((1, 1, 2, 2))).cases = ()  # type: ignore[misc]

    def test_a_joint_needs_a_region_on_one_film(self, tmp_path: Path) -> None:
        boxes = {("L.MCP2", 0): BOX, ("L.MCP2", 1): BOX, ("L.MCP3", 0): BOX, ("R.MCP2", 1): BOX}
        samples = load(SmallStudy({"C1": ()}, boxes), tmp_path)
        assert samples.sites == ("L.MCP2", "L.MCP3", "R.MCP2")
        assert samples.single_times == {1: 0, 2: 1}
        with pytest.raises(TrainError, match="no joint has a region"):
            load(SmallStudy({"C1": ()}, {}), tmp_path)

    def test_the_single_film_of_a_joint_is_kept_in_the_cache(self, tmp_path: Path) -> None:
        boxes = {("L.MCP2", 0): BOX, ("L.MCP2", 1): BOX, ("L.MCP3", 0): BOX, ("R.MCP2", 1): BOX}
        first, again = (load(SmallStudy({"C1": ()}, boxes), tmp_path) for _ in range(2))
        assert again.single_times == first.single_times
        assert np.array_equal(again.crops, first.crops)
        for row in (1, 2):
            assert np.array_equal(first.crops[row, 0], first.crops[row, 1])
            assert first.crops[row].any()

    def test_scores_at_one_time_point_are_counted_by_rater_and_scale(self) -> None:
        labels = np.full((3, 2, 2, 2), -1)
        labels[0, 0] = [[0, -1], [-1, 0]]
        labels[1, 1] = [[0, 2], [-1, -1]]
        labels[2, 1, 1, 1] = 1
        assert make_pairs(labels).single_scores == 3

    def test_proposals_fill_gaps_if_they_may(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        study = SmallStudy({"C1": ()}, {("L.MCP2", 0): BOX, ("L.MCP2", 1): BOX})
        proposed = tuple(
            Region(site, f"L{time}", BOX.shift(9.0, 0.0), RegionSource.MODEL, model="early")
            for site in ("L.MCP2", "L.MCP3")
            for time in (0, 1)
        )
        monkeypatch.setattr(study, "proposals", lambda _: proposed)
        assert load(study, tmp_path).sites == ("L.MCP2",)
        samples = load_pair_samples(study, ["C1"], tmp_path, quiet, proposed=True)  # type: ignore[arg-type]
        assert samples.sites == ("L.MCP2", "L.MCP3")
        moved = [[np.abs(crop - levels_across(BOX)).max() > 9 for crop in crops] for crops in samples.crops]
        assert moved == [[False, False], [True, True]], "a confirmed region comes before a proposal"

    def test_a_damaged_case_is_left_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        study = SmallStudy({"C1": (), "C2": ()}, EVERYWHERE)
        read, notices = study.case, list[object]()

        def case(id: str) -> Case:
            if id == "C1":
                raise StudyError("damaged", id, "")
            return read(id)

        monkeypatch.setattr(study, "case", case)
        monkeypatch.setattr(study, "add_notice", lambda *notice: notices.append(notice))
        assert load(study, tmp_path, ("C1", "C2")).cases == ("C2", "C2")
        assert notices

    def test_crops_are_prepared_once_with_their_progress(self, tmp_path: Path) -> None:
        for wanted in ([0, 1, 2], [2]):
            told: list[tuple[str, int, int]] = []
            study = SmallStudy({"C1": ()}, EVERYWHERE)
            load_pair_samples(study, ["C1"], tmp_path, lambda *at, told=told: told.append(at))  # type: ignore[arg-type, misc]
            assert told == [("preparing joints", done, 2) for done in wanted]

    def test_joints_that_a_rater_does_not_read_have_no_labels(self, tmp_path: Path) -> None:
        scores = {Field(site, scale, time): 1 for site in SITES for scale in ("ERO", "JSN") for time in (0, 1)}
        found = frozenset(Slot(site, 0) for site in SITES)
        readings = (
            SmallReading("ada", scores, found, site_keys=("R.MCP2",)),
            SmallReading("guest", scores, found),
        )
        samples = load(SmallStudy({"C1": readings}, EVERYWHERE), tmp_path)
        assert samples.labels[:, 0].tolist() == [[[-1, -1]] * 2, [[1, 1]] * 2]
        assert (samples.labels[:, 1] == -1).all()
        assert samples.has_finding[:, 0].tolist() == [[False, False], [True, False]]

    def test_signed_cases_are_those_with_a_signed_reading(self) -> None:
        study = SmallStudy({"C1": (), "C2": (SmallReading("ada"),)}, {})
        assert list_signed_cases(study) == ("C2",)  # type: ignore[arg-type]
