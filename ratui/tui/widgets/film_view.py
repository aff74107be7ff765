"""A widget for a grey image, drawn by Kitty, Sixel or half-cells. It identifies images by keys."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import ClassVar

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.errors import NoWidget
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ratui.errors import FilmError
from ratui.terminal import (
    Colours,
    Display,
    Frame,
    FrameCache,
    HalfCellFrame,
    encode,
    encode_coarse,
    make_grey_palette,
)
from ratui.tui.graphics.painter import Painter, Place
from ratui.tui.textual_internals import NotifyingStrip

__all__ = ["FilmFailed", "FilmView", "FilmsAligned", "make_cells"]

_BLANK = Style(bgcolor=Color.from_rgb(0, 0, 0))
_COARSE = "coarse"


class FilmFailed(Message):
    """A film cannot be shown because of `error`."""

    def __init__(self, error: FilmError) -> None:
        super().__init__()
        self.error = error


class FilmsAligned(Message):
    """Two films of `site` were registered, or cannot be: `problem` is that of `FilmStore.find_problem`."""

    def __init__(self, site: str, problem: str) -> None:
        super().__init__()
        self.site = site
        self.problem = problem


class FilmView(Widget):
    """A widget that shows one image at a time.

    The image fills the widget, which must have neither border nor padding in the style sheet.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    frame_cache
        The cache for encoded images, usually shared by all views.
    id
        Textual's ID of the widget.
    """

    DEFAULT_CSS = "FilmView { background: black; }"
    can_focus = False
    HAS_OVERLAY: ClassVar[bool] = False
    """True if a subclass changes cells in `render_line`. Textual then writes half-cells, line by line."""
    _numbers: ClassVar = itertools.count(1)

    class Resized(Message):
        """The size of the view has changed, and it is blank: its image has to be made in the new size."""

        def __init__(self, view: FilmView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, display: Display, frame_cache: FrameCache, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._display_given = display
        self._frame_cache = frame_cache
        self._frame: Frame | None = None
        self._place = Place(next(FilmView._numbers), self._find_region, on_painted=self._record_painted)
        self.painted_at: float | None = None
        """Time at which the terminal had processed the present image, on a monotonic clock; None before that."""
        self.painted_shrink = 1
        """Factor by which the painted image has fewer pixels in each direction than `pixel_size`; 1 for all pixels."""
        self.on_painted: Callable[[FilmView], None] = lambda view: None
        """Function to call when the present image was painted."""
        self._waiting = False
        self._strips: list[Strip] = []
        self.key: Hashable = None

    @property
    def graphics(self) -> Display:
        """Present capabilities of the terminal, from the app: its cells may have changed since the view was created."""
        found = getattr(self.app, "graphics", None) if self.is_attached else None
        return found if isinstance(found, Display) else self._display_given

    @property
    def pixel_size(self) -> tuple[int, int]:
        """Size of an image that fills the view, in pixels, as (width, height)."""
        across, down = self.graphics.pixels_per_cell
        width, height = self.size
        return (width * across, height * down)

    def has_frame(self, key: Hashable) -> bool:
        """Return True if the frame of `key` is encoded for the present size."""
        return self._frame_cache.get((self.pixel_size, key)) is not None

    def prepare(self, image: Image.Image, key: Hashable) -> None:
        """Encode `image` for a later call of ``show(key)``. May be called from any thread.

        If the connection is slow, a coarse frame is encoded too.

        Parameters
        ----------
        image
            A grey image of mode ``L`` and of `pixel_size`.
        key
            Key of the image, independent of its size.
        """
        name = (image.size, key)
        display, painter = self.graphics, Painter.for_app(self.app)
        slow = painter.is_slow()
        if slow and self._frame_cache.get((name, _COARSE)) is None:
            self._frame_cache.put((name, _COARSE), encode_coarse(display, image, painter.max_coarse_bytes))
        if self._frame_cache.get(name) is None:
            self._frame_cache.put(name, encode(display, image, slices=slow))

    def find_frame(self, key: Hashable) -> Frame | None:
        """Return the frame of `key` for the present size; None if it is not encoded."""
        return self._frame_cache.get((self.pixel_size, key))

    def show(self, key: Hashable, image: Image.Image | None = None) -> bool:
        """Show the image of a key.

        Parameters
        ----------
        key
            Key of the image.
        image
            The image, to be encoded now if it was not prepared; None to show only a prepared image.

        Returns
        -------
        bool
            False if the image was not prepared and `image` is None. The view then stays as it is.
        """
        frame = self._frame_cache.get((self.pixel_size, key))
        if frame is None:
            if image is None:
                return False
            self.prepare(image, key)
            frame = self._frame_cache.get((image.size, key))
        self.key = key
        if frame is not self._frame and frame is not None:
            self._hold_frame(frame)
            if self.HAS_OVERLAY and isinstance(frame, HalfCellFrame):
                self.refresh()
            else:
                self._draw()
        return True

    def blank(self) -> None:
        """Show no image."""
        self.key = None
        if self._frame is not None:
            self._hold_frame(None)
            self.hide_image()
            self.refresh()

    def _record_painted(self, frame: Frame, now: float) -> None:
        """Record that `frame` was painted at the time `now`."""
        if self._frame is None:
            return
        self.painted_shrink = frame.shrink
        if self.painted_at is None:
            self.painted_at = now
        self.on_painted(self)

    def hide_image(self) -> None:
        """Remove the image from the screen, while another screen is shown there."""
        self._forget_painted()
        if self.is_attached:
            Painter.for_app(self.app).clear(self._place)

    def show_again(self) -> None:
        """Draw the image again after another screen was shown in its place."""
        self.refresh()  # the cells notify when Textual writes them, and the image follows
        if self.app.is_headless:  # Textual then writes no cells
            self.call_after_refresh(self._draw)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the cells under the image. They bypass Textual's cache, so that each write of a cell is noticed."""
        if self.HAS_OVERLAY:
            return [self.render_line(y).crop(crop.x, crop.right) for y in range(crop.y, crop.bottom)]
        return [self.render_line(crop.y).crop(crop.x, crop.right)] * crop.height  # all lines are alike

    def render_line(self, y: int) -> Strip:
        """Return line `y`: black cells that notify when they are written, or half-cells under an overlay."""
        width = self.size.width
        if self.HAS_OVERLAY and isinstance(self._frame, HalfCellFrame):
            if not self._strips:
                self._strips = [make_cells(self._frame, row, width) for row in range(self.size.height)]
            if y < len(self._strips):
                return self._strips[y]
        return NotifyingStrip([Segment(" " * width, _BLANK)], width, self._cells_written)

    def _cells_written(self) -> None:
        """Draw the image again, because Textual has written cells over it."""
        if self._frame is not None and not self._waiting:
            self._waiting = True
            self.call_later(self._draw)

    def on_mount(self) -> None:
        """Subscribe to the end of a suspension of the app."""
        self.app.app_resume_signal.subscribe(self, self._app_resumed)

    def on_resize(self) -> None:
        """Blank the view, and ask for an image of the new size."""
        self._hold_frame(None)
        self.hide_image()
        self.post_message(self.Resized(self))

    def on_hide(self) -> None:
        """Remove the image from the screen, because Kitty keeps images over cells that are written again."""
        if not self.is_on_screen:  # it may have been shown again since
            self.hide_image()

    def on_unmount(self) -> None:
        """Remove the image from the screen, and release its frame."""
        self._hold_frame(None)
        self.hide_image()

    def _app_resumed(self, app: App[object]) -> None:
        """Draw everything again, because another program may have removed images from the terminal."""
        Painter.for_app(app).abandon_ahead()
        self._frame_cache.mark_lost()
        self.redraw()

    def redraw(self) -> None:
        """Send the image again, because the terminal shows it no more."""
        self._place.shown = None
        self.refresh()

    def _hold_frame(self, frame: Frame | None) -> None:
        """Make `frame` the present one, and keep it in the cache while it is shown."""
        if self._frame is not None:
            self._frame_cache.unpin(self._frame)
        if frame is not None:
            self._frame_cache.pin(frame)
        self._frame = frame
        self._strips = []
        self._forget_painted()

    def _forget_painted(self) -> None:
        self.painted_at = None

    def _draw(self) -> None:
        """Have the painter send the present frame, if the view is on the screen."""
        self._waiting = False
        if self._frame is None or self._find_region() is None:
            return
        coarse = self._frame_cache.get(((self.pixel_size, self.key), _COARSE))
        Painter.for_app(self.app).paint(self._place, self._frame, coarse, self._frame_cache.take_dropped())

    def _find_region(self) -> tuple[int, int, int, int] | None:
        """Return the cells of the view as (column, row, columns, rows), or None if not all of them are on the screen.

        On a very small screen the layout may cut the view off. Its image would cover other widgets.
        """
        if not self.is_attached or self.app.screen is not self.screen:
            return None
        try:
            geometry = self.screen.find_widget(self)
        except NoWidget:  # before the first layout
            return None
        if geometry.visible_region != geometry.region:
            return None
        region = self.content_region
        return (region.x, region.y, region.width, region.height) if region.area else None


def make_cells(frame: HalfCellFrame, y: int, width: int) -> Strip:
    """Return line `y` of `frame` as cells of Textual, with the colours that the frame itself has."""
    levels = frame.levels
    if 2 * y + 1 >= len(levels):
        return Strip([Segment(" " * width, _BLANK)], width)
    upper, lower = levels[2 * y].tolist(), levels[2 * y + 1].tolist()
    segments = [
        Segment(" " if a == b else "▀", _style(a, b, frame.colours))
        for a, b in zip(upper[:width], lower[:width], strict=True)
    ]
    if len(segments) < width:
        segments.append(Segment(" " * (width - len(segments)), _BLANK))
    return Strip(segments, width)


@lru_cache(maxsize=65_536)
def _style(upper: int, lower: int, colours: Colours) -> Style:
    numbers = make_grey_palette(colours).numbers
    if colours == "none":
        return Style()
    if numbers is None:
        return Style(color=Color.from_rgb(upper, upper, upper), bgcolor=Color.from_rgb(lower, lower, lower))
    # Textual writes a number of the palette as it is. It would convert a colour with 24 bits to another grey.
    return Style(color=Color.from_ansi(numbers[upper]), bgcolor=Color.from_ansi(numbers[lower]))
