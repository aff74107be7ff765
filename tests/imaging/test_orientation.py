"""Orientations: pixels, boxes, spacing and the order of two changes agree, in DICOM's order of operations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratui.imaging import Box, Film, Orientation, turn_film

ORIENTATIONS = list(Orientation)


def film(rows: int = 3, columns: int = 5) -> Film:
    pixels = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)
    return Film(pixels, 12, spacing=(0.2, 0.1), aspect=2.0)


def test_a_clockwise_quarter_puts_the_left_column_on_top() -> None:
    turned = turn_film(film(2, 3), Orientation.TURNED_90)
    assert turned.pixels.tolist() == [[3, 0], [4, 1], [5, 2]]
    assert (turned.spacing, turned.aspect) == ((0.1, 0.2), 0.5)


def test_left_and_right_are_exchanged_after_the_rotation() -> None:
    assert turn_film(film(2, 3), Orientation.MIRRORED_90).pixels.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert turn_film(film(2, 3), Orientation.MIRRORED).pixels.tolist() == [[2, 1, 0], [5, 4, 3]]
    assert turn_film(film(2, 3), Orientation.TURNED_180).pixels.tolist() == [[5, 4, 3], [2, 1, 0]]


def test_the_stored_film_stays_as_it_is() -> None:
    stored = film()
    before = stored.pixels.copy()
    turned = turn_film(stored, Orientation.MIRRORED_270)
    turned.pixels[:] = 0
    assert np.array_equal(stored.pixels, before)
    assert turn_film(stored, Orientation.UPRIGHT) is stored


@given(st.sampled_from(ORIENTATIONS), st.integers(1, 7), st.integers(1, 7), st.data())
def test_a_box_contains_the_same_pixels_in_every_orientation(
    orientation: Orientation, rows: int, columns: int, data: st.DataObject
) -> None:
    stored = film(rows, columns)
    x0, y0 = data.draw(st.integers(0, columns - 1)), data.draw(st.integers(0, rows - 1))
    box = Box(x0, y0, data.draw(st.integers(x0 + 1, columns)), data.draw(st.integers(y0 + 1, rows)))
    turned = turn_film(stored, orientation)
    a0, b0, a1, b1 = map(int, orientation.turn_box(box, columns, rows))
    inside = stored.pixels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
    assert sorted(turned.pixels[b0:b1, a0:a1].ravel()) == sorted(inside.ravel())
    assert orientation.inverse.turn_box(Box(a0, b0, a1, b1), turned.columns, turned.rows) == box


@pytest.mark.parametrize("first", ORIENTATIONS)
@pytest.mark.parametrize("second", ORIENTATIONS)
def test_two_changes_have_the_effect_of_one(first: Orientation, second: Orientation) -> None:
    both = turn_film(turn_film(film(), first), second)
    once = turn_film(film(), first.then(second))
    assert np.array_equal(both.pixels, once.pixels)
    assert (both.spacing, both.aspect) == (once.spacing, once.aspect)
    assert first.then(first.inverse) is Orientation.UPRIGHT
