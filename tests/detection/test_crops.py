"""Crops of a film and heat maps: places go to the film and back without an offset."""

from __future__ import annotations

import numpy as np
import pytest

from ratui.detection.crops import compose, crop_square, invert, map_points, scale_of
from ratui.detection.heat_maps import MAP_STRIDE, read_heat_maps
from ratui.imaging.geometry import make_similarity


def spot(rows: int, columns: int, x: float, y: float, spread: float) -> np.ndarray:
    at_y, at_x = np.arange(rows)[:, None] + 0.5, np.arange(columns) + 0.5
    return np.exp(-((at_x - x) ** 2 + (at_y - y) ** 2) / (2 * spread**2)).astype(np.float32)


def middle_of(image: np.ndarray) -> np.ndarray:
    weight = image.astype(float) ** 2
    at = np.arange(len(image)) + 0.5
    return np.array([(weight.sum(axis=0) * at).sum(), (weight.sum(axis=1) * at).sum()]) / weight.sum()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_a_spot_of_the_film_lies_where_the_transform_says(scale: float, mirrored: bool) -> None:
    film = spot(300, 400, 230.4, 121.7, 4.0 * max(scale, 1.0))
    frame = make_similarity(scale, 0.4, np.array([50.0, 50.0]), np.array([225.0, 125.0]), mirrored=mirrored)
    expected = map_points(invert(frame), np.array([230.4, 121.7]))
    assert middle_of(crop_square(film, frame, 100)) == pytest.approx(expected, abs=0.3)


def test_outside_of_the_film_is_black_and_a_crop_beside_it_is_empty() -> None:
    film = np.full((50, 50), 0.5, np.float32)
    film[:, ::2] = 0.6
    frame = make_similarity(1.0, 0.0, np.array([20.0, 20.0]), np.array([0.0, 25.0]))
    crop = crop_square(film, frame, 40)
    assert not crop[:, :18].any()
    assert crop[:, 22:].max() == 255
    far = make_similarity(1.0, 0.0, np.array([20.0, 20.0]), np.array([900.0, 25.0]))
    assert not crop_square(film, far, 40).any()


def test_transforms_compose_and_invert() -> None:
    one = make_similarity(2.0, 0.3, np.array([1.0, 2.0]), np.array([5.0, 5.0]), mirrored=True)
    two = make_similarity(0.5, -1.0, np.array([0.0, 9.0]), np.array([3.0, 1.0]))
    points = np.random.default_rng(0).normal(size=(5, 2))
    assert map_points(compose(one, two), points) == pytest.approx(map_points(one, map_points(two, points)))
    assert map_points(compose(invert(one), one), points) == pytest.approx(points)
    assert scale_of(compose(one, two)) == pytest.approx(1.0)


def test_a_peak_has_its_place_between_cells_its_spread_and_its_score() -> None:
    share = spot(56, 56, 20.3, 31.6, 1.0)
    maps = np.log(np.stack([0.9 * share / share.sum(), 0.2 * share / share.sum()]) + 1e-9)
    # The cell of logit 0 holds the rest of the probability.
    maps -= np.log(np.array([0.1, 0.8]))[:, None, None]
    peaks = read_heat_maps(maps.astype(np.float32))
    assert peaks.points == pytest.approx(np.array([[20.3, 31.6]] * 2) * MAP_STRIDE, abs=0.15)
    assert peaks.spread == pytest.approx([MAP_STRIDE] * 2, rel=0.1)
    assert peaks.scores == pytest.approx([0.9, 0.2], abs=0.03)


def test_a_map_without_any_site_has_no_score() -> None:
    assert read_heat_maps(np.full((1, 56, 56), -20.0, np.float32)).scores[0] < 1e-4


def test_a_peak_at_the_border_is_read() -> None:
    maps = np.full((1, 56, 56), -20.0, np.float32)
    maps[0, 0, 55] = 9.0
    peaks = read_heat_maps(maps)
    assert peaks.points[0] == pytest.approx([55.5 * MAP_STRIDE, 0.5 * MAP_STRIDE], abs=0.1)
