"""Cases with one visit or with more than two: films on the screen, fields, paging, and the totals."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.reading import Field, GradeEntry
from ratui.study import Study
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.read_only import make_read_only_review
from ratui.tui.screens.review.screen import ReviewScreen
from tests.tui.conftest import label_text, reading_as, settle
from tests.tui.readings import store_reading
from tests.tui.visit_films import CASE, make_visits

pytestmark = pytest.mark.slow


def film_screen(pilot: Pilot[None]) -> FilmScreen[object]:
    screen = pilot.app.screen
    assert isinstance(screen, FilmScreen)
    return screen


def titles(pilot: Pilot[None]) -> list[str]:
    viewer = film_screen(pilot).joint_viewer
    return [str(viewer.query_one(f"#title{slot}", Static).content) for slot in range(len(viewer.window))]


def message(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#message", Static).content)


def shown_films(pilot: Pilot[None]) -> list[str]:
    """Return the ids of the films that the visible views show, from left to right."""
    return [view.key.film for view in film_screen(pilot).joint_viewer.views if view.display and view.key]  # type: ignore[attr-defined]


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def test_titles_of_three_visits_fit_their_place(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 3)
    async with reading_as(study, "anna", case=CASE) as pilot:
        for width in (80, 160):
            await pilot.resize_terminal(width, 24 if width == 80 else 45)
            await settle(pilot)
            await press(pilot, "v")
            viewer = film_screen(pilot).joint_viewer
            found = titles(pilot)
            assert all(cell_len(title) <= viewer.title_width + 2 for title in found)
            assert all(title.endswith("whole film") for title in found)
            assert ("+12 months" in found[1]) is (width == 160), "days are left out where the title has no room"
            await press(pilot, "v")


async def test_a_case_of_three_visits_is_read_in_a_window_of_two_films(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 3)
    async with reading_as(study, "anna", case=CASE) as pilot:
        await settle(pilot)
        assert [title[2:14] for title in titles(pilot)] == ["baseline · 1", "visit 2 · +1"]
        await press(pilot, "n")
        assert not film_screen(pilot).reading.values, "the film of visit 3 was not displayed"
        assert "not every film" in message(pilot).casefold()
        assert shown_films(pilot) == ["film1L", "film2L"]
        assert titles(pilot)[1].startswith("▼ visit 3 · +24 months · 3/3")
        await press(pilot, "n")
        assert len(film_screen(pilot).reading.values) == 3
        for key, time in (("1", 0), ("2", 1), ("3", 2)):
            field = film_screen(pilot).field
            assert field == Field("L.PIP2", "ERO", time)
            assert f"film{time}L" in shown_films(pilot), "a film is graded while it is displayed"
            await press(pilot, key)
        await press(pilot, "b")
        seen = []
        for _ in range(4):
            seen += shown_films(pilot)
            await press(pilot, "b")
        assert seen == ["film0L", "film1L", "film2L", "film0L"]
        await press(pilot, "d")
        assert "visit 2 minus baseline" in titles(pilot)[0]
        await press(pilot, "escape", "tab", "=")
        assert film_screen(pilot).reading.log[-1].kind == "enter", "nothing to copy: the visit before is open"
        await press(pilot, "n", *(["n", "n"] * 8))
        assert isinstance(pilot.app.screen, ReviewScreen)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, ReviewScreen), "the third film comes first"
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, OverviewScreen)
        assert "3 (+2)" in label_text(pilot)
        await press(pilot, "S")
    reading = study.reading("anna", CASE)
    assert reading is not None
    assert reading.signed_at is not None


async def test_in_a_blinded_study_all_films_have_numbers_alone(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 3, blinded=True)
    async with reading_as(study, "anna", case=CASE, size=(160, 40)) as pilot:
        await settle(pilot)
        assert [title[2:8] for title in titles(pilot)] == ["film 1", "film 2", "film 3"]
        assert len(shown_films(pilot)) == 3
        assert not film_screen(pilot).check_action("same")
        await press(pilot, "n")
        assert len(film_screen(pilot).reading.values) == 3, "all films were displayed: one key"
        await press(pilot, "5", "d")
        assert "film 2 minus film 1" in label_text(pilot)
        await press(pilot, "escape", "o")
        for word in ("baseline", "visit", "earlier", "later", "→", "+"):
            assert word not in label_text(pilot).replace("overview", ""), word


async def test_a_visit_without_a_film_of_the_joint_says_so_and_has_no_field(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 3, sides="LR", missing={(1, "L")})
    async with reading_as(study, "anna", case=CASE, size=(160, 40)) as pilot:
        await settle(pilot)
        assert "visit 2 · no film" in titles(pilot)[1]
        await press(pilot, "1", "2")
        assert set(film_screen(pilot).reading.values) == {Field("L.IP1", "ERO", 0), Field("L.IP1", "ERO", 2)}
        await press(pilot, "o")
        assert "1→∅→2" in label_text(pilot)
        assert "visit 2 ∅" in label_text(pilot)


async def test_one_visit_is_read_for_its_status(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 1)
    async with reading_as(study, "anna", case=CASE) as pilot:
        await settle(pilot)
        assert len(shown_films(pilot)) == len(titles(pilot)) == 1
        assert not any(film_screen(pilot).check_action(action) for action in ("blink", "difference", "same"))
        await press(pilot, "b", "d", "=")
        assert film_screen(pilot).joint_viewer.mode == "pair"
        await press(pilot, *(["n"] * 10))
        assert isinstance(pilot.app.screen, OverviewScreen)
        assert "change" not in label_text(pilot).split("maximum")[0]
        await press(pilot, "S")
    reading = study.reading("anna", CASE)
    assert reading is not None
    assert reading.signed_at is not None


async def test_the_second_look_names_the_two_visits_and_shows_their_films(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 4)
    store_reading(study, CASE, {Field("L.MCP2", "ERO", time): GradeEntry(1) for time in (1, 2, 3)})
    async with reading_as(study, "anna", case=CASE) as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.screen, ReviewScreen)
        assert "ERO changes by 1 between baseline and visit 2" in label_text(pilot)
        assert shown_films(pilot) == ["film0L", "film1L"]


async def test_the_two_visits_of_a_reason_stand_side_by_side_though_others_lie_between(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 4)
    grades = {("MCP2", time): min(time, 2) for time in range(4)} | {("MCP3", time): time // 3 * 3 for time in (0, 3)}
    store_reading(study, CASE, {Field(f"L.{at}", "ERO", time): GradeEntry(each) for (at, time), each in grades.items()})
    async with reading_as(study, "anna", case=CASE) as pilot:
        await settle(pilot)
        for site, names, films in (
            ("L.MCP3", "between visit 3 and visit 4", ["film2L", "film3L"]),
            ("L.MCP2", "between baseline and visit 3", ["film0L", "film2L"]),
        ):
            screen = pilot.app.screen
            assert isinstance(screen, ReviewScreen)
            assert screen.item.site == site
            assert names in label_text(pilot).split("\n")[1]
            assert shown_films(pilot) == films
            await press(pilot, "d")
            assert " minus ".join(reversed(names.removeprefix("between ").split(" and "))) in titles(pilot)[0]
            await press(pilot, "escape", "right")


async def test_an_entry_that_waits_for_confirmation_stands_beside_the_visit_it_differs_from(tmp_path: Path) -> None:
    study = make_visits(tmp_path, 3, blinded=True)
    async with reading_as(study, "anna", case=CASE) as pilot:
        await settle(pilot)
        first, second, third = study.as_rater("anna").case(CASE).films
        await press(pilot, "0", "2", "4")
        assert "from film 1 to film 3" in message(pilot)
        assert shown_films(pilot) == [first.id, third.id]
        await press(pilot, "enter")
        assert len(film_screen(pilot).reading.values) == 3
        assert shown_films(pilot) == [first.id, second.id]


async def test_a_signed_reading_of_more_visits_is_paged_through(tmp_path: Path) -> None:
    study: Study = make_visits(tmp_path, 4)
    special = {Field("L.MCP2", "ERO", time): GradeEntry(time) for time in range(4)}
    reading = store_reading(study, CASE, special, signed=True)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        pilot.app.push_screen(make_read_only_review(study.as_rater("anna"), reading, "L.MCP2"))
        await settle(pilot)
        seen = [shown_films(pilot)]
        for _ in range(3):
            await press(pilot, "tab")
            seen.append(shown_films(pilot))
        ends = ["film0L", "film3L"]  # the visits between which the score changes most
        assert seen == [ends, ends, ["film0L", "film1L"], ["film1L", "film2L"]]
