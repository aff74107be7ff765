"""The probe of terminals on real pseudo-terminals: capable, plain, slow, mute and faulty ones."""

import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ratui.errors import DisplayError
from ratui.terminal import parse_answers, probe
from ratui.terminal.multiplexer import TmuxClient, TmuxState

pytestmark = pytest.mark.slow

DA1_PLAIN, DA1_SIXEL = b"\x1b[?62;22c", b"\x1b[?63;1;2;4;6;9;15;22c"
TMUX_NAME, SCREEN_NAME = b"\x1bP>|tmux 3.4\x1b\\\x1b[>84;0;0c", b"\x1b[>83;40900;0c"
KITTY_OK = b"\x1b_Gi=4211;OK\x1b\\"
CELL = b"\x1b[6;20;9t"


class TestParsing:
    def test_kitty(self) -> None:
        display = parse_answers(KITTY_OK + CELL + DA1_PLAIN, 0.01)
        assert (display.protocol, display.cell) == ("kitty", (9, 20))

    def test_a_kitty_that_refuses_is_none(self) -> None:
        assert parse_answers(b"\x1b_Gi=4211;EINVAL:no\x1b\\" + DA1_PLAIN, 0.01).protocol == "halfcell"

    def test_sixel_with_as_many_greys_as_it_has_registers(self) -> None:
        assert parse_answers(DA1_SIXEL, 0.01).levels == 64
        assert parse_answers(b"\x1b[?1;0;16S" + DA1_SIXEL, 0.01).levels == 16
        assert parse_answers(b"\x1b[?1;0;16S\x1b[?1;0;1024S" + DA1_SIXEL, 0.01).levels == 64

    def test_a_terminal_of_class_64_is_not_taken_for_sixel(self) -> None:
        assert parse_answers(b"\x1b[?64;1;2c", 0.01).protocol == "halfcell"
        assert parse_answers(b"\x1b[?4c", 0.01).protocol == "halfcell"

    @pytest.mark.parametrize("answer", [b"", b"garbage", b"\x1b[6;0;0t", b"\x1b[6;99999;1t"])
    def test_an_invalid_answer_means_half_cells_of_the_usual_size(self, answer: bytes) -> None:
        display = parse_answers(answer, None)
        assert (display.protocol, display.cell, display.is_cell_measured) == ("halfcell", (10, 20), False)
        assert display.why

    def test_an_impossible_cell_size_is_replaced_by_that_of_the_system(self) -> None:
        assert parse_answers(b"\x1b[6;0;0t" + DA1_PLAIN, 0.01, cell=(8, 17)).cell == (8, 17)

    def test_inside_tmux_it_says_why_there_are_only_half_cells(self) -> None:
        display = parse_answers(DA1_PLAIN, 0.01, multiplexer="tmux")
        assert display.protocol == "halfcell"
        assert "tmux" in display.why

    def test_sixel_inside_tmux_only_if_all_its_clients_have_it(self) -> None:
        def found(*clients: TmuxClient) -> Any:
            return parse_answers(DA1_SIXEL, 0.01, multiplexer="tmux", tmux=TmuxState("3.4", False, clients))

        assert found(client("foot(1.16.2)", "sixel")).protocol == "sixel"
        display = found(client("foot(1.16.2)", "sixel"), client("XTerm(379)", "title"))
        assert display.protocol == "halfcell"
        assert "XTerm(379)" in display.why
        assert found().protocol == "halfcell", "nobody sees it, and who attaches later may have no Sixel"

    def test_sixel_inside_a_tmux_that_tells_nothing_is_not_believed(self) -> None:
        # tmux answers with attribute 4 if it was built with Sixel, whatever the terminals of its clients can.
        display = parse_answers(DA1_SIXEL, 0.01, multiplexer="tmux", tmux=None)
        assert display.protocol == "halfcell"
        assert "does not tell" in display.why

    def test_kitty_inside_tmux_by_placeholders_if_all_conditions_hold(self) -> None:
        kitty = client("kitty(0.32.2)")

        def found(tmux: TmuxState, override: str = "auto") -> Any:
            return parse_answers(DA1_PLAIN, 0.01, override=override, multiplexer="tmux", tmux=tmux)

        for override in ("auto", "kitty"):
            display = found(TmuxState("3.3a", True, (kitty,)), override)
            assert (display.protocol, display.uses_placeholders) == ("kitty", True)
        assert found(TmuxState("3.3a", False, (kitty,))).protocol == "halfcell"
        assert found(TmuxState("3.3a", True, (kitty, client("XTerm(379)")))).protocol == "halfcell"
        assert not parse_answers(KITTY_OK + DA1_PLAIN, 0.01).uses_placeholders
        with pytest.raises(DisplayError, match="tmux set -g allow-passthrough on"):
            found(TmuxState("3.3a", False, (kitty,)), "kitty")

    @pytest.mark.parametrize("protocol", ["kitty", "iterm2", "sixel"])
    @pytest.mark.parametrize("multiplexer", ["tmux", "screen"])
    def test_forced_graphics_that_a_multiplexer_does_not_pass_on_are_one_error(
        self, protocol: str, multiplexer: str
    ) -> None:
        state = TmuxState("3.4", False, (client("XTerm(379)", "title"),))
        with pytest.raises(DisplayError, match=f"inside {multiplexer}") as error:
            parse_answers(DA1_PLAIN, 0.01, override=protocol, multiplexer=multiplexer, tmux=state)
        assert "--graphics" in str(error.value)
        display = parse_answers(DA1_PLAIN, 0.01, override="halfcell", multiplexer=multiplexer, tmux=state)
        assert display.protocol == "halfcell"

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(DisplayError, match="kitty, iterm2, sixel, halfcell"):
            probe("hologram")


