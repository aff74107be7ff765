"""The finger of each box and the side of the hand, with missing, false, mirrored, rotated or crooked joints."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from ratui.detection.finger_joints import make_joint_template, map_joint_kinds
from ratui.detection.joint_naming import Candidate, assign_columns, name_hand, name_joints
from ratui.scheme import load_scheme

SCHEME = load_scheme("fingers")
TEMPLATE = make_joint_template(SCHEME)
KINDS = map_joint_kinds(SCHEME)


def hand(
    *, angle: float = 0.0, scale: float = 1.0, jitter: float = 0.0, seed: int = 0, side: str = "L", drift: float = 0.0
) -> dict[str, Candidate]:
    """Return the template's boxes, rotated by `angle`, mirrored for a right hand, fingers bent by `drift`."""
    rng = np.random.default_rng(seed)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    found = {}
    for joint, (x, y, size) in TEMPLATE.items():
        if KINDS[joint] == "PIP":
            knuckle = TEMPLATE[f"MCP{joint[-1]}"]
            c, s = math.cos(drift), math.sin(drift)
            dx, dy = x - knuckle[0], y - knuckle[1]
            x, y = knuckle[0] + c * dx - s * dy, knuckle[1] + s * dx + c * dy
        dx, dy = x - 130, y - 160
        dx = -dx if side == "R" else dx
        noise = rng.normal(0, jitter * size * scale, 2)
        x, y = 150 + cos * dx - sin * dy + noise[0], 160 + sin * dx + cos * dy + noise[1]
        found[joint] = Candidate(x, y, size * scale, KINDS[joint], 0.9)
    return found


def named(candidates: list[Candidate]) -> dict[str, Candidate]:
    return {joint: candidates[index] for joint, index in name_joints(candidates, TEMPLATE, KINDS).items()}


def shuffled(joints: Mapping[str, Candidate], seed: int = 1) -> list[Candidate]:
    order = np.random.default_rng(seed).permutation(len(joints))
    return [list(joints.values())[i] for i in order]


@pytest.mark.parametrize("angle", [-0.9, 0.0, 0.6])
@pytest.mark.parametrize("scale", [0.4, 1.0, 1.3])
def test_a_hand_turned_and_scaled(angle: float, scale: float) -> None:
    truth = hand(angle=angle, scale=scale, jitter=0.1)
    assert named(shuffled(truth)) == truth


@pytest.mark.parametrize("drift", [-0.5, -0.25, 0.25])
def test_fingers_that_drift_as_a_whole_keep_their_names(drift: float) -> None:
    truth = hand(drift=drift, jitter=0.1)
    assert named(shuffled(truth)) == truth


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


@pytest.mark.parametrize("number", [0, 1, 3])
def test_too_few_boxes_get_no_names(number: int) -> None:
    assert named(list(hand().values())[:number]) == {}


def test_a_box_of_the_other_kind_is_no_joint_at_any_place() -> None:
    truth = hand()
    wrong = [Candidate(c.x, c.y, c.size, "PIP" if j == "MCP3" else c.kind, c.score) for j, c in truth.items()]
    assert "MCP3" not in named(wrong)
    assert len(named(wrong)) == 9


@given(
    side=st.sampled_from("LR"),
    angle=st.floats(-1.0, 1.0),
    scale=st.floats(0.3, 1.5),
    seed=st.integers(0, 10_000),
    gone=st.sets(st.sampled_from(sorted(TEMPLATE)), max_size=3),
)
@settings(max_examples=40)
def test_the_side_is_recognized_and_no_joint_gets_a_wrong_name(
    side: str, angle: float, scale: float, seed: int, gone: set[str]
) -> None:
    whole = hand(side=side, angle=angle, scale=scale, jitter=0.1, seed=seed)
    truth = {joint: box for joint, box in whole.items() if joint not in gone}
    boxes = shuffled(truth, seed)
    found = name_hand(boxes, TEMPLATE, KINDS)
    assert found is not None
    assert found.side == side
    assert {joint: boxes[index] for joint, index in found.joints.items()} == truth


@given(
    seed=st.integers(0, 10_000),
    false=st.lists(st.tuples(st.floats(0, 320), st.floats(0, 320), st.booleans()), max_size=6),
)
@settings(max_examples=40)
def test_doubtful_boxes_beside_a_whole_hand_change_nothing(seed: int, false: list[tuple[float, float, bool]]) -> None:
    truth = hand(jitter=0.1, seed=seed)
    doubtful = [Candidate(x, y, 20, "MCP" if knuckle else "PIP", 0.3) for x, y, knuckle in false]
    boxes = shuffled({**truth, **{f"false {n}": box for n, box in enumerate(doubtful)}}, seed)
    found = name_hand(boxes, TEMPLATE, KINDS)
    assert found is not None
    names = {joint: boxes[index] for joint, index in found.joints.items()}
    # A doubtful box on a joint may take its name; no true box ever gets another name.
    assert all(box in doubtful or truth[joint] == box for joint, box in names.items())
    assert set(names) == set(truth)
    assert len(set(found.joints.values())) == len(names)


