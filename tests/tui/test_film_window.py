"""Films side by side: as many as are wide and sharp enough, otherwise a window of two that follows the active film."""

from __future__ import annotations

import pytest

from ratui.terminal import Display
from ratui.tui.graphics.film_window import choose_window, count_side_by_side, find_pair, next_place

HALF_CELLS, SIXEL = Display("halfcell"), Display("sixel", cell=(10, 20))


@pytest.mark.parametrize(
    ("display", "columns", "rows", "expected"),
    [
        (HALF_CELLS, 78, 16, 2),
        (HALF_CELLS, 113, 40, 2),
        (HALF_CELLS, 114, 40, 3),
        (HALF_CELLS, 168, 52, 4),
        (SIXEL, 77, 16, 2),
        (SIXEL, 78, 16, 3),
        (SIXEL, 104, 30, 4),
        (Display("sixel", cell=(5, 10)), 78, 30, 2),
        (Display("sixel", cell=(5, 10)), 78, 8, 3),
    ],
)
def test_more_than_two_films_stand_side_by_side_if_each_is_wide_and_sharp_enough(
    display: Display, columns: int, rows: int, expected: int
) -> None:
    assert count_side_by_side(columns, rows, display) == expected


class TestWindow:
    def test_all_films_that_fit_are_shown(self) -> None:
        assert choose_window([True] * 4, 2, 4) == (0, 1, 2, 3)
        assert choose_window([True], 0, 2) == (0,)

    def test_two_films_are_always_both_shown(self) -> None:
        assert {choose_window([first, True], active, 2) for first in (True, False) for active in (0, 1)} == {(0, 1)}

    def test_otherwise_the_active_film_stands_beside_the_one_before_it(self) -> None:
        assert [choose_window([True] * 4, active, 3) for active in range(4)] == [(0, 1), (0, 1), (1, 2), (2, 3)]

    def test_a_film_that_lacks_the_joint_is_passed_over(self) -> None:
        assert choose_window([True, False, True], 2, 2) == (0, 2)
        assert choose_window([False, True, False, True], 1, 2) == (1, 3)

    def test_another_film_can_be_asked_for_if_it_shows_the_joint(self) -> None:
        assert choose_window([True] * 4, 3, 2, beside=0) == (0, 3)
        assert choose_window([True] * 4, 0, 2, beside=2) == (0, 2)
        assert choose_window([False, True, True, True], 3, 2, beside=0) == (2, 3)
        assert choose_window([True] * 4, 3, 4, beside=0) == (0, 1, 2, 3)
        assert choose_window([True] * 2, 1, 2, beside=1) == (0, 1)

    def test_a_single_film_of_the_joint_has_no_other_to_compare(self) -> None:
        assert find_pair([False, True, False], 1) == (1,)


def test_alternation_goes_through_all_films_and_begins_again() -> None:
    assert [next_place([0, 2, 3], active) for active in (0, 1, 2, 3)] == [2, 2, 3, 0]
    assert next_place([], 1) == 1
