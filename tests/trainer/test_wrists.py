"""The part of the detector for wrists: crops and their truth, the loss, the training, and what the shipped weights find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, normalise_levels
from ratui.detection.hand_finder import FoundHand
from ratui.detection.heat_maps import INPUT_SIZE, MAP_STRIDE
from ratui.detection.parts import PARTS
from ratui.detection.site_finder import WRIST_KIND, find_sites
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.errors import TrainError
from ratui.imaging import Box, Film, Orientation
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.scheme import load_scheme
from trainer.data.hands import HandSamples
from trainer.data.landmark_augmentation import augment_landmarks
from trainer.data.landmark_targets import LandmarkTargets
from trainer.data.phantoms import simulate_hands
from trainer.data.wrist_samples import SAMPLE_SIZE, SAMPLE_STEP, crop_wrist, learn_wrist_shape, place_wrists
from trainer.models.detector import JointDetector, build_detector, load_detector
from trainer.models.landmarks import LandmarkNet, landmark_loss
from trainer.shipped import SHIPPED
from trainer.training.detector_batches import make_detector_batches
from trainer.training.detector_training import fit_detector, select_cases
from trainer.training.loop import TrainingPlan
from trainer.training.processes import ProcessGroup

CPU = torch.device("cpu")
SCHEME = load_scheme("mtss-hands")
SITES = len(WRIST_SITES)
WRIST_STEP = PARTS["wrist"].step / SAMPLE_STEP


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> HandSamples:
    return simulate_hands(3, tmp_path_factory.mktemp("drawn"), lambda *_: None, scheme=SCHEME, seed=31)


@pytest.fixture(scope="module")
def model() -> JointDetector:
    return load_detector(SHIPPED, CPU)


@pytest.fixture(scope="module")
def film() -> PhantomFilm:
    patient = simulate_patient(np.random.default_rng([78, 1]), SCHEME)
    return render(patient, "R", 0, np.random.default_rng([78, 2]), size=(700, 570))


class TestSamples:
    def test_a_crop_shows_the_wrist_upright_at_one_scale(self, drawn: HandSamples, model: JointDetector) -> None:
        assert model.wrist is not None
        assert drawn.wrists is not None
        shape = model.wrist.shape_model()
        frames = place_wrists(drawn.wrists, shape)
        assert np.abs(frames.sizes).max() < 0.2
        for points in frames.points:
            assert np.hypot(*(points.mean(axis=0) - SAMPLE_SIZE / 2)) < 5
            assert points[WRIST_SITES.index("CMC1")][0] > points[WRIST_SITES.index("CMC5")][0] + 80, (
                "the thumb is right"
            )
        crop = crop_wrist(drawn.images[0], frames.transforms[0])
        assert crop.shape == (SAMPLE_SIZE, SAMPLE_SIZE)
        assert crop.max() == 255

    def test_larger_boxes_at_the_same_places_are_a_larger_size(self, drawn: HandSamples, model: JointDetector) -> None:
        assert model.wrist is not None
        assert drawn.wrists is not None
        middle = (drawn.wrists[..., :2] + drawn.wrists[..., 2:]) / 2
        larger = np.concatenate([middle + 1.3 * (part - middle) for part in np.split(drawn.wrists, 2, axis=2)], axis=2)
        before, after = (place_wrists(each, model.wrist.shape_model()).sizes for each in (drawn.wrists, larger))
        assert after - before == pytest.approx(np.log([1.3] * 3), abs=1e-3)

    def test_few_known_sites_give_no_crop(self, drawn: HandSamples, model: JointDetector) -> None:
        assert model.wrist is not None
        assert drawn.wrists is not None
        boxes = drawn.wrists.copy()
        boxes[0, 3:] = np.nan
        boxes[1, 5] = np.nan
        frames = place_wrists(boxes, model.wrist.shape_model())
        assert np.isnan(frames.points[0]).all()
        assert np.flatnonzero(np.isnan(frames.points[1]).any(axis=1)).tolist() == [5]
        assert not crop_wrist(drawn.images[0], frames.transforms[0]).any()

    def test_a_shape_is_learned_from_enough_complete_wrists_only(self, drawn: HandSamples) -> None:
        assert drawn.wrists is not None
        assert learn_wrist_shape([drawn]) is None
        rows = np.arange(30) % 3
        noise = np.random.default_rng(0).normal(0, 0.5, (30, SITES, 1)).astype(np.float32)
        many = replace(drawn, wrists=drawn.wrists[rows] + noise, boxes=drawn.boxes[rows])
        shape = learn_wrist_shape([many])
        assert shape is not None
        assert shape.mean[WRIST_SITES.index("ULN")][1] > 5 > shape.mean[WRIST_SITES.index("CMC4")][1]
        assert shape.finger_widths == pytest.approx([17, 17, 17, 17, 17, 21, 21, 21, 21, 21], rel=0.05)


class TestAugmentation:
    def test_the_points_move_with_the_image(self) -> None:
        at = torch.arange(SAMPLE_SIZE) + 0.5
        points = torch.rand(8, 6, 2, generator=torch.Generator().manual_seed(1)) * 90 + 115
        dots = (
            torch.exp(-((at - points[..., 0, None]) ** 2) / 18)[:, :, None]
            * torch.exp(-((at - points[..., 1, None]) ** 2) / 18)[..., None]
        )
        images = (0.1 + 0.9 * dots.amax(dim=1))[:, None]
        crops, targets = augment_landmarks(
            images, points, torch.zeros(8), torch.Generator().manual_seed(5), step=WRIST_STEP
        )
        assert crops.shape == (8, 1, INPUT_SIZE, INPUT_SIZE)
        bright = []
        for crop, place, seen in zip(crops[:, 0], targets.points, targets.visible, strict=True):
            for (x, y), visible in zip(place.tolist(), seen.tolist(), strict=True):
                if visible == 1:
                    around = crop[max(int(y) - 14, 0) : int(y) + 15, max(int(x) - 14, 0) : int(x) + 15]
                    bright.append(float(crop[int(y), int(x)]) > float(around.mean()) + 0.5 * float(around.std()))
        assert len(bright) > 20
        assert np.mean(bright) > 0.9, "a blob may lie on one"

    def test_on_turned_and_mirrored_crops_no_site_is_visible_and_unknown_sites_stay_unknown(self) -> None:
        points = torch.full((60, 2, 2), 160.0)
        points[:, 1] = torch.nan
        draws = torch.Generator().manual_seed(2)
        _, targets = augment_landmarks(
            torch.zeros(60, 1, SAMPLE_SIZE, SAMPLE_SIZE), points, torch.zeros(60), draws, step=WRIST_STEP
        )
        turned = torch.isnan(targets.sizes)
        assert 2 <= int(turned.sum()) <= 20
        assert not targets.visible[turned].any()
        assert torch.isnan(targets.visible[~turned, 1]).all()
        assert targets.visible[~turned, 0].mean() > 0.9


def target_of(x: float, y: float, visible: float) -> LandmarkTargets:
    return LandmarkTargets(torch.tensor([[[x, y]]]), torch.tensor([0.1]), torch.tensor([[visible]]))


class TestLoss:
    @staticmethod
    def maps(x: float, y: float, height: float = 12.0) -> torch.Tensor:
        at = (torch.arange(56) + 0.5) * MAP_STRIDE
        return height - ((at - x) ** 2 + (at[:, None] - y) ** 2)[None, None] / 20 - 4.0

    def test_it_is_least_at_the_place_and_without_a_peak_where_there_is_none(self) -> None:
        sizes = torch.tensor([0.1])
        near, off = (
            float(landmark_loss(self.maps(x, 70.0), sizes, target_of(101.0, 70.0, 1.0))) for x in (101.0, 121.0)
        )
        assert near + 3 < off
        flat = torch.full((1, 1, 56, 56), -20.0)
        some, none = (
            float(landmark_loss(each, sizes, target_of(101.0, 70.0, 0.0))) for each in (self.maps(101, 70), flat)
        )
        assert none < 0.01 < 3 < some

    def test_unknown_sites_and_sizes_do_not_count(self) -> None:
        unknown = LandmarkTargets(
            torch.full((1, 1, 2), torch.nan), torch.tensor([torch.nan]), torch.tensor([[torch.nan]])
        )
        maps = self.maps(50.0, 50.0).requires_grad_()
        loss = landmark_loss(maps, torch.tensor([3.0]), unknown)
        loss.backward()
        assert float(loss.detach()) == 0.0
        assert maps.grad is not None
        assert not maps.grad.any()
        assert float(landmark_loss(maps.detach(), torch.tensor([3.0]), target_of(50.0, 50.0, 1.0))) > 5

    def test_a_net_learns_two_crops(self) -> None:
        torch.manual_seed(0)
        net, crops = LandmarkNet(1), torch.rand(2, 1, 96, 96)
        crops[0, 0, 40:50, 20:30] = crops[1, 0, 60:70, 70:80] = 4.0
        truth = LandmarkTargets(torch.tensor([[[25.0, 45.0]], [[75.0, 65.0]]]), torch.zeros(2), torch.ones(2, 1))
        optimiser = torch.optim.Adam(net.parameters(), 3e-3)
        losses = []
        for _ in range(14):
            maps, sizes = net(crops)
            loss = landmark_loss(maps, sizes, truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert maps.shape == (2, 1, 24, 24)
        assert losses[-1] < 0.6 * losses[0]


class TestTraining:
    def test_it_trains_wrists_only_and_keeps_the_fingers(self, drawn: HandSamples, tmp_path: Path) -> None:
        plan = TrainingPlan(epochs=1, rate=1e-3)
        run = tmp_path / "run"
        fit_detector([drawn], [], plan, run, CPU, ProcessGroup(), batch=3, weights=SHIPPED, wrist_only=True)
        before, after = (build_detector(each).state_dict() for each in (SHIPPED, run / "model.pt"))
        changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        assert changed == {"wrist"}
        assert torch.equal(before["wrist.mean"], after["wrist.mean"])

    def test_wrists_need_a_trained_detector(self, drawn: HandSamples, tmp_path: Path) -> None:
        with pytest.raises(TrainError, match="needs a trained detector"):
            fit_detector([drawn], [], TrainingPlan(epochs=1), tmp_path, CPU, ProcessGroup(), batch=3, wrist_only=True)

    def test_hands_without_known_wrists_are_in_a_batch_with_others(
        self, drawn: HandSamples, model: JointDetector
    ) -> None:
        assert model.wrist is not None
        sources = [select_cases(drawn, {drawn.cases[0]}), replace(select_cases(drawn, {drawn.cases[1]}), wrists=None)]
        batches = make_detector_batches(sources, 2, 0, CPU, shape=model.wrist.shape_model())
        ((_, _, _, wrists),) = batches(0, ProcessGroup())
        assert wrists is not None
        crops, truth = wrists
        assert sorted(torch.isnan(truth.visible).all(dim=1).tolist()) == [False, True]
        assert sorted(bool(crop.max() > 0) for crop in crops[:, 0]) in ([False, True], [True, True])
        ((_, _, _, none),) = make_detector_batches(sources[1:], 2, 0, CPU, shape=model.wrist.shape_model())(
            0, ProcessGroup()
        )
        assert none is None

    def test_weights_without_a_shape_find_no_wrists(self, tmp_path: Path) -> None:
        fresh = JointDetector()
        torch.save({"model": fresh.state_dict(), "about": {"model": "detector"}}, tmp_path / "model.pt")
        assert fresh.wrist is not None
        assert load_detector(tmp_path, CPU).wrist is None


def worst(found: FoundHand, truth: dict[str, Box]) -> float:
    """Return the largest distance of a site of the wrist from the truth, in sides of its box."""
    return max(
        float(np.hypot(*np.subtract(found.joints[name].box.centre, truth[name].centre))) / truth[name].width
        for name in WRIST_SITES
    )


class TestShipped:
    def test_a_hand_has_its_wrist_in_any_rotation(self, model: JointDetector, film: PhantomFilm) -> None:
        stored = Orientation.of(270)
        rows, columns = film.pixels.shape
        levels = np.ascontiguousarray(np.rot90(normalise_levels(Film(film.pixels, 12)), -3))
        (hand,) = find_sites(model, levels, SCHEME)
        assert (hand.side, hand.rotation) == ("R", 90)
        assert len(hand.joints) == 22
        truth = {key[2:]: stored.turn_box(box, columns, rows) for key, box in film.boxes.items()}
        assert worst(hand, truth) < 0.25
        sizes = [hand.joints[name].candidate.size / truth[name].width for name in WRIST_SITES]
        assert sizes == pytest.approx([1.0] * SITES, abs=0.1)
        assert all(np.isnan(hand.joints[name].finding) for name in WRIST_SITES)
        assert min(hand.joints[name].candidate.score for name in WRIST_SITES) > 0.3
        assert {each.candidate.kind for each in hand.joints.values()} == {"MCP", "PIP", WRIST_KIND}

    def test_a_scheme_without_wrists_gets_fingers_only(self, model: JointDetector, film: PhantomFilm) -> None:
        levels = normalise_levels(Film(film.pixels, 12))
        (hand,) = find_sites(model, levels, load_scheme("fingers"), rotations=(0,), sides=("R",))
        assert not set(hand.joints) & set(WRIST_SITES)

    def test_a_wrist_alone_is_found_with_its_side_and_rotation(self, model: JointDetector, film: PhantomFilm) -> None:
        levels = normalise_levels(Film(film.pixels, 12))
        top = int(min(film.boxes[f"R.{name}"].y0 for name in WRIST_SITES)) - 60
        turned = np.ascontiguousarray(np.rot90(levels[top:], 1))  # a quarter turn to the left
        (hand,) = find_sites(model, turned, SCHEME, is_whole=False, rotations=(0, 90))
        assert (hand.side, hand.rotation) == ("R", 90)
        rows, columns = levels[top:].shape
        truth = {
            key[2:]: Orientation.of(270).turn_box(box.shift(0, -top), columns, rows) for key, box in film.boxes.items()
        }
        assert worst(hand, truth) < 0.25

    @pytest.mark.parametrize("is_negative", [False, True])
    def test_both_wrists_of_a_film_without_fingers_have_their_sides(
        self, model: JointDetector, is_negative: bool
    ) -> None:
        patient = simulate_patient(np.random.default_rng([79, 1]), SCHEME)
        drawn = render(patient, "B", 0, np.random.default_rng([79, 2]), size=(640, 1050))
        top = int(min(drawn.boxes[f"{side}.{name}"].y0 for side in "LR" for name in WRIST_SITES)) - 30
        levels = np.ascontiguousarray(normalise_levels(Film(drawn.pixels, 12))[top:])
        image = 1 - levels if is_negative else levels
        hands = find_sites(model, image, SCHEME, is_whole=False, max_hands=2, rotations=(0,))
        assert {hand.side for hand in hands} == {"L", "R"}
        assert {hand.is_negative for hand in hands} == {is_negative}
        for hand in hands:
            truth = {name: drawn.boxes[f"{hand.side}.{name}"].shift(0, -top) for name in WRIST_SITES}
            assert worst(hand, truth) < 0.25
        assert len(find_sites(model, image, SCHEME, is_whole=False, rotations=(0,))) == 1
        middle = levels.shape[1] // 2
        one = find_sites(model, image[:, :middle], SCHEME, is_whole=False, max_hands=2, rotations=(0,))
        assert len(one) == 1

    def test_fingers_alone_are_no_wrist(self, model: JointDetector, film: PhantomFilm) -> None:
        levels = normalise_levels(Film(film.pixels, 12))
        fingers = levels[: int(min(film.boxes[f"R.{name}"].y0 for name in WRIST_SITES)) - 40]
        assert find_sites(model, fingers, SCHEME, is_whole=False, rotations=(0,), sides=("R",)) == []


def test_boxes_of_wrists_are_in_units_of_the_square(drawn: HandSamples) -> None:
    assert drawn.wrists is not None
    assert drawn.images.shape[1:] == (FINE_SIZE, FINE_SIZE)
    assert 0 < drawn.wrists.min() < drawn.wrists.max() < COARSE_SIZE
    lower = drawn.wrists[..., 1].mean() > drawn.boxes[..., 3].mean()
    assert lower, "the wrist is below the fingers"
