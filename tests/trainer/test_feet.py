"""The part of the detector for feet: crops and their truth, the training, and what the shipped weights find."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ratui.detection.crops import invert, map_points, scale_of
from ratui.detection.finger_joints import normalise_levels
from ratui.detection.foot_search import cover_foot, find_feet
from ratui.detection.foot_sites import FOOT_HELPERS, FOOT_SITES
from ratui.detection.hand_finder import FoundHand
from ratui.detection.heat_maps import INPUT_SIZE
from ratui.detection.landmark_search import FoundPart
from ratui.detection.onnx_networks import load_shipped_detector
from ratui.detection.parts import PARTS
from ratui.detection.site_finder import FOOT_KIND, find_foot_sites
from ratui.errors import TrainError
from ratui.imaging import Box, Film, Orientation, turn_film, write_film
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from trainer.api import Detector
from trainer.data.foot_samples import (
    FOOT_SAMPLE_SIZE,
    FOOT_SAMPLE_STEP,
    USUAL_WIDTHS,
    FootSamples,
    learn_foot_shape,
    load_foot_samples,
    place_foot,
    simulate_feet,
    split_feet,
)
from trainer.data.landmark_augmentation import augment_landmarks
from trainer.data.splits import Split
from trainer.models.detector import JointDetector, build_detector, load_detector
from trainer.shipped import SHIPPED
from trainer.training import detector_training
from trainer.training.detector_training import fit_detector, train_detector
from trainer.training.foot_batches import FootPool, make_foot_validation
from trainer.training.loop import TrainingPlan
from trainer.training.model_domain import ModelDomain, load_domain
from trainer.training.processes import ProcessGroup
from trainer.training.runs import Run, RunPlan

CPU = torch.device("cpu")
SCHEME = load_scheme("mtss")
LANDMARKS = (*FOOT_SITES, *FOOT_HELPERS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> FootSamples:
    return simulate_feet(9, tmp_path_factory.mktemp("drawn"), lambda *_: None, seed=999)


@pytest.fixture(scope="module")
def model() -> JointDetector:
    return load_detector(SHIPPED, CPU)


@pytest.fixture(scope="module")
def film() -> PhantomFilm:
    patient = simulate_patient(np.random.default_rng([79, 1]), SCHEME, severity=1.0)
    return render(patient, "B", 0, np.random.default_rng([79, 2]), size=(420, 760), part="foot")


@pytest.fixture(scope="module")
def levels(film: PhantomFilm) -> np.ndarray:
    return normalise_levels(Film(film.pixels, 12))


@cache
def usual_shape() -> np.ndarray:
    part = load_shipped_detector().landmark_part("foot")
    assert part is not None
    return part.shape.mean


def usual_points(scale: float = 1.0) -> np.ndarray:
    """Return the landmarks of the usual foot in pixels of a crop."""
    return usual_shape() * scale / FOOT_SAMPLE_STEP + FOOT_SAMPLE_SIZE / 2


def samples_of(points: np.ndarray, widths: np.ndarray, cases: tuple[str, ...] = ()) -> FootSamples:
    count = len(points)
    images = np.zeros((count, FOOT_SAMPLE_SIZE, FOOT_SAMPLE_SIZE), np.uint8)
    names = cases or tuple(f"C{row}" for row in range(count))
    return FootSamples(images, points.astype(np.float32), widths.astype(np.float32), np.zeros(count, np.bool_), names)


class TestSamples:
    def test_a_crop_shows_the_foot_upright_at_one_scale(self, drawn: FootSamples) -> None:
        feet = drawn.select({case for case, empty in zip(drawn.cases, drawn.empty, strict=True) if not empty})
        assert 5 <= len(feet.cases) < 9, "some crops show a hand"
        assert np.isnan(drawn.points[drawn.empty]).all()
        assert np.abs(feet.sizes).max() < 0.1
        toe, first, fifth = (feet.points[:, LANDMARKS.index(name)] for name in ("FIP1", "MTP1", "MTP5"))
        bases = feet.points[:, len(FOOT_SITES) :]
        assert (toe[:, 1] < first[:, 1]).all()
        assert (fifth[:, 0] < first[:, 0]).all(), "the big toe of a left foot is on the right"
        assert (bases[..., 1].min(axis=1) > feet.points[:, : len(FOOT_SITES), 1].max(axis=1)).all()
        middle = feet.points.mean(axis=1)
        assert np.abs(middle - FOOT_SAMPLE_SIZE / 2).max() < 12
        on_bone = [
            np.median([image[int(y), int(x)] for x, y in places if 0 < y < FOOT_SAMPLE_SIZE]) > np.median(image)
            for image, places in zip(np.asarray(feet.images), feet.points, strict=True)
        ]
        assert np.mean(on_bone) > 0.7, "the borders of some films are bright"

    def test_a_frame_follows_the_foot_however_it_lies_on_the_film(self) -> None:
        places = dict(zip(LANDMARKS, (map(tuple, usual_points())), strict=True))
        for turn, side in ((0.4, "L"), (2.0, "R")):
            c, s = 1.7 * np.cos(turn), 1.7 * np.sin(turn)
            flip = np.array([[-1.0 if side == "R" else 1.0, 0.0], [0.0, 1.0]])
            matrix = np.array([[c, -s], [s, c]]) @ flip
            on_film = {name: tuple(matrix @ place + [300, 40]) for name, place in places.items()}
            frame = place_foot(on_film, side)
            assert frame is not None
            assert scale_of(frame) == pytest.approx(1.7, rel=0.02)
            back = map_points(invert(frame), np.array(list(on_film.values())))
            assert np.abs(back - np.array(list(places.values()))).max() < 3
            few = {name: on_film[name] for name in FOOT_SITES[:2]}
            assert place_foot(few, side) is None

    def test_the_size_is_that_of_the_known_boxes(self) -> None:
        widths = np.stack([USUAL_WIDTHS * 1.2, USUAL_WIDTHS, USUAL_WIDTHS]) / FOOT_SAMPLE_STEP
        widths[1, :5] = np.nan
        widths[2] = np.nan
        sizes = samples_of(np.zeros((3, len(LANDMARKS), 2)), widths).sizes
        assert sizes[:2] == pytest.approx([np.log(1.2), 0.0], abs=1e-5)
        assert np.isnan(sizes[2])

    def test_the_shape_is_learned_from_complete_feet_in_mm_of_a_usual_foot(self) -> None:
        rng, scales = np.random.default_rng(0), np.linspace(0.8, 1.2, 30)
        points = np.stack([usual_points(scale) for scale in scales]) + rng.normal(0, 0.5, (30, len(LANDMARKS), 2))
        widths = scales[:, None] * USUAL_WIDTHS / FOOT_SAMPLE_STEP
        samples = samples_of(points, widths)
        shape = learn_foot_shape(
            [samples.select({f"C{n}" for n in range(15)}), samples.select({f"C{n}" for n in range(15, 30)})]
        )
        assert shape is not None
        assert shape.sites == LANDMARKS
        assert np.abs(shape.mean - (usual_points() - FOOT_SAMPLE_SIZE / 2) * FOOT_SAMPLE_STEP).max() < 1
        assert shape.widths.tolist() == [*USUAL_WIDTHS, 0, 0, 0, 0, 0]
        points[:8, 7] = np.nan
        assert learn_foot_shape([samples_of(points, widths)]) is None, "22 complete feet are too few"

    def test_feet_of_a_study_have_the_confirmed_boxes(self, film: PhantomFilm, tmp_path: Path) -> None:
        study = study_of(film, tmp_path)
        boxes = [
            Region(key, "film", box, RegionSource.RATER, "anna")
            for key, box in film.boxes.items()
            if key not in ("L.MTP3", "R.FIP1", "R.MTP1", "R.MTP2", "R.MTP3")
        ]
        study.save_regions("C-1", boxes)
        feet = load_foot_samples(study, ["C-1"], tmp_path / "samples", lambda *_: None)
        assert feet.cases == ("C-1",), "two boxes do not tell where the right foot is"
        known = np.isfinite(feet.points[0]).all(axis=1)
        assert known.tolist() == [True, True, True, False, True, True, *[False] * 5]
        frame = place_foot({name: film.boxes[f"L.{name}"].centre for name in FOOT_SITES if name != "MTP3"}, "L")
        assert frame is not None
        for column, name in enumerate(FOOT_SITES):
            if name != "MTP3":
                assert map_points(frame, feet.points[0, column]) == pytest.approx(
                    film.boxes[f"L.{name}"].centre, abs=0.01
                )
                assert feet.widths[0, column] * scale_of(frame) == pytest.approx(
                    film.boxes[f"L.{name}"].width, rel=1e-4
                )
        again = load_foot_samples(study, ["C-1"], tmp_path / "samples", lambda *_: None)
        assert np.array_equal(again.images, feet.images)
        assert again.images.max() > 200
        with pytest.raises(TrainError, match="no foot has enough confirmed regions"):
            load_foot_samples(study, [], tmp_path / "samples", lambda *_: None, required=True)


class TestTraining:
    def test_a_crop_of_a_hand_shows_no_site(self) -> None:
        images = torch.zeros(4, 1, FOOT_SAMPLE_SIZE, FOOT_SAMPLE_SIZE)
        points = torch.full((4, len(LANDMARKS), 2), torch.nan)
        empty = torch.tensor([True, True, False, False])
        draws = torch.Generator().manual_seed(0)
        step = PARTS["foot"].step / FOOT_SAMPLE_STEP
        _, targets = augment_landmarks(images, points, torch.full((4,), torch.nan), draws, step=step, empty=empty)
        assert (targets.visible[:2] == 0).all()
        assert torch.isnan(targets.visible[2:]).all(), "nothing is known of the others"

    def test_a_pool_draws_from_all_its_sources(self) -> None:
        unknown = np.full((2, len(LANDMARKS), 2), np.nan)
        one, other = (samples_of(unknown, np.full((2, 6), np.nan)) for _ in range(2))
        other.empty[1] = True
        pool = FootPool([one, other], CPU)
        assert len(pool) == 4
        crops, targets = pool.draw(torch.tensor([3, 0, 2]), torch.Generator().manual_seed(1))
        assert crops.shape == (3, 1, INPUT_SIZE, INPUT_SIZE)
        assert (targets.visible[0] == 0).all()
        assert torch.isnan(targets.visible[1:]).all()

    def test_it_trains_feet_only_and_keeps_everything_else(self, drawn: FootSamples, tmp_path: Path) -> None:
        plan, run = TrainingPlan(epochs=1, rate=1e-3), tmp_path / "run"
        learned, kept = split_feet(drawn, 0.3)
        assert set(learned.cases).isdisjoint(kept.cases)
        assert len(learned.cases) + len(kept.cases) == 9
        fit_detector(
            [], [], plan, run, CPU, ProcessGroup(), batch=4, weights=SHIPPED, foot_only=True,
            feet=[learned], feet_validation=[kept], choose_epoch=True,
        )  # fmt: skip
        before, after = (build_detector(each).state_dict() for each in (SHIPPED, run / "model.pt"))
        changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert changed == {"foot"}
        assert torch.equal(before["foot.mean"], after["foot.mean"])
        known, shipped = load_domain(run).known, load_domain(SHIPPED).known
        assert shipped is not None
        assert known is not None
        assert np.array_equal(known.mean, shipped.mean)
        trained = build_detector(run / "model.pt").eval()
        with torch.inference_mode():
            assert np.isfinite(make_foot_validation([kept], CPU)(trained))

    def test_the_feet_of_a_study_are_learned_without_its_hands(
        self, film: PhantomFilm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study, given = study_of(film, tmp_path), dict[str, Any]()
        study.save_regions(
            "C-1", [Region(key, "film", box, RegionSource.RATER, "anna") for key, box in film.boxes.items()]
        )
        monkeypatch.setattr(detector_training, "start_run", lambda *_: Run(Split(("C-1",), ()), "2026-01-31"))
        monkeypatch.setattr(detector_training, "fit_detector", lambda *args, **more: given.update(more, hands=args[0]))
        plan = RunPlan(TrainingPlan(epochs=1), 4, weights=SHIPPED, foot_only=True)
        train_detector(study, tmp_path / "run", plan, CPU, ProcessGroup())
        assert given["hands"] == []
        assert given["foot_only"]
        assert [each.cases for each in given["feet"]] == [("C-1", "C-1")]
        (data,) = given["lineage"].data
        assert (data.count, data.cases) == (2, ("C-1",))

    def test_feet_need_a_trained_detector_and_films(self, drawn: FootSamples, tmp_path: Path) -> None:
        plan = TrainingPlan(epochs=1)
        with pytest.raises(TrainError, match="needs a trained detector"):
            fit_detector([], [], plan, tmp_path, CPU, ProcessGroup(), batch=3, foot_only=True, feet=[drawn])
        with pytest.raises(TrainError, match="there are no films of feet"):
            fit_detector([], [], plan, tmp_path, CPU, ProcessGroup(), batch=3, foot_only=True, weights=SHIPPED)


class TestSearch:
    def test_both_feet_of_a_film_are_found(self, film: PhantomFilm, levels: np.ndarray, model: JointDetector) -> None:
        feet = find_foot_sites(model, levels, SCHEME, max_feet=2)
        assert sorted(foot.side for foot in feet) == ["L", "R"]
        for foot in feet:
            assert least_overlap(foot, film.boxes, foot.side) > 0.5
            assert {each.candidate.kind for each in foot.joints.values()} == {FOOT_KIND}
            assert (foot.rotation, foot.is_negative) == (0, False)
            assert all(np.isnan(each.finding) for each in foot.joints.values())

    def test_a_turned_mirrored_negative_film_is_read_without_torch(self, film: PhantomFilm) -> None:
        stored, half = Orientation.MIRRORED_90, film.areas["R"]
        own = np.ascontiguousarray(film.pixels[:, int(half.x0) : int(half.x1)])
        negative = np.float32(1) - normalise_levels(turn_film(Film(own, 12), stored))
        (foot,) = find_foot_sites(load_shipped_detector(), negative, SCHEME, max_feet=2)
        assert (foot.side, foot.is_negative) == ("L", True)
        assert stored.then(Orientation.of(foot.rotation)) in (Orientation.UPRIGHT, Orientation.MIRRORED)
        rows, columns = own.shape
        boxes = {key: stored.turn_box(box.shift(-half.x0, 0.0), columns, rows) for key, box in film.boxes.items()}
        assert least_overlap(foot, boxes, "R") > 0.5

    def test_a_found_foot_is_covered_before_the_other_one_is_searched(self) -> None:
        levels = np.full((100, 120), 0.1, np.float32)
        levels[20:60, 20:50] = levels[20:60, 90:110] = 0.9
        corners = np.array([[20.0, 20.0], [50.0, 20.0], [35.0, 60.0], [35.0, 30.0]])
        rest = cover_foot(levels, FoundPart("L", {}, 0.5, 0.0, corners, 0.5))
        assert rest[22:40, 25:45].max() < 0.2
        assert np.array_equal(rest[:, 70:], levels[:, 70:])
        assert levels[30, 30] == np.float32(0.9), "the film itself stays as it is"

    def test_a_hand_is_no_foot(self, model: JointDetector) -> None:
        patient = simulate_patient(np.random.default_rng([79, 3]), SCHEME)
        hand = render(patient, "L", 0, np.random.default_rng([79, 4]), size=(400, 330))
        part = model.landmark_part("foot")
        assert part is not None
        assert not find_feet(part, normalise_levels(Film(hand.pixels, 12)), max_feet=2)

    def test_a_detector_without_a_part_for_feet_finds_none(self, levels: np.ndarray, tmp_path: Path) -> None:
        fresh = JointDetector(parts=["wrist"])
        assert find_foot_sites(fresh, levels, SCHEME) == []
        torch.save({"model": fresh.state_dict(), "about": {"model": "detector"}}, tmp_path / "model.pt")
        assert load_detector(tmp_path, CPU).parts == {}

    def test_the_api_searches_feet_if_asked(self, film: PhantomFilm, model: JointDetector) -> None:
        feet = Detector(model, "shipped", ModelDomain()).find(Film(film.pixels, 12), part="foot", max_hands=1)
        assert [tuple(foot.joints) for foot in feet] == [FOOT_SITES]
        assert "does not judge" in feet[0].no_finding


def least_overlap(foot: FoundHand, truth: dict[str, Box], side: str) -> float:
    """Return the least IoU of a joint of the foot with its true box."""
    assert set(foot.joints) == set(FOOT_SITES)
    return min(foot.joints[name].box.intersection_over_union(truth[f"{side}.{name}"]) for name in FOOT_SITES)


def study_of(film: PhantomFilm, folder: Path) -> Study:
    """Return a study with the film of both feet as its only one."""
    study = Study.create(folder / "study", "mtss", ["anna"])
    path = study.film_path("C-1", "film")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_film(path, film.pixels, spacing=film.spacing)
    study.save_case(Case("C-1", (FilmRecord("film", 0, "B", "foot", *film.pixels.shape, 0, film.spacing),)))
    return study
