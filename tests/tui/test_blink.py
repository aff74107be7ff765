"""Films shown one at a time: displayed film, bold title and the field that a key fills always agree."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from rich.text import Text
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.reading import Field
from ratui.study import Study
from ratui.tui.graphics.viewport import AlignedView, Viewport
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.screens.review.read_only import make_read_only_review
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.theme import QUIET
from tests.films import make_study
from tests.tui.conftest import reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


def film_screen(pilot: Pilot[None]) -> FilmScreen[object]:
    screen = pilot.app.screen
    assert isinstance(screen, FilmScreen)
    return screen


def title(pilot: Pilot[None], place: int) -> Text:
    content = pilot.app.screen.query_one(f"#title{place}", Static).content
    assert isinstance(content, Text)
    return content


def displayed_film(pilot: Pilot[None]) -> str:
    """Return the id of the film whose picture the view shows."""
    (view,) = [view for view in film_screen(pilot).joint_viewer.views if view.display]
    assert isinstance(view.key, AlignedView | Viewport)
    return view.key.film


def film_of(pilot: Pilot[None], study: Study, field: Field) -> str:
    """Return the id of the film that shows the joint of `field` at its time point."""
    reading = film_screen(pilot).reading
    site = reading.site(field.site)
    film = study.as_rater(reading.rater).case(reading.case).film(field.time, site.side, site.part, study.scheme)
    assert film is not None
    return film.id


def assert_agreement(pilot: Pilot[None], study: Study, keys: str) -> None:
    """Check that the displayed film, the title that looks active and the active field belong to one time point."""
    screen = film_screen(pilot)
    assert screen.field is not None
    place = screen.reading.order.index(screen.field.time)
    assert screen.joint_viewer.place == place, keys
    assert displayed_film(pilot) == film_of(pilot, study, screen.field), keys
    assert title(pilot, place).plain.startswith("▼ "), keys
    assert "bold" in str(title(pilot, place).style), keys
    assert not title(pilot, 1 - place).plain.startswith("▼"), keys
    assert title(pilot, 1 - place).style == QUIET, keys


class TestScoring:
    async def test_two_changes_of_the_film_move_the_field_with_it(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0], size=(120, 40)) as pilot:
            await settle(pilot)
            assert film_screen(pilot).field == Field("L.IP1", "ERO", 0)
            await pilot.press("b", "b")
            await settle(pilot)
            assert_agreement(pilot, study, "bb")
            await pilot.press("2")
            await settle(pilot)
            values = film_screen(pilot).reading.values
            assert [field.time for field in values] == [1], "the later film was displayed"

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("blinded", [False, True])
    async def test_they_agree_after_every_order_of_keys(self, tmp_path: Path, seed: int, blinded: bool) -> None:
        study = make_study(tmp_path, sides="L", blinded=blinded)
        chance = random.Random(seed)
        async with reading_as(study, "anna", case=study.cases()[0], size=(120, 40)) as pilot:
            await settle(pilot)
            await pilot.press("b")
            keys = "b"
            for _ in range(40):
                await settle(pilot)
                assert_agreement(pilot, study, keys)
                screen = film_screen(pilot)
                before, shown, paired = screen.reading, screen.field, len(screen.active_session.waiting_fields) > 1  # type: ignore[union-attr]
                key = chance.choice(["b", "b", "tab", "1", "2", "=", "u", "left", "right", "backspace"])
                await pilot.press(key)
                keys += f" {key}"
                if key in "12" and len(film_screen(pilot).reading.log) > len(before.log):
                    filled = {change.field for change in film_screen(pilot).reading.log[-1].changes}
                    assert paired or shown in filled, keys

    async def test_with_one_answer_for_both_films_only_the_displayed_one_looks_active(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0], size=(120, 40)) as pilot:
            await settle(pilot)
            await pilot.press("/", *"mcp2", "enter", "=", "b")
            await settle(pilot)
            session = film_screen(pilot).active_session
            assert session is not None
            for _ in range(3):
                assert session.is_paired
                assert_agreement(pilot, study, "= b")
                await pilot.press("b")
                await settle(pilot)
            await pilot.press("1")
            assert {field.time for field in session.reading.values} == {0, 1}

    async def test_in_a_difference_no_title_looks_active(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0], size=(120, 40)) as pilot:
            await settle(pilot)
            screen = film_screen(pilot)
            screen.action_difference()
            screen.redraw()  # before it is known that these films cannot be aligned
            assert screen.joint_viewer.mode == "difference"
            assert not any(title(pilot, place).plain.startswith("▼") for place in (0, 1))


class TestReview:
    async def test_the_shown_film_follows_the_field_and_the_field_the_film(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        store_reading(study, case, flags=("L.MCP2",))
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert isinstance(pilot.app.screen, ReviewScreen)
            for key in ("b", "b", "tab", "tab", "b", "tab", "b", "b"):
                await pilot.press(key)
                await settle(pilot)
                assert_agreement(pilot, study, key)

    async def test_a_reading_to_look_at_shows_the_films_in_turn(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        reading = store_reading(study, case)
        async with reading_as(study, "anna", size=(120, 40)) as pilot:
            await settle(pilot)
            pilot.app.push_screen(make_read_only_review(study, reading, "L.MCP2"))
            await settle(pilot)
            seen = []
            for _ in range(3):
                await pilot.press("b")
                await settle(pilot)
                seen.append(film_screen(pilot).joint_viewer.place)
                film = film_of(pilot, study, Field("L.MCP2", "ERO", seen[-1]))
                assert displayed_film(pilot) == film
            assert seen == [0, 1, 0]
