"""The metrics of a scorer on answers made by hand, and their presentation in the report."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ratui.study import Study
from ratui.study.model_results.model_reports import (
    Evaluation,
    Heading,
    Paragraph,
    Picture,
    ReportTable,
    load_evaluation,
)
from ratui.study.model_results.predictions import load_predictions, load_unblinded_predictions
from ratui.study.model_results.reading_order import load_reading_order
from tests.trainer.test_runs import ALONE, CPU
from trainer.data.pairs import PairSamples
from trainer.evaluation.evaluate import evaluate_models
from trainer.evaluation.evaluate_scorer import (
    evaluate_by_uncertainty,
    evaluate_calibration,
    evaluate_scale,
    find_worst_joints,
)
from trainer.evaluation.report import write_report
from trainer.evaluation.report_document import to_html, to_markdown
from trainer.evaluation.scale_predictions import ScalePredictions, match_labels
from trainer.inference.predictions import acquisition_scores, make_predictions, predict_study
from trainer.training.loop import TrainingPlan
from trainer.training.runs import RunPlan, load_split
from trainer.training.scorer_training import train_scorer

pytestmark = pytest.mark.slow

GRADES = 6


def sure_of(grades: list[tuple[int, int]], chance: float = 1.0) -> npt.NDArray[np.float64]:
    """Return probabilities (N, G, G) of a model with the given confidence in each pair, and uniform over all others."""
    table = np.full((len(grades), GRADES, GRADES), (1 - chance) / (GRADES**2 - 1))
    for row, pair in enumerate(grades):
        table[row][pair] = chance
    return table


def samples_of(labels: list[list[tuple[int, int]]], cases: list[str]) -> PairSamples:
    """Return samples of joints with one scale; `labels` by joint and rater."""
    n = len(labels)
    return PairSamples(
        np.zeros((n, 2, 8, 8), np.uint8),
        np.array(labels, np.int64)[:, :, None],
        np.full((n, 1), GRADES - 1),
        np.zeros(n, np.int64),
        np.zeros((n, len(labels[0]), 2), bool),
        tuple(cases),
        tuple(f"L.MCP{row + 1}" for row in range(n)),
        ("MCP",),
        ("ERO",),
    )


def answered(labels: list[list[tuple[int, int]]], said: list[tuple[int, int]], cases: list[str]) -> ScalePredictions:
    return match_labels(samples_of(labels, cases), sure_of(said), 0, "median")


RNG = np.random.default_rng
LABELS = [[(0, 1), (0, 2)], [(2, 2), (2, 2)], [(3, 2), (3, 3)]]
"""Three joints by two raters; the last one improved, or is unchanged."""


class TestScoring:
    def figures(self, said: list[tuple[int, int]]) -> dict[str, float]:
        headline, more = evaluate_scale(answered(LABELS, said, ["A", "A", "B"]), RNG(0))
        return {figure.name.removeprefix("ERO, "): figure.value for figure in (*headline, *more)}

    def test_every_raters_label_counts(self) -> None:
        found = self.figures([(0, 1), (2, 2), (3, 2)])
        # Changes read: 1, 2, 0, 0, −1, 0; predicted: 1, 1, 0, 0, −1, −1.
        assert found["mean error of the difference"] == pytest.approx(2 / 6)
        assert found["mean error of the difference where a change was read"] == pytest.approx(1 / 3)
        assert found["mean error of the difference where no change was read"] == pytest.approx(1 / 3)
        assert found["worsening read by the rater and predicted"] == 1.0
        assert found["change predicted with the wrong sign"] == 0.0

    def test_the_reverse_is_counted(self) -> None:
        found = self.figures([(1, 0), (2, 2), (2, 3)])
        assert found["change predicted with the wrong sign"] == pytest.approx(3 / 6)
        assert found["worsening read by the rater and predicted"] == 0.0

    def test_trivial_answers_and_raters_are_compared(self) -> None:
        headline, _ = evaluate_scale(answered(LABELS, [(0, 0)] * 3, ["A", "A", "B"]), RNG(0))
        assert headline[0].value == headline[0].baseline == pytest.approx(4 / 6)
        assert headline[0].raters == pytest.approx((1 + 0 + 1) / 3)

    def test_joints_with_a_finding_do_not_count(self) -> None:
        pairs = samples_of(LABELS, ["A", "A", "B"])
        found = np.array(pairs.has_finding)
        found[0, 1, 1] = True
        counted = match_labels(replace(pairs, has_finding=found), sure_of([(0, 0)] * 3), 0, "median")
        assert len(counted.row) == 5


class TestUncertainty:
    def test_a_calibrated_model_has_no_gap(self) -> None:
        rng = RNG(1)
        pair = np.zeros((4000, GRADES, GRADES))
        pair[:, 1, 2], pair[:, 1, 1] = 0.75, 0.25
        labels = [[(1, 2)] if rng.random() < 0.75 else [(1, 1)] for _ in range(4000)]
        pairs = samples_of(labels, [f"C{n // 20}" for n in range(4000)])
        honest = evaluate_calibration(match_labels(pairs, pair, 0, "median"), "change", RNG(0))
        assert honest.error.value < 0.02
        assert honest.confidence == pytest.approx((0.75,))
        boastful = evaluate_calibration(
            match_labels(pairs, sure_of([(1, 2)] * 4000, 0.99), 0, "median"), "change", RNG(0)
        )
        assert boastful.error.value == pytest.approx(0.99 - honest.accuracy[0], abs=0.01)
        assert boastful.error.low <= boastful.error.value <= boastful.error.high

    def test_quarters_are_ordered_by_uncertainty(self) -> None:
        labels = [[(0, 0)]] * 4 + [[(0, 3)]] * 4
        probabilities = np.concatenate([sure_of([(0, 0)] * 4), sure_of([(0, 0)] * 4, 0.4)])
        found = evaluate_by_uncertainty(
            match_labels(samples_of(labels, list("ABCDEFGH")), probabilities, 0, "argmax"), RNG(0)
        )
        assert [figure.value for figure in found] == [0, 0, 3, 3]

    def test_the_worst_joint_comes_first_and_the_surest_of_equals(self) -> None:
        labels = [[(0, 0)], [(0, 3)], [(0, 1)], [(0, 3)]]
        probabilities = np.concatenate([sure_of([(0, 0)]), sure_of([(0, 0)], 0.6), sure_of([(0, 0)] * 2)])
        pairs = samples_of(labels, list("ABCD"))
        found = find_worst_joints(pairs, match_labels(pairs, probabilities, 0, "argmax"), count=3)
        assert [each.case for each in found] == ["D", "B", "C"]
        assert found[0].rater_grades == ((0, 3),)
        assert (found[0].predicted_grades, found[0].change) == ((0, 0), 0)

    def test_uncertain_joints_are_the_most_informative(self) -> None:
        pairs = samples_of([[(0, 0)]] * 3, ["sure", "unsure", "sure"])
        probabilities = np.concatenate([sure_of([(0, 0)]), sure_of([(0, 0)], 0.5), sure_of([(0, 0)])])
        worth = acquisition_scores(pairs, [probabilities])
        assert worth["unsure"] > worth["sure"] == pytest.approx(0.0)

    def test_answers_keep_the_joints_own_grades_and_chances(self) -> None:
        pairs = samples_of([[(0, 0)]], ["A"])
        low = replace(pairs, max_grades=np.array([[2]]))
        probabilities = np.zeros((1, GRADES, GRADES))
        probabilities[0, :3, :3] = [[0.1, 0.2, 0.1], [0.1, 0.1, 0.1], [0.1, 0.1, 0.1]]
        (found,) = make_predictions(low, [probabilities], "median")["A"]
        assert found.probabilities == ((0.4, 0.3, 0.3), (0.3, 0.4, 0.3))
        assert len(found.probabilities[0]) == 3


class TestDocument:
    BLOCKS = (
        Heading("<script>", 1),
        Heading("A <b>case</b>"),
        Paragraph("said `x < y`"),
        ReportTable(("name", "value"), (("a|b", "1"), ("", "")), strong=1),
        Picture("p.png", b"\x89PNG", "Errors & more"),
    )

    def test_as_markdown(self) -> None:
        text = to_markdown(self.BLOCKS)
        assert "| a\\|b | **1** |" in text
        assert "![Errors & more](p.png)" in text

    def test_a_page_loads_nothing_and_runs_no_script(self) -> None:
        page = to_html(self.BLOCKS)
        assert "<script" not in page
        assert "<b>case" not in page
        assert "<code>x &lt; y</code>" in page
        assert not re.search(r"(src|href)=\"(?!data:)", page)
        assert "http:" not in page
        assert "https" not in page
        open_tags: list[str] = []

        class Balanced(HTMLParser):
            def handle_starttag(self, tag: str, attrs: object) -> None:
                if tag not in ("meta", "img"):
                    open_tags.append(tag)

            def handle_endtag(self, tag: str) -> None:
                assert open_tags.pop() == tag

        Balanced().feed(page)
        assert not open_tags


class TestOfAStudy:
    """A scorer trained for a moment: its quality does not matter, only that the report contains its results."""

    @pytest.fixture(scope="class")
    def run(self, phantom_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("runs") / "scorer"
        train_scorer(phantom_study, folder, RunPlan(TrainingPlan(epochs=1), batch=64), CPU, ALONE)
        return folder

    def test_the_report_stands_in_three_forms(self, phantom_study: Study, run: Path, tmp_path: Path) -> None:
        results = evaluate_models(phantom_study, None, run, tmp_path, CPU)
        results = replace(results, single_scores=results.single_scores + 5)
        text = write_report(results, tmp_path, study=phantom_study, model="scorer")
        facts = json.loads((tmp_path / "report.json").read_text())
        names = [figure["name"] for figure in facts["headline"]]
        assert names == [
            "ERO, mean error of the difference",
            "ERO, change predicted with the wrong sign",
        ]
        assert all(name in text for name in names)
        assert 1 <= len(facts["worst"]) <= 6
        assert facts["single_scores"] == results.single_scores
        assert f"{results.single_scores} scores are of joints that the rater scored at one time point only" in text
        assert {"more", "differences", "doubted", "sure"} <= facts.keys(), "keys of earlier versions"
        assert facts["sure"][0].keys() == {"what", "sure", "right", "count", "error"}
        assert facts["worst"][0].keys() == {"case", "site", "row", "read", "said", "change", "doubt", "visits"}
        assert facts["worst"][0]["visits"] == ["baseline", "visit 2"]
        assert {each["case"] for each in facts["worst"]} <= set(phantom_study.cases())
        for picture in ("differences.png", "calibration.png", "worst.png"):
            assert f"]({picture})" in text
            assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
        page = (tmp_path / "report.html").read_text()
        assert page.count("data:image/png;base64,") == 3
        assert "no change" in page
        kept = load_evaluation(phantom_study, "ada", "scorer")
        assert isinstance(kept, Evaluation), "ada has signed every case"
        assert kept.cases == results.cases
        assert set(kept.cases) == set(load_split(run).test)
        assert to_markdown(kept.blocks) == text

    def test_answers_are_stored_in_the_study_and_order_the_worklist(
        self, phantom_study: Study, run: Path, tmp_path: Path
    ) -> None:
        done = predict_study(phantom_study, run, "scorer", CPU, tmp_path, order=True)
        assert done.cases == len(phantom_study.cases())
        assert done.order == (), "all are signed: nothing is left to put in order"
        assert load_reading_order(phantom_study) == phantom_study.cases()
        case = phantom_study.cases()[0]
        found = load_predictions(phantom_study, case)
        assert {each.scale for each in found} == {"ERO", "JSN"}
        assert len(found) == sum(
            len(site.joint.scales) for site in phantom_study.case(case).sites(phantom_study.scheme)
        )
        assert load_unblinded_predictions(phantom_study, "ada", case) == found

    def test_open_cases_are_ordered_by_uncertainty(
        self, phantom_study: Study, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signed = phantom_study.cases()[1]
        readings = phantom_study.signed_readings(signed)
        monkeypatch.setattr(Study, "signed_readings", lambda _, case: readings if case == signed else ())
        done = predict_study(phantom_study, run, "scorer", CPU, tmp_path, order=True)
        assert sorted(done.order) == sorted(set(phantom_study.cases()) - {signed})
        assert load_reading_order(phantom_study) == (*done.order, signed)
        doubted = {case: sum(each.uncertainty for each in load_predictions(phantom_study, case)) for case in done.order}
        assert doubted[done.order[0]] > doubted[done.order[-1]]
        (phantom_study.path / "models" / "order.json").unlink()
        (phantom_study.path / "models" / "order.json.bak").unlink()
