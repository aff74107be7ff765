"""For each metric its value, direction, unit and baseline; worst joints, ranking and calibration, computed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from tests.trainer.synthetic import make_hands, make_pairs
from trainer.data.pairs import PairSamples
from trainer.evaluation import evaluate_scorer
from trainer.evaluation.evaluate import Results
from trainer.evaluation.evaluate_detector import MIN_IOU, evaluate_detections, evaluate_named_boxes
from trainer.evaluation.evaluate_scorer import (
    Calibration,
    WorstJoint,
    evaluate_by_uncertainty,
    evaluate_calibration,
    evaluate_ranking,
    evaluate_scale,
    find_worst_joints,
)
from trainer.evaluation.evaluate_status import evaluate_status
from trainer.evaluation.metrics import RESAMPLES, Metric
from trainer.evaluation.scale_predictions import ScalePredictions, match_labels

RNG = np.random.default_rng


def sure(grades: Sequence[tuple[int, int]], size: int = 4) -> np.ndarray:
    table = np.zeros((len(grades), size, size))
    for row, (earlier, later) in enumerate(grades):
        table[row, earlier, later] = 1.0
    return table


def one_scale(labels: Any, said: np.ndarray, cases: Sequence[str] = ()) -> tuple[PairSamples, ScalePredictions]:
    """Return the samples and predictions of the first of two scales; `labels` is (N, raters, 2), −1 for a missing score."""
    labels = np.asarray(labels)
    pairs = make_pairs(np.stack([labels, np.full_like(labels, 2)], axis=2), cases=tuple(cases) or None)
    return pairs, match_labels(pairs, said, 0, "expectation")


def facts(metric: Metric) -> tuple[object, ...]:
    return metric.name, metric.better, metric.unit, metric.baseline_name, metric.paper, metric.note


class TestFacts:
    def test_of_a_scorer(self) -> None:
        _, predictions = one_scale([[(0, 2), (0, 1)], [(1, 1), (2, 1)]], sure([(0, 1), (2, 0)]))
        headline, more = evaluate_scale(predictions, RNG(0))
        difference = "ERO, mean error of the difference"
        assert [facts(each) for each in headline] == [
            (difference, "lower", "", "no change", 0.412, "in whole grades, as stored"),
            ("ERO, change predicted with the wrong sign", "lower", "%", "no change", 0.0, "of all pairs"),
        ]
        assert [facts(each) for each in more] == [
            (f"{difference}, not rounded", "lower", "", "no change", None, ""),
            (f"{difference} where a change was read", "lower", "", "no change", None, ""),
            (f"{difference} where no change was read", "lower", "", "no change", None, ""),
            ("ERO, worsening read by the rater and predicted", "higher", "%", "no change", None, ""),
            ("ERO, mean error of the score of one time point", "lower", "", "always the median grade", None, ""),
        ]
        # Changes 2, 1, 0 and −1: an answer "no change" is off by one on average, by 4/3 where there is one.
        assert [each.baseline for each in (*headline, *more[:4])] == [1.0, 0.0, 1.0, pytest.approx(4 / 3), 0.0, 0.0]
        assert [each.raters for each in (*headline, *more[:4])] == [1.0, None, 1.0, None, None, None]

    def test_of_a_scale_that_the_reference_does_not_report(self) -> None:
        pairs = make_pairs(np.ones((3, 1, 2, 2)))
        headline, more = evaluate_scale(match_labels(pairs, sure([(1, 1)] * 3, 3), 1, "median"), RNG(0))
        assert {each.name.partition(",")[0] for each in (*headline, *more)} == {"JSN"}
        assert {each.paper for each in (*headline, *more)} == {None}
        assert more[1].baseline is None, "no change was read"
        assert headline[0].raters is None, "there is one rater"

    def test_the_wrong_sign_is_a_change_to_the_other_side(self) -> None:
        labels = [[(1, 2)], [(1, 2)], [(2, 1)], [(2, 1)], [(1, 1)], [(1, 2)]]
        _, predictions = one_scale(labels, sure([(2, 1), (1, 2), (0, 1), (1, 1), (1, 0), (3, 1)]))
        headline, more = evaluate_scale(predictions, RNG(0))
        assert headline[1].value == pytest.approx(3 / 6)
        assert more[3].value == pytest.approx(1 / 3)

    def test_of_rank_correlation_uncertainty_and_calibration(self) -> None:
        pairs, predictions = one_scale([[(0, n % 3)] for n in range(8)], sure([(0, 1)] * 8))
        ranking = evaluate_ranking(pairs, predictions, sure([(0, 1)] * 8), RNG(0))
        name = "ERO, rank correlation of the patients' total change"
        assert (*facts(ranking), ranking.baseline) == (name, "higher", "", "no change", None, "", 0.0)
        quarters = evaluate_by_uncertainty(predictions, RNG(0))
        ordinals = ("least", "second least", "third least", "most")
        assert [facts(each) for each in quarters] == [
            (
                f"ERO, error of the difference in the {ordinal} uncertain quarter",
                "lower",
                "",
                "expected by the model",
                None,
                "",
            )
            for ordinal in ordinals
        ]
        for target in ("score", "change"):
            calibration = evaluate_calibration(predictions, target, RNG(0))
            name = f"ERO, expected calibration error of the {target}"
            assert calibration.target == target
            assert facts(calibration.error) == (
                name,
                "lower",
                "",
                "",
                None,
                "difference of confidence and accuracy",
            )

    def test_of_a_detector(self) -> None:
        boxes = np.tile([100.0, 100.0, 120.0, 120.0], (2, 2, 1))
        boxes[:, 1] += 100
        hands = make_hands(("A", "B"), boxes, [[1, 0], [0, 0]])
        found = {"PIP2": Detection(Candidate(110, 110, 20, "PIP", 0.9), 0.5)}
        headline, more = evaluate_detections(hands, [found, {}], RNG(0))
        never = "never a finding"
        of_found = "of the joints that were found; see also the next two rows"
        enough = "a box of the same kind with an IoU of at least 0.5"
        assert [facts(each) for each in headline] == [
            ("Joint detection, mean IoU", "higher", "", "", 0.845, "of the joints that were found"),
            ("Joint detection rate", "higher", "%", "", 0.946, enough),
            ("Special finding, accuracy", "higher", "%", never, 0.944, of_found),
            ("Special finding, sensitivity", "higher", "%", never, None, ""),
            ("Special finding, specificity", "higher", "%", never, None, ""),
        ]
        assert [facts(each) for each in more] == [
            ("Mean IoU, joints not found count as 0", "higher", "", "", None, ""),
            ("False boxes per hand", "lower", "", "", None, ""),
            ("Joints found and named correctly", "higher", "%", "", None, ""),
            ("AP50", "higher", "", "", None, "COCO's average precision of PIP and MCP boxes; at an IoU of 0.5"),
            (
                "AP50:95",
                "higher",
                "",
                "",
                None,
                "COCO's average precision of PIP and MCP boxes; at an IoU of 0.50 to 0.95",
            ),
        ]
        # One joint is found, and half of the raters' answer and of the detector's are enough for a finding.
        assert [each.baseline for each in headline] == [None, None, 1.0, 0.0, 1.0]
        assert [each.value for each in headline[:4]] == [1.0, 0.25, 1.0, 1.0]
        assert math.isnan(headline[4].value)
        assert [each.value for each in more[:3]] == [0.25, 0.0, 0.25]
        # One of two PIP joints is found, which is enough for 51 of 101 levels of recall, and no MCP joint.
        assert [each.value for each in more[3:]] == pytest.approx([51 / 101 / 2] * 2)

    def test_numbers_that_the_report_states(self) -> None:
        assert (RESAMPLES, MIN_IOU) == (1000, 0.5)

    def test_results_do_not_change(self) -> None:
        for value in (Metric("a", 1, 0, 2, "lower"), Calibration("score", (), (), (), Metric("a", 1, 0, 2, "lower"))):
            with pytest.raises(FrozenInstanceError):
                value.name = "b"  # type: ignore[misc, union-attr]
        for cls in (Results, ScalePredictions, WorstJoint):
            assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


class TestDetections:
    """A joint of 20 by 20 units at (100, 100) and one of another kind far from it."""

    def measure(self, *found: tuple[float, str]) -> dict[str, float]:
        """Return the metrics of boxes with this left side and kind; the first one has the joint's name."""
        hands = make_hands(("A",), [[[100.0, 100, 120, 120], [200.0, 100, 220, 120]]], [[0, 0]])
        names = ["PIP2", *(f"PIP{number}" for number in range(3, 9))]
        said = {
            name: Detection(Candidate(left + 10, 110, 20, kind, 0.9), 0.1)
            for name, (left, kind) in zip(names, found, strict=False)
        }
        return {each.name: each.value for group in evaluate_detections(hands, [said], RNG(0)) for each in group}

    def test_the_best_of_several_boxes_is_the_joints_one(self) -> None:
        found = self.measure((106.0, "PIP"), (102.0, "PIP"), (104.0, "PIP"))
        assert found["Joint detection, mean IoU"] == pytest.approx(18 / 22)
        assert found["False boxes per hand"] == 2
        assert found["Joints found and named correctly"] == 0

    def test_a_box_that_only_touches_or_is_of_another_kind_finds_nothing(self) -> None:
        for left, kind in ((120.0, "PIP"), (100.0, "MCP"), (200.0, "PIP")):
            found = self.measure((left, kind))
            assert found["Joint detection rate"] == found["Joints found and named correctly"] == 0
            assert found["Mean IoU, joints not found count as 0"] == 0
            assert found["False boxes per hand"] == 1

    def test_a_small_overlap_counts_as_such_and_as_a_false_box(self) -> None:
        found = self.measure((119.0, "PIP"))
        assert found["Mean IoU, joints not found count as 0"] == pytest.approx(1 / 39 / 2)
        assert found["Joint detection rate"] == 0
        assert found["False boxes per hand"] == 1

    @pytest.mark.filterwarnings("error")
    def test_a_detector_that_finds_nothing_has_no_baseline_for_its_findings(self) -> None:
        hands = make_hands(("A", "B"), np.tile([100.0, 100, 120, 120], (2, 2, 1)), [[0, 0], [1, 0]])
        headline, _ = evaluate_detections(hands, [{}, {}], RNG(0))
        assert [each.value for each in headline[1:2]] == [0.0]
        assert headline[2].baseline is None
        assert math.isnan(headline[2].value)

    def test_half_an_overlap_is_enough(self) -> None:
        hands = make_hands(("A",), [[[100.0, 100, 120, 120], [200.0, 200, 220, 220]]], [[0, 0]])
        for size, rate in ((10.0, 0.0), (20 * math.sqrt(0.5001), 0.5), (20.0, 0.5)):
            said = {"PIP2": Detection(Candidate(110, 110, size, "PIP", 0.9), 0.1)}
            assert evaluate_detections(hands, [said], RNG(0))[0][1].value == rate

    def test_exactly_half_an_overlap_is_enough(self) -> None:
        """A box of 30 by 30 units that is moved by 10 shares 600 of 1200 square units."""
        hands = make_hands(("A",), [[[100.0, 100, 130, 130], [200.0, 200, 220, 220]]], [[0, 0]])
        said = {"PIP2": Detection(Candidate(125, 115, 30, "PIP", 0.9), 0.1)}
        headline, more = evaluate_detections(hands, [said], RNG(0))
        assert (headline[0].value, headline[1].value, more[1].value) == (0.5, 0.5, 0.0), "found, and no false box"

    def test_boxes_by_the_name_of_their_joint(self) -> None:
        """A's first joint is unknown and its second one exact. B's joints: half an overlap, and another name."""
        square = [100.0, 100, 130, 130]
        hands = make_hands(("A", "B"), [[[math.nan] * 4, square], [square, square]], np.zeros((2, 2)))
        exact, half = (Detection(Candidate(x, 115, 30, "PIP", 0.9), 0.1) for x in (115, 125))
        said = [{"PIP2": exact, "MCP3": exact}, {"PIP2": half, "MCP4": exact}]
        share, mean = evaluate_named_boxes(hands, said, RNG(0))
        assert (share.value, share.low, share.high) == pytest.approx((2 / 3, 0.5, 1.0))
        assert (mean.value, mean.low, mean.high) == pytest.approx((1.5 / 3, 0.25, 1.0))
        assert (share.unit, mean.unit, share.better, mean.better) == ("%", "", "higher", "higher")
        alone, _ = evaluate_named_boxes(make_hands(("A", "A"), [[square] * 2] * 2, np.zeros((2, 2))), said, RNG(0))
        assert alone.value == 3 / 4
        assert math.isnan(alone.low)
        assert math.isnan(alone.high)


