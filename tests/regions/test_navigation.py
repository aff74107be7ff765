"""Keys that go to the next box in a direction."""

import pytest

from ratui.imaging import Box
from ratui.regions.navigation import find_box_towards

BOXES = {
    "middle": Box.from_centre(100, 100, 20),
    "right": Box.from_centre(150, 110, 20),
    "far right": Box.from_centre(190, 100, 20),
    "above": Box.from_centre(90, 60, 20),
    "diagonal": Box.from_centre(140, 61, 20),
    "below left": Box.from_centre(70, 140, 20),
}


@pytest.mark.parametrize(
    ("direction", "expected"), [((1, 0), "right"), ((-1, 0), None), ((0, -1), "above"), ((0, 1), "below left")]
)
def test_the_nearest_box_in_the_direction_is_found(direction: tuple[int, int], expected: str | None) -> None:
    assert find_box_towards(BOXES, BOXES["middle"], *direction) == expected


def test_a_box_aside_counts_as_farther_than_one_ahead() -> None:
    boxes = {"aside": Box.from_centre(130, 128, 20), "ahead": Box.from_centre(160, 100, 20)}
    assert find_box_towards(boxes, BOXES["middle"], 1, 0) == "ahead"


def test_every_box_of_a_hand_is_reached_by_the_four_keys() -> None:
    from ratui.regions.initial import find_template_box
    from ratui.scheme import load_scheme
    from ratui.study import FilmRecord

    film = FilmRecord("film", 0, "L", "hand", 1000, 820)
    sites = [site for site in load_scheme("mtss-hands").sites if site.side == "L"]
    boxes = {site.key: box for site in sites if (box := find_template_box(load_scheme("mtss-hands"), film, site))}
    reached, queue = {"L.PIP3"}, ["L.PIP3"]
    while queue:
        here = boxes[queue.pop()]
        for way in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            there = find_box_towards(boxes, here, *way)
            if there is not None and there not in reached:
                reached.add(there)
                queue.append(there)
    assert reached == set(boxes)
