"""The evaluation against values computed by hand: which cases count, metrics, baselines, and intervals over patients."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from ratui.errors import TrainError
from ratui.imaging import Box
from tests.trainer.synthetic import SmallReading, SmallStudy, make_hands, make_pairs
from trainer.evaluation import evaluate
from trainer.evaluation.evaluate_detector import evaluate_detections
from trainer.evaluation.evaluate_scorer import (
    evaluate_by_uncertainty,
    evaluate_calibration,
    evaluate_ranking,
    evaluate_scale,
)
from trainer.evaluation.metrics import Metric
from trainer.evaluation.scale_predictions import ScalePredictions, match_labels
from trainer.inference.decisions import change_probabilities, decide, expected_change_error, expected_grades
from trainer.training.lineage import DataUsed, Lineage

RNG = np.random.default_rng


def sure(grades: list[tuple[int, int]], size: int = 4) -> np.ndarray:
    table = np.zeros((len(grades), size, size))
    for row, (earlier, later) in enumerate(grades):
        table[row, earlier, later] = 1.0
    return table


def one_scale(labels: list[list[tuple[int, int]]], said: np.ndarray, cases: list[str]) -> ScalePredictions:
    """Return the predictions of the first of two scales; the labels of the second are others."""
    both = np.stack([np.array(labels), np.full_like(np.array(labels), 2)], axis=2)
    return match_labels(make_pairs(both, cases=tuple(cases)), said, 0, "expectation")


def by_name(metrics: list[Metric]) -> dict[str, Metric]:
    return {metric.name.removeprefix("ERO, "): metric for metric in metrics}


class TestCases:
    def save(self, folder: Path, name: str, *seen: tuple[str, tuple[str, ...]]) -> Path:
        """Save a model whose lineage is `seen`, study and cases, the parents last."""
        lineage: Lineage | None = None
        for study, cases in reversed(seen):
            lineage = Lineage(name, data=(DataUsed.of_study(study, 1, cases, ""),), parent=lineage)
        assert lineage is not None
        (folder / name).mkdir()
        torch.save({"model": {}, "about": {"lineage": lineage.to_record()}}, folder / name / "model.pt")
        return folder / name

    def evaluated(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, detector: Path | None, scorer: Path
    ) -> tuple[str, ...]:
        """Return the cases for which samples are loaded."""
        asked: list[tuple[str, ...]] = []

        def note(_study: object, cases: tuple[str, ...], *_: object, independent: bool = True) -> None:
            assert independent, "boxes of a detector are no truth for a detector"
            asked.append(tuple(cases))

        def stop(*_: object) -> None:
            raise InterruptedError

        monkeypatch.setattr(evaluate, "load_hand_samples", note)
        monkeypatch.setattr(evaluate, "load_pair_samples", note)
        monkeypatch.setattr(evaluate, "load_scorers", stop)
        monkeypatch.setattr(evaluate, "load_detector", stop)
        # The last case has no signed reading.
        study = SmallStudy({f"C{n}": (SmallReading("ada"),) if n < 6 else () for n in range(7)}, {})
        with pytest.raises((InterruptedError, AttributeError)):
            evaluate.evaluate_models(study, detector, scorer, folder / "out", torch.device("cpu"))  # type: ignore[arg-type]
        assert len(set(asked)) == 1
        assert len(asked) == (1 if detector is None else 2)
        return asked[0]

    def test_cases_that_either_model_or_a_parent_has_seen_are_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scorer = self.save(tmp_path, "scorer", ("S", ("C0",)), ("T", ("C5",)), ("S", ("C3",)))
        detector = self.save(tmp_path, "detector", ("S", ("C1",)))
        assert self.evaluated(tmp_path, monkeypatch, None, scorer) == ("C1", "C2", "C4", "C5")
        assert self.evaluated(tmp_path, monkeypatch, detector, scorer) == ("C2", "C4", "C5")

    def test_models_that_have_seen_all_cases_are_not_evaluated(self, tmp_path: Path) -> None:
        study = SmallStudy({f"C{n}": (SmallReading("ada"),) for n in range(3)}, {})
        scorer = self.save(tmp_path, "scorer", ("S", ("C0", "C2")))
        detector = self.save(tmp_path, "detector", ("S", ("C1",)))
        with pytest.raises(TrainError, match="every signed case"):
            evaluate.evaluate_models(study, detector, scorer, tmp_path / "out", torch.device("cpu"))  # type: ignore[arg-type]

    def test_cases_without_a_score_at_both_time_points_are_not_evaluated(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        labels = np.full((2, 2, 2, 2), -1)
        labels[:, :, :, 0] = 1
        monkeypatch.setattr(evaluate, "load_pair_samples", lambda *_: make_pairs(labels))
        monkeypatch.setattr(evaluate, "load_scorers", lambda *_: ())
        monkeypatch.setattr(evaluate, "score_samples", lambda *_: [sure([(0, 0)] * 2), sure([(0, 0)] * 2, 3)])
        study = SmallStudy({"C0": (SmallReading("ada"),)}, {})
        scorer = self.save(tmp_path, "scorer", ("S", ("C1",)))
        with pytest.raises(TrainError, match="no signed reading of the other cases has a score at both time points"):
            evaluate.evaluate_models(study, None, scorer, tmp_path / "out", torch.device("cpu"))  # type: ignore[arg-type]


class TestScale:
    LABELS: ClassVar = [[(0, 2), (0, 1)], [(1, 1), (2, 1)], [(3, 3), (0, 3)]]
    SAID: ClassVar = [(0, 1), (2, 0), (3, 3)]

    @pytest.fixture
    def found(self) -> dict[str, Metric]:
        headline, more = evaluate_scale(one_scale(self.LABELS, sure(self.SAID), ["A", "A", "B"]), RNG(0))
        return by_name([*headline, *more])

    def test_values(self, found: dict[str, Metric]) -> None:
        # Changes read: 2, 1, 0, −1, 0, 3; decided: 1, 1, −2, −2, 0, 0.
        assert found["mean error of the difference"].value == pytest.approx((1 + 0 + 2 + 1 + 0 + 3) / 6)
        assert found["mean error of the difference, not rounded"].value == pytest.approx(7 / 6)
        where_changed = found["mean error of the difference where a change was read"]
        assert where_changed.value == pytest.approx((1 + 0 + 1 + 3) / 4)
        assert where_changed.baseline == pytest.approx((2 + 1 + 1 + 3) / 4)
        assert found["mean error of the difference where no change was read"].value == pytest.approx(2 / 2)
        assert found["worsening read by the rater and predicted"].value == pytest.approx(2 / 3)
        assert found["change predicted with the wrong sign"].value == 0.0
        # Grades read, earlier and later, against those decided, for each joint and rater.
        errors = [(0 + 1) / 2, 0, (1 + 1) / 2, (0 + 1) / 2, 0, (3 + 0) / 2]
        assert found["mean error of the score of one time point"].value == pytest.approx(sum(errors) / 6)

    def test_trivial_answers_and_other_raters(self, found: dict[str, Metric]) -> None:
        main, status = found["mean error of the difference"], found["mean error of the score of one time point"]
        assert main.baseline == pytest.approx((2 + 1 + 0 + 1 + 0 + 3) / 6)
        # Ada's changes 2, 0, 0; Ben's 1, −1, 3.
        assert main.raters == pytest.approx((1 + 1 + 3) / 3)
        # Medians: 0.5 of 0, 0, 1, 2, 3, 0 and 1.5 of 2, 1, 1, 1, 3, 3.
        earlier = [0.5, 0.5, 0.5, 1.5, 2.5, 0.5]
        later = [0.5, 0.5, 0.5, 0.5, 1.5, 1.5]
        assert status.baseline == pytest.approx((sum(earlier) + sum(later)) / 12)
        assert status.raters == pytest.approx(((0 + 1) / 2 + (1 + 0) / 2 + (3 + 0) / 2) / 3)

    def test_each_time_point_has_its_own_median_as_the_trivial_answer(self) -> None:
        _, more = evaluate_scale(one_scale([[(0, 3)], [(0, 3)], [(0, 2)]], sure([(0, 0)] * 3), list("ABC")), RNG(0))
        assert by_name(more)["mean error of the score of one time point"].baseline == pytest.approx(1 / 6)

    def test_the_raw_error_is_of_the_expected_change(self) -> None:
        table = np.zeros((1, 4, 4))
        table[0, 0, 0], table[0, 0, 1], table[0, 1, 3] = 0.5, 0.3, 0.2
        headline, more = evaluate_scale(one_scale([[(0, 2), (0, 1)]], table, ["A"]), RNG(0))
        found = by_name([*headline, *more])
        assert found["mean error of the difference, not rounded"].value == pytest.approx((1.3 + 0.3) / 2)
        assert found["mean error of the difference"].value == pytest.approx((1 + 0) / 2)

    def test_scores_at_one_time_point_count_for_the_status_only(self) -> None:
        labels = np.full((4, 2, 2, 2), -1)
        labels[0, :, 0] = [[0, 2], [1, 1]]
        labels[1, 0, 0, 1] = 3  # ada scores the later film only, ben neither
        labels[2, :, 0, 0] = 2  # both score the earlier film only
        labels[3, 0, 0, 0] = 3  # beside a finding
        pairs = make_pairs(labels, cases=("A", "A", "B", "B"))
        pairs.has_finding[3, 0, 1] = True
        predictions = match_labels(pairs, sure([(0, 1), (2, 2), (0, 3), (0, 0)]), 0, "median")
        assert predictions.row.tolist() == [0, 0]
        assert predictions.status.single == 3
        headline, more = evaluate_scale(predictions, RNG(0))
        found = by_name([*headline, *more])
        assert found["mean error of the difference"].value == pytest.approx((1 + 1) / 2)
        status = found["mean error of the score of one time point"]
        assert status.value == pytest.approx((0 + 1 + 1 + 0 + 1 + 2 + 2) / 7)
        part = match_labels(make_pairs(labels[:3]), sure([(0, 1)] * 3), 0, "median")
        assert part.status.single == 3, "two readings of a joint have both scores, and one has none"
        # Earlier scores 0, 1, 2, 2 with the median 1.5; later ones 2, 1, 3 with the median 2.
        assert status.baseline == pytest.approx((1.5 + 0.5 + 0.5 + 0.5 + 0 + 1 + 1) / 7)
        assert status.raters == pytest.approx((1 + 1 + 0) / 3)
        # Patient A has four errors of 3 in all at five scores, B two of 2: the resamples draw patients.
        assert (status.low, status.high) == pytest.approx((3 / 5, 2.0))
        assert sum(evaluate_calibration(predictions, "score", RNG(0)).count) == 7
        assert sum(evaluate_calibration(predictions, "change", RNG(0)).count) == 2

    def test_a_label_counts_if_it_is_complete_and_no_finding_sets_it(self) -> None:
        labels = np.zeros((3, 2, 2, 2), np.int64)
        labels[:, :, 1] = -1
        labels[0, 0, 0, 1] = -1
        pairs = make_pairs(labels, cases=("A", "B", "C"))
        pairs.has_finding[1, 1, 0] = pairs.has_finding[2, 0, 1] = True
        predictions = match_labels(pairs, sure([(0, 0)] * 3), 0, "median")
        assert predictions.row.tolist() == [0, 1, 2]
        assert predictions.patients == ("A", "B", "C")
        known = np.isfinite(predictions.all_labels).all(axis=2)
        assert known.tolist() == [[False, True], [True, False], [False, True]]


class TestIntervals:
    """Two patients of fifty joints each, one all wrong and one all right: the mean of two draws is 0, 0.5 or 1."""

    CASES = ["A"] * 50 + ["B"] * 50

    def test_of_the_scorers_errors(self) -> None:
        predictions = one_scale([[(0, 1)]] * 100, sure([(0, 1)] * 50 + [(0, 0)] * 50), self.CASES)
        main = evaluate_scale(predictions, RNG(0))[0][0]
        assert (main.low, main.value, main.high) == (0.0, 0.5, 1.0)
        calibration = evaluate_calibration(predictions, "change", RNG(0)).error
        assert (calibration.low, calibration.value, calibration.high) == (0.0, 0.5, 1.0)
        quarters = evaluate_by_uncertainty(predictions, RNG(0))
        assert {(each.low, each.high) for each in quarters[:2]} == {(0.0, 0.0)}

    def test_of_the_detectors_errors(self) -> None:
        boxes = np.tile([100.0, 100.0, 120.0, 120.0], (100, 2, 1))
        boxes[:, 1] += 100
        hands = make_hands(tuple(self.CASES), boxes, np.full((100, 2), np.nan))
        found = [{"PIP2": box("PIP", 110, 110), "MCP3": box("MCP", 210, 210)}] * 50 + [{}] * 50
        rate = evaluate_detections(replace(hands, findings=np.zeros((100, 2), np.float32)), found, RNG(0))[0][1]
        assert (rate.low, rate.value, rate.high) == (0.0, 0.5, 1.0)

    def test_of_the_rank_correlation(self) -> None:
        # Three patients in order and two at the end that are exchanged; each has forty joints of the same change.
        changes, said = [0, 1, 2, 3], [0, 1, 3, 2]
        labels = np.zeros((160, 1, 2, 2), np.int64)
        labels[:, 0, 0, 1] = np.repeat(changes, 40)
        pairs = make_pairs(labels, cases=tuple(f"P{n // 40}" for n in range(160)))
        probabilities = sure([(0, grade) for grade in np.repeat(said, 40).tolist()])
        predictions = match_labels(pairs, probabilities, 0, "median")
        metric = evaluate_ranking(pairs, predictions, probabilities, RNG(0))
        assert metric.value == pytest.approx(1 - 6 * 2 / (4 * 15))
        assert metric.low == pytest.approx(-1.0)
        assert metric.high == pytest.approx(1.0)


class TestUncertainty:
    def test_quarters_go_from_the_least_to_the_most_uncertain(self) -> None:
        table = np.zeros((8, 4, 4))
        doubts = [0.4, 0.0, 0.1, 0.3, 0.05, 0.2, 0.35, 0.15]
        for row, doubt in enumerate(doubts):
            table[row, 0, 0], table[row, 0, 1] = 1 - doubt, doubt
        # The joints of the more uncertain half are wrong, by one grade and in the last quarter by three.
        order = np.argsort(doubts)
        later = np.zeros(8, int)
        later[order[4:6]], later[order[6:]] = 1, 3
        predictions = one_scale([[(0, int(grade))] for grade in later], table, list("ABCDEFGH"))
        quarters = evaluate_by_uncertainty(predictions, RNG(0))
        assert [each.value for each in quarters] == [0.0, 0.0, 1.0, 3.0]
        assert [each.baseline for each in quarters] == pytest.approx([0.025, 0.125, 0.25, 0.375])

    def test_the_calibration_error_is_weighted_by_the_bins(self) -> None:
        table = np.zeros((4, 4, 4))
        for row, confidence in enumerate((0.95, 0.95, 0.95, 0.65)):
            table[row, 0, 0], table[row, 0, 1] = confidence, 1 - confidence
        predictions = one_scale([[(0, 0)], [(0, 0)], [(0, 1)], [(0, 1)]], table, list("ABCD"))
        found = evaluate_calibration(predictions, "change", RNG(0))
        assert found.count == (1, 3)
        assert found.accuracy == pytest.approx((0.0, 2 / 3))
        assert found.confidence == pytest.approx((0.65, 0.95))
        assert found.error.value == pytest.approx((0.65 + 3 * (0.95 - 2 / 3)) / 4)
        score = evaluate_calibration(predictions, "score", RNG(0))
        # The earlier grades are all right, with certainty.
        assert score.error.value == pytest.approx((0.65 + abs(3 * 0.95 + 4 - 6)) / 8)


class TestDecisions:
    def test_each_rule_by_hand(self) -> None:
        table = np.zeros((1, 4, 4))
        table[0, 0, 1], table[0, 1, 1], table[0, 0, 3], table[0, 2, 0] = 0.34, 0.3, 0.26, 0.1
        # Earlier grades 0, 1, 2 with 0.6, 0.3, 0.1; later 0, 1, 3 with 0.1, 0.64, 0.26.
        assert expected_grades(table)[0].tolist() == pytest.approx([0.5, 1.42])
        # Changes −2, 0, 1, 3 with 0.1, 0.3, 0.34, 0.26.
        assert change_probabilities(table)[0].tolist() == pytest.approx([0, 0.1, 0, 0.3, 0.34, 0, 0.26])
        decided = decide("expectation", table)
        assert (decided.grades[0].tolist(), int(decided.change[0])) == ([0, 1], 1)
        decided = decide("median", table)
        assert (decided.grades[0].tolist(), int(decided.change[0])) == ([0, 1], 1)
        assert expected_change_error(table, np.array([1]))[0] == pytest.approx(0.1 * 3 + 0.3 + 0.26 * 2)

    @pytest.mark.parametrize(("share", "wanted"), [(0.49, 0), (0.51, 1), (0.99, 1)])
    def test_an_expected_change_is_rounded_to_the_nearest(self, share: float, wanted: int) -> None:
        table = np.zeros((2, 4, 4))
        table[0, 0, 0], table[0, 0, 1] = 1 - share, share
        table[1, 0, 0], table[1, 1, 0] = 1 - share, share
        decided = decide("expectation", table)
        assert decided.change.tolist() == [wanted, -wanted]
        assert decided.grades.tolist() == [[0, wanted], [wanted, 0]]


def box(kind: str, x: float, y: float, finding: float = 0.0, size: float = 20.0) -> Detection:
    return Detection(Candidate(x, y, size, kind, 0.9), finding)


class TestDetections:
    @pytest.fixture
    def found(self) -> dict[str, Metric]:
        square = [100.0, 100.0, 120.0, 120.0]
        unknown = [np.nan] * 4
        boxes = [
            [square, [200.0, 200.0, 220.0, 220.0]],
            [square, unknown],
            [square, [200.0, 200.0, 220.0, 220.0]],
            [square, unknown],
        ]
        # Half of the raters are enough for a finding.
        hands = make_hands(("A", "A", "B", "B"), boxes, [[0.5, 0.4], [1.0, np.nan], [0.0, 0.0], [1.0, np.nan]])
        detections = [
            {"PIP2": box("PIP", 110, 110, 0.6), "MCP3": box("MCP", 215, 210, 0.6)},  # the second is 5 to the right
            {"PIP2": box("MCP", 110, 110), "MCP3": box("PIP", 118, 110, 0.9)},  # the right place is of another kind
            {"MCP3": box("PIP", 110, 110), "MCP2": box("MCP", 210, 210), "PIP4": box("PIP", 10, 10)},
            {},  # nothing is found
        ]
        headline, more = evaluate_detections(hands, detections, RNG(0))
        return {metric.name: metric for metric in (*headline, *more)}

    def test_boxes(self, found: dict[str, Metric]) -> None:
        shifted, far = 15 / 25, 12 / 28
        assert found["Joint detection, mean IoU"].value == pytest.approx((1 + shifted + 1 + 1) / 4)
        assert found["Joint detection rate"].value == pytest.approx(4 / 6)
        assert found["Mean IoU, joints not found count as 0"].value == pytest.approx(
            (1 + shifted + far + 1 + 1 + 0) / 6
        )
        assert found["False boxes per hand"].value == pytest.approx((0 + 2 + 1 + 0) / 4)

    def test_names(self, found: dict[str, Metric]) -> None:
        # In the third hand both joints are found under another name, in the second the box of the name is another one.
        assert found["Joints found and named correctly"].value == pytest.approx(2 / 6)

    def test_findings(self, found: dict[str, Metric]) -> None:
        # Read: 1, 0, 1, 0, 0; detected: 1, 1, 1, 0, 0.
        assert found["Special finding, accuracy"].value == pytest.approx(4 / 5)
        assert found["Special finding, sensitivity"].value == pytest.approx(1.0)
        assert found["Special finding, specificity"].value == pytest.approx(2 / 3)
        assert found["Special finding, accuracy"].baseline == pytest.approx(3 / 5)
        assert math.isfinite(found["Special finding, accuracy"].low)


def test_the_square_of_a_box_is_mirrored_and_scaled_with_its_hand() -> None:
    from trainer.data.hands import Frame

    area = Box(100.0, 0.0, 200.0, 160.0)
    for mirrored, x in ((False, (20.0, 60.0)), (True, (140.0, 180.0))):
        frame = Frame(area, mirrored, 2.0)
        assert frame.to_square(Box(110.0, 30.0, 130.0, 50.0)) == (x[0], 60.0, x[1], 100.0)
        assert frame.to_film(Box(x[0], 60.0, x[1], 100.0)) == (110.0, 30.0, 130.0, 50.0)