def client(kind: str, *features: str) -> TmuxClient:
    return TmuxClient("/dev/pts/9", 1, "xterm-256color", kind, frozenset(features), is_utf8=True, has_true_colour=True)


Answer = Callable[[int], None]

SCRIPT = """
import dataclasses, json, sys
from ratui.errors import DisplayError
from ratui.terminal import probe
try:
    print("FOUND", json.dumps(dataclasses.asdict(probe(deadline=float(sys.argv[1])))), flush=True)
except DisplayError as error:
    print("FOUND", json.dumps({"error": str(error)}), flush=True)
"""


def in_terminal(
    answer: Answer, deadline: float = 5.0, *, ended: threading.Event | None = None, **streams: Any
) -> tuple[dict[str, Any], float]:
    """Return the result of `probe` in a pseudo-terminal whose other end runs `answer`, and its duration.

    `ended` is set when `probe` has ended: an `answer` that never reads must end then.
    """
    main, sub = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(deadline)],
        **{"stdin": sub, "stderr": sub, **streams},
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(sub), os.O_RDWR)),
    )
    begun = time.monotonic()

    def run() -> None:
        try:
            answer(main)
            while os.read(main, 4096):
                pass
        except OSError:
            pass  # the child process has ended

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    out, _ = child.communicate(timeout=30)
    took = time.monotonic() - begun
    if ended is not None:
        ended.set()
    os.close(sub)
    thread.join(20)
    assert not thread.is_alive(), "it would take time from all tests that follow"
    os.close(main)
    return json.loads(out.decode().split("FOUND ")[1]), took


def terminal(*answers: bytes, after: float = 0.0, pieces: bool = False, rate: float | None = None) -> Answer:
    """Return a terminal that answers fences in turn, after `after` seconds each, taking `rate` bytes per second."""

    def answer(main: int) -> None:
        seen = b""
        for each in answers:
            while b"\x1b[c" not in seen:
                chunk = os.read(main, 1024)
                if rate:
                    time.sleep(len(chunk) / rate)
                seen += chunk
            seen = seen.split(b"\x1b[c", 1)[1]
            time.sleep(after)
            for start in range(0, len(each), 3 if pieces else len(each) or 1):
                os.write(main, each[start : start + 3] if pieces else each)
                time.sleep(0.002 if pieces else 0)

    return answer


def test_a_capable_terminal() -> None:
    display, _ = in_terminal(terminal(DA1_PLAIN, CELL + DA1_PLAIN, KITTY_OK + DA1_PLAIN, DA1_PLAIN))
    assert (display["protocol"], display["cell"]) == ("kitty", [9, 20])


def test_answers_in_pieces() -> None:
    display, _ = in_terminal(terminal(DA1_SIXEL, CELL + DA1_SIXEL, DA1_SIXEL, pieces=True))
    assert (display["protocol"], display["cell"]) == ("sixel", [9, 20])


def test_a_slow_line_is_probed_correctly_and_measured() -> None:
    long = terminal(DA1_PLAIN, CELL + DA1_PLAIN, KITTY_OK + DA1_PLAIN, DA1_PLAIN, DA1_PLAIN, after=0.4, rate=100_000)
    display, _ = in_terminal(long, deadline=2.0)
    assert display["protocol"] == "kitty"
    assert 0.4 <= display["round_trip"] < 2.0
    assert 20_000 < display["rate"] < 200_000


