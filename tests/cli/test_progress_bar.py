"""Progress bars: one line per stage in a log, a bar on a terminal, and nothing on standard output."""

import atexit
import io
import sys
from collections.abc import Callable

import pytest

from ratui.progress_bar import ProgressBar


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], _Terminal]:
    """Return a function that makes standard error a terminal; called in the test, because pytest replaces it before."""

    def make() -> _Terminal:
        stream = _Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return make


def test_a_log_gets_one_line_for_each_finished_stage(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar()
    for done in range(4):
        bar("importing", done, 3)
    bar("reading", 1, 2)
    captured = capsys.readouterr()
    assert captured.err == "importing: 3\n"
    assert captured.out == ""


def test_a_log_stays_empty_without_log_stages(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressBar(log_stages=False)("checking", 3, 3)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_ends_with_its_stage(terminal: Callable[[], _Terminal]) -> None:
    stream = terminal()
    bar = ProgressBar()
    bar("importing [red]", 1, 4)
    assert "importing [red]" in stream.getvalue()
    assert "1/4" in stream.getvalue()
    assert "\x1b[?25h" not in stream.getvalue()
    bar("importing [red]", 4, 4)
    assert "4/4" in stream.getvalue()
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1
    assert sys.stderr is stream


def test_a_new_stage_ends_the_bar_of_the_one_before(terminal: Callable[[], _Terminal]) -> None:
    stream = terminal()
    bar = ProgressBar()
    bar("drawing", 1, 4)
    bar("reading", 1, 2)
    assert stream.getvalue().count("\x1b[?25h") == 1
    bar.close()
    assert stream.getvalue().count("\x1b[?25h") == 2


def test_a_note_replaces_the_numbers(terminal: Callable[[], _Terminal]) -> None:
    stream = terminal()
    bar = ProgressBar()
    bar("scorer", 0.25, 1.0, "epoch 1")
    assert "epoch 1" in stream.getvalue()
    assert "0.25" not in stream.getvalue()
    bar.close()


def test_a_stage_without_units_is_full_at_once(terminal: Callable[[], _Terminal]) -> None:
    stream = terminal()
    ProgressBar()("importing", 0, 0)
    assert "━" * 24 in stream.getvalue()


def test_the_cursor_returns_when_the_program_ends_early(
    terminal: Callable[[], _Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = terminal()
    registered = []
    monkeypatch.setattr(atexit, "register", registered.append)
    ProgressBar()("importing", 1, 4)
    assert "\x1b[?25h" not in stream.getvalue()
    for function in registered:
        function()
    assert "\x1b[?25h" in stream.getvalue()


def test_standard_output_is_not_redirected(
    terminal: Callable[[], _Terminal], capsys: pytest.CaptureFixture[str]
) -> None:
    stream = terminal()
    bar = ProgressBar()
    bar("importing", 1, 4)
    print("result")
    bar.close()
    assert "result" not in stream.getvalue()
    assert "result" in capsys.readouterr().out
