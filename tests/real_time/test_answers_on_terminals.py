"""Answers of the whole app in real pseudo-terminals: only films that the terminal has painted can be answered."""

from __future__ import annotations

import bisect
import itertools
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ratui.reading import Reading, start_reading
from ratui.study import Study
from ratui.terminal import FENCE_ROW
from ratui.tui.entry.answer_gate import REACTION_SECONDS
from tests.films import make_study
from tests.support.fake_terminal import FakeTerminal, Question

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux"),
]
KINDS = ("halfcell", "sixel", "kitty")
FENCE = re.compile(rb"\x1b\[%d;\d+H\x1b\[6n" % FENCE_ROW)
FRAME = {
    "kitty": re.compile(rb"\x1b_Ga=p,i=\d+,p=(\d+)[^\x1b]*\x1b\\"),
    "sixel": re.compile(rb"\x1b\[(\d+;\d+)H\x1bP[^\x1b]*\x1b\\"),
    "halfcell": re.compile(rb"\x1b\[(\d+;\d+)H(?:\x1b\[[\d;]*m| )*\xe2\x96\x80"),
}
"""By kind of terminal: the end of an image, or a line of half-cells. The group is its place."""
LEFT, RIGHT, TAB, ESCAPE = "\x1b[D", "\x1b[C", "\t", "\x1b"
CONTROL = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[78]|[P_][^\x1b]*\x1b\\)|\xe2\x96\x80")
REFUSED = re.compile(rb"key was ignored|was typed before|held down")
MARGIN = 0.05
"""Seconds by which a simulated rater is slower than necessary, because a busy machine notes times too late."""


@dataclass
class Desk:
    """A terminal with the app, in front of the first joint of a case."""

    study: Study
    terminal: FakeTerminal
    places: frozenset[bytes] = frozenset()
    """Places of the frames of the first joint."""

    def read(self) -> Reading:
        """Return the stored reading; one without answers if there is none yet."""
        (case,) = self.study.cases()
        new = start_reading(self.study.scheme, case, "anna", self.study.case(case).sites(self.study.scheme))
        return self.study.reading("anna", case) or new

    def answered(self) -> list[str]:
        """Return the keys of the joints that have an answer, in the order of the answers."""
        return list(dict.fromkeys(field.site for field in self.read().values))

    def painted(self, since: float) -> list[float]:
        """Return the times at which the terminal has painted a frame since `since`."""
        return [
            each.asked for each in self.terminal.questions if each.asked >= since and FENCE.fullmatch(each.sequence)
        ]

    def wait_until_painted(self, since: float, frames: int = 2) -> float:
        """Wait until the terminal has painted `frames` frames since `since`; return the time of the last of them."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if len(found := self.painted(since)) >= frames:
                return found[frames - 1]
            time.sleep(0.002)
        raise AssertionError(f"{len(self.painted(since))} of {frames} frames.\n{self.terminal.describe()}")

    def find_places(self, since: float) -> list[tuple[bytes, float]]:
        """Return each place at which a frame was painted since `since`, with its first time, in the order of the times."""
        with self.terminal._lock:
            chunks = [(when, chunk) for when, chunk in self.terminal._log if when >= since]
        ends = list(itertools.accumulate(len(chunk) for _, chunk in chunks))
        found: dict[bytes, float] = {}
        for frame in FRAME[self.terminal.kind].finditer(b"".join(chunk for _, chunk in chunks)):
            found.setdefault(frame[1], chunks[bisect.bisect_left(ends, frame.end())][0])
        return list(found.items())

    def wait_for_joint(self, since: float) -> float:
        """Wait until both films of another joint were painted since `since`; return the time at which they were."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = dict(self.find_places(since))
            if self.places <= found.keys():
                return max(found[place] for place in self.places)
            time.sleep(0.01)
        raise AssertionError(f"{len(found)} of {len(self.places)} places.\n{self.terminal.describe()}")

    def look(self, since: float, frames: int = 2, seconds: float = 0.5) -> None:
        """Wait until the terminal has painted `frames` frames since `since`, and look at them for `seconds`."""
        painted = self.wait_until_painted(since, frames)
        time.sleep(max(painted + seconds - time.monotonic(), 0.0))

    def wait_for_text(self, text: str, since: float = 0.0) -> None:
        found = self.terminal.wait_for(re.compile(re.escape(text.encode())), since, patience=20)
        assert found is not None, f"no {text!r}.\n{self.terminal.describe()}"

    def read_screen(self, since: float) -> str:
        """Return the texts that were written since `since`."""
        return CONTROL.sub(b"", self.terminal.burst(since, quiet=0.0, patience=0.0).data).decode(errors="replace")

    def answers(self, key: str = "n") -> bool:
        """Press `key`, and return True if that makes an answer."""
        before = len(self.read().log)
        self.terminal.press(key)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if len(self.read().log) > before:
                return True
            time.sleep(0.02)
        return False


