"""The order of frames: immediate on a fast line; on a slow line text first, then coarse and fine, never outdated ones."""

from __future__ import annotations

import asyncio
import re
import time

import numpy as np
import pytest
from PIL import Image
from textual.app import App, ComposeResult
from textual.containers import Vertical

from ratui.terminal import FENCE, Bandwidth, Display, Frame, FrameCache, KittyFrame, encode, encode_coarse
from ratui.tui.graphics import painter as module
from ratui.tui.graphics.painter import Painter, Place
from ratui.tui.widgets.film_view import FilmView

DISPLAY = Display("kitty", round_trip=0.06)


def frames(seed: int) -> tuple[Frame, Frame]:
    """Return a fine and a coarse frame of one image."""
    noise = np.random.default_rng(seed).integers(0, 255, (300, 300)).astype(np.uint8)
    image = Image.fromarray(noise)
    return encode(DISPLAY, image, slices=True), encode_coarse(DISPLAY, image, 20_000)


class Line:
    """A painter whose writes are recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bandwidth: Bandwidth) -> None:
        self.painter = Painter(App(), bandwidth)
        self.painter.uses_fences = True
        # Keeps the rate constant, however soon the test answers.
        monkeypatch.setattr(bandwidth, "record_answer", self._take_answer)
        self.writes: list[str] = []
        self.places = [Place(number, lambda: (1, 2, 30, 15)) for number in (1, 2)]
        monkeypatch.setattr(self.painter, "_write", lambda data: self.writes.append(data) if data else None)

    def _take_answer(self, number: int, now: float) -> tuple[int, ...]:
        waiting = self.painter.bandwidth._waiting
        return (waiting.popleft().number,) if waiting else ()

    def answer(self) -> None:
        """Answer the oldest fence."""
        waiting = self.painter.bandwidth._waiting
        self.painter.record_answer(waiting[0].number if waiting else 0, time.monotonic())

    def placed(self) -> list[tuple[int, int]]:
        """Return the (image, place) pairs that were displayed, in order."""
        found = re.findall(r"\x1b_Ga=p,i=(\d+),p=(\d+)", "".join(self.writes))
        return [(int(image), int(place)) for image, place in found]

    async def until_quiet(self) -> None:
        """Answer every fence until nothing more is sent."""
        answered = 0
        for _ in range(400):
            await asyncio.sleep(0.005)
            asked = sum(data.count(FENCE) for data in self.writes)
            if answered < asked:
                answered += 1
                self.answer()
            elif not self.painter._slow:
                return
        raise AssertionError("it never ends")


def id_of(frame: Frame) -> int:
    assert isinstance(frame, KittyFrame)
    return frame.id


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST", 0.03)


async def test_a_fast_line_gets_one_write_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth())
    (first, coarse), (second, _) = frames(0), frames(1)
    line.painter.paint(line.places[0], first, coarse)
    assert len(line.writes) == 1
    assert line.writes[0].startswith("\x1b[?2026h")
    line.painter.paint(line.places[0], second)
    assert len(line.writes) == 2
    assert line.placed() == [(id_of(first), 1), (id_of(second), 1)]
    assert f"a=d,d=i,i={id_of(first)}" in line.writes[1], "the one before goes in the same write"


async def test_a_slow_line_gets_both_coarse_frames_and_then_the_fine_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth(0.06, 250_000.0))
    pair = [frames(0), frames(1)]
    for place, (fine, coarse) in zip(line.places, pair, strict=True):
        line.painter.paint(place, fine, coarse)
    assert line.placed() == [], "the screen's text goes first"
    await line.until_quiet()
    coarse_first = [(id_of(coarse), place + 1) for place, (_, coarse) in enumerate(pair)]
    then_fine = [(id_of(fine), place + 1) for place, (fine, _) in enumerate(pair)]
    assert line.placed() == coarse_first + then_fine
    assert max(len(data) for data in line.writes) < 60_000, "small enough that a key's answer isn't held up"


async def test_the_previous_frame_is_removed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth(0.06, 250_000.0))
    (old, old_coarse), (new, coarse) = frames(0), frames(1)
    line.painter.paint(line.places[0], old, old_coarse)
    await line.until_quiet()
    line.writes.clear()
    line.painter.paint(line.places[0], new, coarse)
    assert f"a=d,d=i,i={id_of(old)}" in line.writes[0], "never another joint's film under this joint's name"


async def test_an_overtaken_frame_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth(0.06, 250_000.0))
    (old, old_coarse), (new, coarse) = frames(0), frames(1)
    line.painter.paint(line.places[0], old, old_coarse)
    while not any("a=t" in data and str(id_of(old)) in data for data in line.writes):
        await asyncio.sleep(0.005)  # the upload has started
        if line.painter.bandwidth.is_busy(time.monotonic()):
            line.answer()
    line.painter.paint(line.places[0], new, coarse)
    assert any("\x1b_Gm=0" in data for data in line.writes), "the upload is ended, so that another may begin"
    await line.until_quiet()
    shown = [image for image, _ in line.placed()]
    assert id_of(old) not in shown
    assert shown[-1] == id_of(new)


async def test_fine_frames_wait_while_keys_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth(0.06, 250_000.0))
    fine, coarse = frames(0)
    line.painter.paint(line.places[0], fine, coarse)
    for _ in range(15):
        line.painter.note_key(time.monotonic())
        line.answer()
        await asyncio.sleep(0.01)
    assert line.placed() == [(id_of(coarse), 1)]
    await line.until_quiet()
    assert line.placed()[-1] == (id_of(fine), 1)


async def test_on_a_slow_line_placeholders_of_the_old_picture_are_erased_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(monkeypatch, Bandwidth(0.05, 50_000))
    display = Display("kitty", multiplexer="tmux", uses_placeholders=True)
    old = encode(display, Image.new("L", (300, 300)))
    place = line.places[0]
    place.shown = old
    line.painter.paint(place, frames(0)[0])
    assert line.writes[0].count(" " * 30) == 15, "they are characters: to remove the image would do nothing"
    await line.until_quiet()


class TestPainted:
    """The painter reports a frame as painted only after the terminal has processed it."""

    def record(self, line: Line) -> list[tuple[int, int]]:
        """Return a list that grows by (place, image) with each report."""
        reports: list[tuple[int, int]] = []
        for place in line.places:
            place.on_painted = lambda frame, now, place=place: reports.append((place.number, id_of(frame)))  # type: ignore[misc]
        return reports

    async def test_a_frame_is_painted_when_the_terminal_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        frame, _ = frames(0)
        line.painter.paint(line.places[0], frame)
        assert not reports
        line.answer()
        assert reports == [(1, id_of(frame))]

    async def test_a_frame_that_was_replaced_is_not_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        (first, _), (second, _) = frames(0), frames(1)
        line.painter.paint(line.places[0], first)
        line.painter.paint(line.places[0], second)
        line.answer()
        assert not reports
        line.answer()
        assert reports == [(1, id_of(second))]

    async def test_the_answer_to_an_earlier_painting_of_the_same_frame_does_not_count(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        (first, _), (second, _) = frames(0), frames(1)
        for frame in (first, second, first):
            line.painter.paint(line.places[0], frame)
        line.answer()
        line.answer()
        assert not reports
        line.answer()
        assert reports == [(1, id_of(first))]

    async def test_a_frame_that_the_terminal_has_lost_is_sent_again_and_reported_only_then(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        frame, _ = frames(0)
        frame.mark_shown()  # sent before
        line.painter.paint(line.places[0], frame)
        assert "\x1b_Ga=t" not in "".join(line.writes)
        line.painter.send_again(id_of(frame) + 1)
        assert len(line.writes) == 1, "another image"
        line.painter.send_again(id_of(frame))
        assert "\x1b_Ga=t" in line.writes[-1]
        assert line.placed() == 2 * [(id_of(frame), 1)]
        line.answer()
        assert not reports, "the answer to the placement that failed"
        line.answer()
        assert reports == [(1, id_of(frame))]

    async def test_a_frame_that_is_lost_again_and_again_is_never_reported(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        frame, _ = frames(0)
        line.painter.paint(line.places[0], frame)
        for _ in range(6):
            line.painter.send_again(id_of(frame))
            line.answer()
        assert line.placed() == 3 * [(id_of(frame), 1)]
        assert not reports
        assert line.places[0].shown is None

    async def test_a_lost_frame_that_was_shown_twice_is_sent_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The second image would replace the first one before a busy terminal has read it from its file.
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        frame, _ = frames(0)
        frame.mark_shown()  # sent before
        line.painter.paint(line.places[0], frame)
        line.painter.paint(line.places[1], frame)
        line.painter.paint(line.places[0], frame)
        for _ in range(3):  # the terminal answers the three placements before it gets the image again
            line.painter.send_again(id_of(frame))
            line.answer()
        assert "".join(line.writes).count("\x1b_Ga=t") == 1
        assert line.placed()[3:] == [(id_of(frame), 2), (id_of(frame), 1)]
        assert not reports
        line.answer()
        line.answer()
        assert reports == [(2, id_of(frame)), (1, id_of(frame))]

    async def test_losses_of_one_frame_do_not_count_for_the_next(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        (first, _), (second, _) = frames(0), frames(1)
        line.painter.paint(line.places[0], first)
        for _ in range(3):
            line.painter.send_again(id_of(first))
            line.answer()
        line.painter.paint(line.places[0], second)
        line.painter.send_again(id_of(second))
        line.answer()
        line.answer()
        assert reports == [(1, id_of(second))]

    async def test_a_replaced_frame_that_was_lost_is_sent_again_when_it_is_needed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = Line(monkeypatch, Bandwidth())
        (first, _), (second, _) = frames(0), frames(1)
        line.painter.paint(line.places[0], first)
        line.painter.paint(line.places[0], second)
        line.painter.send_again(id_of(first))
        assert line.placed() == [(id_of(first), 1), (id_of(second), 1)]
        assert isinstance(first, KittyFrame)
        assert not first.sent

    async def test_a_removed_frame_is_not_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = Line(monkeypatch, Bandwidth())
        reports = self.record(line)
        frame, _ = frames(0)
        line.painter.paint(line.places[0], frame)
        line.painter.clear(line.places[0])
        line.answer()
        assert not reports

    async def test_a_lost_answer_is_asked_for_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_ASK_AGAIN", 0.02)
        line = Line(monkeypatch, Bandwidth())
        monkeypatch.setattr(line.painter._app.__class__, "is_running", True)
        reports = self.record(line)
        frame, _ = frames(0)
        line.painter.paint(line.places[0], frame)
        line.painter.bandwidth._waiting.clear()  # the answer never comes
        await asyncio.sleep(0.1)
        assert not reports
        line.answer()
        assert reports[:1] == [(1, id_of(frame))]

    async def test_without_fences_a_frame_is_painted_when_it_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = Line(monkeypatch, Bandwidth())
        line.painter.uses_fences = False
        reports = self.record(line)
        frame, _ = frames(0)
        line.painter.paint(line.places[0], frame)
        assert reports == [(1, id_of(frame))]


class OneFilm(App[None]):
    """An app with a film in a panel."""

    def compose(self) -> ComposeResult:
        self.view = FilmView(DISPLAY, FrameCache(1_000_000))
        self.panel = Vertical(self.view)
        yield self.panel

    def show(self, key: str) -> None:
        self.view.show(key, Image.new("L", self.view.pixel_size))


async def test_a_film_leaves_the_screen_with_its_panel() -> None:
    app = OneFilm()
    async with app.run_test(size=(20, 10)) as pilot:
        app.show("first")
        await pilot.pause()
        assert app.view._place.shown is not None
        app.panel.display = False
        await pilot.pause()
        assert app.view._place.shown is None, "Kitty keeps images over cells that are written again"
        app.panel.display = True
        await pilot.pause()
        app.show("first")
        await pilot.pause()
        assert app.view._place.shown is not None
