"""Boxes, and the least-squares similarity between pairs of points."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratui.imaging import Box, fit_similarity


class TestBox:
    def test_measures(self):
        box = Box(10.0, 20.0, 40.0, 80.0)
        assert (box.width, box.height, box.area, box.centre) == (30.0, 60.0, 1800.0, (25.0, 50.0))

    def test_is_a_tuple_and_a_list_in_json(self):
        assert Box(1.0, 2.0, 3.0, 4.0) == (1.0, 2.0, 3.0, 4.0)
        assert json.dumps(Box(1.0, 2.0, 3.0, 4.0)) == "[1.0, 2.0, 3.0, 4.0]"

    def test_from_centre_and_size(self):
        assert Box.from_centre(5.0, 6.0, 4.0) == (3.0, 4.0, 7.0, 8.0)
        assert Box.from_centre(5.0, 6.0, 4.0, 2.0) == (3.0, 5.0, 7.0, 7.0)
        assert Box.from_size(30, 20) == (0.0, 0.0, 30.0, 20.0)

    def test_moves(self):
        box = Box(10.0, 20.0, 60.0, 70.0)
        assert box.shift(1.0, -2.0) == (11.0, 18.0, 61.0, 68.0)
        assert box.scale(2.0) == (20.0, 40.0, 120.0, 140.0)
        assert box.scale(2.0, 0.5) == (20.0, 10.0, 120.0, 35.0)
        assert box.mirror(Box(100.0, 0.0, 400.0, 900.0)) == (440.0, 20.0, 490.0, 70.0)
        assert box.to_image(Box(10.0, 10.0, 110.0, 60.0), (200, 100)) == (0.0, 20.0, 100.0, 120.0)

    def test_overlap(self):
        box = Box(0.0, 0.0, 10.0, 10.0)
        assert box.intersection_area(Box(5.0, 5.0, 20.0, 7.0)) == 10.0
        assert box.intersection_over_union(Box(5.0, 0.0, 15.0, 10.0)) == pytest.approx(50 / 150)
        assert box.intersection_over_union(box) == 1.0
        # Boxes that are apart in both directions: the product of two negative lengths is no area.
        assert box.intersection_area(Box(20.0, 20.0, 30.0, 30.0)) == 0.0
        assert box.intersection_over_union(Box(20.0, 20.0, 30.0, 30.0)) == 0.0
        assert not box.overlaps(Box(10.0, 0.0, 20.0, 10.0))  # a common side is no overlap
        assert not box.overlaps(Box(0.0, 12.0, 10.0, 20.0))
        assert box.overlaps(Box(9.0, 9.0, 20.0, 20.0))


class TestFitSimilarity:
    @given(st.floats(-np.pi, np.pi), st.floats(0.2, 5.0), st.floats(-50, 50), st.integers(0, 100))
    def test_recovers_the_transform(self, angle, scale, shift, seed):
        source = np.random.default_rng(seed).normal(0, 10, (5, 2))
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        matrix = np.array([[c, -s, shift], [s, c, -2 * shift]])
        target = source @ matrix[:, :2].T + matrix[:, 2]
        np.testing.assert_allclose(fit_similarity(source, target), matrix, atol=1e-9)

    def test_weights_count_as_repetitions(self):
        rng = np.random.default_rng(1)
        source, target = rng.normal(0, 1, (4, 2)), rng.normal(0, 1, (4, 2))
        weights = np.array([1.0, 3.0, 2.0, 1.0])
        repeated = fit_similarity(np.repeat(source, [1, 3, 2, 1], axis=0), np.repeat(target, [1, 3, 2, 1], axis=0))
        np.testing.assert_allclose(fit_similarity(source, target, weights), repeated, atol=1e-12)
        assert np.abs(fit_similarity(source, target) - repeated).max() > 0.01

    def test_is_the_least_squares_fit(self):
        rng = np.random.default_rng(2)
        source, target = rng.normal(0, 1, (6, 2)), rng.normal(0, 1, (6, 2))
        # (a, b, x, y) by ordinary least squares: u = a x - b y + tx, v = b x + a y + ty.
        x, y = source.T
        one, zero = np.ones(6), np.zeros(6)
        design = np.vstack([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
        a, b, tx, ty = np.linalg.lstsq(design, target.T.ravel(), rcond=None)[0]
        np.testing.assert_allclose(fit_similarity(source, target), [[a, -b, tx], [b, a, ty]], atol=1e-12)

    def test_never_mirrors(self):
        source = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        assert np.linalg.det(fit_similarity(source, source * [-1, 1])[:, :2]) >= 0
