"""Measures of joints: known blur, noise and clipped greys are found, also in real films that were degraded."""

import json

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ratui.imaging import Box, Film, read_film
from ratui.imaging.joint_quality import JointQuality, measure_joints
from tests.films import real_films

Array = npt.NDArray[np.float64]
BOXES = [Box.from_centre(60.0 + 120 * (number % 3), 60.0 + 120 * (number // 3), 110.0) for number in range(9)]


def discs(blur: float = 0.0, noise: float = 0.0) -> Array:
    """Return nine bright discs on a dark ground, their edges blurred by a Gaussian of `blur` pixels, shape (360, 360)."""
    fine = np.full((1440, 1440), 1000.0)
    for box in BOXES:
        x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        cv2.circle(fine, (round(4 * x), round(4 * y)), 160, 2500.0, -1)
    image = cv2.resize(fine, (360, 360), interpolation=cv2.INTER_AREA)
    if blur:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    return np.asarray(image + np.random.default_rng(0).normal(0, noise, image.shape) if noise else image)


def measure(pixels: Array, **more: object) -> JointQuality:
    values = np.clip(np.rint(pixels), 0, 4095).astype(np.uint16)
    found = measure_joints(Film(values, 12, **{"spacing": (0.2, 0.2), **more}), BOXES)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("blur", [1.0, 1.5, 2.0, 3.0, 5.0])
def test_a_known_blur_is_measured_in_mm(blur: float) -> None:
    found = measure(discs(blur))
    assert found.blur == pytest.approx(0.2 * blur, rel=0.15)
    assert found.blur_across == pytest.approx(found.blur_along, rel=0.15)
    assert measure(discs(blur), spacing=(0.05, 0.05)).blur == pytest.approx(0.05 * blur, rel=0.15)


def test_a_sharp_edge_is_sharp() -> None:
    assert measure(discs()).blur < 0.1


def test_a_movement_widens_edges_in_one_direction() -> None:
    kernel = np.zeros((9, 9))
    kernel[4] = 1 / 9
    for pixels in (cv2.filter2D(discs(1.0), -1, kernel), cv2.filter2D(discs(1.0), -1, kernel.T)):
        found = measure(pixels)
        assert found.blur_across > 1.8 * found.blur_along
        assert found.blur_along == pytest.approx(0.2, rel=0.3)


def test_without_a_spacing_the_box_is_the_measure() -> None:
    assert measure(discs(2.0), spacing=None).blur == pytest.approx(2.0 * 18 / 110, rel=0.15)


def test_noise_is_measured_by_the_range_of_greys() -> None:
    assert measure(discs(1.0, noise=150)).noise == pytest.approx(0.1 * 1500 / (1500 + 2 * 150), rel=0.25)
    assert measure(discs(1.0)).noise < 0.01


def test_the_range_of_greys_is_counted() -> None:
    assert measure(discs(1.0) / 50).greys == pytest.approx(31, abs=2)


@pytest.mark.parametrize("is_inverted", [False, True])
def test_clipped_greys_are_found_at_the_right_end(is_inverted: bool) -> None:
    pixels = discs(8.0, noise=30)

    def find(bright_bone: Array) -> JointQuality:
        return measure(4095 - bright_bone if is_inverted else bright_bone, is_inverted=is_inverted)

    good = find(pixels)
    assert (good.bright, good.dark) == (0.0, 0.0)
    bright = find(np.minimum(pixels, np.percentile(pixels, 70)))
    assert (bright.bright, bright.dark) == (1.0, 0.0)
    dark = find(np.maximum(pixels, np.percentile(pixels, 60)))
    assert (dark.bright, dark.dark) == (0.0, 1.0)


def test_boxes_outside_or_without_pixels_are_left_out() -> None:
    film = Film(discs().astype(np.uint16), 12)
    assert (
        measure_joints(film, [Box(900.0, 0.0, 990.0, 90.0), Box(0.0, 0.0, 10.0, 90.0), Box(-90.0, 0.0, 5.0, 9.0)])
        is None
    )
    assert measure_joints(film, []) is None


@pytest.mark.parametrize("grey", [0, 4095])
def test_a_film_of_one_grey_can_be_measured(grey: int) -> None:
    found = measure(np.full((360, 360), float(grey)))
    assert found.greys == 1
    assert np.isfinite([found.blur, found.noise, found.blur_across]).all()


def test_a_real_hand_reacts_to_degradation() -> None:
    folder = real_films()
    if folder is None:
        pytest.skip("the real films are not beside the checkout")
    film = read_film(folder / "hand_dicom" / "hand_right_pa_kodak_cr500_uncompressed.dcm")
    joints = json.loads((folder / "hand_dicom" / "joint_boxes_by_eye.json").read_text())["joints"]
    boxes = [Box(*joint["box"]) for joint in joints]
    good = measure_joints(film, boxes)
    assert good is not None
    assert good.blur == pytest.approx(0.17, abs=0.03)
    assert good.noise < 0.03
    assert (good.bright, good.dark) == (0.0, 0.0)
    blurred = cv2.GaussianBlur(film.pixels.astype(np.float32), (0, 0), 0.5 / 0.115)
    found = measure_joints(Film(blurred.astype(np.uint16), 12, spacing=film.spacing), boxes)
    assert found is not None
    assert found.blur == pytest.approx(np.hypot(0.17, 0.5), abs=0.05), "variances of blurs add up"
