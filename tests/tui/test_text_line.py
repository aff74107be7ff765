"""Lines of text: notes, joint names and reasons are edited with cursor keys and paste, and never become scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import AppBlur, Key, MouseDown, MouseUp, Paste
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.reading import MAX_NOTE_LENGTH, Field
from ratui.tui import RatuiApp
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.text_line import TextLine, join_lines
from tests.films import make_study
from tests.tui.conftest import TerminalLine, cells, offered_keys, reading_as, settle, wait_for_films

pytestmark = pytest.mark.slow


def scoring(pilot: Pilot[None]) -> ScoringScreen:
    assert isinstance(pilot.app.screen, ScoringScreen)
    return pilot.app.screen


def message(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#message", Static).render())


def typed(pilot: Pilot[None]) -> str:
    """Return the text in the open line."""
    line = pilot.app.screen.query_one(TextLine)
    assert line.is_open
    return line.input.value


async def open_case(pilot: Pilot[None]) -> ScoringScreen:
    await pilot.press("enter")
    await settle(pilot)
    return scoring(pilot)


async def paste(pilot: Pilot[None], text: str) -> None:
    pilot.app.post_message(Paste(text))
    await pilot.pause()
    await settle(pilot)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("osteophyte", "osteophyte"),
        ("  two spaces  kept ", "  two spaces  kept "),
        ("first\nsecond\r\n third\n", "first second third"),
        ("a\tb", "a b"),
        ("a\x1b[31mb\x07", "a[31mb"),
        ("骨棘\n2mm", "骨棘 2mm"),
    ],
)
def test_pasted_text_becomes_one_printable_line(text: str, line: str) -> None:
    assert join_lines(text) == line


class TestNotes:
    async def test_the_cursor_keys_edit_the_note(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("m", *"cyst 34", "left", "backspace", "home", *"ab ", "end", "5")
            assert typed(pilot) == "ab cyst 45"
            await pilot.press("ctrl+w")
            assert typed(pilot) == "ab cyst "
            await pilot.press("alt+backspace", "left", "left", "delete", "ctrl+e", "x")
            assert typed(pilot) == "a x"
            await pilot.press("enter")
            await settle(pilot)
            assert screen.reading.notes == {"L.IP1": "a x"}
            assert not screen.query_one(TextLine).is_open
            assert "note: a x" in message(pilot)

    async def test_the_note_can_be_changed_again_and_escape_discards(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("m", *"cyst", "enter", "m")
            assert typed(pilot) == "cyst"
            await pilot.press(*"234", "escape")
            await settle(pilot)
            assert screen.reading.notes == {"L.IP1": "cyst"}
            assert screen.reading.values == {}
            await pilot.press("2")
            await settle(pilot)
            assert len(screen.reading.values) == 1

    async def test_keys_with_a_meaning_are_text_in_a_note(self, tmp_path: Path) -> None:
        text = "0123456789nacxmfbvzwrouSA?/=.,<>"
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            field = screen.field
            await pilot.press("m", *text, "tab", "up", "down", "pageup", "f5", "ctrl+p", "shift+tab")
            await settle(pilot)
            assert typed(pilot) == text
            assert pilot.app.screen is screen
            assert offered_keys(pilot) == {"Enter", "Esc"}
            assert (screen.field, screen.reading.log) == (field, ())
            await pilot.press("enter")
            await settle(pilot)
            assert screen.reading.notes == {"L.IP1": text}
            assert screen.reading.values == {}

    async def test_pasted_text_goes_to_the_cursor_up_to_the_greatest_length(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("m", *"ab", "left")
            await paste(pilot, "1\n2")
            assert typed(pilot) == "a1 2b"
            await paste(pilot, "3" * 500)
            assert len(typed(pilot)) == MAX_NOTE_LENGTH
            assert typed(pilot)[-1] == "b"
            await pilot.press("4")
            assert len(typed(pilot)) == MAX_NOTE_LENGTH
            assert f"full: {MAX_NOTE_LENGTH} characters" in cells(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert len(screen.reading.notes["L.IP1"]) == MAX_NOTE_LENGTH
            assert screen.reading.values == {}

    async def test_a_terminal_sends_key_text_and_paste(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            line = TerminalLine(pilot)
            for data in ("m", "骨棘", "\x1b[200~2mm\n3mm\x1b[201~", "\x1b[D\x1b[D", "5", "\r"):
                await line.send(data)
            assert screen.reading.notes == {"L.IP1": "骨棘2mm 35mm"}
            assert screen.reading.values == {}

    async def test_a_note_typed_at_once_is_complete(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            app = pilot.app
            assert isinstance(app, RatuiApp)
            for key in ("m", *"n12a", "enter"):
                app.key_queue.put(Key(key, key if len(key) == 1 else None))
            await settle(pilot)
            assert screen.reading.notes == {"L.IP1": "n12a"}
            assert screen.reading.values == {}

    @pytest.mark.parametrize("loss", ["focus removed", "terminal in the background"])
    async def test_digits_are_text_even_after_the_line_has_lost_the_focus(self, tmp_path: Path, loss: str) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("m", "1")
            if loss == "focus removed":
                screen.set_focus(None)
            else:
                pilot.app.post_message(AppBlur())
            await pilot.pause()
            assert pilot.app.focused is None
            await pilot.press("2", "3", "enter")
            await settle(pilot)
            assert screen.reading.notes == {"L.IP1": "123"}
            assert screen.reading.values == {}

    async def test_the_review_has_the_same_line(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path, sides="L"), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("f")
            for _ in screen.reading.sites:
                await pilot.press("n")
                await settle(pilot)
            review = pilot.app.screen
            assert isinstance(review, ReviewScreen)
            site, values = review.item.site, review.reading.values
            await pilot.press("m", *"34", "home", "x")
            await paste(pilot, "y\nz")
            assert typed(pilot) == "xy z34"
            await pilot.press("enter")
            await settle(pilot)
            assert review.reading.notes == {site: "xy z34"}
            assert review.reading.values == values
            assert pilot.app.screen is review


class TestJointNames:
    async def test_the_name_is_edited_and_its_joint_is_shown(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("slash", *"mcp3", "home", "r")
            assert "RIGHT hand · MCP3" in cells(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert screen.field == Field("R.MCP3", "ERO", 0)

    async def test_a_pasted_full_width_name_is_found(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("slash")
            await paste(pilot, "ＭＣＰ４")
            await pilot.press("enter")
            await settle(pilot)
            assert screen.field == Field("L.MCP4", "ERO", 0)


class TestPasteElsewhere:
    async def test_it_is_ignored_with_a_message(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        async with reading_as(study, "anna") as pilot:
            screen = await open_case(pilot)
            for keys, kind in (("", ScoringScreen), ("o", OverviewScreen), ("escape r", RegionsScreen)):
                await pilot.press(*keys.split())
                await settle(pilot)
                assert isinstance(pilot.app.screen, kind)
                await paste(pilot, "1234nS\nA")
                assert "Pasted text was ignored" in message(pilot)
                assert isinstance(pilot.app.screen, kind)
            assert screen.reading.log == ()
            await pilot.press("x")
            await settle(pilot)
        assert study.reading("anna", study.cases()[0]) is None or not screen.reading.log

    async def test_it_is_no_reason(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await pilot.press("x")
            await settle(pilot)
            await paste(pilot, screen.reading.scheme.reasons[0].key)
            assert screen.is_asking
            assert screen.reading.log == ()

    async def test_the_worklist_filters_by_it(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=3)
        async with reading_as(study, "anna") as pilot:
            await settle(pilot)
            await paste(pilot, study.cases()[1] + "\n")
            assert isinstance(pilot.app.screen, WorklistScreen)
            await pilot.press("enter")
            await settle(pilot)
            assert scoring(pilot).reading.case == study.cases()[1]


class TestOrder:
    """Pasted text and clicks wait for the keys that came before them."""

    async def test_a_paste_right_after_the_key_that_opens_the_line(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            for event in (Key("m", "m"), Paste("cyst"), Key("enter", None)):
                pilot.app.post_message(event)
            await pilot.pause()
            await settle(pilot)
            assert screen.reading.notes == {"L.IP1": "cyst"}

    async def test_a_click_after_keys_does_not_change_the_field_they_fill(self, tmp_path: Path) -> None:
        async with reading_as(make_study(tmp_path), "anna") as pilot:
            screen = await open_case(pilot)
            await wait_for_films(pilot.app)  # type: ignore[arg-type]
            place = screen.query_one("#fields0", Static).region.offset
            button = (None, place.x + 2, place.y, 0, 0, 1, False, False, False)
            for event in (Key("2", "2"), Key("3", "3"), MouseDown(*button), MouseUp(*button)):
                pilot.app.post_message(event)
            await pilot.pause()
            await settle(pilot)
            changed = [change.field for entry in screen.reading.log for change in entry.changes]
            assert changed == [Field("L.IP1", "ERO", 0), Field("L.IP1", "ERO", 1)]
            assert screen.field is not None
            assert screen.field.time == 0


async def test_the_reason_for_reopening_is_edited_in_a_line_too(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    case = study.cases()[0]
    async with reading_as(study, "anna") as pilot:
        screen = await open_case(pilot)
        for _ in screen.reading.sites:
            await pilot.press("n")
            await settle(pilot)
        await pilot.press("S")
        await settle(pilot)
        await pilot.press("up", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        await pilot.press("R", "enter")
        assert "Type a short reason" in cells(pilot)
        await pilot.press(*"rong S", "home", "w", "end", "backspace", "backspace")
        assert typed(pilot) == "wrong"
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, KeyScreen)
    reading = study.reading("anna", case)
    assert reading is not None
    assert [entry.note for entry in reading.log if entry.kind == "reopen"] == ["wrong"]