def test_a_near_terminal_is_not_measured() -> None:
    display, _ = in_terminal(terminal(DA1_PLAIN, CELL + DA1_PLAIN, KITTY_OK + DA1_PLAIN, DA1_PLAIN))
    if display["round_trip"] < 0.008:
        assert display["rate"] is None


def test_a_mute_terminal_is_asked_one_question_and_given_up_in_time() -> None:
    seen: list[bytes] = []

    def mute(main: int) -> None:
        while True:
            seen.append(os.read(main, 4096))

    display, seconds = in_terminal(mute, 0.3)
    assert (display["protocol"], display["round_trip"]) == ("halfcell", None)
    assert seconds < 20
    assert b"_G" not in b"".join(seen), "its answer could come late, and be taken for keys"


def test_a_terminal_that_answers_the_first_question_only() -> None:
    display, seconds = in_terminal(terminal(DA1_PLAIN), 0.3)
    assert display["protocol"] == "halfcell"
    assert seconds < 20


def test_a_terminal_that_sends_invalid_data_without_end() -> None:
    ended = threading.Event()

    def faulty(main: int) -> None:
        while not ended.is_set():
            os.write(main, b"\x1b[?1;;;\x00\xffnonsense\x1b]" * 50)

    display, seconds = in_terminal(faulty, 0.5, ended=ended)
    assert display["protocol"] == "halfcell"
    assert seconds < 20


def test_a_terminal_that_echoes_questions() -> None:
    def echo(main: int) -> None:
        while True:
            os.write(main, os.read(main, 4096))

    assert in_terminal(echo, 0.5)[0]["protocol"] == "halfcell"


def test_a_terminal_that_accepts_no_input() -> None:
    # The question fills its buffer, which nobody reads: the deadline still holds.
    display, seconds = in_terminal(lambda main: time.sleep(2), 0.5)
    assert display["protocol"] == "halfcell"
    assert seconds < 20


@pytest.mark.parametrize("stream", ["stdin", "stderr"])
def test_a_stream_that_is_not_the_terminal_is_one_clear_message(stream: str) -> None:
    found, _ = in_terminal(terminal(DA1_PLAIN), **{stream: subprocess.DEVNULL})
    assert "is not connected to the terminal. Run it without redirection" in found["error"]


def test_no_terminal_at_all_is_one_clear_message() -> None:
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT, "1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        text=True,
    )
    assert "films can only be shown in a terminal" in child.stdout


@pytest.mark.parametrize(
    ("term", "name", "multiplexer"),
    [
        pytest.param("tmux-256color", TMUX_NAME, "tmux", id="tmux"),
        pytest.param("xterm-256color", TMUX_NAME, "tmux", id="tmux under another name"),
        pytest.param("xterm-256color", b"\x1b[>84;0;0c", "tmux", id="tmux before 3.2"),
        pytest.param("screen", SCREEN_NAME, "screen", id="screen"),
        pytest.param("xterm-256color", SCREEN_NAME, "screen", id="screen under another name"),
        pytest.param("screen.xterm-256color", b"", "screen", id="a silent screen"),
        pytest.param("tmux", b"", "tmux", id="a silent tmux"),
    ],
)
def test_a_multiplexer_gets_no_string_which_it_would_show_as_title(
    monkeypatch: pytest.MonkeyPatch, term: str, name: bytes, multiplexer: str
) -> None:
    # ssh forwards TERM alone: that the terminal is a multiplexer is seen by its answers.
    for variable in ("TMUX", "STY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", term)
    seen: list[bytes] = []

    def answer(main: int) -> None:
        for reply in (DA1_SIXEL, name + CELL + DA1_SIXEL):
            heard = b""
            while b"\x1b[c" not in heard:
                heard += os.read(main, 1024)
            seen.append(heard)
            os.write(main, reply)
        while True:
            seen.append(os.read(main, 1024))

    display, _ = in_terminal(answer)
    assert (display["protocol"], display["multiplexer"]) == ("halfcell", multiplexer)
    assert display["cell"] == [9, 20]
    for string in (b"\x1b_", b"\x1bP", b"\x1b]", b"\x1bX", b"\x1b^"):
        assert string not in b"".join(seen)


def test_a_terminal_started_inside_tmux_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    # A terminal window that was opened by a command in tmux inherits its environment.
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    monkeypatch.setenv("TERM", "screen-256color")
    name = b"\x1bP>|kitty(0.32.2)\x1b\\\x1b[>1;4000;32c"
    display, _ = in_terminal(terminal(DA1_PLAIN, name + CELL + DA1_PLAIN, KITTY_OK + DA1_PLAIN, DA1_PLAIN))
    assert (display["protocol"], display["multiplexer"], display["terminal"]) == ("kitty", "", "kitty(0.32.2)")