class TestWorstJoints:
    def test_the_largest_errors_come_first_and_of_equal_ones_the_least_uncertain(self) -> None:
        labels = np.zeros((9, 3, 2), int)
        labels[:, :, 1] = np.array([0, 1, 1, 2, 3, 3, 0, 3, 2])[:, None]
        labels[4] = [(1, 2), (0, 3), (2, 3)]  # the median of the changes 1, 3, 1 is 1
        labels[5, :2] = -1  # one rater is left
        labels[6, :, 0] = -1  # no rater
        table = np.zeros((9, 4, 4))
        doubts = [0, 0.2, 0.1, 0, 0.3, 0, 0, 0.25, 0.1]
        for row, doubt in enumerate(doubts):
            table[row, 0, 0], table[row, 0, 1] = 1 - doubt, doubt
        pairs, predictions = one_scale(labels, table, [f"C{row}" for row in range(9)])
        pairs = replace(pairs, visits={5: ("baseline", "week 52")})
        worst = find_worst_joints(pairs, predictions)
        assert [each.row for each in worst] == [5, 7, 3, 8, 2, 1]
        assert [each.case for each in worst] == ["C5", "C7", "C3", "C8", "C2", "C1"]
        assert [each.uncertainty for each in worst] == [0, 0.25, 0, 0.1, 0.1, 0.2]
        assert worst[0] == WorstJoint("C5", "L.MCP6", 5, ((0, 3),), (0, 0), 0, 0.0, ("baseline", "week 52"))
        assert worst[2].rater_grades == ((0, 2),) * 3
        assert [each.row for each in find_worst_joints(pairs, predictions, 8)][6:] == [4, 0]
        assert find_worst_joints(pairs, predictions, 8)[6].rater_grades == ((1, 2), (0, 3), (2, 3))

    def test_predicted_grades_change_and_rounding(self) -> None:
        table = np.zeros((2, 4, 4))
        table[0, 1, 3], table[0, 1, 2] = 0.87654, 0.12346
        table[1, 2, 2] = 1
        pairs, predictions = one_scale([[(0, 0)], [(2, 2)]], table)
        first, second = find_worst_joints(pairs, predictions)
        assert (first.row, first.predicted_grades, first.change, first.uncertainty) == (0, (1, 3), 2, 0.123)
        assert (second.row, second.predicted_grades, second.change, second.uncertainty) == (1, (2, 2), 0, 0.0)