@contextmanager
def open_case(folder: Path, kind: str, *, study: Study | None = None, **more: object) -> Iterator[Desk]:
    """Run the app on a terminal of `kind` with the only case of `study`, and wait until its first joint is painted."""
    folder.mkdir(parents=True, exist_ok=True)
    study = study or make_study(folder, sides="L")
    (case,) = study.cases()
    command = [sys.executable, "-m", "ratui", "read", str(study.path), "--rater", "anna", "--case", case]
    environment = {"XDG_CONFIG_HOME": str(folder), "LANG": "C.UTF-8"}
    terminal = FakeTerminal(command, kind, environment=environment, **more)  # type: ignore[arg-type]
    try:
        desk = Desk(study, terminal)
        desk.look(terminal.begun, seconds=0.7)
        places = [place for place, _ in desk.find_places(terminal.begun)]
        if kind == "sixel":  # over a line that was slow for a moment, an image comes in strips
            places = [place for place in places if _row(place) == min(map(_row, places))]
        desk.places = frozenset(places)
        yield desk
    finally:
        terminal.close()


def _row(place: bytes) -> int:
    return int(place.split(b";")[0])


def in_parallel(tasks: Sequence[Callable[[], object]], at_once: int = 6) -> None:
    """Run `tasks` in threads, `at_once` at the same time; raise the first error."""
    with ThreadPoolExecutor(at_once) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()


def hold(terminal: FakeTerminal, key: str, delay: float, seconds: float = 3.0, rate: float = 30.0) -> None:
    """Hold `key` down for `seconds`: the first repeat comes after `delay` seconds, then `rate` repeats a second."""
    begun = terminal.press(key)
    for number in range(round((seconds - delay) * rate)):
        time.sleep(max(begun + delay + number / rate - time.monotonic(), 0.0))
        terminal.press(key)


def press_until_answered(desk: Desk, number: int) -> None:
    """Check that the press of a held key itself answers joint `number`.

    A busy machine may have delivered the press and its repeats together, or too early. The key is then held again.
    """
    for _ in range(3):
        if len(desk.answered()) == number:
            return
        since = time.monotonic()
        hold(desk.terminal, "n", 0.66)
        desk.terminal.burst(time.monotonic() - 0.01, quiet=0.5)
        desk.wait_for_text("held down", since)
    assert len(desk.answered()) == number, "the press itself is an answer"


def test_a_key_that_is_held_down_answers_at_most_one_joint(tmp_path: Path) -> None:
    def hold_twice(kind: str, key: str) -> None:
        with open_case(tmp_path / kind / key, kind) as desk:
            for number, delay in enumerate((0.25, 0.66), start=1):
                since = time.monotonic()
                hold(desk.terminal, key, delay)
                desk.terminal.burst(time.monotonic() - 0.01, quiet=0.5)
                desk.wait_for_text("held down", since)
                assert len(desk.answered()) <= number, f"{kind}: {key} after {delay} s"
                if key == "n":
                    press_until_answered(desk, number)
            assert all(entry.note == "the key was held down" for entry in desk.read().log if entry.kind == "undo")

    held = zip(KINDS, "n0n", strict=True)
    in_parallel([lambda kind=kind, key=key: hold_twice(kind, key) for kind, key in held], at_once=2)


