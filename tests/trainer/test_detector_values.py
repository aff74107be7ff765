"""The detector's training: its cases, the hands for its calibration, and the bias and threshold that they give."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from ratui.imaging import Box
from tests.trainer.synthetic import SmallReading, SmallStudy, make_hands, make_pairs, quiet
from trainer.data import coco
from trainer.data.coco import CocoHand, make_hand_samples
from trainer.data.coco_file import CocoImage
from trainer.data.hands import HandSamples, make_frame
from trainer.data.splits import Split, place_of_case
from trainer.models import detector
from trainer.models.detector import make_targets
from trainer.models.refiner import REFINER_CROP_SIZE, WINDOW, RefinerOutput, crop_joints
from trainer.training import detector_batches, detector_calibration, detector_training, scorer_training
from trainer.training.detector_batches import make_detector_batches
from trainer.training.detector_calibration import calibrate_detector, measure_box_sizes, pick_threshold
from trainer.training.detector_training import split_validation, train_detector
from trainer.training.lineage import digest_names
from trainer.training.loop import TrainingPlan
from trainer.training.processes import SINGLE_PROCESS, ProcessGroup
from trainer.training.runs import Run, RunPlan

CPU = torch.device("cpu")
SQUARE = [100.0, 100.0, 120.0, 120.0]
PLAN = RunPlan(TrainingPlan(seed=4), batch=4)


def hands(*cases: str) -> HandSamples:
    boxes = np.tile(SQUARE, (len(cases), 2, 1)) + np.arange(len(cases))[:, None, None]
    return make_hands(cases, boxes, np.zeros((len(cases), 2)))


class TestTrainingCases:
    """Training uses the training cases alone, and the lineage names them."""

    SPLIT = Split(("C1", "C3"), ("C0", "C2"))
    STUDY = SmallStudy({f"C{n}": (SmallReading("ada"),) for n in range(4)}, {})

    def test_of_the_detector(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(detector_training, "start_run", lambda *_: Run(self.SPLIT, "2026-01-31"))
        monkeypatch.setattr(
            detector_training, "load_hand_samples", lambda _, cases, *__: asked.append(tuple(cases)) or hands(*cases)
        )
        _, lineage = detector_training._prepare(self.STUDY, tmp_path, PLAN, SINGLE_PROCESS)  # type: ignore[arg-type]
        assert asked == [("C1", "C3")]
        assert lineage.seen_cases("S") == {"C1", "C3"}
        assert lineage.seed == 4

    def test_of_the_scorer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[str, ...]] = []
        samples = make_pairs(np.ones((2, 2, 2, 2)))
        samples.has_finding[0, 1, 1] = True
        monkeypatch.setattr(scorer_training, "start_run", lambda *_: Run(self.SPLIT, "2026-01-31"))
        monkeypatch.setattr(
            scorer_training, "load_pair_samples", lambda _, cases, *__: asked.append(tuple(cases)) or samples
        )
        (kept,), lineage = scorer_training._prepare(self.STUDY, tmp_path, PLAN, SINGLE_PROCESS)  # type: ignore[arg-type]
        assert asked == [("C1", "C3")]
        assert lineage.seen_cases("S") == {"C1", "C3"}
        assert (kept.labels[0, 1] == -1).all()
        assert (kept.labels[0, 0] == 1).all()


class TestHeldOutPatients:
    """Patients of a COCO file that are held out, with all their hands."""

    PEOPLE = tuple(f"p{number}" for number in range(12))
    HELD_OUT = frozenset(name for name in PEOPLE if place_of_case(name, 4) < 0.3)
    PLAN = replace(PLAN, held_out=0.3)

    @pytest.fixture
    def samples(self) -> HandSamples:
        """Return two hands of each patient, far apart. The first pixel of each image is its row."""
        made = replace(hands(*self.PEOPLE, *self.PEOPLE), source="COCO file")
        rows = np.arange(len(made.cases), dtype=np.uint8)
        return replace(made, images=np.tile(rows[:, None, None], (1, 4, 4)))

    def test_they_are_measured_and_not_learned_from(
        self, samples: HandSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert 1 < len(self.HELD_OUT) < 12
        learned: list[str] = []
        searched: list[int] = []
        measured: list[dict[str, Any]] = []

        def fit(
            train: list[HandSamples], validation: list[HandSamples], *_: object, measure: Any, **__: object
        ) -> None:
            learned.extend(case for each in (*train, *validation) for case in each.cases)
            measured.append(measure("model"))

        def find(_: object, images: np.ndarray, __: object) -> list[dict[str, Detection]]:
            searched.append(int(images[0, 0, 0]))
            return [{"PIP2": Detection(Candidate(110 + searched[-1], 110 + searched[-1], 20.0, "PIP", 0.9), 0.1)}]

        monkeypatch.setattr(detector_training, "_prepare", lambda *_: ([hands("C1", "C2"), samples], None))
        monkeypatch.setattr(detector_training, "fit_detector", fit)
        monkeypatch.setattr(detector_training, "find_joints", find)
        train_detector(None, tmp_path, self.PLAN, CPU, SINGLE_PROCESS)
        assert {*learned} == {"C1", "C2", *self.PEOPLE} - self.HELD_OUT
        assert searched == [row for row, case in enumerate(samples.cases) if case in self.HELD_OUT]
        (facts,) = measured
        assert (facts["patients"], facts["hands"]) == (len(self.HELD_OUT), 2 * len(self.HELD_OUT))
        # Each hand is compared with its own boxes: one of its two joints is found exactly.
        assert [value for value, *_ in facts["metrics"].values()] == [0.5, 0.5]

    def test_the_lineage_names_the_others(
        self, samples: HandSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "boxes.json").write_text("{}")
        monkeypatch.setattr(detector_training, "start_run", lambda *_: Run(Split((), ()), "2026-01-31"))
        monkeypatch.setattr(detector_training, "load_coco_hands", lambda *_, **__: samples)
        plan = replace(self.PLAN, coco=tmp_path / "boxes.json")
        _, lineage = detector_training._prepare(None, tmp_path, plan, SINGLE_PROCESS)
        (data,) = lineage.data
        assert data.cases == digest_names({*self.PEOPLE} - self.HELD_OUT)
        assert data.count == 2 * (12 - len(self.HELD_OUT))

    def test_the_cases_of_hands_are_their_patients(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        study = SmallStudy({}, {})
        monkeypatch.setattr(coco, "load_film", lambda _: study.film("C", "L0", None))
        found = []
        for number, patient in enumerate(("Q", "P", "Q")):
            (file := tmp_path / f"{number}.png").touch()
            image = CocoImage(file, (48, 60), patient, ())
            found.append(CocoHand(image, make_frame(Box.from_size(48, 60), "L"), "L", {}))
        made = make_hand_samples(found, study.scheme, tmp_path, quiet)
        assert made.cases == ("Q", "P", "Q")
        assert made.films == ("0", "1", "2")


class TestCalibration:
    def test_validation_is_a_share_of_the_patients_with_all_their_hands(self) -> None:
        cases = [f"C{number}" for number in range(30)]
        samples = hands(*[case for case in cases for _ in range(2)])
        for seed in (0, 5):
            kept = {case for case in cases if place_of_case(f"validation/{case}", seed) < 0.2}
            assert 0 < len(kept) < 30
            train, validation = split_validation(samples, 0.2, seed)
            for part, wanted in ((train, set(cases) - kept), (validation, kept)):
                rows = [row for row, case in enumerate(samples.cases) if case in wanted]
                assert part.boxes[:, 0, 0].tolist() == [100.0 + row for row in rows]
                assert part.cases == tuple(samples.cases[row] for row in rows)
                assert part.films == tuple(samples.films[row] for row in rows)
                assert len(part.images) == len(part.findings) == len(part.frames) == len(rows)

    def test_training_and_calibration_get_different_patients(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[Any] = []
        samples = hands(*[f"C{n}" for n in range(60)])
        monkeypatch.setattr(detector_training, "_prepare", lambda *_: ([samples], None))
        monkeypatch.setattr(detector_training, "fit_detector", lambda *args, **_: given.extend(args[:2]))
        train_detector(None, tmp_path, PLAN, CPU, SINGLE_PROCESS)
        ((train,), (validation,)) = given
        assert not {*train.cases} & {*validation.cases}
        assert {*train.cases, *validation.cases} == {*samples.cases}
        assert {*validation.cases} == {
            case for case in samples.cases if place_of_case(f"validation/{case}", PLAN.training.seed) < 0.1
        }

    def test_threshold_and_bias_are_measured_on_the_validation_hands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        train, validation = hands("A", "B"), hands(*[f"V{n}" for n in range(20)])
        model = SimpleNamespace(
            **{name: torch.zeros(size) for name, size in (("habit", 2), ("threshold", 1), ("bias", 1))}
        )

        def found(_: object, images: np.ndarray) -> list[list[Detection]]:
            """Return both joints of each hand with sides that are a tenth too long, which overlap."""
            assert float(model.threshold) == 0.5
            assert float(model.bias) == 0.0
            assert len(images) in (2, 20)
            score = 0.1 if len(images) == 20 else 0.9
            return [[Detection(Candidate(110 + n, 110 + n, 22.0, "PIP", 0.9), score)] for n in range(len(images))]

        monkeypatch.setattr(detector_calibration, "detect", found)
        ill = validation.findings.copy()
        ill[7] = 1
        validation = make_hands(validation.cases, validation.boxes, ill)
        calibrate_detector(model, [train], [validation])  # type: ignore[arg-type]
        assert float(model.bias) == pytest.approx(math.log(1.1), abs=1e-4)
        assert float(model.threshold) == pytest.approx(0.1)

    def test_hands_without_findings_keep_the_threshold_and_few_boxes_the_bias(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start = {"habit": torch.zeros(2), "threshold": torch.full((1,), 0.83), "bias": torch.full((1,), 0.05)}
        box = Detection(Candidate(110, 110, 22.0, "PIP", 0.9), 0.1)
        monkeypatch.setattr(detector_calibration, "detect", lambda _, images: [[box]] * len(images))
        for finding in (np.nan, 0.0):  # boxes of a COCO file, and readings without any finding
            model = SimpleNamespace(**{name: value.clone() for name, value in start.items()})
            few = hands("V0", "V1")
            few = make_hands(few.cases, few.boxes, np.full_like(few.findings, finding))
            calibrate_detector(model, [few], [few])  # type: ignore[arg-type]
            assert float(model.threshold) == pytest.approx(0.83)
            assert float(model.bias) == pytest.approx(0.05)

    def test_the_threshold_lies_between_those_without_and_the_next_one_with_a_finding(self) -> None:
        without = np.linspace(0.0, 0.4, 100)
        predicted = np.append(without, [0.2, 0.6, 0.9])
        true = np.append(np.zeros(100, bool), [True] * 3)
        assert pick_threshold(predicted, true) == pytest.approx((0.4 + 0.6) / 2)
        many = np.append(np.linspace(0.0, 0.4, 1001), [0.9])
        assert pick_threshold(many, np.append(np.zeros(1001, bool), True)) == pytest.approx((0.4 * 0.995 + 0.9) / 2)

    def test_sizes_are_compared_within_a_hand(self) -> None:
        boxes = np.zeros((2, 4, 4))
        for row, scale in enumerate((1.0, 3.0)):
            for column, side in enumerate((10.0, 12.1, 20.0, 24.2)):
                boxes[row, column, 2:] = side * scale
        samples = make_hands(("A", "B"), boxes, np.zeros((2, 4)), kinds=(0, 0, 1, 1))
        larger, spread = measure_box_sizes([samples])
        assert larger == pytest.approx(math.log(2), abs=1e-5)
        assert spread == pytest.approx(math.log(1.1), abs=1e-5)


class TestRefining:
    def test_a_crop_of_the_refiner_shows_its_place(self) -> None:
        columns = (torch.arange(FINE_SIZE) + 0.5) / FINE_SIZE * COARSE_SIZE
        across = columns.expand(1, 1, FINE_SIZE, FINE_SIZE)
        for image, axis in ((across, 1), (across.transpose(2, 3), 0)):
            crop = crop_joints(image, torch.tensor([[[120.0, 120.0]]]), torch.tensor([[20.0]]))[0, 0]
            seen = crop.mean(dim=1 - axis)
            steps = (torch.arange(REFINER_CROP_SIZE) + 0.5) / REFINER_CROP_SIZE
            assert torch.allclose(seen, 120 + (steps - 0.5) * 20 * WINDOW, atol=1e-2)

    def test_boxes_are_corrected_by_the_refiner_and_the_bias(self) -> None:
        class Refined:
            """A refiner that sees each joint a tenth of its side to the right and below, and of the right size."""

            threshold, bias = torch.tensor(0.8), torch.tensor(math.log(1.25))

            def detail(self, crops: torch.Tensor) -> RefinerOutput:
                mirrored = torch.tensor([1.0, -1.0])[:, None]
                moves = torch.cat([0.1 * mirrored, torch.full((2, 1), 0.1), torch.full((2, 1), math.log(1.2))], dim=1)
                return RefinerOutput(moves, torch.full((2,), math.log(4)), torch.tensor([[0.0, 0.0, 9.0]] * 2))

        (found,) = detector._refine(
            Refined(),
            torch.zeros(1, FINE_SIZE, FINE_SIZE),
            torch.tensor([SQUARE]),
            torch.tensor([[0.1, 0.9]]),
            0.3,  # type: ignore[arg-type]
        )
        moved = 0.1 * 20 * (1 + 1.2 + 1.44)
        assert (found.candidate.x, found.candidate.y) == pytest.approx((110 + moved, 110 + moved), rel=1e-5)
        assert found.candidate.size == pytest.approx(20 * 1.2**3 / 1.25, rel=1e-5)
        assert found.candidate.kind == "MCP"
        assert found.finding == pytest.approx(0.5)

    def test_targets_have_the_class_after_the_background(self) -> None:
        boxes = torch.tensor([[SQUARE, [1.0, 1.0, 1.5, 9.0]]])
        placed, classes = make_targets(boxes, torch.tensor([0, 1]))
        assert classes.tolist() == [[1, 2]]
        assert placed[0, 0].tolist() == SQUARE
        assert bool(placed[0, 1].isnan().all())


def test_batches_hold_each_hand_once_with_its_own_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_batches, "augment_hands", lambda images, boxes, _: (images, boxes))
    monkeypatch.setattr(detector_batches, "downsample", lambda images: images)
    crops: list[torch.Tensor] = []
    monkeypatch.setattr(detector_batches, "draw_joint_crops", lambda *given: crops.append(given[1]))
    sources = [hands(*[f"A{n}" for n in range(3)]), hands(*[f"B{n}" for n in range(4)])]
    for number, source in enumerate(sources):
        source.boxes[:] += 10 * number
        source.images[:] = (np.arange(len(source.images)) + 10 * number)[:, None, None]
    rows = []
    for images, (boxes, _), _, _ in make_detector_batches(sources, 2, 1, CPU)(0, ProcessGroup()):
        marks = (images[:, 0, 0, 0] * 255).round().tolist()
        assert (boxes[:, 0, 0] - 100).tolist() == marks
        rows += marks
    assert sorted(rows) == [0, 1, 2, 10, 11, 12, 13]
    assert torch.cat(crops)[:, 0, 0].sub(100).tolist() == rows
