"""The worklist screen: groups of cases, the films of the selected one, and colours."""

from pathlib import Path
from threading import Event

import pytest
from textual.pilot import Pilot

from ratui.tui.graphics.viewport import Viewport
from ratui.tui.screens.worklist.preview import CasePreview, arrange_films
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.virtual_list import VirtualList
from tests.films import exchange_positions
from tests.tui.conftest import cells, label_text, reading_as, rows, settle
from tests.tui.readings import store_reading
from tests.tui.worklists import selected, study_of, study_of_many

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("width", "is_panel"), [(80, False), (120, True)])
async def test_groups_have_names_and_from_three_signed_cases_a_pace(tmp_path: Path, width: int, is_panel: bool) -> None:
    study = study_of_many(tmp_path, 6)
    cases = study.cases()
    for case, seconds in zip(cases, (100, 200, 3000), strict=False):
        store_reading(study, case, signed=True, seconds=seconds)
    store_reading(study, cases[3], joints=5)
    async with reading_as(study, "anna", size=(width, 40)) as pilot:
        await settle(pilot)
        page = [line[: 77 if is_panel else 80] for line in cells(pilot).split("\n")]
        places = [
            next(i for i, line in enumerate(page) if name in line)
            for name in ("◐ in progress · 1", "○ due · 2", "● done · 3")
        ]
        assert places == sorted(places)
        assert places[1] - places[0] == (3 if is_panel else 2)
        text = " ".join(label_text(pilot).split())
        assert "3.3 minutes per case" in text, "the median"
        assert ("3 cases left, about 8 minutes at your pace" if is_panel else "about 8 minutes left") in text
        assert ("Selected case" in cells(pilot)) is is_panel
        await pilot.press(*"zzz")
        assert "Selected case" not in cells(pilot), "no case matches"


async def test_arrows_show_one_group_and_escape_all(tmp_path: Path) -> None:
    study = study_of(tmp_path, 3)
    one, two, _ = study.cases()
    store_reading(study, one, signed=True)
    store_reading(study, two, joints=4)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press("right")
        assert [line.lstrip("▸ ").split()[0] for line in rows(pilot)] == [two]
        assert "only in progress · 1 of 3 cases" in label_text(pilot)
        await pilot.press("left", "left")
        assert [line.lstrip("▸ ").split()[0] for line in rows(pilot)] == [one]
        await pilot.press("escape")
        assert len(rows(pilot)) == 3
        await pilot.press("slash")
        assert "filter: ▁" in label_text(pilot)
        await pilot.press(*"read")
        assert [line.lstrip("▸ ").split()[0] for line in rows(pilot)][:1] == [two]
        await pilot.press("escape")
        assert "filter" not in label_text(pilot).split("\n")[0]


class TestPictures:
    """The pictures of the selected case, on a wide screen."""

    @staticmethod
    def picture(pilot: Pilot[None]) -> tuple[Viewport | None, ...] | None:
        key = pilot.app.screen.query_one(CasePreview).query_one(FilmView).key
        return None if key is None else tuple(view for row in key[1:] for view in row)

    async def test_they_follow_the_selection(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 2)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await settle(pilot)
            for case in study.cases():
                found = self.picture(pilot)
                assert found is not None
                assert {view.case for view in found if view} == {case}
                assert [view.film for view in found if view] == [film.id for film in study.case(case).films]
                await pilot.press("down")
                await settle(pilot)

    async def test_on_a_narrow_screen_there_are_none(self, tmp_path: Path) -> None:
        async with reading_as(study_of(tmp_path, 1), "anna", size=(100, 40)) as pilot:
            await settle(pilot)
            assert self.picture(pilot) is None

    async def test_in_a_blinded_study_only_begun_cases_in_the_places_of_the_rater(self, tmp_path: Path) -> None:
        study = study_of(tmp_path, 2, blinded=True)
        first, _ = study.cases()
        store_reading(study, first, joints=2)
        for order in ((0, 1), (1, 0)):
            exchange_positions(study, first, "anna", order)
            async with reading_as(study, "anna", size=(120, 40)) as pilot:
                await settle(pilot)
                left, right = study.order("anna", first)
                times = {film.id: film.time for film in study.case(first).films}
                found = self.picture(pilot)
                assert found is not None
                assert [times[view.film] for view in found if view] == [left, right]
                await pilot.press("down")
                await settle(pilot)
                assert self.picture(pilot) is None
                assert "once you have begun it" in " ".join(label_text(pilot).split())

    async def test_no_key_waits_for_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        study = study_of(tmp_path, 3)
        begun, go_on = Event(), Event()

        def slow(preview: CasePreview, *arguments: object) -> None:
            begun.set()
            assert go_on.wait(20)

        monkeypatch.setattr(CasePreview, "_prepare", slow)
        monkeypatch.setattr("ratui.tui.screens.worklist.preview._REST", 0.0)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            while not begun.is_set():
                await pilot.pause()
            await pilot.press("down", "down")
            assert selected(pilot) == study.cases()[2]
            go_on.set()


@pytest.mark.parametrize("width", [80, 120])
async def test_lines_have_their_colours(tmp_path: Path, width: int) -> None:
    study = study_of(tmp_path, 2)
    async with reading_as(study, "anna", size=(width, 24)) as pilot:
        await settle(pilot)
        seen = pilot.app.screen.query_one(VirtualList)
        colours = [{segment.style.color for segment in seen.render_line(y) if segment.style} for y in range(seen.count)]
        bold = [any(segment.style and segment.style.bold for segment in seen.render_line(y)) for y in range(seen.count)]
        assert all(None not in each for each in colours)
        assert bold[:3] == [True, True, False], "the name of the group, the selected case, and another one"


def test_many_visits_stand_below_each_other_where_their_films_are_larger_so() -> None:
    left, right = [None] * 4, [None] * 4
    assert arrange_films([left, right], (540, 720)) == [[None, None]] * 4
    assert arrange_films([left, right], (900, 500)) == [left, right]
    assert arrange_films([[None] * 2] * 2, (200, 600)) == [[None] * 2] * 2
