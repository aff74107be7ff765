"""Boxes and names on a picture: readable, without overlap, and never over the current box."""

import itertools

import numpy as np
import pytest
from PIL import Image

from ratui.imaging import Box
from ratui.regions.initial import initial_regions
from ratui.scheme import load_scheme
from ratui.study import FilmRecord, Region, RegionSource
from ratui.tui.graphics.box_drawing import (
    Outline,
    draw_outlines,
    format_short_name,
    make_outlines,
    place_names,
    trace_borders,
)
from ratui.tui.graphics.film_store import ViewRequest

SCHEME = load_scheme("mtss-hands")


def hand(size: tuple[int, int], current: str = "L.PIP3", side: str = "L") -> tuple[Outline, ...]:
    film = FilmRecord("film", 0, side, "hand", 1000, 820)
    sites = [site for site in SCHEME.sites if site.side in film.sides]
    regions = initial_regions(SCHEME, film, sites, confirmed={}, proposed={}, other={})
    regions["L.MCP4"] = Region("L.MCP4", "film", regions["L.MCP4"].box, RegionSource.RATER, "anna")
    view = ViewRequest("case", "film", Box(0, 0, 820, 1000), size, "film")
    return make_outlines(view, sites, regions, current, ["L.MCP2"], both_sides=side == "B")


def rectangles(boxes: tuple[Outline, ...], size: tuple[int, int], letter: tuple[int, int]) -> dict[str, list[int]]:
    sizes = [(letter[0] * len(box.name), letter[1]) for box in boxes]
    places = place_names(boxes, sizes, size)
    return {boxes[i].name: [x, y, x + sizes[i][0], y + sizes[i][1]] for i, (x, y) in places.items()}


def test_the_current_box_is_drawn_last_after_rejected_ones() -> None:
    states = [box.state for box in hand((400, 500))]
    assert states[-1] == "current"
    assert states[-2] == "refused"
    assert states[0] == "accepted"


@pytest.mark.parametrize("size", [(380, 460), (700, 860), (1000, 1200)])
def test_names_never_touch_each_other_nor_the_current_box(size: tuple[int, int]) -> None:
    boxes = hand(size)
    names = rectangles(boxes, size, (7, 14))
    assert len(names) >= 10
    for a, b in itertools.combinations(names.values(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    x0, y0, x1, y1 = boxes[-1].box
    for name, (left, top, right, bottom) in names.items():
        assert left >= 0
        assert top >= 0
        assert right <= size[0]
        assert bottom <= size[1]
        if name != "PIP3":
            assert right <= x0 or left >= x1 or bottom <= y0 or top >= y1


@pytest.mark.parametrize("key", ["L.PIP3", "L.RAD", "L.CMC1", "L.CAP-NAV-LUN"])
def test_the_current_name_is_always_drawn(key: str) -> None:
    for size in ((34, 18), (60, 34), (380, 460)):
        names = rectangles(hand(size, key), size, (1, 1) if size[0] < 100 else (7, 14))
        assert format_short_name(SCHEME.site(key), False) in names


def test_without_room_only_the_important_names_are_drawn() -> None:
    assert set(rectangles(hand((34, 18)), (34, 18), (1, 1))) == {"PIP3", "MCP2"}


def test_a_film_of_two_hands_says_which_hand() -> None:
    assert {box.name[0] for box in hand((400, 500), side="B")} == {"L", "R"}


def test_boxes_outside_the_enlarged_part_are_left_out() -> None:
    film = FilmRecord("film", 0, "L", "hand", 1000, 820)
    sites = [site for site in SCHEME.sites if site.side == "L"]
    regions = initial_regions(SCHEME, film, sites, confirmed={}, proposed={}, other={})
    box = regions["L.PIP5"].box
    assert box is not None
    view = ViewRequest("case", "film", box, (100, 100))
    assert [each.name for each in make_outlines(view, sites, regions, "L.PIP5")] == ["PIP5"]


def test_the_states_of_boxes_differ_without_colour() -> None:
    picture = Image.new("L", (60, 60), 128)
    drawn = {}
    for state in ("accepted", "waiting", "current", "refused"):
        drawn[state] = np.asarray(draw_outlines(picture, (Outline(Box(15, 15, 45, 45), "", state),), 8))  # type: ignore[arg-type]
    for a, b in itertools.combinations(drawn.values(), 2):
        assert (a != b).sum() > 20
    assert (np.asarray(picture) == 128).all(), "the film itself is left as it is"
    for image in drawn.values():
        assert (image[20:40, 20:40] == 128).mean() > 0.9, "what is in the box can be seen"


def test_a_line_stands_out_on_bright_bone_and_on_black() -> None:
    for level in (0, 255):
        image = np.asarray(
            draw_outlines(Image.new("L", (60, 60), level), (Outline(Box(15, 15, 45, 45), "", "waiting"),), 8)
        )
        assert np.ptp(image[14:18, 30].astype(int)) > 120


def test_lines_in_cells_surround_the_box_and_a_tiny_one_is_a_mark() -> None:
    line = trace_borders((Outline(Box(4, 4, 12, 12), "", "current"),), (20, 20))
    assert {(4, 4), (11, 11), (4, 8), (8, 11)} <= set(line)
    assert (8, 8) not in line
    assert len(trace_borders((Outline(Box(4, 4, 7, 7), "", "waiting"),), (20, 20))) == 1
    assert trace_borders((Outline(Box(-9, -9, 30, 30), "", "current"),), (20, 20)) == {}
