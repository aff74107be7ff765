"""The change of a joint space: simulated joints with a known change, swapped films, and refused measurements."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from benchmarks.joint_space_films import JointPair, draw_pair
from ratui.imaging import SUPPORTED_JOINTS, Box, Film, JointSpaceChange, joint_space_change, joint_space_width
from ratui.imaging.joint_space import JointMotion, judge_motion, measure_motion
from ratui.imaging.joint_space_bones import NETWORK_SIDE, find_bones
from ratui.imaging.joint_space_crops import make_source
from ratui.imaging.joint_space_registration import make_bands, register_bone
from ratui.results.joint_space_measuring import list_measured_sites
from ratui.scheme import load_scheme

HEALTHY = 2_003  # a hand whose ten joints have no finding


@pytest.fixture(scope="module")
def pairs() -> dict[str, JointPair]:
    """Return the ten joints of a hand on two films, by name."""
    return {pair.joint: pair for pair in draw_pair(HEALTHY)}


def measure(first: JointPair, second: JointPair | None = None, *, swapped: bool = False) -> JointSpaceChange:
    """Measure the first film of `first` against the second film of `second`, or the other way round."""
    sides = [(first, 0), (second or first, 1)]
    if swapped:
        sides.reverse()
    (a, i), (b, j) = sides
    return joint_space_change(
        a.crops[i], a.boxes[i], b.crops[j], b.boxes[j], spacing_a=(a.spacings[i],) * 2, spacing_b=(b.spacings[j],) * 2
    )


@pytest.fixture(scope="module")
def found(pairs: dict[str, JointPair]) -> dict[str, JointSpaceChange]:
    return {name: measure(pair) for name, pair in pairs.items()}


@pytest.fixture(scope="module")
def clear(pairs: dict[str, JointPair], found: dict[str, JointSpaceChange]) -> JointPair:
    """Return the joint whose bones are alike most on both films, both of one spacing."""
    return pairs[max(found, key=lambda name: found[name].confidence)]


def test_measures_known_changes(pairs: dict[str, JointPair], found: dict[str, JointSpaceChange]) -> None:
    good = [name for name, change in found.items() if change.is_reliable]
    assert good == [name for name, change in found.items() if change.ok], "the earlier name"
    truth = np.array([pairs[name].change for name in good])
    measured = np.array([found[name].mm for name in good])
    assert len(good) >= 8
    assert np.ptp(truth) > 0.8
    assert np.abs(measured - truth).max() < 0.2
    assert 0.9 < np.polyfit(truth, measured, 1)[0] < 1.1


def test_is_positive_if_the_space_is_wider_on_the_second_film(
    pairs: dict[str, JointPair], found: dict[str, JointSpaceChange]
) -> None:
    widest = max(pairs, key=lambda name: pairs[name].change)
    assert pairs[widest].change > 0.3
    assert found[widest].mm is not None
    assert found[widest].mm > 0.3


def test_does_not_depend_on_the_type_of_the_values(
    pairs: dict[str, JointPair], found: dict[str, JointSpaceChange]
) -> None:
    for name in ("MCP2", "PIP3"):
        pair = pairs[name]
        for kind in (">u2", np.int32, np.float64):
            again = dataclasses.replace(pair, crops=(pair.crops[0].astype(kind), pair.crops[1]))
            assert measure(again) == found[name]
        same = dataclasses.replace(
            pair, crops=(pair.crops[0], pair.crops[0].astype(float)), boxes=pair.boxes[:1] * 2, spacings=(0.15, 0.15)
        )
        assert measure(same).mm == 0


def test_films_that_differ_outside_of_the_box_alone_are_not_equal(clear: JointPair) -> None:
    crops = clear.crops[0], clear.crops[0].copy()
    crops[1][-8:] //= 2
    x0, y0, x1, y1 = clear.boxes[0]
    assert y1 < crops[1].shape[0] - 8
    keys = [make_source(crop, Box(x0, y0, x1, y1), None).compute_key() for crop in crops]
    assert keys[0][:2] == keys[1][:2]
    assert keys[0] != keys[1]


def test_swapped_films_give_exactly_the_negative(
    pairs: dict[str, JointPair], found: dict[str, JointSpaceChange]
) -> None:
    for name in ("MCP2", "PIP3", "IP1"):
        back = measure(pairs[name], swapped=True)
        assert found[name].pixels != 0
        assert back.pixels == -found[name].pixels
        assert back.mm is not None
        assert found[name].mm is not None
        assert back.mm == -found[name].mm
        assert (back.sd, back.confidence, back.is_reliable, back.reason) == dataclasses.astuple(found[name])[2:]


def test_a_film_does_not_differ_from_itself(clear: JointPair) -> None:
    picture, box = clear.crops[0], clear.boxes[0]
    same = joint_space_change(picture, box, picture, box)
    assert same.is_reliable
    assert same.pixels == 0


def test_moved_and_brighter_copy_shows_no_change(clear: JointPair) -> None:
    """A film that is turned, shifted, and exposed in another way shows the same joint."""
    picture, box = clear.crops[0], clear.boxes[0]
    matrix = cv2.getRotationMatrix2D(box.centre, 7.0, 1.0)
    matrix[:, 2] += 3.4, -2.3
    moved = cv2.warpAffine(picture, matrix, picture.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    brighter = 4095 * (moved / 4095.0) ** 0.8 * 0.9 + np.random.default_rng(1).normal(0, 8, moved.shape)
    change = joint_space_change(picture, box, brighter, box.shift(3.4, -2.3))
    assert change.is_reliable
    assert abs(change.pixels) < 0.25


def test_pixels_are_mm_by_the_spacing(clear: JointPair, found: dict[str, JointSpaceChange]) -> None:
    known = found[clear.joint]
    assert known.mm is not None
    mm = float(np.sqrt(clear.spacings[0] * clear.spacings[1]))
    assert known.pixels == pytest.approx(known.mm / mm)


def test_mm_are_unknown_without_the_spacing_of_both_films(clear: JointPair, found: dict[str, JointSpaceChange]) -> None:
    a, b = clear.crops
    spacing = (clear.spacings[0],) * 2
    half_known = joint_space_change(a, clear.boxes[0], b, clear.boxes[1], spacing_a=spacing)
    assert half_known.mm is None
    assert half_known.pixels == pytest.approx(found[clear.joint].pixels, abs=0.2)
    assert half_known.sd == pytest.approx(found[clear.joint].sd / spacing[0], rel=0.2)


def test_films_may_differ_in_spacing(clear: JointPair, found: dict[str, JointSpaceChange]) -> None:
    a, b = clear.crops
    larger = cv2.resize(b, None, fx=1.25, fy=1.25, interpolation=cv2.INTER_CUBIC)
    ratio = larger.shape[1] / b.shape[1]
    spacings = (clear.spacings[0],) * 2, (clear.spacings[1] * b.shape[0] / larger.shape[0], clear.spacings[1] / ratio)
    change = joint_space_change(
        a, clear.boxes[0], larger, clear.boxes[1].scale(ratio), spacing_a=spacings[0], spacing_b=spacings[1]
    )
    assert change.is_reliable
    assert change.mm == pytest.approx(found[clear.joint].mm, abs=0.06)


def test_film_with_inverted_grey_levels_gives_the_same(clear: JointPair, found: dict[str, JointSpaceChange]) -> None:
    mm_a, mm_b = clear.spacings
    bright = Film(clear.crops[0], 12, spacing=(mm_a, mm_a))
    dark = Film(4095 - clear.crops[1], 12, is_inverted=True, spacing=(mm_b, mm_b))
    rescaled = Film(4095 - clear.crops[1], 12, slope=-1.0, intercept=4095.0, spacing=(mm_b, mm_b))
    for film in (dark, rescaled):
        change = joint_space_change(bright, clear.boxes[0], film, clear.boxes[1])
        assert change.mm == pytest.approx(found[clear.joint].mm, abs=0.02)


def test_refuses_another_joint(pairs: dict[str, JointPair]) -> None:
    change = measure(pairs["MCP2"], pairs["PIP4"])
    assert not change.is_reliable
    assert change.reason == "unlike"
    assert measure(pairs["MCP3"], pairs["IP1"]).reason


def test_refuses_a_bone_that_moved_sideways(clear: JointPair) -> None:
    """The film is cut at the joint, and its distal part is moved aside by a quarter of the box."""
    picture, box = clear.crops[0], clear.boxes[0]
    cut = picture.copy()
    row = round(float(clear.centres[0][1]))
    cut[:row] = np.roll(picture[:row], round(0.25 * box.width), axis=1)
    change = joint_space_change(picture, box, cut, box)
    assert not change.is_reliable


@pytest.mark.parametrize("kind", ["flat", "noise"])
def test_refuses_a_picture_without_bones(kind: str, clear: JointPair) -> None:
    rng = np.random.default_rng(3)
    empty = np.full((200, 200), 900.0) if kind == "flat" else rng.normal(900, 100, (200, 200))
    change = joint_space_change(clear.crops[0], clear.boxes[0], empty, Box(20, 20, 180, 180))
    assert not change.is_reliable
    assert change.reason in ("bones", "unlike")


def test_refuses_a_box_of_few_pixels(clear: JointPair) -> None:
    small = Box.from_centre(*clear.boxes[0].centre, 30)
    change = joint_space_change(clear.crops[0], small, clear.crops[0], small)
    assert (change.is_reliable, change.reason, change.mm) == (False, "small", None)
    assert np.isnan(change.pixels)


def test_a_joint_of_another_name_is_not_supported(clear: JointPair) -> None:
    arguments = clear.crops[0], clear.boxes[0], clear.crops[1], clear.boxes[1]
    named = joint_space_change(*arguments, joint=clear.joint)
    assert named == joint_space_change(*arguments)
    assert named.is_reliable
    for joint in ("MTP2", "FIP1", "CMC1", "mcp2"):
        change, width = joint_space_change(*arguments, joint=joint), joint_space_width(*arguments[:2], joint=joint)
        assert (change.is_reliable, change.reason, change.pixels) == (
            False,
            "unsupported",
            pytest.approx(np.nan, nan_ok=True),
        )
        assert (width.is_reliable, width.reason) == (False, "unsupported")


def test_the_joints_that_are_measured_in_a_study_are_those_supported() -> None:
    measured = {site.joint.id for name in ("fingers", "mtss") for site in list_measured_sites(load_scheme(name))}
    assert measured == {*SUPPORTED_JOINTS}


def test_refuses_a_box_outside_of_the_film(clear: JointPair) -> None:
    outside = clear.boxes[0].shift(5_000, -9_000)
    assert not joint_space_change(clear.crops[0], clear.boxes[0], clear.crops[1], outside).is_reliable


def test_rejects_values_that_no_film_has(clear: JointPair) -> None:
    picture, box = clear.crops[0], clear.boxes[0]
    with pytest.raises(ValueError, match="two dimensions"):
        joint_space_change(picture[None], box, picture, box)
    with pytest.raises(ValueError, match="area"):
        joint_space_change(picture, box, picture, (10.0, 10.0, 10.0, 40.0))
    with pytest.raises(ValueError, match="spacing"):
        joint_space_change(picture, box, picture, box, spacing_b=(0.0, 0.1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_a_value_that_is_not_finite(value: float, clear: JointPair) -> None:
    crop = clear.crops[0].astype(np.float32)
    x, y = clear.boxes[0].centre
    crop[round(y), round(x)] = value
    change = joint_space_change(crop, clear.boxes[0], clear.crops[1], clear.boxes[1])
    assert (change.is_reliable, change.reason) == (False, "bones")


def test_refuses_a_motion_that_leaves_the_film(clear: JointPair) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        change = joint_space_change(
            clear.crops[0].astype(np.float32) * np.float32(1e25), clear.boxes[0], clear.crops[1], clear.boxes[1]
        )
    assert (change.is_reliable, change.reason) == (False, "unlike")


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1)])
def test_refuses_a_film_of_one_row_or_column(shape: tuple[int, int], clear: JointPair) -> None:
    box = Box(shape[1] / 2 - 100, shape[0] / 2 - 100, shape[1] / 2 + 100, shape[0] / 2 + 100)
    change = joint_space_change(np.ones(shape), box, clear.crops[1], clear.boxes[1])
    assert (change.is_reliable, change.reason) == (False, "bones")


@pytest.mark.parametrize("size", [1e6, 1e300])
def test_refuses_a_box_far_larger_than_the_film(size: float, clear: JointPair) -> None:
    change = joint_space_change(clear.crops[0], (-size, -size, size, size), clear.crops[1], clear.boxes[1])
    assert (change.is_reliable, change.reason) == (False, "bones")


@pytest.mark.parametrize("spacing", [(0.1,), (0.1, 0.1, 0.1), ("wide", "high"), (0.1, np.inf)])
def test_rejects_a_spacing_that_is_not_two_numbers(spacing: tuple[float, float], clear: JointPair) -> None:
    with pytest.raises(ValueError, match=r"spacing|values to unpack|could not convert"):
        joint_space_change(clear.crops[0], clear.boxes[0], clear.crops[1], clear.boxes[1], spacing_a=spacing)


def test_takes_a_spacing_from_an_array(clear: JointPair) -> None:
    def measure_with(spacing: object) -> JointSpaceChange:
        return joint_space_change(
            clear.crops[0],
            clear.boxes[0],
            clear.crops[1],
            clear.boxes[1],
            spacing_a=spacing,
            spacing_b=spacing,  # type: ignore[arg-type]
        )

    assert measure_with(np.array([0.15, 0.15])) == measure_with((0.15, 0.15))


@pytest.mark.parametrize("kind", [np.complex128, object])
def test_rejects_an_image_of_other_values(kind: type, clear: JointPair) -> None:
    with pytest.raises(ValueError, match="real numbers"):
        joint_space_change(clear.crops[0].astype(kind), clear.boxes[0], clear.crops[1], clear.boxes[1])


def test_finds_both_bones_and_the_axis(pairs: dict[str, JointPair]) -> None:
    pair = pairs["MCP3"]
    picture, truth = pair.crops[0].astype(np.float32), pair.bones[0].astype(np.float32)
    size = (NETWORK_SIDE, NETWORK_SIDE)
    bones = find_bones(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    assert bones is not None
    upper, lower = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) > 0.5 for each in truth)
    assert ((bones.distal > 0.5) & upper).sum() > 0.85 * ((bones.distal > 0.5) | upper).sum()
    assert ((bones.proximal > 0.5) & lower).sum() > 0.75 * ((bones.proximal > 0.5) | lower).sum()
    centre = pair.centres[0] * NETWORK_SIDE / picture.shape[0] - 0.5
    assert np.hypot(*(bones.middle - centre)) < 4
    assert bones.axis[1] < -0.7
    assert np.hypot(*bones.axis) == pytest.approx(1)


def test_registers_a_known_motion() -> None:
    rng = np.random.default_rng(5)
    texture = cv2.GaussianBlur(rng.normal(0, 1, (264, 240)).astype(np.float32), (0, 0), 3.0)
    c, s = np.cos(0.1), np.sin(0.1)
    truth = np.array([[c, -s, 17.3], [s, c, -8.6]])
    moved = cv2.warpAffine(texture, truth, (240, 264), flags=cv2.INTER_CUBIC)
    weight = np.zeros((264, 240), np.float32)
    weight[70:190, 60:180] = 1
    second = cv2.warpAffine(weight, truth, (240, 264))
    start = np.array([120.0, 130.0])
    motion = register_bone(
        make_bands(texture, 1.0),
        make_bands(moved, 1.0),
        (weight, second),
        (start, start + np.array([4.0, -3.0])),
        np.ones_like(weight),
    )
    assert motion is not None
    assert min(motion.correlations) > 0.9
    assert motion.turn == pytest.approx(0.1, abs=0.002)
    point = np.array([120.0, 130.0, 1.0])
    assert motion.matrix @ point == pytest.approx(truth @ point, abs=0.1)


def test_registers_the_part_near_the_joint_by_itself() -> None:
    """The lower half of the second picture is shifted by one more pixel: far parts share in the whole motion only."""
    rng = np.random.default_rng(6)
    texture = np.asarray(cv2.GaussianBlur(rng.normal(0, 1, (264, 240)).astype(np.float32), (0, 0), 3.0), np.float32)
    shifted = np.array([[1.0, 0, 0], [0, 1, 1]])
    second = texture.copy()
    second[130:] = cv2.warpAffine(texture, shifted, (240, 264))[130:]
    weight = np.zeros((264, 240), np.float32)
    weight[70:190, 60:180] = 1
    near = np.zeros_like(weight)
    near[140:] = 1
    start = np.array([120.0, 130.0])
    motion = register_bone(make_bands(texture, 1.0), make_bands(second, 1.0), (weight, weight), (start, start), near)
    assert motion is not None
    point = np.array([120.0, 165.0, 1.0])
    assert (motion.near @ point)[1] == pytest.approx(166.0, abs=0.1)
    assert (motion.matrix @ np.array([120.0, 130.0, 1.0]))[1] < 130.8


def test_refuses_a_motion_that_a_part_or_a_surface_contradicts(clear: JointPair) -> None:
    sources = [
        make_source(crop, box, (spacing,) * 2)
        for crop, box, spacing in zip(clear.crops, clear.boxes, clear.spacings, strict=True)
    ]
    motion = measure_motion(*sources)
    assert isinstance(motion, JointMotion)
    assert motion.disagreement < 0.2
    assert motion.slip < 0.03
    side = min(source.side for source in sources)
    assert judge_motion(motion, side)[1] == ""
    for change in ({"disagreement": 0.4}, {"slip": 0.06}):
        assert judge_motion(dataclasses.replace(motion, **change), side)[1] == "uncertain"
    moved = dataclasses.replace(
        motion.crops[1], ends=tuple(end + np.array([0.0, 15.0]) for end in motion.crops[1].ends)
    )
    with pytest.MonkeyPatch.context() as patch:
        crops = iter((motion.crops[0], moved))
        patch.setattr("ratui.imaging.joint_space.crop_joint", lambda *_: next(crops))
        slipped = measure_motion(*sources)
    assert isinstance(slipped, JointMotion)
    assert slipped.slip == pytest.approx(15 * motion.pitch / np.sqrt(sources[0].side * sources[1].side), abs=0.03)


def test_registers_nothing_without_weights() -> None:
    bands = make_bands(np.random.default_rng(0).normal(0, 1, (120, 120)).astype(np.float32), 0.5)
    nothing = np.zeros((120, 120), np.float32)
    assert register_bone(bands, bands, (nothing, nothing), (np.array([60.0, 60.0]),) * 2, nothing) is None
