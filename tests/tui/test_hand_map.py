"""The small map of a hand: every joint once, thumbs at the correct side, and no order of time points."""

from typing import Any

import pytest
from PIL import Image
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

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
from ratui.tui.entry.text import clicked_site
from ratui.tui.graphics.limb_drawing import center_text, place_joints
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.scoring.hand_map import MAP_WIDTH, count_done_by_side, draw_hand_map

T = Catalog("en")


def shown_at(text: Text) -> dict[str, str]:
    """Return what the map shows at each joint, by the key of the site."""
    spans = [(span, clicked_site(span.style)) for span in text.spans if isinstance(span.style, Style)]
    return {site: text.plain[span.start : span.end] for span, site in spans if site is not None}


@pytest.mark.parametrize(
    ("text", "centered"), [("ab", " ab  "), ("右手", "右手 "), ("abcdef", "abcdef"), ("", "     ")]
)
def test_a_centered_text_fills_its_cells(text: str, centered: str) -> None:
    assert center_text(text, 5) == centered


@pytest.mark.parametrize("name", ["fingers", "mtss-hands", "mtss"])
@pytest.mark.parametrize("rows", [6, 12, 18])
def test_every_joint_has_a_place_of_its_own(name: str, rows: int) -> None:
    scheme = load_scheme(name)
    for side in ("L", "R"):
        for part in scheme.parts:
            sites = [site for site in scheme.sites if (site.side, site.part) == (side, part.id)]
            cells = place_joints(scheme, sites, MAP_WIDTH, rows)
            assert sorted(cells.values()) == sorted(site.key for site in sites)
            assert all(0 <= column <= MAP_WIDTH - 3 and 0 <= row < rows for column, row in cells)


def test_thumbs_are_where_a_film_has_them() -> None:
    scheme = load_scheme("fingers")
    for side, thumb_right in (("L", True), ("R", False)):
        cells = place_joints(scheme, [site for site in scheme.sites if site.side == side], MAP_WIDTH, 16)
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
    shown = shown_at(draw_hand_map(T, reading, "L.PIP5", MAP_WIDTH, 24))
    wanted = {"IP1": "0", "PIP2": "4 0", "PIP3": "c c", "PIP4": "– –", "PIP5": "· ·", "MCP5": "· ·!", "MCP2": "· ·"}
    assert {key: shown[f"L.{key}"] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("name", "site", "bones"), [("fingers", "L.IP1", 80), ("mtss", "R.RC", 80), ("mtss", "L.MTP1", 50)]
)
def test_bones_are_drawn_between_the_joints_and_never_over_a_score(name: str, site: str, bones: int) -> None:
    scheme = load_scheme(name)
    reading = start_reading(scheme, "C", "anna", scheme.sites)
    text = draw_hand_map(T, reading, site, MAP_WIDTH, 40)
    assert sum(0x2800 <= ord(letter) <= 0x28FF for letter in text.plain) > bones
    here = reading.site(site)
    sites = [each for each in scheme.sites if (each.side, each.part) == (here.side, here.part)]
    assert shown_at(text) == {each.key: " ".join("·" for _ in each.joint.scales) for each in sites}
    assert all(cell_len(line) <= MAP_WIDTH for line in text.plain.split("\n"))


def test_a_low_map_has_the_joints_without_bones() -> None:
    scheme = load_scheme("fingers")
    text = draw_hand_map(T, start_reading(scheme, "C", "anna", scheme.sites), "L.IP1", MAP_WIDTH, 14)
    assert len(shown_at(text)) == 10
    assert not any(0x2800 <= ord(letter) <= 0x28FF for letter in text.plain)


def test_the_latest_entries_name_the_visit_and_stand_below_where_there_is_room() -> None:
    scheme = load_scheme("fingers")
    reading = enter(start_reading(scheme, "C", "anna", scheme.sites), Field("L.IP1", "ERO", 1), GradeEntry(3))
    reading = enter_normal(reading, "L.MCP2")
    lines = draw_hand_map(T, reading, "L.IP1", MAP_WIDTH, 32).plain.split("\n")
    assert lines[-3:] == ["latest entries", "MCP2 ×4           0", "IP1 ERO later     3"]
    assert len(lines) <= 32
    assert "latest entries" not in draw_hand_map(T, reading, "L.IP1", MAP_WIDTH, 20).plain


def test_long_names_leave_the_joint_and_the_scale_of_the_latest_entries() -> None:
    scheme = load_scheme("mtss")
    reading = start_reading(scheme, "C", "anna", scheme.sites)
    reading = enter(reading, Field("R.CMC1", "ERO", 0), NotAssessableEntry("replaced"))
    reading = enter(reading, Field("R.CMC1", "ERO", 1), FindingEntry("ankylosis"))
    *_, heading, last, first = draw_hand_map(T, reading, "R.CMC1", MAP_WIDTH, 40).plain.split("\n")
    assert [heading, last, first] == [" latest entries", " CMC1 ERO ankylosis", " CMC1 ERO earlier –"]


def test_texts_do_not_touch_the_letters_of_the_right_side() -> None:
    scheme = load_scheme("mtss")
    reading = start_reading(scheme, "C", "anna", scheme.sites)
    for site, gap in (("L.MCP2", ""), ("R.MCP2", " ")):
        lines = draw_hand_map(T, reading, site, MAP_WIDTH, 30).plain.split("\n")
        assert lines[-4].startswith(f"{gap}LEFT hand ")
        assert all(cell_len(line) == MAP_WIDTH for line in lines[-4:])


def test_progress_side_by_side() -> None:
    scheme = load_scheme("mtss")
    reading = start_reading(scheme, "C", "anna", scheme.sites)
    reading = enter_normal(reading, "R.MCP2")
    progress = count_done_by_side(reading)
    assert progress["R", "hand"][0] == 1
    assert sum(total for _, total in progress.values()) == len(reading.sites)
    assert "RIGHT hand" in draw_hand_map(T, reading, "L.MCP2", MAP_WIDTH, 30).plain


def test_mirrored_in_time_it_looks_the_same() -> None:
    scheme = load_scheme("fingers")
    texts = []
    for first, second in ((1, 3), (3, 1)):
        reading = start_reading(scheme, "C", "anna", scheme.sites, blinded=True)
        reading = enter(reading, Field("L.IP1", "ERO", 0), GradeEntry(first))
        reading = enter(reading, Field("L.IP1", "ERO", 1), GradeEntry(second))
        texts.append(draw_hand_map(T, reading, "L.PIP2", MAP_WIDTH, 24).plain)
    assert texts[0] == texts[1]


def test_the_bones_of_a_hand_are_drawn_once_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = load_scheme("fingers")
    reading = start_reading(scheme, "C", "anna", scheme.sites)
    drawn: list[object] = []
    new = Image.new

    def draw(*given: Any) -> Image.Image:
        drawn.append(given)
        return new(*given)

    monkeypatch.setattr(Image, "new", draw)
    size = (MAP_WIDTH, 29)  # no other test has this one
    for site in ("L.PIP2", "L.MCP2", "L.IP1"):
        reading = enter_normal(reading, site)
        assert shown_at(draw_hand_map(T, reading, "L.PIP5", *size))[site].startswith("0")
    assert len(drawn) == 1
    draw_hand_map(T, reading, "R.PIP5", *size)
    assert len(drawn) == 2, "the other hand is a drawing of its own"
