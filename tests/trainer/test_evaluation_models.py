"""The evaluation of models as a whole: their cases, the order of the metrics, and the facts of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ratui.detection.joint_network import Detection
from ratui.errors import TrainError
from ratui.imaging import Box
from ratui.reading import Field
from tests.trainer.synthetic import SmallReading, SmallStudy, make_hands, make_pairs
from trainer.data.hands import HandSamples
from trainer.data.pairs import PairSamples
from trainer.evaluation import evaluate, evaluate_scorer
from trainer.evaluation.evaluate import (
    DetectorOutput,
    Results,
    ScorerOutput,
    evaluate_models,
    evaluate_predictions,
)
from trainer.training.lineage import DataUsed, Lineage

CPU = torch.device("cpu")
BOX = Box(14.0, 20.0, 30.0, 36.0)
SITES = ("L.MCP2", "R.MCP2")


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the intervals quickly; their values are tested elsewhere."""
    monkeypatch.setattr(evaluate_scorer, "RESAMPLES", 20)


def sure(count: int, grades: int) -> np.ndarray:
    """Return the probabilities of a scorer that is sure of the grades 0 and 1."""
    table = np.zeros((count, grades, grades))
    table[:, 0, 1] = 1.0
    return table


class TestModels:
    @pytest.fixture
    def study(self) -> SmallStudy:
        def reading(rater: str, change: int) -> SmallReading:
            scores = {Field(site, "ERO", time): time * change for site in SITES for time in (0, 1)}
            scores |= {Field(site, "JSN", time): 2 * time for site in SITES for time in (0, 1)}
            return SmallReading(rater, scores)

        cases = {f"C{n}": (reading("ada", change), reading("ben", 1)) for n, change in enumerate((3, 1, 2, 3, 0))}
        return SmallStudy(cases, {(site, time): BOX for site in SITES for time in (0, 1)})

    @pytest.fixture
    def runs(self, tmp_path: Path) -> dict[str, Path]:
        """Return the folders of a detector, of a scorer, and of one of which it is not known what it learned from."""
        known = {
            "detector": Lineage("detector", data=(DataUsed.of_study("S", 1, ("C1",), ""),)),
            "scorer": Lineage("scorer", data=(DataUsed.of_study("S", 1, ("C0", "C3"), ""),)),
            "other": Lineage("scorer", is_known=False),
        }
        for name, lineage in known.items():
            (tmp_path / name).mkdir()
            torch.save({"model": {}, "about": {"lineage": lineage.to_record()}}, tmp_path / name / "model.pt")
        return {name: tmp_path / name for name in known}

    @pytest.fixture
    def loaded(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        """Take the place of the networks; return what is asked of them."""
        asked: list[object] = []

        def scorers(runs: tuple[Path, ...], device: torch.device) -> list[SimpleNamespace]:
            asked.append(([run.name for run in runs], device))
            return [SimpleNamespace(about={"loss": loss}) for loss in ("pair", "ce", "pair")[: len(runs)]]

        def score(_: object, pairs: PairSamples) -> list[np.ndarray]:
            return [sure(len(pairs.crops), {"ERO": 6, "JSN": 5}[scale]) for scale in pairs.scales]

        def find(model: object, images: np.ndarray, scheme: object) -> list[dict[str, Detection]]:
            asked.append((model, len(images)))
            return [{} for _ in images]

        monkeypatch.setattr(evaluate, "load_scorers", scorers)
        monkeypatch.setattr(evaluate, "score_samples", score)
        monkeypatch.setattr(evaluate, "load_detector", lambda run, device: (run.name, device))
        monkeypatch.setattr(evaluate, "find_sites_of_samples", find)
        return asked

    @pytest.fixture
    def run(
        self, study: SmallStudy, runs: dict[str, Path], tmp_path: Path, loaded: list[object]
    ) -> Callable[..., Results]:
        def run(detector: str = "", *scorers: str, **settings: Any) -> Results:
            first, *more = (runs[name] for name in scorers)
            return evaluate_models(
                study,  # type: ignore[arg-type]
                runs[detector] if detector else None,
                first,
                tmp_path / "out",
                CPU,
                more_scorers=more,
                **settings,
            )

        return run

    def test_a_scorer_alone(self, run: Callable[..., Results], loaded: list[object]) -> None:
        found = run("", "scorer")
        assert loaded == [(["scorer"], CPU)]
        assert (found.cases, found.excluded, found.films, found.joints) == (("C1", "C2", "C4"), 2, 0, 6)
        assert (found.loss, found.decision, found.unknown_models) == ("pair", "expectation", ())
        assert (found.folds, found.seeds, found.seed_values) == (0, (), ()), "it is no cross-validation"
        assert [each.name for each in found.headline] == [
            "ERO, mean error of the difference",
            "ERO, change predicted with the wrong sign",
        ]
        names = [each.name for each in found.other_metrics]
        assert [name.partition(",")[0] for name in names] == ["ERO"] * 6 + ["JSN"] * 8
        assert names[5].startswith("ERO, rank correlation")
        assert names[6:8] == [each.name.replace("ERO", "JSN") for each in found.headline]
        assert names[8:13] == [name.replace("ERO", "JSN") for name in names[:5]]
        assert names[13] == names[5].replace("ERO", "JSN")
        # Ada reads changes of 1, 2 and 0, Ben of 1; the model says 1.
        assert sorted(found.change_errors.tolist()) == [-1.0] * 2 + [0.0] * 8 + [1.0] * 2
        assert [(each.target, each.error.name[:3]) for each in found.calibrations] == [
            (target, scale) for scale in ("ERO", "JSN") for target in ("score", "change")
        ]
        assert found.uncertainty_metrics[:4] == tuple(each.error for each in found.calibrations)
        assert len(found.uncertainty_metrics) == 8
        assert [each.case for each in found.worst_joints[:4]] == ["C2", "C2", "C4", "C4"]
        samples = {(each.case, each.site) for each in found.worst_joints}
        assert len(samples) == len(found.worst_joints) == len(found.crops) == 6
        assert {crop.shape for crop in found.crops} == {(2, 72, 72)}

    def test_the_errors_and_worst_joints_are_of_erosions_in_any_order_of_the_scales(
        self, run: Callable[..., Results], study: SmallStudy
    ) -> None:
        one = run("", "scorer")
        study.scheme = replace(study.scheme, scales=study.scheme.scales[::-1])
        other = run("", "scorer")
        assert other.change_errors.tolist() == one.change_errors.tolist()
        assert other.worst_joints == one.worst_joints
        assert other.headline[0].value == one.headline[0].value

    def test_a_scheme_without_erosions(self) -> None:
        """The errors are those of the first scale."""
        labels = np.zeros((3, 1, 2, 2), int)
        labels[:, 0, 0, 1], labels[:, 0, 1, 1] = [1, 0, 2], [2, 2, 2]
        pairs = replace(make_pairs(labels), scales=("JSN", "SYN"))
        output = ScorerOutput(pairs, ([sure(3, 4), sure(3, 3)],), "pair")
        found = evaluate_predictions(("C0", "C1"), None, output, np.random.default_rng(0))
        assert sorted(found.change_errors.tolist()) == [-1.0, 0.0, 1.0]
        assert found.headline == ()

    def test_saliency_maps_are_made_if_asked_for(self, run: Callable[..., Results]) -> None:
        assert run("", "scorer").saliency == ()
        maps = run("", "scorer", saliency=3).saliency
        assert [(each.scale, each.reason) for each in maps] == [("ERO", "large error")] * 2 + [("ERO", "random")]
        assert [each.case for each in maps[:2]] == ["C2", "C2"]
        assert all(each.grades == (0, 1) and not each.grade_maps.any() for each in maps)

    def test_with_a_detector_and_several_scorers(self, run: Callable[..., Results], loaded: list[object]) -> None:
        found = run("detector", "scorer", "other", "scorer", decision="median")
        assert loaded == [(("detector", CPU), 8), (["scorer", "other", "scorer"], CPU)]
        assert (found.cases, found.excluded, found.films, found.joints) == (("C2", "C4"), 3, 8, 4)
        assert (found.loss, found.decision, found.unknown_models) == ("pair, ce", "median", ("scorer 2",))
        assert len(found.headline) == 5 + 2
        assert [each.name.partition(",")[0] for each in found.other_metrics[:6]] == [
            "Mean IoU",
            "False boxes per hand",
            "Joints found and named correctly",
            "AP50",
            "AP50:95",
            "ERO",
        ]

    def test_a_detector_alone_has_no_errors_of_changes(self) -> None:
        hands = make_hands(("C9",), np.tile([100.0, 100.0, 120.0, 120.0], (1, 2, 1)), [[0, 0]])
        found = evaluate_predictions(("C8", "C9"), DetectorOutput(hands, [[{}]]), None, np.random.default_rng(0))
        assert (found.cases, found.films, found.joints, found.loss) == (("C9",), 1, 0, "")
        assert found.change_errors.shape == (0,)
        assert found.calibrations == found.worst_joints == ()

    def test_boxes_that_a_detector_proposed_are_counted(
        self, run: Callable[..., Results], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        boxes = np.tile([100.0, 100.0, 120.0, 120.0], (1, 2, 1))

        def load(study: object, cases: object, folder: Path, progress: object, *, independent: bool) -> HandSamples:
            assert independent
            hands = make_hands(("C9",), boxes, [[0, 0]])
            return HandSamples(**{**vars(hands), "dependent": 7})

        monkeypatch.setattr(evaluate, "load_hand_samples", load)
        assert run("detector", "scorer").dependent_boxes == 7
        assert run("", "scorer").dependent_boxes == 0

    def test_the_seed_decides_the_intervals(self, run: Callable[..., Results]) -> None:
        one, same, other = (
            [(each.low, each.high) for each in run("", "scorer", seed=seed).other_metrics] for seed in (0, 0, 1)
        )
        assert repr(one) == repr(same)
        assert repr(one) == repr([(each.low, each.high) for each in run("", "scorer").other_metrics])
        assert repr(one) != repr(other)

    def test_a_report_inside_the_study_is_refused(self, study: SmallStudy, runs: dict[str, Path]) -> None:
        for out in (study.path, study.path / "report"):
            with pytest.raises(TrainError, match="can't be inside the study"):
                evaluate_models(study, None, runs["scorer"], out, CPU)  # type: ignore[arg-type]
