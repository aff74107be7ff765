"""The probe and the app inside a real tmux and a real GNU screen, also where the environment does not reveal them."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.films import make_study
from tests.support.fake_terminal import FakeTerminal
from tests.terminal.test_multiplexer import Tmux, needs_tmux, wait_until

pytestmark = pytest.mark.slow
needs_screen = pytest.mark.skipif(shutil.which("screen") is None, reason="GNU screen is not installed")

# Only TERM is forwarded by ssh. Some users set TERM to the name of the terminal outside.
PROBE = """
import dataclasses, json, os, pathlib, sys
for name in ("TMUX", "TMUX_PANE", "STY", "COLORTERM"):
    os.environ.pop(name, None)
if sys.argv[2]:
    os.environ["TERM"] = sys.argv[2]
from ratui.errors import DisplayError
from ratui.terminal import probe
try:
    found = dataclasses.asdict(probe(sys.argv[3]))
except DisplayError as error:
    found = {"error": str(error)}
pathlib.Path(sys.argv[1]).write_text(json.dumps(found))
"""
STRINGS = re.compile(rb"4211|\x1b_|\x1bPtmux|\x1bP[0-9;]*q|\$qm|\x1b\]1337")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(tmp_path)
    yield server
    server.close()


def run_probe(tmux: Tmux, tmp_path: Path, term: str, graphics: str = "auto") -> dict[str, object]:
    program, answer = tmp_path / "ask.py", tmp_path / "answer.json"
    program.write_text(PROBE)
    answer.unlink(missing_ok=True)
    command = f"PYTHONPATH={Path.cwd()} LANG=C.UTF-8 {sys.executable} {program} {answer} '{term}' {graphics}; sleep 600"
    tmux.run("respawn-pane", "-k", "-t", tmux.pane, command)
    wait_until(lambda: answer.exists() and answer.stat().st_size > 0)
    found: dict[str, object] = json.loads(answer.read_text())
    return found


@needs_tmux
@pytest.mark.parametrize("term", ["", "xterm-256color", "xterm-kitty"])
def test_tmux_behind_ssh_is_recognized_and_its_title_stays(tmux: Tmux, tmp_path: Path, term: str) -> None:
    client = tmux.attach("first", "xterm-kitty", "kitty(0.32.2)")
    wait_until(lambda: bool(tmux.state().clients))
    tmux.run("set-option", "-g", "allow-passthrough", "on")
    title = tmux.run("display-message", "-p", "#{pane_title}")
    found = run_probe(tmux, tmp_path, term)
    assert (found["multiplexer"], found["protocol"]) == ("tmux", "halfcell")
    assert str(found["terminal"]).startswith("tmux ")
    assert tmux.run("display-message", "-p", "#{pane_title}") == title
    client.burst(client.begun, quiet=0.5)
    assert not STRINGS.search(client.data)
    assert "no Sixel" in str(found["why"])


@needs_tmux
def test_forced_kitty_in_a_tmux_behind_ssh_is_one_error(tmux: Tmux, tmp_path: Path) -> None:
    tmux.attach("first", "xterm-kitty", "kitty(0.32.2)")
    found = run_probe(tmux, tmp_path, "", "kitty")
    assert "kitty images cannot be displayed inside tmux" in str(found["error"])
    assert "Run ratui outside tmux" in str(found["error"])


def in_screen(folder: Path, command: str) -> FakeTerminal:
    sockets, settings = folder / "sockets", folder / "screenrc"
    sockets.mkdir(mode=0o700)
    settings.write_text("autodetach off\n")  # the session ends with its terminal
    environment = {
        "SCREENDIR": str(sockets),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path.cwd()),
        "XDG_CONFIG_HOME": str(folder),
    }
    return FakeTerminal(
        ["screen", "-c", str(settings), "-U", "-T", "screen-256color", "sh", "-c", command],
        "halfcell",
        environment=environment,
        version="XTerm(379)",
    )


@needs_screen
@pytest.mark.parametrize("term", ["", "xterm-256color"])
def test_screen_behind_ssh_is_recognized_and_no_string_leaks(tmp_path: Path, term: str) -> None:
    program, answer = tmp_path / "ask.py", tmp_path / "answer.json"
    program.write_text(PROBE)
    terminal = in_screen(tmp_path, f"{sys.executable} {program} {answer} '{term}' auto; sleep 600")
    try:
        wait_until(lambda: answer.exists() and answer.stat().st_size > 0)
        found = json.loads(answer.read_text())
        terminal.burst(terminal.begun, quiet=0.5)
    finally:
        terminal.close()
    assert (found["multiplexer"], found["protocol"]) == ("screen", "halfcell")
    assert not STRINGS.search(terminal.data)


@needs_screen
def test_the_app_inside_screen_shows_films_and_takes_grades(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", sides="L")
    (case,) = study.cases()
    terminal = in_screen(tmp_path, f"{sys.executable} -m ratui read {study.path} --rater anna --case {case}; sleep 600")
    try:
        assert terminal.wait_for(re.compile("▀".encode()), patience=60), terminal.data[-500:]
        terminal.burst(terminal.begun, quiet=1.5)
        time.sleep(0.5)
        terminal.press("0")
        assert terminal.wait_for(re.compile(rb"saved|last:"), patience=20), terminal.data[-500:]
        terminal.burst(terminal.press("?"), quiet=0.7)
        terminal.burst(terminal.press("?"), quiet=0.7)
        terminal.press("\x11")
        assert terminal.wait_for(re.compile(rb"films were displayed with"), patience=30)
    finally:
        terminal.close()
    assert not STRINGS.search(terminal.data)
    reading = study.reading("anna", case)
    assert reading is not None
    assert [entry.key for entry in reading.log] == ["0"]
