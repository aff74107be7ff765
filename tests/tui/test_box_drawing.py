"""Boxes and names on a picture: readable, without overlap, and with states that differ without colour."""

import itertools
from functools import cache

import numpy as np
import pytest
from PIL import Image

from ratui.demo.sample import find_sample
from ratui.imaging import Box
from ratui.phantom import render, simulate_patient
from ratui.regions.initial import make_initial_regions
from ratui.scheme import load_scheme
from ratui.study import FilmRecord, Region, RegionSource, Study
from ratui.terminal import Display
from ratui.tui.graphics.box_drawing import LABEL_GAP, draw_outlines, trace_borders
from ratui.tui.graphics.box_names import (
    Label,
    list_abbreviations,
    measure_in_cells,
    measure_in_pixels,
    place_labels,
)
from ratui.tui.graphics.box_outlines import (
    SIGNS,
    BoxState,
    Outline,
    abbreviate,
    find_state,
    format_short_name,
    make_outlines,
)
from ratui.tui.graphics.viewport import Viewport, make_whole_film_box

SCHEME = load_scheme("mtss-hands")
STATES: tuple[BoxState, ...] = ("accepted", "proposed", "moved", "estimated", "refused", "current")


def hand(size: tuple[int, int], current: str = "L.PIP3", side: str = "L") -> tuple[Outline, ...]:
    film = FilmRecord("film", 0, side, "hand", 1000, 820)
    sites = [site for site in SCHEME.sites if site.side in film.sides]
    regions = make_initial_regions(SCHEME, film, sites, confirmed={}, proposed={}, other={})
    regions["L.MCP4"] = Region("L.MCP4", "film", regions["L.MCP4"].box, RegionSource.RATER, "anna")
    view = Viewport("case", "film", Box(0, 0, 820, 1000), size, "film")
    return make_outlines(view, sites, regions, current, ["L.MCP2"], both_sides=side == "B")


@cache
def phantom_regions(side: str, part: str, seed: int) -> tuple[FilmRecord, dict[str, Box]]:
    """Return the film of a simulated patient and its true boxes."""
    patient = simulate_patient(np.random.default_rng([91, seed]), load_scheme("mtss"), severity=0.6)
    size = (320, 524 if side == "B" else 262)
    film = render(patient, side, 0, np.random.default_rng([92, seed]), size=size, part=part)  # type: ignore[arg-type]
    return FilmRecord("film", 0, side, part, *size), dict(film.boxes)


@cache
def box_sets() -> list[tuple[str, FilmRecord, dict[str, Box]]]:
    """Return simulated films of hands with wrists and of feet, and the films of the sample study, with their boxes."""
    found = [
        (f"{side} {part} {seed}", *phantom_regions(side, part, seed))
        for side, part, seed in itertools.product("LB", ("hand", "foot"), (5,))
    ]
    sample = Study.open(find_sample())
    for case in map(sample.case, sample.cases()):
        regions = sample.regions(case.id)
        for film in case.films:
            boxes = {each.site: each.box for each in regions if each.film == film.id and each.box is not None}
            if boxes:
                found.append((f"{case.id} {film.id}", film, boxes))
    return found


def shared_area(a: Box, b: Box) -> float:
    return max(min(a.x1, b.x1) - max(a.x0, b.x0), 0) * max(min(a.y1, b.y1) - max(a.y0, b.y0), 0)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("cell", [(1, 2), (8, 17)], ids=["half-cells", "pixels"])
