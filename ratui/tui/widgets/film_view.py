"""A place for a grey image on the screen, by Kitty, Sixel or half-cells; frames are encoded once and drawn in one piece.

It knows nothing of films: it is given images and keys that name them.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from functools import lru_cache
from typing import ClassVar

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ratui.terminal import Display, Frame, FrameCache, HalfCells, KittyFrame, SixelFrame, encode

__all__ = ["FilmView"]

_BLANK = Style(bgcolor=Color.from_rgb(0, 0, 0))


class FilmView(Widget):
    """Shows one image at a time. `show` takes an image of `pixel_size`, or the key of one that was given before."""

    DEFAULT_CSS = "FilmView { background: black; }"
    can_focus = False
    _placements: ClassVar = itertools.count(1)

    class Resized(Message):
        """The view has another size now: what it shows should be drawn again for it."""

        def __init__(self, view: FilmView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, display: Display, cache: FrameCache, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._graphics = display
        self._frames = cache
        self._frame: Frame | None = None
        self._shown: KittyFrame | None = None
        self._placement = next(FilmView._placements)
        self._waiting = False
        self.key: Hashable = None

    @property
    def pixel_size(self) -> tuple[int, int]:
        """How many image pixels fit: (width, height)."""
        across, down = self._graphics.pixels
        return (self.size.width * across, self.size.height * down)

    def has(self, key: Hashable) -> bool:
        """Whether the frame of `key` is ready."""
        return self._frames.get((self.pixel_size, key)) is not None

    def prepare(self, image: Image.Image, key: Hashable) -> None:
        """Encodes `image` for a later `show(key)`. May be called from any thread."""
        size = image.size
        if self._frames.get((size, key)) is None:
            self._frames.put((size, key), encode(self._graphics, image))

    def show(self, key: Hashable, image: Image.Image | None = None) -> bool:
        """Shows the frame of `key`, encoding `image` if it isn't ready; False where it isn't and there is no image."""
        frame = self._frames.get((self.pixel_size, key))
        if frame is None:
            if image is None:
                return False
            frame = self._frames.put((image.size, key), encode(self._graphics, image))
        self.key = key
        if frame is not self._frame:
            self._frame = frame
            if self._graphics.protocol == "halfcell":
                self.refresh()
            else:
                self._draw()
        return True

    def blank(self) -> None:
        """Shows nothing."""
        self.key = self._frame = None
        self.conceal()
        self.refresh()

    def conceal(self) -> None:
        """Takes the image off the screen while something else is shown there."""
        if self._shown is not None:
            self._write(self._shown.remove(self._placement))
            self._shown = None

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if isinstance(self._frame, HalfCells):
            return _half_cells(self._frame, y, width)
        if not self._waiting and self._frame is not None:
            # The cells under the image are being painted: the image has to come after them.
            self._waiting = True
            self.call_after_refresh(self._draw)
        return Strip([Segment(" " * width, _BLANK)], width)

    def on_resize(self) -> None:
        self._frame = None
        self.conceal()
        self.post_message(self.Resized(self))

    def on_unmount(self) -> None:
        self.conceal()

    def _draw(self) -> None:
        self._waiting = False
        if not self.is_attached or self.app.screen is not self.screen or self.size.width == 0:
            return
        region, frame = self.content_region, self._frame
        if isinstance(frame, KittyFrame):
            data = frame.place(region.width, region.height, self._placement)
            if self._shown is not None and self._shown.id != frame.id:
                data += self._shown.remove(self._placement)
            self._shown = frame
        elif isinstance(frame, SixelFrame):
            data = frame.data
        else:
            return
        # In one piece and, where the terminal knows it, in one synchronized update: no half image is ever seen.
        where = f"\x1b[{region.y + 1};{region.x + 1}H"
        self._write(f"\x1b[?2026h\x1b7{where}{data}\x1b8\x1b[?2026l{self._frames.dropped()}")

    def _write(self, data: str) -> None:
        driver = self.app._driver
        if driver is not None and data:
            driver.write(data)
            driver.flush()


def _half_cells(frame: HalfCells, y: int, width: int) -> Strip:
    levels = frame.levels
    if 2 * y + 1 >= len(levels):
        return Strip([Segment(" " * width, _BLANK)], width)
    upper, lower = levels[2 * y], levels[2 * y + 1]
    segments = [Segment("▀", _style(int(a), int(b))) for a, b in zip(upper[:width], lower[:width], strict=True)]
    if len(segments) < width:
        segments.append(Segment(" " * (width - len(segments)), _BLANK))
    return Strip(segments, width)


@lru_cache(maxsize=65_536)
def _style(upper: int, lower: int) -> Style:
    return Style(color=Color.from_rgb(upper, upper, upper), bgcolor=Color.from_rgb(lower, lower, lower))
