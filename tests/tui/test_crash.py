"""The end of the app: the terminal is restored, no value is printed, and every entry is on the disk."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ratui.errors import RatuiError
from ratui.study import Study
from ratui.tui import RatuiApp
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.films import make_study
from tests.support.fake_terminal import GRAPHICS, FakeTerminal
from tests.support.faulty_ratui import FAULTS, ShownFault
from tests.tui.conftest import reading_as

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux"),
]
ROOT = Path(__file__).parents[2]
MODES = (b"1049", b"1000", b"1003", b"1006", b"1015", b"2004", b"1004")
"""Modes that the app switches on: the alternate screen, the mouse, pasted text, focus."""
UPLOADED = re.compile(rb"\x1b_Ga=t,[^;]*i=(\d+)")


@contextmanager
def faulty(
    study: Study,
    kind: str,
    terminal_kind: str = "kitty",
    ignored: signal.Signals | None = None,
    **environment: str,
) -> Iterator[FakeTerminal]:
    """Read the only case of `study` with a fault of `kind` at the key f; yield when an entry has been saved.

    The program is started with the signal `ignored` ignored, as ``nohup`` does.
    """
    (case,) = study.cases()
    folder = study.path.parent
    home = {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "LANG": "C.UTF-8"}
    command = [sys.executable, "-m", "tests.support.faulty_ratui", kind, "read", str(study.path), "--rater", "anna"]
    command += ["--case", case]
    if ignored is not None:
        command = ["sh", "-c", f'trap "" {ignored.value}; exec "$@"', "sh", *command]
    terminal = FakeTerminal(command, terminal_kind, environment=home | environment, folder=ROOT)
    try:
        assert terminal.wait_for(GRAPHICS, patience=60), terminal.data[-600:]
        assert terminal.wait_for(re.compile(b"LEFT"), patience=60), terminal.data[-600:]
        assert not terminal.is_cooked
        terminal.burst(terminal.begun, quiet=0.5)  # an answer counts only after its films were painted
        since = terminal.press("0")
        assert terminal.wait_for(re.compile(b"saved"), since, patience=60), terminal.data[-600:]
        yield terminal
    finally:
        terminal.close()


def end(terminal: FakeTerminal) -> bytes:
    """Wait for the end of the program and return everything that it wrote."""
    terminal.process.wait(30)
    terminal.burst(terminal.begun, quiet=0.1)
    return terminal.data


def assert_restored(terminal: FakeTerminal, data: bytes) -> None:
    assert terminal.is_cooked
    for mode in MODES:
        assert data.rindex(b"\x1b[?%sl" % mode) > data.rindex(b"\x1b[?%sh" % mode), mode
    assert data.rindex(b"\x1b[?25h") > data.rindex(b"\x1b[?25l")
    assert data.count(b"\x1b[<u") == len(re.findall(rb"\x1b\[>\d+u", data)) == 1
    uploaded = set(UPLOADED.findall(data))
    assert uploaded
    for image in uploaded:  # before the app leaves the alternate screen, whose content is lost
        assert data.rindex(b"a=d,d=I,i=%s," % image) < data.rindex(b"\x1b[?1049l")


def assert_entry_is_saved(study: Study) -> None:
    (case,) = study.cases()
    with study.open_reading("anna", case) as session:  # the lock of the reading is free
        assert [entry.key for entry in session.reading.log] == ["0"]


@pytest.mark.parametrize("kind", ["handler", "timer", "thread", "render", "mount", "input", "close"])
def test_a_fault_ends_the_app_without_a_value(tmp_path: Path, kind: str) -> None:
    study = make_study(tmp_path, sides="L")
    with faulty(study, kind) as terminal:
        terminal.press("f")
        while kind == "input" and terminal.process.poll() is None:
            terminal.press("f")
            time.sleep(0.3)
        data = end(terminal)
        assert terminal.process.returncode == 70
        assert_restored(terminal, data)
    log = tmp_path / "state" / "ratui" / "log" / "ratui.log"
    sentence = f"ratui: a fault of the program ended it; saved entries are safe, and the log is at {log}\r\n"
    assert sentence in data[data.rindex(b"\x1b[?1049l") :].decode()
    assert b"SECRET" not in data
    text = log.read_text()
    assert "SECRET" not in text
    assert "tests/support/faulty_ratui.py" in text
    assert re.search(r"ValueError\n  .*, line \d+, ", text)
    assert "textual 8" in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
    assert_entry_is_saved(study)


def test_an_app_that_hangs_after_a_fault_is_ended_and_says_so_where_no_log_can_be_written(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    with faulty(study, "hang", XDG_STATE_HOME="/dev/null") as terminal:
        terminal.press("f")
        data = end(terminal)
        assert terminal.process.returncode == 70
        assert_restored(terminal, data)
    assert data.endswith(
        b"ratui: a fault of the program ended it; saved entries are safe, and no log could be written\r\n"
    )
    assert b"SECRET" not in data
    assert_entry_is_saved(study)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_app_and_leaves_the_terminal_as_it_was(tmp_path: Path, number: signal.Signals) -> None:
    study = make_study(tmp_path, sides="L")
    with faulty(study, "handler") as terminal:
        os.kill(terminal.process.pid, number)
        data = end(terminal)
        assert terminal.process.returncode == 128 + number
        assert_restored(terminal, data)
    assert data.endswith(b"ratui: ended by %s; saved entries are safe\r\n" % number.name.encode())
    assert not (tmp_path / "state").exists()
    assert_entry_is_saved(study)


@pytest.mark.parametrize("is_ignored", [False, True])
def test_the_app_ends_when_its_terminal_is_gone(tmp_path: Path, is_ignored: bool) -> None:
    """Do so also where the signal of it is ignored, as in a program that ``nohup`` has started."""
    study = make_study(tmp_path, sides="L")
    with faulty(study, "handler", ignored=signal.SIGHUP if is_ignored else None) as terminal:
        terminal.hang_up()
        begun = time.monotonic()
        assert terminal.process.wait(20) == 128 + signal.SIGHUP
        assert time.monotonic() - begun < 4, "it hung and was ended"
    assert not (tmp_path / "state").exists()
    assert_entry_is_saved(study)


def test_an_app_that_hangs_is_ended_when_its_terminal_is_gone(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    with faulty(study, "hang without a fault", ignored=signal.SIGHUP) as terminal:
        terminal.press("f")
        time.sleep(0.5)
        terminal.hang_up()
        assert terminal.process.wait(30) == 128 + signal.SIGHUP
    assert_entry_is_saved(study)


def test_a_terminal_that_takes_no_output_does_not_keep_the_app_from_ending(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    with faulty(study, "handler") as terminal:
        terminal.takes_output = False
        terminal.press("\x1b[C" * 200)
        time.sleep(1.0)
        os.kill(terminal.process.pid, signal.SIGTERM)
        assert terminal.process.wait(20) == 128 + signal.SIGTERM
        assert terminal.is_cooked
    assert_entry_is_saved(study)


def test_a_signal_while_the_terminal_is_asked_what_it_can_show_restores_echo(tmp_path: Path) -> None:
    terminal = FakeTerminal([sys.executable, "-m", "ratui", "doctor"], "mute", folder=ROOT)
    try:
        assert terminal.wait_for(re.compile(rb"\x1b\[c"), patience=30)
        while terminal.is_cooked:
            time.sleep(0.01)
        os.kill(terminal.process.pid, signal.SIGTERM)
        assert terminal.process.wait(10) == 128 + signal.SIGTERM
        assert terminal.is_cooked
    finally:
        terminal.close()


async def set_off(study: Study, kind: str, apps: list[RatuiApp]) -> None:
    """Set the fault of `kind` off in an app without a terminal, which is added to `apps`; raise the fault."""
    async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
        app = pilot.app
        assert isinstance(app, RatuiApp)
        apps.append(app)
        await pilot.pause()
        assert isinstance(app.screen, ScoringScreen)
        FAULTS[kind](app.screen)
        for _ in range(500):
            if app.fault is not None:
                break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("shown", ShownFault),
        ("known", RatuiError),
        ("interval", ValueError),
        ("call_later", ValueError),
        ("worker", ValueError),
        ("task", ValueError),
        ("loop", ValueError),
        ("keys", ValueError),
        ("compose", ValueError),
    ],
)
async def test_textual_reports_no_fault_itself(
    tmp_path: Path, kind: str, expected: type[Exception], capfd: pytest.CaptureFixture[str]
) -> None:
    study = make_study(tmp_path, sides="L")
    apps: list[RatuiApp] = []
    with pytest.raises(expected):
        await set_off(study, kind, apps)
    (app,) = apps
    assert isinstance(app.fault, expected)
    assert app.return_code == 70
    shown = capfd.readouterr()
    assert shown.out + shown.err == ""


def test_an_error_that_no_screen_handles_is_printed_as_elsewhere(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    with faulty(study, "known", "halfcell") as terminal:
        terminal.press("f")
        data = end(terminal)
    assert terminal.process.returncode == 1
    assert data.endswith(b"ratui: here: the study is gone. Bring it back\r\n")