def test_no_name_covers_another_or_its_box_on_any_film(columns: int, rows: int, cell: tuple[int, int]) -> None:
    scheme, is_pixels = load_scheme("mtss"), cell != (1, 2)
    display = Display("sixel", cell) if is_pixels else Display("halfcell")
    left_out, named = [], 0
    for number, (film_name, film, boxes) in enumerate(box_sets()):
        across = (columns * 2 // 3 if film.side == "B" else columns // 2) - 2
        size = (across * cell[0], (rows - 6) * cell[1])
        sites = [site for site in scheme.sites if site.key in boxes]
        regions = {key: Region(key, film.id, box, RegionSource.RATER) for key, box in boxes.items()}
        view = Viewport("case", film.id, make_whole_film_box(film, size, display), size, "film")
        current = sites[number % len(sites)].key
        outlines = make_outlines(view, sites, regions, current, both_sides=film.side == "B")
        if is_pixels:
            labels = place_labels(outlines, measure_in_pixels(11), size, gap=LABEL_GAP)
        else:
            outlines, size = in_cells(outlines), (size[0], size[1] // 2)
            labels = place_labels(outlines, measure_in_cells, size, gap=0)
        check_places(film_name, outlines, labels, size)
        left_out += [film_name] * (len(outlines) - len(labels))
        named += len(labels)
    assert left_out == []
    assert named > 150


def in_cells(outlines: tuple[Outline, ...]) -> tuple[Outline, ...]:
    """Return the outlines in rows of cells, as the widget measures them."""
    return tuple(
        Outline(
            Box(each.box.x0, each.box.y0 // 2, each.box.x1, (each.box.y1 + 1) // 2), each.name, each.state, each.short
        )
        for each in outlines
    )


def check_places(film: str, outlines: tuple[Outline, ...], labels: tuple[Label, ...], size: tuple[int, int]) -> None:
    current = outlines[-1].box
    for a, b in itertools.combinations(labels, 2):
        assert not shared_area(a.place.box, b.place.box), f"{film}: {a.text} over {b.text}"
    for label in labels:
        x0, y0, x1, y1 = label.place.box
        assert min(x0, y0) >= 0, f"{film}: {label.text} is outside"
        assert x1 <= size[0], f"{film}: {label.text} is outside"
        assert y1 <= size[1], f"{film}: {label.text} is outside"
        assert not shared_area(label.place.box, outlines[label.index].box), f"{film}: {label.text} over its box"
        assert not shared_area(label.place.box, current), f"{film}: {label.text} over the selected box"
        if label.place.line is None:
            continue
        # The line begins at the border of the box, and crosses no name.
        start = Box(*label.place.line[:2], *label.place.line[:2])
        x, y = start.x0, start.y0
        own = outlines[label.index].box
        assert own.x0 <= x <= own.x1, f"{film}: the line of {label.text} begins beside its box"
        assert own.y0 <= y <= own.y1, f"{film}: the line of {label.text} begins beside its box"


def test_a_name_without_room_beside_its_box_has_a_line_to_it() -> None:
    boxes = tuple(Outline(Box(60 + 6 * i, 60, 66 + 6 * i, 66), f"MCP{i}", "proposed", f"M{i}") for i in range(6))
    labels = place_labels(boxes, lambda name: (30, 10), (200, 200))
    assert len(labels) == 6
    assert any(label.place.line for label in labels)
    check_places("row", (*boxes, Outline(Box(0, 0, 0, 0), "", "current")), labels, (200, 200))


def test_the_selected_box_is_drawn_last_after_refused_ones() -> None:
    states = [box.state for box in hand((400, 500))]
    assert states[-1] == "current"
    assert states[-2] == "refused"
    assert states[0] == "accepted"


@pytest.mark.parametrize("key", ["L.PIP3", "L.RAD", "L.CMC1", "L.CAP-NAV-LUN"])
def test_the_selected_box_always_has_its_full_name(key: str) -> None:
    for size in ((34, 36), (60, 68), (380, 460)):
        boxes = hand(size, key)
        in_pixels = size[0] > 100
        labels = place_labels(boxes, measure_in_pixels(11) if in_pixels else measure_in_cells, size)
        assert format_short_name(SCHEME.site(key), False) in {label.text for label in labels}


def test_without_room_names_are_abbreviated_and_then_left_out() -> None:
    def texts(size: tuple[int, int]) -> set[str]:
        return {label.text for label in place_labels(hand(size), measure_in_cells, size)}

    assert {"PIP3", "P2", "M2", "CNL"} <= texts((30, 20))
    assert texts((18, 12)) == {"PIP3", "MCP2"}, "the selected box and the refused one"


def test_abbreviations_differ_within_a_scheme_and_are_explained() -> None:
    scheme = load_scheme("mtss")
    for part in ("hand", "foot"):
        joints = [joint.id for joint in scheme.joints if joint.part == part]
        assert len({abbreviate(joint) for joint in joints}) == len(joints)
    boxes = hand((30, 20))
    explained = list_abbreviations(boxes, place_labels(boxes, measure_in_cells, (30, 20)))
    assert {"P PIP", "M MCP", "CNL CAP-NAV-LUN"} <= set(explained)
    assert not any(each.startswith("RAD") for each in explained), "the beginning of a name needs no explanation"


def test_a_film_of_two_hands_says_which_hand() -> None:
    assert {box.name[0] for box in hand((400, 500), side="B")} == {"L", "R"}


def test_boxes_outside_the_enlarged_part_are_left_out() -> None:
    film = FilmRecord("film", 0, "L", "hand", 1000, 820)
    sites = [site for site in SCHEME.sites if site.side == "L"]
    regions = make_initial_regions(SCHEME, film, sites, confirmed={}, proposed={}, other={})
    box = regions["L.PIP5"].box
    assert box is not None
    view = Viewport("case", "film", box, (100, 100))
    assert [each.name for each in make_outlines(view, sites, regions, "L.PIP5")] == ["PIP5"]


@pytest.mark.parametrize(
    ("source", "rater", "state"),
    [
        (RegionSource.RATER, "anna", "accepted"),
        (RegionSource.MODEL, "anna", "accepted"),
        (RegionSource.MODEL, "", "proposed"),
        (RegionSource.REGISTERED, "", "proposed"),
        (RegionSource.RATER, "", "moved"),
        (RegionSource.ESTIMATED, "", "estimated"),
        (RegionSource.TEMPLATE, "", "estimated"),
        (RegionSource.OTHER_FILM, "", "estimated"),
    ],
)
def test_the_state_of_a_box(source: RegionSource, rater: str, state: str) -> None:
    model = "ssd" if source is RegionSource.MODEL else None
    region = Region("L.PIP2", "film", Box(0, 0, 1, 1), source, rater, None, model)
    assert find_state(region) == state
    assert find_state(region, is_refused=True) == "refused"
    assert find_state(region, is_refused=True, is_current=True) == "current"


@pytest.mark.parametrize("side", [12, 30, 120])
def test_the_states_of_boxes_differ_without_colour(side: int) -> None:
    """Lines of one grey level and of the same box still differ from state to state."""
    picture = Image.new("L", (side + 40, side + 40), 100)
    box = Box(20, 20, 20 + side, 20 + side)
    lines = {
        state: np.asarray(draw_outlines(picture, (Outline(box, "", state),), 8)).astype(int) > 150 for state in STATES
    }
    for a, b in itertools.combinations(STATES, 2):
        assert (lines[a] != lines[b]).sum() >= 8, f"{a} and {b}"
    assert (np.asarray(picture) == 100).all(), "the film itself is left as it is"


def test_what_is_in_a_box_can_be_seen() -> None:
    picture = Image.new("L", (60, 60), 128)
    for state in STATES:
        image = np.asarray(draw_outlines(picture, (Outline(Box(15, 15, 45, 45), "", state),), 8))
        assert (image[20:40, 20:40] == 128).mean() > 0.75


@pytest.mark.parametrize("side", [6, 8, 14])
def test_the_states_of_boxes_in_cells_differ_without_colour(side: int) -> None:
    lines = {
        state: set(trace_borders((Outline(Box(4, 4, 4 + side, 4 + side), "", state),), (40, 40))) for state in STATES
    }
    for a, b in itertools.combinations([state for state in STATES if state != "current"], 2):
        assert len(lines[a] ^ lines[b]) >= 4, f"{a} and {b}"
    # The selected box has a name as a block beside it.
    assert lines["current"] == lines["proposed"]


def test_a_line_stands_out_on_bright_bone_and_on_black() -> None:
    for level, state in itertools.product((0, 255), STATES):
        image = np.asarray(
            draw_outlines(Image.new("L", (60, 60), level), (Outline(Box(15, 15, 45, 45), "", state),), 8)
        )
        assert np.ptp(image[13:19, 15:22].astype(int)) > 120, state


def test_a_tiny_box_in_cells_has_a_sign_instead_of_lines_that_would_hide_the_joint() -> None:
    line = trace_borders((Outline(Box(4, 4, 12, 12), "", "current"),), (20, 20))
    assert {(4, 4), (11, 11), (4, 8), (8, 11)} <= set(line)
    assert (8, 8) not in line
    assert trace_borders((Outline(Box(4, 4, 7, 7), "", "proposed"),), (20, 20)) == {}
    assert trace_borders((Outline(Box(4, 4, 7, 7), "", "current"),), (20, 20)) != {}
    assert trace_borders((Outline(Box(-9, -9, 30, 30), "", "current"),), (20, 20)) == {}
    assert len(set(SIGNS.values())) == len(STATES)
