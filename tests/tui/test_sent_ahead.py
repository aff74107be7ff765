"""Images that are sent before they are shown: only while no key is pressed, in small parts, and never twice."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.terminal import Bandwidth, Display, Frame, FrameCache, KittyFileFrame, KittyFrame, encode, image_files
from ratui.tui.graphics import painter as module
from tests.tui.test_painter import Line, hurry

__all__ = ["hurry"]

_TRANSMITTED = re.compile(r"\x1b_Ga=t,f=100,[^;]*i=(\d+)")
_EMPTIED = "\x1b_Ga=t,f=24,t=d,s=1,v=1,i={},q=2;AAAA\x1b\\"
"""The single pixel that takes the place of an image."""


@pytest.fixture(autouse=True)
def rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_AHEAD", 0.02)


def frames(count: int, display: Display | None = None) -> tuple[FrameCache, list[KittyFrame]]:
    cache, made = FrameCache(), []
    for seed in range(count):
        noise = np.random.default_rng(seed).integers(0, 255, (200, 200)).astype(np.uint8)
        frame = cache.put(seed, encode(display or Display("kitty"), Image.fromarray(noise), slices=True))
        assert isinstance(frame, KittyFrame)
        made.append(frame)
    return cache, made


def sent(line: Line) -> list[int]:
    """Return the numbers of the images whose uploads have begun, in order."""
    return [int(number) for number in _TRANSMITTED.findall("".join(line.writes))]


async def until_sent(line: Line) -> None:
    """Answer each fence until nothing has to be sent ahead any more."""
    for _ in range(400):
        await module.asyncio.sleep(0.005)
        if line.painter.bandwidth._waiting:
            line.answer()
        elif not line.painter.ahead.is_due:
            return
    raise AssertionError("it never ends")


async def test_an_image_that_was_sent_ahead_is_only_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth())
    cache, (first, second) = frames(2)
    line.painter.send_ahead([first, second], cache)
    await until_sent(line)
    assert sent(line) == [first.id, second.id]
    assert line.placed() == []
    line.writes.clear()
    line.painter.paint(line.places[0], second)
    assert line.placed() == [(second.id, 1)]
    assert sent(line) == []
    assert len("".join(line.writes)) < 200
    assert cache.release().count("a=d,d=I") == 2, "the terminal's memory is freed"


async def test_nothing_is_sent_ahead_while_keys_are_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_AHEAD", 0.2)
    line = Line(monkeypatch, Bandwidth())
    cache, made = frames(1)
    line.painter.send_ahead(made, cache)
    for _ in range(10):
        line.painter.note_key(line.painter.clock())
        await module.asyncio.sleep(0.01)
    assert line.writes == []
    await until_sent(line)
    assert sent(line) == [made[0].id]


async def test_on_a_slow_line_a_key_ends_the_upload_and_other_graphics_never_come_into_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(monkeypatch, Bandwidth(0.06, 250_000.0))
    cache, (shown, ahead) = frames(2)
    shown.mark_shown()
    line.painter.send_ahead([ahead], cache)
    while not line.writes:
        await module.asyncio.sleep(0.005)
    await module.asyncio.sleep(0.05)
    assert sent(line) == [ahead.id]
    assert len("".join(line.writes)) < 15_000, "the rest waits for the answer"
    line.painter.paint(line.places[0], shown)
    end = "".join(line.writes[1:])
    assert end.index("\x1b_Gm=0") < end.index("\x1b_Ga=p"), "the upload ends before the placement"
    assert _EMPTIED.format(ahead.id) in end
    await until_sent(line)
    assert sent(line) == [ahead.id, ahead.id]
    assert ahead.sent
    last = "".join(line.writes).rindex("\x1b_Ga=t")
    assert list(ahead.upload) == re.findall(r"\x1b_G[^\x1b]*\x1b\\", "".join(line.writes)[last:]), "all parts, in order"


async def test_another_plan_ends_the_upload_and_frees_the_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth(0.06, 250_000.0))
    cache, (first, second) = frames(2)
    line.painter.send_ahead([first], cache)
    while not line.writes:
        await module.asyncio.sleep(0.005)
    line.painter.send_ahead([second], cache)
    assert _EMPTIED.format(first.id) in "".join(line.writes)
    assert set(cache._pins) == {id(second)}
    await until_sent(line)
    assert sent(line) == [first.id, second.id]
    assert not cache._pins
    assert not first.sent


async def test_the_end_of_the_app_ends_the_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, Bandwidth(0.06, 250_000.0))
    cache, (frame,) = frames(1)
    line.painter.send_ahead([frame], cache)
    while not line.writes:
        await module.asyncio.sleep(0.005)
    assert line.painter.abandon_uploads() == frame.abandon()
    assert not cache._pins


@pytest.mark.parametrize("is_ahead", [False, True])
async def test_an_image_that_the_terminal_does_not_take_is_painted_only_after_it_came_through_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_ahead: bool
) -> None:
    monkeypatch.setattr(image_files, "_SHARED_MEMORY", tmp_path)
    line = Line(monkeypatch, Bandwidth())
    cache, (frame,) = frames(1, Display("kitty", medium="s"))
    assert isinstance(frame, KittyFileFrame)
    painted: list[Frame] = []
    line.places[0].on_painted = lambda frame, now: painted.append(frame)
    if is_ahead:
        line.painter.send_ahead([frame], cache)
        while not line.writes:
            await module.asyncio.sleep(0.005)
    line.painter.paint(line.places[0], frame)
    assert ",t=s," in "".join(line.writes)
    while line.painter.bandwidth._waiting and not any("f=100" in data for data in line.writes):
        line.answer()
    assert painted == [], "the file is still there"
    assert [data for data in line.writes if "f=100" in data], "it goes through the line"
    assert line.placed()[-1] == (frame.id, 1)
    while line.painter.bandwidth._waiting:
        line.answer()
    assert painted == [frame]
    assert not list(tmp_path.iterdir())


async def test_an_image_that_the_terminal_takes_is_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "_SHARED_MEMORY", tmp_path)
    line = Line(monkeypatch, Bandwidth())
    _, (frame,) = frames(1, Display("kitty", medium="s"))
    painted: list[Frame] = []
    line.places[0].on_painted = lambda frame, now: painted.append(frame)
    line.painter.paint(line.places[0], frame)
    (file,) = tmp_path.iterdir()
    file.unlink()  # as the terminal does
    line.answer()
    assert painted == [frame]
    assert "f=100" not in "".join(line.writes)
