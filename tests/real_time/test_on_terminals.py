"""The whole app on terminals of all kinds: each leads to a readable screen or to one clear message."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ratui.study import Study
from tests.films import make_study
from tests.support.fake_terminal import GRAPHICS, FakeTerminal

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux"),
]
PLACED = re.compile(rb"\x1b_Ga=p,i=(\d+),p=(\d+)")
SENT = re.compile(rb"\x1b_Ga=t,[^;]*i=(\d+)")
REMOVED = re.compile(rb"\x1b_Ga=d,d=i,i=(\d+),p=(\d+)")


@contextmanager
def reading(study: Study, kind: str, *options: str, **more: object) -> Iterator[FakeTerminal]:
    (case,) = study.cases()
    command = [sys.executable, "-m", "ratui", "read", str(study.path), "--rater", "anna", "--case", case, *options]
    home = {"XDG_CONFIG_HOME": str(study.path.parent), "LANG": "C.UTF-8"}
    terminal = FakeTerminal(command, kind, environment=home, **more)  # type: ignore[arg-type]
    try:
        yield terminal
    finally:
        terminal.close()


def wait(terminal: FakeTerminal, wanted: str | bytes | re.Pattern[bytes], since: float = 0.0) -> float:
    pattern = (
        wanted
        if isinstance(wanted, re.Pattern)
        else re.compile(re.escape(wanted if isinstance(wanted, bytes) else wanted.encode()))
    )
    found = terminal.wait_for(pattern, since, patience=60)
    assert found is not None, terminal.data[-600:]
    return found


def wait_for_films(terminal: FakeTerminal, since: float) -> None:
    """Wait until both films of a joint were painted after `since`, and a person can have seen them."""
    assert terminal.wait_for_fences(2, since), terminal.describe()
    terminal.burst(since, quiet=0.5)


def wait_for_answers(study: Study, count: int) -> None:
    """Wait until the reading of the only case on the disk has `count` entries."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        kept = study.reading("anna", study.cases()[0])
        if kept is not None and len(kept.log) >= count:
            return
        time.sleep(0.05)
    pytest.fail(f"{count} answers are not on the disk")


def stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


@pytest.mark.parametrize("kind", ["kitty", "sixel", "halfcell", "mute"])
def test_films_are_shown_and_the_terminal_is_left_as_it_was(tmp_path: Path, kind: str) -> None:
    with reading(make_study(tmp_path, sides="L"), kind) as terminal:
        wait(terminal, GRAPHICS)
        wait(terminal, "LEFT")
        terminal.press("\x11")
        wait(terminal, "films were displayed with " + {"mute": "halfcell"}.get(kind, kind))
        assert terminal.process.wait(20) == 0
        assert terminal.data.rindex(b"\x1b[?1049l") > terminal.data.rindex(b"\x1b[?1049h")


def test_a_terminal_of_no_size_gets_a_screen_of_the_usual_one(tmp_path: Path) -> None:
    with reading(make_study(tmp_path, sides="L"), "halfcell", size=(0, 0)) as terminal:
        wait(terminal, GRAPHICS)
        wait(terminal, "LEFT")


def test_back_at_a_joint_nothing_is_sent_again(tmp_path: Path) -> None:
    with reading(make_study(tmp_path, sides="L"), "kitty") as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        terminal.burst(terminal.press("\x1b[C"), quiet=1.0)
        burst = terminal.burst(terminal.press("\x1b[D"), quiet=1.0)
        assert len(PLACED.findall(burst.data)) == 2
        assert not SENT.search(burst.data)
        assert burst.size < 5_000


