"""Display of films: settings kept for the rater, alternation of two films in one place, and the sharpness check."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from ratui.study import DisplayUse, Study
from ratui.terminal import MIN_PIXELS_PER_MM
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.view_settings import ViewSettings, read_view_settings, save_view_settings, view_settings_file
from ratui.tui.graphics.viewport import AlignedView
from ratui.tui.input.unpressed_keys import ReplyWatch
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.user_settings import UserSettings
from tests.films import make_study
from tests.tui.conftest import label_text, reading_as, settle

pytestmark = pytest.mark.slow


def screen_of(pilot: Pilot[None]) -> ScoringScreen:
    screen = pilot.app.screen
    assert isinstance(screen, ScoringScreen)
    return screen


async def opened(pilot: Pilot[None], study: Study) -> ScoringScreen:
    await settle(pilot)
    return screen_of(pilot)


class TestGreys:
    async def test_keys_change_them_and_they_stay_from_joint_to_joint(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            screen = await opened(pilot, study)
            await pilot.press(".", ".", ">", "i", "e", "z")
            settings = screen.joint_viewer.view_settings.display_settings
            assert settings.shift < 0 < settings.stretch < 1
            assert settings.invert
            assert settings.local
            await pilot.press("n")
            await settle(pilot)
            assert screen.joint_viewer.view_settings == ViewSettings(1, settings)
            await pilot.press("w")
            assert screen.joint_viewer.view_settings.display_settings.preset == "film"
            assert not screen.joint_viewer.view_settings.display_settings.is_adjusted, "a preset is as it is"

    async def test_they_stay_for_the_rater_and_for_nobody_else(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        settings = UserSettings("en", source=tmp_path / "config" / "settings.toml")
        (case,) = study.cases()
        async with reading_as(study, "anna", case=case, settings=settings) as pilot:
            await opened(pilot, study)
            await pilot.press(">", ".", "z")
            changed = screen_of(pilot).joint_viewer.view_settings
        async with reading_as(study, "anna", case=case, settings=settings) as pilot:
            screen = await opened(pilot, study)
            assert changed.display_settings.is_adjusted
            assert screen.joint_viewer.view_settings == changed
            assert screen.joint_viewer.view_settings.zoom == 1
        async with reading_as(study, "bert", case=case, settings=settings) as pilot:
            screen = await opened(pilot, study)
            assert screen.joint_viewer.view_settings == ViewSettings()

    @pytest.mark.parametrize(
        "text", ["", "[]", "{", '{"anna": 3}', '{"anna": {"preset": "joint"}}', "\x00", "[" * 100_000]
    )
    def test_a_damaged_file_means_the_usual_look(self, tmp_path: Path, text: str) -> None:
        file = view_settings_file(tmp_path / "settings.toml")
        file.write_text(text)
        assert read_view_settings("anna", file) == ViewSettings()

    def test_invalid_stored_settings_are_ignored(self, tmp_path: Path) -> None:
        file = tmp_path / "view_settings.json"
        save_view_settings("anna", ViewSettings(1), file)
        assert read_view_settings("anna", file) == ViewSettings(1)
        raw = json.loads(file.read_text())
        endless = f"file{'9' * 5000}"
        for change in ({"zoom": 99}, {"zoom": 1e999}, {"stretch": 10**400}, {"preset": "../x"}, {"preset": endless}):
            file.write_text(json.dumps({"anna": {**raw["anna"], **change}}))
            assert read_view_settings("anna", file) == ViewSettings()

    def test_the_file_of_an_earlier_version_is_read_until_the_first_save(self, tmp_path: Path) -> None:
        file, earlier = view_settings_file(tmp_path / "settings.toml"), tmp_path / "sights.json"
        save_view_settings("anna", ViewSettings(1), earlier)
        save_view_settings("bert", ViewSettings(2), earlier)
        assert read_view_settings("anna", file) == ViewSettings(1)
        save_view_settings("anna", ViewSettings(2), file)
        save_view_settings("bert", ViewSettings(1), earlier)
        assert file.name == "view_settings.json"
        assert read_view_settings("anna", file) == ViewSettings(2)
        assert read_view_settings("bert", file) == ViewSettings(2), (
            "copied on the first save, then the old file is ignored"
        )


class TestCloseness:
    async def test_panning_ends_with_the_joint(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            screen = await opened(pilot, study)
            await pilot.press("L", "L", "J")
            assert screen.joint_viewer.view_settings.pan == (0.3, 0.15)
            await pilot.press("right")
            assert screen.joint_viewer.view_settings.pan == (0.0, 0.0)

    async def test_the_whole_film_leaves_the_zoom_as_it_was(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        settings = UserSettings("en", source=tmp_path / "config" / "settings.toml")
        (case,) = study.cases()
        async with reading_as(study, "anna", case=case, settings=settings) as pilot:
            screen = await opened(pilot, study)
            await pilot.press("z", "z")
            for keys in (("v", "v"), ("v", "z"), ("v", "b", "escape"), ("v", "n")):
                await pilot.press(*keys[:1])
                assert screen.joint_viewer.shows_whole_film
                await settle(pilot)
                await pilot.press(*keys[1:])
                await settle(pilot)
                assert screen.joint_viewer.view_settings.zoom == 2, keys
            await pilot.press("v", ".")  # which saves the settings
        async with reading_as(study, "anna", case=case, settings=settings) as pilot:
            assert (await opened(pilot, study)).joint_viewer.view_settings.zoom == 2

    async def test_the_lens_shows_its_middle_larger_and_moves(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            screen = await opened(pilot, study)
            viewport = screen.joint_viewer._viewports(screen.field.site)[0]  # type: ignore[union-attr]
            await pilot.press("g")
            assert screen.joint_viewer.view_settings.lens == (0.5, 0.5)
            through = screen.joint_viewer._viewports(screen.field.site)[0]  # type: ignore[union-attr]
            await pilot.press("L", "K")
            assert screen.joint_viewer.view_settings.lens == (0.65, 0.35)
            assert screen.joint_viewer.view_settings.pan == (0.0, 0.0)
            await pilot.press("g")
            assert screen.joint_viewer.view_settings.lens is None
        assert viewport is not None
        assert through is not None
        film_store = FilmStore(study)
        plain, lens = (np.asarray(film_store.render(each)) for each in (viewport, through))
        assert np.array_equal(plain[0], lens[0]), "beside the lens nothing changes"
        assert not np.array_equal(plain, lens)


class TestOneInPlaceOfTheOther:
    async def test_films_alternate_in_one_place_and_return_to_both(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0], size=(120, 40)) as pilot:
            screen = await opened(pilot, study)
            films = screen.joint_viewer
            narrow = films.views[0].pixel_size[0]
            await pilot.press("b")
            await settle(pilot)
            assert films.mode == "alone"
            assert films.views[0].pixel_size[0] > 1.8 * narrow
            first = films.views[0].key
            await pilot.press("b")
            await settle(pilot)
            second = films.views[0].key
            assert isinstance(second, AlignedView)
            assert first != second
            await pilot.press("b")
            assert films.views[0].key == first
            await pilot.press("escape")
            await settle(pilot)
            assert screen_of(pilot).joint_viewer.mode == "pair", "Esc goes back to both, not to the list"
            assert [view.key is not None for view in films.views] == [True, True]

    async def test_it_shows_the_film_that_is_asked_about(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            screen = await opened(pilot, study)
            await pilot.press("b")
            assert screen.joint_viewer.place == 0
            await pilot.press("1")
            assert screen.field is not None
            assert screen.field.time == 1
            assert screen.joint_viewer.place == 1

    async def test_films_that_do_not_agree_say_so_and_show_no_difference(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")  # noise with a bar in it: no common structure to align
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            screen = await opened(pilot, study)
            for _ in range(2):  # the second time it is known at once
                await pilot.press("d")
                await settle(pilot)
                assert screen.joint_viewer.mode == "pair"
                assert all(view.key is not None for view in screen.joint_viewer.views)
                assert "No difference: the films can't be aligned here" in label_text(pilot)
            await pilot.press("b", "b")
            await settle(pilot)
            assert isinstance(screen.joint_viewer.views[0].key, AlignedView), (
                "the middle of the joint in place, and said so"
            )
            assert "not aligned" in label_text(pilot)

    async def test_a_blinded_study_shows_no_order(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L", blinded=True)
        async with reading_as(study, "anna", case=study.cases()[0], size=(120, 40)) as pilot:
            await opened(pilot, study)
            for key in ("b", "b", "d", "b", "escape"):
                await pilot.press(key)
                await settle(pilot)
                text = label_text(pilot).lower()
                assert not any(word in text for word in ("earlier", "later", "month", "before", "after"))


class TestSharpness:
    async def test_half_cells_in_a_small_window_are_said_to_be_too_coarse(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
            screen = await opened(pilot, study)
            assert "too coarse" not in label_text(pilot), "all that this film has is shown"
            await pilot.press("z", "z", "z")  # the widest view
            await settle(pilot)
            fit = screen.joint_viewer.resolution
            assert fit is not None
            assert not fit.is_sufficient
            assert "· too coarse" in label_text(pilot)
            assert "px/mm, too coarse to judge erosions" in label_text(pilot)

    async def test_the_display_is_stored_with_the_reading(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        (case,) = study.cases()
        async with reading_as(study, "anna", case=case) as pilot:
            await opened(pilot, study)
            await pilot.press("0", "1", "n")
            await settle(pilot)
        (use,) = study.displays("anna", case)
        assert (use.protocol, use.entries, use.below) == ("halfcell", 3, 0)
        assert 0 < use.least < MIN_PIXELS_PER_MM
        async with reading_as(study, "anna", case=case, protocol="kitty", size=(160, 60)) as pilot:
            await opened(pilot, study)
            await pilot.press("0")
            await settle(pilot)
        assert {use.protocol for use in study.displays("anna", case)} == {"halfcell", "kitty"}
        assert study.displays("bert", case) == ()

    async def test_an_entry_states_the_size_of_the_terminal_as_it_is_then(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        sizes = [(80, 24), (81, 24), (120, 41)]
        async with reading_as(study, "anna", case=study.cases()[0], size=sizes[0]) as pilot:
            screen = await opened(pilot, study)
            for size in sizes:
                await pilot.resize_terminal(*size)
                await settle(pilot)
                screen.ratui.key_queue.reply_watch = ReplyWatch()  # no pause after the change of the size
                await pilot.press("0")
                await settle(pilot)
            stated = [entry.display.terminal for entry in screen.reading.log if entry.display]
        assert [(size.columns, size.rows) for size in stated if size] == sizes

    def test_uses_add_up(self) -> None:
        use = DisplayUse("kitty", 0, 0, 0.0)
        for count, pixels, enough in ((2, 6.0, True), (1, 3.0, False), (1, 9.0, True)):
            use = use.with_entries(count, pixels, enough=enough)
        assert use == DisplayUse("kitty", 4, 1, 3.0)
        assert DisplayUse.from_record(use.to_record()) == use


async def test_answers_count_again_when_the_films_are_painted_after_a_change_of_the_language(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
        screen = await opened(pilot, study)
        assert screen.display_watch.find_display_problem() is None
        await screen.ratui.change_language("ja")
        assert screen.display_watch.find_display_problem() == "not_painted", "the language makes new views"
        await settle(pilot)
        assert screen.display_watch.find_display_problem() is None
        await pilot.press("1")
        assert [entry.display is not None for entry in screen.reading.log] == [True]
