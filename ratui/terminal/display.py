"""The capabilities of a terminal: graphics protocol, size of a cell, resolution of a film on it, and bandwidth.

Nothing here writes to the terminal. The caller sends data and fences, and reports the answers.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ratui.errors import DisplayError
from ratui.terminal.colours import Colours
from ratui.terminal.image_files import Medium
from ratui.terminal.queries import CURSOR_POSITION

__all__ = [
    "FENCE",
    "FENCE_ROW",
    "LOCAL_ROUND_TRIP",
    "MIN_GREYS",
    "MIN_PIXELS_PER_MM",
    "NUMBERED_FENCE",
    "PROTOCOLS",
    "Bandwidth",
    "Display",
    "Protocol",
    "Resolution",
    "estimate_joint_resolution",
    "estimate_view_resolution",
    "measure_resolution",
]

Protocol: TypeAlias = Literal["kitty", "iterm2", "sixel", "halfcell"]
PROTOCOLS: tuple[Protocol, ...] = ("kitty", "iterm2", "sixel", "halfcell")
"""Ways to draw images: Kitty's protocol, inline images of iTerm2, Sixel, and characters with two grey values each."""
LOCAL_ROUND_TRIP = 0.008
"""Round trip in seconds below which a terminal counts as local, so that its bandwidth needs no measurement."""
MIN_GREYS = 16
"""Number of greys below which films cannot be scored: with fewer, the edge of a bone disappears in flat areas."""


@dataclass(frozen=True)
class Display:
    """Capabilities of a terminal for images."""

    protocol: Protocol
    """Way to draw images."""
    cell: tuple[int, int] = (10, 20)
    """Size of a character in pixels, as (width, height)."""
    levels: int = 256
    """Number of greys that an image may have."""
    why: str = ""
    """Reason for the choice of the protocol, in a few words."""
    round_trip: float | None = None
    """Seconds until the terminal answered; None if it did not."""
    rate: float | None = None
    """Bytes per second of the connection; None if not measured, because the terminal answered at once or not at all."""
    multiplexer: str = ""
    """``tmux`` or ``screen`` inside one of these, otherwise empty. These answer fences instead of the terminal."""
    is_cell_measured: bool = True
    """False if `cell` is a guess."""
    max_sixel_size: tuple[int, int] = (1000, 1000)
    """Largest Sixel image that the terminal accepts, as (width, height) in pixels. xterm shows nothing of a larger one."""
    uses_placeholders: bool = False
    """True if Kitty images are placed by characters, through tmux."""
    medium: Medium = ""
    """Medium of Kitty images for a terminal on this machine; empty if they are sent as control sequences."""
    terminal: str = ""
    """Name and version that the terminal reported; empty if it reported none. Inside a multiplexer that of the latter."""
    colours: Colours = "truecolor"
    """Colours of characters."""
    colours_why: str = ""
    """Source of `colours`, such as ``TERM=xterm-256color``."""
    pixel_mm: float | None = None
    """Width and height of a pixel of the screen in mm, as the user has measured it; None if unknown."""

    @property
    def is_near(self) -> bool:
        """True if the terminal answers as soon as one on this machine, without a multiplexer between."""
        return not self.multiplexer and self.round_trip is not None and self.round_trip < LOCAL_ROUND_TRIP

    @property
    def can_show_films(self) -> bool:
        """True if films have enough greys to be scored."""
        return self.levels >= MIN_GREYS

    def require_films(self) -> None:
        """Raise `DisplayError` with the reason and a remedy if films have too few greys to be scored."""
        if self.can_show_films:
            return
        if self.protocol == "sixel":
            remedy = "Give it more colour registers, such as xterm -xrm 'XTerm*numColorRegisters: 256'"
        elif self.multiplexer == "tmux":
            remedy = "Attach from a terminal with 256 colours, or set TERM before tmux attach"
        elif self.multiplexer == "screen":
            remedy = "Start it in a terminal of 256 colours: TERM=xterm-256color screen -T screen-256color"
        else:
            remedy = "If it has 256 colours: export TERM=xterm-256color"
        raise DisplayError(
            f"no case can be scored here: films need {MIN_GREYS} grey levels, this terminal has {self.levels}",
            self.colours_why if self.protocol == "halfcell" else "",
            remedy,
        )

    @property
    def pixels_per_cell(self) -> tuple[int, int]:
        """Image pixels in a character, as (columns, rows)."""
        return (1, 2) if self.protocol == "halfcell" else self.cell

    @property
    def image_pixel_mm(self) -> tuple[float, float] | None:
        """Width and height of an image pixel on the screen in mm; None if unknown, also if `cell` is a guess."""
        if self.pixel_mm is None or not self.is_cell_measured:
            return None
        across, down = self.pixels_per_cell
        return (self.cell[0] * self.pixel_mm / across, self.cell[1] * self.pixel_mm / down)

    @property
    def pixel_aspect(self) -> float:
        """Width of an image pixel divided by its height."""
        return self.cell[0] / self.pixels_per_cell[0] / (self.cell[1] / self.pixels_per_cell[1])


