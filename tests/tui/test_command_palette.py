"""The command palette: commands that are possible on the screen, the language, and opening another case."""

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.fuzzy import Matcher
from textual.pilot import Pilot

from ratui.reading import Field
from ratui.study import Study
from ratui.tui.app import RatuiApp
from ratui.tui.command_palette import Command, list_commands, rate_match
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.input.actions import format_key
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.help.screen import HelpScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.user_settings import UserSettings, read_user_settings
from tests.films import make_study
from tests.tui.conftest import cells, reading_as, settle

pytestmark = pytest.mark.slow


def present_commands(pilot: Pilot[None]) -> list[Command]:
    """Return the commands of the present screen."""
    app, screen = pilot.app, pilot.app.screen
    assert isinstance(app, RatuiApp)
    assert isinstance(screen, KeyScreen)
    return list(list_commands(app, screen))


def palette_commands(pilot: Pilot[None]) -> dict[str, str]:
    """Return the commands of the present screen with their keys."""
    return {command.text: command.key for command in present_commands(pilot)}


def best_match(commands: list[Command], typed: str) -> Command:
    """Return the command that the palette shows first for `typed`."""
    return max(commands, key=lambda command: rate_match(command, typed, Matcher(typed).match(command.line)))


async def choose_command(pilot: Pilot[None], typed: str) -> None:
    """Type `typed` into the command palette and choose the first line."""
    await pilot.press("ctrl+p")
    await pilot.pause()
    assert isinstance(pilot.app.screen, CommandPalette)
    await pilot.press(*(character if character != " " else "space" for character in typed))
    await pilot.app.workers.wait_for_complete()
    await pilot.pause(0.3)
    await pilot.press("enter")
    await pilot.pause(0.1)
    await settle(pilot)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_it_lists_the_possible_commands_with_their_keys(tmp_path: Path, language: str) -> None:
    study = make_study(tmp_path)
    t = Catalog(language)
    undo = t("actions.scoring.undo.help")
    async with reading_as(study, "anna", language=language) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert undo not in palette_commands(pilot)
        await pilot.press("2")
        await settle(pilot)
        assert palette_commands(pilot)[undo] == "u"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_label_of_the_key_bar_finds_its_command_first(tmp_path: Path, language: str) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna", language=language, size=(200, 50)) as pilot:
        keys = pilot.app.keymap  # type: ignore[attr-defined]
        for opening in ("", "enter", "2", "o", "escape", "r"):
            await pilot.press(*opening.split())
            await settle(pilot)
            screen, commands = pilot.app.screen, present_commands(pilot)
            assert isinstance(screen, KeyScreen)
            possible = [action for action in keys.list_actions(screen.NAME) if screen.check_action(action.name)]
            assert {command.key for command in commands} >= {format_key(action.key) for action in possible}
            assert len({command.line for command in commands}) == len(commands)
            labelled = [action for action in possible if screen.label_of(action)]
            assert labelled
            for action in labelled:
                assert best_match(commands, screen.label_of(action)).key == format_key(action.key)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_common_words_find_the_command_in_both_languages(tmp_path: Path, language: str) -> None:
    words = {
        "z": ("zoom", "magnify", "拡大"),
        "b": ("blink", "alternate", "交互"),
        "i": ("invert", "negative", "反転"),
        "o": ("overview", "summary", "全体図"),
        "Ctrl-Q": ("quit", "exit", "終了"),
        "": ("language", "ｌａｎｇｕａｇｅ", "言語"),
        "/": ("jump", "search", "検索"),
        "m": ("comment", "コメント"),
    }
    async with reading_as(make_study(tmp_path), "anna", language=language) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        commands = present_commands(pilot)
    found = {typed: best_match(commands, typed) for each in words.values() for typed in each}
    assert {typed: command.key for typed, command in found.items()} == {
        typed: key for key, each in words.items() for typed in each
    }
    assert all(rate_match(command, typed) > 0 for typed, command in found.items())


