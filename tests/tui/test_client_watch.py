"""Terminals that are attached to tmux and detached while a case is open, with a real tmux and with an imitation."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui.tui.input.unpressed_keys import PAUSE_SECONDS
from tests.films import make_study
from tests.support.fake_terminal import FakeTerminal
from tests.support.placeholder_terminal import PlaceholderTerminal
from tests.terminal.test_multiplexer import Tmux, needs_tmux, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux"),
]
PLACED = re.compile(rb"a=p,U=1,i=(\d+)")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """A tmux with one Kitty terminal, in which a case is open."""
    server = Tmux(tmp_path)
    server.run("set-option", "-g", "allow-passthrough", "on")
    client = server.attach("first", "xterm-kitty", "kitty(0.32.2)")
    wait_until(lambda: bool(server.state().clients and server.state().clients[0].kind))
    study = make_study(tmp_path / "study", sides="L")
    (case,) = study.cases()
    command = f"{sys.executable} -m ratui read {study.path} --rater anna --case {case}; sleep 600"
    server.run(
        "respawn-pane",
        "-k",
        "-t",
        server.pane,
        f"PYTHONPATH={Path.cwd()} XDG_CONFIG_HOME={tmp_path} LANG=C.UTF-8 {command}",
    )
    assert client.wait_for(PLACED, patience=60), client.describe()
    client.burst(client.begun, quiet=1.0)
    time.sleep(1.0)  # the first check, whose clients the later ones are compared with
    yield server
    server.close()


@needs_tmux
class TestRealTmux:
    def test_a_terminal_without_graphics_makes_the_films_coarse_until_it_leaves(self, tmux: Tmux) -> None:
        (kitty,) = tmux.clients
        since = time.monotonic()
        other = tmux.attach("first", "xterm-256color", "XTerm(379)")
        assert kitty.wait_for(re.compile(rb"Films are now coarse"), since, patience=20), kitty.data[-500:]
        assert other.wait_for(re.compile("▀".encode()), since, patience=20)
        wait_until(lambda: "▀" * 2 in tmux.run("capture-pane", "-p", "-t", tmux.pane))
        assert "\U0010eeee" not in tmux.run("capture-pane", "-p", "-t", tmux.pane)
        assert "XTerm(379)" in tmux.run("capture-pane", "-p", "-t", tmux.pane)
        since = time.monotonic()
        other.close()
        assert kitty.wait_for(re.compile(rb"Films are sharp again"), since, patience=20)
        assert kitty.wait_for(PLACED, since, patience=20)
        wait_until(lambda: "\U0010eeee" in tmux.run("capture-pane", "-p", "-t", tmux.pane))

    def test_another_terminal_of_the_same_kind_is_sent_the_images(self, tmux: Tmux) -> None:
        (kitty,) = tmux.clients
        since = time.monotonic()
        kitty.close()
        wait_until(lambda: not tmux.state().clients)
        other = tmux.attach("first", "xterm-kitty", "kitty(0.32.2)")
        assert other.wait_for(re.compile(rb"a=t,f=100"), since, patience=20)
        other.burst(since, quiet=1.5)
        terminal = PlaceholderTerminal()
        terminal.feed(other.data.decode())
        assert len(terminal.images) == 2
        assert terminal.ids() == set(terminal.images)

    def test_fewer_greys_in_half_cells_are_stated(self, tmux: Tmux) -> None:
        def screen() -> str:
            return tmux.run("capture-pane", "-e", "-p", "-t", tmux.pane)

        tmux.run("set-option", "-sa", "terminal-features", ",xterm-256color:RGB")
        tmux.attach("first", "xterm-256color", "XTerm(379)")
        wait_until(lambda: "Films are now coarse" in screen())
        wait_until(lambda: "48;2;" in screen())
        tmux.attach("first", "screen-256color")
        wait_until(lambda: "films have 30 of 256 grey levels" in screen())
        wait_until(lambda: "48;5;235" in screen())

    def test_a_terminal_that_cannot_show_films_ends_the_case(self, tmux: Tmux, tmp_path: Path) -> None:
        tmux.attach("first", "vt220")
        wait_until(lambda: "no case can be scored here" in tmux.run("capture-pane", "-p", "-t", tmux.pane))
        assert "LEFT" not in tmux.run("capture-pane", "-p", "-t", tmux.pane)


IMITATION = """#!/bin/sh
cat {state}
"""
STATE = """3.4|0|@0
window|$0|@0
client|$0|/dev/pts/7|700|1|xterm-256color|256,RGB,{sixel}title|foot(1.16.2)
"""


def test_sixel_through_tmux_until_a_terminal_without_it_is_attached(tmp_path: Path) -> None:
    # A tmux that was built with Sixel answers as a Sixel terminal, whatever the terminals of its clients can.
    study = make_study(tmp_path / "study", sides="L")
    (case,) = study.cases()
    program, state = tmp_path / "bin" / "tmux", tmp_path / "state"
    program.parent.mkdir()
    program.write_text(IMITATION.format(state=state))
    program.chmod(0o755)
    state.write_text(STATE.format(sixel="sixel,"))
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TMUX": "/tmp/none,1,0",
        "TERM": "tmux-256color",
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "ratui", "read", str(study.path), "--rater", "anna", "--case", case]
    terminal = FakeTerminal(command, "sixel", environment=environment, version="tmux 3.4")
    try:
        assert terminal.wait_for(re.compile(rb"\x1bPq|\x1bP[0-9;]+q"), patience=60), terminal.describe()
        terminal.burst(terminal.begun, quiet=1.0)
        assert b"\x1b_" not in terminal.data
        state.write_text(STATE.format(sixel=""))
        since = time.monotonic()
        terminal.press("\x1b[I")  # the focus comes with a terminal that attaches
        assert terminal.wait_for(re.compile(rb"Films are now coarse: tmux reports no Sixel"), since), terminal.data[
            -500:
        ]
        burst = terminal.burst(since, quiet=1.0)
        assert "▀".encode() in burst.data
        assert b"\x1bP" not in burst.data
        refused = terminal.burst(terminal.press("n"), quiet=0.2)
        assert b"Key ignored: the window has just changed" in refused.data
        time.sleep(PAUSE_SECONDS)
        burst = terminal.burst(terminal.press("n"), quiet=1.0)
        assert "▀".encode() in burst.data
        assert b"\x1bP" not in burst.data
        terminal.press("\x11")
        assert terminal.wait_for(re.compile(rb"films were displayed with"), patience=30)
    finally:
        terminal.close()
