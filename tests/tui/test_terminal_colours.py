"""The films on terminals of few colours and in locales without UTF-8: right greys, or one clear message and no entry."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual.app import App

from ratui.study import Study
from ratui.terminal import Colours, Display, HalfCellFrame, encode
from ratui.tui.textual_internals import set_text_colours
from ratui.tui.widgets.film_view import make_cells
from tests.films import make_study
from tests.support.cell_screen import CellScreen
from tests.support.fake_terminal import FakeTerminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux"),
]
SIZE = (100, 30)
RAMP = {0, 95, 135, 175, 215, 255} | {8 + 10 * step for step in range(24)}


def start(
    study: Study,
    environment: Mapping[str, str],
    *,
    style: bytes = b"",
    is_utf8: bool = True,
    inside: Sequence[str] = (),
) -> FakeTerminal:
    """Start a reading of the study's case in a terminal without images, `inside` a program such as tmux."""
    (case,) = study.cases()
    command = [sys.executable, "-m", "ratui", "read", str(study.path), "--rater", "anna", "--case", case]
    home = {"XDG_CONFIG_HOME": str(study.path.parent), "LC_ALL": "C.UTF-8"}
    return FakeTerminal(
        [*inside, *command], "halfcell", size=SIZE, environment={**home, **environment}, style=style, is_utf8=is_utf8
    )


def screen_after(terminal: FakeTerminal, *, has_true_colour: bool = True) -> CellScreen:
    """Return the present screen of the app."""
    data = terminal.data
    return CellScreen(data[data.index(b"\x1b[?1049h") :], SIZE, has_true_colour=has_true_colour)


def check_films(screen: CellScreen, greys: Set[int], fewest: int) -> None:
    """Check that each film has at least `fewest` different greys, all of them from `greys`."""
    for columns in film_columns(screen):
        found = set(np.unique(screen.greys(columns, slice(4, 18))).tolist())
        assert found <= greys
        assert len(found) >= fewest


def wait(terminal: FakeTerminal, text: str) -> None:
    assert terminal.wait_for(re.compile(re.escape(text.encode())), patience=60), terminal.describe()