MIN_PIXELS_PER_MM = 4.0
"""Minimum resolution at which erosions can be scored. A discrete erosion is 1 to 2 mm wide, and a notch of fewer than four
pixels cannot be distinguished from the grain of the film."""
_JOINT_MM = 34.0
"""Height of the part of a hand that the usual view of a joint shows."""
_SPACING = 0.15
"""Assumed pixel size in mm of a film without one: typical of digital hand films, which differ from it by up to a third."""


@dataclass(frozen=True)
class Resolution:
    """Resolution of a view of a film."""

    pixels_per_mm: float
    """Pixels of the screen per millimetre of bone."""
    is_sufficient: bool
    """True if erosions can be scored, or if the screen shows all pixels of the film."""


def measure_resolution(
    size: tuple[int, int], box: tuple[float, float, float, float], spacing: tuple[float, float] | None
) -> Resolution:
    """Return the resolution of an image of a part of a film, in the direction in which it is lower.

    An image with all pixels of the film is sufficient, even if they are few: no screen could show more.

    Parameters
    ----------
    size
        Width and height of the image, in pixels of the screen.
    box
        The part of the film, as (x0, y0, x1, y1) in pixels of the film.
    spacing
        Size of a film pixel in mm, as (row, column) like in DICOM; None if unknown.

    Returns
    -------
    Resolution
        The resolution, and whether it suffices to score erosions.
    """
    down_mm, across_mm = spacing or (_SPACING, _SPACING)
    x0, y0, x1, y1 = box
    across, down = size[0] / max(x1 - x0, 1e-6), size[1] / max(y1 - y0, 1e-6)
    pixels = min(across / across_mm, down / down_mm)
    return Resolution(pixels, pixels >= MIN_PIXELS_PER_MM or min(across, down) >= 1.0)


