"""The shape model: it is learned from samples, and keeps implausible peaks out."""

from __future__ import annotations

import numpy as np
import pytest

from ratui.detection.crops import map_points
from ratui.detection.shape import ShapeModel, learn_shape, place_sites
from ratui.imaging.geometry import make_similarity

SITES = tuple("abcdef")
PLACES = np.array([[-20.0, -15.0], [0.0, -20.0], [20.0, -15.0], [-20.0, 15.0], [0.0, 20.0], [20.0, 15.0]])


def wrists(count: int, seed: int = 0) -> np.ndarray:
    """Return places of sites: the six places with errors of 1 mm, turned and shifted at random."""
    rng = np.random.default_rng(seed)
    drawn = PLACES + rng.normal(0, 1.0, (count, *PLACES.shape))
    moves = [make_similarity(1.0, rng.normal(0, 0.3), np.zeros(2), rng.normal(0, 50, 2)) for _ in range(count)]
    return np.stack([map_points(move, each) for move, each in zip(moves, drawn, strict=True)])


@pytest.fixture(scope="module")
def shape() -> ShapeModel:
    points = wrists(300)
    outer = np.full((300, 2, 3), np.nan)
    outer[:, 0, :2], outer[:, 0, 2] = points[:, 1] + [0.0, -60.0], 17.0
    return learn_shape(points, outer, SITES, ("near", "never"), np.full(6, 18.0))


def test_pose_is_taken_out_and_the_size_is_kept(shape: ShapeModel) -> None:
    turned = map_points(make_similarity(1.0, 0.2, np.zeros(2), np.zeros(2)), PLACES)
    spans = [np.hypot(*(each[0] - each[5])) for each in (shape.mean, turned)]
    assert spans[0] == pytest.approx(spans[1], rel=0.02)
    errors = np.sqrt(np.diag(shape.covariance))
    assert 0.5 < errors.min() <= errors.max() < 1.3, "about 1 mm, less what the pose takes up"


def test_a_joint_that_no_sample_shows_gets_no_weight_and_no_size(shape: ShapeModel) -> None:
    assert shape.finger_widths.tolist() == [17.0, 0.0]
    assert shape.finger_errors[1] > 50 * shape.finger_errors[0]


def test_clear_peaks_are_kept_in_any_pose(shape: ShapeModel) -> None:
    move = make_similarity(2.0, 0.5, np.zeros(2), np.array([112.0, 100.0]))
    peaks = map_points(move, wrists(1, seed=7)[0])
    placed = place_sites(shape, peaks, np.full(6, 0.4), np.ones(6), 2.0)
    assert np.abs(placed.points - peaks).max() < 1.2, "in pixels of half a mm"
    assert placed.scores.min() > 0.6


@pytest.mark.parametrize("score", [1.0, 0.01])
def test_a_site_without_a_plausible_peak_is_placed_by_the_others(shape: ShapeModel, score: float) -> None:
    truth = map_points(make_similarity(2.0, -0.3, np.zeros(2), np.array([100.0, 90.0])), shape.mean)
    peaks, scores = truth.copy(), np.ones(6)
    peaks[2] += [45.0, -30.0]
    scores[2] = score
    placed = place_sites(shape, peaks, np.full(6, 1.0), scores, 2.0)
    assert np.hypot(*(placed.points - truth).T).max() < 4.0, "2 mm, where the peak is 27 mm off"
    assert placed.scores[2] < 0.2 < 0.8 < np.delete(placed.scores, 2).min()


def test_peaks_in_a_jumble_fit_less_than_a_wrist(shape: ShapeModel) -> None:
    peaks = map_points(make_similarity(2.0, 0.0, np.zeros(2), np.array([100.0, 90.0])), shape.mean)
    fits = [
        place_sites(shape, p, np.full(6, 2.0), np.full(6, 0.7), 2.0).fit for p in (peaks, peaks[[3, 0, 4, 5, 2, 1]])
    ]
    assert fits[0] > 1.5 * fits[1]
