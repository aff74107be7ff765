"""The small map of a hand: every joint once, thumbs at the correct side, and no order of time points."""

import pytest

from ratui.reading import (
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    enter,
    enter_normal,
    start_reading,
    toggle_flag,
)
from ratui.scheme import load_scheme
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.scoring.text import count_done_by_side, draw_hand_map, place_joints

T = Catalog("en")


@pytest.mark.parametrize("name", ["fingers", "mtss-hands", "mtss"])
@pytest.mark.parametrize("rows", [6, 12, 18])
def test_every_joint_has_a_place_of_its_own(name: str, rows: int) -> None:
    scheme = load_scheme(name)
    for side in ("L", "R"):
        for part in scheme.parts:
            sites = [site for site in scheme.sites if (site.side, site.part) == (side, part.id)]
            cells = place_joints(scheme, sites, 28, rows)
            assert sorted(cells.values()) == sorted(site.key for site in sites)
            assert all(0 <= column <= 28 - 2 and 0 <= row < rows for column, row in cells)


def test_thumbs_are_where_a_film_has_them() -> None:
    scheme = load_scheme("fingers")
    for side, thumb_right in (("L", True), ("R", False)):
        cells = place_joints(scheme, [site for site in scheme.sites if site.side == side], 28, 16)
        column = {key: column for (column, _), key in cells.items()}
        assert (column[f"{side}.IP1"] > column[f"{side}.PIP5"]) == thumb_right


def test_the_sign_of_a_joint_shows_its_state() -> None:
    scheme = load_scheme("fingers")
    reading = start_reading(scheme, "C", "anna", scheme.sites)
    reading = enter_normal(reading, "L.IP1")
    for scale, time, grade in (("ERO", 0, 2), ("ERO", 1, 4), ("JSN", 0, 0), ("JSN", 1, 0)):
        reading = enter(reading, Field("L.PIP2", scale, time), GradeEntry(grade))
    for time in (0, 1):
        reading = enter(reading, Field("L.PIP3", "ERO", time), FindingEntry("collapse"))
        reading = enter(reading, Field("L.PIP4", "ERO", time), NotAssessableEntry("replaced"))
    reading = toggle_flag(reading, "L.MCP5")
    text = draw_hand_map(T, reading, "L.PIP5", 28, 24).plain
    cells = place_joints(scheme, [site for site in scheme.sites if site.side == "L"], 28, 18)
    lines = text.split("\n")[1:]
    at = {key: lines[row][column : column + 2] for (column, row), key in cells.items()}
    wanted = {"L.IP1": "0", "L.PIP2": "4", "L.PIP3": "c", "L.PIP4": "–", "L.PIP5": "▣", "L.MCP5": "·!", "L.MCP2": "·"}
    assert {key: at[key].strip() for key in wanted} == wanted


def test_progress_side_by_side() -> None:
    scheme = load_scheme("mtss")
    reading = start_reading(scheme, "C", "anna", scheme.sites)
    reading = enter_normal(reading, "R.MCP2")
    progress = count_done_by_side(reading)
    assert progress["R", "hand"][0] == 1
    assert sum(total for _, total in progress.values()) == len(reading.sites)
    assert "RIGHT hand" in draw_hand_map(T, reading, "L.MCP2", 28, 30).plain


def test_mirrored_in_time_it_looks_the_same() -> None:
    scheme = load_scheme("fingers")
    texts = []
    for first, second in ((1, 3), (3, 1)):
        reading = start_reading(scheme, "C", "anna", scheme.sites, blinded=True)
        reading = enter(reading, Field("L.IP1", "ERO", 0), GradeEntry(first))
        reading = enter(reading, Field("L.IP1", "ERO", 1), GradeEntry(second))
        texts.append(draw_hand_map(T, reading, "L.PIP2", 28, 24).plain)
    assert texts[0] == texts[1]
