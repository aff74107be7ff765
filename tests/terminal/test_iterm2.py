"""Inline images of iTerm2: the bytes, decoded, and the recognition of the terminal."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from ratui.terminal import Display, Frame, ITerm2Frame, encode, encode_coarse, parse_answers
from ratui.terminal.iterm2 import may_be_iterm2, parse_iterm2_cell
from tests.films import make_study
from tests.support.fake_terminal import FakeTerminal

CELL = (7, 15)
DISPLAY = Display("iterm2", CELL)
_PLACED = re.compile(r"\x1b\[(\d+);(\d+)H\x1b\]1337;File=([^:\x07]*):([A-Za-z0-9+/=]*)\x07")
REPLY = b"\x1b]1337;ReportCellSize=17.50;8.00;2.0\x1b\\"
VERSION = b"\x1bP>|iTerm2 3.5.4\x1b\\"
DA1 = b"\x1b[?65;4;6;18;22c"


def picture(columns: int = 20, rows: int = 9) -> Image.Image:
    noise = np.random.default_rng(3).integers(0, 256, (rows * CELL[1], columns * CELL[0]), dtype=np.uint8)
    return Image.fromarray(noise)


def draw(frame: Frame, columns: int, rows: int, at: tuple[int, int] = (4, 2)) -> npt.NDArray[np.uint8]:
    """Return what the terminal shows in the cells of the image."""
    screen = np.zeros((rows * CELL[1], columns * CELL[0]), np.uint8)
    data = "".join(frame.parts(*at, columns, rows, 1))
    assert not _PLACED.sub("", data), "nothing else is written"
    for row, column, options, payload in _PLACED.findall(data):
        keys = dict(pair.split("=") for pair in options.split(";"))
        file = base64.b64decode(payload, validate=True)
        assert keys["inline"] == "1"
        assert keys["preserveAspectRatio"] == "0"
        assert int(keys["size"]) == len(file)
        image = Image.open(io.BytesIO(file))
        assert (image.format, image.mode) == ("PNG", "L")
        wide, high = int(keys["width"]), int(keys["height"])  # without a unit: in cells
        levels = np.asarray(image.resize((wide * CELL[0], high * CELL[1]), Image.Resampling.NEAREST))
        x, y = (int(column) - 1 - at[0]) * CELL[0], (int(row) - 1 - at[1]) * CELL[1]
        screen[y : y + levels.shape[0], x : x + levels.shape[1]] = levels
    return screen


class TestFrame:
    def test_it_is_lossless_in_one_piece(self) -> None:
        frame = encode(DISPLAY, picture())
        assert isinstance(frame, ITerm2Frame)
        assert len(frame.tiles) == 1
        assert np.array_equal(draw(frame, 20, 9), np.asarray(picture()))

    def test_strips_for_a_slow_line_are_whole_rows(self) -> None:
        frame = encode(DISPLAY, picture(), slices=True)
        assert isinstance(frame, ITerm2Frame)
        assert [high for _, high, _ in frame.tiles] == [2, 2, 2, 2, 1]
        assert np.array_equal(draw(frame, 20, 9), np.asarray(picture()))

    def test_a_coarse_frame_fills_the_same_cells_and_keeps_its_budget(self) -> None:
        frame = encode_coarse(DISPLAY, picture(), 3_000)
        assert frame.byte_count <= 3_000
        assert (draw(frame, 20, 9) > 0).mean() > 0.9

    def test_the_size_in_bytes_is_about_what_is_sent(self) -> None:
        for slices in (False, True):
            frame = encode(DISPLAY, picture(), slices=slices)
            assert abs(frame.byte_count - len("".join(frame.parts(0, 0, 20, 9, 1)))) < 40 * 6


class TestRecognition:
    @pytest.mark.parametrize("name", [b"iTerm2 3.5.4", b"WezTerm 20240203-110809-5046fc22"])
    def test_by_the_reported_version(self, name: bytes) -> None:
        assert may_be_iterm2(b"\x1bP>|" + name + b"\x1b\\", {})

    @pytest.mark.parametrize("environment", [{"TERM_PROGRAM": "iTerm.app"}, {"LC_TERMINAL": "iTerm2"}])
    def test_by_the_environment_unless_the_terminal_gives_another_name(self, environment: dict[str, str]) -> None:
        assert may_be_iterm2(DA1, environment)
        assert not may_be_iterm2(b"\x1bP>|XTerm(379)\x1b\\" + DA1, environment)
        assert not may_be_iterm2(DA1, {})

    def test_only_an_answer_counts(self) -> None:
        assert parse_answers(VERSION + DA1, 0.01).protocol == "sixel"
        assert parse_answers(VERSION + DA1 + REPLY, 0.01).protocol == "iterm2"
        assert parse_answers(VERSION + DA1 + REPLY + b"\x1b_Gi=4211;OK\x1b\\", 0.01).protocol == "kitty"

    def test_the_cell_is_in_pixels_of_a_retina_display(self) -> None:
        assert parse_iterm2_cell(REPLY) == (16, 35)
        assert parse_iterm2_cell(b"\x1b]1337;ReportCellSize=17.0;8.0\x07") == (8, 17)
        assert parse_iterm2_cell(DA1) is None
        display = parse_answers(VERSION + b"\x1b[6;17;8t" + REPLY + DA1, 0.01)
        assert (display.cell, display.levels, display.is_cell_measured) == ((16, 35), 256, True)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux")
@pytest.mark.parametrize(
    ("version", "environment"),
    [("iTerm2 3.5.4", {}), ("WezTerm 20240203-110809-5046fc22", {}), ("", {"LC_TERMINAL": "iTerm2"})],
)
def test_the_app_shows_films(tmp_path: Path, version: str, environment: dict[str, str]) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    command = [sys.executable, "-m", "ratui", "read", str(study.path), "--rater", "anna", "--case", case]
    home = {"XDG_CONFIG_HOME": str(tmp_path), "LANG": "C.UTF-8", **environment}
    terminal = FakeTerminal(command, "iterm2", environment=home, version=version)
    try:
        assert terminal.wait_for(re.compile(rb"\x1b\]1337;File="), patience=60), terminal.describe()
        terminal.burst(terminal.begun, quiet=1.0)
        burst = terminal.burst(terminal.press("n"), quiet=1.0)
        placed = _PLACED.findall(burst.data.decode())
        assert len(placed) == 2, "each film once"
        assert all(np.asarray(Image.open(io.BytesIO(base64.b64decode(each[3])))).std() > 10 for each in placed)
        terminal.press("\x11")
        assert terminal.wait_for(re.compile(rb"films were displayed with iterm2"), patience=30), terminal.describe()
    finally:
        terminal.close()
