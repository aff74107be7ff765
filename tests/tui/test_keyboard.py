"""The drawn keyboard of the help: each key in its place with its action, and the frames of the groups."""

from pathlib import Path

import pytest
from rich.cells import cell_len

from ratui.scheme import load_scheme
from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.input.actions import ACTIONS, ENTRY_SCREENS, Keymap, format_key
from ratui.tui.screens.help.keyboard import KeyCap, draw_keyboard, list_caps
from tests.films import make_study
from tests.tui.conftest import cells, reading_as, settle

SCREENS = sorted({action.screen for action in ACTIONS})
FINGERS = load_scheme("fingers")
WIDTH = 117


def caps(screen: str, keymap: Keymap | None = None, language: str = "en", scheme: str = "mtss") -> list[KeyCap]:
    return list_caps(
        screen, keymap or Keymap(), Catalog(language), load_scheme(scheme) if screen in ENTRY_SCREENS else None
    )


def drawn(found: list[KeyCap], language: str = "en", width: int = WIDTH) -> list[str]:
    lines = draw_keyboard(found, width, Catalog(language))
    assert lines is not None
    return [line.plain for line in lines]


def box(lines: list[str], title: str) -> tuple[str, list[str]]:
    """Return the upper left corner of the box with `title`, and the lines in it."""
    row, left = next((row, line.index(f" {title} ")) for row, line in enumerate(lines) if f" {title} " in line)
    corner, right = lines[row][left - 1], min(i for i in range(left, len(lines[row])) if lines[row][i] in "┓╮╗┐")
    body = []
    for line in lines[row + 1 :]:
        if line[left - 1] in "┗╰╚└":
            break
        body.append(line[left:right].strip())
    return corner, [line for line in body if line]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_each_key_of_each_screen_is_there_with_its_action_in_whole_words(screen: str, language: str) -> None:
    found = caps(screen, language=language)
    for width in (WIDTH, 197):
        lines = drawn(found, language, width)
        assert all(cell_len(line) <= width for line in lines)
        text = "\n".join(lines)
        assert "…" not in text
        for cap in found:
            assert cap.text, f"{cap.key} of {screen} has no words"
            assert all(word in text for word in cap.text.split()), cap
            assert format_key(cap.key).removeprefix("Shift-") in text


def test_a_key_stands_where_the_settings_put_it() -> None:
    assert box(drawn(caps("scoring")), "u") == ("┌", ["undo"])
    moved = drawn(caps("scoring", Keymap({"scoring.undo": "y", "scoring.zoom": "f5"})))
    assert box(moved, "y") == ("┌", ["undo"])
    assert " u " in "".join(moved)
    assert not any("undo" in line[line.find(" u ") :][:11] for line in moved if " u " in line)
    assert box(moved, "F5") == ("╭", ["zoom"])


def test_a_key_with_shift_is_named_in_the_box_of_its_letter() -> None:
    assert box(drawn(caps("scoring")), "w") == ("╭", ["window", "W reset", "greys"])


def test_grades_on_a_french_keyboard_stand_on_its_keys() -> None:
    keymap = Keymap(scheme=FINGERS, grade_keys={0: "à", 1: "&", 2: "é"})
    lines = drawn(caps("scoring", keymap, scheme="fingers"))
    assert box(lines, "&") == ("┏", ["grade 1"])
    assert box(lines, "à") == ("┏", ["grade 0"])
    row = next(line for line in lines if " p " in line)
    assert row.index(" a ") < row.index(" z ") < row.index(" e "), "A and Z where a French keyboard has them"
    assert box(lines, '"') == ("┏", ["3 grade 3"]), "a digit without an own key needs Shift there"


def test_each_group_has_a_frame_of_its_own_and_its_name_in_the_legend() -> None:
    lines = drawn(caps("scoring"))
    assert lines[0].split("   ")[:4] == ["┏━━┓ answers", "╭──╮ films", "╔══╗ moving", "┌╌╌┐ everything else"]
    corners = [box(lines, key)[0] for key in ("a", "x", "d", "z", "←", "f", "Esc")]
    assert corners == ["┏", "┏", "╭", "╭", "╔", "┌", "┌"]
    styles = {span.style for line in draw_keyboard(caps("scoring"), WIDTH, Catalog()) or [] for span in line.spans}
    assert len(styles) >= 4, "groups differ in colour too"


def test_without_room_there_is_none() -> None:
    assert draw_keyboard(caps("scoring"), 115, Catalog()) is None


@pytest.mark.slow
@pytest.mark.parametrize(("size", "has_keyboard"), [((120, 40), True), ((120, 26), False), ((80, 24), False)])
async def test_the_list_stays_below_the_keyboard(tmp_path: Path, size: tuple[int, int], has_keyboard: bool) -> None:
    async with reading_as(make_study(tmp_path), "anna", size=size) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("question_mark")
        await settle(pilot)
        text = cells(pilot)
        assert ("┏━━┓ answers" in text) is has_keyboard
        assert text.count(Catalog()("help.title_scoring")) == 1 + has_keyboard, "the list begins on the screen"


def test_a_japanese_label_on_one_line_has_no_spaces() -> None:
    page = "\n".join(drawn(caps("start", language="ja"), "ja", 197))
    assert "研究を開く" in page
    assert "? ヘルプ" in page
