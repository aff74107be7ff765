"""Kitty images through tmux: the bytes, what a real tmux makes of them, and the app inside it."""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.terminal import Display, FrameCache, KittyPlaceholderFrame, encode, encode_coarse
from ratui.terminal.kitty import PLACEHOLDER, list_marks, pass_through
from tests.films import make_study
from tests.support.placeholder_terminal import PlaceholderTerminal
from tests.terminal.test_multiplexer import Tmux, needs_tmux, wait_until

CELL = (6, 12)
DISPLAY = Display("kitty", CELL, multiplexer="tmux", uses_placeholders=True)
_WRAPPED = re.compile(r"\x1bPtmux;((?:[^\x1b]|\x1b\x1b)*)\x1b\\")


def picture(columns: int = 20, rows: int = 8) -> Image.Image:
    noise = np.random.default_rng(7).integers(0, 256, (rows * CELL[1], columns * CELL[0]), dtype=np.uint8)
    return Image.fromarray(noise)


def unwrap(data: str) -> str:
    """Return the data that tmux sends on: the wrapped sequences, and the text beside them."""
    return _WRAPPED.sub(lambda found: found[1].replace("\x1b\x1b", "\x1b"), data)


class TestBytes:
    def test_the_marks_are_those_of_the_protocol(self) -> None:
        marks = list_marks()
        # Kitty's list: the marks above a letter of Unicode 6.0 that have no decomposition, in their order.
        assert len(marks) == 297
        assert list(marks) == sorted(set(marks))
        assert all(unicodedata.combining(mark) == 230 and not unicodedata.decomposition(mark) for mark in marks)
        known = {0: 0x305, 1: 0x30D, 5: 0x33D, 17: 0x363, 30: 0x483, 34: 0x487, 35: 0x592, 293: 0x1D1AD, 296: 0x1D244}
        assert {index: ord(marks[index]) for index in known} == known

    def test_each_escape_character_is_doubled_within_the_wrapper(self) -> None:
        assert pass_through("\x1b_Ga=d\x1b\\") == "\x1bPtmux;\x1b\x1b_Ga=d\x1b\x1b\\\x1b\\"

    def test_every_cell_shows_its_part_without_loss(self) -> None:
        image = picture()
        frame = encode(DISPLAY, image)
        assert isinstance(frame, KittyPlaceholderFrame)
        parts = frame.parts(3, 2, 20, 8, 99)
        assert len(parts) == len(frame.upload) + 1, "the painter counts on one part after the upload"
        assert all(len(part) < 10_000 for part in parts[:-1]), "small enough for the buffers of tmux"
        terminal = PlaceholderTerminal()
        terminal.feed(unwrap("".join(parts)))
        assert np.array_equal(terminal.picture(3, 2, 20, 8, CELL), np.asarray(image))
        assert terminal.ids() == {frame.id}

    def test_nothing_but_text_is_sent_unwrapped(self) -> None:
        frame = encode(DISPLAY, picture())
        assert isinstance(frame, KittyPlaceholderFrame)
        for data in ("".join(frame.parts(0, 0, 20, 8, 1)), frame.abandon()):
            assert "\x1b_" not in _WRAPPED.sub("", data)
        frame.mark_shown()
        assert "\x1b_" not in _WRAPPED.sub("", frame.forget())
        assert frame.forget()

    def test_an_image_is_sent_once_and_freed_with_its_number(self) -> None:
        frame = encode(DISPLAY, picture())
        assert isinstance(frame, KittyPlaceholderFrame)
        terminal = PlaceholderTerminal()
        terminal.feed(unwrap("".join(frame.parts(0, 0, 20, 8, 1))))
        frame.mark_shown()
        again = "".join(frame.parts(30, 0, 20, 8, 1))
        assert "a=t" not in again
        terminal.feed(unwrap(again))
        assert np.array_equal(terminal.picture(30, 0, 20, 8, CELL), np.asarray(picture()))
        terminal.feed(unwrap(frame.forget()))
        assert terminal.images[frame.id].size == (1, 1)
        assert not terminal.placements
        terminal.feed(unwrap(frame.delete()))
        assert not terminal.images

    def test_a_coarse_frame_fills_the_same_cells(self) -> None:
        frame = encode_coarse(DISPLAY, picture(), 2_000)
        terminal = PlaceholderTerminal()
        terminal.feed(unwrap("".join(frame.parts(0, 0, 20, 8, 1))))
        assert (terminal.picture(0, 0, 20, 8, CELL) > 0).mean() > 0.9

    def test_a_view_with_more_columns_than_marks(self) -> None:
        frame = encode(DISPLAY, Image.new("L", (310 * CELL[0], 2 * CELL[1])))
        show = unwrap(frame.parts(0, 0, 310, 2, 1)[-1])
        assert show.count(PLACEHOLDER) == 620
        assert show.count(list_marks()[296]) >= 2

    def test_the_cache_frees_them_as_other_kitty_images(self) -> None:
        frames = FrameCache(limit=1)
        first = frames.put("first", encode(DISPLAY, picture()))
        first.mark_shown()
        frames.put("second", encode(DISPLAY, picture()))
        assert f"i={first.id}," in unwrap(frames.take_dropped())

    def test_an_image_that_waits_for_its_turn_stays_when_another_one_is_freed(self) -> None:
        pictures = [picture(), picture().rotate(90), picture().rotate(180)]
        made = [encode(DISPLAY, each) for each in pictures]
        terminal, cache = PlaceholderTerminal(), FrameCache(limit=sum(each.memory_bytes for each in made[:2]) + 9)
        for number, frame in enumerate(made):
            assert isinstance(frame, KittyPlaceholderFrame)
            cache.put(number, frame)
            terminal.feed(unwrap("".join(frame.upload_parts())))
            frame.mark_shown()
        terminal.feed(unwrap(cache.take_dropped()))
        assert cache.get(0) is None
        assert terminal.images[made[0].id].size == (1, 1), "the memory is free"
        terminal.feed(unwrap("".join(made[1].parts(0, 0, 20, 8, 1))))
        assert np.array_equal(terminal.picture(0, 0, 20, 8, CELL), np.asarray(pictures[1]))


