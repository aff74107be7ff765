"""The colours of terminals: detection, and the greys of characters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.errors import DisplayError
from ratui.terminal import (
    MIN_GREYS,
    Colours,
    Display,
    HalfCellFrame,
    detect_colours,
    encode,
    make_grey_palette,
    parse_answers,
    parse_colours,
)
from ratui.terminal.multiplexer import TmuxClient
from ratui.terminal.probe import require_utf8_terminal
from tests.support.cell_screen import CellScreen, palette_colour

RAMP = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(2, axis=0))


def client(palette_size: int, *, has_true_colour: bool = False, is_utf8: bool = True) -> TmuxClient:
    return TmuxClient("/dev/pts/1", 1, "xterm", "", frozenset(), is_utf8, has_true_colour, palette_size)


def displayed(frame: HalfCellFrame, **more: bool) -> np.ndarray:
    """Return the grey levels that a terminal shows for `frame`."""
    rows, columns = frame.levels.shape
    screen = CellScreen("".join(frame.parts(3, 2, columns, rows // 2, 1)).encode(), (40, 40), **more)
    return screen.greys(slice(3, 3 + columns), slice(2, 2 + rows // 2))


class TestGreys:
    def test_256_colours_have_thirty_greys_and_the_nearest_is_taken(self) -> None:
        palette = make_grey_palette("256")
        greys = sorted({level for level, *others in map(palette_colour, range(16, 256)) if others == [level, level]})
        assert len(greys) == palette.greys == 30
        nearest = np.array([min(greys, key=lambda grey: abs(grey - level)) for level in range(256)])
        assert np.array_equal(np.abs(palette.nearest - np.arange(256.0)), np.abs(nearest - np.arange(256.0)))
        assert palette.numbers is not None
        for level in range(256):
            assert palette_colour(palette.numbers[level]) == (palette.nearest[level],) * 3

    @pytest.mark.parametrize(("colours", "greys"), [("truecolor", 256), ("256", 30), ("16", 4), ("none", 1)])
    def test_a_frame_shows_the_levels_that_it_claims(self, colours: Colours, greys: int) -> None:
        frame = encode(Display("halfcell", colours=colours), RAMP)
        assert isinstance(frame, HalfCellFrame)
        assert np.array_equal(displayed(frame, has_true_colour=colours == "truecolor"), frame.levels)
        assert len(np.unique(frame.levels)) == greys

    def test_true_colour_is_exact(self) -> None:
        frame = encode(Display("halfcell"), RAMP)
        assert isinstance(frame, HalfCellFrame)
        assert np.array_equal(frame.levels, np.asarray(RAMP))


class TestDetection:
    @pytest.mark.parametrize(
        ("style", "expected"),
        [
            (b"0;48:2::134:96:174", "truecolor"),
            (b"48:2:134:96:174", "truecolor"),
            (b"0;48;2;134;96;174", "truecolor"),
            (b"0;48:5:97", "256"),
            (b"0;48;5;97", "256"),
            (b"0;48:5:5", "16"),
            (b"0;45", "16"),
            (b"105", "16"),
            (b"0", None),
            (b"0;2;134;96;174", None),
            (b"", None),
        ],
    )
    def test_the_answer_about_the_style(self, style: bytes, expected: str | None) -> None:
        answer = b"\x1b[1;2R\x1bP1$r" + style + b"m\x1b\\\x1b[?62;22c"
        assert parse_colours(answer) == expected

    def test_no_answer_about_the_style(self) -> None:
        assert parse_colours(b"\x1b[?62;22c") is None
        assert parse_colours(b"\x1bP0$r\x1b\\\x1b[?62;22c") is None

    @pytest.mark.parametrize(
        ("environment", "reported", "in_multiplexer", "expected"),
        [
            ({"TERM": "xterm-256color"}, None, False, "256"),
            ({"TERM": "xterm-256color"}, "truecolor", False, "truecolor"),
            ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, None, False, "truecolor"),
            ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "256", False, "256"),
            ({"TERM": "screen-256color", "COLORTERM": "truecolor"}, None, True, "256"),
            ({"TERM": "screen", "COLORTERM": "truecolor"}, None, True, "16"),
            ({"TERM": "xterm"}, None, False, "16"),
            ({"TERM": "xterm"}, "truecolor", False, "truecolor"),
            ({"TERM": "xterm"}, "256", False, "256"),
            ({"TERM": "xterm-256color"}, "16", False, "16"),
            ({"TERM": "linux", "COLORTERM": ""}, None, False, "16"),
            ({"TERM": "vt220"}, None, False, "none"),
            ({"TERM": "vt220", "COLORTERM": "truecolor"}, "truecolor", False, "none"),
            ({"TERM": "dumb"}, None, False, "none"),
            ({"TERM": "no-such-terminal"}, None, False, "16"),
            ({"TERM": "no-such-terminal-256color"}, None, False, "256"),
            ({}, None, False, "16"),
        ],
    )
    def test_sources(
        self, environment: dict[str, str], reported: str | None, in_multiplexer: bool, expected: str
    ) -> None:
        # In a process of its own, because a process reads one terminfo entry only.
        call = f"detect_colours({environment}, reported={reported!r}, in_multiplexer={in_multiplexer})[0]"
        done = subprocess.run(
            [sys.executable, "-c", f"from ratui.terminal import detect_colours; print({call})"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected

    def test_the_client_of_tmux_with_the_fewest_colours_counts(self) -> None:
        rich, poor = client(256, has_true_colour=True), client(256)
        environment = {"TERM": "tmux-256color", "COLORTERM": "truecolor"}
        assert detect_colours(environment, in_multiplexer=True, tmux_clients=[rich])[0] == "truecolor"
        assert detect_colours(environment, in_multiplexer=True, tmux_clients=[rich, poor])[0] == "256"
        assert detect_colours(environment, in_multiplexer=True, tmux_clients=[rich, client(8)])[0] == "16"


class TestRefusal:
    @pytest.mark.parametrize("colours", ["16", "none"])
    def test_half_cells_without_enough_greys_show_no_films(self, colours: Colours) -> None:
        display = parse_answers(b"\x1b[?62;22c", 0.01, colours=(colours, "TERM=vt220"))
        assert not display.can_show_films
        with pytest.raises(DisplayError, match="grey levels") as caught:
            display.require_films()
        assert caught.value.location == "TERM=vt220"
        assert "TERM=xterm-256color" in caught.value.remedy

    @pytest.mark.parametrize(("registers", "can_show"), [(4, False), (15, False), (16, True), (256, True)])
    def test_sixel_needs_as_many_colour_registers(self, registers: int, can_show: bool) -> None:
        answer = b"\x1b[?1;0;%dS\x1b[?63;1;4c" % registers
        display = parse_answers(answer, 0.01, colours=("none", "TERM=vt340"))
        assert (display.protocol, display.can_show_films) == ("sixel", can_show)

    def test_images_do_not_depend_on_the_colours_of_characters(self) -> None:
        parse_answers(b"\x1b_Gi=4211;OK\x1b\\\x1b[?62;22c", 0.01, colours=("none", "TERM=vt220")).require_films()

    def test_256_colours_are_enough(self) -> None:
        display = parse_answers(b"\x1b[?62;22c", 0.01, colours=("256", "TERM=xterm-256color"))
        assert display.levels == 30 > MIN_GREYS
        display.require_films()


class TestUtf8:
    def test_a_letter_of_two_columns_is_no_utf8(self) -> None:
        with pytest.raises(DisplayError, match="does not decode UTF-8"):
            require_utf8_terminal(b"\x1b[24;3R\x1b[?62;22c")
        require_utf8_terminal(b"\x1b[24;2R\x1b[?62;22c")
        require_utf8_terminal(b"\x1b[?62;22c")

    def test_a_client_of_tmux_without_utf8_is_refused(self) -> None:
        require_utf8_terminal(b"", [client(8)])
        with pytest.raises(DisplayError, match="tmux sends no UTF-8"):
            require_utf8_terminal(b"", [client(8), client(8, is_utf8=False)])


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed here")
@pytest.mark.parametrize(
    ("term", "options", "expected"),
    [
        ("xterm-256color", [], (False, 256)),
        ("xterm", [], (False, 8)),
        ("xterm-256color", ["set", "-as", "terminal-overrides", ",*:Tc"], (True, 256)),
    ],
)
def test_tmux_tells_the_colours_of_its_client(
    tmp_path: Path, term: str, options: list[str], expected: tuple[bool, int]
) -> None:
    import pty

    socket = str(tmp_path / "tmux")
    found = tmp_path / "found"
    ask = (
        "import os; from ratui.terminal.multiplexer import read_tmux as f; "
        "c = f(os.environ).clients[0]; print((c.has_true_colour, c.palette_size))"
    )
    # The question follows once the client is attached.
    shell = f"sleep 1; {sys.executable} -c '{ask}' > {found}.new 2>&1; mv {found}.new {found}; sleep 30"
    keep = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE", "COLORTERM")}
    tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
    main, sub = pty.openpty()
    client = subprocess.Popen(
        [*tmux, *options, *([";"] if options else []), "new-session", shell],
        stdin=sub,
        stdout=sub,
        stderr=sub,
        start_new_session=True,
        env={**keep, "TERM": term, "LC_ALL": "C.UTF-8"},
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
    )
    try:
        for _ in range(400):
            if found.exists():
                break
            _drain(main)
        assert found.read_text().strip() == str(expected)
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True, check=False)
        client.wait(20)
        os.close(main)
        os.close(sub)


def _drain(descriptor: int) -> None:
    import select

    if select.select([descriptor], [], [], 0.05)[0]:
        os.read(descriptor, 65_536)
