"""Alignment of one film with another: rotated, shifted and larger films are aligned, and a failure is reported."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from ratui.imaging import (
    AlignmentFailure,
    Box,
    DisplaySettings,
    Film,
    align_centres,
    align_joints,
    compute_difference,
    render,
    warp_onto,
)

JOINT: Box = Box(110.0, 90.0, 190.0, 170.0)


def bone(seed: int = 3, size: tuple[int, int] = (260, 300)) -> np.ndarray:
    """Return a picture with structure at every scale, as bone has."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(size)
    shapes = 900 * (np.hypot(rows - 130, (columns - 150) * 1.6) < 60) + 700 * (np.abs(columns - 150) < 22)
    texture = sum(ndimage.gaussian_filter(rng.normal(0, 1, size), s) * s * 200 for s in (2, 4, 8))
    return np.clip(ndimage.gaussian_filter(shapes.astype(float), 1.2) + texture + 800, 0, 4095)


def film(values: np.ndarray, spacing: tuple[float, float] | None = None) -> Film:
    return Film(np.clip(np.rint(values), 0, 4095).astype(np.uint16), 12, spacing=spacing)


def transformed(values: np.ndarray, degrees: float, shift: tuple[float, float], zoom: float = 1.0) -> np.ndarray:
    """Return `values` rotated about the middle of JOINT, enlarged and shifted by (right, down)."""
    angle = np.radians(degrees)
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / zoom
    middle = np.array([130.0, 150.0])
    offset = middle - back @ (middle + np.array([shift[1], shift[0]]))
    return ndimage.affine_transform(values, back, offset, order=1, mode="nearest")


@pytest.mark.parametrize(("degrees", "shift", "zoom"), [(0, (0, 0), 1.0), (7, (6, -4), 1.0), (-10, (-9, 5), 1.08)])
def test_a_transformed_film_is_aligned_with_the_first(degrees: float, shift: tuple[float, float], zoom: float) -> None:
    first, second = film(bone()), film(transformed(bone(), degrees, shift, zoom) * 0.8 + 150)
    there = JOINT.shift(*shift)
    matrix = align_joints(first, JOINT, second, there)
    assert not isinstance(matrix, AlignmentFailure)
    size = (160, 160)
    seen = np.asarray(warp_onto(second, matrix, JOINT, size, DisplaySettings(), joint=there), float)
    wanted = np.asarray(render(first, JOINT, size, DisplaySettings()), float)
    before = np.asarray(render(second, JOINT, size, DisplaySettings(), joint=there), float)
    inner = (slice(15, -15), slice(15, -15))
    error = np.abs(seen - wanted)[inner].mean()
    assert error < 8
    if degrees:
        assert error < 0.35 * np.abs(before - wanted)[inner].mean()


def test_films_of_other_pixels_come_to_the_same_scale() -> None:
    fine = ndimage.zoom(bone(), 2, order=1)
    first, second = film(bone(), (0.2, 0.2)), film(fine, (0.1, 0.1))
    there = Box(220.0, 180.0, 380.0, 340.0)
    matrix = align_joints(first, JOINT, second, there)
    assert not isinstance(matrix, AlignmentFailure)
    assert np.hypot(*matrix[:, 0]) == pytest.approx(2.0, abs=0.05)
    plain = align_centres(first, JOINT, second, there)
    assert plain @ [150, 130, 1] == pytest.approx([300, 260])
    assert plain[0, 0] == pytest.approx(2.0)


def test_what_cannot_be_aligned_says_so() -> None:
    noise = np.random.default_rng(0).normal(2000, 300, (260, 300))
    assert isinstance(align_joints(film(bone()), JOINT, film(noise), JOINT), AlignmentFailure)
    flat = align_joints(film(bone()), JOINT, film(np.full((260, 300), 1000.0)), JOINT)
    assert isinstance(flat, AlignmentFailure)
    assert flat.reason == "featureless"


def test_alignment_adds_no_new_grey() -> None:
    second = film(transformed(bone(), 8, (3, 2)))
    matrix = align_joints(film(bone()), JOINT, second, JOINT)
    assert not isinstance(matrix, AlignmentFailure)
    seen = np.asarray(warp_onto(second, matrix, Box(120, 100, 180, 160), (300, 300), DisplaySettings("film")))
    whole = np.asarray(render(second, Box(0, 0, 300, 260), (300, 260), DisplaySettings("film")))[60:200, 80:220]
    assert whole.min() <= seen.min()
    assert seen.max() <= whole.max()


class TestDifference:
    def pictures(self) -> tuple[Image.Image, Image.Image]:
        levels = np.clip(bone()[80:180, 100:200] / 16, 20, 230)
        brighter = np.clip(levels * 0.8 + 30, 0, 255)  # another exposure of the same
        return tuple(Image.fromarray(each.astype(np.uint8)) for each in (levels, brighter))  # type: ignore[return-value]

    def test_another_exposure_alone_is_no_difference(self) -> None:
        seen = np.asarray(compute_difference(*self.pictures()), int)
        assert np.abs(seen - 128).max() <= 4

    def test_a_loss_of_bone_is_dark_at_its_place_only(self) -> None:
        first, second = self.pictures()
        bitten = np.asarray(second).copy()
        bitten[40:52, 30:44] = 20
        seen = np.asarray(compute_difference(first, Image.fromarray(bitten)), int) - 128
        assert seen[42:50, 32:42].max() < -25
        rest = np.abs(seen)
        rest[38:54, 28:46] = 0
        assert rest.max() <= 8

    def test_exchanged_films_give_the_opposite_difference(self) -> None:
        first, _ = self.pictures()
        changed = np.asarray(first).copy()
        changed[40:52, 30:44] = 20
        one = np.asarray(compute_difference(first, Image.fromarray(changed)), int) - 128
        other = np.asarray(compute_difference(Image.fromarray(changed), first), int) - 128
        assert np.abs(one + other).max() <= 2

    def test_places_outside_one_film_show_no_difference(self) -> None:
        first, second = self.pictures()
        cut = np.asarray(second).copy()
        cut[:, :20] = 0
        assert (np.asarray(compute_difference(first, Image.fromarray(cut)))[:, :20] == 128).all()
