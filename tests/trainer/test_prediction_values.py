"""Values of predictions outside a study: tables of films, ensembles, exported networks, and weights from a file."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.detection.hand_finder import FoundHand
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from ratui.errors import TrainError
from ratui.scheme import load_scheme
from ratui.study.model_results.model_domain import DomainReason, DomainVerdict
from tests.trainer.synthetic import SmallStudy, make_hands, make_pairs, make_scorer
from trainer.data.pairs import PAIR_CROP_SIZE, PairSamples
from trainer.inference import film_predictions, onnx_export, predictions, scoring
from trainer.inference.film_pairs import FilmPair
from trainer.inference.onnx_export import ExportedModel, measure_agreement
from trainer.inference.predictions import acquisition_scores, make_film_predictions, make_predictions, predict_study
from trainer.inference.scoring import score_samples
from trainer.models.backbones import build_ssd
from trainer.models.scorer import predict
from trainer.models.scorer_backbones import build_trunk, load_trunk_weights
from trainer.models.torchvision_internals import predict_boxes
from trainer.training.model_domain import REASONS

CPU = torch.device("cpu")
SCHEME = load_scheme("fingers")
SIDE = PAIR_CROP_SIZE
LIKE, UNLIKE = DomainVerdict(0.5, None), DomainVerdict(1.5, DomainReason.UNLIKE)


def sure(earlier: Any, later: Any, grades: int) -> np.ndarray:
    """Return the probabilities of a scorer that is sure of these grades."""
    table = np.zeros((len(earlier), grades, grades))
    table[range(len(earlier)), earlier, later] = 1.0
    return table


class TestFilms:
    """The grade of a joint is the grey level at the left edge of its crop, as the scorer sees it."""

    @pytest.fixture
    def table(self, monkeypatch: pytest.MonkeyPatch) -> film_predictions._Table:
        def score(_: object, samples: PairSamples) -> list[np.ndarray]:
            read = samples.crops[:, :, 0, 0]
            return [sure(read[:, 0], read[:, 1], 1 + int(top)) for top in samples.max_grades.max(axis=0)]

        monkeypatch.setattr(film_predictions, "score_samples", score)
        monkeypatch.setattr(film_predictions, "judge_films", lambda *_: {"0": LIKE, "1": LIKE})
        return film_predictions._Table(SCHEME, ("scorer",), "median")  # type: ignore[arg-type]

    def hand(self, side: str, verdict: DomainVerdict = LIKE, **grades: tuple[int, int]) -> film_predictions._Hand:
        """Return a hand whose crops have these grey levels in their left and in their right half."""
        crops, joints = {}, {}
        for number, (joint, halves) in enumerate(grades.items()):
            crops[joint] = np.repeat(np.repeat(np.uint8([halves]), SIDE, axis=0), SIDE // 2, axis=1)
            joints[joint] = Detection(Candidate(10.0 + number, 20.0, 4.0, joint[:3], 0.75), 0.25)
        return film_predictions._Hand(FoundHand(side, joints, 0.0), crops, verdict)

    def rows(self, table: film_predictions._Table) -> list[dict[str, object]]:
        return [dict(zip(table.header, row, strict=True)) for row in table.rows]

    @pytest.mark.parametrize(("side", "half"), [("L", 0), ("R", 1)])
    def test_a_single_film_has_grades_and_no_change(self, table: film_predictions._Table, side: str, half: int) -> None:
        table.add_film("a.dcm", side, self.hand(side, MCP2=(3, 1), PIP3=(0, 2)))
        one, two = self.rows(table)
        assert (one["ERO_grade"], one["JSN_grade"]) == ((3, 1)[half],) * 2
        assert (two["ERO_grade"], two["ERO_expected"]) == ((0, 2)[half],) * 2
        for row in (one, two):
            assert row[f"ERO_p{row['ERO_grade']}"] == 1.0
            assert {row[key] for key in ("time", "other_film", "ERO_change", "ERO_change_error", "JSN_change")} == {""}
        assert [one[key] for key in ("film", "side", "joint", "x0", "y0", "x1", "y1", "score", "finding")] == [
            "a.dcm", side, "MCP2", 8.0, 18.0, 12.0, 22.0, 0.75, 0.25,
        ]  # fmt: skip

    def test_the_later_film_of_a_pair_states_the_change(self, table: film_predictions._Table) -> None:
        hands = self.hand("L", MCP2=(1, 0), PIP3=(2, 0)), self.hand("L", PIP3=(1, 0), MCP2=(4, 0), MCP5=(0, 0))
        table.add_pair(FilmPair("old", "new"), "L", hands)
        found = self.rows(table)
        assert [(row["film"], row["time"], row["other_film"], row["joint"], row["ERO_grade"]) for row in found] == [
            ("old", 0, "new", "MCP2", 1),
            ("new", 1, "old", "MCP2", 4),
            ("old", 0, "new", "PIP3", 2),
            ("new", 1, "old", "PIP3", 1),
        ]
        assert [row["ERO_change"] for row in found] == ["", 3, "", -1]
        assert [row["JSN_change_error"] for row in found] == ["", 0.0, "", 0.0]
        assert [row["x0"] for row in found] == [8.0, 9.0, 9.0, 8.0], "each row has the box on its film"

    def test_a_film_unlike_those_of_the_detector_has_no_findings_but_grades(
        self, table: film_predictions._Table
    ) -> None:
        table.add_film("a.dcm", "L", self.hand("L", UNLIKE, MCP2=(3, 1)))
        (row,) = self.rows(table)
        assert (row["finding"], row["domain"], row["score"], row["ERO_grade"]) == ("", 1.5, 0.75, 3)
        assert row["no_finding"] == "the film is unlike those that the model learned from"
        assert (row["grades_domain"], row["no_grades"], table.ungraded) == (0.5, "", 0)

    def test_a_film_unlike_those_of_the_scorer_takes_the_grades_of_its_pair(
        self, table: film_predictions._Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(film_predictions, "judge_films", lambda *_: {"0": LIKE, "1": UNLIKE})
        table.add_pair(FilmPair("old", "new"), "L", (self.hand("L", MCP2=(1, 0)), self.hand("L", MCP2=(4, 0))))
        old, new = self.rows(table)
        for row in (old, new):
            assert {value for key, value in row.items() if key[:4] in ("ERO_", "JSN_")} == {""}
            assert (row["finding"], row["domain"], row["no_finding"]) == (0.25, 0.5, "")
        assert (old["grades_domain"], old["no_grades"]) == (0.5, "")
        assert (new["grades_domain"], new["no_grades"]) == (1.5, REASONS[DomainReason.UNLIKE])
        assert table.ungraded == 2

    def test_hands_are_matched_by_their_side(self) -> None:
        left, right, other = self.hand("L"), self.hand("R"), self.hand("R")
        assert film_predictions._match_hands([left, right], [other], "") == [("R", right, other)]
        assert film_predictions._match_hands([left], [other], "L") == [("L", left, other)]
        assert film_predictions._match_hands([left, right], [other], "R") == [("R", right, other)]
        assert film_predictions._match_hands([left], [other], "") == []

    def test_bright_bone_in_the_middle_is_a_positive(self) -> None:
        crop = np.full((SIDE, SIDE), 50, np.uint8)
        crop[:, SIDE // 3 : -SIDE // 3] = 200
        assert film_predictions._measure_contrast({"MCP2": crop}) > 100
        assert film_predictions._measure_contrast({"MCP2": 255 - crop}) < -100


class TestSingleJoints:
    """Two joints with both films and one with the later film only, which is the third one."""

    PAIRS = make_pairs(np.full((3, 1, 2, 2), -1), cases=("A", "A", "A"))
    TABLES = (sure([0, 1, 0], [1, 1, 2], 4), sure([0, 0, 1], [0, 2, 2], 3))

    @pytest.fixture(autouse=True)
    def _one_film(self) -> None:
        self.PAIRS.single_times[2] = 1

    def test_they_have_no_change(self) -> None:
        found = make_predictions(self.PAIRS, self.TABLES, "median")["A"]
        assert [(each.site, each.scale, each.grades, each.change) for each in found] == [
            ("L.MCP1", "ERO", (0, 1), 1),
            ("L.MCP1", "JSN", (0, 0), 0),
            ("L.MCP2", "ERO", (1, 1), 0),
            ("L.MCP2", "JSN", (0, 2), 2),
        ]
        single = make_film_predictions(self.PAIRS, self.TABLES, "median")["A"]
        assert [(each.site, each.scale, each.time, each.grade) for each in single] == [
            ("L.MCP3", "ERO", 1, 2),
            ("L.MCP3", "JSN", 1, 2),
        ]

    def test_they_do_not_count_for_the_order_of_the_cases(self) -> None:
        doubt = np.full((3, 4, 4), 1 / 16)
        doubt[:2] = sure([0, 1], [1, 1], 4)
        assert acquisition_scores(self.PAIRS, [doubt])["A"] == 0.0


class TestEnsembles:
    def test_probabilities_are_averaged_and_then_decided(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two scorers say 0 with 0.6 and 0.55, and the third one 2 with 0.9: 2 has the largest mean, 0 the most votes."""
        shares = {"a": (0.6, 0.4), "b": (0.55, 0.45), "c": (0.1, 0.9)}

        def score(scorer: str, _: object) -> list[np.ndarray]:
            table = np.zeros((1, 3, 3))
            table[0, 0, 0], table[0, 2, 2] = shares[scorer]
            return [table]

        monkeypatch.setattr(scoring, "_score", score)
        (mean,) = score_samples(tuple(shares), make_pairs(np.zeros((1, 1, 2, 2))))  # type: ignore[arg-type]
        assert (mean[0, 0, 0], mean[0, 2, 2]) == pytest.approx((1.25 / 3, 1.75 / 3))

    def test_all_scorers_predict_for_a_study(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded: list[str] = []

        def load(runs: tuple[Path, ...], _: object) -> tuple[()]:
            loaded.extend(run.name for run in runs)
            raise InterruptedError

        monkeypatch.setattr(predictions, "intact_case", lambda study, id: study.case(id))
        monkeypatch.setattr(predictions, "load_scorers", load)
        study = SmallStudy({"C1": ()}, {})
        with pytest.raises(InterruptedError):
            predict_study(study, Path("a"), "m", CPU, tmp_path, more_scorers=(Path("b"), Path("c")))  # type: ignore[arg-type]
        assert loaded == ["a", "b", "c"]


class TestExport:
    """The networks that are exported, in torch."""

    def test_the_scorer_is_the_one_that_predicts(self) -> None:
        model = make_scorer().eval()
        for head in (*model.heads, *model.changes):
            head.weight.data *= 10
        crops = np.random.default_rng(0).integers(0, 256, (6, 2, 32, 32), np.uint8)
        crops[:, 1] //= 4
        groups, largest = np.arange(6) % 2, np.tile([[3, 2], [2, -1]], (3, 1))
        with torch.no_grad():
            found = onnx_export._GradePairs(model)(
                torch.from_numpy(crops).float() / 255, torch.from_numpy(groups), torch.from_numpy(largest)
            )
        for table, wanted in zip(found, predict(model, crops, groups, largest), strict=True):
            assert table.numpy() == pytest.approx(wanted, abs=1e-5)
            assert np.abs(wanted - wanted.swapaxes(1, 2)).max() > 0.01

    def test_boxes_are_those_of_the_detector(self) -> None:
        torch.manual_seed(0)
        ssd = build_ssd("small").eval()
        images = torch.rand(1, 1, COARSE_SIZE, COARSE_SIZE)
        factor = FINE_SIZE // COARSE_SIZE
        proposer = onnx_export._BoxProposer(SimpleNamespace(ssd=ssd)).eval()  # type: ignore[arg-type]
        with torch.no_grad():
            boxes, shares = proposer(images.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3))
            ((wanted, logits),) = predict_boxes(ssd, list(images))
        assert torch.allclose(boxes[0], wanted.clamp(0, COARSE_SIZE), atol=1e-3)
        assert torch.allclose(shares[0], logits.softmax(dim=1), atol=1e-5)

    def test_the_check_compares_all_outputs_on_two_different_films(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network = onnx_export._GradePairs(make_scorer().eval())
        fed: list[dict[str, np.ndarray]] = []
        error = [0.0, 0.0]

        class Session:
            def __init__(self, *_: object, **__: object) -> None:
                pass

            def run(self, _: object, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
                fed.append(feed)
                with torch.no_grad():
                    tables = network(*map(torch.from_numpy, feed.values()))
                return [table.numpy() + wrong for table, wrong in zip(tables, error, strict=True)]

        hands = make_hands(("a", "b"), np.tile([20.0, 20, 60, 60], (2, 2, 1)), np.zeros((2, 2)))
        images = np.random.default_rng(0).integers(0, 256, (2, 160, 160), np.uint8)
        drawn = SimpleNamespace(images=images, boxes=hands.boxes, joints=hands.joints)
        monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=Session))
        monkeypatch.setattr(onnx_export, "simulate_hands", lambda *_, **__: drawn)
        model = ExportedModel("", network, ("crops", "groups", "max_grades"), ("ERO", "JSN"), b"")
        assert measure_agreement([model], 2, tmp_path) == [0.0]
        crops = fed[1]["crops"]
        assert 0 < np.abs(crops[:, 0] - crops[:, 1]).mean() < 1
        assert crops.max() > 0.5, "the film has levels up to 1"
        for wrong, wanted in ((0.25, pytest.approx(0.25, abs=1e-6)), (np.nan, np.inf)):
            error[1] = wrong
            assert measure_agreement([model], 2, tmp_path) == [wanted]


