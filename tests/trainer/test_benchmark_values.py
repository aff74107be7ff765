"""The benchmark on a folder in the layout of RAM-H1200: who is trained on, whose scores they are, and what is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection
from ratui.imaging import Box
from ratui.results.statistics import quadratic_kappa
from ratui.scheme import load_scheme
from tests.support.ram_h1200 import CATEGORIES, write_ram_h1200
from tests.trainer.synthetic import SmallStudy, make_pairs, quiet, ramp
from trainer.data import ram_samples
from trainer.data.coco import CocoHand
from trainer.data.coco_file import CocoImage
from trainer.data.hands import make_frame
from trainer.data.pairs import PairSamples, crop_joint
from trainer.data.ram_h1200 import RamImage, RamSet, read_ram_h1200
from trainer.data.ram_samples import make_status_samples
from trainer.experiments import benchmark
from trainer.experiments.benchmark import BenchmarkPlan
from trainer.training.loop import TrainingPlan
from trainer.training.runs import RunPlan

CPU = torch.device("cpu")
SCHEME = load_scheme("mtss-hands")
PLAN = RunPlan(TrainingPlan(), batch=4)


def make_image(
    name: str,
    part: str,
    grades: Mapping[tuple[str, str], int],
    *,
    side: str = "L",
    boxes: Mapping[str, Box] | None = None,
) -> RamImage:
    """Return an image of 48 by 60 pixels; the first letter of its name is the patient."""
    file = CocoImage(Path(f"{name}.png"), (48, 60), name[0], (), name)
    frame = make_frame(Box(8.0, 20.0, 48.0, 60.0), side)
    return RamImage(CocoHand(file, frame, side, boxes or {}), part, grades)


def make_set(*images: RamImage) -> RamSet:
    return RamSet(images, has_official_split=True, patient_rule="names", files=(), notices=())


def names(images: Sequence[RamImage]) -> list[str]:
    return [image.hand.image.name for image in images]


GRADE = {("MCP2", "ERO"): 1}


class TestFolder:
    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return write_ram_h1200(tmp_path_factory.mktemp("ram") / "set", {"train": 2, "test": 1}, size=(60, 50))

    def test_each_image_has_its_own_scores_and_boxes(self, folder: Path) -> None:
        data = read_ram_h1200(folder, SCHEME, validation=0.0)
        assert sorted(names(data.part("test"))) == ["p2_L.bmp", "p2_R.bmp"]
        scores: dict[str, dict[str, int]] = {}
        for file in folder.rglob("*_scores.json"):
            for name, grades in json.loads(file.read_text()).items():
                scores.setdefault(name, {}).update(grades)
        assert len({json.dumps(each) for each in scores.values()}) == len(scores) == len(data.images) == 6
        for image in data.images:
            prefixes = {"ERO": "BE", "JSN": "JSN"}
            found = {f"{prefixes[scale]}_{CATEGORIES[joint]}": grade for (joint, scale), grade in image.grades.items()}
            assert found == scores[image.hand.image.name]
        for file in folder.rglob("*.coco.json"):
            content = json.loads(file.read_text())
            category = {item["id"]: item["name"] for item in content["categories"]}
            for number, item in enumerate(content["images"]):
                image = next(each for each in data.images if each.hand.image.name == item["extra"]["name"])
                wanted = {
                    category[box["category_id"]]: box["bbox"][:2]
                    for box in content["annotations"]
                    if box["image_id"] == number
                }
                seen = {CATEGORIES[joint]: [box.x0, box.y0] for joint, box in image.boxes.items()}
                assert seen == {name: pytest.approx(corner, abs=0.01) for name, corner in wanted.items()}

    def test_what_one_file_states_as_test_is_not_trained_on(self, folder: Path) -> None:
        """The scores of one image are moved to the part test; its boxes are in the part train."""
        files = {file.parent.name: file for file in folder.rglob("_annotation_be_scores.json")}
        before = {part: file.read_text() for part, file in files.items()}
        content = {part: json.loads(text) for part, text in before.items()}
        content["test"]["p0_R.bmp"] = content["train"].pop("p0_R.bmp")
        try:
            for part, file in files.items():
                file.write_text(json.dumps(content[part]))
            data = read_ram_h1200(folder, SCHEME, validation=0.0)
        finally:
            for part, file in files.items():
                file.write_text(before[part])
        assert "p0_R.bmp" in names(data.part("test"))
        assert sorted(names(data.part("train", "val"))) == ["p0_L.bmp", "p1_L.bmp", "p1_R.bmp"]
        assert "1 patients in training and in test, by the names of the image files: p0" in data.notices[-1]

    def test_hands_of_a_patient_stay_together_without_a_split(self, folder: Path, tmp_path: Path) -> None:
        for file in folder.rglob("*.*"):
            words = {"train": "a", "test": "b"}
            at = tmp_path.joinpath(*(words.get(part, part) for part in file.relative_to(folder).parts))
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(file.read_bytes())
        for seed in range(2):
            data = read_ram_h1200(tmp_path, SCHEME, seed=seed, held_out=0.4, validation=0.4)
            assert not data.has_official_split
            parts = [data.patients(part) for part in ("train", "val", "test")]
            assert sorted(sum(parts, ())) == ["p0", "p1", "p2"]


def test_samples_have_the_grades_and_the_crop_of_their_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [
        {"MCP2": Box(10.0, 20.0, 22.0, 32.0), "RAD": Box(20.0, 30.0, 34.0, 44.0)},
        {"MCP2": Box(8.0, 14.0, 20.0, 26.0)},
    ]
    images = [
        make_image("a", "test", {("MCP2", "ERO"): 3, ("MCP2", "JSN"): 1, ("RAD", "ERO"): 5}, side="R"),
        make_image("b", "test", {("MCP2", "JSN"): 4}),
    ]
    study = SmallStudy({}, {}, pixels={"R0": ramp(across=0.3, down=0.7)})
    for image in images:
        monkeypatch.chdir(tmp_path)
        image.hand.image.file.touch()
    monkeypatch.setattr(
        ram_samples, "load_film", lambda image: study.film("", "R0" if image.patient == "a" else "L0", None)
    )
    samples = make_status_samples(images, boxes, SCHEME, tmp_path, quiet)
    rows = {(case, site): row for row, (case, site) in enumerate(zip(samples.cases, samples.sites, strict=True))}
    assert set(rows) == {("a", "R.MCP2"), ("a", "R.RAD"), ("b", "L.MCP2")}
    ero, jsn = samples.scales.index("ERO"), samples.scales.index("JSN")
    for (case, site), wanted in {("a", "R.MCP2"): (3, 1), ("a", "R.RAD"): (5, -1), ("b", "L.MCP2"): (-1, 4)}.items():
        row = rows[case, site]
        assert (samples.labels[row, 0, ero, 0], samples.labels[row, 0, jsn, 0]) == wanted
        assert (samples.labels[row, 0, :, 1] == -1).all()
        number = "ab".index(case)
        levels = ram_samples.normalise_levels(study.film("", ("R0", "L0")[number], None))  # type: ignore[arg-type]
        crop = crop_joint(levels, boxes[number][site[2:]], mirrored=case == "a")
        assert np.array_equal(samples.crops[row, 0], crop)
        assert np.array_equal(samples.crops[row, 1], crop)


class TestTraining:
    """Patient a is trained on, b chooses the epoch, c is the test."""

    DATA = make_set(
        make_image("a1", "train", GRADE),
        make_image("a2", "train", {}),
        make_image("b1", "val", GRADE),
        make_image("c1", "test", GRADE),
    )

    def test_of_the_scorer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[list[str]] = []
        given: list[list[int]] = []
        monkeypatch.setattr(benchmark, "make_status_samples", lambda images, *_: asked.append(names(images)))
        benchmark._load_learned(self.DATA, SCHEME, Path("out"), quiet)
        assert asked == [["a1", "b1"]]
        samples = make_pairs(np.zeros((5, 1, 2, 2)), cases=("a", "b", "a", "a", "b"))
        monkeypatch.setattr(benchmark, "_make_lineage", lambda *_, **__: None)
        monkeypatch.setattr(
            benchmark, "fit_scorer", lambda _, train, kept, *__, **___: given.extend((train.tolist(), kept.tolist()))
        )
        benchmark._train_scorer(samples, self.DATA, Path("out"), PLAN, None, "", CPU)  # type: ignore[arg-type]
        assert given == [[0, 2, 3], [1, 4]]

    def test_of_the_detector(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[Any] = []

        def make_hands(images: Sequence[RamImage], *_: object) -> SimpleNamespace:
            return SimpleNamespace(images=names(images), boxes=np.zeros(1), joints=())

        monkeypatch.setattr(benchmark, "_make_hands", make_hands)
        monkeypatch.setattr(benchmark, "_make_lineage", lambda *_, **__: None)
        monkeypatch.setattr(benchmark, "fit_detector", lambda *args, **_: given.extend(args[:2]))
        benchmark._train_detector(self.DATA, SCHEME, Path("out"), PLAN, None, "", CPU, quiet)  # type: ignore[arg-type]
        (train,), (validation,) = given
        assert train.images == ["a1", "a2"]
        assert validation.images == ["b1"]


def sure(grades: Sequence[int], count: int) -> np.ndarray:
    """Return the probabilities of a scorer that is sure of these grades at the first time point, and of 0 at the second."""
    table = np.zeros((len(grades), count, count))
    table[range(len(grades)), grades, 0] = 1.0
    return table


READ = {"ERO": [0, 0, 1, 3, 3, 3], "JSN": [2, 1, 0, 0, 1, -1]}
PREDICTED = {"ERO": [1, 0, 3, 3, 3, 1], "JSN": [2, 2, 1, 0, 1, 1]}
CASES = ("A", "A", "A", "B", "B", "B")


class TestMeasures:
    """Six joints of two patients, read and predicted as above."""

    @pytest.fixture
    def samples(self, monkeypatch: pytest.MonkeyPatch) -> PairSamples:
        monkeypatch.setattr(
            benchmark, "score_samples", lambda *_: [sure(PREDICTED["ERO"], 4), sure(PREDICTED["JSN"], 3)]
        )
        labels = np.full((6, 1, 2, 2), -1)
        labels[:, 0, :, 0] = np.array([READ["ERO"], READ["JSN"]]).T
        return replace(make_pairs(labels, cases=CASES), sites=("L.MCP2", "R.MCP2", "L.MCP3") * 2)

    def test_each_scale_has_its_grades_baseline_and_published_values(self, samples: PairSamples) -> None:
        before = np.full((4, 1, 2, 2), -1)
        before[:, 0, :, 0] = [[1, 2], [1, 0], [3, 2], [0, -1]]  # most often 1 for erosions and 2 for the joint space
        found = benchmark._measure(samples, make_pairs(before), (), "median", np.random.default_rng(0), published=True)
        values = {metric.name: metric for metric in found}
        for scale, usual, (kappa, accuracy) in (("ERO", 1, (0.591, 0.739)), ("JSN", 2, (0.634, 0.755))):
            read, said = (np.array(each[scale]) for each in (READ, PREDICTED))
            known = read >= 0
            error = values[f"{scale}, mean absolute error"]
            assert error.value == pytest.approx(np.abs(read - said)[known].mean())
            assert error.baseline == pytest.approx(np.abs(read - usual)[known].mean())
            by_patient = [np.abs(read - said)[known & (np.array(CASES) == case)].mean() for case in "AB"]
            assert (error.low, error.high) == pytest.approx((min(by_patient), max(by_patient)))
            published = {name: each.paper for name, each in values.items() if name.startswith(scale)}
            assert published.pop(f"{scale}, quadratic weighted kappa") == kappa
            assert published.pop(f"{scale}, accuracy") == accuracy
            assert {*published.values()} == {None}
        others = benchmark._measure(
            samples, make_pairs(before), (), "median", np.random.default_rng(0), published=False
        )
        assert {each.paper for each in others} == {None}

    def test_both_sides_of_a_joint_count_together(self, samples: PairSamples) -> None:
        found = {(each.joint, each.scale): each for each in benchmark._measure_joints(samples, (), "median")}
        assert {key: each.count for key, each in found.items()} == {
            ("MCP2", "ERO"): 4, ("MCP3", "ERO"): 2, ("MCP2", "JSN"): 4, ("MCP3", "JSN"): 1,
        }  # fmt: skip
        read, said = np.array([0, 0, 3, 3]), np.array([1, 0, 3, 3])
        table = np.zeros((4, 4))
        np.add.at(table, (read, said), 1.0)
        assert found["MCP2", "ERO"].kappa == pytest.approx(float(quadratic_kappa(table)))
        assert found["MCP2", "ERO"].error == 0.25
        assert found["MCP3", "JSN"].error == 1.0

    def test_the_detectors_boxes_are_those_of_the_same_film(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first film has no scores, and on the last one a joint is not found."""
        boxes = {
            "MCP2": Box(10.0, 20.0, 22.0, 32.0),
            "RAD": Box(20.0, 30.0, 34.0, 44.0),
            "MCP3": Box(0.0, 0.0, 9.0, 9.0),
        }
        grades = {("MCP2", "ERO"): 1, ("MCP3", "ERO"): 0, ("RAD", "ERO"): 2}
        data = make_set(
            make_image("a", "train", grades),
            make_image("c1", "test", {}, boxes=boxes),
            make_image("d1", "test", grades, boxes=boxes, side="R"),
            make_image("e1", "test", grades, boxes=boxes),
        )

        def find(_: object, images: np.ndarray, __: object) -> list[dict[str, Detection]]:
            row = int(images[0])
            joints = ("MCP2", "MCP3") if row < 2 else ("MCP2",)
            return [{name: Detection(Candidate(50.0 + 10 * row, 80.0, 20.0, "MCP", 0.9), 0.1) for name in joints}]

        def load(images: Sequence[RamImage], boxes: Sequence[Mapping[str, Box]], *_: object) -> SimpleNamespace:
            used.append((names(images), boxes))
            sites = [f"L.{joint}" for here in boxes for joint in here]
            return SimpleNamespace(crops=sites, sites=sites)

        used: list[Any] = []
        monkeypatch.setattr(benchmark, "_make_hands", lambda images, *_: SimpleNamespace(images=np.arange(len(images))))
        monkeypatch.setattr(benchmark, "load_detector", lambda *_: None)
        monkeypatch.setattr(benchmark, "load_scorers", lambda *_: ())
        monkeypatch.setattr(benchmark, "find_joints", find)
        monkeypatch.setattr(benchmark, "evaluate_named_boxes", lambda *_: [])
        monkeypatch.setattr(benchmark, "make_status_samples", load)
        monkeypatch.setattr(benchmark, "_measure", lambda *_, published=False: (published,))
        monkeypatch.setattr(benchmark, "_measure_joints", lambda *_: ())
        results = benchmark._evaluate(
            data, None, SCHEME, tmp_path, BenchmarkPlan(PLAN, PLAN), CPU, quiet  # type: ignore[arg-type]
        )  # fmt: skip
        assert [images for images, _ in used] == [["d1", "e1"]] * 3
        everything, same, detected = (each for _, each in used)
        assert everything == [boxes, boxes]
        assert [sorted(each) for each in same] == [["MCP2", "MCP3"], ["MCP2"]]
        assert same[0]["MCP2"] == boxes["MCP2"]
        # 40 pixels are 320 units. On the right hand, x is counted from the right.
        assert tuple(detected[0]["MCP2"]) == pytest.approx((48 - 70 / 8, 20 + 70 / 8, 48 - 50 / 8, 20 + 90 / 8))
        assert tuple(detected[1]["MCP2"]) == pytest.approx((8 + 60 / 8, 20 + 70 / 8, 8 + 80 / 8, 20 + 90 / 8))
        assert (results.found, results.wanted) == (3, 4)
        assert (results.all_joints, results.fingers_true, results.fingers_found) == ((True,), (False,), (False,))
