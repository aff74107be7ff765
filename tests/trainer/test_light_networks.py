"""The detector that OpenCV runs, from the same weights as torch's, with the same results."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, normalise_levels
from ratui.detection.hand_finder import find_hands
from ratui.detection.onnx_networks import OnnxDetector, crop_squares, load_shipped_detector, suppress_overlaps
from ratui.detection.shape import ShapeModel
from ratui.detection.site_finder import find_sites
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.imaging import Film
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme
from trainer.data.phantoms import simulate_hands
from trainer.models.detector import load_detector
from trainer.models.refiner import REFINER_CROP_SIZE, WINDOW, crop_joints
from trainer.shipped import SHIPPED, SHIPPED_RUN
from trainer.shipped.light import LIGHT_FOLDER


@pytest.fixture(scope="module")
def network() -> OnnxDetector:
    return load_shipped_detector()


def test_it_is_made_from_the_shipped_weights(network: OnnxDetector) -> None:
    weights = (SHIPPED_RUN / "model.pt").read_bytes()
    message = "run python -m trainer.shipped.light after a change of model.pt"
    assert network.weights_sha256 == hashlib.sha256(weights).hexdigest(), message
    assert sum(file.stat().st_size for file in LIGHT_FOLDER.iterdir()) < 6e6


def test_it_finds_what_torch_finds(network: OnnxDetector, tmp_path: Path) -> None:
    model = load_detector(SHIPPED, torch.device("cpu"))
    assert network.size_statistics == model.size_statistics
    hands = simulate_hands(1, tmp_path, lambda *_: None, scheme=load_scheme("fingers"), seed=2).images
    squares = np.concatenate([hands, np.zeros((1, FINE_SIZE, FINE_SIZE), np.uint8)])
    found, wanted = network.detect(squares, 0.15), model.detect(squares, 0.15)
    assert [len(each) for each in found] == [len(each) for each in wanted]
    assert len(found[0]) >= 9
    assert found[1] == []
    for one, other in zip(found[0], wanted[0], strict=True):
        a, b = one.candidate, other.candidate
        assert a.kind == b.kind
        assert (a.x, a.y, a.size) == pytest.approx((b.x, b.y, b.size), abs=1e-3 * b.size)
        assert (a.score, one.finding) == pytest.approx((b.score, other.finding), abs=1e-3)


def test_its_landmark_networks_give_the_maps_of_torch_on_crops_of_any_size(network: OnnxDetector) -> None:
    model = load_detector(SHIPPED, torch.device("cpu"))
    for name, part in model.parts.items():
        light, heavy = network.landmark_part(name), part.as_part()
        assert light is not None
        assert isinstance(light.shape, ShapeModel)
        assert light.shape.sites == heavy.shape.sites
        assert light.shape.joints == heavy.shape.joints
        for field in ("mean", "covariance", "widths", "fingers", "finger_errors", "finger_widths"):
            assert np.array_equal(getattr(light.shape, field), getattr(heavy.shape, field)), (name, field)
        for count, side in ((2, 96), (1, 192), (3, 96)):
            crops = np.random.default_rng(side).integers(0, 256, (count, side, side), np.uint8)
            for found, wanted in zip(light.network(crops), heavy.network(crops), strict=True):
                assert found.shape == wanted.shape
                assert np.abs(found - wanted).max() < 2e-3, name
    assert set(model.parts) == {"wrist", "foot"}


def test_it_finds_the_wrist_of_a_hand_and_one_alone_where_torch_does(network: OnnxDetector) -> None:
    model, scheme = load_detector(SHIPPED, torch.device("cpu")), load_scheme("mtss-hands")
    patient = simulate_patient(np.random.default_rng([78, 1]), scheme)
    film = render(patient, "R", 0, np.random.default_rng([78, 2]), size=(700, 570))
    levels = normalise_levels(Film(film.pixels, 12))
    top = int(min(film.boxes[f"R.{name}"].y0 for name in WRIST_SITES)) - 60
    for image, has_fingers in ((levels, True), (levels[top:], False)):
        light, heavy = (
            find_sites(each, image, scheme, sides=("R",), rotations=(0,), is_whole=has_fingers)
            for each in (network, model)
        )
        assert len(light) == len(heavy) == 1
        assert set(light[0].joints) == set(heavy[0].joints)
        assert len(light[0].joints) == (22 if has_fingers else 12)
        for name, detection in light[0].joints.items():
            a, b = detection.candidate, heavy[0].joints[name].candidate
            assert (a.x, a.y, a.size) == pytest.approx((b.x, b.y, b.size), abs=2e-3 * b.size), name
            assert a.score == pytest.approx(b.score, abs=5e-3), name


def test_the_wrist_is_searched_in_the_polarity_in_which_it_is_clear(network: OnnxDetector) -> None:
    scheme = load_scheme("mtss-hands")
    film = render(
        simulate_patient(np.random.default_rng([9, 1]), scheme), "L", 0, np.random.default_rng(2), size=(620, 500)
    )
    (hand,) = find_sites(network, normalise_levels(Film(4095 - film.pixels, 12)), scheme, rotations=(0,))
    assert not hand.is_negative, "the fingers are seen in the wrong polarity, too"
    assert hand.joints.keys() == {joint.id for joint in scheme.joints}
    for name in WRIST_SITES:
        true, found = film.boxes[f"L.{name}"], hand.joints[name].box
        assert np.hypot(*np.subtract(found.centre, true.centre)) < 0.25 * true.width, name


def test_six_joints_of_a_hand_at_the_border_are_found(network: OnnxDetector) -> None:
    scheme, shown = load_scheme("fingers"), {f"{kind}{finger}" for kind in ("PIP", "MCP") for finger in "345"}
    rng = np.random.default_rng([777, 21])
    film = render(simulate_patient(rng, load_scheme("mtss-hands"), severity=2.0), "R", 1, rng, size=(560, 460))
    levels = normalise_levels(Film(np.ascontiguousarray(film.pixels[:, 249:]), 12))
    (hand,) = find_hands(network, levels, scheme, rotations=(0,))
    assert (hand.side, hand.joints.keys()) == ("R", shown)


def test_a_film_of_a_foot_shows_no_hand(network: OnnxDetector) -> None:
    rng = np.random.default_rng([31, 0])
    film = render(simulate_patient(rng, load_scheme("mtss")), "L", 0, rng, size=(480, 370), part="foot")
    levels = normalise_levels(Film(film.pixels, 12))
    assert find_hands(network, levels, load_scheme("fingers"), rotations=(0,)), "its toes look like fingers"
    for name in ("mtss-hands", "fingers"):
        assert find_sites(network, levels, load_scheme(name), rotations=(0,)) == [], name


def test_crops_are_those_of_torch_also_beyond_the_edges() -> None:
    rng = np.random.default_rng(0)
    square = rng.random((FINE_SIZE, FINE_SIZE), np.float32)
    centres = rng.uniform(-30, COARSE_SIZE + 30, (8, 2)).astype(np.float32)
    sizes = rng.uniform(8, 80, 8).astype(np.float32)
    wanted = crop_joints(*(torch.from_numpy(each)[None] for each in (square[None], centres, sizes)))
    crops = crop_squares(square, centres, sizes * np.float32(WINDOW), REFINER_CROP_SIZE)
    assert np.abs(crops - wanted[:, 0].numpy()).max() < 2e-4  # single precision of places up to 960


def test_overlapping_boxes_are_those_of_torchvision() -> None:
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 60, (120, 2))
    boxes = np.hstack([corner, corner + rng.uniform(8, 30, (120, 2))]).astype(np.float32)
    scores = rng.random(120).astype(np.float32)
    for overlap in (0.2, 0.5):
        wanted = nms(torch.from_numpy(boxes), torch.from_numpy(scores), overlap).tolist()
        assert suppress_overlaps(boxes, scores, overlap).tolist() == wanted
    assert suppress_overlaps(boxes[:0], scores[:0], 0.5).tolist() == []
