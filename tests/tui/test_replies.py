"""Replies of the terminal become no data: every reply to every query, cut and delayed in all ways, on every screen."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from textual.events import AppFocus, Key, Resize
from textual.geometry import Size
from textual.pilot import Pilot

from ratui.study import Study
from ratui.study.model_results.model_reports import Evaluation, Heading, Paragraph, save_evaluation
from ratui.terminal.queries import QUERIES
from ratui.tui import RatuiApp
from ratui.tui.driver import classify_sequence, tokens_to_keys
from ratui.tui.input.actions import ACTIONS, normalize_key
from ratui.tui.input.terminal_input import Burst, InputSplitter
from ratui.tui.input.unpressed_keys import PAUSE_SECONDS, ReplyWatch
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.textual_internals import XTermParser
from tests.films import make_study
from tests.support.fake_terminal import GRAPHICS, FakeTerminal
from tests.tui.conftest import TerminalLine, label_text, reading_as, settle
from tests.tui.readings import store_reading

REPLIES = sorted({reply for query in QUERIES for reply in query.examples})
KNOWN = {action.key for action in ACTIONS} | {*"0123456789tq"}
WITHOUT_KEYS = [reply for reply in REPLIES if reply[1] != "[" or classify_sequence(reply) != "key"]
"""Replies that are not also the sequence of a key. Those are reports of the cursor in row 1, where no fence is."""
SPACE_BETWEEN_PARTS = 0.8
# Control sequences that the app writes and that ask for nothing: modes, cursor, colours, images.
NO_QUERY = re.compile(
    r"\x1b\[[0-9;:]*[A-HJKXPLM@bdfhlmrsuq`ST]|\x1b\[\?[0-9;]*[hlsr]|\x1b\[>[0-9;]*[mu]|\x1b\[<u|\x1b\[=[0-9;]*u"
    r"|\x1b\[[0-9;]* q|\x1b\[22;[0-9;]*t|\x1b\[23;[0-9;]*t|\x1b[78=>cMDE]|\x1b[()][0-9A-B]"
    r"|\x1bP[0-9;]*q[^\x1b]*\x1b\\|\x1b_Ga=[tTpfd][^\x1b]*q=2[^\x1b]*\x1b\\|\x1b_Gm=[^\x1b]*\x1b\\|\x1b\](?:[028]|22);[^\x07\x1b]*(?:\x07|\x1b\\)"
)
SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][0-9A-B]|\x1b[^\[\]P_()]", re.DOTALL
)


def read_all(chunks: Iterable[tuple[str, float]], *, awaits_reply: bool = False) -> list[Burst]:
    """Return the bursts of `chunks`, each of which arrives so many seconds after the one before."""
    splitter = InputSplitter(classify_sequence, lambda: awaits_reply)
    now, bursts = 10.0, list[Burst]()

    def take_until(then: float) -> None:
        while (deadline := splitter.deadline) is not None and deadline < then:
            burst = splitter.take(deadline)
            assert burst is not None
            bursts.append(burst)

    for text, after in chunks:
        now += after
        take_until(now)
        splitter.feed(text, now)
    take_until(now + 5.0)
    return bursts


def names_of(burst: Burst) -> list[str]:
    keys, _ = tokens_to_keys(burst.tokens, XTermParser())
    return [normalize_key(key.character, key.key) for key in keys]


def halves(text: str, *, first: int = 1) -> Iterator[tuple[str, str]]:
    """Return `text` in two parts, cut at each place from `first` on."""
    for cut in range(first, len(text)):
        yield text[:cut], text[cut:]


def tails() -> list[str]:
    """Return every rest of two or more characters of every reply."""
    return sorted({reply[cut:] for reply in REPLIES for cut in range(1, len(reply) - 1)} - {"\x1b\\"})


class TestWithTheHead:
    """No screen sees a reply whose head of two characters, ESC and its sign, was seen."""

    @pytest.mark.parametrize("gap", [0.005, 0.03, 0.05])
    def test_byte_by_byte(self, gap: float) -> None:
        for reply in WITHOUT_KEYS:
            assert not [burst for burst in read_all((byte, gap) for byte in reply) if burst.tokens], reply

    def test_whole_and_in_any_number_at_once(self) -> None:
        assert not read_all([("".join(WITHOUT_KEYS), 0.0)])
        for size in range(1, 40):
            text = "".join(WITHOUT_KEYS)
            chunks = [(text[at : at + size], 0.001) for at in range(0, len(text), size)]
            assert not [burst for burst in read_all(chunks) if burst.tokens], size

    def test_in_halves(self) -> None:
        for reply in WITHOUT_KEYS:
            for first, second in halves(reply, first=2):
                for gap in (0.02, 0.2, SPACE_BETWEEN_PARTS):
                    keys = [name for burst in read_all([(first, 0.0), (second, gap)]) for name in names_of(burst)]
                    # The backslash of a string's terminator has no meaning on any screen.
                    assert not set(keys) - {"\\"}, (first, second)
        assert "\\" not in KNOWN

    def test_after_the_escape_character_alone_while_a_reply_is_expected(self) -> None:
        for reply in WITHOUT_KEYS:
            chunks = [(reply[:1], 0.0), (reply[1:], SPACE_BETWEEN_PARTS)]
            assert not [burst for burst in read_all(chunks, awaits_reply=True) if burst.tokens], reply

    def test_the_esc_key_works_while_a_reply_is_expected(self) -> None:
        for then in ("", "n", "\x1b[4;104R"):
            bursts = read_all([("\x1b", 0.0), (then, 0.3)] if then else [("\x1b", 0.0)], awaits_reply=True)
            assert [token for burst in bursts for token in burst.tokens] == ["\x1b", *then[:1].strip("\x1b")]

    def test_a_report_of_the_cursor_that_is_also_a_key_has_no_meaning(self) -> None:
        for reply in REPLIES:
            names = [name for burst in read_all([(reply, 0.0)]) for name in names_of(burst)]
            assert not set(names) & KNOWN, reply


@dataclass(frozen=True)
class Place:
    """A state of the app in which keys have a meaning."""

    name: str
    keys: tuple[str, ...]
    """Keys that lead to it from the worklist."""
    types_text: bool = False


PLACES = (
    Place("worklist", (), types_text=True),  # characters are added to the filter
    Place("command palette", ("ctrl+p",), types_text=True),
    Place("evaluation", ("ctrl+e",)),
    Place("contact sheet", ("tab",)),
    Place("scoring", ("enter",)),
    Place("help", ("enter", "question_mark")),
    Place("reasons", ("enter", "x")),
    Place("note", ("enter", "m"), types_text=True),
    Place("search for a joint", ("enter", "slash"), types_text=True),
    Place("overview", ("enter", "o")),
    Place("regions", ("enter", "r")),
    Place("review", ("enter", "enter_all")),
)


SCORING = next(place for place in PLACES if place.name == "scoring")


@asynccontextmanager
async def at(tmp_path: Path, place: Place) -> AsyncIterator[tuple[Pilot[None], Study]]:
    """Run the app, and bring it to `place`."""
    study = make_study(tmp_path, sides="L", patients=2)
    first, second = study.cases()
    store_reading(study, second, {}, signed=True)
    save_evaluation(
        study, Evaluation("scorer", datetime(2026, 3, 1, tzinfo=UTC), (second,), (Heading("a"), Paragraph("b")))
    )
    keys = place.keys
    if keys[-1:] == ("enter_all",):
        keys = ("enter",)
        store_reading(study, first, {})
    async with reading_as(study, "anna", size=(100, 30)) as pilot:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        yield pilot, study


@cache
def list_tail_bursts() -> tuple[tuple[str, tuple[str, ...], float, float], ...]:
    """Return the bursts of each rest of a reply that arrives at once: rest, names of the keys, begin and end."""
    return tuple(
        (tail, tuple(names), burst.began, burst.ended)
        for tail in tails()
        for burst in read_all([(tail, 0.0)])
        if (names := names_of(burst))
    )


def test_a_rest_byte_by_byte_is_the_same_burst_as_at_once() -> None:
    for tail in tails():
        at_once, by_bytes = read_all([(tail, 0.0)]), read_all((byte, 0.005) for byte in tail)
        # A long burst ends after 0.25 s. What follows is dropped with it.
        assert [name for burst in by_bytes for name in names_of(burst)] == [
            name for burst in at_once for name in names_of(burst)
        ]
        assert all(burst.unfinished for burst in by_bytes[:-1] if burst.tokens)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_without_the_head_no_rest_of_a_reply_reaches_a_screen(tmp_path: Path, place: Place) -> None:
    async with at(tmp_path, place) as (pilot, study):
        app = pilot.app
        assert isinstance(app, RatuiApp)
        for tail, names, began, ended in list_tail_bursts():
            if place.types_text and re.fullmatch(r"[0-9]+[A-Za-z]", tail):
                continue  # a word like this may be typed
            watch = _copy_of(app.key_queue.reply_watch)
            assert watch.drops(names, began=began, ended=ended) or set(names) <= {"\\", "alt+backslash"}, tail

        before = app.screen_stack, [reading and reading.log for reading in _readings(study)]
        line = TerminalLine(pilot)
        for tail in (
            "4c",
            ";4c",
            "0n",
            "62;4c",
            "1e1e/1e1e/1e1e\a",
            "XTerm(379)\x1b\\",
            "256S",
            "OK\x1b\\",
            "2$y",
            "1u",
        ):
            if not (place.types_text and tail.isalnum()):
                await line.send(tail)
        assert (app.screen_stack, [reading and reading.log for reading in _readings(study)]) == before


def _readings(study: Study) -> list[object]:
    return [study.reading("anna", case) for case in study.cases()]


@pytest.mark.slow
async def test_the_first_part_of_a_reply_without_its_head_enters_nothing(tmp_path: Path) -> None:
    async with at(tmp_path, SCORING) as (pilot, _):
        app = pilot.app
        assert isinstance(app, RatuiApp)
        screen = app.screen
        assert isinstance(screen, ScoringScreen)
        app.key_queue.time_of = lambda key: key.time
        line = TerminalLine(pilot)
        line.now = time.monotonic() + 10.0
        for parts in (("62", ";4c"), ("6", "2;4c"), ("62;4", "c"), ("62;", "4c"), ("1", "e1e/1e1e\a"), ("0", "0;3R")):
            line.now += 10.0
            for part in parts:
                await line.send(part, rest=SPACE_BETWEEN_PARTS)
            assert not screen.reading.values, parts
        assert "withdrawn" in label_text(pilot)
        assert any(entry.note == "the terminal sent the key" for entry in screen.reading.log)
        line.now += 10.0
        await line.send("1")
        line.now += 10.0
        await line.send(";4c")
        assert len(screen.reading.values) == 1, "an answer of some time ago stays"


class TestPause:
    """Keys are ignored for a moment after the terminal was changed."""

    @pytest.mark.parametrize("name", ["0", "n", "=", "x", "S", "?", "enter", "escape", "space", "backspace"])
    def test_keys_that_answer_decide_or_change_the_screen_are_ignored(self, name: str) -> None:
        watch = ReplyWatch()
        watch.pause(10.0)
        assert not watch.is_paused(name, 9.9), "typed before"
        assert watch.is_paused(name, 10.0)
        assert watch.is_paused(name, 10.0 + PAUSE_SECONDS - 0.01)
        assert not watch.is_paused(name, 10.0 + PAUSE_SECONDS)

    @pytest.mark.parametrize("name", ["left", "tab", "pagedown", "ctrl+q", "ctrl+p"])
    def test_other_keys_work(self, name: str) -> None:
        watch = ReplyWatch()
        watch.pause(10.0)
        assert not watch.is_paused(name, 10.5)

    def test_a_second_change_makes_the_pause_longer(self) -> None:
        watch = ReplyWatch()
        watch.pause(10.0)
        watch.pause(11.0)
        assert watch.is_paused("0", 12.4)
        assert not watch.is_paused("0", 12.5)

    @pytest.mark.slow
    async def test_the_focus_and_another_size_begin_it(self, tmp_path: Path) -> None:
        async with at(tmp_path, SCORING) as (pilot, _):
            app, screen = pilot.app, pilot.app.screen
            assert isinstance(app, RatuiApp)
            assert isinstance(screen, ScoringScreen)
            app.key_queue.time_of = lambda key: key.time
            size = app.size
            for begin, pauses in (
                (AppFocus(), True),
                (Resize(size, size), False),
                (Resize(Size(90, 30), Size(90, 30)), True),
            ):
                app.post_message(begin)
                await pilot.pause()
                for later in (0.1, PAUSE_SECONDS + 0.1):
                    key = Key("0", "0")
                    key.time = begin.time + later
                    before = len(screen.reading.log)
                    app.key_queue.put(key)
                    await settle(pilot)
                    ignored = pauses and later < PAUSE_SECONDS
                    assert ("has just changed" in label_text(pilot)) == ignored
                    assert len(screen.reading.log) <= before + (not ignored)
                app.key_queue.reply_watch = _copy_of(app.key_queue.reply_watch)


def _copy_of(watch: ReplyWatch) -> ReplyWatch:
    fresh = ReplyWatch()
    fresh.is_tail, fresh.begins_tail = watch.is_tail, watch.begins_tail
    return fresh


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs pseudo-terminals of Linux")
def test_all_queries_are_listed_and_keys_are_ignored_after_the_program_was_continued(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    command = [sys.executable, "-m", "ratui", "read", str(study.path), "--rater", "anna", "--case", case]
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "LANG": "C.UTF-8"}
    terminal = FakeTerminal(command, "kitty", environment=environment)
    try:
        assert terminal.wait_for(GRAPHICS, patience=60), terminal.describe()
        terminal.burst(terminal.begun, quiet=0.5)
        os.kill(terminal.process.pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(terminal.process.pid, signal.SIGCONT)
        time.sleep(0.3)
        since = terminal.press("0")
        assert terminal.wait_for(re.compile(rb"Key ignored: the window has just changed"), since), terminal.describe()
        time.sleep(PAUSE_SECONDS)
        since = terminal.press("0")
        assert terminal.wait_for(re.compile(rb"saved"), since), terminal.describe()
        terminal.press("\x11")
        terminal.process.wait(20)
    finally:
        terminal.close()
    listed = {query.sequence for query in QUERIES}
    written = SEQUENCE.findall(terminal.data.decode("utf-8", "replace"))
    # The name of an image in shared memory or a file is another one each time.
    written = [re.sub(r"(?<=f=24;)[A-Za-z0-9+/=]{40,}(?=\x1b)", "NAME", each) for each in written]
    # A placement is answered if the terminal has lost the image. Its numbers are others each time.
    written = [re.sub(r"(?<=_Ga=p,)[^\x1b]*q=1(?=\x1b)", "i=31,p=1,c=40,r=20,C=1,q=1", each) for each in written]
    asked = set(itertools.filterfalse(NO_QUERY.fullmatch, written))
    assert "\x1b[c" in asked
    assert "\x1b[?2026$p" in asked
    assert asked <= listed, "queries that ratui/terminal/queries.py does not list"


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_examples_are_replies(query: object) -> None:
    for reply in query.examples:  # type: ignore[attr-defined]
        assert query.pattern.fullmatch(reply.encode()), reply  # type: ignore[attr-defined]