class TestRanking:
    @pytest.fixture(autouse=True)
    def _few_resamples(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(evaluate_scorer, "RESAMPLES", 5)

    def rank(self, labels: Any, said: Sequence[tuple[int, int]], cases: Sequence[str]) -> float:
        pairs, predictions = one_scale(labels, sure(said), cases)
        return evaluate_ranking(pairs, predictions, sure(said), RNG(0)).value

    def test_a_joints_change_is_the_mean_over_raters_with_both_scores(self) -> None:
        none = (-1, -1)
        labels = [[(0, 3), (0, 0)], [(0, 2), none], [(3, 0), (1, 2)], [none, (1, -1)], [(0, 1), (0, 1)], [(2, 2), none]]
        # Read: A 1.5 + 2, B −1 (and a joint without scores, of which the prediction does not count), C 1 + 0.
        said = [(0, 3), (0, 1), (1, 0), (0, 3), (1, 1), (2, 3)]
        # Predicted: A 4, B −1, C 1: the same order.
        assert self.rank(labels, said, "AABBCC") == pytest.approx(1.0)
        said[3] = (3, 0)
        assert self.rank(labels, said, "AABBCC") == pytest.approx(1.0)
        said[4:] = [(3, 0), (2, 2)]
        assert self.rank(labels, said, "AABBCC") == pytest.approx(0.5)

    def test_missing_scores_change_neither_the_mean_nor_the_total(self) -> None:
        none = (-1, -1)
        # Read: A 2 (and a joint without scores), B 2.5, C 1.5; predicted: 1, 2 and 0.
        labels = [[(0, 2), none], [none, none], [(0, 3), (0, 2)], [(0, 1), (0, 2)]]
        assert self.rank(labels, [(0, 1), (0, 3), (0, 2), (0, 0)], "AABC") == pytest.approx(1.0)

    def test_it_is_undefined_for_two_patients_and_for_equal_totals(self) -> None:
        ordered = [(0, 1), (0, 2), (0, 3)]
        assert math.isnan(self.rank([[each] for each in ordered[:2]], ordered[:2], "AB"))
        assert self.rank([[each] for each in ordered], ordered, "ABC") == pytest.approx(1.0)
        assert math.isnan(self.rank([[(0, 1)]] * 3, ordered, "ABC"))
        assert math.isnan(self.rank([[each] for each in ordered], [(0, 1)] * 3, "ABC"))


class TestRaters:
    def test_each_two_raters_are_compared_where_both_scored(self) -> None:
        none = (-1, -1)
        labels = [[(0, 2), (1, 1), none], [(0, 0), (0, 3), (3, 0)], [(1, 1), (2, -1), none]]
        headline, more = evaluate_scale(one_scale(labels, sure([(0, 0)] * 3))[1], RNG(0))
        # Changes 2 and 0; 0, 3 and −3. Grades differ by 1 and 1; by 0 and 3, 3 and 0, 3 and 3; and by 1 at one time point.
        assert headline[0].raters == pytest.approx((2 + 3 + 3 + 6) / 4)
        assert more[4].raters == pytest.approx((1 + 1 + 0 + 3 + 3 + 0 + 3 + 3 + 1) / 9)


class TestConfidence:
    def test_bins_are_tenths_and_certainty_is_in_the_last_one(self) -> None:
        table = np.zeros((5, 4, 4))
        for row, confidence in enumerate((1.0, 0.92, 0.89, 0.55, 0.51)):
            table[row, 1, 1], table[row, 1, 2] = confidence, 1 - confidence
        _, predictions = one_scale([[(1, 1)], [(1, 2)], [(1, 1)], [(1, 1)], [(1, 0)]], table)
        found = evaluate_calibration(predictions, "change", RNG(0))
        assert found.count == (2, 1, 2)
        assert found.confidence == pytest.approx((0.53, 0.89, 0.96))
        assert found.accuracy == pytest.approx((0.5, 1.0, 0.5))
        assert found.error.value == pytest.approx((2 * 0.03 + 0.11 + 2 * 0.46) / 5)

    def test_the_confidence_of_a_change_is_that_of_its_size_and_sign(self) -> None:
        table = np.zeros((2, 4, 4))
        table[0, 0, 2], table[0, 0, 0] = 0.85, 0.15
        table[1, 2, 0], table[1, 2, 1] = 0.75, 0.25
        found = evaluate_calibration(one_scale([[(0, 2)], [(2, 1)]], table)[1], "change", RNG(0))
        assert (found.confidence, found.accuracy) == (pytest.approx((0.75, 0.85)), (0.0, 1.0))

    def test_the_score_counts_both_grades_of_each_patient(self) -> None:
        table = np.zeros((2, 4, 4))
        table[0, 0, 3], table[0, 0, 0] = 0.8, 0.2
        table[1, 2, 1], table[1, 3, 1] = 0.7, 0.3
        _, predictions = one_scale([[(0, 2)], [(2, 1)]], table, "AB")
        found = evaluate_calibration(predictions, "score", RNG(0))
        # Expected grades 0 and 2.4, 2.3 and 1: the decisions 0, 2, 2 and 1, of which the second has no chance.
        assert found.count == (1, 1, 2)
        assert found.confidence == pytest.approx((0.0, 0.7, 1.0))
        assert found.accuracy == pytest.approx((1.0, 1.0, 1.0))

    @pytest.mark.parametrize(("count", "sizes"), [(8, (2, 2, 2, 2)), (6, (2, 1, 2, 1)), (5, (2, 1, 1, 1))])
    def test_quarters_are_as_equal_as_can_be(self, count: int, sizes: tuple[int, ...]) -> None:
        table = np.zeros((count, 4, 4))
        doubts = np.arange(count) / 20
        table[:, 0, 0], table[:, 0, 1] = 1 - doubts, doubts
        _, predictions = one_scale([[(0, 0)]] * count, table)
        quarters = evaluate_by_uncertainty(predictions, RNG(0))
        ends = np.cumsum((0, *sizes))
        wanted = [doubts[first:last].mean() for first, last in pairwise(ends)]
        assert [each.baseline for each in quarters] == pytest.approx(wanted)

    def test_few_predictions_leave_quarters_empty(self) -> None:
        _, predictions = one_scale([[(0, 1)]], sure([(0, 0)]))
        quarters = evaluate_by_uncertainty(predictions, RNG(0))
        assert [each.baseline for each in quarters] == [0.0, None, None, None]
        _, predictions = one_scale([[(0, 1)], [(0, 0)]], sure([(0, 0)] * 2))
        assert [each.baseline for each in evaluate_by_uncertainty(predictions, RNG(0))] == [0.0, None, 0.0, None]
        assert quarters[0].value == 1.0
        assert all(math.isnan(each.value) for each in quarters[1:])


def test_agreement_of_single_grades() -> None:
    """Read 0 0 1 3, predicted 1 0 3 3 by patient A; read 3 3 0, predicted 3 1 0 by patient B, of four grades."""
    read, predicted = np.array([0, 0, 1, 3, 3, 3, 0]), np.array([1, 0, 3, 3, 3, 1, 0])
    found = evaluate_status("JSN", read, predicted, list("AAAABBB"), 4, RNG(0), usual=1, published={"accuracy": 0.5})
    values = {each.name.removeprefix("JSN, "): each for each in found}
    errors = [1, 0, 2, 0, 0, 2, 0]
    assert values["mean absolute error"].value == pytest.approx(sum(errors) / 7)
    assert values["mean absolute error"].baseline == pytest.approx(np.abs(read - 1).mean())
    assert values["accuracy"].value == pytest.approx(4 / 7)
    assert values["balanced accuracy"].value == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)
    assert values["balanced accuracy"].baseline == pytest.approx(1 / 3)
    assert values["accuracy"].baseline == pytest.approx(1 / 7)
    # Up to grade 0: 3 read, 2 predicted; up to 1: 4 and 4; up to 2: 4 and 4.
    assert values["Wasserstein distance of the grades"].value == pytest.approx(1 / 7)
    chance = np.square(read[:, None] - predicted).mean()
    assert values["quadratic weighted kappa"].value == pytest.approx(1 - np.square(errors).mean() / chance)
    low, high = 2 / 3, 3 / 4
    assert (values["mean absolute error"].low, values["mean absolute error"].high) == pytest.approx((low, high))
    assert [(each.better, each.unit, each.paper, each.baseline_name) for each in found] == [
        ("higher", "", None, "always grade 1"),
        ("lower", "", None, "always grade 1"),
        ("higher", "%", None, "always grade 1"),
        ("higher", "%", 0.5, "always grade 1"),
        ("lower", "", None, "always grade 1"),
    ]
    assert evaluate_status("JSN", np.array([3]), np.array([2]), ["A"], 4, RNG(0))[4].value == 1, "up to grade 2"
    alone = evaluate_status("JSN", read, predicted, ["A"] * 7, 4, RNG(0))
    assert all(math.isnan(each.low) and math.isnan(each.high) for each in alone)
    assert {(each.baseline, each.baseline_name) for each in alone} == {(None, "")}