def estimate_joint_resolution(display: Display, columns: int, rows: int) -> float:
    """Return the approximate pixels per millimetre of a joint, if a terminal shows its two films side by side.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    columns, rows
        Size of the terminal in characters.

    Returns
    -------
    float
        Pixels of the screen per millimetre of bone.
    """
    return estimate_view_resolution(display, columns // 2 - 2, rows - 8)


def estimate_view_resolution(display: Display, columns: int, rows: int) -> float:
    """Return the approximate pixels per millimetre of a joint in a view of `columns` by `rows` characters."""
    across, down = display.pixels_per_cell
    width, height = max(columns, 1) * across * display.pixel_aspect, max(rows, 1) * down
    # The joint fills the shorter side of the view. A pixel that is higher than wide counts by its height.
    return min(width, height) / _JOINT_MM / max(display.pixel_aspect, 1.0)


FENCE = CURSOR_POSITION.sequence
"""Question for the position of the cursor. Every terminal answers it after it has processed all data sent before."""
FENCE_ROW = 2
"""Row, counted from 1, in which the cursor stands when a numbered fence asks. In row 1 some answers look like keys."""
NUMBERED_FENCE = re.compile(rf"\x1b7\x1b\[{FENCE_ROW};\d+H\x1b\[6n\x1b8")
"""A fence as `Bandwidth.record_sent` returns it."""
_FENCE_NUMBERS = 40
"""Count of numbers for fences. A number is a column, and every terminal in which films can be read has as many."""

_LOST = 10.0
"""Seconds after which an answer is not expected any more."""
_FAST = 1e8
"""Bytes per second of a connection that was not measured, and the highest rate recorded."""
_MIN_MEASURED_BYTES = 6_000
"""Number of bytes below which the answer time measures the round trip instead of the rate."""


@dataclass(frozen=True)
class _Fence:
    """A fence whose answer is expected."""

    number: int
    sent_at: float
    size: int


class Bandwidth:
    """The connection to the terminal. Times are in seconds of a monotonic clock.

    A connection counts as fast until it is measured. The rate is a median, so that one delay on a busy machine does not
    make it slow.

    Each fence moves the cursor to a column of its own before it asks, so that the answer tells which fence it belongs to.
    A lost answer thus does not make later ones count for the wrong data.

    Parameters
    ----------
    round_trip
        Seconds between a question and its answer; None if unknown.
    rate
        Bytes per second; None if unknown.
    """

    def __init__(self, round_trip: float | None = None, rate: float | None = None) -> None:
        self.round_trip = round_trip
        self._rates: deque[float] = deque([rate or _FAST] * 2, maxlen=3)
        self._waiting: deque[_Fence] = deque()
        self._number = 0

    @property
    def rate(self) -> float:
        """Bytes per second: the median of the last three measurements."""
        return sorted(self._rates)[len(self._rates) // 2]

    @property
    def last_number(self) -> int:
        """Number of the fence that was sent last; 0 before the first one."""
        return self._number

    def estimate_seconds(self, size: int) -> float:
        """Return the seconds that `size` bytes take, without the round trip."""
        return size / self.rate

    def count_bytes_within(self, seconds: float) -> int:
        """Return the number of bytes that can be sent in `seconds`."""
        return int(self.rate * seconds)

    def record_sent(self, size: int, now: float) -> str:
        """Record that `size` bytes are sent at the time `now`, and return the fence to send after them."""
        self._number = self._number % _FENCE_NUMBERS + 1
        self._waiting.append(_Fence(self._number, now, size))
        return f"\x1b7\x1b[{FENCE_ROW};{self._number}H{FENCE}\x1b8"

    def is_busy(self, now: float) -> bool:
        """Return True if the answer to a fence is still expected at the time `now`."""
        while self._waiting and now - self._waiting[0].sent_at > _LOST:
            self._waiting.popleft()
        return bool(self._waiting)

    def record_answer(self, number: int, now: float) -> tuple[int, ...]:
        """Record the answer to the fence `number`, which came at the time `now`.

        Returns
        -------
        tuple of int
            Numbers of the fences that it answers, the oldest first: `number`, and those sent before it whose answers were
            lost. Empty if no such fence waits for an answer.
        """
        if all(fence.number != number for fence in self._waiting):
            return ()
        answered = []
        while True:
            fence = self._waiting.popleft()
            answered.append(fence.number)
            if fence.number == number:
                break
        took = max(now - fence.sent_at, 1e-4)
        if fence.size < _MIN_MEASURED_BYTES:
            self.round_trip = took if self.round_trip is None else min(self.round_trip, took)
        elif not self._waiting:  # otherwise data sent later shares the measured time
            self._rates.append(min(fence.size / max(took - (self.round_trip or 0.0), took / 20), _FAST))
        return tuple(answered)
