"""Which finger a box belongs to, whatever is missing, added or turned."""

import math

import numpy as np
import pytest

from ratui.scheme import load_scheme
from trainer.hands import template_of
from trainer.identity import Candidate, name_joints

SCHEME = load_scheme("fingers")
TEMPLATE = template_of(SCHEME)
KINDS = {joint.id: joint.group for joint in SCHEME.joints}


def hand(*, angle: float = 0.0, scale: float = 1.0, jitter: float = 0.0, seed: int = 0) -> dict[str, Candidate]:
    rng = np.random.default_rng(seed)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    found = {}
    for joint, (x, y, size) in TEMPLATE.items():
        dx, dy = x - 130, y - 160
        noise = rng.normal(0, jitter * size, 2)
        x, y = 150 + cos * dx - sin * dy + noise[0], 160 + sin * dx + cos * dy + noise[1]
        found[joint] = Candidate(x, y, size * scale, KINDS[joint], 0.9)
    return found


def named(candidates: list[Candidate]) -> dict[str, Candidate]:
    return {joint: candidates[index] for joint, index in name_joints(candidates, TEMPLATE, KINDS).items()}


@pytest.mark.parametrize("angle", [-0.6, 0.0, 0.4])
@pytest.mark.parametrize("scale", [0.75, 1.0, 1.2])
def test_a_hand_turned_and_scaled(angle: float, scale: float) -> None:
    truth = hand(angle=angle, scale=scale, jitter=0.1)
    shuffled = list(truth.values())
    np.random.default_rng(1).shuffle(shuffled)  # type: ignore[arg-type]
    assert named(shuffled) == truth


@pytest.mark.parametrize("missing", list(TEMPLATE))
def test_a_missing_joint_is_left_out_and_no_other_takes_its_name(missing: str) -> None:
    truth = hand(jitter=0.1)
    del truth[missing]
    assert named(list(truth.values())) == truth


def test_false_boxes_get_no_name() -> None:
    truth = hand(jitter=0.1)
    false = [
        Candidate(20, 300, 20, "MCP", 0.5),
        Candidate(250, 20, 17, "PIP", 0.6),
        Candidate(300, 310, 20, "MCP", 0.4),
    ]
    assert named([*false, *truth.values()]) == truth


@pytest.mark.parametrize("number", [0, 1])
def test_too_few_boxes_get_no_names(number: int) -> None:
    assert named(list(hand().values())[:number]) == {}