SHOW = """
import sys, time
from PIL import Image
from ratui.terminal import Display, encode
display = Display("kitty", ({0}, {1}), multiplexer="tmux", uses_placeholders=True)
frame = encode(display, Image.open({2!r}))
sys.stdout.write("".join(frame.parts(3, 2, 60, 18, 1)) + "\\x1b[23;1Hdone")
sys.stdout.flush()
time.sleep(600)
"""


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    server = Tmux(tmp_path)
    server.run("set-option", "-g", "allow-passthrough", "on")
    yield server
    server.close()


@needs_tmux
class TestRealTmux:
    def test_the_picture_reaches_the_terminal_and_survives_a_redraw(self, tmux: Tmux, tmp_path: Path) -> None:
        client = tmux.attach("first", "xterm-kitty", "kitty(0.32.2)")
        wait_until(lambda: bool(tmux.state().clients and tmux.state().clients[0].kind))
        image = picture(60, 18)
        image.save(tmp_path / "film.png")
        program = tmp_path / "show.py"
        program.write_text(SHOW.format(*CELL, str(tmp_path / "film.png")))
        tmux.run("respawn-pane", "-k", "-t", tmux.pane, f"PYTHONPATH={Path.cwd()} {sys.executable} {program}")
        assert client.wait_for(re.compile(rb"done"), patience=30)
        client.burst(client.begun, quiet=0.5)
        terminal = PlaceholderTerminal()
        terminal.feed(client.data.decode())
        assert np.array_equal(terminal.picture(3, 2, 60, 18, CELL), np.asarray(image))
        # tmux draws all cells again from its own memory, as after a popup or a switch of windows.
        terminal.cells.clear()
        since = time.monotonic()
        tmux.run("refresh-client", "-t", tmux.state().clients[0].tty)
        terminal.feed(client.burst(since, quiet=0.5, least=5_000).data.decode())
        assert np.array_equal(terminal.picture(3, 2, 60, 18, CELL), np.asarray(image))

    def test_the_app_shows_films_and_leaves_no_part_of_them_behind(self, tmux: Tmux, tmp_path: Path) -> None:
        client = tmux.attach("first", "xterm-kitty", "kitty(0.32.2)")
        wait_until(lambda: bool(tmux.state().clients and tmux.state().clients[0].kind))
        study = make_study(tmp_path / "study", sides="L")
        (case,) = study.cases()
        tmux.run(
            "respawn-pane",
            "-k",
            "-t",
            tmux.pane,
            f"PYTHONPATH={Path.cwd()} LANG=C.UTF-8 XDG_CONFIG_HOME={tmp_path} "
            f"{sys.executable} -m ratui read {study.path} --rater anna --case {case}; sleep 600",
        )
        terminal = PlaceholderTerminal()

        def shown() -> set[int]:
            terminal.cells.clear()
            since = time.monotonic()
            tmux.run("refresh-client", "-t", tmux.state().clients[0].tty)
            terminal.feed(client.burst(since, quiet=0.5, least=500).data.decode())
            return terminal.ids()

        assert client.wait_for(re.compile(b"a=p,U=1"), patience=60), client.describe()
        client.burst(client.begun, quiet=1.0)
        terminal.feed(client.data.decode())
        first = shown()
        assert len(first) == 2
        assert first <= set(terminal.images)
        left, right = (terminal.picture(column, 4, 30, 10, (10, 20)) for column in (4, 52))
        assert left.std() > 10
        assert right.std() > 10
        since = client.press("n")
        terminal.feed(client.burst(since, quiet=1.0, least=5_000).data.decode())
        second = shown()
        assert len(second) == 2
        assert not second & first
        client.burst(client.press("?"), quiet=1.0)
        assert not shown(), "the help hides the films"
        client.burst(client.press("?"), quiet=1.0)
        assert shown() == second
        since = client.press("\x11")
        terminal.feed(client.burst(since, quiet=1.0).data.decode())
        assert not shown()
        assert not terminal.images, "the terminal keeps no image"
        assert "kitty" in tmux.run("capture-pane", "-p", "-t", tmux.pane)
