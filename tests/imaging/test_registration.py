"""Registration of two pictures of one joint: accuracy and rejection."""

import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ratui.imaging import MIN_AGREEMENT, Alignment, AlignmentFailure, Box, register_images, warp_to_fixed
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.scheme import load_scheme

pytestmark = pytest.mark.slow


@cache
def films(patient: int, side: str = "L") -> tuple[PhantomFilm, PhantomFilm]:
    """Return the films of one hand at both time points."""
    rng = np.random.default_rng([31, patient])
    who = simulate_patient(rng, load_scheme("mtss-hands"), severity=0.4)
    return render(who, side, 0, rng, size=(1000, 820)), render(who, side, 1, rng, size=(1000, 820))  # type: ignore[arg-type]


def cut(film: PhantomFilm, box: Box, share: float = 2.0) -> tuple[npt.NDArray[np.uint16], tuple[int, int]]:
    """Return the square around `box`, and its corner on the film."""
    x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, share * (box[2] - box[0]) / 2
    left, top = max(round(x - half), 0), max(round(y - half), 0)
    return film.pixels[top : round(y + half), left : round(x + half)], (left, top)


def centre(box: Box) -> npt.NDArray[np.float64]:
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def transformed(
    film: PhantomFilm, box: Box, share: float, turn: float, size: float, dx: float, dy: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return the square around `box` after a rotation, scaling and shift, filled from its surroundings, and the matrix.

    The matrix leads from the square of `cut` to this one, with coordinates from corner to corner.
    """
    picture, (left, top) = cut(film, box, share)
    rows, columns = picture.shape
    c, s = size * np.cos(np.radians(turn)), size * np.sin(np.radians(turn))
    linear, middle = np.array([[c, -s], [s, c]]), np.array([columns / 2, rows / 2])
    matrix = np.hstack([linear, (middle + np.array([dx, dy]) - linear @ middle)[:, None]])
    centres = matrix.copy()
    centres[:, 2] += linear @ np.array([0.5 - left, 0.5 - top]) - 0.5
    seen = cv2.warpAffine(film.pixels.astype(np.float32), centres, (columns, rows), flags=cv2.INTER_CUBIC)
    return np.asarray(seen, np.float32), matrix


@pytest.mark.parametrize(
    ("turn", "size", "dx", "dy"), [(0, 1, 0, 0), (0, 1, 11, -7), (13, 1, 0, 5), (-17, 0.93, -8, 4), (8, 1.09, 3, 9)]
)
def test_a_known_movement_is_found_to_a_fraction_of_a_pixel(turn: float, size: float, dx: float, dy: float) -> None:
    film = films(1)[0]
    picture, _ = cut(film, film.boxes["L.PIP3"], 2.6)
    there, truth = transformed(film, film.boxes["L.PIP3"], 2.6, turn, size, dx, dy)
    exposed = 4095 * (there / 4095) ** 0.7 + np.random.default_rng(0).normal(0, 15, there.shape)
    found = register_images(picture, exposed)
    assert isinstance(found, Alignment)
    assert found.rotation == pytest.approx(turn, abs=1.0)
    assert found.scale == pytest.approx(size, abs=0.02)
    rows, columns = picture.shape
    for x, y in ((columns / 2, rows / 2), (columns / 3, rows / 3), (2 * columns / 3, rows / 2)):
        assert np.allclose(found.map_point(x, y), truth @ [x, y, 1], atol=0.8)


def test_pictures_of_two_sizes_are_aligned_in_their_own_pixels() -> None:
    film = films(1)[0]
    picture, _ = cut(film, film.boxes["L.PIP2"], 2.4)
    rows, columns = picture.shape
    small = cv2.resize(picture.astype(np.float32), (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    found = register_images(picture, small)
    assert isinstance(found, Alignment)
    # Corner to corner: a pixel of the small one is exactly two of the large one.
    assert np.allclose(found.map_point(columns / 2, rows / 2), (columns / 4, rows / 4), atol=0.4)
    assert found.scale == pytest.approx(0.5, abs=0.01)


def test_one_joint_at_two_visits_is_aligned() -> None:
    errors, agreed = [], 0
    sites = ("L.PIP2", "L.PIP3", "L.PIP4", "L.IP1", "L.MCP2", "L.MCP3", "L.RAD", "L.ULN")
    for patient in (1, 2, 3):
        before, after = films(patient)
        for site in sites:
            first, origin = cut(before, before.boxes[site])
            # The second crop is shifted by a tenth of the box, as boxes placed by hand are.
            x0, y0, x1, y1 = after.boxes[site]
            off = 0.1 * (x1 - x0)
            second, other = cut(after, Box(x0 + off, y0 - off, x1 + off, y1 - off))
            found = register_images(first, second)
            if isinstance(found, Alignment):
                agreed += 1
                at = np.array(found.map_point(*(centre(before.boxes[site]) - origin))) + other
                errors.append(float(np.hypot(*(at - centre(after.boxes[site])))) * after.spacing[0])
    assert agreed >= 0.85 * 3 * len(sites)
    assert np.median(errors) < 0.4, "millimetres"
    assert sum(error > 1.6 for error in errors) <= 1, "of about 21"


class TestRefused:
    def test_a_finger_is_not_a_wrist(self) -> None:
        for patient in (1, 2, 3):
            before, after = films(patient)
            for finger in ("L.PIP2", "L.PIP4", "L.MCP3"):
                for wrist in ("L.ULN", "L.NAV", "L.CAP-NAV-LUN"):
                    found = register_images(cut(before, before.boxes[finger])[0], cut(after, after.boxes[wrist])[0])
                    assert isinstance(found, AlignmentFailure), (patient, finger, wrist, found)
                    assert found.reason == "unlike"
                    assert found.agreement < MIN_AGREEMENT

    def test_noise_and_nothing(self) -> None:
        film = films(1)[0]
        joint = cut(film, film.boxes["L.PIP3"])[0]
        rng = np.random.default_rng(3)
        noise = rng.normal(1000, 200, joint.shape)
        found = register_images(joint, noise)
        assert isinstance(found, AlignmentFailure)
        for nothing in (np.zeros_like(joint), np.full(joint.shape, 700), np.zeros((9, 9), np.uint8)):
            found = register_images(joint, nothing)
            assert isinstance(found, AlignmentFailure)
            assert found.reason == "featureless"

    def test_a_mirrored_joint_agrees_less(self) -> None:
        before, after = films(2)
        for site in ("L.ULN", "L.NAV", "L.MCP2"):
            first, second = cut(before, before.boxes[site], 2.6)[0], cut(after, after.boxes[site], 2.6)[0]
            assert register_images(first, second).agreement > register_images(first, second[:, ::-1]).agreement


def test_a_warped_picture_matches_the_fixed_one() -> None:
    film = films(1)[0]
    raw, _ = cut(film, film.boxes["L.MCP2"], 2.6)
    picture = np.clip(raw / 16, 0, 255).astype(np.uint8)
    there = np.clip(transformed(film, film.boxes["L.MCP2"], 2.6, 11, 1.0, 6, -4)[0] / 16, 0, 255)
    found = register_images(picture, there)
    assert isinstance(found, Alignment)
    rows, columns = picture.shape
    back = warp_to_fixed(there.astype(np.uint8), found, (columns, rows))
    middle = (slice(rows // 4, 3 * rows // 4), slice(columns // 4, 3 * columns // 4))
    assert np.abs(back[middle].astype(float) - picture[middle]).mean() < 3
    assert np.abs(there[middle] - picture[middle]).mean() > 8


def test_importing_it_does_not_load_opencv() -> None:
    code = "import sys, ratui.imaging; assert 'cv2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
