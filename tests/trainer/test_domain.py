"""Domains of models: their statistics, how they are measured and stored, and the verdicts on films."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ratui.detection.finger_joints import JOINT_KINDS
from ratui.detection.hand_finder import FoundHand
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from ratui.errors import TrainError
from ratui.study.model_results.model_domain import DomainReason, DomainVerdict
from tests.trainer.synthetic import make_pairs
from trainer.data.hands import Frame, HandSamples
from trainer.data.pairs import PairSamples
from trainer.inference.domain import judge_films, judge_hand, list_unlike_rows
from trainer.inference.scoring import TrainedScorer
from trainer.models.detector import JointDetector, load_detector
from trainer.shipped import SHIPPED
from trainer.training.detector_domain import crop_for_refiner, extract_refiner_features, measure_detector_domain
from trainer.training.domain_statistics import FeatureDomain, fit_domain, squared_distance
from trainer.training.lineage import DataUsed, Lineage
from trainer.training.model_card import format_model_card
from trainer.training.model_domain import ModelDomain, load_domain, pick_films, store_domain, worst_verdict
from trainer.training.scorer_domain import extract_scorer_features, measure_scorer_domain

CPU = torch.device("cpu")
KNOWN = FeatureDomain(np.array([1.0, 2.0]), np.array([[2.0, 0.0], [0.0, 0.5]]), 4.0, 60, True)


def draw_films(films: int, joints: int, *, shift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Return features (films * joints, 3), and the film of each joint: films differ by a tenth of what joints do."""
    rng = np.random.default_rng(seed)
    own, shared = rng.normal(0, 1, (films, joints, 3)), rng.normal(0, 0.3, (films, 1, 3))
    mixed = (own + shared + shift) @ np.array([[3.0, 1.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 1e-2]])
    return mixed.reshape(-1, 3) + 5.0, [f"{film:03d}" for film in range(films) for _ in range(joints)]


