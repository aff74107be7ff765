"""Names of visits: by number in the study, and in a study blinded to order by position alone."""

from __future__ import annotations

import pytest

from ratui.tui.entry.text import format_time_point
from ratui.tui.entry.visit_names import UNNAMED, VisitNames
from ratui.tui.i18n.catalog import Catalog

T = Catalog("en")


def names(visits: VisitNames, order: tuple[int, ...], *, blinded: bool = False) -> list[str]:
    return [visits.name(T, order, time, blinded=blinded) for time in order]


@pytest.mark.parametrize(
    ("order", "blinded", "expected"),
    [
        ((0, 1), False, ["earlier", "later"]),
        ((0, 1), True, ["left film", "right film"]),
        ((0, 1, 2), False, ["baseline", "visit 2", "visit 3"]),
        ((0, 1, 2), True, ["film 1", "film 2", "film 3"]),
        ((0,), False, ["baseline"]),
        ((0,), True, ["film"]),
    ],
)
def test_a_visit_has_the_name_that_its_rater_may_know(
    order: tuple[int, ...], blinded: bool, expected: list[str]
) -> None:
    assert names(UNNAMED, order, blinded=blinded) == expected


def test_the_number_is_that_of_the_study_and_not_of_the_case() -> None:
    assert names(VisitNames({0: 0, 1: 1, 2: 3}), (0, 1, 2)) == ["baseline", "visit 2", "visit 4"]


def test_the_names_of_the_study_come_first_but_never_in_a_blinded_reading() -> None:
    own = VisitNames({0: 0, 1: 2}, ("screening", "week 24", "week 52"))
    assert names(own, (0, 1)) == ["screening", "week 52"]
    assert names(own, (0, 1), blinded=True) == ["left film", "right film"]


def test_a_title_has_the_time_since_the_first_film_unless_the_order_is_blinded() -> None:
    assert format_time_point(T, (0, 1, 2), 2, False, 365) == "visit 3 · +12 months"
    assert format_time_point(T, (0, 1, 2), 0, False, 0) == "baseline"
    assert format_time_point(T, (0, 1, 2), 2, True, 365) == "film 3"
