"""The films of the joints that differ most, beside the map of the overview, and the full names of joints."""

from pathlib import Path

import pytest

from ratui.reading import Entry, Field, GradeEntry, Reading, enter, start_reading
from ratui.scheme import load_scheme
from ratui.study.campaign.study_closing import lock_study
from ratui.tui.entry.visit_names import UNNAMED
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.overview.changed_joints import ChangedJoints
from ratui.tui.screens.overview.changes import JointChange, find_changes
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.overview.text import format_change, format_joint_name
from ratui.tui.widgets.film_view import FilmView
from tests.films import make_study
from tests.tui.conftest import label_text, reading_as, settle
from tests.tui.readings import fill_reading, store_reading

T = Catalog("en")
MTSS = load_scheme("mtss")
FINGERS = load_scheme("fingers")
SPECIAL: dict[Field, Entry] = {
    Field("L.MCP2", "ERO", 1): GradeEntry(1),
    Field("R.PIP3", "ERO", 1): GradeEntry(3),
    Field("R.PIP3", "JSN", 0): GradeEntry(1),
    Field("R.PIP3", "JSN", 1): GradeEntry(2),
    Field("R.MCP4", "JSN", 0): GradeEntry(2),
}


def changed(order: tuple[int, ...] = (0, 1), *, blinded: bool = False) -> Reading:
    return fill_reading(start_reading(FINGERS, "C", "anna", FINGERS.sites, order=order, blinded=blinded), dict(SPECIAL))


def test_the_largest_difference_comes_first_in_either_order_of_the_films() -> None:
    found = [(change.site, change.size) for change in find_changes(changed())]
    assert found == [("R.PIP3", 4), ("R.MCP4", 2), ("L.MCP2", 1)]
    assert found == [(change.site, change.size) for change in find_changes(changed((1, 0), blinded=True))]


def test_a_joint_counts_when_all_its_fields_at_both_visits_are_filled() -> None:
    reading = start_reading(FINGERS, "C", "anna", FINGERS.sites)
    for field, grade in ((("ERO", 0), 0), (("ERO", 1), 2), (("JSN", 0), 0)):
        reading = enter(reading, Field("L.MCP2", *field), GradeEntry(grade))
    assert find_changes(reading) == []
    reading = enter(reading, Field("L.MCP2", "JSN", 1), GradeEntry(1))
    assert find_changes(reading) == [JointChange("L.MCP2", (0, 1), 3)]


def test_of_three_visits_the_two_that_differ_most_are_shown() -> None:
    grades: dict[Field, Entry] = {
        Field("L.MCP2", "ERO", time): GradeEntry(grade) for time, grade in enumerate((1, 0, 4))
    }
    reading = fill_reading(start_reading(FINGERS, "C", "anna", FINGERS.sites, order=(0, 1, 2)), grades)
    (change,) = find_changes(reading)
    assert change == JointChange("L.MCP2", (1, 2), 4)
    assert format_change(T, reading, change, UNNAMED, 40)[1] == "ERO 0→4  JSN 0→0  visit 2, visit 3"
    assert format_change(T, reading, change, UNNAMED, 32)[1] == "ERO 0→4  JSN 0→0  films 2, 3"


def test_a_change_has_its_sign_only_where_the_order_is_known() -> None:
    change = find_changes(changed())[0]
    assert format_change(T, changed(), change, UNNAMED, 40) == (
        "RIGHT 3rd proximal interphalangeal",
        "ERO 0→3 (+3)  JSN 1→2 (+1)",
    )
    assert format_change(T, changed(blinded=True), change, UNNAMED, 40)[1] == "ERO 0|3  JSN 1|2"


@pytest.mark.parametrize(
    ("language", "joint", "name"),
    [
        ("en", "MCP2", "2nd metacarpophalangeal"),
        ("en", "FIP1", "big toe, interphalangeal"),
        ("en", "LUN", "lunate"),
        ("ja", "PIP5", "第5近位指節間関節"),
        ("ja", "IP1", "母指の指節間関節"),
    ],
)
def test_joints_have_full_names(language: str, joint: str, name: str) -> None:
    assert format_joint_name(Catalog(language), next(site for site in MTSS.sites if site.joint.id == joint)) == name


@pytest.mark.slow
@pytest.mark.parametrize(("size", "count"), [((80, 24), 0), ((120, 40), 3)])
async def test_films_stand_beside_the_map_where_there_is_room(
    tmp_path: Path, size: tuple[int, int], count: int
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, dict(SPECIAL), signed=True)
    async with reading_as(study, "anna", size=size) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, OverviewScreen)
        await settle(pilot)
        assert sum(view.key is not None for view in screen.query(FilmView)) == count
        assert ("RIGHT 3rd proximal interphalangeal" in label_text(pilot)) is bool(count)
        if count:
            assert "ERO 0→3 (+3)  JSN 1→2 (+1)" in label_text(pilot)
            panel = screen.query_one(ChangedJoints)
            row = panel.region.y + 1 + panel.children[1].region.height - 2
            await pilot.click(offset=(panel.region.x + 3, row))
            assert "RIGHT hand · PIP3 (3rd proximal interphalangeal)" in label_text(pilot)


@pytest.mark.slow
async def test_no_film_is_shown_of_a_reading_that_is_closed(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, dict(SPECIAL))
    lock_study(study, "the study is complete")
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, OverviewScreen)
        await settle(pilot)
        assert not [view for view in screen.query(FilmView) if view.key is not None]