async def test_quit_is_found_while_scoring_and_ends_the_app(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("2")
        await choose_command(pilot, "quit")
        assert not pilot.app.is_running
    reading = study.reading("anna", study.cases()[0])
    assert reading is not None
    assert len(reading.values) == 1


async def test_answers_are_found_but_made_only_by_their_keys_while_the_films_are_shown(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await choose_command(pilot, "all normal")
        assert screen.reading.log == ()
        assert Catalog()("commands.answer_by_key", key="n") in cells(pilot)
        await pilot.press("n")
        await settle(pilot)
        assert screen.reading.log[-1].kind == "normal"


async def test_a_command_does_what_its_key_does(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await pilot.press("2")
        await choose_command(pilot, "undo the last entry")
        assert pilot.app.screen is screen
        assert not screen.reading.values
        assert [entry.kind for entry in screen.reading.log] == ["enter", "undo"]
        await choose_command(pilot, "overview")
        assert isinstance(pilot.app.screen, OverviewScreen)


async def test_a_blinded_study_has_no_command_that_reveals_the_order(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("2")
        assert Catalog()("actions.scoring.same.help") not in palette_commands(pilot)


async def test_typed_letters_do_not_reach_the_films_below(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await pilot.press("ctrl+p", "3", "n", "a", "escape")
        await settle(pilot)
        assert pilot.app.screen is screen
        assert not screen.reading.values


@pytest.mark.parametrize("command", ["next joint", "blink", "next field"])
async def test_a_command_discards_an_entry_that_waits_for_confirmation(tmp_path: Path, command: str) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        await pilot.press("2", "0")  # a fall by two grades is unlikely
        await settle(pilot)
        assert screen.scoring_session.pending is not None
        await choose_command(pilot, command)
        await settle(pilot)
        assert "press Enter to confirm" not in cells(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert len(screen.reading.values) == 1  # the command may have changed the active field


async def test_a_search_without_matches_says_so(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("ctrl+p", *"xyzzy")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause(0.3)
        assert Catalog()("commands.none") in cells(pilot)


async def test_help_has_no_list_of_commands(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpScreen)
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, CommandPalette)


class TestAnotherCase:
    async def test_it_opens_at_its_field_and_the_first_one_is_free(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=2)
        first, second = study.cases()
        async with reading_as(study, "anna", case=first) as pilot:
            await settle(pilot)
            await settle(pilot)
            await pilot.press("2")
            await choose_command(pilot, second)
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            assert screen.reading.case == second
            assert len(pilot.app.screen_stack) == 3
            await pilot.press("4")
            await choose_command(pilot, first)
            await settle(pilot)
            assert isinstance(pilot.app.screen, ScoringScreen)
            assert pilot.app.screen.reading.case == first
            assert pilot.app.screen.field == Field("L.IP1", "ERO", 1)
        readings = [study.reading("anna", case) for case in (first, second)]
        assert [len(reading.values) for reading in readings if reading] == [1, 1]

    async def test_unsaved_entries_prevent_opening_another_case(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import os

        study = make_study(tmp_path, patients=2)
        first, second = study.cases()
        async with reading_as(study, "anna", case=first) as pilot:
            await settle(pilot)
            await settle(pilot)

            def full(*_: object) -> None:
                raise OSError(28, "No space left on device")

            with monkeypatch.context() as patched:
                patched.setattr(os, "fsync", full)
                await pilot.press("2")
                await choose_command(pilot, second)
                screen = pilot.app.screen
                assert isinstance(screen, ScoringScreen)
                assert screen.reading.case == first


class TestTheLanguage:
    async def test_its_change_keeps_the_zoom_and_answers_still_count(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            await pilot.press("enter")
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            await pilot.press("z", "i")
            await settle(pilot)
            shown = screen.joint_viewer.view_settings
            assert shown.display_settings.invert
            await choose_command(pilot, "日本語")
            await settle(pilot)
            assert screen.joint_viewer.view_settings == shown
            await pilot.press("2")
            await settle(pilot)
            assert len(screen.reading.values) == 1
            display = screen.reading.log[-1].display
            assert display is not None
            assert display.greys

    async def test_it_changes_every_screen_and_is_kept(self, tmp_path: Path) -> None:
        study: Study = make_study(tmp_path)
        file = tmp_path / "settings.toml"
        async with reading_as(study, "anna", settings=UserSettings("en", source=file)) as pilot:
            await pilot.press("enter")
            await settle(pilot)
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            await pilot.press("2", "3")
            field = screen.field
            await choose_command(pilot, "日本語")
            assert pilot.app.screen is screen
            assert screen.field == field
            assert screen.t.language == "ja"
            await pilot.press("question_mark")
            await settle(pilot)
            assert Catalog("ja")("help.title_scoring") in cells(pilot)
            await pilot.press("q")
            await settle(pilot)
            await pilot.press("1")
            assert screen.reading.score(field) == 1  # type: ignore[arg-type]
            await pilot.press("escape")
            await settle(pilot)
            assert isinstance(pilot.app.screen, WorklistScreen)
            await choose_command(pilot, "english")
            assert pilot.app.t.language == "en"  # type: ignore[attr-defined]
        assert read_user_settings(file).language == "en"

    async def test_without_a_settings_file_it_lasts_as_long_as_the_app(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna") as pilot:
            await choose_command(pilot, "日本語")
            assert pilot.app.t.language == "ja"  # type: ignore[attr-defined]