def film_columns(screen: CellScreen) -> tuple[slice, slice]:
    """Return the columns of the two films: those between the edges, in which a row has half-cells."""
    used = [any(row[x] == "▀" for row in screen.text[2:20]) for x in range(SIZE[0])]
    gap = next(x for x in range(SIZE[0] // 2 - 3, SIZE[0] // 2 + 3) if not used[x])
    left, right = [x for x in range(gap) if used[x]], [x for x in range(gap, SIZE[0]) if used[x]]
    return slice(left[0], left[-1] + 1), slice(right[0], right[-1] + 1)


@pytest.mark.parametrize(
    ("environment", "style", "has_true_colour"),
    [
        pytest.param({"COLORTERM": "truecolor"}, b"", True, id="COLORTERM"),
        pytest.param({"COLORTERM": ""}, b"\x1bP1$r0;48:2::134:96:174m\x1b\\", True, id="the terminal's answer"),
        pytest.param({"COLORTERM": ""}, b"", False, id="plain ssh"),
        pytest.param({"COLORTERM": "truecolor"}, b"\x1bP1$r0;48:5:97m\x1b\\", False, id="the terminal denies it"),
        pytest.param({"TERM": "screen-256color", "STY": "1.a.b"}, b"", False, id="GNU screen"),
    ],
)
def test_both_films_have_the_greys_of_the_terminal(
    tmp_path: Path, environment: dict[str, str], style: bytes, has_true_colour: bool
) -> None:
    terminal = start(make_study(tmp_path, sides="L"), environment, style=style)
    try:
        wait(terminal, "▀")
        terminal.burst(terminal.begun, quiet=1.5)
        screen = screen_after(terminal, has_true_colour=has_true_colour)
    finally:
        terminal.close()
    if has_true_colour:
        check_films(screen, set(range(256)), 60)
    else:
        check_films(screen, RAMP, 15)
        assert screen.true_colours == 0, "also in the texts"
        assert "30 of 256 grey levels" in screen.lines()


@pytest.mark.parametrize("colours", ["truecolor", "256", "16"])
def test_cells_under_boxes_have_the_greys_of_the_painter(colours: Colours) -> None:
    """Compare the cells that Textual writes, where boxes replace some of them, with the frame of the painter."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    frame = encode(Display("halfcell", colours=colours), Image.fromarray(levels))
    assert isinstance(frame, HalfCellFrame)
    app = App[None]()
    set_text_colours(app, colours)
    lines = [make_cells(frame, row, 16).render(app.console) for row in range(8)]
    screen = CellScreen("\r\n".join(lines).encode(), (16, 8), has_true_colour=colours == "truecolor")
    assert np.array_equal(screen.greys(slice(0, 16), slice(0, 8)), frame.levels)


@pytest.mark.parametrize("term", ["xterm-256color", "xterm"])
@pytest.mark.parametrize("program", ["screen", "tmux"])
def test_in_a_multiplexer_the_terminal_around_it_counts(tmp_path: Path, program: str, term: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
    settings = tmp_path / "screenrc"
    settings.write_text("autodetach off\n")  # the session ends with its terminal
    inside = {
        "screen": ["screen", "-c", str(settings), "-U"],
        "tmux": ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null", "new-session"],
    }
    (tmp_path / "sockets").mkdir(mode=0o700)
    # A multiplexer passes COLORTERM of the terminal around it on, whatever it supports itself.
    environment = {"TERM": term, "COLORTERM": "truecolor", "SCREENDIR": str(tmp_path / "sockets")}
    study = make_study(tmp_path, sides="L")
    terminal = start(study, environment, inside=inside[program])
    try:
        wait(terminal, "▀" if term == "xterm-256color" else "grey")  # tmux may move over the blank behind a word
        terminal.burst(terminal.begun, quiet=2.0)
        screen = screen_after(terminal, has_true_colour=False)
    finally:
        terminal.close()
        if program == "tmux":
            subprocess.run(["tmux", "-S", str(tmp_path / "socket"), "kill-server"], capture_output=True, check=False)
    if term == "xterm":
        assert "no case can be scored here" in screen.lines()
        assert "▀" not in screen.lines()
    else:
        assert "30 of 256 grey levels" in screen.lines()
        check_films(screen, RAMP, 15)


@pytest.mark.parametrize(
    ("term", "reason"),
    [("vt220", "TERM=vt220"), ("linux", "TERM=linux"), ("xterm", "TERM=xterm"), ("no-such-terminal", "TERM=no-such")],
)
def test_with_too_few_greys_no_grade_can_be_entered(tmp_path: Path, term: str, reason: str) -> None:
    study = make_study(tmp_path, sides="L")
    terminal = start(study, {"TERM": term, "COLORTERM": ""})
    try:
        wait(terminal, reason)
        terminal.burst(terminal.begun, quiet=1.0)
        for key in ("\r", "0", "n", "\r", "0", "1"):
            terminal.press(key)
            time.sleep(0.2)
        time.sleep(1.0)
        text = screen_after(terminal).lines()
        terminal.press("\x11")
        assert terminal.process.wait(20) == 0
    finally:
        terminal.close()
    assert "▀" not in text
    kept = study.reading("anna", study.cases()[0])
    assert kept is None or not kept.values


def test_a_locale_without_utf8_is_one_message_in_ascii(tmp_path: Path) -> None:
    # The encoding that Python takes from a locale such as en_US.ISO-8859-1, which may not be installed here.
    terminal = start(make_study(tmp_path, sides="L"), {"PYTHONIOENCODING": "iso-8859-1"})
    try:
        assert terminal.process.wait(30) == 1
        data = terminal.data
    finally:
        terminal.close()
    assert data.decode("ascii").strip() == (
        "ratui: PYTHONIOENCODING=iso-8859-1: the locale has the encoding ISO8859-1, and ratui needs UTF-8. "
        "Set another locale: export LC_ALL=C.UTF-8"
    )


@pytest.mark.skipif(shutil.which("localedef") is None, reason="localedef is not installed here")
@pytest.mark.skipif(
    not Path("/usr/share/i18n/locales/en_US").exists(), reason="the sources of locales are not installed"
)
def test_a_latin1_locale_is_one_message_in_ascii(tmp_path: Path) -> None:
    folder = tmp_path / "locales"
    folder.mkdir()
    name = "en_US.ISO-8859-1"
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / name)], check=True)
    terminal = start(make_study(tmp_path, sides="L"), {"LC_ALL": name, "LOCPATH": str(folder)})
    try:
        assert terminal.process.wait(30) == 1
        data = terminal.data.decode("ascii")
    finally:
        terminal.close()
    assert "LC_ALL=en_US.ISO-8859-1" in data
    assert "export LC_ALL=C.UTF-8" in data
    assert "\\u" not in data


@pytest.mark.parametrize("is_utf8", [True, False])
def test_in_the_c_locale_the_terminal_itself_decides(tmp_path: Path, is_utf8: bool) -> None:
    terminal = start(make_study(tmp_path, sides="L"), {"LC_ALL": "C"}, is_utf8=is_utf8)
    try:
        if is_utf8:
            wait(terminal, "▀")
        else:
            assert terminal.process.wait(30) == 1
            assert b"the terminal does not decode UTF-8" in terminal.data
            assert "▀".encode() not in terminal.data
    finally:
        terminal.close()
