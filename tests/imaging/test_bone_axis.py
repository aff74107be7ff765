"""The axis of a bone beside a joint: right at every angle, on every kind of film, and never guessed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from ratui.imaging import (
    BoneAxis,
    BoneAxisFailure,
    BoneSearch,
    Box,
    DisplaySettings,
    Film,
    find_bone_axis,
    make_rotation,
    render,
    warp_onto,
)

SIZE = (400, 420)
JOINT = Box(180.0, 160.0, 240.0, 220.0)
SHAFT = ((0.5, 1.5), (0.13, 0.4))


def draw_bone(
    degrees: float, *, half: float = 14.0, aspect: float = 1.0, length: float = 200.0, aside: float = 0.0
) -> npt.NDArray[np.uint16]:
    """Return a film with a shaft that ends at the middle of JOINT, and a wider head there.

    The shaft leaves the joint downwards, has this `length`, and is turned by `degrees`. It lies so many pixels `aside`.
    """
    rows, columns = np.indices(SIZE, dtype=np.float64) + 0.5
    x, y = columns - JOINT.centre[0], (rows - JOINT.centre[1]) * aspect
    angle = np.radians(degrees)
    along = -np.sin(angle) * x + np.cos(angle) * y  # from the joint along the bone
    across = np.cos(angle) * x + np.sin(angle) * y
    width = half * (1.0 + 0.5 * np.exp(-((along / 25.0) ** 2)))
    levels = np.full(SIZE, 600.0)
    is_bone = (along > 0) & (along < length)
    depth = width - np.abs(across - aside)
    levels += (900 * np.clip(depth, 0.0, 3.0) / 3.0 + 500 * np.exp(-(((depth - 3.0) / 2.0) ** 2))) * is_bone
    levels += np.random.default_rng(7).normal(0.0, 25.0, SIZE)
    return np.clip(levels, 0, 4095).astype(np.uint16)


def search(angle: float, reach: float = 15.0) -> BoneSearch:
    return BoneSearch(angle, reach, *SHAFT)


def find_angle(film: Film, wanted: BoneSearch) -> float:
    found = find_bone_axis(film, JOINT, wanted)
    assert isinstance(found, BoneAxis)
    return found.angle


@pytest.mark.parametrize("degrees", [-50.0, -12.5, 0.0, 31.0, 88.0])
@pytest.mark.parametrize("off", [-9.0, 0.0, 7.0])
def test_the_axis_is_found_at_every_angle_and_although_another_one_is_expected(degrees: float, off: float) -> None:
    assert find_angle(Film(draw_bone(degrees), 12), search(degrees + off)) == pytest.approx(degrees, abs=0.4)


def test_the_direction_of_the_angle_is_clockwise_from_up() -> None:
    film = draw_bone(30.0)  # the bone points up and right, so its shaft lies down and left of the joint
    y, x = (round(JOINT.centre[1] + 60 * np.cos(np.pi / 6)), round(JOINT.centre[0] - 60 * np.sin(np.pi / 6)))
    assert film[y, x] > 1200
    assert find_angle(Film(film, 12), search(25.0)) > 29


def test_an_inverted_film_and_pixels_that_are_not_square_give_the_same_axis() -> None:
    inverted = Film(4095 - draw_bone(20.0), 12, is_inverted=True)
    assert find_angle(inverted, search(14.0)) == pytest.approx(20.0, abs=0.4)
    flat = Film(draw_bone(20.0, aspect=0.7, length=95.0), 12, aspect=0.7)
    assert find_angle(flat, search(14.0)) == pytest.approx(20.0, abs=0.4)


def test_a_box_that_is_a_little_off_or_of_another_size_gives_the_same_axis() -> None:
    film = Film(draw_bone(-20.0), 12)
    for box in (
        JOINT.shift(5, -4),
        JOINT.shift(-6, 5),
        Box.from_centre(*JOINT.centre, 50),
        Box.from_centre(*JOINT.centre, 70),
    ):
        found = find_bone_axis(film, box, search(-16.0))
        assert isinstance(found, BoneAxis)
        assert found.angle == pytest.approx(-20.0, abs=1.0)


def test_the_bone_beside_it_is_not_mistaken_for_the_bone_of_the_joint() -> None:
    pixels = np.maximum(draw_bone(10.0) * 0.8, draw_bone(-2.0, aside=34.0)).astype(np.uint16)
    assert find_angle(Film(pixels, 12), search(0.0, reach=20.0)) == pytest.approx(10.0, abs=0.6)


class TestFailures:
    def test_noise_and_an_even_film_have_no_axis(self) -> None:
        noise = np.random.default_rng(2).integers(0, 900, SIZE).astype(np.uint16)
        for pixels in (noise, np.full(SIZE, 700, np.uint16)):
            found = find_bone_axis(Film(pixels, 12), JOINT, search(0.0, reach=20.0))
            assert isinstance(found, BoneAxisFailure)
            assert found.reason == "unclear"

    def test_a_film_that_ends_at_the_joint_shows_no_axis(self) -> None:
        film = Film(draw_bone(0.0)[: round(JOINT.y1)], 12)
        assert find_bone_axis(film, JOINT, search(0.0)) == BoneAxisFailure("outside")
        half = Film(draw_bone(0.0)[: round(JOINT.y1) + 30], 12)
        assert find_bone_axis(half, JOINT, search(0.0)) == BoneAxisFailure("outside")
        assert find_bone_axis(film, JOINT.shift(0, 400), search(0.0)) == BoneAxisFailure("outside")

    def test_an_axis_beyond_the_reach_is_none(self) -> None:
        assert isinstance(find_bone_axis(Film(draw_bone(25.0), 12), JOINT, search(0.0, reach=12.0)), BoneAxisFailure)

    def test_two_axes_that_are_equally_clear_are_none(self) -> None:
        pixels = np.maximum(draw_bone(-16.0), draw_bone(16.0))
        assert isinstance(find_bone_axis(Film(pixels, 12), JOINT, search(0.0, reach=30.0)), BoneAxisFailure)


class TestTurnedPictures:
    def test_a_rotation_keeps_its_centre_and_lengths_in_mm(self) -> None:
        matrix = make_rotation(90.0, (10.0, 20.0), aspect=0.5)
        assert matrix @ [10.0, 20.0, 1.0] == pytest.approx([10.0, 20.0])
        # 4 widths to the right become 4 widths down, which are 8 pixels of half the height. Clockwise on the screen.
        assert matrix @ [14.0, 20.0, 1.0] == pytest.approx([10.0, 28.0])

    @pytest.mark.parametrize("size", [(240, 240), (30, 30)])
    def test_a_picture_turned_by_nothing_is_the_picture(self, size: tuple[int, int]) -> None:
        film, part = Film(draw_bone(20.0), 12), Box.from_centre(*JOINT.centre, 120.0)
        plain = np.asarray(render(film, part, size, DisplaySettings()), float)
        turned = np.asarray(warp_onto(film, make_rotation(0.0, JOINT.centre), part, size, DisplaySettings()), float)
        assert np.abs(turned - plain).mean() < 3

    def test_the_greys_are_interpolated_once_between_neighbours(self) -> None:
        pixels = np.zeros(SIZE, np.uint16)
        pixels[:, 210:] = 4095  # an edge between two columns
        film, part = Film(pixels, 12), Box.from_centre(*JOINT.centre, 60.0)
        image = np.asarray(warp_onto(film, make_rotation(0.0, JOINT.centre), part, (240, 240), DisplaySettings("film")))
        # Linear interpolation spreads an edge over the distance of two pixel centres, here four pixels of the picture.
        # A second interpolation would spread it over more.
        assert ((image[120] > 2) & (image[120] < 253)).sum() <= 4

    def test_a_reduced_picture_is_a_mean_and_skips_no_pixel(self) -> None:
        pixels = np.zeros(SIZE, np.uint16)
        pixels[:, ::8] = 4000  # each pixel of the picture covers one bright column
        film, part = Film(pixels, 12), Box(40.0, 40.0, 360.0, 360.0)
        image = np.asarray(
            warp_onto(film, make_rotation(0.0, JOINT.centre), part, (40, 40), DisplaySettings("film")), float
        )
        bright = render(film, part, (320, 320), DisplaySettings("film"))
        assert np.abs(image[2:-2, 2:-2] - np.asarray(bright, float).mean()).max() < 4
