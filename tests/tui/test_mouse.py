"""The mouse selects fields, joints and cases, and zooms. No click or movement enters anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from ratui.reading import Field
from ratui.tui.graphics.view_settings import WHOLE_FILM, ZOOMS, step_zoom
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.virtual_list import VirtualList
from tests.films import make_study
from tests.tui.conftest import reading_as, settle

pytestmark = pytest.mark.slow


def scoring(pilot: Pilot[None]) -> ScoringScreen:
    assert isinstance(pilot.app.screen, ScoringScreen)
    return pilot.app.screen


async def open_case(pilot: Pilot[None]) -> ScoringScreen:
    await pilot.press("enter")
    await settle(pilot)
    return scoring(pilot)


def find_text(pilot: Pilot[None], selector: str, key: str, value: object) -> tuple[int, int]:
    """Return the place, in cells of the screen, of the first text in `selector` whose target `key` is `value`."""
    region = pilot.app.screen.query_one(selector, Static).region
    for y in range(region.y, region.bottom):
        for x in range(region.x, region.right):
            if pilot.app.screen.get_style_at(x, y).meta.get(key) == value:
                return x, y
    raise AssertionError(f"{value} is not in {selector}")


async def click(pilot: Pilot[None], place: tuple[int, int]) -> None:
    await pilot.click(offset=place)
    await settle(pilot)


async def turn_wheel(pilot: Pilot[None], widget: Widget, event: type[MouseScrollUp | MouseScrollDown]) -> None:
    """Turn the wheel by one notch over the middle of `widget`."""
    x, y = widget.region.x + widget.region.width // 2, widget.region.y + widget.region.height // 2
    pilot.app.post_message(event(None, x, y, 0, 0, 0, False, False, False, screen_x=x, screen_y=y))
    await pilot.pause(0.2)
    await settle(pilot)


async def test_a_click_on_the_map_goes_to_the_joint(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=(140, 40)) as pilot:
        screen = await open_case(pilot)
        await click(pilot, find_text(pilot, "#map", "site", "L.PIP3"))
        assert screen.field == Field("L.PIP3", "ERO", 0)
        assert screen.reading.log == ()


async def test_a_click_on_a_field_makes_it_active(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        screen = await open_case(pilot)
        await pilot.press("slash", *"mcp3", "enter")
        await settle(pilot)
        for place, scale in ((1, "JSN"), (0, "JSN"), (1, "ERO"), (0, "ERO")):
            field = Field("L.MCP3", scale, screen.reading.order[place])
            await click(pilot, find_text(pilot, f"#fields{place}", "field", tuple(field)))
            assert screen.field == field
        assert screen.reading.log == ()
        await pilot.press("2")
        await settle(pilot)
        assert [change.field for change in screen.reading.log[-1].changes] == [field]


async def test_a_click_discards_an_entry_that_waits_for_confirmation(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        screen = await open_case(pilot)
        await pilot.press("2", "0")  # a fall by two grades is unlikely
        await settle(pilot)
        assert screen.scoring_session.pending is not None
        field = Field("L.IP1", "ERO", 1)
        await click(pilot, find_text(pilot, "#fields1", "field", tuple(field)))
        assert screen.scoring_session.pending is None
        await pilot.press("enter")
        await settle(pilot)
        assert len(screen.reading.values) == 1


async def test_a_click_elsewhere_says_what_can_be_clicked(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        screen = await open_case(pilot)
        field = screen.field
        view = screen.joint_viewer.views[0].region
        for place in ((view.x + 3, view.y + 3), (1, 0), (40, 23)):
            await click(pilot, place)
            assert (screen.field, screen.reading.log) == (field, ())
            assert "scores are typed" in str(screen.query_one("#message", Static).render())


async def test_clicks_do_nothing_while_a_reason_is_asked_for(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=(140, 40)) as pilot:
        screen = await open_case(pilot)
        field = screen.field
        await pilot.press("x")
        await settle(pilot)
        await click(pilot, find_text(pilot, "#map", "site", "L.PIP3"))
        assert screen.field == field
        assert screen.is_asking


async def test_the_wheel_zooms_over_a_film_only(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=(140, 40)) as pilot:
        screen = await open_case(pilot)
        viewer = screen.joint_viewer
        for view, event, expected in (
            (viewer.views[0], MouseScrollUp, 1.2),
            (viewer.views[1], MouseScrollUp, 0.8),
            (viewer.views[1], MouseScrollUp, 0.8),
            (viewer.views[0], MouseScrollDown, 1.2),
            (screen.query_one("#map"), MouseScrollDown, 1.2),
        ):
            await turn_wheel(pilot, view, event)
            assert ZOOMS[viewer.view_settings.zoom] == expected
        assert screen.reading.log == ()


def test_the_wheel_goes_from_the_whole_film_to_the_closest_view_and_back() -> None:
    zooms, zoom = [], WHOLE_FILM
    for _ in range(5):
        zoom = step_zoom(zoom, is_closer=True)
        zooms.append(ZOOMS[zoom])
    assert zooms == [3.0, 1.7, 1.2, 0.8, 0.8]
    for _ in range(5):
        zoom = step_zoom(zoom, is_closer=False)
    assert ZOOMS[zoom] == 3.0
    assert step_zoom(WHOLE_FILM, is_closer=False) == WHOLE_FILM


async def test_a_click_in_the_worklist_selects_and_a_second_one_opens(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=3)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        rows = pilot.app.screen.query_one(VirtualList)
        await click(pilot, (10, rows.region.y))  # the name of the group
        assert rows.cursor == 1
        await click(pilot, (10, rows.region.y + 3))
        assert isinstance(pilot.app.screen, WorklistScreen)
        assert rows.cursor == 3
        await click(pilot, (10, rows.region.y + 3))
        await settle(pilot)
        assert scoring(pilot).reading.case == study.cases()[2]


async def test_a_click_on_the_overview_selects_and_a_second_one_goes_there(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=(120, 40)) as pilot:
        await open_case(pilot)
        await pilot.press("o")
        await settle(pilot)
        place = find_text(pilot, "#chart", "site", "R.MCP2")
        await click(pilot, place)
        assert isinstance(pilot.app.screen, OverviewScreen)
        await click(pilot, place)
        assert scoring(pilot).field == Field("R.MCP2", "ERO", 0)


async def test_a_click_in_the_review_selects_a_field_of_its_joint(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path, sides="L"), "anna", size=(120, 40)) as pilot:
        screen = await open_case(pilot)
        await pilot.press("f")
        for _ in screen.reading.sites:
            await pilot.press("n")
            await settle(pilot)
        review = pilot.app.screen
        assert isinstance(review, ReviewScreen)
        log = review.reading.log
        field = Field(review.item.site, review.reading.site(review.item.site).joint.scales[-1], review.reading.order[1])
        await click(pilot, find_text(pilot, "#fields1", "field", tuple(field)))
        assert review.field == field
        assert review.reading.log == log
