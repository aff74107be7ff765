"""The detector that OpenCV runs, from the same weights as torch's, with the same results."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.detection.onnx_networks import OnnxJointNetwork, crop_squares, load_shipped_network, suppress_overlaps
from ratui.scheme import load_scheme
from trainer.data.phantoms import simulate_hands
from trainer.models.detector import load_detector
from trainer.models.refiner import REFINER_CROP_SIZE, WINDOW, crop_joints
from trainer.shipped import SHIPPED, SHIPPED_RUN
from trainer.shipped.light import LIGHT_FOLDER


@pytest.fixture(scope="module")
def network() -> OnnxJointNetwork:
    return load_shipped_network()


def test_it_is_made_from_the_shipped_weights(network: OnnxJointNetwork) -> None:
    weights = (SHIPPED_RUN / "model.pt").read_bytes()
    message = "run python -m trainer.shipped.light after a change of model.pt"
    assert network.weights_sha256 == hashlib.sha256(weights).hexdigest(), message
    assert sum(file.stat().st_size for file in LIGHT_FOLDER.iterdir()) < 6e6


def test_it_finds_what_torch_finds(network: OnnxJointNetwork, tmp_path: Path) -> None:
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
