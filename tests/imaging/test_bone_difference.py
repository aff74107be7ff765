"""The difference of the bones of a joint: an erosion on one film appears, a motion of the bones and noise do not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.joint_space_films import JointPair, draw_pair
from ratui.imaging import BoneDifference, Box, Film, compare_bones
from ratui.imaging.bone_difference import _estimate_noise, _find_region
from ratui.imaging.joint_space import measure_motion
from ratui.imaging.joint_space_crops import make_source

_GREY = 128
_Picture = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def pair() -> JointPair:
    """Return a joint on two films, with another space, and without an erosion that grew."""
    pair = next(each for each in draw_pair(2_011) if each.joint == "MCP3")
    assert pair.erosion == (0, 0)
    assert abs(pair.change) > 0.3
    return pair


def make_films(pair: JointPair) -> tuple[Film, Film]:
    a, b = (Film(crop, 12, spacing=(mm, mm)) for crop, mm in zip(pair.crops, pair.spacings, strict=True))
    return a, b


def erode(film: Film, centre: tuple[float, float], radius: float, depth: float = 0.5) -> Film:
    """Return a film whose bone is thinner around `centre`."""
    rows, columns = np.indices(film.pixels.shape)
    hole = np.exp(-((((columns - centre[0]) ** 2 + (rows - centre[1]) ** 2) / (2 * radius**2)) ** 2))
    darkest = float(np.percentile(film.pixels, 2))
    values = film.pixels - depth * hole * (film.pixels - darkest)
    return Film(np.clip(values, 0, 4095).astype(np.uint16), 12, spacing=film.spacing)


def show(found: object, box: Box, side: int = 200) -> _Picture:
    """Return the picture of a difference around `box`, 0 where nothing changed."""
    assert isinstance(found, BoneDifference), found
    picture = found.render(box, (side, side))
    assert picture.mode == "L"
    return np.asarray(picture, np.int64) - _GREY


def place_in_bone(pair: JointPair, film: int, bone: int) -> tuple[float, float]:
    """Return a point of the distal (0) or proximal (1) bone near the joint in pixels (x, y)."""
    rows, columns = np.nonzero(pair.bones[film][bone])
    points = 2.0 * np.stack([columns, rows], axis=1)
    near = points[np.hypot(*(points - pair.centres[film]).T) < 0.3 * pair.boxes[film].width]
    return tuple(near.mean(axis=0))


def test_shows_nothing_where_only_the_space_changed(pair: JointPair) -> None:
    first, second = make_films(pair)
    seen = show(compare_bones(first, pair.boxes[0], second, pair.boxes[1]), pair.boxes[0])
    assert (seen != 0).mean() < 0.01


@pytest.mark.parametrize("bone", [0, 1])
def test_shows_an_erosion_in_its_place(pair: JointPair, bone: int) -> None:
    first, second = make_films(pair)
    at, radius = place_in_bone(pair, 1, bone), 0.05 * pair.boxes[1].width
    eroded = erode(second, at, radius)
    seen = show(compare_bones(first, pair.boxes[0], eroded, pair.boxes[1]), pair.boxes[0])
    x, y = place_in_bone(pair, 0, bone)
    box = pair.boxes[0]
    column, row = 200 * (x - box.x0) / box.width, 200 * (y - box.y0) / box.height
    dark = np.argwhere(seen < -10)
    assert len(dark) > 60
    assert np.hypot(*(dark.mean(axis=0) - [row, column])) < 14
    assert (seen > 10).sum() < 0.1 * len(dark)


@pytest.mark.parametrize("is_first", [False, True])
def test_shows_a_large_erosion_on_either_film(pair: JointPair, is_first: bool) -> None:
    """It does not count as the noise of dark pixels."""
    films = make_films(pair)
    bone = pair.bones[not is_first][1]
    rows, columns = np.nonzero(bone)
    near = rows < rows.min() + 0.14 * pair.boxes[not is_first].height
    at = (2.0 * float(columns[near].min() + 4), 2.0 * float(rows[near].mean()))
    radius = 0.11 * pair.boxes[not is_first].width
    eroded = erode(films[not is_first], at, radius, depth=0.9)
    films = (eroded, films[1]) if is_first else (films[0], eroded)
    seen = show(compare_bones(films[0], pair.boxes[0], films[1], pair.boxes[1]), pair.boxes[0])
    marked = (seen > 10).sum() if is_first else (seen < -10).sum()
    lost = np.pi * (200 * 0.11) ** 2 / 2  # about half of the disc lies on the bone
    assert marked > 1.2 * lost


@pytest.mark.parametrize("is_first", [False, True])
def test_shows_what_the_mask_of_one_film_leaves_out(pair: JointPair, is_first: bool) -> None:
    """The mask of a bone often leaves a large erosion out."""
    sources = [make_source(film, box, None) for film, box in zip(make_films(pair), pair.boxes, strict=True)]
    motion = measure_motion(*sources)
    assert not isinstance(motion, str), motion
    here, there = motion.crops
    matrix, pixels = motion.bones[1].matrix, sources[0].side / motion.pitch
    whole = _find_region(here, there, 1, pixels, matrix)
    assert whole.mean() > 0.2
    rows = np.indices(here.masks[1].shape)[0]
    cut = np.where(rows < here.ends[1][1] + 0.1 * pixels, 0, here.masks[1]).astype(np.uint8)
    if is_first:
        here = replace(here, masks=(here.masks[0], cut))
    else:
        cut = np.where(rows < there.ends[1][1] + 0.1 * pixels, 0, there.masks[1]).astype(np.uint8)
        there = replace(there, masks=(there.masks[0], cut))
    assert _find_region(here, there, 1, pixels, matrix).sum() > 0.97 * whole.sum()
    # What only one film covers cannot be compared.
    covered = np.where(rows < rows.max() / 2, 0, here.covered).astype(np.float32)
    half = _find_region(replace(here, covered=covered), there, 1, pixels, matrix)
    assert half[: len(rows) // 2].sum() == 0
    assert half.sum() > 0


def test_exchanged_films_give_the_opposite_sign(pair: JointPair) -> None:
    first, second = make_films(pair)
    eroded = erode(second, place_in_bone(pair, 1, 1), 0.05 * pair.boxes[1].width)
    seen = show(compare_bones(eroded, pair.boxes[1], first, pair.boxes[0]), pair.boxes[1])
    assert (seen > 10).sum() > 60
    assert (seen < -10).sum() < 0.1 * (seen > 10).sum()


def test_more_noise_is_removed_too(pair: JointPair) -> None:
    """The noise is measured in the films: the same limit would not do for both."""
    first, second = make_films(pair)
    rng = np.random.default_rng(5)
    noisy = [
        Film(
            np.clip(film.pixels + rng.normal(0, 90, film.pixels.shape), 0, 4095).astype(np.uint16),
            12,
            spacing=film.spacing,
        )
        for film in (first, second)
    ]
    seen = show(compare_bones(noisy[0], pair.boxes[0], noisy[1], pair.boxes[1]), pair.boxes[0])
    assert (seen != 0).mean() < 0.01


def test_exposure_does_not_count(pair: JointPair) -> None:
    first, _ = make_films(pair)
    brighter = Film((first.pixels * 0.7 + 500).astype(np.uint16), 12, spacing=first.spacing)
    seen = show(compare_bones(first, pair.boxes[0], brighter, pair.boxes[0]), pair.boxes[0])
    assert (seen != 0).mean() < 0.01


def test_the_picture_lies_where_the_film_does(pair: JointPair) -> None:
    """A part of the film, larger, shows the same erosion larger."""
    first, second = make_films(pair)
    found = compare_bones(first, pair.boxes[0], erode(second, place_in_bone(pair, 1, 1), 6.0), pair.boxes[1])
    box = pair.boxes[0]
    whole = show(found, box, 300)
    quarter = show(found, Box(box.x0, box.y0 + box.height / 2, box.x0 + box.width / 2, box.y1), 300)
    small = cv2.resize(quarter.astype(np.float32), (150, 150), interpolation=cv2.INTER_AREA)
    assert np.abs(whole[150:, :150]).max() > 10
    assert np.abs(whole[150:, :150] - small).mean() < 0.5


def test_says_why_bones_cannot_be_compared(pair: JointPair) -> None:
    first, _ = make_films(pair)
    noise = np.random.default_rng(3).normal(1000, 60, first.pixels.shape).astype(np.uint16)
    assert isinstance(compare_bones(first, pair.boxes[0], Film(noise, 12), pair.boxes[0]), str)
    assert compare_bones(first, Box(50, 50, 90, 90), first, Box(50, 50, 90, 90)) == "small"


def test_the_noise_is_larger_on_edges_and_bright_pixels() -> None:
    """The registration leaves more on edges, and bright pixels may be noisier than dark ones."""
    rng = np.random.default_rng(7)
    x = np.arange(240)
    middle = np.repeat((50.0 + 100 * (x % 80 >= 40))[None, :], 240, axis=0).astype(np.float32)
    middle = np.asarray(cv2.GaussianBlur(middle, (0, 0), 4.0), np.float32) + rng.normal(0, 0.5, middle.shape).astype(
        np.float32
    )
    is_edge, is_bright = np.abs(middle - 100) < 40, middle > 140
    spread = np.where(is_edge, 20.0, np.where(is_bright, 5.0, 2.0))
    residual = rng.normal(0, spread).astype(np.float32)
    noise = _estimate_noise(residual, middle, np.ones(middle.shape, np.bool_))
    assert np.median(noise[middle < 60]) == pytest.approx(2.0, rel=0.5)
    assert np.median(noise[is_bright]) == pytest.approx(5.0, rel=0.5)
    assert np.median(noise[is_edge]) > 10