def test_two_hundred_keys_at_once_fill_no_joint_that_was_not_painted(tmp_path: Path) -> None:
    inputs = ("n" * 200, "0123" * 50, f"n0{RIGHT}0{RIGHT}n" * 25, f"0{TAB}1=" * 50)

    def type_at_once(number: int, keys: str) -> None:
        with open_case(tmp_path / str(number), KINDS[number % len(KINDS)]) as desk:
            desk.terminal.press(keys)
            desk.terminal.burst(time.monotonic() - 0.01, quiet=1.0)
            ends = time.monotonic() + 20
            while not desk.answered() and time.monotonic() < ends:  # a busy machine needs longer for the first key
                time.sleep(0.1)
            assert desk.answered() == [desk.read().sites[0].key], keys[:20]

    in_parallel([lambda number=number, keys=keys: type_at_once(number, keys) for number, keys in enumerate(inputs)])


@dataclass(frozen=True)
class Line:
    """A line to a terminal: its one-way delay, and the seconds for which it collects keys before it delivers them."""

    delay: float = 0.0
    packet_seconds: float = 0.0


LINES = (Line(), Line(0.1), Line(0.0, 0.1), Line(0.1, 0.3))


def test_no_key_of_a_fast_rater_is_refused(tmp_path: Path) -> None:
    """Type at 4 keys a second with jitter, but never earlier than 150 ms after the joint was painted at the terminal.

    A busy machine may stop the app for longer than that: each line has three attempts. An entry that is lost without a
    message fails at once.
    """

    def read_once(number: int, line: Line, attempt: int) -> tuple[int, int]:
        """Return the numbers of entries made and stored. Raises AssertionError if a key was refused."""
        draw = random.Random(number)
        study = make_study(tmp_path / str(number) / str(attempt), sides="L")
        kind = KINDS[number % len(KINDS)]
        with open_case(
            study.path.parent, kind, study=study, delay=line.delay, packet_seconds=line.packet_seconds
        ) as desk:
            made, reading = 0, desk.read()
            pressed = time.monotonic()
            for joint, site in enumerate(reading.sites[:5]):
                fields = len(reading.joint_fields(site.key))
                keys = "n" if joint % 2 else draw.choice(("0000", "1111", "1122"))[:fields]
                for key in keys:
                    pressed += 0.25 * draw.uniform(0.6, 1.4)
                    time.sleep(max(pressed - time.monotonic(), 0.0))
                    pressed = desk.terminal.press(key)
                made += len(keys)
                if refusal := REFUSED.search(desk.terminal.burst(pressed, quiet=0.0, patience=0.0).data):
                    raise AssertionError(f"{kind}, {line}, joint {joint}: {refusal[0]!r}")
                painted = desk.wait_for_joint(pressed)
                pressed = max(pressed, painted + REACTION_SECONDS + MARGIN - 0.15)
            desk.terminal.burst(time.monotonic() - 0.01, quiet=0.6)
            assert not REFUSED.search(desk.terminal.data)
            return made, len(desk.read().log)

    def read(number: int, line: Line) -> None:
        for attempt in range(3):
            try:
                made, stored = read_once(number, line, attempt)
            except AssertionError:
                if attempt == 2:
                    raise
            else:
                assert stored == made, line
                return

    in_parallel([lambda number=number, line=line: read(number, line) for number, line in enumerate(LINES)], at_once=3)


def test_keys_typed_too_early_are_refused_and_the_next_ones_count(tmp_path: Path) -> None:
    with open_case(tmp_path, "sixel", delay=0.1) as desk:
        since = desk.terminal.press("n")
        desk.terminal.press("n")  # 0.2 s before anybody can have seen the next joint
        desk.wait_for_text("the key was ignored", since)
        desk.look(since)
        assert len(desk.answered()) == 1
        assert desk.answers("n")
        assert len(desk.answered()) == 2


def fail_to_answer(question: Question) -> float | None:
    """Return None for a fence, whose answer is then lost, and no delay for other questions."""
    return None if FENCE.fullmatch(question.sequence) else 0.0


