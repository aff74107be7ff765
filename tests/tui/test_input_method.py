"""Input of East Asian input methods, from the bytes of the terminal to the reading, through the whole app."""

from pathlib import Path

import pytest
from textual.events import Key, Paste
from textual.pilot import Pilot

from ratui.reading import Field
from ratui.tui.input.actions import normalize_key
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.textual_internals import XTermParser
from tests.films import make_study
from tests.tui.conftest import TerminalLine, reading_as, settle


async def send_at_once(pilot: Pilot[None], data: str) -> None:
    """Send `data` at once, as a terminal does."""
    await TerminalLine(pilot).send(data)


def scoring(pilot: Pilot[None]) -> ScoringScreen:
    assert isinstance(pilot.app.screen, ScoringScreen)
    return pilot.app.screen


def scores(screen: ScoringScreen, site: str) -> list[int | None]:
    return [screen.reading.score(field) for field in screen.reading.joint_fields(site)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("２３", id="committed together, as xterm and tmux send it"),
        pytest.param("\x1b[0;;65298:65299u", id="committed together, in the Kitty keyboard protocol"),
        pytest.param("\x1b[0;;65298u\x1b[0;;65299u", id="one by one, in the Kitty keyboard protocol"),
        pytest.param("23", id="plain"),
    ],
)
async def test_committed_digits_go_to_field_after_field(tmp_path: Path, data: str) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await send_at_once(pilot, data)
        assert scores(scoring(pilot), "L.IP1") == [2, 3]
        assert [entry.key for entry in scoring(pilot).reading.log] == ["2", "3"]


async def test_full_width_letters_are_commands_and_findings(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await send_at_once(pilot, "ａｕ")
        assert [entry.kind for entry in scoring(pilot).reading.log] == ["enter", "undo"]
        await send_at_once(pilot, "ｎ")
        assert scores(scoring(pilot), "L.IP1") == [0, 0]
        await send_at_once(pilot, "・ｍｃｐ３\r")
        assert scoring(pilot).field == Field("L.MCP3", "ERO", 0)
        await send_at_once(pilot, "ｏ")
        assert isinstance(pilot.app.screen, OverviewScreen)


async def test_a_full_width_filter_finds_cases(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=3)
    wanted = study.cases()[1]
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in wanted)
    async with reading_as(study, "anna") as pilot:
        await send_at_once(pilot, wide + "\r")
        assert scoring(pilot).reading.case == wanted


async def test_kana_do_nothing_and_are_answered(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        before = scoring(pilot).field
        await send_at_once(pilot, "あ")
        assert not scoring(pilot).reading.values
        assert scoring(pilot).field == before
        assert "あ" in str(scoring(pilot).query_one("#message").render())  # type: ignore[attr-defined]


async def test_pasted_text_enters_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await send_at_once(pilot, "\x1b[200~５５５n\x1b[201~")
        assert not scoring(pilot).reading.values
        assert isinstance(next(iter(XTermParser().feed("\x1b[200~5\x1b[201~"))), Paste)
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("？", "?"),
        ("＝", "="),
        ("／", "/"),
        ("・", "/"),
        ("ー", "-"),
        ("＋", "+"),
        ("　", "space"),
        ("Ｓ", "S"),
        ("９", "9"),
    ],
)
def test_the_keys_of_the_table_can_be_typed_with_the_input_method_on(typed: str, name: str) -> None:
    (event,) = XTermParser().feed(typed)
    assert isinstance(event, Key)
    assert normalize_key(event.character, event.key) == name