class TestStatistics:
    def test_the_distance_is_the_mean_product_of_two_joints(self) -> None:
        assert squared_distance(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])) == pytest.approx((0 + 1 + 1) / 3)
        assert squared_distance(np.array([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-1.0)

    def test_the_score_is_the_distance_of_whitened_features_by_the_threshold(self) -> None:
        """Whitened, the three joints are (2, 0), (2, 1) and (0, 1)."""
        joints = np.array([[2.0, 2.0], [2.0, 4.0], [1.0, 4.0]])
        assert KNOWN.score(joints) == pytest.approx((4 + 0 + 1) / 3 / 4)
        assert KNOWN.score(np.array([[2.0, 2.0], [0.0, 2.0], [1.0, 2.0]])) == 0.0, "it would be negative"
        assert KNOWN.score(joints[:2]) is None

    def test_the_threshold_is_a_rank_of_distances_to_the_other_half_of_the_cases(self) -> None:
        features, films = draw_films(120, 4)
        cases = [str(int(film) // 2) for film in films]  # a case has two films
        domain = fit_domain(features, films, cases, is_held_out=True)
        assert domain is not None
        names, film, case = sorted(set(cases)), np.array(films), np.array(cases)
        half = {name: place % 2 for place, name in enumerate(names)}
        own_half = np.array([half[each] for each in case])
        distances = []
        for name in sorted(set(films)):
            rows = film == name
            other = features[own_half != own_half[rows][0]]
            scale = other.std(axis=0)
            values, axes = np.linalg.eigh(np.cov((other / scale).T))
            whitened = ((features[rows] - other.mean(axis=0)) / scale) @ axes
            whitened /= np.sqrt(3 * (0.9 * values + 0.1 * values.mean()))
            products = [whitened[a] @ whitened[b] for a in range(4) for b in range(a)]
            distances.append(sum(products) / len(products))
        assert domain.threshold == pytest.approx(sorted(distances)[math.ceil(0.99 * 121) - 1])
        assert domain.films == 120

    @pytest.mark.parametrize("joints", [3, 4, 12])
    def test_about_one_new_film_in_a_hundred_is_flagged_and_a_far_one_is(self, joints: int) -> None:
        domain = fit_domain(*draw_films(400, 8), [str(n // 8) for n in range(3200)], is_held_out=True)
        assert domain is not None

        def flagged(shift: float) -> float:
            features, _ = draw_films(500, joints, shift=shift, seed=1)
            scores = [domain.score(film) for film in features.reshape(500, joints, 3)]
            return float(np.mean([score is not None and score > 1 for score in scores]))

        assert flagged(0.0) <= (0.02 if joints > 4 else 0.06)
        assert flagged(3.0) > 0.99

    def test_too_few_films_or_films_of_too_few_joints_have_no_domain(self) -> None:
        features, films = draw_films(50, 3)
        assert fit_domain(features, films, films, is_held_out=True) is not None
        assert fit_domain(features[3:], films[3:], films[3:], is_held_out=True) is None
        assert fit_domain(features[1:], films[1:], films[1:], is_held_out=True) is None
        assert fit_domain(np.ones_like(features), films, films, is_held_out=True) is None

    def test_a_constant_feature_does_not_matter_until_it_changes(self) -> None:
        features, films = draw_films(60, 4)
        features = np.column_stack([features, np.full(len(features), 7.0)])
        domain = fit_domain(features, films, films, is_held_out=True)
        assert domain is not None
        assert domain.score(features[:4]) == pytest.approx(0.0, abs=1.0)
        assert (domain.score(np.add(features[:4], [0, 0, 0, 1.0])) or 0) > 1


class TestVerdicts:
    FILM = np.array([[4.0, 2.0], [4.0, 2.0], [4.0, 2.0]])  # whitened (6, 0): a score of 9

    def test_unlike_like_and_too_few_joints(self) -> None:
        domain = ModelDomain(KNOWN)
        assert domain.judge(self.FILM) == DomainVerdict(9.0, DomainReason.UNLIKE)
        assert domain.judge(self.FILM - [2.0, 0.0]) == DomainVerdict(1.0, None), "1 is still like"
        assert domain.judge(self.FILM[:2]) == DomainVerdict(None, DomainReason.FEW_JOINTS)
        with pytest.raises(TrainError, match="another network"):
            domain.judge(self.FILM[:, :1])

    def test_without_statistics_a_model_of_simulated_films_gives_no_answer_and_any_other_does(self) -> None:
        assert ModelDomain(None, is_simulated=True).judge(self.FILM) == DomainVerdict(None, DomainReason.UNKNOWN)
        assert ModelDomain(None).judge(self.FILM) == DomainVerdict(None, None)
        assert (ModelDomain(None).is_unknown, ModelDomain(KNOWN).is_unknown) == (True, False)

    def test_the_strictest_of_several_models_counts(self) -> None:
        like, unlike = DomainVerdict(0.9, None), DomainVerdict(1.2, DomainReason.UNLIKE)
        assert worst_verdict([like, unlike, DomainVerdict(0.1, None)]) == unlike
        assert worst_verdict([DomainVerdict(None, None), like]) == like
        assert worst_verdict([like, DomainVerdict(None, DomainReason.UNKNOWN)]).reason is DomainReason.UNKNOWN


class TestStorage:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Return a checkpoint of an earlier version, which learned from simulated films."""
        lineage = Lineage("detector", data=(DataUsed.of_phantoms(1, 10),)).to_record()
        state = {"model": {"a": torch.ones(2)}, "about": {"model": "detector", "lineage": lineage}}
        torch.save(state, tmp_path / "model.pt")
        return tmp_path / "model.pt"

    def test_statistics_are_stored_loaded_and_removed_with_the_weights(self, file: Path) -> None:
        assert load_domain(file) == ModelDomain(None, is_simulated=True)
        assert "gives no findings" in format_model_card(file)
        store_domain(file, KNOWN)
        stored = load_domain(file.parent)
        assert stored.known is not None
        assert (stored.known.threshold, stored.known.films, stored.known.is_held_out) == (4.0, 60, True)
        assert np.array_equal(stored.known.mean, KNOWN.mean)
        assert np.array_equal(stored.known.directions, KNOWN.directions)
        assert stored.judge(TestVerdicts.FILM).score == 9.0
        assert torch.load(file, weights_only=True)["model"]["a"].tolist() == [1.0, 1.0]
        assert "Measured on 60 films: 99% have" in format_model_card(file)
        store_domain(file, replace(KNOWN, is_held_out=False))
        assert "60 films, some of which it has learned from" in format_model_card(file)
        store_domain(file, None)
        assert load_domain(file).known is None

    @pytest.mark.parametrize(
        "change",
        [
            {"mean": torch.ones(3)},
            {"directions": torch.full((2, 2), math.nan)},
            {"threshold": 0.0},
            {"threshold": math.inf},
            {"films": "many"},
            {"mean": [1.0, 2.0]},
        ],
    )
    def test_damaged_statistics_are_refused(self, file: Path, change: dict[str, Any]) -> None:
        state = torch.load(file, weights_only=True)
        torch.save({**state, "domain": {**KNOWN.to_record(), **change}}, file)
        with pytest.raises(TrainError, match="its domain is damaged"):
            load_domain(file)

    def test_a_model_whose_data_are_not_known_is_not_of_simulated_films(self, tmp_path: Path) -> None:
        for lineage in (Lineage("scorer"), Lineage("scorer", data=(DataUsed.of_study("s", 1, (), ""),))):
            about = {"model": "scorer", "lineage": lineage.to_record()}
            torch.save({"model": {}, "about": about}, tmp_path / "model.pt")
            assert not load_domain(tmp_path).is_simulated
            assert "it answers for all films" in format_model_card(tmp_path)


class GreyScorer(nn.Module):
    """A network whose features are mean and standard deviation of the grey levels of each crop."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def extract_features(self, crops: Tensor) -> Tensor:
        return torch.stack([crops.mean(dim=(2, 3)), crops.std(dim=(2, 3))], dim=2) * self.weight


def measure(
    network: GreyScorer, samples: PairSamples, learned: Sequence[int], validated: Sequence[int]
) -> FeatureDomain | None:
    return measure_scorer_domain(network, samples.crops, samples.list_films(), learned, validated)  # type: ignore[arg-type]


class TestScorers:
    def pairs(self, cases: int, *, seed: int = 0) -> PairSamples:
        """Return samples of `cases` cases with three joints of each side."""
        names = tuple(f"c{number:03d}" for number in range(cases) for _ in range(6))
        samples = make_pairs(np.full((6 * cases, 1, 2, 2), -1), cases=names, seed=seed)
        return replace(samples, sites=tuple(f"{side}.MCP{n}" for _ in range(cases) for side in "LR" for n in (1, 2, 3)))

    def test_a_film_is_a_side_of_a_case_at_a_time_point(self) -> None:
        samples = self.pairs(1)
        samples.single_times[4] = 1
        films = samples.list_films()
        assert films[:2] == [(0, 0, "c000 L 0", "c000"), (0, 1, "c000 L 1", "c000")]
        assert [each for each in films if each.row == 4] == [(4, 1, "c000 R 1", "c000")]
        assert len({each.film for each in films}) == 4

    def test_held_out_films_are_measured_and_others_only_if_these_are_too_few(self) -> None:
        samples, network = self.pairs(30), GreyScorer()
        learned, validated = range(78), range(78, 180)  # 17 cases with 68 films are validated
        domain = measure(network, samples, learned, validated)
        assert domain is not None
        assert (domain.films, domain.is_held_out) == (68, True)
        crops = samples.crops[78:].reshape(-1, *samples.crops.shape[2:]) / 255
        assert domain.mean == pytest.approx([crops.mean(), crops.std(axis=(1, 2), ddof=1).mean()], rel=1e-5)
        domain = measure(network, samples, range(150), range(150, 180))
        assert domain is not None
        assert (domain.films, domain.is_held_out) == (120, False)
        assert measure(network, self.pairs(12), range(72), []) is None

    def test_a_darker_film_is_unlike_and_both_its_time_points_have_no_answer(self) -> None:
        network = GreyScorer()
        domain = measure(network, self.pairs(30), [], range(180))
        scorer = TrainedScorer(network, (), (), (), Path("run"), {}, ModelDomain(domain))  # type: ignore[arg-type]
        samples = self.pairs(2, seed=5)
        samples = replace(samples, crops=samples.crops.copy())
        samples.crops[3:6, 1] //= 4
        verdicts = judge_films([scorer], samples)
        assert [film for film, verdict in verdicts.items() if not verdict.is_like] == ["c000 R 1"]
        assert list_unlike_rows(samples, verdicts) == {3, 4, 5}
        assert extract_scorer_features(network, samples.crops).shape == (12, 2, 2)  # type: ignore[arg-type]

    def test_at_most_two_hundred_films_are_taken_from_the_whole_range(self) -> None:
        picked, is_held_out = pick_films([f"{n:04d}" for n in range(1000)], [])
        assert (len(picked), is_held_out, min(picked), max(picked)) == (200, True, "0000", "0999")
        assert pick_films([f"{n}" for n in range(49)], ["x"]) == (frozenset([*map(str, range(49)), "x"]), False)


@pytest.fixture(scope="module")
def model() -> JointDetector:
    return load_detector(SHIPPED, CPU)


class TestDetectors:
    def test_hands_are_judged_by_the_crops_that_the_refiner_sees(self, model: JointDetector) -> None:
        rng = np.random.default_rng(0)
        image = rng.integers(0, 255, (960, 960), dtype=np.uint8)
        boxes = np.full((60, 4, 4), np.nan, np.float32)
        boxes[:, :3] = [[20, 20, 44, 44], [60, 30, 84, 54], [100, 200, 130, 230]]
        boxes[:, :3] += rng.uniform(-6, 6, (60, 1, 1))
        names = tuple(f"h{n}" for n in range(60))
        hands = HandSamples(
            np.broadcast_to(image, (60, 960, 960)),
            boxes,
            np.full((60, 4), np.nan, np.float32),
            np.zeros(4, np.int64),
            (Frame(None, False, 1.0),) * 60,  # type: ignore[arg-type]
            names,
            names,
            ("L",) * 60,
            JOINT_KINDS * 2,
        )
        domain = measure_detector_domain(model, [], [hands])
        assert domain is not None
        assert (domain.films, domain.is_held_out) == (60, True)
        levels = image.astype(np.float32) / 255
        joints = {
            f"J{n}": Detection(Candidate(*((box[:2] + box[2:]) / 2 * 3), (box[2] - box[0]) * 3, "PIP", 1.0), 0.0)
            for n, box in enumerate(boxes[0, :3].astype(float))
        }
        features = extract_refiner_features(
            model, np.stack([crop_for_refiner(levels, joint.box, mirrored=False) for joint in joints.values()])
        )
        crop = torch.from_numpy(crop_for_refiner(levels, joints["J0"].box, mirrored=False))[None, None].float() / 255
        with torch.inference_mode():
            assert features[0] == pytest.approx(model.detail.extract_features(crop)[0].numpy(), abs=1e-5)
        verdict = judge_hand(model, ModelDomain(domain), levels, FoundHand("L", joints, 0.0))
        assert verdict.score == pytest.approx(domain.score(features), abs=1e-3)
        right = judge_hand(model, ModelDomain(domain), levels[:, ::-1], FoundHand("R", _mirror(joints), 0.0))
        assert right.score == pytest.approx(verdict.score, abs=0.02), "a right hand is judged as a left one"
        flat = judge_hand(model, ModelDomain(domain), np.zeros_like(levels), FoundHand("L", joints, 0.0))
        assert flat.reason is DomainReason.UNLIKE


def _mirror(joints: dict[str, Detection]) -> dict[str, Detection]:
    return {n: replace(d, candidate=replace(d.candidate, x=960 - d.candidate.x)) for n, d in joints.items()}