@given(seed=st.integers(0, 10_000), angle=st.floats(-0.8, 0.8))
@settings(max_examples=15)
def test_the_order_of_the_boxes_changes_nothing(seed: int, angle: float) -> None:
    truth = hand(angle=angle, jitter=0.2, seed=seed)
    assert named(shuffled(truth, seed)) == named(shuffled(truth, seed + 1))


def test_two_hands_are_separated() -> None:
    left = {joint: Candidate(c.x * 0.5, c.y * 0.5, c.size * 0.5, c.kind, 0.9) for joint, c in hand().items()}
    right = {
        joint: Candidate(160 + c.x * 0.5, c.y * 0.5, c.size * 0.5, c.kind, 0.8) for joint, c in hand(side="R").items()
    }
    boxes = [*left.values(), *right.values()]
    for _ in range(2):
        found = name_hand(boxes, TEMPLATE, KINDS)
        assert found is not None
        truth = {"L": left, "R": right}[found.side]
        assert {joint: boxes[index] for joint, index in found.joints.items()} == truth
        boxes = [box for index, box in enumerate(boxes) if index not in found.joints.values()]
    assert boxes == []


def test_assignments_cost_as_little_as_those_of_scipy() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        rows, columns = (int(n) for n in rng.integers((1, 10), (11, 50)))
        cost = np.round(rng.normal(3, 6, (rows, columns)).clip(max=18), int(rng.integers(0, 4)))  # rounding makes ties
        chosen = assign_columns(cost)
        assert len(set(chosen.tolist())) == rows
        assert cost[np.arange(rows), chosen].sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum(), abs=1e-3)


def cut_hand(seed: int, kept: int) -> tuple[dict[str, Candidate], np.ndarray]:
    """Return the `kept` leftmost joints of a crooked hand, of either side, and the corners of the film that ends there."""
    rng = np.random.default_rng(seed)
    whole = hand(
        side="LR"[seed % 2],
        angle=float(rng.uniform(-0.3, 0.3)),
        scale=float(rng.uniform(0.7, 1.1)),
        jitter=0.25,
        seed=seed,
        drift=float(rng.uniform(-0.3, 0.3)),
    )
    places = sorted(each.x for each in whole.values())
    edge = (places[kept - 1] + places[kept]) / 2
    left = {joint: each for joint, each in whole.items() if each.x < edge}
    return left, np.array([[0.0, 0.0], [edge, 0.0], [edge, 400.0], [0.0, 400.0]])


def count_right_names(kept: int, *, has_border: bool, transform: np.ndarray | None = None, flip: int = 1) -> int:
    """Return how many of 24 hands that a film cuts off have no wrong name."""
    right = 0
    for seed in range(24):
        truth, outline = cut_hand(seed, kept)
        if transform is not None:
            moved = [np.r_[each.x, each.y, 1.0] @ transform.T for each in truth.values()]
            size = float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
            truth = {
                joint: Candidate(float(x), float(y), each.size * size, each.kind, each.score)
                for (joint, each), (x, y) in zip(truth.items(), moved, strict=True)
            }
            outline = outline @ transform[:, :2].T + transform[:, 2]
        boxes = shuffled(truth, seed)
        found = name_hand(boxes, TEMPLATE, KINDS, outline=outline[::flip] if has_border else None)
        right += found is not None and all(truth.get(joint) == boxes[n] for joint, n in found.joints.items())
    return right


def test_a_hand_that_the_border_cuts_off_keeps_its_names() -> None:
    assert count_right_names(6, has_border=True) >= count_right_names(6, has_border=False) + 5
    assert count_right_names(8, has_border=True) >= count_right_names(8, has_border=False) + 3


@pytest.mark.parametrize("flip", [1, -1])
def test_the_border_counts_alike_on_an_enlarged_tilted_film_and_whatever_the_direction_of_its_corners(
    flip: int,
) -> None:
    tilted = np.array([[1.4, -0.4, 200.0], [0.4, 1.4, 30.0]])
    right = count_right_names(6, has_border=True, transform=tilted, flip=flip)
    assert right >= count_right_names(6, has_border=False) + 5
