"""The width of a joint space: simulated joints of known width, and joints whose surfaces are not visible."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from benchmarks.joint_space_width import WidthJoint, draw_hand
from ratui.imaging import Film, JointSpaceWidth, joint_space_width
from ratui.imaging.joint_width import _find_edges, _Profiles

HAND = 7_000  # a hand with narrow, fused and dislocated joints


@pytest.fixture(scope="module")
def joints() -> dict[str, WidthJoint]:
    """Return the ten joints of a hand by name."""
    return {joint.joint: joint for joint in draw_hand(HAND)}


@pytest.fixture(scope="module")
def found(joints: dict[str, WidthJoint]) -> dict[str, JointSpaceWidth]:
    return {name: measure(joint) for name, joint in joints.items()}


def measure(joint: WidthJoint) -> JointSpaceWidth:
    return joint_space_width(joint.crop, joint.box, spacing=(joint.spacing, joint.spacing))


def mm(width: JointSpaceWidth) -> float:
    """Return the mean width in mm."""
    assert width.mean_mm is not None
    return width.mean_mm


def smallest_mm(width: JointSpaceWidth) -> float:
    assert width.minimum_mm is not None
    return width.minimum_mm


def test_measures_known_widths(joints: dict[str, WidthJoint], found: dict[str, JointSpaceWidth]) -> None:
    good = [name for name, width in found.items() if width.is_reliable]
    assert good == [name for name, width in found.items() if width.ok], "the earlier name"
    assert {"MCP1", "MCP2", "MCP4", "IP1"} <= set(good)
    errors = np.array([mm(found[name]) - joints[name].mean for name in good])
    assert abs(np.median(errors)) < 0.1
    assert np.abs(errors).max() < 0.4
    smallest = np.array([smallest_mm(found[name]) - joints[name].minimum for name in good])
    assert np.abs(smallest).max() < 0.3
    for name in good:
        assert smallest_mm(found[name]) < mm(found[name])


def test_pixels_may_be_higher_than_wide(joints: dict[str, WidthJoint], found: dict[str, JointSpaceWidth]) -> None:
    joint, (x0, y0, x1, y1) = joints["MCP4"], joints["MCP4"].box
    flat = cv2.resize(joint.crop, None, fx=1.25, fy=1, interpolation=cv2.INTER_CUBIC)
    width = joint_space_width(flat, (1.25 * x0, y0, 1.25 * x1, y1), spacing=(joint.spacing, joint.spacing / 1.25))
    assert width.is_reliable
    assert mm(width) == pytest.approx(mm(found["MCP4"]), abs=0.08)


@pytest.mark.parametrize("name", ["PIP2", "MCP3", "PIP3", "PIP4"])
def test_refuses_surfaces_that_overlap(
    joints: dict[str, WidthJoint], found: dict[str, JointSpaceWidth], name: str
) -> None:
    assert joints[name].minimum < 0.2
    assert not found[name].is_reliable
    assert found[name].reason in {"overlap", "hidden"}


def test_takes_a_wide_space_up_to_the_plate_of_the_base() -> None:
    joint = next(each for each in draw_hand(7_018) if each.joint == "MCP2")
    assert mm(measure(joint)) == pytest.approx(joint.mean, abs=0.2)


def test_finds_the_plate_behind_the_rim_of_the_base() -> None:
    """The edge of the rim is nearer, and as steep as that of the plate."""
    places = np.arange(-80, 81) / 4
    rim, plate = 4.3, 9.2
    steps = 100 + 50 / (1 + np.exp((rim - places) / 0.3)) + 60 / (1 + np.exp((plate - places) / 0.5))
    levels = np.where(places < 0, 100 + 90 / (1 + np.exp((places + 3.1) / 0.4)), steps)
    profiles = _Profiles(
        np.repeat(levels[:, None], 40, axis=1).astype(np.float32), places, 140, np.full(40, 8.0), 0.0, True
    )
    edges = _find_edges(profiles)
    assert edges.distal == pytest.approx(np.full(40, plate), abs=0.3)
    assert edges.proximal == pytest.approx(np.full(40, -3.1), abs=0.3)


def test_intervals_contain_the_widths(joints: dict[str, WidthJoint], found: dict[str, JointSpaceWidth]) -> None:
    for name in ("MCP2", "MCP4", "IP1"):
        low, high = found[name].mean_interval
        assert low < joints[name].mean < high
        assert low < mm(found[name]) < high < low + 0.6
        low, high = found[name].minimum_interval
        assert low < joints[name].minimum < high


def test_a_film_and_its_array_give_the_same(joints: dict[str, WidthJoint], found: dict[str, JointSpaceWidth]) -> None:
    joint = joints["MCP4"]
    film = Film(joint.crop, 12, spacing=(joint.spacing, joint.spacing))
    assert joint_space_width(film, joint.box) == found["MCP4"]
    inverted = Film(4095 - joint.crop, 12, spacing=(joint.spacing, joint.spacing), is_inverted=True)
    assert mm(joint_space_width(inverted, joint.box)) == pytest.approx(mm(found["MCP4"]), abs=1e-3)


def test_pixels_are_known_without_a_spacing(joints: dict[str, WidthJoint], found: dict[str, JointSpaceWidth]) -> None:
    joint, known = joints["MCP4"], found["MCP4"]
    width = joint_space_width(joint.crop, joint.box)
    assert width.mean_mm is width.minimum_mm is None
    assert width.mean_pixels == pytest.approx(mm(known) / joint.spacing, abs=0.5)
    assert known.mean_pixels == pytest.approx(mm(known) / joint.spacing)
    assert width.mean_interval[0] < width.mean_pixels < width.mean_interval[1]


def test_exposure_does_not_change_the_width(joints: dict[str, WidthJoint], found: dict[str, JointSpaceWidth]) -> None:
    joint = joints["MCP4"]
    brighter = 4095 * (joint.crop / 4095.0) ** 0.8 * 0.9
    width = joint_space_width(brighter, joint.box, spacing=(joint.spacing, joint.spacing))
    assert mm(width) == pytest.approx(mm(found["MCP4"]), abs=0.06)


def test_refuses_what_shows_no_joint(joints: dict[str, WidthJoint]) -> None:
    joint = joints["MCP4"]
    noise = np.random.default_rng(2).normal(1000, 50, joint.crop.shape)
    refused = [
        joint_space_width(np.zeros(joint.crop.shape), joint.box),
        joint_space_width(noise, joint.box),
        joint_space_width(joint.crop, (90, 90, 130, 130)),
    ]
    assert not any(width.is_reliable for width in refused)
    assert refused[-1].reason == "small"
    assert math.isnan(refused[-1].mean_pixels)
    assert refused[-1].mean_interval == (0.0, math.inf)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.2])
def test_refuses_a_joint_that_the_film_cuts(joints: dict[str, WidthJoint], part: float) -> None:
    joint = joints["MCP4"]
    end = round(joint.box.centre[0] + part * joint.box.width)
    cut = joint_space_width(joint.crop[:, :end], joint.box)
    assert not cut.is_reliable
    assert cut.reason in {"bones", "hidden"}


def test_refuses_wrong_arguments(joints: dict[str, WidthJoint]) -> None:
    joint = joints["MCP4"]
    with pytest.raises(ValueError, match="two dimensions"):
        joint_space_width(np.zeros((5, 5, 3)), joint.box)
    with pytest.raises(ValueError, match="positive"):
        joint_space_width(joint.crop, joint.box, spacing=(0.0, 0.1))
