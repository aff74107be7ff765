"""Tests of the software terminal, on programs that ask it questions."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.fake_terminal import FakeTerminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").exists(), reason="needs a Unix terminal of Linux"),
]

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys, time, tty
tty.setcbreak(0)
for part in {parts!r}:
    os.write(1, part)
    time.sleep(0.1)
answer = b""
while not answer.endswith({end!r}):
    answer += os.read(0, 1)
print("read", answer, "end")
"""

Start = Callable[..., FakeTerminal]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a program in a terminal of a kind; the end of the test closes it."""
    with ExitStack() as stack:

        def begin(command: list[str], kind: str) -> FakeTerminal:
            terminal = FakeTerminal([sys.executable, *command], kind, folder=ROOT)
            stack.callback(terminal.close)
            return terminal

        yield begin


def read_answer(terminal: FakeTerminal) -> str:
    assert terminal.wait_for(re.compile(rb"read .* end"), patience=30), terminal.describe()
    found = re.search(rb"read b'(.*)' end", terminal.data)
    assert found
    return found[1].decode()


@pytest.mark.parametrize(
    "parts",
    [
        [b"\x1b[16t\x1b_Gi=7,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"],
        [b"\x1b[1", b"6t\x1b_Gi=7,s=1,v=1,a=q,t=d", b",f=24;AAAA\x1b", b"\\\x1b", b"[c"],
        [b"text" * 100 + b"\x1b[16t", b"\x1b_Gi=7,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\", b"text" * 100 + b"\x1b[c"],
    ],
    ids=["together", "split", "amid text"],
)
def test_each_question_has_one_answer_in_the_order_of_the_questions(start: Start, parts: list[bytes]) -> None:
    terminal = start(["-c", PROGRAM.format(parts=parts, end=b"c")], "kitty")
    assert read_answer(terminal) == r"\x1b[6;20;10t\x1b_Gi=7;OK\x1b\\\x1b[?62;22c"
    assert [each.sequence[:4] for each in terminal.questions] == [b"\x1b[16", b"\x1b_Gi", b"\x1b[c"]
    assert all(each.answered and each.answered >= each.asked for each in terminal.questions)


def test_the_description_names_questions_without_an_answer(start: Start) -> None:
    terminal = start(["-c", PROGRAM.format(parts=[b"\x1b[?1;1;0S", b"\x1b[c"], end=b"c")], "kitty")
    read_answer(terminal)
    terminal.process.wait(20)
    state, *questions, output = terminal.describe().splitlines()
    assert state == "The program has ended with exit code 0."
    assert re.fullmatch(r"It asked b'\\x1b\[\?1;1;0S' after .* s: a kitty terminal does not answer\.", questions[0])
    assert re.fullmatch(r"It asked b'\\x1b\[c' after .* s: answered b'\\x1b\[\?62;22c' after .* s\.", questions[1])
    assert len(questions) == 2
    assert "read" in output


def test_a_mute_terminal_hears_the_question_and_does_not_answer(start: Start) -> None:
    terminal = start(["-c", PROGRAM.format(parts=[b"\x1b[c"], end=b"c")], "mute")
    assert terminal.wait_for(re.compile(rb"\x1b\[c"), patience=30)
    terminal.press("c")
    assert read_answer(terminal) == "c"
    assert [(each.sequence, each.answer, each.answered) for each in terminal.questions] == [(b"\x1b[c", b"", None)]


@pytest.mark.parametrize("protocol", ["kitty", "sixel", "halfcell"])
def test_textual_image_asks_before_textual_reads_the_input(start: Start, protocol: str) -> None:
    """Show that two readers of one input take each other's answers: the comparison app would wait for ever."""
    terminal = start(["-m", "benchmarks.frames_app", "stock", protocol], protocol)
    assert terminal.wait_for(re.compile(rb"\x1b\[\?1049h"), patience=60), terminal.describe()
    assert b"\x1b[c" in terminal.data.split(b"\x1b[?1049h")[0], terminal.describe()


def test_a_program_sees_the_size_of_this_terminal_and_not_that_around_the_tests(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "33")
    monkeypatch.setenv("LINES", "11")
    terminal = start(["-c", "import shutil; print(*shutil.get_terminal_size())"], "mute")
    assert terminal.wait_for(re.compile(rb"100 30"), patience=30), terminal.describe()