class TestBackbone:
    """Weights of a file of torchvision."""

    @pytest.fixture(scope="class")
    @classmethod
    def network(cls) -> nn.Module:
        """Return a network all of whose tensors differ from those of a new one."""
        torch.manual_seed(5)
        network = torchvision.models.resnet18()
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand(value.shape) / 2)
        return network

    def test_each_tensor_is_taken_over(self, network: nn.Module, tmp_path: Path) -> None:
        torch.save(network.state_dict(), tmp_path / "w.pth")
        torch.manual_seed(6)
        trunk, _ = build_trunk("resnet18")
        assert load_trunk_weights(trunk, "resnet18", tmp_path / "w.pth") == 120
        wanted = {key: value for key, value in network.state_dict().items() if not key.startswith("fc.")}
        found = trunk.state_dict()
        wanted["conv1.weight"] = wanted["conv1.weight"].sum(dim=1, keepdim=True)
        assert found.keys() == wanted.keys()
        assert [key for key, value in wanted.items() if not torch.equal(found[key], value)] == []

    def test_a_file_that_lacks_one_is_refused(self, network: nn.Module, tmp_path: Path) -> None:
        for name in ("layer3.1.bn2.running_var", "layer4.1.conv2.weight"):
            state = network.state_dict()
            del state[name]
            torch.save(state, tmp_path / "w.pth")
            with pytest.raises(TrainError, match=f"1 tensors are missing: {name}"):
                load_trunk_weights(build_trunk("resnet18")[0], "resnet18", tmp_path / "w.pth")
