"""Films of a joint that count as displayed."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from ratui.terminal import Resolution
from ratui.tui.entry.answer_gate import DisplayWatch, ExpectedFilm

BOTH = {0: "a", 1: "b"}


def make_view(key: str = "", painted_at: float | None = None, shrink: int = 1) -> Any:
    return SimpleNamespace(key=key, painted_at=painted_at, painted_shrink=shrink)


def expect(view: Any, place: int, key: str, resolution: float = 6.0) -> ExpectedFilm:
    return ExpectedFilm(view, place, key, Resolution(resolution, is_sufficient=resolution >= 4.0))


def paint(watch: DisplayWatch, view: Any, key: str, shrink: int = 1) -> None:
    view.key, view.painted_at, view.painted_shrink = key, time.monotonic(), shrink
    watch.note_painted(view)


def test_films_are_displayed_when_all_of_them_are_painted() -> None:
    watch, left, right = DisplayWatch(), make_view(), make_view()
    assert watch.find_display_problem() == "not_painted"
    watch.expect("L.MCP2", [expect(left, 0, "x"), expect(right, 1, "y")], BOTH)
    paint(watch, left, "x")
    assert watch.find_display_problem() == "not_painted"
    assert watch.displayed_since([0]) is not None
    assert watch.displayed_since([0, 1]) is None
    paint(watch, right, "y")
    assert watch.find_display_problem() is None
    assert watch.displayed_since([0, 1]) == right.painted_at
    assert watch.displayed_films([1, 0]) == ("a", "b")


def test_a_picture_of_another_joint_does_not_count() -> None:
    watch, left = DisplayWatch(), make_view()
    watch.expect("L.MCP2", [expect(left, 0, "x")], {0: "a"})
    paint(watch, left, "old")
    assert watch.find_display_problem() == "not_painted"
    assert watch.displayed_since([0]) is None


def test_another_joint_begins_anew_even_with_the_same_picture() -> None:
    watch, left = DisplayWatch(), make_view()
    watch.expect("L.CMC3", [expect(left, 0, "wrist")], {0: "a"})
    paint(watch, left, "wrist")
    before = watch.displayed_since([0])
    watch.expect("L.CMC4", [expect(left, 0, "wrist")], {0: "a"})
    since = watch.displayed_since([0])
    assert before is not None
    assert since is not None, "the picture stays, and the terminal is not sent it again"
    assert since > before


def test_a_film_that_lacks_the_joint_is_not_waited_for() -> None:
    watch, left = DisplayWatch(), make_view()
    watch.expect("L.MCP2", [expect(left, 0, "x")], {0: "a"})
    paint(watch, left, "x")
    assert watch.find_display_problem() is None
    assert watch.displayed_since([0, 1]) == left.painted_at


def test_films_that_were_displayed_in_turn_were_all_displayed() -> None:
    watch, view = DisplayWatch(), make_view()
    watch.expect("L.MCP2", [expect(view, 0, "x")], BOTH)
    paint(watch, view, "x")
    watch.expect("L.MCP2", [expect(view, 1, "y")], BOTH)
    assert watch.find_display_problem() == "not_painted"
    paint(watch, view, "y")
    assert watch.displayed_since([0, 1]) == view.painted_at


def test_the_difference_is_no_film() -> None:
    watch, view = DisplayWatch(), make_view()
    watch.expect("L.MCP2", [expect(view, 0, "x")], BOTH, is_difference=True)
    paint(watch, view, "x")
    assert watch.find_display_problem() == "difference"
    assert watch.displayed_since([0]) is None


@pytest.mark.parametrize(("shrink", "pixels", "is_sufficient"), [(1, 6.0, True), (3, 2.0, False)])
def test_the_resolution_is_that_of_the_painted_picture(shrink: int, pixels: float, is_sufficient: bool) -> None:
    watch, left, right = DisplayWatch(), make_view(), make_view()
    watch.expect("L.MCP2", [expect(left, 0, "x", 6.0), expect(right, 1, "y", 8.0)], BOTH)
    paint(watch, left, "x", shrink)
    paint(watch, right, "y", shrink)
    assert watch.displayed_resolution([0, 1]) == Resolution(pixels, is_sufficient)


def test_the_best_resolution_of_the_visit_counts() -> None:
    watch, view = DisplayWatch(), make_view()
    for key, resolution in (("wide", 2.0), ("close", 9.0), ("wide", 2.0)):
        watch.expect("L.MCP2", [expect(view, 0, key, resolution)], {0: "a"})
        paint(watch, view, key)
    assert watch.displayed_resolution([0]) == Resolution(9.0, is_sufficient=True)
