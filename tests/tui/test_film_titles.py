"""Titles of films that are being loaded, and the message about the resolution after a resize."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.imaging import Film, Orientation
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.screens.film_screen import FilmScreen
from tests.films import make_study
from tests.tui.conftest import reading_as, settle

pytestmark = pytest.mark.slow


def titles(pilot: Pilot[None]) -> list[str]:
    return [str(pilot.app.screen.query_one(f"#title{place}", Static).content) for place in (0, 1)]


def message(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#message", Static).content)


class TestLoading:
    async def test_the_title_says_that_a_film_is_loaded_until_it_is_painted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate, decode = Event(), FilmStore.film

        def wait_and_decode(store: FilmStore, case: str, id: str, orientation: Orientation) -> Film:
            gate.wait(20)
            return decode(store, case, id, orientation)

        monkeypatch.setattr(FilmStore, "film", wait_and_decode)
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            for _ in range(50):
                await pilot.pause(0.02)
                if isinstance(pilot.app.screen, FilmScreen) and "loading" in titles(pilot)[0]:
                    break
            assert titles(pilot) == ["▼ loading film …", "  loading film …"]
            gate.set()
            await settle(pilot)
            assert [title[2:9] for title in titles(pilot)] == ["earlier", "later ·"]
            await pilot.press("right", "z", "b", "b")
            await settle(pilot)
            assert "loading" not in "".join(titles(pilot)), "both films are in memory"

    async def test_a_film_that_cannot_be_read_is_not_loaded_for_ever(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        film = study.case(case).film(0, "L", "hand", study.scheme)
        assert film is not None
        study.film_path(case, film.id).unlink()
        async with reading_as(study, "anna", case=case) as pilot:
            await settle(pilot)
            assert [title[2:9] for title in titles(pilot)] == ["earlier", "later ·"]
            assert "no such file" in message(pilot)


class TestResolution:
    async def test_the_message_is_written_again_after_a_resize(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            await settle(pilot)
            await pilot.press("z", "z", "z")  # the widest view
            for width, height in ((80, 24), (60, 20), (72, 22)):
                await pilot.resize_terminal(width, height)
                await settle(pilot)
                screen = pilot.app.screen
                assert isinstance(screen, FilmScreen)
                resolution = screen.joint_viewer.resolution
                assert resolution is not None
                assert not resolution.is_sufficient
                assert f"{resolution.pixels_per_mm:.1f} px/mm" in message(pilot)
            await pilot.resize_terminal(100, 30)
            await settle(pilot)
            resolution = screen.joint_viewer.resolution
            assert resolution is not None
            assert resolution.is_sufficient
            assert "px/mm" not in message(pilot)
