"""Changed grey levels: named in the top line and reset by one key; inversion and local contrast end with the case."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.imaging import DisplaySettings
from ratui.reading import Reading, start_reading
from ratui.scheme import load_scheme
from ratui.tui import RatuiApp
from ratui.tui.graphics.view_settings import ViewSettings, read_view_settings, save_view_settings, view_settings_file
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.screens.review.read_only import make_read_only_review
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.text import format_grey_changes, format_head
from ratui.tui.user_settings import UserSettings
from tests.films import make_study
from tests.tui.conftest import reading_as, settle
from tests.tui.readings import store_reading

ALL = DisplaySettings(invert=True, local=True).change_contrast(2).change_brightness(-3)
PROGRESS = ["12 of 38 joints ▓▓▓░░", "12 of 38 joints"]


def hands() -> Reading:
    scheme = load_scheme("mtss-hands")
    return start_reading(scheme, "C-ABC123", "anna", scheme.sites)


def head(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#head", Static).content)


def greys(pilot: Pilot[None]) -> DisplaySettings:
    screen = pilot.app.screen
    assert isinstance(screen, FilmScreen)
    return screen.joint_viewer.view_settings.display_settings


class TestNames:
    def test_every_change_is_named_and_the_choice_of_a_window_is_none(self) -> None:
        assert ALL.changes == ("invert", "local", "contrast×1.38", "brightness-0.15")
        for preset in ("joint", "film", "file1"):
            assert DisplaySettings(preset).changes == ()

    def test_the_note_says_what_is_changed_and_which_key_resets_it(self) -> None:
        full = "greys changed: inverted, local contrast, contrast ×1.38, brightness -0.15 · W resets"
        assert format_grey_changes(Catalog("en"), ALL.changes, "W")[0] == full
        assert format_grey_changes(Catalog("en"), (), "W") == ()


class TestTopLine:
    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("side", ["L", "R"])
    @pytest.mark.parametrize("width", [32, 40, 60, 72, 80, 120, 160])
    def test_the_joint_and_the_note_are_never_dropped(self, language: str, side: str, width: int) -> None:
        t, reading = Catalog(language), hands()
        for settings in (DisplaySettings(), DisplaySettings(invert=True), ALL):
            notes = format_grey_changes(t, settings.changes, "W")
            for site in (site for site in reading.sites if site.side == side):
                for scale in ("", site.joint.scales[-1]):
                    line = format_head(t, reading, site.key, PROGRESS, width, scale=scale, greys=notes)
                    assert cell_len(line.plain) <= width
                    label = t.translate_scheme(site.joint.label).partition(" (")[0]
                    assert (label if width >= 60 else label[:5]) in line.plain
                    assert not notes or any(note in line.plain for note in notes)

    @pytest.mark.parametrize("side", ["L", "R"])
    def test_the_progress_is_dropped_first_and_then_the_case(self, side: str) -> None:
        t, reading = Catalog("en"), hands()
        lines = [format_head(t, reading, f"{side}.MCP2", PROGRESS, width, scale="ERO").plain for width in (90, 64, 50)]
        assert ["▓" in line for line in lines] == [True, False, False]
        assert ["12 of 38" in line for line in lines] == [True, True, False]
        assert ["C-ABC123" in line for line in lines] == [True, True, True]
        assert "C-ABC123" not in format_head(t, reading, f"{side}.MCP2", PROGRESS, 40, scale="ERO").plain

    def test_at_80_columns_every_single_change_is_named_with_its_key(self) -> None:
        t, reading = Catalog("en"), hands()
        for settings in (
            DisplaySettings(invert=True),
            DisplaySettings(local=True),
            DisplaySettings().change_contrast(8),
            DisplaySettings().change_brightness(8),
            DisplaySettings(invert=True).change_contrast(),
        ):
            notes = format_grey_changes(t, settings.changes, "W")
            line = format_head(t, reading, "R.MCP2", PROGRESS, 80, scale="ERO", greys=notes).plain
            assert any(note in line for note in notes[:3])
            assert "W resets" in line


@pytest.mark.slow
class TestOnTheScreen:
    @pytest.mark.parametrize("width", [60, 80, 120])
    async def test_the_note_appears_with_the_change_and_one_key_resets_everything(
        self, tmp_path: Path, width: int
    ) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0], size=(width, 24)) as pilot:
            await settle(pilot)
            assert "resets" not in head(pilot)
            for key in ("i", "e", ">", "<", ".", ","):
                await pilot.press(key)
                assert ("resets" in head(pilot)) is bool(greys(pilot).changes), key
            await pilot.press("w", "i", "e", ">", ">", ".")
            preset = greys(pilot).preset
            assert "resets" in head(pilot)
            await pilot.press("W")
            assert greys(pilot) == DisplaySettings(preset), "the window stays"
            assert "resets" not in head(pilot)

    async def test_inversion_and_local_contrast_end_with_the_case(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L", patients=2)
        settings = UserSettings("en", source=tmp_path / "config" / "settings.toml")
        first, second = study.cases()
        async with reading_as(study, "anna", case=first, settings=settings) as pilot:
            await settle(pilot)
            await pilot.press("i", "e", ">")
            changed = greys(pilot)
            assert (changed.invert, changed.local) == (True, True)
            await pilot.press("right")
            assert greys(pilot) == changed, "they stay from joint to joint"
            await pilot.press("escape")
            await settle(pilot)
            assert isinstance(pilot.app, RatuiApp)
            await pilot.app.switch_to_case(second)
            await settle(pilot)
            assert greys(pilot) == DisplaySettings().change_contrast()
            assert "contrast ×1.18" in head(pilot), "from the first joint on"
        stored = json.loads(view_settings_file(settings.source).read_text())  # type: ignore[arg-type]
        assert set(stored["anna"]).isdisjoint({"invert", "local"})

    async def test_the_review_and_a_reading_to_look_at_have_the_note_and_the_key(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        reading = store_reading(study, case, flags=("L.MCP2",))
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            review = pilot.app.screen
            assert isinstance(review, ReviewScreen)
            pilot.app.push_screen(make_read_only_review(study, reading, "L.MCP3"))
            for screen in ("read-only", "review"):
                await settle(pilot)
                assert "resets" not in head(pilot), screen
                await pilot.press("i")
                assert "inverted · W resets" in head(pilot), screen
                await pilot.press("W")
                assert "resets" not in head(pilot), screen
                if screen == "read-only":
                    await pilot.press("escape")


def test_the_file_of_an_earlier_version_restores_no_inversion(tmp_path: Path) -> None:
    file = tmp_path / "view_settings.json"
    old = {"preset": "film", "shift": 0.1, "stretch": 0.85, "invert": True, "local": True, "zoom": 1}
    file.write_text(json.dumps({"anna": old}))
    assert read_view_settings("anna", file) == ViewSettings(1, DisplaySettings("film", 0.1, 0.85))
    save_view_settings("anna", ViewSettings(1, ALL), file)
    assert read_view_settings("anna", file).display_settings == DisplaySettings("joint", ALL.shift, ALL.stretch)
