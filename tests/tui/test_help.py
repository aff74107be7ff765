"""The help: generated from the table of keys, with possible actions only, in columns that fit Japanese too."""

from pathlib import Path

import pytest
from rich.cells import cell_len

from ratui.scheme import load_scheme
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.input.actions import ACTIONS, ENTRY_SCREENS, Keymap
from ratui.tui.screens.help.screen import HelpScreen
from ratui.tui.screens.help.text import key_section, scheme_sections
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.films import make_study
from tests.tui.conftest import cells, reading_as, settle

pytestmark = pytest.mark.slow

SCREENS = sorted({action.screen for action in ACTIONS})


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_the_help_of_a_screen_contains_all_its_keys(screen: str, language: str) -> None:
    section = key_section(screen, Keymap(), Catalog(language))
    assert section.heading
    shown = " ".join(key for key, _ in section.rows).split(" ")
    assert sorted(shown) == sorted(Keymap().key_label(action.id) for action in Keymap().list_actions(screen))


def test_a_changed_key_is_the_one_that_help_shows() -> None:
    rows = dict(key_section("scoring", Keymap({"scoring.undo": "U"}), Catalog()).rows)
    assert rows["U"] == Catalog()("actions.scoring.undo.help")
    assert "u" not in rows


def test_impossible_actions_are_left_out() -> None:
    section = key_section("scoring", Keymap(), Catalog(), lambda name: name != "same")
    assert "=" not in dict(section.rows)
    assert "u" in dict(section.rows)


def test_grades_of_hand_and_foot_have_a_table_each() -> None:
    headings = [section.heading for section in scheme_sections(load_scheme("mtss"), Keymap(), Catalog())]
    assert headings[:3] == ["ERO 0–5, hand", "ERO 0–10, foot", "JSN 0–4"]
    foot = scheme_sections(load_scheme("mtss"), Keymap(), Catalog())[1]
    assert foot.rows[-1] == ("t", "both sides collapsed")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_nothing_is_cut_off(tmp_path: Path, size: tuple[int, int], language: str) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna", size=size, language=language) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        below = pilot.app.screen
        assert isinstance(below, ScoringScreen)
        await pilot.press("question_mark")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, HelpScreen)
        seen = ""
        for _ in range(12):
            page = cells(pilot)
            assert all(cell_len(line) <= size[0] for line in page.splitlines())
            seen += page
            await pilot.press("pagedown")
            await pilot.pause()
        t = Catalog(language)
        sections = [
            key_section("scoring", Keymap(), t, below.check_action),
            *scheme_sections(study.scheme, Keymap(), t),
        ]
        packed = "".join(seen.split())
        for section in sections:
            assert "".join(section.heading.split()) in packed
            for _, meaning in section.rows:
                assert "".join(meaning.split())[:14] in packed
        await pilot.press("q")
        assert pilot.app.screen is not screen


@pytest.mark.parametrize("language", LANGUAGES)
async def test_on_a_wide_terminal_keys_and_grades_stand_side_by_side(tmp_path: Path, language: str) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna", size=(120, 40), language=language) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("question_mark")
        await settle(pilot)
        t = Catalog(language)
        lines = [line for line in cells(pilot).splitlines() if t("help.title_scoring") in line]
        assert "ERO 0–5" in lines[-1]


def test_grades_belong_in_the_help_where_they_are_entered() -> None:
    assert set(ENTRY_SCREENS) <= set(SCREENS)