def test_films_that_the_terminal_has_lost_are_sent_again_before_an_answer_counts(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    with reading(study, "kitty") as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        lost: list[int] = []

        def lose_once(image: int) -> bool:
            lost.append(image)
            return lost.count(image) == 1

        terminal.loses = lose_once
        burst = terminal.burst(terminal.press("\x1b[C"), quiet=1.0)
        placed = [int(image) for image, _ in PLACED.findall(burst.data)]
        assert sorted(placed) == sorted(2 * [*set(placed)]), "both films twice"
        assert {int(image) for image in re.findall(rb"\x1b_Ga=t,[^;]*i=(\d+)", burst.data)} >= set(placed)
        terminal.loses = lambda image: True
        since = terminal.press("\x1b[C")
        terminal.burst(since, quiet=1.0)
        terminal.burst(terminal.press("0"), quiet=1.0)
        terminal.loses = lambda image: False
        since = terminal.press("\x1b[D")
        wait_for_films(terminal, since)
        terminal.press("0")
        wait_for_answers(study, 1)
        kept = study.reading("anna", study.cases()[0])
        assert kept is not None
        assert {field.site for field in kept.values} == {"L.PIP2"}, "no answer where the films are lost"


def test_a_kitty_on_this_machine_takes_films_from_memory_and_none_is_left(tmp_path: Path) -> None:
    with reading(make_study(tmp_path, sides="L"), "kitty", is_local=True) as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        assert len(terminal.images) >= 6, "the films of this joint, and of the next ones in advance"
        burst = terminal.burst(terminal.press("\x1b[C"), quiet=1.0)
        placed = {int(image) for image, _ in PLACED.findall(burst.data)}
        assert len(placed) == 2
        assert placed <= set(terminal.images)
        assert burst.size < 5_000
        assert b"f=100" not in terminal.data, "no pixels go through the line"
        terminal.takes_output = False
        terminal.resize(90, 28)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        mine = f"tty-graphics-protocol-ratui-{terminal.process.pid}-*"
        for _ in range(200):
            if left := list(Path("/dev/shm").glob(mine)):
                break
            time.sleep(0.05)
        assert left, "films in another size, which the terminal does not take now"
        os.kill(terminal.process.pid, signal.SIGTERM)
        assert terminal.process.wait(30) == 128 + signal.SIGTERM
        assert not list(Path("/dev/shm").glob(mine))


def test_a_key_sends_each_film_once(tmp_path: Path) -> None:
    with reading(make_study(tmp_path, sides="L"), "sixel") as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        assert terminal.burst(terminal.press("n"), quiet=1.0).data.count(b"\x1bP") == 2
        assert terminal.burst(terminal.press("0"), quiet=1.0).data.count(b"\x1bP") == 0, "the same joint"


def test_help_leaves_no_ghost_of_a_film_and_the_films_come_back(tmp_path: Path) -> None:
    with reading(make_study(tmp_path, sides="L"), "kitty") as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        burst = terminal.burst(terminal.press("?"), quiet=1.0)
        assert len(REMOVED.findall(burst.data)) == 2
        assert not PLACED.search(burst.data)
        burst = terminal.burst(terminal.press("?"), quiet=1.0)
        assert len(set(PLACED.findall(burst.data))) == 2
        assert burst.data.rindex(b"\x1b_Ga=p") > burst.data.rindex(b"LEFT"), "after the cells under them"


def test_after_ctrl_z_and_fg_the_films_are_sent_anew(tmp_path: Path) -> None:
    with reading(make_study(tmp_path, sides="L"), "kitty") as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        since = terminal.press("\x1a")
        wait(terminal, b"\x1b[?1049l", since)
        for _ in range(1200):
            if stopped(terminal.process.pid):
                break
            time.sleep(0.05)
        assert stopped(terminal.process.pid), "to go on before it has stopped would be no going on"
        since = time.monotonic()
        os.kill(terminal.process.pid, signal.SIGCONT)
        wait(terminal, SENT, since)
        burst = terminal.burst(since, quiet=0.8)
        placed = {image for image, _ in PLACED.findall(burst.data)}
        assert len(placed) == 2
        assert placed <= set(SENT.findall(burst.data))
        assert burst.data.rindex(b"\x1b_Ga=p") > burst.data.rindex(b"LEFT"), "after the cells under them"


@pytest.mark.parametrize("kind", ["kitty", "sixel", "halfcell"])
def test_another_size_brings_other_frames(tmp_path: Path, kind: str) -> None:
    with reading(make_study(tmp_path, sides="L"), kind) as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        since = time.monotonic()
        terminal.resize(70, 22)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        burst = terminal.burst(since, quiet=1.0, least=2000)
        assert GRAPHICS.search(burst.data)


def test_a_larger_font_brings_other_frames_though_the_rows_stay(tmp_path: Path) -> None:
    with reading(make_study(tmp_path, sides="L"), "kitty") as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        since = time.monotonic()
        terminal.cell = (14, 28)
        terminal.resize(100, 30)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        wait(terminal, SENT, since)


def test_an_answer_that_comes_late_enters_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    with reading(study, "mute") as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        terminal.press("\x1b[?62;4;22c")
        time.sleep(0.5)
        terminal.press("\x1b_Gi=4211;OK\x1b\\\x1b[?62;2c")
        time.sleep(0.5)
        terminal.press("\x11")
        terminal.process.wait(20)
    reading_now = study.reading("anna", study.cases()[0])
    assert reading_now is None or not reading_now.values


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((b";4c",), id="the end alone"),
        pytest.param((b"\x1b[?62", b";4c"), id="in two parts"),
        pytest.param(tuple(bytes([each]) for each in b";4c"), id="byte by byte"),
        pytest.param((b"rgb:1e1e/1e1e/1e1e\a",), id="a colour"),
        pytest.param((b">|xterm(390)\x1b\\",), id="a version"),
    ],
)
def test_the_end_of_an_answer_enters_nothing_and_grades_still_do(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    study = make_study(tmp_path, sides="L")
    with reading(study, "halfcell") as terminal:
        wait_for_films(terminal, wait(terminal, "▀"))  # a half block, which only films have
        since = time.monotonic()
        for part in parts:
            terminal.press(part)
            time.sleep(0.005 if len(parts) == 3 else 0.8)
        if parts[0][:1] != b"\x1b":
            wait(terminal, "Input ignored", since)
        time.sleep(1.0)  # digits that arrive within 0.9 s can be the rest of the answer
        since = terminal.press("01")
        wait_for_answers(study, 2)
        wait_for_films(terminal, since)  # of the next joint
        terminal.press("12")
        wait_for_answers(study, 4)
        terminal.press("\x11")
        terminal.process.wait(20)
    kept = study.reading("anna", study.cases()[0])
    assert kept is not None
    assert [entry.key for entry in kept.log] == [*"0112"]


def test_on_a_slow_line_a_coarse_film_comes_first_and_keys_are_taken(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    with reading(study, "kitty", rate=100_000.0, delay=0.03) as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=3.0, patience=30)
        next_joint = terminal.burst(terminal.press("\x1b[C"), quiet=0.2, least=1000)
        assert len(PLACED.findall(next_joint.data)) == 2, "its films were sent in advance"
        assert next_joint.size < 5_000
        since = terminal.press("\x1b[C" * 3)  # two of them were sent in advance at most
        burst = terminal.burst(since, quiet=4.0, patience=30)
        sizes = [len(data) for data in re.findall(rb"\x1b_Ga=t.*?\x1b_Ga=p", burst.data, re.DOTALL)]
        assert len(sizes) == 4, "two coarse and two fine"
        assert max(sizes[:2]) < min(sizes[2:])
        terminal.press("0000")
        wait(terminal, "last:", time.monotonic())
        terminal.press("\x11")
        terminal.process.wait(20)
    kept = study.reading("anna", study.cases()[0])
    assert kept is not None
    assert len(kept.values) == 4


@pytest.mark.parametrize("kind", ["kitty", "sixel", "halfcell"])
def test_films_name_and_fields_of_a_joint_change_in_one_update(tmp_path: Path, kind: str) -> None:
    with reading(make_study(tmp_path, sides="L"), kind) as terminal:
        wait(terminal, GRAPHICS)
        terminal.burst(terminal.begun, quiet=1.0)
        burst = terminal.burst(terminal.press("\x1b[C"), quiet=1.0)
        updates = re.findall(rb"\x1b\[\?2026h.*?\x1b\[\?2026l", burst.data, re.DOTALL)
        named = [update for update in updates if b"PIP2" in update]
        assert len(named) == 1
        drawn = [update for update in updates if GRAPHICS.search(update)]
        assert drawn == named, "no film of one joint under the name of another"
        if kind == "kitty":
            assert len({place for _, place in PLACED.findall(named[0])}) == 2
        assert b"\x1b[6n" not in named[0], "the question comes after the update, when the films are on the screen"
