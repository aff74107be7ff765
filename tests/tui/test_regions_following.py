"""Boxes on the screen follow corrections and move together; accepting boxes without support asks first."""

from pathlib import Path

import pytest

from ratui.study import RegionSource
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.widgets.region_viewer import RegionViewer
from tests.films import make_study
from tests.tui.conftest import label_text, reading_as, settle
from tests.tui.test_regions_screen import boxes, opened, screen

pytestmark = pytest.mark.slow


class TestBoxesFollow:
    async def test_one_moved_box_moves_the_others_on_the_screen_and_undo_takes_them_back(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            assert "move one, and the others follow" in label_text(pilot)
            before = dict(boxes(pilot).regions)
            films = screen(pilot).query_one(RegionViewer)
            picture = films.whole_film.key
            await pilot.press("L")
            await settle(pilot)
            after = boxes(pilot).regions
            assert {key for key in before if after[key].box == before[key].box} == {k for k in before if k[0] == "R"}
            assert films.whole_film.key == picture
            assert sum(region.source is RegionSource.RATER for region in after.values()) == 1
            await pilot.press("u")
            assert boxes(pilot).regions == before

    async def test_one_key_lets_all_boxes_move_scale_and_turn_together(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await opened(pilot)
            before = boxes(pilot).regions
            assert "move all" in label_text(pilot)
            await pilot.press("a")
            assert "all 10 open boxes  [ ] turn · LEFT hand" in label_text(pilot)
            assert "move one" in label_text(pilot)
            await pilot.press("L", "minus", "right_square_bracket")
            moved = boxes(pilot).regions
            assert all(moved[key].box != region.box for key, region in before.items())
            await pilot.press("u", "u", "u")
            assert boxes(pilot).regions == before
            await pilot.press("a", "right")
            changed = [key for key, region in boxes(pilot).regions.items() if region.source is RegionSource.RATER]
            assert changed == [boxes(pilot).site.key]
            await pilot.press("a", "tab")
            assert "open boxes" not in label_text(pilot), "another box is active, which moves alone"


async def test_arrows_with_shift_go_from_box_to_box(tmp_path: Path) -> None:
    study = make_study(tmp_path, regions=False)
    async with reading_as(study, "anna") as pilot:
        await opened(pilot)
        assert "Shift-←↑↓→ go to box" in " ".join(label_text(pilot).split())
        screen(pilot)._set_editor(boxes(pilot).select_site("L.MCP3"))
        before = boxes(pilot).regions
        visited = []
        for key in ("shift+left", "shift+up", "shift+right", "shift+down"):
            await pilot.press(key)
            visited.append(boxes(pilot).site.key)
        assert visited == ["L.MCP4", "L.PIP4", "L.PIP3", "L.MCP3"]
        assert boxes(pilot).regions == before


class TestAcceptingAll:
    async def test_boxes_without_support_are_accepted_only_after_a_question(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        (case,) = study.cases()
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            await pilot.press("L", "A", "A")
            assert "9 of 10 boxes have no support in the image. Enter accepts them" in label_text(pilot)
            assert study.regions(case) == ()
            await pilot.press("escape")
            assert "no support" not in label_text(pilot)
            assert isinstance(pilot.app.screen, RegionsScreen)
            await pilot.press("A", "tab", "enter")
            assert len(study.regions(case)) == 1, "another key has cancelled the question"
            await pilot.press("A", "enter")
            await settle(pilot)
        assert len(study.regions(case)) == 10
        assert {region.source for region in study.regions(case)} == {RegionSource.RATER, RegionSource.ESTIMATED}

    async def test_boxes_that_cannot_be_right_are_refused_without_a_question(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, regions=False)
        async with reading_as(study, "anna") as pilot:
            await opened(pilot)
            now = boxes(pilot).select_site("L.PIP2")
            fixed = now.with_box(now.region.box).select_site("L.PIP3")
            screen(pilot)._set_editor(fixed.with_box(now.region.box))
            await pilot.press("A")
            assert "no support" not in label_text(pilot)
            assert "overlaps" in label_text(pilot)