class TestAnswersToFences:
    def test_without_them_nothing_is_answered_and_the_screen_says_so(self, tmp_path: Path) -> None:
        with open_case(tmp_path, "kitty") as desk:
            desk.terminal.answer_delay = fail_to_answer
            since = desk.terminal.press("n")
            desk.look(since, seconds=1.5)
            since = time.monotonic()
            assert not desk.answers("n")
            desk.wait_for_text("not on the screen yet", since)
            assert not desk.answers("0")
            assert len(desk.answered()) == 1
            desk.terminal.answer_delay = lambda question: 0.0
            time.sleep(1.4)  # the app asks again once a second
            assert desk.answers("n")

    def test_while_the_output_is_stopped_nothing_is_answered(self, tmp_path: Path) -> None:
        with open_case(tmp_path, "sixel") as desk:
            desk.terminal.takes_output = False
            since = desk.terminal.press("n")
            time.sleep(0.7)
            for key in ("n", "0", "1"):
                desk.terminal.press(key)
                time.sleep(0.5)
            assert len(desk.answered()) == 1
            desk.terminal.takes_output = True
            desk.look(since)
            desk.wait_for_text("not on the screen yet", since)
            assert len(desk.answered()) == 1
            assert desk.answers("n")

    def test_late_ones_count_when_they_come(self, tmp_path: Path) -> None:
        with open_case(tmp_path, "halfcell") as desk:
            desk.terminal.answer_delay = lambda question: 0.8
            since = desk.terminal.press("n")
            painted = desk.wait_until_painted(since)
            time.sleep(max(painted + 0.4 - time.monotonic(), 0.0))
            desk.terminal.press("n")
            time.sleep(0.8)
            assert len(desk.answered()) == 1
            assert desk.answers("n")

    @pytest.mark.parametrize("lost", [1, 2])
    def test_a_lost_one_delays_the_next_answer_by_little_more_than_a_second(self, tmp_path: Path, lost: int) -> None:
        with open_case(tmp_path, "sixel") as desk:
            numbers = iter(range(lost))
            desk.terminal.answer_delay = lambda question: (
                None if FENCE.fullmatch(question.sequence) and next(numbers, None) is not None else 0.0
            )
            painted = desk.wait_until_painted(desk.terminal.press("n"))
            time.sleep(max(painted + 1.2 + REACTION_SECONDS - time.monotonic(), 0.0))
            assert desk.answers("n")


def stop_and_continue(desk: Desk) -> None:
    """Press Ctrl-Z, and continue the program as the shell's ``fg`` does."""
    desk.terminal.press("\x1a")
    status = Path(f"/proc/{desk.terminal.process.pid}/stat")
    end = time.monotonic() + 20
    while status.read_text().rsplit(")", 1)[1].split()[0] != "T":
        assert time.monotonic() < end, "it has not stopped"
        time.sleep(0.02)
    os.kill(desk.terminal.process.pid, signal.SIGCONT)


def change_size(desk: Desk) -> None:
    """Make the window smaller."""
    desk.terminal.resize(84, 26)
    os.kill(desk.terminal.process.pid, signal.SIGWINCH)


INTERRUPTIONS: dict[str, Callable[[Desk], object]] = {
    "help": lambda desk: (desk.terminal.press("?"), time.sleep(0.7), desk.terminal.press("?")),
    "overview": lambda desk: (desk.terminal.press("o"), time.sleep(0.7), desk.terminal.press(ESCAPE)),
    "another joint": lambda desk: (desk.terminal.press(RIGHT), time.sleep(0.7), desk.terminal.press(LEFT)),
    "whole films": lambda desk: (desk.terminal.press("v"), time.sleep(0.7)),
    "one film, twice": lambda desk: (desk.terminal.press("b"), time.sleep(0.7), desk.terminal.press("b")),
    "another size": change_size,
    "suspension": stop_and_continue,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_films_can_be_answered_again_after_something_else_was_shown(tmp_path: Path, kind: str) -> None:
    def interrupt(name: str) -> None:
        with open_case(tmp_path / name, kind) as desk:
            assert desk.answers("n")
            time.sleep(0.7)
            since = time.monotonic()
            INTERRUPTIONS[name](desk)
            time.sleep(2.0)  # the app ignores keys for a while after the size has changed
            before = len(desk.read().values)
            # On a busy machine the films are not painted again by then; a key is refused until they are.
            assert any(desk.answers("0") for _ in range(3)), f"{kind}, after {name}: {desk.read_screen(since)}"
            assert len(desk.read().values) == before + 1

    # Each interruption is tried on at least one kind of terminal, and on the three kinds together 1.5 times.
    names = [name for number, name in enumerate(INTERRUPTIONS) if (number + KINDS.index(kind)) % 2 == 0]
    in_parallel([lambda name=name: interrupt(name) for name in names], at_once=4)
