"""The detector that comes with ratui, on unseen hands, simulated and real."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import trainer
from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand, find_hands
from ratui.imaging import normalize_intensity, read_film
from ratui.scheme import load_scheme
from tests.films import real_films
from trainer.data.phantoms import simulate_hands
from trainer.data.splits import Split
from trainer.models.detector import JointDetector, load_detector
from trainer.shipped import SHIPPED, SHIPPED_RUN
from trainer.training.runs import load_split

SCHEME = load_scheme("fingers")
REAL = real_films() or Path("nowhere")
needs_real_films = pytest.mark.skipif(not REAL.exists(), reason="there are no real films here")


@pytest.fixture(scope="module")
def model() -> JointDetector:
    return load_detector(SHIPPED, torch.device("cpu"))


@dataclass(frozen=True)
class Result:
    """The number of joints found within a quarter of their box, and of boxes elsewhere."""

    near: int
    elsewhere: int


def compared(hands: list[FoundHand], truth: dict[str, tuple[float, float, float, float]]) -> Result:
    near = elsewhere = 0
    for joint, found in hands[0].joints.items() if hands else ():
        x0, y0, x1, y1 = truth[joint]
        off = max(abs(found.candidate.x - (x0 + x1) / 2), abs(found.candidate.y - (y0 + y1) / 2)) / (x1 - x0)
        near, elsewhere = near + (off <= 0.25), elsewhere + (off > 0.5)
    return Result(near, elsewhere)


def test_it_is_small_and_declares_no_study() -> None:
    assert (SHIPPED_RUN / "model.pt").stat().st_size < 5_500_000
    assert load_split(SHIPPED) == Split((), ())


def test_it_finds_the_joints_of_new_simulated_hands(model: JointDetector, tmp_path: Path) -> None:
    samples = simulate_hands(6, tmp_path, lambda *_: None, scheme=SCHEME, seed=424_242, ill=0.0)
    near = elsewhere = 0
    for row in range(6):
        levels = np.asarray(samples.images[row], np.float32) / np.float32(255)
        truth = {
            joint: tuple(float(3 * v) for v in samples.boxes[row, column])
            for column, joint in enumerate(samples.joints)
        }
        result = compared(find_hands(model, levels, SCHEME), truth)  # type: ignore[arg-type]
        near, elsewhere = near + result.near, elsewhere + result.elsewhere
    assert near >= 57
    assert elsewhere <= 1


@needs_real_films
def test_it_finds_and_names_all_joints_of_a_real_hand_and_nothing_else(model: JointDetector) -> None:
    film = read_film(REAL / "hand_dicom" / "hand_right_pa_kodak_cr500_uncompressed.dcm")
    raw = json.loads((REAL / "hand_dicom" / "joint_boxes_by_eye.json").read_text())["joints"]
    truth = {joint["joint"].replace("MP", "MCP"): tuple(joint["box"]) for joint in raw}
    levels = normalise_levels(film, (0.0, 0.0, float(film.columns), float(film.rows)))
    hands = find_hands(model, levels, SCHEME, max_hands=2)
    assert [hand.side for hand in hands] == ["R"]
    assert compared(hands, truth) == Result(10, 0)


@needs_real_films
def test_it_finds_no_hand_on_a_wrist(model: JointDetector) -> None:
    for file in sorted((REAL / "ra_wrists").glob("*.png"))[::13]:
        assert find_hands(model, normalize_intensity(np.asarray(Image.open(file).convert("L"))), SCHEME) == []


@needs_real_films
def test_it_knows_the_film_of_a_healthy_real_hand_and_has_no_finding_there() -> None:
    film = read_film(REAL / "hand_dicom" / "hand_right_pa_kodak_cr500_uncompressed.dcm")
    (hand,) = trainer.load_detector("shipped").find(film)
    assert (hand.domain_score or math.inf) < 1
    assert not hand.no_finding
    judged = [joint.finding for joint in hand.joints.values() if not math.isnan(joint.finding)]
    assert len(judged) == 10, "the sites of the wrist are not judged"
    assert max(judged) < 0.5


@needs_real_films
def test_it_gives_no_finding_on_an_unlike_film_and_says_why() -> None:
    film = read_film(REAL / "hand_dicom" / "hand_right_pa_kodak_cr500_uncompressed.dcm")
    blurred = replace(film, pixels=cv2.GaussianBlur(film.pixels, (0, 0), 12.0))
    (hand,) = trainer.load_detector("shipped").find(blurred)
    assert (hand.domain_score or 0) > 1
    assert hand.no_finding == "the film is unlike those that the model learned from"
    assert all(math.isnan(joint.finding) for joint in hand.joints.values())
